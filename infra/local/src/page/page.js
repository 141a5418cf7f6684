// Keeps the page in step with the simulators: fetch what there is, show it, wait until it changes.

import { badge, el, put } from "./dom.js";
import { dialogs } from "./dialog.js";
import { limitsControl } from "./limits.js";
import { teamsSide } from "./teams.js";
import { pagerdutySide } from "./pagerduty.js";

const RETRY_AFTER_MS = 1500;
const TOAST_MS = 9000;

let you = remembered("you");
let waiting = new AbortController();
let stale = false;

const app = {
  /** Asks the local stack to do something, and looks what has changed. Fails with a text for people. */
  async post(path, wish) {
    try {
      return await app.ask(path, wish);
    } finally {
      app.refresh();
    }
  },
  /** The same for what changes nothing. */
  async ask(path, wish) {
    const answer = await fetch(`/demo/api/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(wish),
    }).catch(() => {
      throw new Error("The local stack does not answer.");
    });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(sentence(body.error ?? `HTTP ${answer.status}`));
    return body;
  },
  /** Fetches at once instead of waiting for a change. */
  refresh() {
    stale = true;
    waiting.abort();
  },
  /** Looks at Teams as somebody else. */
  become(user) {
    you = user;
    remember("you", user);
    app.refresh();
  },
  /** A line that comes and goes, with a button that does something about it. */
  toast(text, action, run) {
    const line = el("div", { class: "toast" }, el("span", { text }));
    const leave = () => line.remove();
    line.append(el("button", { type: "button", text: action, on: { click: () => { leave(); run(); } } }));
    document.getElementById("toasts").append(line);
    setTimeout(leave, TOAST_MS);
  },
  /** Brings a side to the front where there is room for one only. */
  showSide(side) {
    document.body.dataset.side = side;
    for (const button of sides) button.setAttribute("aria-pressed", String(button.dataset.side === side));
    if (current) show(current);
  },
  remember,
  remembered,
};

const sides = [...document.querySelectorAll(".sides button")];
for (const button of sides) button.addEventListener("click", () => app.showSide(button.dataset.side));
app.dialog = dialogs(app);
const teams = teamsSide(app);
const limits = limitsControl(app);
const pagerduty = pagerdutySide(app);
let current;

function show(state) {
  current = state;
  const unread = teams.show(state);
  limits.show(state);
  const open = pagerduty.show(state);
  badge(document.querySelector("[data-side=teams] > .count"), unread, "unread");
  badge(document.querySelector("[data-side=pagerduty] > .count"), open, "open");
  document.title = unread ? `(${unread}) PagerBridge, local` : "PagerBridge, local";
  const renderer = document.getElementById("renderer");
  renderer.hidden = state.renderer.kind !== "plain";
  if (!renderer.hidden) {
    put(renderer, `Cards are drawn plainly, not as Teams draws them: ${state.renderer.why}. ${state.renderer.fix}`);
  }
  showConnections(state);
}

function showConnections({ connections, problems }) {
  const details = document.querySelector(".connections");
  details.classList.toggle("bad", problems.length > 0);
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  put(details.querySelector(".words"), problems.length ? count : "Connected");
  const list = (title, lines) =>
    lines.length ? [el("h2", { text: title }), el("ul", {}, ...lines.map((text) => el("li", { text })))] : [];
  const drop = details.querySelector(".drop");
  const fresh = el("div", {}, ...list("Lately went wrong", problems), ...list("Connections", connections));
  if (drop.textContent !== fresh.textContent) drop.replaceChildren(fresh);
}

async function fetchJson(path, user, query = {}, signal = undefined) {
  const wish = new URLSearchParams(user ? { user, ...query } : query);
  const answer = await fetch(`/demo/api/${path}?${wish}`, { signal });
  if (answer.status === 400 && you) {
    // Somebody of another run: start again with whoever is first.
    you = undefined;
    throw new DOMException("unknown person", "AbortError");
  }
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  return answer.json();
}

async function keepUp() {
  const offline = document.getElementById("offline");
  for (;;) {
    try {
      stale = false;
      const asked = you;
      const state = await fetchJson("state", asked);
      offline.hidden = true;
      if (asked === you && !stale) show(state);
      waiting = new AbortController();
      if (!stale) await fetchJson("events", state.you, { known: state.revision }, waiting.signal);
    } catch (error) {
      if (error.name === "AbortError") continue;
      console.warn(error);
      offline.hidden = false;
      await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
    }
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`pagerbridge.${name}`, JSON.stringify(value));
  } catch {
    // A browser that stores nothing only forgets.
  }
}

function remembered(name) {
  try {
    return JSON.parse(localStorage.getItem(`pagerbridge.${name}`)) ?? undefined;
  } catch {
    return undefined;
  }
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

keepUp();
