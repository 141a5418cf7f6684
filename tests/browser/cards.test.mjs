// Every card of the snapshots, drawn by the official renderer in a light and a dark theme.
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
    // The renderer knows the schema alone; the typeahead of lists is Teams' own.
    assert.deepEqual(complaints.filter((message) => !message.includes("choices.data")), []);
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
