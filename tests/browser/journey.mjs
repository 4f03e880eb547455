// journey.mjs - a person's way through the pages in headless chromium: node journey.mjs FIXTURE_SERVER [SCREENSHOT_FOLDER].
// Logs in, looks at each page in light and dark, with and without JavaScript, on a desk and on a phone; checks what a page owes to
// keyboards and screen readers. Ends with "N passed, N failed".
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { faults } from "./faults.mjs";

const [program, shots] = process.argv.slice(2);
const flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
const run = "01M86V2JG7S629QVPXK1NH0NJE", release = "01M86V5RC3V9R0Q4Y1ZBXD7K2M";
const pages = [
	["/", "Projects", "shop"],
	["/projects/shop", "shop", "Begin <shop>"],
	["/projects/shop/changes/6", "Change 6", "did you mean 'runs-on'?"],
	["/projects/shop/changes/7", "Change 7", "a GitHub token"],
	[`/runs/${run}`, "ci #2", "line 1 <b>not bold</b>"],
	[`/releases/${release}`, "shop to production", "Is the canary worse?"],
	["/projects/shop/flags/production/stale", "Stale flags of production", "keep the code of 'on'"],
	["/projects/shop/flags/production/rollouts", "Rollouts of production", "held: too few users"],
	["/flag-rollouts/01M86V5RC3V9R0Q4Y1ZBXD7K3A", "Rollout of new-cart", "Is the new definition worse?"],
	["/activity", "Activity", "run.finished"],
	["/insights", "Insights", "Change fail rate"],
];
let passed = 0, failed = 0;
function check(what, ok, seen = "") {
	if (ok) passed++;
	else { failed++; console.log(`FAIL ${what}${seen ? ": " + seen : ""}`); }
}

async function login(page, base, token) {
	await page.goto(base + "/projects/shop");
	check("a stranger is sent to the form", page.url() === base + "/login?next=%2Fprojects%2Fshop", page.url());
	await page.fill("#token", "wrong");
	await page.click("main button");
	check("a wrong token is refused in words", (await page.textContent("[role=alert]")).includes("unknown"));
	await page.fill("#token", token);
	await page.click("main button");
	check("the form leads on to where one wanted to go", page.url() === base + "/projects/shop", page.url());
}

async function look(browser, base, token, scheme) {
	const context = await browser.newContext({ colorScheme: scheme, viewport: { width: 1280, height: 800 } });
	const page = await context.newPage();
	const noise = [];
	page.on("console", (m) => { if (m.type() === "error") noise.push(m.text()); });
	page.on("pageerror", (e) => noise.push(e.message));
	await page.goto(base + "/login");
	check(`${scheme} /login`, !(await page.evaluate(faults)).length, (await page.evaluate(faults)).join("; "));
	if (shots) await page.screenshot({ path: `${shots}/login-${scheme}.png` });
	noise.length = 0;
	await login(page, base, token);
	noise.length = 0; // the browser itself reports the refused login
	for (const [path, heading, text] of pages) {
		await page.goto(base + path);
		if (path.startsWith("/releases")) await page.waitForSelector(".chart canvas");
		check(`${scheme} ${path} heading`, (await page.textContent("h1")).includes(heading), await page.textContent("h1"));
		check(`${scheme} ${path} text`, (await page.textContent("main")).includes(text));
		const found = await page.evaluate(faults);
		check(`${scheme} ${path} basics`, !found.length, found.join("; "));
		check(`${scheme} ${path} runs without errors`, !noise.length, noise.splice(0).join("; "));
		if (shots) await page.screenshot({ path: `${shots}/${path.slice(1).split("/")[0] || "home"}${path.split("/").length > 3 ? "-" + path.split("/").pop() : ""}-${scheme}.png`, fullPage: true });
	}
	await context.close();
}

async function act(browser, base, token) {
	const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
	const page = await context.newPage();
	await login(page, base, token);
	await page.goto(`${base}/releases/${release}`);
	await page.waitForSelector(".chart canvas");
	check("the three charts are drawn", (await page.locator(".chart canvas").count()) === 3);
	check("the latency of both arms is told", /Canary\s*1846\s*12 ms\s*58 ms/.test(await page.textContent("main")) && /Stable\s*8144\s*11 ms\s*48 ms/.test(await page.textContent("main")));
	check("the charts' table has a row for each point", (await page.locator("#points tbody tr").count()) === 60);
	await page.keyboard.press("Tab");
	check("the first stop is the skip link", (await page.evaluate(() => document.activeElement.textContent)) === "Skip to content");
	const names = [];
	for (let i = 0; i < 30; i++) {
		await page.keyboard.press("Tab");
		names.push(await page.evaluate(() => document.activeElement.textContent.trim()));
	}
	for (const want of ["Pause", "Promote", "Abort"]) check(`the keyboard reaches ${want}`, names.includes(want), names.join(", "));
	await page.focus("text=Pause");
	await page.keyboard.press("Shift+Tab");
	await page.keyboard.press("Tab");
	check("the focus can be seen", await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== "none" && parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2));
	const [sent] = await Promise.all([page.waitForResponse((r) => r.request().method() === "POST"), page.keyboard.press("Enter")]);
	check("a form posts to its action and comes back", sent.url() === `${base}/releases/${release}/pause` && sent.status() === 303, `${sent.status()}`);
	await page.waitForLoadState("load");
	await page.waitForTimeout(300);
	await page.goto(`${base}/nowhere`);
	check("an unknown address has a page", (await page.textContent("h1")) === "Not here");
	await page.goto(`${base}/`);
	await page.click("text=Log out");
	await page.waitForURL(`${base}/login`);
	await page.goto(`${base}/`);
	check("after the log-out the pages are closed", page.url().startsWith(`${base}/login`));
	await context.close();
}

// Colours of a theme that a chart's canvas holds.
function inked(names) {
	const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgb = (name) => {
		probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
		probe.fillRect(0, 0, 1, 1);
		return [...probe.getImageData(0, 0, 1, 1).data];
	};
	return [...document.querySelectorAll(".chart")].map((chart) => {
		const canvas = chart.querySelector("canvas"), seen = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
		return names.filter((name) => {
			const [r, g, b] = rgb(name);
			for (let i = 0; i < seen.length; i += 4) if (seen[i + 3] > 200 && Math.abs(seen[i] - r) + Math.abs(seen[i + 1] - g) + Math.abs(seen[i + 2] - b) < 12) return true;
			return false;
		}).join(" ");
	});
}

// Releases that were over at once: three points, one point.
async function short(browser, base, token) {
	const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
	const page = await context.newPage();
	await login(page, base, token);
	for (const [end, what] of [["S", "three points"], ["T", "one point"]]) {
		await page.goto(`${base}/releases/${release.slice(0, -1)}${end}`);
		await page.waitForSelector(".chart canvas");
		const ink = await page.evaluate(inked, ["canary", "stable"]);
		check(`a release of ${what} shows both arms`, ink[1] === "canary stable", ink.join(" | "));
		check(`a release of ${what} shows its evidence`, ink[2].includes("canary"), ink.join(" | "));
		if (shots) await page.screenshot({ path: `${shots}/release-short-${end}.png`, fullPage: true });
	}
	await context.close();
}

async function bare(browser, base, token) {
	const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } });
	const page = await context.newPage();
	await login(page, base, token);
	for (const [path, heading, text] of pages) {
		await page.goto(base + path);
		check(`without JavaScript ${path}`, (await page.textContent("h1")).includes(heading) && (await page.textContent("main")).includes(text));
		const wide = await page.evaluate(() => document.documentElement.scrollWidth);
		check(`${path} fits a phone`, wide <= 360, `${wide} px`);
		if (shots && path.startsWith("/releases")) await page.screenshot({ path: `${shots}/phone-release.png` });
	}
	await context.close();
}

const server = spawn(program, { stdio: ["pipe", "pipe", "inherit"] });
const line = await new Promise((go) => createInterface(server.stdout).once("line", go));
const [port, token] = line.split(" ");
const base = `http://127.0.0.1:${port}`;
if (shots) mkdirSync(shots, { recursive: true });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags.split(" ") });
try {
	for (const scheme of ["light", "dark"]) await look(browser, base, token, scheme);
	await act(browser, base, token);
	await short(browser, base, token);
	await bare(browser, base, token);
} catch (e) {
	check("the journey ends", false, e.stack);
} finally {
	await browser.close();
	server.stdin.end();
	await new Promise((go) => server.once("exit", go));
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
