// The local stack's page in a real browser: the round trip as a stranger makes it after the README's first command.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, startStack } from "./chromium.mjs";

let stack, browser;

before(async () => {
  stack = await startStack();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  stack?.stop();
});

/** A page that fails the test on any script error or refused resource. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  await page.goto(stack.address);
  await page.waitForSelector("#service option", { state: "attached" });
  return { context, page, errors };
}

test("an incident arrives as a card, is acknowledged on the card after linking, and both sides agree", async () => {
  const { context, page, errors } = await open();
  await page.fill("#title", "Checkout returns 500");
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
  await login.click('button:has-text("Link accounts")');
  await login.waitForSelector('h1:has-text("Accounts linked")');

  await page.click('nav button:has-text("payments-incidents")');
  await page.click('.card button:has-text("Acknowledge")');
  await page.waitForSelector(".incident.acknowledged");
  await page.waitForSelector('.reply:has-text("Acknowledged by Ada Wong")');

  await page.click('.card button:has-text("Add note")');
  await page.fill(".card textarea", "Rolled back the deploy");
  await page.click('.card button:has-text("Add note") >> nth=-1');
  await page.waitForSelector('.incident li:has-text("Rolled back the deploy")');

  await page.click('.incident button:has-text("Resolve")');
  await page.waitForSelector('.reply:has-text("Resolved by")');
  await page.waitForSelector('.card:has-text("Resolved")');
  assert.deepEqual(await page.$$eval(".card button", (buttons) => buttons.map((button) => button.textContent)), ["Open in PagerDuty"]);
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
