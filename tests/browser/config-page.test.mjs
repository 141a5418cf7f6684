// The configuration page in a real browser, against an API that is made up: what people see and do, with mouse and keyboard.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import axe from "axe-core";
import { launch } from "./chromium.mjs";
import { ago, connection, startMock, utcDay } from "./mock-admin.mjs";

const PHONE = { viewport: { width: 320, height: 780 } };
const UNAVAILABLE = { status: 503, body: { error: { code: "unavailable", message: "PagerDuty does not answer. Try again in a minute." } } };

let mock, browser, context, page, errors;

before(async () => {
  mock = await startMock();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await mock?.stop();
});

beforeEach(() => mock.reset());

afterEach(async () => {
  await context?.close();
  assert.deepEqual(errors, []);
  assert.deepEqual(mock.violations, []);
});

/** Opens the page; script errors and refused resources fail the test. */
async function open(options = {}) {
  context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", timezoneId: "UTC", ...options });
  page = await context.newPage();
  page.setDefaultTimeout(5000);
  errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  // Answers like 401 and 503 are announced on the console by the browser itself.
  page.on("console", (message) => message.type() === "error" && !message.text().startsWith("Failed to load resource") && errors.push(message.text()));
  page.on("dialog", (dialog) => errors.push(`a script's dialog: ${dialog.message()}`));
  await page.goto(mock.address);
}

const team = (name) => page.locator(".team").filter({ has: page.getByRole("button", { name, exact: true }) });
const button = (name, within = page) => within.getByRole("button", { name, exact: true });
const field = (name) => page.getByRole("combobox", { name });
const row = (service) => page.getByRole("row").filter({ has: page.getByRole("rowheader", { name: service }) });
const platform = () => mock.world.teams[0];
const asked = (pattern) => mock.requests.filter((request) => pattern.test(request.asked));

async function expand(name) {
  await button(name, page.locator("#teams")).click();
  await team(name).locator(".content:not([aria-busy])").waitFor();
}

async function openForm(options = {}) {
  await open(options);
  await expand("Platform");
  await button("Connect Notification Channel").click();
}

async function choose(label, text) {
  await field(label).fill(text);
  await page.getByRole("option", { name: text, exact: true }).click();
}

const options = () => page.locator("[role=option]:visible").allTextContents();
const focused = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.id);
const said = (text) => page.locator("#toasts").getByText(text).waitFor();
const alert = (text) => page.getByRole("alert").getByText(text).waitFor();

test("nobody is logged in", async () => {
  mock.world.session = null;
  await open();
  const link = page.getByRole("link", { name: "Log in with PagerDuty" });
  assert.equal(await link.getAttribute("href"), "/oauth/start?for=admin");
  assert.equal(await page.getByRole("heading").textContent(), "Microsoft Teams configuration");
  assert.equal(await page.getByRole("alert").count(), 0);
  assert.equal(await button("Log out").count(), 0);
});

test("whoever is logged in sees the account and their teams, and logs out", async () => {
  await open();
  await team("Platform").waitFor();
  assert.equal(await page.locator(".session").innerText().then((text) => text.replaceAll(/\s+/g, " ")), "PagerDuty account acme Ada Wong Account Owner Log out");
  assert.equal(await page.locator("#account").getAttribute("href"), "https://acme.pagerduty.com");
  assert.deepEqual(await page.locator(".disclosure").allTextContents(), ["Platform", "Data Engineering", "Legacy Support"]);
  assert.match(await team("Platform").locator(".meta").textContent(), /^5 notification channels · connected \w+ \d+, \d{4}$/);
  assert.match(await team("Legacy Support").locator(".meta").textContent(), /^1 notification channel · .* App removed$/);
  await button("Log out").click();
  await alert("You have logged out.");
  assert.equal(mock.world.session, null);
});

test("what PagerBridge has not done is told, and since when", async () => {
  mock.world.health = {
    status: "failing",
    silent_since: null,
    healing: [
      { name: "news", status: "ok", done_at: "2026-11-23T12:03:00Z", failing_since: null, undone: null, undone_since: null },
      { name: "incidents", status: "failing", done_at: null, failing_since: "2026-11-23T12:04:00Z", undone: "Open incidents have not been compared with PagerDuty", undone_since: "2026-11-23T12:04:00Z" },
    ],
  };
  await open();
  await page.locator("#health").getByText("Open incidents have not been compared with PagerDuty since 2026-11-23 12:04 UTC.").waitFor();
  assert.equal(await page.locator("#health p").count(), 1);
});

test("a team unfolds and shows how each connection is doing, the worst first", async () => {
  platform().connections.push(
    connection("Gone", "General", { health: { state: "service_gone", reason: null, since: ago(60) } }),
    connection("Lost", "General", { subscription: "missing" }),
    connection("Hiccup", "General", { last_delivery: { at: ago(1), outcome: "refused", reason: "MessageSizeTooBig" } }),
  );
  await open();
  const opener = button("Platform");
  assert.equal(await opener.getAttribute("aria-expanded"), "false");
  await expand("Platform");
  assert.equal(await opener.getAttribute("aria-expanded"), "true");
  const cells = await page.locator("tbody tr").evaluateAll((rows) => rows.map((each) =>
    [".service a", ".channel", ".filter", ".badge", ".last > :first-child", ".last time"].map((part) => each.querySelector(part)?.textContent)));
  assert.deepEqual(cells, [
    ["Gone", "General", "All incidents", "Service deleted", "Nothing yet", undefined],
    ["Ledger", "old-channel", "All incidents", "Channel unreachable", "Refused by Teams", "1 day ago"],
    ["Lost", "General", "All incidents", "No webhook", "Nothing yet", undefined],
    ["Hiccup", "General", "All incidents", "Last delivery refused", "Refused by Teams", "1 minute ago"],
    ["Mail gateway", "payments-incidents", "All incidents", "Webhook disabled", "Reply posted", "6 hours ago"],
    ["Batch jobs", "General", "All incidents", "Not checked", "Nothing yet", undefined],
    ["Payments API", "payments-incidents", "All incidents", "Active", "Card updated", "4 minutes ago"],
    ["Search", "search-incidents", "High urgency only", "Active", "Card posted", "2 days ago"],
  ]);
  assert.match(await row("Ledger").textContent(), /Teams cannot find the channel.*Reason: ConversationNotFound, since 1 day ago/);
  assert.match(await row("Hiccup").locator(".last").textContent(), /MessageSizeTooBig/);
  assert.match(await row("Payments API").locator(".last time").getAttribute("title"), /\d{4}.*:\d\d:\d\d/);
  assert.match(await row("Payments API").locator(".service p").textContent(), /^Connected by Ada Wong, \w+ \d+, \d{4}$/);
  assert.match(await row("Batch jobs").locator(".service p").textContent(), /^Connected \w+ \d+/);
  await opener.click();
  assert.equal(await page.getByRole("table").count(), 0);
});

test("an unfolded team is still unfolded after a reload, and a team that is alone is unfolded at once", async () => {
  await open();
  await expand("Data Engineering");
  await page.getByText("No service posts in this team yet.").waitFor();
  await page.reload();
  await page.getByText("No service posts in this team yet.").waitFor();
  mock.world.teams = [platform()];
  await page.evaluate(() => sessionStorage.clear());
  await page.reload();
  await page.getByRole("table").waitFor();
});

test("among 5,000 services the wanted one is found by typing, and a channel by its name", async () => {
  await openForm();
  await field("PagerDuty Service").click();
  await page.getByRole("option").first().waitFor();
  assert.equal((await options()).length, 26);
  await field("PagerDuty Service").pressSequentially("ledger api 1", { delay: 5 });
  await page.locator("[role=option] b").first().waitFor();
  assert.ok((await options()).slice(0, -1).every((name) => name.startsWith("Ledger api 1")));
  assert.deepEqual(asked(/services/).map((request) => request.asked), ["GET /services?query=&offset=0", "GET /services?query=ledger+api+1&offset=0"]);
  await field("PagerDuty Service").fill("checkout api");
  await page.getByRole("option", { name: "Checkout API", exact: true }).click();
  assert.equal(await field("PagerDuty Service").inputValue(), "Checkout API");
  await choose("Microsoft Team Channel", "payments-incidents");
  await page.getByLabel("Incidents", { exact: true }).selectOption("High urgency only");
  await button("Connect").click();
  await said("Connected Checkout API to payments-incidents.");
  assert.deepEqual(asked(/^POST/), [{ asked: `POST /teams/${platform().id}/connections`, body: { service: "PCHKOUT", channel: "19:payments-incidents@thread.tacv2", filter: "high_urgency", zone: "UTC", mentions: "nobody" } }]);
  assert.match(await row("Checkout API").textContent(), /payments-incidents.*High urgency only.*Active.*Nothing yet/);
  assert.match(await team("Platform").locator(".meta").textContent(), /^6 notification channels/);
  // The channel stays for the next service, and the change is on record.
  assert.deepEqual([await field("PagerDuty Service").inputValue(), await field("Microsoft Team Channel").inputValue()], ["", "payments-incidents"]);
  await page.locator(".entries li").first().getByText("Connected Checkout API to payments-incidents in Platform").waitFor();
});

test("more results come at the end of the list, and an answer that is too late changes nothing", async () => {
  await openForm();
  await field("PagerDuty Service").fill("mail");
  await page.locator("[role=option] b").first().waitFor();
  await page.getByRole("option", { name: "Load more services" }).click();
  await page.locator("[role=option]:nth-child(50)").waitFor();
  assert.equal(new Set(await options()).size, 51);
  assert.equal(await field("PagerDuty Service").getAttribute("aria-expanded"), "true");
  assert.equal(await page.locator(".popup .active").textContent(), (await options())[25]);

  let letGo;
  mock.next(/query=search&/, { until: new Promise((resolve) => { letGo = resolve; }) });
  await field("PagerDuty Service").fill("search");
  await page.waitForRequest(/query=search&/);
  await field("PagerDuty Service").fill("checkout api");
  await page.getByRole("option", { name: "Checkout API", exact: true }).waitFor();
  letGo();
  await page.evaluate(() => fetch("/admin/api/v1/session"));
  assert.ok((await options()).every((name) => !name.startsWith("Search")));

  await field("PagerDuty Service").fill("there is no such service");
  await page.locator(".popup:visible").getByText("Nothing matches “there is no such service”.").waitFor();
  await field("Microsoft Team Channel").click();
  await page.getByText("There are more: type to narrow them down.").waitFor();
  assert.deepEqual((await options()).slice(3, 5), ["leads private channel", "partner-ops shared channel"]);
});

test("a search that fails says so and is tried again", async () => {
  await openForm();
  mock.next(/services/, UNAVAILABLE, 2);
  await field("PagerDuty Service").fill("checkout");
  await page.locator(".popup:visible").getByText("PagerDuty does not answer.").waitFor();
  await button("Retry").click();
  await page.locator(".popup:visible").getByText("PagerDuty does not answer.").waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("option", { name: "Checkout API", exact: true }).waitFor();
  assert.equal(await field("PagerDuty Service").inputValue(), "checkout");
});

test("what is not chosen from the list cannot be connected", async () => {
  await openForm();
  await field("PagerDuty Service").fill("whatever");
  // By keyboard: the list of what was found may lie over the button.
  await button("Connect").press("Enter");
  for (const label of ["PagerDuty Service", "Microsoft Team Channel"]) assert.equal(await field(label).getAttribute("aria-invalid"), "true");
  assert.equal(await page.locator(".connect .failure:not(:empty)").allTextContents().then((texts) => texts.join()), "Choose a service from the list.,Choose a channel from the list.");
  assert.ok(await field("PagerDuty Service").evaluate((input) => input === document.activeElement));
  await choose("PagerDuty Service", "Checkout API");
  assert.equal(await field("PagerDuty Service").getAttribute("aria-invalid"), null);
  assert.deepEqual(asked(/^POST/), []);
});

test("a pair that is connected already changes nothing and says so", async () => {
  mock.world.services.unshift({ id: "PPAYMENTSAPI", name: "Payments API" });
  await openForm();
  await choose("PagerDuty Service", "Payments API");
  await choose("Microsoft Team Channel", "payments-incidents");
  await button("Connect").click();
  await page.getByText("Payments API is already connected to payments-incidents. Nothing has changed.").waitFor();
  await page.getByLabel("Incidents", { exact: true }).selectOption("High urgency only");
  await button("Connect").click();
  await page.getByText("Payments API is already connected to payments-incidents for “All incidents”. To change that").waitFor();
  await page.getByLabel("Incidents", { exact: true }).selectOption("All incidents");
  await page.getByLabel("Mention").selectOption("Assignees");
  await button("Connect").click();
  await page.getByText("Payments API is already connected to payments-incidents; its cards mention nobody and write times in UTC. To change that, choose Change beside it.").waitFor();
  assert.equal(await page.locator("tbody tr").count(), 5);
});

test("cards tell times in the browser's own zone and mention nobody, unless somebody chooses otherwise", async () => {
  await openForm({ timezoneId: "Europe/Berlin" });
  assert.deepEqual([await field("Times on cards").inputValue(), await page.getByLabel("Mention").inputValue()], ["Europe/Berlin", "nobody"]);
  const hint = await page.getByLabel("Mention").getAttribute("aria-describedby");
  assert.equal(await page.locator(`#${hint}`).textContent(), "A short reply in the incident's thread mentions whoever gets it.");
  await choose("PagerDuty Service", "Checkout API");
  await choose("Microsoft Team Channel", "General");
  await button("Connect").click();
  await said("Connected Checkout API to General.");
  assert.equal(await row("Checkout API").locator(".manner").textContent(), "Times in Europe/Berlin");

  await field("Times on cards").click();
  await page.locator("[role=option]:visible").first().waitFor();
  const [own, utc, ...others] = await options();
  assert.match(own, /^Europe\/Berlin UTC\+[12]$/);
  assert.equal(utc, "UTC");
  assert.equal(others.at(-1), "Load more time zones");
  await field("Times on cards").pressSequentially("new york");
  await page.getByRole("option", { name: "America/New_York" }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByLabel("Mention").selectOption("Assignees");
  await choose("PagerDuty Service", "Payments worker 1");
  await button("Connect").click();
  await said("Connected Payments worker 1 to General.");
  // An empty field means everybody's time.
  await field("Times on cards").fill("");
  await page.keyboard.press("Tab");
  await choose("PagerDuty Service", "Search db 2");
  await button("Connect").click();
  await said("Connected Search db 2 to General.");
  assert.deepEqual(asked(/^POST/).map(({ body: { zone, mentions } }) => [zone, mentions]), [["Europe/Berlin", "nobody"], ["America/New_York", "assignees"], ["UTC", "assignees"]]);
  assert.equal(await row("Payments worker 1").locator(".manner").textContent(), "Times in America/New_York, mentions assignees");
  assert.equal(await row("Search db 2").locator(".manner").textContent(), "Mentions assignees");
  assert.equal(await row("Ledger").locator(".manner").textContent(), "");
});

test("how a connection's cards tell is changed where it is shown", async () => {
  await open();
  await expand("Platform");
  const change = row("Batch jobs").getByRole("button", { name: "Change Batch jobs to General" });
  const dialog = page.getByRole("dialog", { name: "Change this notification channel" });
  const mention = dialog.getByLabel("Mention");
  await change.click();
  assert.match(await dialog.textContent(), /How the cards of Batch jobs in General tell of incidents\./);
  assert.deepEqual([await field("Times on cards").inputValue(), await mention.inputValue()], ["UTC", "nobody"]);
  assert.ok(await field("Times on cards").evaluate((input) => input === document.activeElement));
  // With the list open Escape closes the list, then the dialog.
  await page.keyboard.press("ArrowDown");
  await page.locator("[role=option]:visible").first().waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await field("Times on cards").getAttribute("aria-expanded"), "false");
  assert.equal(await field("Times on cards").inputValue(), "UTC");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.ok(await change.evaluate((control) => control === document.activeElement));

  await change.press("Enter");
  await page.keyboard.type("berlin");
  await page.getByRole("option", { name: "Europe/Berlin" }).waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await said("The cards of Batch jobs in General now mention assignees and write times in Europe/Berlin.");
  assert.equal(await row("Batch jobs").locator(".manner").textContent(), "Times in Europe/Berlin, mentions assignees");
  assert.ok(await change.evaluate((control) => control === document.activeElement));
  const address = `PATCH /teams/${platform().id}/connections/PBATCHJOBS/19:General@thread.tacv2`;
  assert.deepEqual(asked(/^PATCH/), [{ asked: address, body: { zone: "Europe/Berlin", mentions: "assignees" } }]);
  await page.locator(".entries li").first().getByText("changed how a channel is told of Batch jobs: assignees are mentioned, times in Europe/Berlin").waitFor();

  // Only what differs is sent, and nothing if nothing does.
  await change.click();
  await button("Save", dialog).click();
  await dialog.waitFor({ state: "detached" });
  await change.click();
  await mention.selectOption("Nobody");
  await button("Save", dialog).click();
  await dialog.waitFor({ state: "detached" });
  assert.deepEqual(asked(/^PATCH/).slice(1), [{ asked: address, body: { mentions: "nobody" } }]);
  assert.equal(await row("Batch jobs").locator(".manner").textContent(), "Times in Europe/Berlin");
});

test("a change that is refused says why and keeps what was typed", async () => {
  await open();
  await expand("Platform");
  const dialog = page.getByRole("dialog");
  await row("Batch jobs").getByRole("button", { name: /^Change/ }).click();
  await field("Times on cards").fill("Mars/Olympus");
  await page.getByText("Not in this list. Its full name may work all the same.").waitFor();
  await dialog.getByLabel("Mention").selectOption("Assignees");
  await button("Save", dialog).click();
  await alert("There is no such time zone. Please use a name such as Europe/Berlin.");
  mock.next(/^PATCH/, UNAVAILABLE);
  await button("Save", dialog).click();
  await alert("PagerDuty does not answer.");
  assert.deepEqual([await field("Times on cards").inputValue(), await dialog.getByLabel("Mention").inputValue()], ["Mars/Olympus", "assignees"]);
  // A name that browsers do not list, in whichever case.
  await field("Times on cards").fill("us/eastern");
  await button("Save", dialog).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal(platform().connections.at(-1).mentions, "assignees");

  // A zone that this browser does not know yet is in its list all the same.
  platform().connections.find((each) => each.service.name === "Ledger").zone = "Mars/Base";
  await page.reload();
  await row("Ledger").getByRole("button", { name: /^Change/ }).click();
  await page.keyboard.press("ArrowDown");
  await page.getByRole("option", { name: "Mars/Base" }).waitFor();
  await page.keyboard.press("Escape");
  await button("Cancel", dialog).click();

  // Somebody else has removed it.
  await row("Search").getByRole("button", { name: /^Change/ }).click();
  platform().connections = platform().connections.filter((each) => each.service.name !== "Search");
  await dialog.getByLabel("Mention").selectOption("Assignees");
  await button("Save", dialog).click();
  await alert("There is no such connection.");
  await button("Cancel", dialog).click();
  assert.equal(await row("Search").count(), 0);
});

test("a refusal is shown with its reason and keeps what was typed, as does a broken connection", async () => {
  mock.world.limit = 5;
  await openForm();
  await choose("PagerDuty Service", "Checkout API");
  await choose("Microsoft Team Channel", "General");
  await button("Connect").click();
  await alert("A team can have 5 notification channels. Remove one before you connect another.");
  mock.world.limit = 50;
  await context.setOffline(true);
  await button("Connect").click();
  await alert("PagerBridge does not answer. Check your network connection and try again.");
  await context.setOffline(false);
  mock.next(/^POST/, { status: 502, body: "<html>Bad gateway" });
  await button("Connect").click();
  await alert("PagerBridge is not available right now (HTTP 502). Try again in a moment.");
  assert.deepEqual([await field("PagerDuty Service").inputValue(), await field("Microsoft Team Channel").inputValue()], ["Checkout API", "General"]);
  await button("Connect").click();
  await said("Connected Checkout API to General.");
  assert.equal(await page.getByRole("alert").filter({ hasText: /./ }).count(), 0);
});

test("a test notification is sent, and what became of it is shown", async () => {
  await open();
  await expand("Platform");
  const send = row("Batch jobs").getByRole("button", { name: "Send test notification" });
  assert.equal(await send.textContent(), "Send test notification from Batch jobs to General");
  await send.click();
  await said("The test notification was posted in General.");
  assert.match(await row("Batch jobs").locator(".last").textContent(), /^Test notification posted just now/);

  mock.world.tested = { outcome: "refused", reason: "BotNotInConversationRoster" };
  await send.click();
  await row("Batch jobs").getByRole("alert").getByText("Teams refused the test notification (BotNotInConversationRoster).").waitFor();
  assert.equal(await row("Batch jobs").locator(".badge").textContent(), "Last delivery refused");
  assert.ok(await send.evaluate((control) => control === document.activeElement));

  mock.next(/test$/, UNAVAILABLE);
  await send.click();
  await row("Batch jobs").getByRole("alert").getByText("PagerDuty does not answer.").waitFor();
});

test("a test notification without an answer is not called a success", async () => {
  mock.world.tested = null;
  await open();
  await expand("Platform");
  await page.clock.install();
  await row("Search").getByRole("button", { name: "Send test notification" }).click();
  await row("Search").getByRole("button", { name: "Sending…" }).waitFor();
  for (let looks = 1; looks <= 5; looks += 1) {
    const [looked] = await Promise.all([page.waitForResponse(/connections$/), page.clock.runFor(5000)]);
    await looked.finished();
  }
  await said("The test notification to search-incidents is on its way; there is no word of it from Teams yet.");
});

test("a connection is removed after a question, and the focus stays near", async () => {
  mock.world.left = "left";
  await open();
  await expand("Platform");
  const remove = row("Search").getByRole("button", { name: "Remove Search to search-incidents" });
  await remove.click();
  assert.equal(await page.getByRole("dialog").getAttribute("aria-labelledby"), await page.getByRole("heading", { name: "Remove this notification channel?" }).getAttribute("id"));
  assert.equal(await focused(), "Cancel");
  await page.keyboard.press("Escape");
  assert.ok(await remove.evaluate((control) => control === document.activeElement));
  await remove.click();
  mock.next(/^DELETE/, UNAVAILABLE);
  await button("Remove", page.getByRole("dialog")).click();
  await alert("PagerDuty does not answer.");
  await button("Remove", page.getByRole("dialog")).click();
  await said("Removed Search from search-incidents. PagerDuty did not delete its webhook subscription; you can delete it there.");
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.equal(await row("Search").count(), 0);
  assert.equal(await focused(), "Notification Channels (4)");
  assert.deepEqual(platform().connections.map((each) => each.service.name).includes("Search"), false);
  await page.locator(".entries li").first().getByText("Removed Search from search-incidents in Platform").waitFor();

  // Somebody else was faster.
  await row("Ledger").getByRole("button", { name: "Remove" }).click();
  platform().connections = platform().connections.filter((each) => each.service.name !== "Ledger");
  await button("Remove", page.getByRole("dialog")).click();
  await said("Removed Ledger from old-channel.");
});

test("a team is disconnected only after the word is typed", async () => {
  await open();
  await button("Disconnect Platform").click();
  const dialog = page.getByRole("dialog", { name: "Disconnect Platform?" });
  const go = button("I understand my actions, Disconnect PagerDuty from Microsoft Teams", dialog);
  const typed = dialog.getByLabel("Type disconnect to confirm");
  assert.match(await dialog.textContent(), /5 notification channels of this team.*Account links.*Webhook subscriptions/);
  assert.ok(await typed.evaluate((input) => input === document.activeElement));
  for (const word of ["", "disconnec", "Disconnect"]) {
    await typed.fill(word);
    assert.ok(await go.isDisabled(), word);
    await typed.press("Enter");
  }
  await typed.fill("disconnect");
  mock.next(/disconnect$/, UNAVAILABLE);
  await go.click();
  await alert("PagerDuty does not answer.");
  assert.equal(await typed.inputValue(), "disconnect");
  await go.click();
  await said("Disconnected Platform: 5 notification channels and 12 account links removed.");
  assert.deepEqual(asked(/^POST/).map((request) => request.body), [{ confirm: "disconnect" }, { confirm: "disconnect" }]);
  assert.deepEqual(await page.locator(".disclosure").allTextContents(), ["Data Engineering", "Legacy Support"]);
  assert.equal(await focused(), "Teams");
});

test("everything works with the keyboard alone", async () => {
  await open();
  await team("Platform").waitFor();
  const tabTo = async (name) => {
    for (let presses = 0; presses < 30; presses += 1) {
      await page.keyboard.press("Tab");
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.equal(outline, "solid", `no visible focus on ${await focused()}`);
      if ((await focused()).startsWith(name)) return;
    }
    throw new Error(`Tab never came to ${name}`);
  };
  const active = (label) => field(label).evaluate((input) => document.getElementById(input.getAttribute("aria-activedescendant"))?.textContent);
  await tabTo("Log out");
  await tabTo("Platform");
  await page.keyboard.press("Enter");
  await page.getByRole("table").waitFor();
  await tabTo("Connect Notification Channel");
  await page.keyboard.press("Enter");
  assert.ok(await field("PagerDuty Service").evaluate((input) => input === document.activeElement));

  await page.keyboard.press("ArrowDown");
  await page.getByRole("option").first().waitFor();
  assert.equal(await active("PagerDuty Service"), undefined);
  await page.keyboard.press("ArrowUp");
  assert.equal(await active("PagerDuty Service"), "Load more services");
  await page.keyboard.press("Enter");
  await page.locator("[role=option]:nth-child(50)").waitFor();
  assert.equal(await active("PagerDuty Service"), (await options())[25]);
  await page.keyboard.press("Escape");
  assert.equal(await field("PagerDuty Service").getAttribute("aria-expanded"), "false");
  await page.keyboard.type("checkout api");
  await page.locator("[role=option]:visible b").first().waitFor();
  assert.equal(await active("PagerDuty Service"), "Checkout API");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.type("general");
  await page.locator("[role=option]:visible b").first().waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await field("Microsoft Team Channel").inputValue(), "General");
  await page.keyboard.press("ArrowDown");
  await tabTo("Connect");
  await page.keyboard.press("Enter");
  await said("Connected Checkout API to General.");
  assert.equal(platform().connections.at(-1).filter, "high_urgency");

  await page.keyboard.press("Escape");
  assert.equal(await focused(), "Connect Notification Channel");
  await tabTo("Remove Checkout API");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Enter");
  await said("Removed Checkout API from General.");
});

test("who changed what goes back as far as one wants", async () => {
  await open();
  await page.locator(".entries li").first().waitFor();
  assert.equal(await page.locator(".entries li").count(), 20);
  assert.deepEqual(await page.locator(".entries li:nth-child(2) > *").allTextContents(), ["3 hours ago", "Ben Okafor", "Removed Search from search-incidents in Platform", "Microsoft Teams"]);
  const more = button("Load more", page.locator("#audit"));
  await more.click();
  await page.locator(".entries li:nth-child(40)").waitFor();
  mock.next(/audit/, UNAVAILABLE);
  await more.click();
  await alert("PagerDuty does not answer.");
  await more.press("Enter");
  await page.locator(".entries li:nth-child(60)").waitFor();
  await more.waitFor({ state: "hidden" });
  assert.ok(await page.locator(".entries li:nth-child(41)").evaluate((entry) => entry === document.activeElement));
});

const ledger = () => page.locator("#deliveries");
const deliveries = () => page.locator(".deliveries li");
const deliveriesLoaded = () => page.locator("#deliveries .list:not([aria-busy]) .deliveries li").first().waitFor();
const replayOf = (place) => deliveries().nth(place).getByRole("button", { name: /^Replay/ });
/** The filters of the newest request. */
const wished = () => Object.fromEntries(new URLSearchParams(asked(/^GET .deliveries/).at(-1).asked.split("?")[1] ?? ""));
const deliveriesAre = (amount) => page.waitForFunction((number) => !document.querySelector("#deliveries .list[aria-busy]") && document.querySelectorAll(".deliveries li").length === number, amount);

test("deliveries say what became of each event in each channel, when, how fast and why", async () => {
  await open({ timezoneId: "Asia/Tokyo" });
  await deliveriesLoaded();
  assert.deepEqual(asked(/^GET .deliveries/).map((request) => request.asked), ["GET /deliveries"]);
  assert.equal(await deliveries().count(), 50);
  const cells = (place) => deliveries().nth(place).evaluate((entry) => [".incident", ".where", ".became", ".took", ".again"].map((part) =>
    [...entry.querySelector(part).children].map((child) => child.textContent).join("|")));
  assert.deepEqual(await Promise.all([0, 1, 2, 3, 4, 5, 6, 7, 8].map(cells)), [
    ["#4711|Checkout API", "General|Platform", "Card posted", "812 ms|1 attempt", "Replay the card of #4711 in General"],
    ["#4710|Payments worker 1", "payments-incidents|Platform", "Card updated", "3.8 s|1 attempt", "Replay the card of #4710 in payments-incidents"],
    ["#4709|Search db 2", "General|Platform", "Queued|It waits to be delivered, usually for less than a second.|After an action in Teams", "not yet", "Replay the card of #4709 in General"],
    ["#4708|Checkout API", "payments-incidents|Platform", "Waiting|429 Throttled|Teams, AWS or PagerDuty did not answer for now, or somebody keeps deleting the card. It is tried again by itself.|Found by the regular check", "4 min 10 s|so far, 3 attempts", "Replay the card of #4708 in payments-incidents"],
    ["#4707|Payments worker 1", "General|Platform", "Refused by Teams|MessageSizeTooBig|Teams takes neither the card nor a smaller one, or PagerBridge failed three times over it. It is tried again when the incident changes, or when you press Replay.|Asked for again", "2 h 5 min|1 attempt", "Replay the card of #4707 in General"],
    ["#4706|Search db 2", "–", "No channel|No connected channel wants it: the service is not connected, or only for high urgency.|When the app came back", "812 ms", ""],
    ["#4705|Checkout API", "General|Platform", "Already shown", "3.8 s|1 attempt", "Replay the card of #4705 in General"],
    ["#4704|Payments worker 1", "payments-incidents|Platform", "Reply posted", "41 s|1 attempt", "Replay the card of #4704 in payments-incidents"],
    ["#4703|Search db 2", "General|Platform", "Dropped|the service is not connected to the channel|The service is not connected to the channel any more, the connection does not want such incidents, or the card is not kept up to date any more.|After an action in Teams", "4 min 10 s|1 attempt", "Replay the card of #4703 in General"],
  ]);
  const link = deliveries().first().getByRole("link", { name: "#4711" });
  assert.equal(await link.getAttribute("href"), "https://acme.pagerduty.com/incidents/Q4711");
  const time = deliveries().first().locator("time");
  const received = new Date(mock.world.deliveries[0].received_at);
  assert.equal(await time.getAttribute("title"), `${received.toISOString().slice(0, 19).replace("T", " ")} UTC`);
  assert.equal(await time.textContent(), received.toLocaleString("en", { timeZone: "Asia/Tokyo", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }));
  await ledger().getByText("Entries are kept for 90 days.").waitFor();
  await ledger().getByText("3 more lines that wait are not shown").waitFor();
  await page.getByText("What the outcomes mean").click();
  assert.equal(await page.locator(".legend dt:visible").count(), 10);
  assert.match(await deliveries().nth(6).locator(".badge").getAttribute("title"), /^The card showed it already/);
});

test("each filter of the deliveries reaches the API, and clearing brings everything back", async () => {
  await open();
  await deliveriesLoaded();
  const clear = button("Clear filters");
  assert.equal(await clear.count(), 0);
  await page.getByLabel("Incident", { exact: true }).fill("#4709");
  await page.keyboard.press("Enter");
  await deliveriesAre(1);
  assert.deepEqual(wished(), { incident: "#4709" });
  await page.getByLabel("Incident", { exact: true }).fill("");
  await page.getByLabel("Outcome").selectOption("Refused by Teams");
  await deliveriesAre(6);
  assert.deepEqual(wished(), { outcome: "refused" });
  await field("Service").fill("payments worker 1");
  await page.getByRole("option", { name: "Payments worker 1", exact: true }).click();
  await page.waitForFunction(() => [...document.querySelectorAll(".deliveries .incident")].every((entry) => entry.textContent.includes("Payments")));
  assert.deepEqual(wished(), { outcome: "refused", service: "PSVC1" });
  await page.getByLabel("Outcome").selectOption("");
  await deliveriesAre(17);
  await field("Channel").fill("payments");
  await page.getByRole("option", { name: "payments-incidents (Platform)", exact: true }).click();
  await page.waitForFunction(() => [...document.querySelectorAll(".deliveries .where")].every((entry) => entry.textContent.includes("payments-incidents")));
  assert.deepEqual(wished(), { service: "PSVC1", channel: "19:payments-incidents@thread.tacv2" });
  await page.getByLabel("Day (UTC)").fill(utcDay(2));
  await page.getByLabel("Day (UTC)").press("Tab");
  await deliveriesAre(1);
  assert.deepEqual(wished(), { day: utcDay(2), service: "PSVC1", channel: "19:payments-incidents@thread.tacv2" });
  await page.getByLabel("Incident", { exact: true }).fill("nothing like it");
  await page.keyboard.press("Enter");
  await ledger().getByText(/^No delivery of \w+ \d+, \d{4} \(UTC\) fits these filters\.$/).waitFor();
  await clear.click();
  await deliveriesAre(50);
  assert.deepEqual(wished(), {});
  assert.ok(await page.getByLabel("Day (UTC)").evaluate((input) => input === document.activeElement));
  assert.deepEqual([await field("Service").inputValue(), await field("Channel").inputValue(), await page.getByLabel("Day (UTC)").inputValue()], ["", "", utcDay(0)]);
});

test("a filter that chose nothing is no filter, and one that is emptied is gone", async () => {
  await open();
  await deliveriesLoaded();
  await field("Service").fill("checkout");
  await field("Channel").focus();
  assert.equal(await field("Service").inputValue(), "");
  assert.equal(asked(/^GET .deliveries/).length, 1);
  await field("Service").fill("search db 2");
  await page.getByRole("option", { name: "Search db 2", exact: true }).click();
  await deliveriesAre(16);
  await field("Service").fill("");
  await deliveriesAre(50);
  assert.deepEqual(wished(), {});
});

test("an answer to a filter that is not wanted any more changes nothing", async () => {
  await open();
  await deliveriesLoaded();
  let letGo;
  mock.next(/outcome=waiting/, { until: new Promise((resolve) => { letGo = resolve; }) });
  await page.getByLabel("Outcome").selectOption("Waiting");
  await ledger().locator(".list[aria-busy]").waitFor();
  await page.getByLabel("Outcome").selectOption("Reply posted");
  await page.waitForFunction(() => [...document.querySelectorAll(".deliveries .badge")].every((badge) => badge.textContent === "Reply posted"));
  letGo();
  await page.evaluate(() => fetch("/admin/api/v1/session"));
  assert.equal(await deliveries().first().locator(".badge").textContent(), "Reply posted");
  assert.equal(await ledger().locator(".list[aria-busy]").count(), 0);
});

test("deliveries go back as far as one wants, also over answers that hold none", async () => {
  await open();
  await deliveriesLoaded();
  const more = button("Load more", ledger());
  mock.next(/before=/, UNAVAILABLE);
  await more.click();
  await ledger().getByRole("alert").getByText("PagerDuty does not answer.").waitFor();
  await more.press("Enter");
  await deliveriesAre(70);
  await more.waitFor({ state: "hidden" });
  assert.equal(await ledger().getByRole("alert").filter({ hasText: /./ }).count(), 0);
  assert.ok(await deliveries().nth(50).evaluate((entry) => entry === document.activeElement));
  assert.equal(await ledger().getByRole("status").filter({ hasText: "older" }).textContent(), "20 older deliveries loaded.");

  // 320 lines; the only one that fits is the last: five looks find nothing, and the next ones do.
  await button("Show the day before").click();
  await deliveriesAre(50);
  assert.equal(await focused(), "Deliveries");
  assert.deepEqual(wished(), { day: utcDay(1) });
  await page.getByLabel("Incident", { exact: true }).fill("3681");
  await page.keyboard.press("Enter");
  await ledger().getByText("Nothing found yet, but this day has more.").waitFor();
  assert.deepEqual(wished(), { day: utcDay(1), incident: "3681", before: "200" });
  await more.click();
  await deliveriesAre(1);
  assert.deepEqual(wished(), { day: utcDay(1), incident: "3681", before: "300" });
  assert.ok(await deliveries().first().evaluate((entry) => entry === document.activeElement));
});

test("a replay is asked for, and the row says so", async () => {
  await open();
  await deliveriesLoaded();
  let letGo;
  mock.next(/^POST/, { until: new Promise((resolve) => { letGo = resolve; }) });
  await replayOf(1).press("Enter");
  await deliveries().nth(1).getByRole("button", { name: /^Asking…/ }).press("Enter");
  letGo();
  await deliveries().nth(1).getByRole("status").getByText("Asked for again. Refresh in a moment to see what became of it.").waitFor();
  assert.deepEqual(asked(/^POST/), [{ asked: "POST /deliveries/replay", body: { incident: "Q4710", channel: "19:payments-incidents@thread.tacv2" } }]);
  assert.ok(await replayOf(1).evaluate((control) => control === document.activeElement));
  assert.equal(asked(/^GET .deliveries/).length, 1, "nothing moves by itself");
  await page.locator(".entries li").first().getByText("Asked for the card of incident #4710 again").waitFor();
  await button("Refresh").press("Enter");
  await deliveries().first().getByRole("link", { name: "#4710" }).waitFor();
  assert.match(await deliveries().first().textContent(), /Card updatedAsked for again640 ms/);
  assert.equal(await deliveries().getByText("Refresh in a moment").count(), 0);
  assert.equal(await focused(), "Refresh");
});

test("a replay that is refused says why in its row", async () => {
  await open();
  await deliveriesLoaded();
  const refused = [
    [404, "unknown_incident", "PagerBridge knows nothing of this incident (any more)."],
    [404, "unknown_connection", "The incident's service is not connected to this channel (any more)."],
    [403, "not_admin", "Only an Account Owner or Global Admin of the PagerDuty account may do this."],
    [500, "bug", "This did not work."],
  ];
  for (const [status, code, message] of refused) {
    mock.next(/^POST/, { status, body: { error: { code, message } } });
    await replayOf(0).click();
    await deliveries().first().getByRole("alert").getByText(message, { exact: true }).waitFor();
  }
  mock.next(/^POST/, { status: 502, body: "<html>Bad gateway" });
  await replayOf(0).click();
  await deliveries().first().getByRole("alert").getByText("PagerBridge is not available right now (HTTP 502).").waitFor();
  assert.ok(await replayOf(0).evaluate((control) => control === document.activeElement));
  await replayOf(0).click();
  await deliveries().first().getByText("Asked for again.").waitFor();
  assert.equal(await deliveries().first().getByRole("alert").filter({ hasText: /./ }).count(), 0);
});

test("whoever may not ask for cards again only reads the deliveries", async () => {
  Object.assign(mock.world.session.user, { role: "read_only_user" });
  await open();
  await deliveriesLoaded();
  assert.equal(await ledger().getByRole("button", { name: /^Replay/ }).count(), 0);
  Object.assign(mock.world.session.user, { role: "user" });
  await page.reload();
  await deliveriesLoaded();
  assert.ok(await replayOf(0).isVisible());
});

test("deliveries are loading, cannot be loaded, are tried again, or there are none", async () => {
  let letGo;
  mock.next(/deliveries/, { until: new Promise((resolve) => { letGo = resolve; }), ...UNAVAILABLE });
  await open();
  await page.getByText("Loading deliveries…").waitFor();
  letGo();
  await button("Retry", ledger()).press("Enter");
  await deliveriesLoaded();
  assert.equal(await focused(), "Deliveries");
  mock.world.deliveries = mock.world.deliveries.slice(70);
  await button("Refresh").click();
  await ledger().getByText(/^There are no deliveries on \w+ \d+, \d{4} \(UTC\)\.$/).waitFor();
  mock.next(/deliveries/, UNAVAILABLE);
  await button("Refresh").click();
  await ledger().getByRole("alert").getByText("PagerDuty does not answer.").waitFor();
  await button("Retry", ledger()).click();
  await button("Show the day before").click();
  await deliveriesAre(50);
});

test("the deliveries of one person are not shown to the next", async () => {
  await open();
  await deliveriesLoaded();
  await page.getByLabel("Incident", { exact: true }).fill("4711");
  await page.keyboard.press("Enter");
  await deliveriesAre(1);
  mock.world.session = { ...mock.world.session, csrf: "other", user: { name: "Ben Okafor", email: "ben@example.com", role: "admin" } };
  await replayOf(0).click();
  await said("Somebody else has logged in with this browser.");
  await deliveriesAre(50);
  assert.equal(await page.getByLabel("Incident", { exact: true }).inputValue(), "");
});

test("an account without a team is told how to begin", async () => {
  mock.world.teams = [];
  mock.world.audit = [];
  await open();
  await page.getByText("No team is connected to PagerDuty yet.").waitFor();
  assert.equal(await page.locator("#teams ol li").count(), 4);
  await page.getByText("Nothing has been changed yet.").waitFor();
});

test("teams that cannot work say why", async () => {
  Object.assign(mock.world.teams[1], { connected_at: null });
  await open();
  await expand("Legacy Support");
  await page.getByText("The app was removed from this team, so nothing can be posted in its channels.").waitFor();
  await expand("Data Engineering");
  await page.getByText("nobody has authorized it yet").waitFor();
});

test("many teams and many connections can be searched", async () => {
  const { tenant } = platform();
  mock.world.teams.push(...Array.from({ length: 10 }, (_, place) => ({ id: `19:t${place}@thread.tacv2`, name: `Team ${place}`, tenant, installed: true, connected_at: ago(5), channels: [], connections: [], links: 0 })));
  platform().connections.push(...Array.from({ length: 20 }, (_, place) => connection(`Shard ${place}`, "General")));
  await open();
  await team("Platform").waitFor();
  await page.getByLabel("Find a team").fill("plat");
  assert.deepEqual(await page.locator(".disclosure").allTextContents(), ["Platform"]);
  await expand("Platform");
  await page.getByLabel("Find a connection").fill("shard 7");
  assert.deepEqual(await page.getByRole("rowheader").locator("a").allTextContents(), ["Shard 7"]);
  await page.getByLabel("Find a connection").fill("nothing like it");
  await page.getByText("No connection matches “nothing like it”.").waitFor();
  await page.getByLabel("Find a team").fill("nothing like it");
  await page.getByText("No team matches “nothing like it”.").waitFor();
  await page.getByLabel("Find a team").fill("");
  assert.equal(await page.locator(".disclosure").count(), 13);
});

test("loading is shown, and a failure offers to retry", async () => {
  let letGo;
  mock.next(/GET .teams$/, { until: new Promise((resolve) => { letGo = resolve; }), ...UNAVAILABLE });
  mock.next(/audit/, UNAVAILABLE);
  await open();
  assert.equal(await page.locator("#teams .list").getAttribute("aria-busy"), "true");
  await page.getByText("Loading teams…").waitFor();
  letGo();
  await page.locator("#teams").getByRole("alert").getByText("PagerDuty does not answer.").waitFor();
  await button("Retry", page.locator("#teams")).click();
  await team("Platform").waitFor();
  await button("Retry", page.locator("#audit")).click();
  await page.locator(".entries li").first().waitFor();
  mock.next(/connections$/, UNAVAILABLE);
  await expand("Platform");
  await button("Retry", team("Platform")).click();
  await page.getByRole("table").waitFor();
});

test("a session that cannot be asked for is tried again", async () => {
  mock.next(/session/, { cut: true });
  await open();
  await alert("PagerBridge does not answer.");
  await button("Retry").click();
  await team("Platform").waitFor();
});

test("a session that ends leads to the log-in, and says what was not saved", async () => {
  await open();
  await expand("Platform");
  mock.world.session = null;
  await row("Search").getByRole("button", { name: "Remove" }).click();
  await button("Remove", page.getByRole("dialog")).click();
  await alert("Your session has ended. Your last change was not saved. Log in again to go on.");
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.equal(await focused(), "Microsoft Teams configuration");
  await page.getByRole("link", { name: "Log in with PagerDuty" }).waitFor();
  assert.equal(await page.locator(".team").count(), 0);
});

test("another log-in of the same person in this browser goes unnoticed, one of somebody else does not", async () => {
  await open();
  await expand("Platform");
  mock.world.session = { ...mock.world.session, csrf: "renewed" };
  const send = () => row("Batch jobs").getByRole("button", { name: "Send test notification" }).click();
  await send();
  await said("The test notification was posted in General.");
  mock.world.session = { ...mock.world.session, csrf: "other", user: { name: "Ben Okafor", email: "ben@example.com", role: "admin" } };
  await send();
  await said("Somebody else has logged in with this browser. Your last change was not saved.");
  await page.locator("#person").getByText("Ben Okafor Global Admin").waitFor();
});

test("whoever comes back after a while sees what has changed, and nothing moves", async () => {
  await open();
  await expand("Platform");
  const names = () => page.getByRole("rowheader").locator("a").allTextContents();
  assert.deepEqual(await names(), ["Ledger", "Mail gateway", "Batch jobs", "Payments API", "Search"]);
  await page.clock.install();
  await page.clock.fastForward(61_000);
  Object.assign(platform().connections[1], { subscription: "missing" });
  mock.world.teams[1].name = "Data Platform";
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await row("Search").getByText("No webhook", { exact: true }).waitFor();
  await team("Data Platform").waitFor();
  assert.deepEqual(await names(), ["Ledger", "Mail gateway", "Batch jobs", "Payments API", "Search"]);
});

test("a list that could not be loaded is complete after connecting", async () => {
  mock.next(/connections$/, UNAVAILABLE);
  await openForm();
  await choose("PagerDuty Service", "Checkout API");
  await choose("Microsoft Team Channel", "General");
  await button("Connect").click();
  await row("Checkout API").waitFor();
  assert.equal(await page.locator("tbody tr").count(), 6);
});

test("names from outside are text", async () => {
  const evil = "<img src=x onerror=alert(1)> & Co";
  Object.assign(platform(), { name: evil });
  platform().connections = [connection(evil, "General")];
  platform().connections[0].service.url = "javascript:alert(1)";
  mock.world.audit[0].text = evil;
  Object.assign(mock.world.deliveries[0], { why: evil, url: "javascript:alert(1)", service: { id: "S9", name: evil } });
  Object.assign(mock.world.deliveries[0].channel, { name: evil, team_name: evil });
  await open();
  await deliveriesLoaded();
  assert.equal(await deliveries().first().getByRole("link").count(), 0);
  await expand(evil);
  assert.equal(await page.getByRole("rowheader").locator("a").count(), 0);
  await button("Connect Notification Channel").click();
  await choose("PagerDuty Service", evil);
  await choose("Microsoft Team Channel", "General");
  await button("Connect").click();
  await said(`Connected ${evil} to General.`);
  assert.equal(await page.locator("img").count(), 1, "the page's own icon");
});

/** Screenshots for a person to look at, where one asks for them. */
async function shot(name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name.replaceAll(/\W+/g, "-")}.png`, fullPage: true });
}

/** Brings the page into each of its states and checks it there. */
async function inEachState(options, check) {
  const states = {
    "nobody logged in": async () => { mock.world.session = null; await open(options); await page.locator("#log-in").waitFor(); },
    "session broken": async () => { mock.next(/session/, UNAVAILABLE); await open(options); await alert("PagerDuty does not answer."); },
    "loading": async () => { mock.next(/GET .teams$/, { until: new Promise(() => {}) }); await open(options); await page.getByText("Loading teams…").waitFor(); },
    "teams failed": async () => { mock.next(/GET .teams$/, UNAVAILABLE); await open(options); await alert("PagerDuty does not answer."); },
    "deliveries, replayed": async () => {
      await open(options);
      await deliveriesLoaded();
      await page.getByText("What the outcomes mean").click();
      await page.getByLabel("Outcome").selectOption("Waiting");
      await button("Clear filters").waitFor();
      await replayOf(0).click();
      await deliveries().getByText("Asked for again. Refresh").waitFor();
      mock.next(/^POST/, { status: 404, body: { error: { code: "unknown_incident", message: "PagerBridge knows nothing of this incident (any more)." } } });
      await replayOf(1).click();
      await deliveries().getByText("PagerBridge knows nothing").waitFor();
    },
    "deliveries, choosing a channel": async () => { await open(options); await deliveriesLoaded(); await field("Channel").fill("squad"); await page.locator("[role=option]:visible b").first().waitFor(); },
    "deliveries failed": async () => { mock.next(/deliveries/, UNAVAILABLE); await open(options); await ledger().getByRole("alert").getByText("PagerDuty does not answer.").waitFor(); },
    "no teams": async () => { mock.world.teams = []; mock.world.audit = []; mock.world.deliveries = []; await open(options); await page.getByText("No team is connected").waitFor(); },
    "no connections": async () => { await open(options); await expand("Data Engineering"); },
    "app removed": async () => { await open(options); await expand("Legacy Support"); },
    "all connections": async () => {
      platform().connections.push(connection("Gone", "General", { health: { state: "service_gone", reason: null, since: ago(60) } }), connection("Lost", "General", { subscription: "missing" }),
        ...Array.from({ length: 10 }, (_, place) => connection(`Shard ${place}`, "General")));
      await open(options);
      await expand("Platform");
    },
    "long names": async () => {
      const long = "VeryLongNameWithoutAnySpaceInIt".repeat(6);
      platform().name = long;
      platform().connections = [connection(long, long, { last_delivery: { at: ago(1), outcome: "refused", reason: long }, health: { state: "channel_gone", reason: long, since: ago(9) } })];
      mock.world.services = [{ id: "P1", name: long }];
      mock.world.audit = [{ at: ago(1), who: long, via: "page", text: long }];
      Object.assign(mock.world.deliveries[0], { why: long, incident: long, number: null, service: { id: "S9", name: long } });
      Object.assign(mock.world.deliveries[0].channel, { name: long, team_name: long });
      Object.assign(mock.world.session.user, { name: long });
      await open(options);
      await expand(long);
      await button("Connect Notification Channel").click();
      await field("PagerDuty Service").click();
      await page.getByRole("option").first().waitFor();
    },
    "list open": async () => { await openFormWith(options); await field("PagerDuty Service").fill("check"); await page.locator("[role=option] b").first().waitFor(); },
    "form incomplete": async () => { await openFormWith(options); await button("Connect").click(); },
    "refused": async () => {
      mock.world.limit = 1;
      await openFormWith(options);
      await choose("PagerDuty Service", "Checkout API");
      await choose("Microsoft Team Channel", "General");
      await button("Connect").click();
      await alert("A team can have 1");
    },
    "connected": async () => {
      await openFormWith(options);
      await choose("PagerDuty Service", "Checkout API");
      await choose("Microsoft Team Channel", "General");
      await button("Connect").click();
      await said("Connected Checkout API to General.");
    },
    "told otherwise": async () => {
      Object.assign(platform().connections[0], { zone: "America/Argentina/Buenos_Aires", mentions: "assignees" });
      Object.assign(platform().connections[2], { zone: "Asia/Tokyo" });
      await open(options);
      await expand("Platform");
    },
    "changing": async () => { await openChange(options); },
    "changing, list open": async () => { await openChange(options); await field("Times on cards").fill("eur"); await page.locator("[role=option] b").first().waitFor(); },
    "change refused": async () => {
      await openChange(options);
      await field("Times on cards").fill("Mars/Olympus");
      await page.locator(".popup:visible").getByText("Not in this list.").waitFor();
      await page.keyboard.press("Tab");
      await button("Save", page.getByRole("dialog")).click();
      await alert("There is no such time zone.");
    },
    "removing": async () => { await open(options); await expand("Platform"); await row("Search").getByRole("button", { name: "Remove" }).click(); },
    "disconnecting": async () => { await open(options); await button("Disconnect Platform").click(); },
    "disconnecting, typed": async () => { await open(options); await button("Disconnect Platform").click(); await page.getByLabel("Type disconnect to confirm").fill("disconnect"); },
    "session ended": async () => { await open(options); await team("Platform").waitFor(); mock.world.session = null; await button("Platform").click(); await alert("Your session has ended. Log in again"); },
  };
  for (const [name, reach] of Object.entries(states)) {
    mock.reset();
    await reach();
    await shot(`${name}-${options.colorScheme ?? "light"}-${page.viewportSize().width}`);
    await check(name);
    await context.close();
    assert.deepEqual(errors, [], name);
  }
}

async function openFormWith(options) {
  await open(options);
  await expand("Platform");
  await button("Connect Notification Channel").click();
}

async function openChange(options) {
  await open(options);
  await expand("Platform");
  await row("Payments API").getByRole("button", { name: /^Change/ }).click();
}

/** What axe objects to, in short. */
async function objections() {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const { violations } = await globalThis.axe.run(document, { runOnly: tags });
    return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`));
  });
}

for (const [name, options] of Object.entries({ light: {}, dark: { colorScheme: "dark" } })) {
  test(`no state has a barrier that axe can find: ${name}`, async () => {
    await inEachState(options, async (state) => assert.deepEqual(await objections(), [], state));
  });
}

test("at 320 px there is no barrier either, and nothing has to be scrolled sideways", async () => {
  await inEachState(PHONE, async (state) => {
    const wide = await page.evaluate(() => [...document.querySelectorAll("body *")]
      .filter((node) => node.getClientRects().length && node.getBoundingClientRect().right > window.innerWidth + 1 && !node.closest(".hidden, thead"))
      .map((node) => `${node.tagName}.${node.className}`));
    assert.deepEqual(wide, [], state);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), state);
    assert.deepEqual(await objections(), [], state);
  });
});

test("dark mode is dark, and reduced motion stands still", async () => {
  mock.next(/GET .teams$/, { until: new Promise(() => {}) });
  await open({ colorScheme: "dark" });
  await page.getByText("Loading teams…").waitFor();
  const style = (selector, name) => page.locator(selector).first().evaluate((node, property) => getComputedStyle(node)[property], name);
  assert.equal(await style("body", "backgroundColor"), "rgb(15, 15, 16)");
  assert.equal(await style(".bone", "animationName"), "none");
});
