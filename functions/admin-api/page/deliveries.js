// The delivery ledger: what became of each event in each channel, and asking for a card again.

import { path } from "./api.js";
import { combobox } from "./combobox.js";
import { button, count, el, failed, freshId, isFree, keep, outside, put, skeleton, working } from "./dom.js";
import { delivered } from "./states.js";
import { clock } from "./time.js";

/** The colour of each outcome, its word, and what it means. */
const OUTCOMES = {
  queued: ["unknown", "Queued", "It waits to be delivered, usually for less than a second."],
  posted: ["good", delivered({ outcome: "posted" }), "A new card is in the channel."],
  edited: ["good", delivered({ outcome: "edited" }), "The card that was there already was brought up to date."],
  replied: ["good", delivered({ outcome: "replied" }), "It was told as a reply to the card."],
  coalesced: ["good", "Already shown", "The card showed it already, because a newer delivery was faster. Nothing is missing."],
  waiting: ["warn", "Waiting", "Teams, AWS or PagerDuty did not answer for now, or somebody keeps deleting the card. It is tried again by itself."],
  refused: ["bad", delivered({ outcome: "refused" }), "Teams takes neither the card nor a smaller one, or PagerBridge failed three times over it. It is tried again when the incident changes, or when you press Replay."],
  no_channel: ["unknown", "No channel", "No connected channel wants it: the service is not connected, or only for high urgency."],
  dropped: ["unknown", "Dropped", "The service is not connected to the channel any more, the connection does not want such incidents, or the card is not kept up to date any more."],
  other: ["unknown", delivered({ outcome: "other" }), "A newer version of PagerBridge has done something that this one does not know."],
};
const OCCASIONS = { action: "After an action in Teams", restored: "When the app came back", reconciled: "Found by the regular check", replayed: "Asked for again", disconnected: "When the service was disconnected" };
const DAY_MS = 86_400_000;
/** The API searches a part of a day at a time, and a rare incident may be in a later part. */
const MOST_LOOKS = 5;
/** Teams asked for their channels at once, and for one search. */
const TEAMS_AT_ONCE = 4;
const TEAMS_PER_SEARCH = 8;

const dayOf = (ms) => new Date(ms).toISOString().slice(0, 10);
const inWords = (day) => new Date(`${day}T00:00:00Z`).toLocaleDateString("en", { dateStyle: "medium", timeZone: "UTC" });
const keyOf = ({ event, incident, channel }) => [event, incident, channel?.id].join(" ");

/** `mayReplay` tells whether the person who is logged in may ask for cards again. */
export function deliveriesList({ api, changed, mayReplay }) {
  const root = document.getElementById("deliveries");
  const [heading, list, kept] = ["h2", ".list", ".kept"].map((part) => root.querySelector(part));
  const filters = filterForm({ api, changed: () => filters.differ(asked) && load() });
  const legend = el("details", { class: "legend" }, el("summary", { text: "What the outcomes mean" }),
    el("dl", {}, Object.values(OUTCOMES).map(([kind, label, meaning]) => el("div", {}, el("dt", {}, badge(kind, label)), el("dd", { text: meaning })))));
  const refresh = button("Refresh", () => isFree(refresh) && update());
  const rows = el("ol", { class: "deliveries" });
  const failure = el("p", { class: "failure", role: "alert" });
  const more = button("Load more", () => isFree(more) && loadMore());
  const before = button("Show the day before", dayBefore, { class: "quiet" });
  const end = el("div", { class: "buttons" }, more, before);
  const status = el("p", { class: "hidden", role: "status" });
  root.querySelector(".head").append(refresh);
  list.before(filters.node, legend);
  list.after(status);

  let deliveries = [];
  /** What the list answers, and what goes on from there. */
  let asked;
  let next = null;
  let keepsDays;
  /** Waiting deliveries that one answer does not hold. */
  let moreWaiting = 0;
  let running = new AbortController();
  let shown = false;

  /** The newest deliveries that fit. */
  async function load() {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    const first = asked === undefined;
    asked = filters.wish();
    list.setAttribute("aria-busy", "true");
    if (!shown) list.replaceChildren(skeleton(3, "deliveries"));
    try {
      deliveries = await look(signal);
      shown = true;
      put(failure, "");
      draw({ fresh: true });
      if (!first) put(status, `${amount(deliveries.length, "")}${next === null ? "" : ", more available"}.`);
    } catch (error) {
      if (signal.aborted) return;
      shown = false;
      list.replaceChildren(failed(error.message, () => {
        heading.focus();
        load();
      }));
    } finally {
      if (!signal.aborted) list.removeAttribute("aria-busy");
    }
  }

  /** The next deliveries. An answer may hold none and there are more all the same; some of those are followed. */
  async function look(signal, from = undefined) {
    let found = [];
    let cursor = from;
    for (let looks = 0; found.length === 0 && cursor !== null && looks < MOST_LOOKS; looks += 1) {
      const page = await api.read("/deliveries", { ...asked, before: cursor }, signal);
      signal.throwIfAborted();
      found = page.deliveries;
      cursor = page.next;
      keepsDays = page.keeps_days;
      if (from === undefined && looks === 0) moreWaiting = page.more_waiting;
      // Also of an empty answer: trying again goes on from there.
      if (from !== undefined) next = cursor;
    }
    next = cursor;
    return found;
  }

  async function update() {
    const free = working(refresh, "Refreshing…");
    filters.today();
    await load();
    free();
  }

  async function loadMore() {
    const { signal } = running;
    put(failure, "");
    const free = working(more, "Loading…");
    try {
      const known = new Set(deliveries.map(keyOf));
      const fresh = (await look(signal, next)).filter((delivery) => !known.has(keyOf(delivery)));
      deliveries = [...deliveries, ...fresh];
      draw();
      put(status, fresh.length ? `${amount(fresh.length, "older ")} loaded.` : next === null ? "That was all." : "Nothing was found yet.");
      // The button goes away with the last page, and the focus must not fall to the top of the page.
      if (more.hidden) (rows.children[fresh.length ? known.size : -1] ?? heading).focus();
    } catch (error) {
      if (!signal.aborted) put(failure, error.message);
    } finally {
      free();
    }
  }

  function draw({ fresh = false } = {}) {
    const day = filters.day();
    more.hidden = next === null;
    before.hidden = next !== null || day <= oldest();
    filters.limit(oldest());
    put(kept, `${moreWaiting ? `${count(moreWaiting, "more line")} that wait are not shown: a filter narrows the list. ` : ""}What waits comes first, then the newest. Entries are kept for ${count(keepsDays, "day")}. Times are in your time zone; a day begins at 00:00 UTC.`);
    const which = Object.keys(asked).some((name) => name !== "day" && asked[name]) ? `No delivery of ${inWords(day)} (UTC) fits these filters` : `There are no deliveries on ${inWords(day)} (UTC)`;
    const empty = el("p", { class: "empty", text: next === null ? `${which}.` : "Nothing found yet, but this day has more. Load more to look further back." });
    const wanted = [deliveries.length === 0 && empty, deliveries.length > 0 && rows, failure, end].filter(Boolean);
    // The list stays where it is while it grows, and so does the focus.
    if (wanted.length !== list.children.length || deliveries.length === 0 || rows.parentElement !== list) list.replaceChildren(...wanted);
    keep(rows, deliveries.map((delivery) => ({ key: keyOf(delivery), ...delivery })), makeRow, (row, delivery) => updateRow(row, delivery, fresh));
  }

  const oldest = () => dayOf(Date.now() - keepsDays * DAY_MS);

  function dayBefore() {
    filters.pick(dayOf(Date.parse(filters.day()) - DAY_MS));
    heading.focus();
  }

  function makeRow({ incident, number, url, service, channel, received_at: received, occasion }) {
    const name = number === null ? incident : `#${number}`;
    const row = el("li", { tabindex: "-1" });
    const replay = channel && mayReplay() && button("Replay", () => isFree(replay) && again(row, { incident, channel }), { about: `the card of ${name} in ${channel.name}`, class: "quiet" });
    row.parts = {
      replay, became: el("div", { class: "became" }), took: el("div", { class: "took" }),
      said: el("p", { role: "status" }), problem: el("p", { class: "failure", role: "alert" }), occasion: OCCASIONS[occasion],
    };
    row.append(
      el("p", { class: "at" }, clock(received)),
      el("div", { class: "incident" }, el("p", {}, outside(url, name)), el("p", service ? { text: service.name } : { class: "subtle", text: "Unknown service" })),
      el("div", { class: "where" }, channel ? [el("p", { text: channel.name }), channel.team_name && el("p", { class: "small subtle", text: channel.team_name })] : el("p", { class: "subtle", text: "–" })),
      row.parts.became, row.parts.took,
      el("div", { class: "again" }, replay),
      el("div", { class: "told" }, row.parts.said, row.parts.problem),
    );
    return row;
  }

  /** `fresh` is what has just been read, so what was said about the old state is over. */
  function updateRow({ parts }, { outcome, why, took_ms: took, attempts }, fresh) {
    const [kind, label, meaning] = OUTCOMES[outcome] ?? ["unknown", outcome, undefined];
    parts.became.replaceChildren(badge(kind, label, meaning), ...[why, kind !== "good" && meaning, parts.occasion].filter(Boolean).map((text) => el("p", { class: text === why ? "small" : "small subtle", text })));
    const long = outcome === "queued" ? el("p", { class: "subtle", text: "not yet" }) : el("p", { text: duration(took) });
    const tries = [outcome === "waiting" && "so far", attempts > 0 && count(attempts, "attempt")].filter(Boolean);
    parts.took.replaceChildren(long, ...(tries.length ? [el("p", { class: "small subtle", text: tries.join(", ") })] : []));
    if (!fresh || (parts.replay && !isFree(parts.replay))) return;
    put(parts.said, "");
    put(parts.problem, "");
  }

  async function again({ parts: { replay, said, problem } }, { incident, channel }) {
    put(said, "");
    put(problem, "");
    const free = working(replay, "Asking…");
    try {
      await api.write("POST", "/deliveries/replay", { incident, channel: channel.id });
      put(said, "Asked for again. Refresh in a moment to see what became of it.");
      changed();
    } catch (error) {
      put(problem, error.message);
    } finally {
      free();
    }
  }

  return {
    load,
    forget() {
      running.abort();
      shown = false;
      asked = undefined;
      deliveries = [];
      next = null;
      rows.replaceChildren();
      list.replaceChildren();
      list.removeAttribute("aria-busy");
      put(kept, "");
      put(status, "");
      filters.clear();
    },
  };
}

/** What is wanted of the ledger. `changed` is told whenever that may be something else. */
function filterForm({ api, changed }) {
  const labelled = (label, control) => {
    control.id = freshId("filter");
    return el("div", { class: "field" }, el("label", { for: control.id, text: label }), control);
  };
  const day = el("input", { type: "date" });
  const outcome = el("select", {}, el("option", { value: "", text: "All outcomes" }), Object.entries(OUTCOMES).map(([value, [, text]]) => el("option", { value, text })));
  const incident = el("input", { type: "search", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "64", placeholder: "Number or id" });
  const service = combobox({
    label: "Service", many: "services", placeholder: "All services", changed: settle,
    search: async (query, from, signal) => {
      const { services, next } = await api.read("/services", { query, offset: from ?? 0 }, signal);
      return { items: services, next };
    },
  });
  const channel = combobox({ label: "Channel", many: "channels", placeholder: "All channels", changed: settle, search: channels });
  const clearing = button("Clear filters", () => {
    clear();
    day.focus();
    changed();
  }, { class: "quiet" });
  const node = el("form", { class: "filters", role: "search", "aria-label": "Filter deliveries", novalidate: true },
    labelled("Day (UTC)", day), labelled("Outcome", outcome), service.node, channel.node, labelled("Incident", incident), clearing);
  /** The day that is shown because nobody has picked one. */
  let byItself;

  for (const control of [day, outcome, incident]) control.addEventListener("change", settle);
  // Enter in the field; a button to send it is not needed.
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    settle();
  });
  for (const field of [service, channel]) {
    // A text that chose nothing would look like a filter.
    field.node.addEventListener("focusout", (event) => field.node.contains(event.relatedTarget) || field.chosen || field.clear());
  }
  clear();

  /** The channels of all teams, some teams at a time. */
  async function channels(query, from, signal) {
    const { teams } = await api.read("/teams", {}, signal);
    const [items, last] = [[], Math.min(teams.length, (from ?? 0) + TEAMS_PER_SEARCH)];
    let more = false;
    for (let place = from ?? 0; place < last; place += TEAMS_AT_ONCE) {
      const some = teams.slice(place, Math.min(place + TEAMS_AT_ONCE, last));
      const answers = await Promise.all(some.map((team) => api.read(path`/teams/${team.id}/channels`, { query }, signal)));
      items.push(...answers.flatMap((answer, at) => answer.channels.map(({ id, name }) => ({ id, name: `${name} (${some[at].name})` }))));
      more ||= answers.some((answer) => answer.more);
    }
    const next = last < teams.length ? last : null;
    const hint = next !== null ? `Searched ${last} of ${teams.length} teams.` : more ? "There are more: type to narrow them down." : undefined;
    return { items, next, hint };
  }

  function settle() {
    if (!day.value) today({ always: true });
    clearing.hidden = !(day.value !== byItself || outcome.value || incident.value.trim() || service.chosen || channel.chosen);
    changed();
  }

  /** Goes on to the present day, unless another one was picked. */
  function today({ always = false } = {}) {
    if (!always && day.value !== byItself) return;
    byItself = dayOf(Date.now());
    day.value = byItself;
    day.max = byItself;
  }

  function clear() {
    today({ always: true });
    outcome.value = "";
    incident.value = "";
    service.reset();
    channel.reset();
    clearing.hidden = true;
  }

  function wish() {
    // The server knows best which day it is.
    return { day: day.value === byItself ? undefined : day.value, outcome: outcome.value || undefined, service: service.chosen?.id, channel: channel.chosen?.id, incident: incident.value.trim() || undefined };
  }

  return {
    node,
    wish,
    differ: (other) => other !== undefined && JSON.stringify(wish()) !== JSON.stringify(other),
    day: () => day.value,
    pick(value) {
      day.value = value;
      settle();
    },
    limit(oldest) {
      day.min = oldest;
    },
    today,
    clear,
  };
}

const amount = (number, which) => `${number} ${which}${number === 1 ? "delivery" : "deliveries"}`;
const badge = (kind, label, title) => el("span", { class: `badge ${kind}`, title, text: label });

/** `812 ms`, `3.8 s`, `4 min 10 s`, `2 h 5 min`. */
function duration(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  const [minutes, hours, days] = [60, 3600, 86_400].map((size) => Math.floor(seconds / size));
  const two = (large, unit, small, other) => `${large} ${unit}${small ? ` ${small} ${other}` : ""}`;
  if (minutes === 0) return `${seconds} s`;
  if (hours === 0) return two(minutes, "min", seconds % 60, "s");
  return days === 0 ? two(hours, "h", minutes % 60, "min") : two(days, "d", hours % 24, "h");
}
