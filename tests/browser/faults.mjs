// faults.mjs - what every page owes to keyboards, screen readers and eyes; shared by the journeys.

// What every page owes: runs inside the page, returns a list of faults.
export function faults() {
	const out = [], text = (e) => (e.textContent || "").trim().slice(0, 40);
	if (document.querySelectorAll("h1").length !== 1) out.push(`${document.querySelectorAll("h1").length} h1`);
	if (!document.documentElement.lang) out.push("no lang");
	for (const role of ["header", "main", "footer"]) if (document.querySelectorAll(role).length !== 1) out.push(`not one <${role}>`);
	let level = 0;
	for (const h of document.querySelectorAll("h1,h2,h3,h4")) {
		const n = Number(h.tagName[1]);
		if (n > level + 1) out.push(`heading '${text(h)}' skips a level`);
		level = n;
	}
	for (const t of document.querySelectorAll("table:not(.u-legend)")) {
		if (!t.caption) out.push("table without caption");
		for (const th of t.querySelectorAll("th")) if (!th.scope) out.push(`th '${text(th)}' without scope`);
	}
	for (const i of document.querySelectorAll("input:not([type=hidden]),select,textarea")) if (!i.labels.length && !i.getAttribute("aria-label")) out.push(`input ${i.name} without label`);
	for (const b of document.querySelectorAll("button,a")) if (!text(b) && !b.getAttribute("aria-label")) out.push(`${b.tagName} without a name`);
	for (const i of document.images) if (!i.hasAttribute("alt")) out.push("image without alt");
	const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
	if (new Set(ids).size !== ids.length) out.push("an id twice");
	for (const e of document.querySelectorAll("[aria-labelledby]")) if (!document.getElementById(e.getAttribute("aria-labelledby"))) out.push("aria-labelledby leads nowhere");
	const parse = (c) => (c.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
	const light = ([r, g, b]) => {
		const f = (v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
	};
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] > 0) return c;
		}
		return [255, 255, 255];
	};
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n = walk.nextNode(); n; n = walk.nextNode()) {
		const e = n.parentElement;
		if (!n.textContent.trim() || !e.offsetParent || e.closest(".unseen,.skip,.chart")) continue;
		const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) out.push(`contrast ${ratio.toFixed(2)} of '${n.textContent.trim().slice(0, 30)}'`);
	}
	return [...new Set(out)];
}
