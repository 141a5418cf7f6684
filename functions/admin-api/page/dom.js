// Small helpers around the DOM. Text from outside goes in as text, never as markup.

let made = 0;

/** An id that no other element has. */
export function freshId(prefix) {
  made += 1;
  return `${prefix}-${made}`;
}

/** An element. `text` and `on` are special, everything else is an attribute; `false` and `undefined` leave it out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, run] of Object.entries(value)) node.addEventListener(event, run);
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

/** A button that acts on something; the name of that something is only read out. */
export function button(text, click, { about, ...attributes } = {}) {
  const context = about && el("span", { class: "hidden", text: ` ${about}` });
  return el("button", { type: "button", ...attributes, on: { click } }, el("span", { class: "label", text }), context);
}

/** Sets a text only if it differs, so that selections and screen readers are left alone. */
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes the children of `parent` match `items` by their `key`. Nodes live as long as their item, so focus stays. */
export function keep(parent, items, make, update) {
  const known = new Map();
  const wanted = new Set(items.map((item) => item.key));
  for (const child of [...parent.children]) {
    if (wanted.has(child.dataset.key)) known.set(child.dataset.key, child);
    else child.remove();
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    let node = known.get(item.key);
    if (!node) {
      node = make(item);
      node.dataset.key = item.key;
    }
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
    update(node, item);
  }
}

/** Grey bars where a list will be. */
export function skeleton(lines, what) {
  const bars = Array.from({ length: lines }, () => el("div", { class: "bone", "aria-hidden": "true" }));
  return el("div", { class: "skeleton" }, el("p", { class: "hidden", role: "status", text: `Loading ${what}…` }), bars);
}

/** What went wrong, and a button that tries again. */
export function failed(message, retry) {
  const again = el("button", { type: "button", text: "Retry", on: { click: retry } });
  return el("div", { class: "notice bad", role: "alert" }, el("p", { text: message }), again);
}

/** Marks a button as working; it keeps the focus, and a second press does nothing. */
export function working(control, text) {
  const label = control.querySelector(".label") ?? control;
  const before = label.textContent;
  put(label, text);
  control.setAttribute("aria-disabled", "true");
  return () => {
    put(label, before);
    control.removeAttribute("aria-disabled");
  };
}

/** Whether a button may be pressed now. */
export function isFree(control) {
  return control.getAttribute("aria-disabled") !== "true";
}

/** A link to another site in a new tab; anything but a web address becomes plain text. */
export function outside(url, text) {
  return isWebAddress(url) ? el("a", { href: url, target: "_blank", rel: "noopener noreferrer", text }) : el("span", { text });
}

export function isWebAddress(url) {
  try {
    return ["http:", "https:"].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}

/** "1 team", "2 teams". */
export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
