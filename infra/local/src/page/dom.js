// Small helpers around the DOM. Text from outside goes in as text, never as markup.

/** An element. `text` and `on` are special, everything else is an attribute; `false` and `undefined` leave it out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, run] of Object.entries(value)) node.addEventListener(event, run);
    else if (value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

/** Sets a text only if it differs, so that selections and screen readers are left alone. */
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** What a reader sees of a card's text: a backslash makes the punctuation after it plain. PagerBridge's cards hold no other Markdown. */
export function unescaped(text) {
  return String(text ?? "").replaceAll(/\\([!-/:-@[-`{-~])/g, "$1");
}

/** Shows a number of things; `what` is only read out. */
export function badge(node, count, what) {
  node.hidden = count === 0;
  if (node.title !== what) node.replaceChildren(el("span", { class: "number" }), el("span", { class: "hidden", text: ` ${what}` }));
  node.title = what;
  put(node.firstElementChild, String(count));
}

/** Makes the children of `parent` match `items`. Nodes live as long as their item, so focus and open forms stay. */
export function keep(parent, items, make, update = () => {}) {
  const wanted = new Set(items.map((item) => item.id));
  const known = new Map();
  for (const child of [...parent.children]) {
    if (wanted.has(child.dataset.key)) known.set(child.dataset.key, child);
    else child.remove();
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    let node = known.get(item.id);
    if (!node) {
      node = make(item);
      node.dataset.key = item.id;
    }
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
    update(node, item);
  }
}

/** Fills a select; what is chosen stays chosen while it exists, and an open list is not disturbed. */
export function options(select, items, chosen = select.value) {
  const same = [...select.options].map((option) => option.value + option.text).join("\n");
  if (same !== items.map((item) => item.id + item.name).join("\n")) {
    select.replaceChildren(...items.map((item) => el("option", { value: item.id, text: item.name })));
  }
  if (document.activeElement !== select || !items.some((item) => item.id === select.value)) {
    select.value = items.some((item) => item.id === chosen) ? chosen : (items[0]?.id ?? "");
  }
}

/** Runs `work` while `controls` are disabled; an error's text goes into `failure`. Returns whether it went well. */
export async function busy(controls, failure, work) {
  put(failure, "");
  const free = controls.filter((control) => !control.disabled);
  for (const control of free) control.disabled = true;
  try {
    await work();
    return true;
  } catch (error) {
    put(failure, error.message);
    return false;
  } finally {
    for (const control of free) control.disabled = false;
  }
}

/** A point in time as a reader wants it: today only the time. */
export function when(iso) {
  const at = new Date(iso);
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const today = at.toDateString() === new Date().toDateString();
  const text = today ? time : `${at.toLocaleDateString([], { day: "numeric", month: "short" })}, ${time}`;
  return el("time", { datetime: iso, title: at.toLocaleString(), text });
}

/** Opens a link of a card or an incident in a new tab; anything but a web address is ignored. */
export function isWebAddress(url) {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}
