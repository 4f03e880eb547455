// charts.js - draws [data-chart] from the table it names: the first column is the time in microseconds, data-columns the series.
"use strict";
(() => {
	const drawn = new Map();
	const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

	const clock = (s) => (s == null ? "" : new Date(s * 1000).toISOString().slice(11, 19)); // UTC, as everywhere on the pages

	// A course of a few seconds: its ticks have tenths, and it is never drawn narrower than a second.
	const ticks = (u, at) => at.map((s) => (at.length > 1 && at[1] - at[0] < 1 ? clock(s).slice(3) + "." + Math.floor((s % 1) * 10 + 1e-6) : clock(s)));
	const range = (u, min, max) => (max - min < 1 ? [(min + max) / 2 - 0.5, (min + max) / 2 + 0.5] : [min, max]);

	function read(table, columns) {
		const rows = [...table.tBodies[0].rows];
		const number = (cell) => (cell.dataset.v === "" ? null : Number(cell.dataset.v) * Number(cell.dataset.scale || 1));
		const one = rows.length === 1; // alone it has no width: half a second on both sides
		const times = rows.map((r) => Number(r.cells[0].dataset.v) / 1e6);
		const around = (list, before, after) => (one ? [before, ...list, after] : list);
		return [around(times, times[0] - 0.5, times[0] + 0.5)].concat(columns.map((c) => around(rows.map((r) => number(r.cells[c])), null, null)));
	}

	function draw(at) {
		const table = document.getElementById(at.dataset.chart);
		if (!table || typeof uPlot !== "function") return;
		const columns = at.dataset.columns.split(",").map(Number);
		const colours = at.dataset.colours.split(",");
		const few = table.tBodies[0].rows.length <= 30; // a short course is dots as well: a single point has no line
		const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, font: "12px system-ui, sans-serif" };
		const series = columns.map((c, i) => ({
			label: table.tHead.rows[0].cells[c].textContent, stroke: colour("--" + colours[i]), width: 2,
			dash: at.dataset.dash === String(i) ? [6, 4] : undefined, points: { show: few, size: 6 },
			value: (u, v) => (v == null ? "" : v.toFixed(2)),
		}));
		drawn.get(at)?.destroy();
		at.textContent = "";
		drawn.set(at, new uPlot({ width: at.clientWidth, height: 220, series: [{ label: "Time", value: (u, v) => clock(v) }, ...series], axes: [{ ...axis, space: 70, values: ticks }, { ...axis, size: 48 }], scales: { x: { range } }, cursor: { drag: { x: false, y: false } } }, read(table, columns), at));
	}

	const all = () => document.querySelectorAll("[data-chart]").forEach(draw);
	addEventListener("load", all);
	document.addEventListener("weir:fresh", all);
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
	let later = 0;
	addEventListener("resize", () => { clearTimeout(later); later = setTimeout(all, 150); });
})();
