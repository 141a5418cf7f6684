// A text field that searches on the server as one types, after the WAI-ARIA combobox pattern with a listbox.

import { el, freshId, put } from "./dom.js";

const TYPING_PAUSE_MS = 200;

/**
 * `search(query, from, signal)` gives `{ items: [{ id, name, note }], next, hint }`; a `next` other than null offers "Load more",
 * a `hint` is a line below the list. `many` is the noun for what is searched. `changed` is called when something else is chosen,
 * or nothing any more. With `clears` Escape empties the field.
 */
export function combobox({ label, hint, many, placeholder, clears = true, search, changed = () => {} }) {
  const ids = { input: freshId("field"), list: freshId("list"), hint: freshId("hint"), error: freshId("error") };
  const input = el("input", {
    id: ids.input, type: "text", role: "combobox", placeholder, autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": ids.list, "aria-describedby": hint ? `${ids.error} ${ids.hint}` : ids.error,
  });
  const list = el("ul", { id: ids.list, role: "listbox", "aria-label": `Matching ${many}` });
  const note = el("p", { class: "note" });
  const retry = el("button", { type: "button", class: "quiet", text: "Retry", tabindex: "-1", hidden: true });
  const popup = el("div", { class: "popup", hidden: true }, list, el("div", { class: "foot" }, note, retry));
  const arrow = el("button", { type: "button", class: "arrow", tabindex: "-1", "aria-label": `Show ${many}` });
  const spoken = el("p", { class: "hidden", role: "status" });
  const error = el("p", { id: ids.error, class: "failure" });
  const node = el("div", { class: "field combobox" },
    el("label", { for: ids.input, text: label }),
    el("div", { class: "control" }, input, arrow, popup),
    error, hint && el("p", { id: ids.hint, class: "hint", text: hint }), spoken);

  let chosen = null;
  let found = { items: [], next: null };
  /** What `found` answers; undefined while nothing does. */
  let answered;
  let active = -1;
  let running = new AbortController();
  let pause;

  const isOpen = () => !popup.hidden;
  const query = () => (chosen ? "" : input.value.trim());
  const rows = () => [...list.children];

  function open() {
    if (isOpen()) return;
    popup.hidden = false;
    input.setAttribute("aria-expanded", "true");
    if (answered !== query()) look(query());
    else draw();
  }

  function close() {
    popup.hidden = true;
    input.setAttribute("aria-expanded", "false");
    activate(-1);
    put(spoken, "");
  }

  function activate(place) {
    rows()[active]?.classList.remove("active");
    active = place;
    const row = rows()[place];
    row?.classList.add("active");
    row?.scrollIntoView({ block: "nearest" });
    if (row) input.setAttribute("aria-activedescendant", row.id);
    else input.removeAttribute("aria-activedescendant");
  }

  /** Searches after a pause in typing; what was asked before is no longer wanted. */
  function lookSoon() {
    stop();
    answered = undefined;
    activate(-1);
    list.classList.add("stale");
    pause = setTimeout(() => look(query()), TYPING_PAUSE_MS);
  }

  function stop() {
    clearTimeout(pause);
    running.abort();
  }

  async function look(text, from = undefined) {
    stop();
    running = new AbortController();
    const { signal } = running;
    answered = undefined;
    list.classList.toggle("stale", from === undefined);
    list.setAttribute("aria-busy", "true");
    retry.hidden = true;
    put(note, "Searching…");
    try {
      const page = await search(text, from, signal);
      if (signal.aborted) return;
      const shown = from === undefined ? 0 : found.items.length;
      found = { ...page, items: [...found.items.slice(0, shown), ...page.items] };
      answered = text;
      draw(shown);
    } catch (problem) {
      if (signal.aborted) return;
      if (from === undefined) {
        found = { items: [], next: null };
        list.replaceChildren();
      }
      put(note, problem.message);
      put(spoken, `${problem.message} Press Enter to try again.`);
      retry.hidden = false;
      retry.onclick = () => look(text, from);
    } finally {
      if (!signal.aborted) list.removeAttribute("aria-busy");
    }
  }

  /** `fresh` is the place of the first new item. */
  function draw(fresh = 0) {
    const { items, next } = found;
    list.classList.remove("stale");
    const options = items.map((item) => option(item));
    if (next !== null) options.push(el("li", { role: "option", id: freshId("option"), class: "more", "aria-selected": "false", text: `Load more ${many}` }));
    list.replaceChildren(...options);
    const text = query();
    const amount = items.length === 0 ? (text ? `Nothing matches “${text}”.` : `There are no ${many}.`)
      : `${items.length.toLocaleString("en")} ${many}${next === null ? "" : ", more available"}`;
    put(note, found.hint ?? (items.length && next === null ? "" : amount));
    if (!isOpen()) return;
    put(spoken, amount);
    if (fresh === 0) popup.scrollIntoView({ block: "nearest" });
    // Whoever has typed gets the best match on Enter; an untouched list waits for an arrow key.
    const current = chosen ? items.findIndex((item) => item.id === chosen.id) : -1;
    activate(fresh > 0 ? Math.min(fresh, options.length - 1) : current >= 0 ? current : text && items.length ? 0 : -1);
  }

  function option(item) {
    const node = el("li", { role: "option", id: freshId("option"), "aria-selected": String(item.id === chosen?.id) });
    node.append(el("span", { class: "name" }, ...marked(item.name, query())));
    if (item.note) node.append(el("span", { class: "subtle", text: ` ${item.note}` }));
    return node;
  }

  function choose(item) {
    chosen = item;
    input.value = item.name;
    fail("");
    stop();
    answered = undefined;
    close();
    changed();
  }

  /** Takes the active row, which may be the one that loads more; without a row, a failed search is tried again. */
  function take(place = active) {
    if (found.items[place]) choose(found.items[place]);
    else if (rows()[place]) look(query(), found.next);
    else if (!retry.hidden) retry.click();
  }

  function fail(text) {
    put(error, text);
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  function step(by) {
    const last = rows().length - 1;
    if (last < 0) return;
    if (active < 0) activate(by > 0 ? 0 : last);
    else activate(active + by > last ? 0 : active + by < 0 ? last : active + by);
  }

  const keys = {
    ArrowDown: (event) => (isOpen() ? event.altKey || step(1) : open()),
    ArrowUp: (event) => (event.altKey ? close() : isOpen() ? step(-1) : open()),
    PageDown: () => isOpen() && activate(Math.min(rows().length - 1, active + 8)),
    PageUp: () => isOpen() && activate(Math.max(0, active - 8)),
  };
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key](event);
    } else if (event.key === "Enter" && isOpen()) {
      // Also while the answer is still on its way: the form is not what the person means.
      event.preventDefault();
      take();
    } else if (event.key === "Escape" && (isOpen() || (clears && input.value))) {
      event.preventDefault();
      event.stopPropagation();
      if (isOpen()) close();
      else clear();
    } else if (event.key === "Tab" && isOpen() && found.items[active]) {
      take();
    }
  });
  input.addEventListener("input", () => {
    chosen = null;
    fail("");
    popup.hidden = false;
    input.setAttribute("aria-expanded", "true");
    lookSoon();
    if (!input.value) changed();
  });
  input.addEventListener("click", open);
  input.addEventListener("focus", () => chosen && input.select());
  arrow.addEventListener("click", () => {
    const wasOpen = isOpen();
    input.focus();
    if (wasOpen) close();
    else open();
  });
  // The field keeps the focus while the list is clicked or scrolled.
  for (const part of [popup, arrow]) part.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => take(rows().indexOf(event.target.closest("[role=option]"))));
  list.addEventListener("mousemove", (event) => {
    const place = rows().indexOf(event.target.closest("[role=option]"));
    if (place >= 0 && place !== active) activate(place);
  });
  node.addEventListener("focusout", (event) => {
    if (!node.contains(event.relatedTarget) && isOpen()) {
      stop();
      answered = undefined;
      close();
    }
  });

  function reset() {
    stop();
    chosen = null;
    input.value = "";
    answered = undefined;
    fail("");
    close();
  }

  function clear() {
    reset();
    changed();
  }

  function preset(item) {
    reset();
    chosen = item;
    input.value = item.name;
  }

  return {
    node,
    input,
    clear,
    /** Chooses nothing, without telling so. */
    reset,
    /** Chooses an item, without telling so. */
    preset,
    fail,
    get chosen() {
      return chosen;
    },
  };
}

/** The name with the part that matches the query in bold. */
function marked(name, query) {
  const at = query ? name.toLowerCase().indexOf(query.toLowerCase()) : -1;
  // Lower-casing can change the length of unusual letters; then nothing is marked rather than the wrong part.
  if (at < 0 || name.toLowerCase().length !== name.length) return [name];
  return [name.slice(0, at), el("b", { text: name.slice(at, at + query.length) }), name.slice(at + query.length)];
}
