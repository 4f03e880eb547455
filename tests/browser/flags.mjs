// flags.mjs BASE TOKEN OTHER_TOKEN [SCREENSHOT_FOLDER] - a person's way through the pages of feature flags, over a real server (flags.py starts it): makes a set and
// flags, edits one, meets another author's edit, asks why somebody got what he got; by keyboard, in light and dark, on a phone without JavaScript.
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";
import { faults } from "./faults.mjs";

const [base, token, other, shots] = process.argv.slice(2);
const flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
const set = "/projects/shop/flags/production";
const cart = {
	state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "off",
	targeting: { if: [{ $ref: "staff" }, "on", { fractional: [["on", 5], ["off", 95]] }] }, metadata: { ticket: "SHOP-17" },
	weir: { owner: "team-checkout", purpose: "release", expires: "2027-03-31", prerequisites: [{ flag: "payments", variants: ["on"] }] },
};
const onOff = (more) => JSON.stringify({ state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "on", ...more });
let passed = 0, failed = 0;
function check(what, ok, seen = "") {
	if (ok) passed++;
	else { failed++; console.log(`FAIL ${what}${seen ? ": " + seen : ""}`); }
}
const shot = (page, name) => (shots ? page.screenshot({ path: `${shots}/flags-${name}.png`, fullPage: true }) : null);
const main = (page) => page.textContent("main");
const alert = (page) => page.textContent("[role=alert]");

async function api(method, path, body, who = other) {
	const answer = await fetch(base + "/api/v1/projects/shop/flag-sets/production" + path, {
		method, headers: { Authorization: "Bearer " + who, ...(body && { "Content-Type": "application/json" }) }, body: body && JSON.stringify(body),
	});
	return answer.json();
}

async function login(page, who = token) {
	await page.goto(base + "/login");
	await page.fill("#token", who);
	await page.click("main button");
	await page.waitForURL(base + "/");
}

async function create(page) {
	await page.goto(base + "/projects/shop");
	await page.click("nav[aria-label=Project] >> text=Flags");
	await page.fill("#name", "production");
	await page.fill("#environment", "production");
	await page.click("text=Make the set");
	check("the set has a page", page.url() === base + set, page.url());
	await page.fill("#document", JSON.stringify({ flags: { payments: JSON.parse(onOff({ weir: { owner: "team-payments", purpose: "operational" } })), banner: { state: "DISABLED", variants: { red: "#f00", blue: "#00f" }, defaultVariant: "red", weir: { purpose: "experiment" } } }, $evaluators: { staff: { ends_with: [{ var: "email" }, "@example.org"] } } }));
	await page.fill("#import-comment", "from flagd");
	await page.click("section:has(#h-import) button");
	check("a document is imported", (await main(page)).includes("payments") && (await main(page)).includes("team-payments"));
	await page.fill("#key", "new-cart");
	await page.fill("#definition", JSON.stringify(cart, null, 2).replace("defaultVariant", "defaultVarient"));
	await page.fill("#make-comment", "SHOP-17");
	await page.click("text=Create the flag");
	check("a wrong definition is refused at the form", (await alert(page)).includes("did you mean 'defaultVariant'"), await alert(page));
	check("what was typed is there", (await page.inputValue("#key")) === "new-cart" && (await page.inputValue("#definition")).includes("defaultVarient"));
	await shot(page, "refused");
	await page.fill("#definition", JSON.stringify(cart, null, 2));
	await page.click("text=Create the flag");
	check("the flag has a page", (await page.textContent("h1")).includes("new-cart"), await page.textContent("h1"));
	check("its definition is coloured", (await page.locator(".json .j-key").count()) > 5);
}

async function edit(page) {
	const text = JSON.parse(await page.inputValue("#edit-definition"));
	check("the form holds the definition", JSON.stringify(text) === JSON.stringify(cart));
	text.targeting.if[2].fractional = [["on", 20], ["off", 80]];
	await page.fill("#edit-definition", JSON.stringify(text, null, 2));
	await page.fill("#edit-comment", "a fifth of the users");
	await page.click("section:has(#h-edit) button:has-text('Save')");
	check("saved", (await main(page)).includes("a fifth of the users"));
	const { revision } = await api("GET", "/flag?key=new-cart");
	await api("POST", "/changes", { base: revision, flags: { "new-cart": { ...text, metadata: { ticket: "SHOP-99" } } }, comment: "somebody else" });
	text.weir.owner = "team-cart";
	await page.fill("#edit-definition", JSON.stringify(text));
	await page.click("section:has(#h-edit) button:has-text('Save')");
	check("a stale edit is refused", (await alert(page)).includes("Nothing was saved"), await alert(page));
	check("with its text kept and theirs shown", (await page.inputValue("#edit-definition")).includes("team-cart") && (await page.textContent(".json")).includes("SHOP-99"));
	await shot(page, "conflict");
	await page.click("section:has(#h-edit) button:has-text('Save')");
	check("having seen it one may save", (await page.textContent(".facts")).includes("team-cart") && !(await page.textContent(".json")).includes("SHOP-99"));
}

async function explain(page) {
	await page.fill("#context", '{"targetingKey": "u1", "email": "jo@example.org"}');
	await page.click("main button:has-text('Explain')");
	check("the answer and its reason", (await page.textContent(".answer")).includes("It gets on") && (await page.textContent(".answer")).includes("TARGETING_MATCH"), await page.textContent(".answer"));
	check("and the steps", (await page.textContent(".answer table")).includes("ends_with"));
	await shot(page, "explain");
	await page.fill("#context", "{");
	await page.click("main button:has-text('Explain')");
	check("a bad context is refused at its form", (await alert(page)).startsWith("context:1") && (await page.inputValue("#context")) === "{");
}

async function keyboard(page) {
	await page.goto(base + set);
	const row = page.locator("tr:has-text('banner')");
	await row.locator("summary").focus();
	check("the focus can be seen", await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== "none"));
	await page.keyboard.press("Enter");
	await page.keyboard.press("Tab");
	await page.keyboard.type("try it");
	await page.keyboard.press("Tab");
	await page.keyboard.press("Enter");
	await page.waitForURL(base + set);
	await page.waitForFunction(() => [...document.querySelectorAll("tr")].some((r) => r.textContent.includes("banner") && r.querySelector(".state")?.textContent === "on"));
	check("a flag is switched by keyboard", (await api("GET", "/flag?key=banner")).history[0].comment === "try it");
}

// A protected environment: one proposes, another one looks whom it hits and approves, then it is applied.
async function draft(page, browser) {
	await page.goto(base + "/projects/shop/flags");
	await page.fill("#name", "guarded");
	await page.fill("#environment", "guarded");
	await page.click("text=Make the set");
	check("a protected set says so", (await main(page)).includes("The environment is protected"));
	await page.fill("#key", "greeting");
	await page.fill("#definition", JSON.stringify({ state: "ENABLED", variants: { hello: "Hello", hi: "Hi" }, defaultVariant: "hello", targeting: { if: [{ "==": [{ var: "plan" }, "new"] }, "hi", null] } }, null, 2));
	await page.fill("#make-comment", "warmer");
	await page.click("text=Propose the flag");
	await page.waitForURL(/drafts\/\d+$/);
	const at = page.url();
	check("a draft with its difference", (await page.textContent("h1")).includes("greeting: warmer") && (await page.textContent(".diff")).includes("hello"));
	check("its author has no button to approve", !(await page.locator("main button", { hasText: "Approve" }).count()));
	const theirs = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
	await login(theirs, other);
	await theirs.goto(at);
	await theirs.click("text=Try it on contexts of your own");
	await theirs.fill("#contexts", '[{"targetingKey": "u1", "plan": "new"}, {"targetingKey": "u2", "plan": "old"}, {"targetingKey": "u3", "plan": "old"}]');
	await theirs.click("main button:has-text('Try')");
	check("whom it hits", (await theirs.textContent("section:has(#h-blast)")).includes("3 get something else (100%)"), await theirs.textContent("section:has(#h-blast)"));
	await theirs.click("section:has(#h-blast) summary");
	await shot(theirs, "draft");
	const found = await theirs.evaluate(faults);
	check("draft basics", !found.length, found.join("; "));
	await theirs.fill("input[aria-label='Comment on the approval']", "fine with me");
	await theirs.click("main button:has-text('Approve')");
	check("approved by another one", (await theirs.textContent("section:has(#h-approvals)")).includes("token:colleague") && (await theirs.textContent(".facts")).includes("approved"));
	await page.goto(at);
	await page.click("text=Apply now");
	check("applied", (await page.textContent("h1")).includes("applied"));
	await page.goto(base + "/projects/shop/flags/guarded/flag?key=greeting");
	check("and there", (await page.textContent(".json")).includes("Hello"));
	places.push(["draft", new URL(at).pathname, "greeting: warmer", "fine with me"], ["drafts", "/projects/shop/flags/guarded/drafts", "Drafts of guarded", "greeting"]);
}

const places = [
	["sets", "/projects/shop/flags", "Flags of shop", "production"],
	["set", set, "Flags: production", "team-cart"],
	["filtered", set + "?state=off&purpose=experiment", "Flags: production", "No flag fits"],
	["flag", set + "/flag?key=new-cart", "new-cart", "a fifth of the users"],
	["needed", set + "/flag?key=payments", "payments", "Needed by"],
	["history", set + "/history", "History of production", "from flagd"],
	["compared", set + "/history?from=2&to=4", "History of production", "From revision 2 to 4"],
];

async function look(browser, scheme) {
	const context = await browser.newContext({ colorScheme: scheme, viewport: { width: 1280, height: 800 } });
	const page = await context.newPage();
	const noise = [];
	page.on("console", (m) => { if (m.type() === "error") noise.push(m.text()); });
	page.on("pageerror", (e) => noise.push(e.message));
	await login(page);
	for (const [name, path, heading, text] of places) {
		await page.goto(base + path);
		check(`${scheme} ${name} heading`, (await page.textContent("h1")).includes(heading), await page.textContent("h1"));
		check(`${scheme} ${name} text`, (await main(page)).includes(text));
		const found = await page.evaluate(faults);
		check(`${scheme} ${name} basics`, !found.length, found.join("; "));
		check(`${scheme} ${name} runs without errors`, !noise.length, noise.splice(0).join("; "));
		await shot(page, `${name}-${scheme}`);
	}
	await context.close();
}

// A phone without JavaScript: everything reads, nothing is wider than the screen, and forms work.
async function bare(browser) {
	const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } });
	const page = await context.newPage();
	await login(page);
	for (const [name, path, heading, text] of places) {
		await page.goto(base + path);
		check(`without JavaScript ${name}`, (await page.textContent("h1")).includes(heading) && (await main(page)).includes(text));
		const wide = await page.evaluate(() => document.documentElement.scrollWidth);
		check(`${name} fits a phone`, wide <= 360, `${wide} px`);
		await shot(page, `${name}-phone`);
	}
	await page.goto(base + set + "/flag?key=banner");
	await page.fill(".steer input[name=comment]", "enough");
	await page.click("text=Switch off");
	check("a form works without JavaScript", (await page.textContent("h1")).includes("off") && (await main(page)).includes("enough"));
	await context.close();
}

if (shots) mkdirSync(shots, { recursive: true });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags.split(" ") });
try {
	const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
	await login(page);
	for (const act of [create, edit, explain, keyboard, draft]) await act(page, browser);
	for (const scheme of ["light", "dark"]) await look(browser, scheme);
	await bare(browser);
} catch (e) {
	check("the journey ends", false, e.stack);
} finally {
	await browser.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
