// The delivery ledger: what became of each event in each channel, and asking for a card again.

import { button, el, failed, isFree, outside, put, skeleton, working } from "./dom.js";
import { exactly, when } from "./time.js";

/** Colour, word, and what it means. */
const OUTCOMES = {
  queued: ["unknown", "Queued", "Waits to be delivered."],
  no_channel: ["unknown", "No channel", "No connected channel wants it: the service is not connected, or the connection takes high urgency only."],
  posted: ["good", "Posted", "A new card is in the channel."],
  edited: ["good", "Updated", "The card in the channel was brought up to date."],
  replied: ["good", "Replied", "It was told in the card's thread."],
  coalesced: ["good", "Already shown", "The card showed it already: a newer change was faster."],
  waiting: ["warn", "Waiting", "It did not work for now, and is tried again."],
  refused: ["bad", "Refused", "Teams does not take this card. It is tried until it is put aside."],
  dropped: ["unknown", "Dropped", "The channel is gone, not connected any more, or does not want it."],
};
const OCCASIONS = { action: "after an action in Teams", restored: "when the app came back", reconciled: "found by the regular check", replayed: "asked for again here" };

export function deliveriesList({ api, changed }) {
  const root = document.getElementById("deliveries");
  const [heading, list, filters] = [root.querySelector("h2"), root.querySelector(".list"), root.querySelector("form")];
  const rows = el("ol", { class: "deliveries" });
  const failure = el("p", { class: "failure", role: "alert" });
  const more = el("button", { type: "button", on: { click: () => isFree(more) && loadMore() } }, el("span", { class: "label", text: "Load more" }));
  const status = el("p", { class: "hidden", role: "status" });
  const chosen = root.querySelector(".chosen");
  const only = { service: undefined, channel: undefined };
  let next = null;
  let loads = 0;
  let shown = false;

  filters.outcome.append(...Object.entries(OUTCOMES).map(([value, [, label]]) => el("option", { value, text: label })));
  filters.addEventListener("submit", (event) => {
    event.preventDefault();
    load();
  });
  filters.addEventListener("change", () => load());

  function wish() {
    const value = (name) => filters[name].value.trim() || undefined;
    return { day: value("day"), outcome: value("outcome"), incident: value("incident"), service: only.service?.id, channel: only.channel?.id };
  }

  /** The newest deliveries that fit. `quietly` leaves what is shown if that fails. */
  async function load({ quietly = false } = {}) {
    loads += 1;
    const mine = loads;
    list.setAttribute("aria-busy", "true");
    if (!shown) list.replaceChildren(skeleton(3, "deliveries"));
    try {
      const page = await api.read("/deliveries", wish());
      if (mine !== loads) return;
      shown = true;
      put(failure, "");
      rows.replaceChildren(...page.deliveries.map(row));
      put(root.querySelector(".kept"), `Kept for ${page.keeps_days} ${page.keeps_days === 1 ? "day" : "days"}. A day begins at 00:00 UTC.`);
      follow(page.next);
      const empty = el("p", { class: "empty", text: page.next === null ? "There are no deliveries here on this day." : "None of the newest deliveries fits. Load more to look further back." });
      list.replaceChildren(...(page.deliveries.length === 0 ? [empty] : []), rows, failure, more, status);
      put(status, `${page.deliveries.length} deliveries.`);
    } catch (error) {
      if (mine === loads && !(quietly && shown)) list.replaceChildren(failed(error.message, () => load()));
    } finally {
      if (mine === loads) list.removeAttribute("aria-busy");
    }
  }

  async function loadMore() {
    const mine = loads;
    put(failure, "");
    const free = working(more, "Loading…");
    try {
      const page = await api.read("/deliveries", { ...wish(), before: next });
      if (mine !== loads) return;
      const fresh = page.deliveries.map(row);
      rows.append(...fresh);
      if (fresh.length > 0) list.querySelector(".empty")?.remove();
      put(status, `${fresh.length} older deliveries loaded.`);
      follow(page.next);
      // The button goes away with the last page, and the focus must not fall to the top of the page.
      if (more.hidden) (fresh[0] ?? heading).focus();
    } catch (error) {
      put(failure, error.message);
    } finally {
      free();
    }
  }

  function follow(cursor) {
    next = cursor;
    more.hidden = cursor === null;
  }

  /** Shows only what belongs to one service or channel, or everything again. */
  function choose(what, which) {
    only[what] = which;
    const chips = Object.entries(only).filter(([, value]) => value);
    chosen.replaceChildren(...chips.map(([name, value]) => button(`${value.name} ×`, () => choose(name, undefined), { about: `is the only ${name} shown; show all` })));
    if (which === undefined) heading.focus();
    load();
  }

  function row(delivery) {
    const { service, channel, received_at: received, took_ms: took, outcome, why, attempts, occasion } = delivery;
    const [kind, label, meaning] = OUTCOMES[outcome] ?? ["unknown", outcome, ""];
    const name = delivery.number === null ? delivery.incident : `#${delivery.number}`;
    const problem = el("p", { class: "failure", role: "alert" });
    const said = el("p", { class: "small subtle", role: "status" });
    const facts = [kind !== "good" && meaning, channel && outcome !== "queued" && `after ${duration(took)}`, attempts > 1 && `${attempts} tries`, OCCASIONS[occasion], why];
    const replay = channel && button("Replay", () => isFree(replay) && again(delivery, { replay, problem, said }), { about: `the card of ${name} in ${channel.name}`, class: "quiet" });
    return el("li", { tabindex: "-1" },
      el("span", { class: "small subtle at" }, when(received), el("span", { class: "hidden", text: ` ${exactly(received)}` })),
      el("div", { class: "what" },
        el("p", {}, outside(delivery.url, name), service && [" ", narrow("service", service)]),
        channel && el("p", { class: "small" }, "→ ", narrow("channel", channel), channel.team_name && el("span", { class: "subtle", text: ` in ${channel.team_name}` }))),
      el("div", { class: "state" },
        el("span", { class: `badge ${kind}`, title: meaning, text: label }),
        el("p", { class: "small subtle", text: facts.filter(Boolean).join(" · ") }), said, problem),
      el("div", { class: "actions" }, replay));
  }

  const narrow = (what, which) => button(which.name, () => choose(what, which), { class: "name", title: `Show only this ${what}` });

  async function again({ incident, channel }, { replay, problem, said }) {
    put(problem, "");
    put(said, "");
    const free = working(replay, "Asking…");
    try {
      await api.write("POST", "/deliveries/replay", { incident, channel: channel.id });
      put(said, "Asked for again. Refresh to see what became of it.");
      changed();
    } catch (error) {
      put(problem, error.message);
    } finally {
      free();
    }
  }

  root.querySelector(".refresh").addEventListener("click", () => load());

  return {
    load,
    forget() {
      loads += 1;
      shown = false;
      list.replaceChildren();
    },
  };
}

function duration(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}
