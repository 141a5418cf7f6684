// Draws the Adaptive Card elements that PagerBridge uses, for machines without npm. It looks like a form, not like Teams.

import { el, isWebAddress, put } from "./dom.js";

/** Like the official renderer: an element, or nothing. `execute(action, inputs)` runs a button's action. */
export function drawPlainly(card, execute) {
  return inner(card, [], execute);
}

function inner(card, outerInputs, execute) {
  const inputs = [...outerInputs];
  const node = el("div", { class: "plain" }, ...all(card.body, { inputs, execute }));
  if (card.actions?.length) node.append(actionRow(card.actions, { inputs, execute }));
  return node;
}

function all(elements, context) {
  return (elements ?? []).map((element) => draw(element, context));
}

function draw(element, context) {
  switch (element.type) {
    case "TextBlock":
      return el(element.style === "heading" ? "h4" : "p", { class: textClass(element), text: withDates(element.text) });
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
    default:
      return el("p", { class: "subtle", text: `(${element.type} is not drawn here)` });
  }
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
  const field = el(element.isMultiline ? "textarea" : "input", {
    placeholder: element.placeholder,
    maxlength: element.maxLength,
    rows: element.isMultiline ? 3 : undefined,
  });
  field.value = element.value ?? "";
  field.defaultValue = field.value;
  const mistake = el("span", { class: "attention", role: "alert" });
  context.inputs.push({
    id: element.id,
    read: () => field.value,
    check() {
      const missing = element.isRequired && !field.value.trim();
      put(mistake, missing ? (element.errorMessage ?? "Please fill this in.") : "");
      if (missing) field.focus();
      return !missing;
    },
  });
  const label = `${element.label ?? element.placeholder ?? element.id}${element.isRequired ? " *" : ""}`;
  return el("label", { class: "input" }, el("span", { class: "bolder", text: label }), field, mistake);
}

function actionRow(actions, context) {
  const row = el("div", { class: "actions" });
  const below = el("div");
  row.append(...actions.map((action) => button(action, context, below)).filter(Boolean));
  return el("div", {}, row, below);
}

function button(action, { inputs, execute }, below) {
  const attributes = { type: "button", class: action.style === "positive" ? "primary" : "", text: action.title };
  switch (action.type) {
    case "Action.OpenUrl":
      return isWebAddress(action.url)
        ? el("a", { class: "button", href: action.url, target: "_blank", rel: "noopener noreferrer", text: action.title })
        : undefined;
    case "Action.Execute": {
      const press = () => {
        if (inputs.every((input) => input.check())) {
          execute(action.verb || action.title, Object.fromEntries(inputs.map((input) => [input.id, input.read()])));
        }
      };
      return el("button", { ...attributes, on: { click: press } });
    }
    case "Action.ShowCard": {
      const card = el("div", { class: "box emphasis", hidden: true }, inner(action.card ?? {}, inputs, execute));
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
