// The configuration page on the real stack: log-in at the PagerDuty simulator, connect, test notification, remove, disconnect.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasNoBarrier, stackAndBrowser } from "./chromium.mjs";

const both = stackAndBrowser();

async function logIn(who) {
  const context = await both.browser.newContext({ viewport: { width: 1200, height: 900 } });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(new URL("/admin", both.stack.address).href);
  await page.getByRole("link", { name: "Log in with PagerDuty" }).click();
  await page.click(`main a:has-text("${who}")`);
  return { page, errors };
}

/** Screenshots for a person to look at, where one asks for them. */
async function shot(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true });
}

test("an admin connects a service, tests it, removes it, and disconnects the team", async () => {
  const { page, errors } = await logIn("Ada Wong");
  await page.getByRole("button", { name: "Connect Notification Channel" }).click();
  for (const [label, typed] of [["PagerDuty Service", "Pay"], ["Microsoft Team Channel", "search"]]) {
    await page.getByLabel(label, { exact: true }).fill(typed);
    await page.getByRole("option", { name: new RegExp(`^${typed}`, "i") }).first().click();
  }
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  const row = page.locator("tr, li").filter({ hasText: "Payments" }).filter({ hasText: "search-incidents" }).first();
  await row.waitFor();
  await shot(page, "connected");
  await hasNoBarrier(page);
  await row.getByRole("button", { name: /^Send test notification/ }).click();
  await row.getByText(/test/i).first().waitFor();
  await row.getByText(/Test posted|Test notification posted|Tested|just now/i).first().waitFor({ timeout: 20000 });
  await shot(page, "tested");
  await row.getByRole("button", { name: /^Remove/ }).click();
  await page.locator("dialog[open]").getByRole("button", { name: /^Remove/ }).click();
  await row.waitFor({ state: "detached" });

  await page.getByRole("button", { name: /^Disconnect/ }).first().click();
  const last = page.getByRole("button", { name: "I understand my actions, Disconnect PagerDuty from Microsoft Teams" });
  assert.ok(await last.isDisabled());
  await page.locator("dialog[open] input").fill("disconnect");
  await shot(page, "disconnecting");
  await last.click();
  await page.getByText(/No team/i).first().waitFor();
  await shot(page, "disconnected");
  await hasNoBarrier(page);
  assert.deepEqual(errors, []);
});

test("who is no admin does not get in", async () => {
  const { page } = await logIn("Ben Okafor");
  assert.match(await page.textContent("main"), /Authorization cannot be completed at this time\. You may close this window\./);
  await hasNoBarrier(page);
});
