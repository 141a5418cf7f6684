// An Adaptive Card in a post: drawn by Microsoft's renderer if it is there, else plainly, with working buttons.

import { el, isWebAddress, put, unescaped } from "./dom.js";
import { drawPlainly } from "./plain.js";
import { typeahead } from "./typeahead.js";

const TOAST_MS = 15000;

/** Colours come from the style sheet, so a card follows the light or dark theme without being drawn again. */
function hostConfig() {
  const color = (name) => ({ default: `var(--${name})`, subtle: `var(--${name}-subtle, var(--${name}))` });
  const foregroundColors = {
    default: { default: "var(--text)", subtle: "var(--subtle)" },
    dark: { default: "var(--text)", subtle: "var(--subtle)" },
    light: { default: "var(--text)", subtle: "var(--subtle)" },
    accent: color("accent"),
    good: color("good"),
    warning: color("warn"),
    attention: color("bad"),
  };
  const style = (background) => ({ backgroundColor: `var(--${background})`, foregroundColors });
  return new AdaptiveCards.HostConfig({
    fontFamily: "inherit",
    fontSizes: { small: 12, default: 14, medium: 14, large: 17, extraLarge: 22 },
    fontWeights: { lighter: 300, default: 400, bolder: 600 },
    lineHeights: { small: 16, default: 20, medium: 20, large: 24, extraLarge: 28 },
    spacing: { small: 6, default: 8, medium: 12, large: 16, extraLarge: 24, padding: 14 },
    separator: { lineThickness: 1, lineColor: "var(--line)" },
    supportsInteractivity: true,
    textBlock: { headingLevel: 4 },
    inputs: {
      label: { inputSpacing: "small", requiredInputs: { weight: "Bolder", suffix: " *", suffixColor: "Attention" }, optionalInputs: { weight: "Bolder" } },
      errorMessage: { color: "Attention", size: "Small" },
    },
    actions: {
      maxActions: 6,
      spacing: "Medium",
      buttonSpacing: 8,
      actionsOrientation: "Horizontal",
      actionAlignment: "Left",
      showCard: { actionMode: "Inline", inlineTopMargin: 12, style: "emphasis" },
    },
    containerStyles: {
      default: style("card"),
      emphasis: style("card-emphasis"),
      accent: style("accent-bg"),
      good: style("good-bg"),
      warning: style("warn-bg"),
      attention: style("bad-bg"),
    },
  });
}

/** The official renderer's own field for choices from the bot sends titles instead of values; this one replaces it. */
function useOwnTypeahead() {
  const { ChoiceSetInput, GlobalRegistry } = AdaptiveCards;
  GlobalRegistry.elements.register("Input.ChoiceSet", class extends ChoiceSetInput {
    internalRender() {
      const dataset = this.choicesData?.dataset;
      if (!dataset) return super.internalRender();
      const { label, placeholder, choices, defaultValue } = this;
      const known = choices.map(({ title, value }) => ({ title, value }));
      const search = (text) => this.getRootElement().search(dataset, text);
      this.field = typeahead({ label, placeholder, choices: known, value: defaultValue }, search);
      return this.field.node;
    }
    get value() {
      return this.field ? this.field.read() : super.value;
    }
    isSet() {
      return Boolean(this.value);
    }
    isValid() {
      return this.field ? this.field.check() : super.isValid();
    }
    focus() {
      if (this.field) this.field.focus();
      else super.focus();
    }
  });
}

/** The renderer wants Markdown as HTML. It is plain text in the end, so it is the text of an element that is serialized. */
function readMarkdown(text, result) {
  result.outputHtml = el("p", { text: unescaped(text) }).innerHTML.replaceAll("\n", "<br>");
  result.didProcess = true;
}

function drawOfficially(content, { press, search }) {
  AdaptiveCards.AdaptiveCard.onProcessMarkdown = readMarkdown;
  const card = new AdaptiveCards.AdaptiveCard();
  card.hostConfig = hostConfig();
  card.search = search;
  card.onExecuteAction = (action) => {
    if (action instanceof AdaptiveCards.OpenUrlAction) {
      if (isWebAddress(action.url)) open(action.url, "_blank", "noopener,noreferrer");
    } else if (action instanceof AdaptiveCards.ExecuteAction || action instanceof AdaptiveCards.SubmitAction) {
      const inputs = Object.values(action.getReferencedInputs() ?? {});
      const pressed = { name: action.verb || action.title || action.id, data: action.toJSON()?.data };
      press(pressed, Object.fromEntries(inputs.map((input) => [input.id, String(input.value ?? "")])));
    }
  };
  card.parse(content);
  for (const action of card.getAllActions()) action.title &&= unescaped(action.title);
  return card.render();
}

/** A card's element. `press(action, inputs)` runs a button's action, `search(dataset, text)` finds choices for what is typed. */
export function drawCard(content, handlers) {
  if (!window.AdaptiveCards) return drawPlainly(content, handlers);
  if (!prepared) useOwnTypeahead();
  prepared = true;
  return drawOfficially(content, handlers);
}
let prepared = false;

/** The place of one card. `press` asks the bot and gives back what Teams then shows; `search` as in `drawCard`. */
export function cardFrame({ press, search }) {
  const surface = el("div", { class: "surface" });
  const newer = el("p", { class: "newer", hidden: true, role: "status" });
  const notice = el("p", { class: "notice", hidden: true });
  const node = el("div", { class: "card", tabindex: "-1", role: "group" }, surface, newer, notice);
  let drawn;
  let accepted = false;
  let timer;

  function show(content, summary) {
    node.setAttribute("aria-label", summary ? `Card: ${summary}` : "Card");
    const wanted = JSON.stringify(content);
    if (wanted === drawn) {
      offer(undefined);
    } else if (drawn && isBeingFilledIn() && !accepted) {
      offer(content);
    } else {
      draw(content);
    }
  }

  function offer(content) {
    newer.hidden = content === undefined;
    const show = () => draw(content);
    newer.replaceChildren(...(content === undefined ? [] : ["There is a newer version of this card. ",
      el("button", { type: "button", class: "quiet", text: "Show it", on: { click: show } })]));
  }

  /** What somebody is typing must not vanish because somebody else acted. */
  function isBeingFilledIn() {
    return [...surface.querySelectorAll("textarea, input")].some((input) => input.value !== input.defaultValue);
  }

  function draw(content) {
    const hadFocus = surface.contains(document.activeElement);
    surface.replaceChildren(drawCard(content, { press: execute, search }) ?? "");
    drawn = JSON.stringify(content);
    accepted = false;
    offer(undefined);
    if (hadFocus) node.focus({ preventScroll: true });
  }

  async function execute(action, inputs) {
    if (node.getAttribute("aria-busy") === "true") return;
    node.setAttribute("aria-busy", "true");
    notice.hidden = true;
    let shown;
    try {
      shown = await press(action, inputs);
    } catch (error) {
      shown = { kind: "error", text: error.message };
    }
    node.removeAttribute("aria-busy");
    if (shown.kind === "card") accepted = true;
    else if (shown.kind !== "dialog") tell(shown);
  }

  function tell({ kind, text }) {
    clearTimeout(timer);
    notice.className = kind === "error" ? "notice error" : "notice said";
    notice.setAttribute("role", kind === "error" ? "alert" : "status");
    put(notice, "");
    notice.hidden = false;
    put(notice, text);
    if (kind !== "error") timer = setTimeout(() => (notice.hidden = true), TOAST_MS);
  }

  return { node, show };
}
