// Linking in a real browser: Microsoft's own script in the sign-in window, and the number where it does not start.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { hasNoBarrier, stackAndBrowser, TEAMS_JS, withTeamsJs, withoutTeamsJs } from "./chromium.mjs";

const both = stackAndBrowser();

/** The demo's chat with the bot, as this person sees it. */
async function chatOf(name, prepare) {
  const context = await both.browser.newContext({ viewport: { width: 1360, height: 900 } });
  await prepare(context);
  const page = await context.newPage();
  await page.goto(both.stack.address);
  await page.waitForSelector("#service option", { state: "attached" });
  const [user] = await Promise.all([page.selectOption("#you", { label: name }), page.waitForResponse(/\/demo\/api\/state\?/)]);
  await page.waitForFunction((user) => document.querySelector("#you").value === user, user[0]);
  await page.click('nav button:has-text("Chat with PagerBridge")');
  const before = await linksOf(page, name);
  await page.click('.commands button:has-text("linkUser")');
  while ((await linksOf(page, name)).length === before.length) await page.waitForResponse(/\/demo\/api\/state/);
  await page.locator('.card button:has-text("Link Accounts")').nth(before.length).waitFor();
  return { context, page };
}

/** Where the personal links lead that the person has been sent, in Teams' window. */
function linksOf(page, name) {
  return page.evaluate(async (name) => {
    const user = [...document.querySelector("#you").options].find((option) => option.text === name).value;
    const state = await (await fetch(`/demo/api/state?user=${encodeURIComponent(user)}`)).json();
    return state.chat.flatMap((post) => JSON.stringify(post.card ?? {}).match(/https?:[^"]*in=teams/g) ?? []);
  }, name);
}

/** Presses a button that opens a page, and logs in there up to the question. */
async function openLogin({ context, page }, button, name) {
  const pressed = page.locator(".card").last().locator(`button:has-text("${button}")`);
  const [login] = await Promise.all([context.waitForEvent("page"), pressed.click()]);
  const errors = [];
  // That the list of hosts cannot be had is announced on the console by the browser itself.
  login.on("console", (message) => message.type() === "error" && !message.text().startsWith("Failed to load resource") && errors.push(message.text()));
  login.on("pageerror", (error) => errors.push(error.message));
  await login.click(`main a:has-text("${name}")`);
  await login.waitForSelector("dl");
  return { login, errors };
}

test("the script is the one that the page's digest names", async () => {
  const script = await readFile(TEAMS_JS.file);
  const digest = createHash("sha384").update(script).digest("base64");
  const source = await readFile(new URL("../../functions/oauth-callback/src/pages.rs", import.meta.url), "utf8");
  assert.ok(source.includes(`"sha384-${digest}"`), "the npm package has other bytes than the page expects");
  assert.ok(source.includes(`"${TEAMS_JS.address}"`));
});

test("in Teams' window the accounts are linked without another step, and the window closes", async () => {
  const chat = await chatOf("Ada Wong", withTeamsJs);
  const { login, errors } = await openLogin(chat, "Link Accounts", "Ada Wong");
  const facts = await login.textContent("dl");
  assert.match(facts, /Sign-in name in Teamsada@example\.com/);
  const closed = login.waitForEvent("close");
  await login.click('button:has-text("Link accounts")');
  await closed;
  await chat.page.waitForSelector('.card:has-text("You\'ve successfully linked your user accounts")');
  assert.deepEqual(errors, []);
  await chat.context.close();
});

test("a window of another Teams user gets neither code nor number", async () => {
  const chat = await chatOf("Chloe Martin", withTeamsJs);
  // As an app of somebody else would open it in Ben's Teams.
  const url = (await linksOf(chat.page, "Chloe Martin")).at(-1);
  const [login] = await Promise.all([chat.context.waitForEvent("page"), chat.page.evaluate(async (url) => {
    const { signIn } = await import("/demo/assets/signin.js");
    window.handed = [];
    signIn(url, { entra: "00000000-0000-4000-8000-000000000000", tenant: "99999999-8888-4777-8666-555555555555" }, (code) => window.handed.push(code));
  }, url)]);
  await login.click('main a:has-text("Ben Okafor")');
  await login.waitForSelector("dl");
  await login.click('button:has-text("Link accounts")');
  await login.waitForSelector("#by-another:not([hidden])");
  assert.match(await login.textContent("#by-another"), /belongs to another Teams user/);
  assert.equal(await login.isVisible("#by-number"), false);
  assert.deepEqual(await chat.page.evaluate(() => window.handed), []);
  await chat.context.close();
});

test("a script that was changed does not run, and the number links", async () => {
  const changed = async (context) => {
    const script = await readFile(TEAMS_JS.file, "utf8");
    await context.route("https://res.cdn.office.net/**", (route) => route.fulfill({
      contentType: "text/javascript", headers: { "access-control-allow-origin": "*" }, body: `${script}\n// changed`,
    }));
  };
  const chat = await chatOf("Ben Okafor", changed);
  const { login } = await openLogin(chat, "Link Accounts", "Ben Okafor");
  await login.click('button:has-text("Link accounts")');
  await login.waitForSelector("#by-number:not([hidden])");
  const number = await login.textContent("#by-number .number");
  assert.match(number, /^\d{3} \d{3}$/);
  await chat.page.fill(".composer textarea", number);
  await chat.page.press(".composer textarea", "Enter");
  await login.waitForSelector('h1:has-text("Accounts linked")');
  assert.match(await login.textContent("main"), /You've successfully linked your user accounts\./);
  await chat.context.close();
});

test("where Teams does not answer, the number is shown after three seconds", async () => {
  const chat = await chatOf("Ada Wong", withTeamsJs);
  const url = (await linksOf(chat.page, "Ada Wong")).at(-1);
  // Opened by hand: nobody answers the script.
  const login = await chat.context.newPage();
  await login.goto(url);
  await login.click('main a:has-text("Ada Wong")');
  await login.waitForSelector("dl");
  await login.click('button:has-text("Link accounts")');
  await login.waitForSelector("#by-number:not([hidden])", { timeout: 6000 });
  assert.equal(await login.isVisible("#by-teams"), false);
  await chat.context.close();
});

test("the pages can be read by everybody", async () => {
  const chat = await chatOf("Chloe Martin", withoutTeamsJs);
  const { login, errors } = await openLogin(chat, "Open in a browser", "Chloe Martin");
  await hasNoBarrier(login);
  await login.click('button:has-text("Link accounts")');
  await login.waitForSelector(".number");
  await hasNoBarrier(login);
  await login.setViewportSize({ width: 320, height: 640 });
  const wide = await login.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  assert.equal(wide, false, "at 320 pixels nothing is cut");
  assert.deepEqual(errors, []);
  await chat.context.close();
});
