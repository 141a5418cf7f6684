// Every card of the snapshots, drawn by the official renderer in a light and a dark theme; and what the demo's page does on top.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch } from "./chromium.mjs";

const SNAPSHOTS = new URL("../../shared/cards/src/snapshots/", import.meta.url);
const renderer = await readFile(new URL("node_modules/adaptivecards/dist/adaptivecards.min.js", import.meta.url), "utf8");
const themes = {
  light: { ink: "#242424", paper: "#ffffff", subtle: "#616161" },
  dark: { ink: "#ffffff", paper: "#292929", subtle: "#adadad" },
};

let browser, cards;

/** The JSON below a snapshot's header. A dialog's card stands alone, others together with their summary. */
async function read(name) {
  const text = await readFile(new URL(name, SNAPSHOTS), "utf8");
  const card = JSON.parse(text.slice(text.indexOf("\n---\n") + 5));
  return { name: name.replace(/^cards__tests__|\.snap$/g, ""), card: card.content ?? card };
}

/** The most buttons of any row of a card that are not in its menu. */
function buttonsInSight(part) {
  if (part === null || typeof part !== "object") return 0;
  const own = (part.actions ?? []).filter(({ mode }) => mode !== "secondary").length;
  return Math.max(own, ...Object.values(part).map(buttonsInSight));
}

before(async () => {
  const names = (await readdir(SNAPSHOTS)).filter((name) => name.endsWith(".snap"));
  cards = await Promise.all(names.sort().map(read));
  browser = await launch();
});

after(() => browser?.close());

for (const [theme, colours] of Object.entries(themes)) {
  test(`every card is drawn without a complaint, ${theme}`, async () => {
    const page = await browser.newPage({ viewport: { width: 1500, height: 800 } });
    await page.setContent(`<!doctype html><style>body { font: 14px system-ui; columns: 3; background: ${colours.paper}; color: ${colours.ink} }
      section { break-inside: avoid; border: 1px solid gray; margin: 0 0 12px; padding: 8px }</style>`);
    await page.addScriptTag({ content: renderer });
    const complaints = await page.evaluate(({ cards, colours }) => {
      const text = { default: colours.ink, subtle: colours.subtle };
      const foregroundColors = Object.fromEntries(["default", "accent", "dark", "light", "good", "warning", "attention"]
        .map((name) => [name, { default: text.default, subtle: text.subtle }]));
      const container = { backgroundColor: colours.paper, foregroundColors };
      const config = new AdaptiveCards.HostConfig({ containerStyles: Object.fromEntries(["default", "emphasis", "good", "warning", "attention"].map((name) => [name, container])), supportsInteractivity: true });
      return cards.flatMap(({ name, card }) => {
        const drawn = new AdaptiveCards.AdaptiveCard();
        drawn.hostConfig = config;
        const context = new AdaptiveCards.SerializationContext();
        drawn.parse(card, context);
        const invalid = drawn.validateProperties().validationEvents.map((event) => event.message);
        const misread = Array.from({ length: context.eventCount }, (_, at) => context.getEventAt(at).message);
        const section = document.createElement("section");
        section.append(Object.assign(document.createElement("small"), { textContent: name }), drawn.render());
        document.body.append(section);
        const empty = section.innerText.trim() === name ? ["nothing is shown"] : [];
        return [...invalid, ...misread, ...empty].map((message) => `${name}: ${message}`);
      });
    }, { cards, colours });
    if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/cards-${theme}.png`, fullPage: true });
    assert.ok(cards.length > 40, `${cards.length} cards`);
    // The renderer knows the schema alone; the typeahead of lists is Teams' own. It counts what Teams has in the menu behind "…" too.
    assert.deepEqual(complaints.filter((message) => !message.includes("choices.data") && !message.includes("Maximum number of actions")), []);
    for (const { name, card } of cards) assert.ok(buttonsInSight(card) <= 6, `${name}: Teams shows six buttons beside the menu`);
    await page.close();
  });
}

test("on a phone the dialog of details is not wider than the screen", async () => {
  const page = await browser.newPage({ viewport: { width: 320, height: 700 } });
  await page.setContent('<!doctype html><style>body { margin: 0; font: 14px "Liberation Sans", sans-serif }</style>');
  await page.addScriptTag({ content: renderer });
  const dialogs = cards.filter(({ name }) => name.startsWith("details_"));
  assert.ok(dialogs.length > 2, `${dialogs.length} dialogs`);
  const wrong = await page.evaluate((dialogs) => dialogs.flatMap(({ name, card }) => {
    const drawn = new AdaptiveCards.AdaptiveCard();
    drawn.parse(card);
    document.body.replaceChildren(drawn.render());
    const wide = document.documentElement.scrollWidth;
    return wide > 320 ? [`${name}: ${wide} px wide`] : [];
  }), dialogs);
  assert.deepEqual(wrong, []);
  await page.close();
});

test("an incident's card is low, and its first button high", async () => {
  const incidents = cards.filter(({ name }) => /^(a_triggered|an_acknowledged|a_resolved|a_merged|what_the_alert_says|a_low_urgency|the_largest)/.test(name));
  assert.ok(incidents.length > 5, `${incidents.length} incidents`);
  for (const width of [700, 320]) {
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    await page.setContent('<!doctype html><style>body { margin: 0; font: 14px "Liberation Sans", sans-serif }</style>');
    await page.addScriptTag({ content: renderer });
    const measured = await page.evaluate((incidents) => {
      const config = new AdaptiveCards.HostConfig({ supportsInteractivity: true, fontFamily: '"Liberation Sans", sans-serif',
        spacing: { none: 0, small: 8, default: 12, medium: 16, large: 20, extraLarge: 24, padding: 12 },
        fontSizes: { small: 12, default: 14, medium: 14, large: 18, extraLarge: 24 },
        lineHeights: { small: 16, default: 20, medium: 20, large: 24, extraLarge: 32 },
        actions: { maxActions: 20, actionsOrientation: "horizontal", actionAlignment: "left", buttonSpacing: 8 } });
      return incidents.map(({ name, card }) => {
        const drawn = new AdaptiveCards.AdaptiveCard();
        drawn.hostConfig = config;
        drawn.parse(card);
        document.body.replaceChildren(drawn.render());
        const button = document.querySelector(".ac-pushButton").getBoundingClientRect();
        return { name, height: Math.round(document.body.scrollHeight), button: Math.round(button.top), wide: document.documentElement.scrollWidth };
      });
    }, incidents);
    if (process.env.SCREENSHOTS) console.log(width, measured);
    for (const { name, height, button, wide } of measured) {
      assert.ok(wide <= width, `${name}: ${wide} px wide`);
      const hasDetails = /alert_says|largest/.test(name);
      if (width === 700 && !hasDetails) assert.ok(height <= 220, `${name}: ${height} px high`);
      if (width === 320) assert.ok(button <= 300, `${name}: the first button is ${button} px down`);
    }
    await page.close();
  }
});

test("on a phone a storm's first button is on the first screen", async () => {
  const page = await browser.newPage({ viewport: { width: 320, height: 700 } });
  await page.setContent('<!doctype html><style>body { margin: 0; font: 14px "Liberation Sans", sans-serif }</style>');
  await page.addScriptTag({ content: renderer });
  const storms = cards.filter(({ name }) => /^storm_(active|ended|late)/.test(name));
  assert.ok(storms.length > 5, `${storms.length} storms`);
  const wrong = await page.evaluate((storms) => {
    // About as Teams draws on a phone.
    const config = new AdaptiveCards.HostConfig({ supportsInteractivity: true, fontFamily: '"Liberation Sans", sans-serif',
      spacing: { none: 0, small: 8, default: 12, medium: 16, large: 20, extraLarge: 24, padding: 16 },
      fontSizes: { small: 12, default: 14, medium: 14, large: 18, extraLarge: 24 },
      lineHeights: { small: 16, default: 20, medium: 20, large: 24, extraLarge: 32 },
      actions: { actionsOrientation: "horizontal", actionAlignment: "left", buttonSpacing: 8 } });
    return storms.flatMap(({ name, card }) => {
      const drawn = new AdaptiveCards.AdaptiveCard();
      drawn.hostConfig = config;
      drawn.parse(card);
      document.body.replaceChildren(drawn.render());
      const { bottom } = document.querySelector(".ac-pushButton").getBoundingClientRect();
      const wide = document.documentElement.scrollWidth;
      return bottom > 720 || wide > 320 ? [`${name}: the first button ends at ${Math.round(bottom)}, ${wide} px wide`] : [];
    });
  }, storms);
  assert.deepEqual(wrong, []);
  await page.close();
});

const DEMO = new URL("../../infra/local/src/page/", import.meta.url);
const FOREIGN = {
  type: "AdaptiveCard", version: "1.5",
  body: [
    { type: "TextBlock", text: String.raw`#7 db\_1 \*\*x\*\* \<b>y\</b> \[l\](http://x) & C:\\temp {{DATE(2026-11-23T09:36:00Z, SHORT)}}`, size: "large", style: "heading", maxLines: 3, wrap: true },
    { type: "TextBlock", text: "long ".repeat(400), maxLines: 2, wrap: true },
    { type: "RichTextBlock", inlines: [{ type: "TextRun", text: String.raw`as it is: C:\_x` }] },
    { type: "ActionSet", actions: [
      { type: "Action.Execute", title: "Acknowledge", verb: "acknowledge", style: "positive" },
      { type: "Action.Submit", title: "Add note", data: { verb: "addNote" }, mode: "secondary" },
      { type: "Action.OpenUrl", title: String.raw`Run\_book (wiki\--x.example)`, url: "https://wiki.example", mode: "secondary" },
    ] },
  ],
};

/** Draws a card as the demo's page does, with or without the official renderer. */
async function demo({ official, ...options }) {
  const page = await browser.newPage({ viewport: { width: 480, height: 600 }, ...options });
  await page.route("http://demo/**", async (route) => {
    const name = new URL(route.request().url()).pathname.slice(1);
    if (name) return route.fulfill({ path: new URL(name, DEMO).pathname });
    const styles = ["page.css", "cards.css"].map((style) => `<link rel="stylesheet" href="/${style}">`).join("");
    return route.fulfill({ contentType: "text/html", body: `<!doctype html><html lang="en"><title>Demo</title>${styles}<main id="here" class="card"></main>` });
  });
  await page.goto("http://demo/");
  if (official) await page.addScriptTag({ content: renderer });
  await page.evaluate(async (card) => {
    const { drawCard } = await import("/cards.js");
    const surface = Object.assign(document.createElement("div"), { className: "surface" });
    globalThis.pressed = [];
    surface.append(drawCard(card, { press: (action) => globalThis.pressed.push(action), search: () => [] }));
    document.getElementById("here").append(surface);
  }, FOREIGN);
  return page;
}

for (const [name, official] of Object.entries({ "the official renderer": true, "the plain one": false })) {
  test(`the demo shows foreign text without backslashes, as text, cut after so many lines: ${name}`, async () => {
    const page = await demo({ official });
    const heading = page.getByRole("heading");
    assert.match(await heading.textContent(), /^#7 db_1 \*\*x\*\* <b>y<\/b> \[l\]\(http:\/\/x\) & C:\\temp Mon, Nov 23, 2026$/);
    assert.deepEqual(await heading.evaluate((node) => node.childElementCount), 0);
    await page.getByText(String.raw`as it is: C:\_x`).waitFor();
    const { height } = await page.getByText("long long").boundingBox();
    assert.ok(height < 60, `${height} px for two lines`);
    await page.close();
  });
}

test("the demo has secondary buttons in a menu that works with mouse and keyboard", async () => {
  for (const options of [{}, { colorScheme: "dark", viewport: { width: 320, height: 500 } }]) {
    const page = await demo({ official: true, ...options });
    const more = page.getByRole("button", { name: "More options" });
    const items = page.getByRole("menuitem");
    await more.click();
    assert.deepEqual(await items.allTextContents(), ["Add note", "Run_book (wiki--x.example)"]);
    const [menu, opener] = [await page.getByRole("menu").boundingBox(), await more.boundingBox()];
    assert.ok(Math.abs(menu.y - opener.y - opener.height) < 8 && menu.x >= 0 && menu.x + menu.width <= page.viewportSize().width, JSON.stringify({ menu, opener }));
    if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/demo-menu-${options.colorScheme ?? "light"}.png` });
    await page.keyboard.press("Escape");
    assert.equal(await items.count(), 0);
    assert.ok(await more.evaluate((node) => node === document.activeElement));
    await page.keyboard.press("Enter");
    await items.first().waitFor();
    await page.keyboard.press("Enter");
    await more.click();
    await items.first().click();
    assert.deepEqual(await page.evaluate(() => globalThis.pressed.map((action) => action.data)), [{ verb: "addNote" }, { verb: "addNote" }]);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), true);
    await page.close();
  }
});

test("the plain drawing has secondary buttons beside the others, quietly", async () => {
  const page = await demo({ official: false });
  assert.deepEqual(await page.locator(".actions > *").evaluateAll((buttons) => buttons.map((node) => [node.textContent, node.className])),
    [["Acknowledge", "primary"], ["Add note", "quiet"], ["Run_book (wiki--x.example)", "button quiet"]]);
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/demo-plain.png` });
  await page.close();
});
