// What PagerBridge has not done, and since when. As long as it does everything, nothing is shown.

import { el } from "./dom.js";

const NOT_RUN = "PagerBridge has not compared anything with PagerDuty";

/** `12:04 UTC`, with the day if it is another one: as the log and the operator have it. */
export function since(iso, now = new Date()) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const [day, time] = at.toISOString().split("T");
  return day === now.toISOString().slice(0, 10) ? `${time.slice(0, 5)} UTC` : `${day} ${time.slice(0, 5)} UTC`;
}

/** A sentence for each thing that is not done. */
export function sentences({ silent_since: silent, healing = [] }, now = new Date()) {
  if (silent) return [`${NOT_RUN} since ${since(silent, now)}.`];
  return healing.filter(({ undone }) => undone).map((part) => `${part.undone} since ${since(part.undone_since, now)}.`);
}

/** Asks once, when the page opens: a page that asks by itself would keep its session alive. */
export function healthNotice({ api, box }) {
  async function load() {
    try {
      show(sentences(await api.read("/health")));
    } catch {
      // Whatever else the page reads says so as well.
    }
  }

  function show(texts) {
    box.hidden = texts.length === 0;
    box.replaceChildren(...texts.map((text) => el("p", { text })));
  }

  return { load, forget: () => show([]) };
}
