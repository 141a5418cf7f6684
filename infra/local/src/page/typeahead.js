// A text field whose suggestions the bot finds while somebody types (Adaptive Cards: "choices.data").

import { el, put } from "./dom.js";

const WAIT_MS = 250;
let made = 0;

/** `read()` gives the chosen value, "" for nothing; `check()` whether what is typed is one of the suggestions. */
export function typeahead({ label, placeholder, choices = [], value }, search) {
  const list = el("datalist", { id: `choices-${++made}` });
  const field = el("input", { type: "text", list: list.id, placeholder, autocomplete: "off", "aria-label": label ?? placeholder });
  const said = el("span", { class: "subtle", role: "status" });
  const node = el("div", { class: "typeahead" }, field, list, said);
  const known = new Map();
  let asked = 0;
  let timer;

  function offer(found) {
    for (const choice of found) known.set(choice.title, choice.value);
    list.replaceChildren(...found.map((choice) => el("option", { value: choice.title })));
  }

  async function ask() {
    const text = field.value.trim();
    const question = ++asked;
    if (!text || known.has(text)) return put(said, "");
    let outcome;
    try {
      const { choices: found } = await search(text);
      if (question === asked) offer(found);
      outcome = found.length ? "" : `Nothing found for "${text}".`;
    } catch (error) {
      outcome = error.message;
    }
    if (question === asked) put(said, outcome);
  }

  function read() {
    const text = field.value.trim();
    return text && (known.get(text) ?? "");
  }

  function check() {
    const good = !field.value.trim() || Boolean(read());
    if (!good) put(said, "Please choose one of the suggestions.");
    return good;
  }

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
  offer(choices);
  field.value = choices.find((choice) => choice.value === value)?.title ?? "";
  field.defaultValue = field.value;
  return { node, read, check, focus: () => field.focus() };
}
