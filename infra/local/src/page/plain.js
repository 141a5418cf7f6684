// Draws the Adaptive Card elements that PagerBridge uses, for machines without npm. It looks like a form, not like Teams.

import { el, isWebAddress, put, unescaped } from "./dom.js";
import { typeahead } from "./typeahead.js";

/** The same as `drawCard`. */
export function drawPlainly(card, handlers) {
  return inner(card, [], handlers);
}

function inner(card, outerInputs, handlers) {
  const context = { ...handlers, inputs: [...outerInputs] };
  const node = el("div", { class: "plain" }, ...all(card.body, context));
  if (card.actions?.length) node.append(actionRow(card.actions, context));
  return node;
}

function all(elements, context) {
  return (elements ?? []).map((element) => draw(element, context));
}

function draw(element, context) {
  switch (element.type) {
    case "TextBlock":
      return textBlock(element);
    case "RichTextBlock":
      return el("p", {}, ...(element.inlines ?? []).map(run));
    case "FactSet":
      return el("dl", {}, ...(element.facts ?? []).flatMap((fact) =>
        [el("dt", { text: withDates(fact.title) }), el("dd", { text: withDates(fact.value) })]));
    case "Container":
      return el("div", { class: `box ${word(element.style)}` }, ...all(element.items, context));
    case "ColumnSet":
      return el("div", { class: "columns" }, ...(element.columns ?? []).map((column) =>
        el("div", { class: column.width === "stretch" ? "stretch" : "" }, ...all(column.items, context))));
    case "ActionSet":
      return actionRow(element.actions ?? [], context);
    case "Input.Text":
      return textInput(element, context);
    case "Input.Number":
    case "Input.Date":
    case "Input.Time":
      return oneLine(element, context, element.type.slice("Input.".length).toLowerCase());
    case "Input.Toggle":
      return toggle(element, context);
    case "Input.ChoiceSet":
      return choiceSet(element, context);
    default:
      return el("p", { class: "subtle", text: `(${element.type} is not drawn here)` });
  }
}

function textBlock(element) {
  const node = el(element.style === "heading" ? "h4" : "p", { class: textClass(element), text: unescaped(withDates(element.text)) });
  if (element.maxLines) {
    node.classList.add("clamped");
    node.style.webkitLineClamp = element.maxLines;
  }
  return node;
}

function run(inline) {
  return typeof inline === "string" ? inline : el("span", { class: textClass(inline), text: inline.text });
}

function textClass({ weight, size, color, isSubtle }) {
  return [word(weight), word(size), word(color), isSubtle ? "subtle" : ""].filter(Boolean).join(" ");
}

/** Only names of the schema become class names. */
function word(name) {
  const known = ["bolder", "lighter", "small", "large", "extralarge", "good", "warning", "attention", "accent", "emphasis"];
  const lower = String(name ?? "").toLowerCase();
  return known.includes(lower) ? lower : "";
}

function textInput(element, context) {
  if (!element.isMultiline) return oneLine(element, context, "text");
  const field = el("textarea", { placeholder: element.placeholder, maxlength: element.maxLength, rows: 3 });
  return labelled(element, context, field);
}

function oneLine(element, context, type) {
  const { placeholder, maxLength, min, max } = element;
  return labelled(element, context, el("input", { type, placeholder, maxlength: maxLength, min, max }));
}

function labelled(element, context, field) {
  field.value = element.value ?? "";
  field.defaultValue = field.value;
  return input(element, context, { node: field, read: () => field.value, focus: () => field.focus() }, "label");
}

/** What all inputs have: a label, and a line that says what is wrong. */
function input(element, context, field, tag) {
  const mistake = el("span", { class: "attention", role: "alert" });
  context.inputs.push({
    id: element.id,
    read: () => field.read() ?? "",
    check() {
      const missing = element.isRequired && !field.read()?.trim();
      put(mistake, missing ? (element.errorMessage ?? "Please fill this in.") : "");
      const good = !missing && (field.check?.() ?? true);
      if (!good) field.focus();
      return good;
    },
  });
  const label = `${element.label ?? element.placeholder ?? element.id}${element.isRequired ? " *" : ""}`;
  const name = el(tag === "fieldset" ? "legend" : "span", { class: "bolder", text: label });
  return el(tag, { class: "input" }, name, field.node, mistake);
}

function toggle(element, context) {
  const { valueOn = "true", valueOff = "false" } = element;
  const box = el("input", { type: "checkbox", checked: element.value === valueOn });
  context.inputs.push({ id: element.id, read: () => (box.checked ? valueOn : valueOff), check: () => true });
  return el("label", { class: "tick" }, box, element.title);
}

function choiceSet(element, context) {
  const { choices = [], label, placeholder, value = "" } = element;
  const query = element["choices.data"];
  if (query) {
    const found = typeahead({ label, placeholder, choices, value }, (text) => context.search(query.dataset, text));
    return input(element, context, found, "div");
  }
  if (element.isMultiSelect) return manyChoices(element, context);
  const blank = choices.some((choice) => choice.value === value) ? [] : [el("option", { value: "", text: placeholder ?? "" })];
  const list = el("select", {}, ...blank, ...choices.map((choice) => el("option", { value: choice.value, text: choice.title })));
  list.value = value;
  return input(element, context, { node: list, read: () => list.value, focus: () => list.focus() }, "label");
}

function manyChoices(element, context) {
  const chosen = String(element.value ?? "").split(",");
  const boxes = element.choices.map(({ value }) => el("input", { type: "checkbox", value, checked: chosen.includes(value) }));
  const node = el("div", {}, ...boxes.map((box, at) => el("label", { class: "tick" }, box, element.choices[at].title)));
  const read = () => boxes.filter((box) => box.checked).map((box) => box.value).join(",");
  return input(element, context, { node, read, focus: () => boxes[0]?.focus() }, "fieldset");
}

function actionRow(actions, context) {
  const row = el("div", { class: "actions" });
  const below = el("div");
  row.append(...actions.map((action) => button(action, context, below)).filter(Boolean));
  return el("div", {}, row, below);
}

function button(action, context, below) {
  const { inputs, press } = context;
  const text = unescaped(action.title);
  // Teams has these behind "…".
  const look = action.mode === "secondary" ? "quiet" : action.style === "positive" ? "primary" : "";
  const attributes = { type: "button", class: look, text };
  switch (action.type) {
    case "Action.OpenUrl":
      return isWebAddress(action.url)
        ? el("a", { class: `button ${look}`, href: action.url, target: "_blank", rel: "noopener noreferrer", text })
        : undefined;
    case "Action.Submit":
    case "Action.Execute": {
      const taken = String(action.associatedInputs).toLowerCase() === "none" ? [] : inputs;
      const run = () => {
        if (!taken.every((input) => input.check())) return;
        const pressed = { name: action.verb || action.title || action.id, data: action.data };
        press(pressed, Object.fromEntries(taken.map((input) => [input.id, input.read()])));
      };
      return el("button", { ...attributes, on: { click: run } });
    }
    case "Action.ShowCard": {
      const card = el("div", { class: "box emphasis", hidden: true }, inner(action.card ?? {}, inputs, context));
      below.append(card);
      const opener = el("button", { ...attributes, "aria-expanded": "false" });
      opener.addEventListener("click", () => {
        card.hidden = !card.hidden;
        opener.setAttribute("aria-expanded", String(!card.hidden));
      });
      return opener;
    }
    default:
      return undefined;
  }
}

/** `{{DATE(…)}}` and `{{TIME(…)}}` in the reader's own time zone (Adaptive Cards docs, "Text features"). */
function withDates(text) {
  const instant = String.raw`\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2}))`;
  const date = new RegExp(String.raw`\{\{DATE${instant}(?:, ?(COMPACT|SHORT|LONG))?\)\}\}`, "g");
  const time = new RegExp(String.raw`\{\{TIME${instant}\)\}\}`, "g");
  return String(text ?? "")
    .replace(date, (_, at, length = "COMPACT") => {
      const parts = length.toLowerCase();
      const format = parts === "compact" ? {} : { day: "numeric", weekday: parts, month: parts, year: "numeric" };
      return new Date(at).toLocaleDateString([], format);
    })
    .replace(time, (_, at) => new Date(at).toLocaleTimeString([], { hour: "numeric", minute: "2-digit" }));
}
