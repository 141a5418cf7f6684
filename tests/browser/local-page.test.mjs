// The local stack's page in a real browser: the round trip as a stranger makes it after the README's first command.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stackAndBrowser, withTeamsJs } from "./chromium.mjs";

const both = stackAndBrowser();

/** A page that fails the test on any script error or refused resource. */
async function open(options = {}) {
  const context = await both.browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  await withTeamsJs(context);
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  await page.goto(both.stack.address);
  await page.waitForSelector("#service option", { state: "attached" });
  return { context, page, errors };
}

/** Presses a button of the newest card, also one that is in its menu. */
async function pressOnCard(page, name) {
  const card = page.locator(".card").last();
  const seen = card.getByRole("button", { name, exact: true });
  const menu = card.getByRole("button", { name: "More options" });
  await seen.or(menu).first().waitFor();
  if (await seen.count()) return seen.click();
  await menu.click();
  return page.getByRole("menuitem", { name, exact: true }).click();
}

test("an incident arrives as a card, is acknowledged on the card after linking, and both sides agree", async () => {
  const { context, page, errors } = await open();
  await page.fill("#summary", "Checkout returns 500");
  await page.click("#trigger button");
  await page.waitForSelector(".thread .card");
  assert.match(await page.textContent(".card"), /#1 Checkout returns 500/);

  await page.click('.card button:has-text("Acknowledge")');
  await page.waitForSelector(".notice");
  assert.match(await page.textContent(".notice"), /private message/);

  await page.click('nav button:has-text("Chat with PagerBridge")');
  const [login] = await Promise.all([context.waitForEvent("page"), page.click('.card button:has-text("Link Accounts")')]);
  await login.click('main a:has-text("Ada Wong")');
  await login.waitForSelector("dl");
  assert.doesNotMatch(login.url(), /code|state/);
  const closed = login.waitForEvent("close");
  await login.click('button:has-text("Link accounts")');
  await closed;

  await page.click('nav button:has-text("payments-incidents")');
  await page.click('.card button:has-text("Acknowledge")');
  await page.waitForSelector(".incident.acknowledged");
  await page.waitForSelector('.reply:has-text("Acknowledged by Ada Wong")');

  await pressOnCard(page, "Add note");
  const dialog = page.getByRole("dialog", { name: "Add note" });
  await dialog.getByRole("textbox").fill("Rolled back the deploy");
  await dialog.getByRole("button", { name: "Add note" }).click();
  await page.waitForSelector('.incident li:has-text("Rolled back the deploy")');
  // The dialog stays to tell how it went.
  await dialog.getByRole("textbox").waitFor({ state: "detached" });
  await dialog.getByRole("button", { name: "Close" }).click();

  await page.click('.incident button:has-text("Resolve")');
  await page.waitForSelector('.reply:has-text("Resolved by")');
  await page.waitForSelector('.card:has-text("Resolved")');
  assert.deepEqual(await page.$$eval(".card button", (buttons) => buttons.map((button) => button.textContent)), ["Add note", "Details", "..."]);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a narrow screen has no sideways scrolling, and dark mode keeps the card", async () => {
  const { context, page, errors } = await open({ viewport: { width: 360, height: 780 }, colorScheme: "dark" });
  await page.waitForSelector(".thread .card");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
  assert.deepEqual(errors, []);
  await context.close();
});

test("Teams' limits move with the keyboard, and sixty incidents at once run into them", async () => {
  const { context, page, errors } = await open();
  const limits = page.getByLabel("Teams' limits");
  const says = (text) => page.waitForFunction((text) => document.querySelector("#limits-words").textContent === text, text);
  await says("Per channel or chat: 7 in 1 s, 8 in 2 s, 60 in 30 s, 1,800 in an hour");
  assert.equal(await limits.getAttribute("aria-valuetext"), "as published");
  assert.equal(await page.textContent(".refused"), "No request refused yet");

  await limits.focus();
  for (let step = 0; step < 5; step += 1) await page.keyboard.press("ArrowLeft");
  await says("Per channel or chat: 3 in 1 s, 4 in 2 s, 30 in 30 s, 900 in an hour");
  assert.equal(await limits.getAttribute("aria-valuetext"), "50 %");
  await page.keyboard.press("Home");
  await says("Per channel or chat: 1 in 1 s, 1 in 2 s, 6 in 30 s, 180 in an hour");
  assert.equal(await limits.getAttribute("aria-valuetext"), "a tenth");

  const { context: other, page: onlooker } = await open();
  const before = await page.locator(".incident").count();
  await page.click('button:has-text("60 incidents at once")');
  await page.waitForFunction((count) => document.querySelectorAll(".incident").length === count, before + 60);
  const facts = await page.$$eval(".incident .meta", (lines) => lines.map((line) => line.textContent));
  const of = (part) => facts.filter((line) => line.endsWith(part)).length;
  assert.deepEqual([of("High urgency · P1"), of("Low urgency")], [2, 20]);
  await page.waitForSelector(".refused.some");
  assert.match(await page.textContent(".refused"), /^\d+ requests? refused with 429$/);

  assert.ok(await limits.evaluate((slider) => slider.value === "0" && !slider.disabled));
  await limits.focus();
  await page.keyboard.press("End");
  await says("No limit");
  await onlooker.waitForFunction(() => document.querySelector(".limits output").textContent === "off");
  assert.deepEqual(errors, []);
  await context.close();
  await other.close();
});

test("everything of Teams is in sight at every width", async () => {
  const { context, page } = await open();
  for (const width of [1720, 1360, 1040, 820, 600, 360]) {
    await page.setViewportSize({ width, height: 900 });
    const clipped = await page.$$eval("#teams :is(.side-head, .limits, nav, .conversation > .composer), .limits *, nav button", (nodes) => nodes.filter((node) => {
      const [box, side] = [node.getBoundingClientRect(), document.getElementById("teams").getBoundingClientRect()];
      return box.height < 8 || box.left < side.left || box.right > side.right || box.bottom > side.bottom;
    }).map((node) => node.outerHTML.slice(0, 80)));
    assert.deepEqual(clipped, [], `${width} px wide`);
  }
  await context.close();
});

test("an alert is sent as the form has it at first, and what is wrong with its details is named", async () => {
  const { context, page, errors } = await open();
  const incidents = page.locator(".incident");
  const before = await incidents.count();
  assert.equal(await page.isVisible("#details"), false);
  await page.click("#trigger [type=submit]");
  await page.waitForFunction((count) => document.querySelectorAll(".incident").length === count, before + 1);
  assert.match(await incidents.first().textContent(), /Checkout answers 5xx.*Payments · High urgency/s);
  assert.equal(await page.inputValue("#image"), new URL("/demo/assets/graph.svg", both.stack.address).href);

  await page.evaluate(() => { document.querySelector("#details").value = '{ "region": }'; });
  errors.length = 0;
  await page.click("#trigger [type=submit]");
  const failure = page.locator("#trigger .failure");
  await failure.filter({ hasText: "Details are not JSON: expected value at line 1 column 13." }).waitFor();
  assert.equal(await page.isVisible("#details"), true);
  assert.equal(await incidents.count(), before + 1);
  await page.fill("#details", '{ "region": { "name": "eu-west-1" } }');
  await page.selectOption("#severity", "warning");
  await page.click("#trigger [type=submit]");
  await page.waitForFunction((count) => document.querySelectorAll(".incident").length === count, before + 2);
  assert.match(await incidents.first().textContent(), /Low urgency/);
  assert.equal(await failure.textContent(), "");
  // The browser itself reports the answer 400.
  assert.deepEqual(errors.filter((error) => !error.includes("400")), []);
  await context.close();
});
