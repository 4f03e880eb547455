// live.js - keeps a page fresh: parts with data-live are fetched again from this page's own address when their event stream says
// that something happened; data-log elements grow as the job writes. Without it the pages read the same and stand still.
"use strict";
(() => {
	const parts = () => [...document.querySelectorAll("[data-live][id]")];
	let due = 0, busy = false;

	// The part that holds the focus, or an open <details>, is left alone: nobody's place is taken away.
	function replace(now, next) {
		if (now.innerHTML === next.innerHTML) return false;
		if (now.contains(document.activeElement) && document.activeElement !== document.body) return false;
		const open = [...now.querySelectorAll("details")].map((d) => d.open);
		now.innerHTML = next.innerHTML;
		now.querySelectorAll("details").forEach((d, i) => { d.open = !!open[i]; });
		return true;
	}

	async function refresh() {
		if (busy || document.hidden) return;
		busy = true;
		try {
			const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
			if (!answer.ok || answer.redirected) return;
			const doc = new DOMParser().parseFromString(await answer.text(), "text/html");
			for (const now of parts()) {
				const next = doc.getElementById(now.id);
				if (!next) continue;
				const before = now.querySelector(".state")?.textContent;
				now.dataset.live = next.dataset.live; // empty when there is nothing more to follow
				if (!replace(now, next)) continue;
				const after = now.querySelector(".state")?.textContent;
				if (after && after !== before) document.getElementById("announce").textContent = "Now: " + after;
				document.dispatchEvent(new CustomEvent("weir:fresh"));
			}
		} catch { /* the server restarts: the next event or the next turn tries again */ } finally { busy = false; }
	}

	function soon() { // at most once a second
		if (due) return;
		due = setTimeout(() => { due = 0; refresh(); }, 1000);
	}

	// Any event of the stream is news, whatever its name (EventSource would want every name beforehand).
	async function listen(url) {
		const gone = new AbortController();
		addEventListener("pagehide", () => gone.abort());
		while (!gone.signal.aborted) {
			try {
				const answer = await fetch(url, { headers: { Accept: "text/event-stream" }, signal: gone.signal });
				if (!answer.ok) return;
				const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
				for (let piece = await reader.read(); !piece.done; piece = await reader.read()) if (piece.value.includes("data:")) soon();
				soon(); // what it followed has ended
			} catch { /* cut off: again in a moment */ }
			await new Promise((go) => setTimeout(go, 3000));
			if (!parts().some((p) => p.dataset.live === url)) return;
		}
	}
	for (const url of new Set(parts().map((p) => p.dataset.live).filter(Boolean))) listen(url);
	setInterval(() => { if (document.querySelector("[data-poll]:not([data-poll=''])")) refresh(); }, 3000);

	for (const log of document.querySelectorAll("[data-log]:not([data-ended])")) {
		let last = "";
		const open = () => {
			const source = new EventSource(log.dataset.log + (last ? "?last_event_id=" + last : ""));
			source.addEventListener("log", (e) => {
				const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
				if (!last) log.textContent = ""; // the stream begins at the start
				last = e.lastEventId;
				log.append(JSON.parse(e.data).text);
				if (follows) log.scrollTop = log.scrollHeight;
			});
			source.onerror = () => { // the end of the job's log, or of the connection
				source.close();
				setTimeout(() => { if (document.getElementById(log.dataset.part)?.querySelector("[data-running]")) open(); }, 2000);
			};
			addEventListener("pagehide", () => source.close());
		};
		open();
	}
})();
