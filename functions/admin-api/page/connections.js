// The notification channels of one team: which service posts where, how it is doing, and what can be done about it.

import { path } from "./api.js";
import { connectForm } from "./connect.js";
import { confirm } from "./dialog.js";
import { button, count, el, failed, freshId, isFree, keep, outside, put, skeleton, working } from "./dom.js";
import { manner, settingsFields, unusual } from "./settings.js";
import { byUrgency, delivered, FILTERS, state } from "./states.js";
import { day, exactly, when } from "./time.js";

/** When to look whether a test notification has arrived; the sender needs a second or two. */
const LOOK_AFTER_MS = [700, 1000, 1500, 2500, 4000];
/** From this many rows on, finding one takes a field. */
const MANY = 12;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const keyOf = ({ service, channel }) => `${service.id} ${channel.id}`;

export function connectionsOf(team, { api, toast, changed }) {
  const title = freshId("title");
  const heading = el("h4", { id: title, tabindex: "-1" }, "Notification Channels ", el("span", { class: "subtle number" }));
  const find = el("input", { type: "search", autocomplete: "off", placeholder: "Find a connection", "aria-label": "Find a connection" });
  const open = button("Connect Notification Channel", () => form.toggle(), { class: "primary", "aria-expanded": "false" });
  const form = connectForm(team, { api, opener: open, connected });
  const content = el("div", { class: "content" });
  const node = el("div", { class: "connections" },
    el("div", { class: "head" }, heading, el("div", { class: "tools" }, find, open)), form.node, content);
  const body = el("tbody", { role: "rowgroup" });
  const columns = ["PagerDuty Service", "Microsoft Team Channel", "Incidents", "State", "Last delivery", "Actions"];
  const table = el("table", { role: "table", "aria-labelledby": title },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, columns.map((text) => el("th", { role: "columnheader", scope: "col", text })))), body);
  let connections;
  let order = [];
  let loads = 0;

  find.hidden = true;
  find.addEventListener("input", draw);

  /** Fetches what there is. `quietly` leaves what is shown if that fails. */
  async function load({ quietly = false } = {}) {
    loads += 1;
    const mine = loads;
    content.setAttribute("aria-busy", "true");
    if (!connections) content.replaceChildren(skeleton(2, "notification channels"));
    try {
      const answer = await api.read(path`/teams/${team.id}/connections`);
      if (mine !== loads) return;
      connections = answer.connections;
      draw();
    } catch (error) {
      if (mine === loads && !(quietly && connections)) content.replaceChildren(failed(error.message, () => load()));
    } finally {
      if (mine === loads) content.removeAttribute("aria-busy");
    }
  }

  function draw() {
    const text = find.value.trim().toLowerCase();
    find.hidden = connections.length < MANY && !text;
    put(heading.querySelector(".number"), connections.length ? `(${connections.length})` : "");
    const shown = connections.filter(({ service, channel }) => `${service.name}\n${channel.name}`.toLowerCase().includes(text));
    if (connections.length === 0) content.replaceChildren(nothingYet());
    else if (shown.length === 0) content.replaceChildren(el("p", { class: "empty", role: "status", text: `No connection matches “${find.value.trim()}”.` }));
    else if (table.parentElement !== content || content.childElementCount > 1) content.replaceChildren(table);
    const rows = inOrder().filter((connection) => shown.includes(connection));
    keep(body, rows.map((connection) => ({ key: keyOf(connection), ...connection })), (row) => makeRow(row, { test, change, remove }), updateRow);
  }

  /** The worst first, as it was when each was first seen: nothing moves away under the pointer, and what is new is on top. */
  function inOrder() {
    const sorted = [...connections].sort(byUrgency);
    order = [...sorted.map(keyOf).filter((key) => !order.includes(key)), ...order];
    return sorted.sort((one, other) => order.indexOf(keyOf(one)) - order.indexOf(keyOf(other)));
  }

  const nothingYet = () => el("p", { class: "empty" }, el("strong", { text: "No service posts in this team yet." }), " ",
    "Choose Connect Notification Channel to have a service's incidents posted in a channel.");

  /** Shows a change at once; an answer that is on its way was asked for before it. */
  function settle(fresh) {
    loads += 1;
    content.removeAttribute("aria-busy");
    connections = fresh;
    draw();
    changed({ connections: connections.length });
  }

  function connected(connection, existed) {
    const { service, channel } = connection;
    if (!existed) toast(`Connected ${service.name} to ${channel.name}.`);
    find.value = "";
    if (!connections) {
      load();
      changed({});
      return;
    }
    settle([...connections.filter((known) => keyOf(known) !== keyOf(connection)), connection]);
    const row = [...body.children].find((candidate) => candidate.dataset.key === keyOf(connection));
    row?.classList.add("fresh");
  }

  const address = ({ service, channel }) => path`/teams/${team.id}/connections/${service.id}/${channel.id}`;

  async function test(connection, row) {
    const { control, failure } = row.parts;
    if (!isFree(control)) return;
    put(failure, "");
    const free = working(control, "Sending…");
    try {
      const before = connection.last_delivery?.at;
      await api.write("POST", `${address(connection)}/test`);
      changed({});
      const last = await newDelivery(connection, before);
      const { name } = connection.channel;
      if (!last) toast(`The test notification to ${name} is on its way; there is no word of it from Teams yet.`, "warn");
      else if (last.outcome === "refused") put(failure, `Teams refused the test notification${last.reason ? ` (${last.reason})` : ""}.`);
      else toast(`The test notification was posted in ${name}.`);
    } catch (error) {
      put(failure, error.message);
      if (error.status === 404) load({ quietly: true });
    } finally {
      free();
    }
  }

  /** What became of the newest message, as soon as it is not the one of `before`. */
  async function newDelivery(connection, before) {
    for (const ms of LOOK_AFTER_MS) {
      await pause(ms);
      if (!node.isConnected) return undefined;
      await load({ quietly: true });
      const last = connections.find((known) => keyOf(known) === keyOf(connection))?.last_delivery;
      if (last && last.at !== before) return last;
    }
    return undefined;
  }

  async function change(connection) {
    const { service, channel } = connection;
    const settings = settingsFields(connection);
    const fresh = await confirm({
      title: "Change this notification channel",
      content: el("p", {}, "How the cards of ", el("strong", { text: service.name }), " in ", el("strong", { text: channel.name }), " tell of incidents."),
      fields: settings.nodes,
      first: settings.first,
      action: "Save",
      busy: "Saving…",
      act: async () => {
        const wish = Object.entries(settings.wish()).filter(([name, value]) => value !== connection[name]);
        if (wish.length === 0) return undefined;
        const answer = await api.write("PATCH", address(connection), Object.fromEntries(wish)).catch((error) => {
          if (error.status === 404) load({ quietly: true });
          throw error;
        });
        return answer.content;
      },
    });
    if (!fresh) return;
    settle(connections.map((known) => (keyOf(known) === keyOf(fresh) ? fresh : known)));
    toast(`The cards of ${service.name} in ${channel.name} now ${manner(fresh)}.`);
  }

  async function remove(connection) {
    const { service, channel } = connection;
    const removed = await confirm({
      title: "Remove this notification channel?",
      content: [
        el("p", {}, "Incidents of ", el("strong", { text: service.name }), " will no longer be posted in ", el("strong", { text: channel.name }), "."),
        el("p", { class: "subtle", text: "Cards that are already in the channel stay there." }),
      ],
      action: "Remove",
      busy: "Removing…",
      act: async () => {
        const answer = await api.write("DELETE", address(connection)).catch((error) => {
          // Somebody else was faster.
          if (error.status === 404) return { content: { subscription: "kept" } };
          throw error;
        });
        return answer.content;
      },
    });
    if (!removed) return;
    settle(connections.filter((known) => keyOf(known) !== keyOf(connection)));
    heading.focus();
    const later = "PagerDuty did not delete its webhook subscription; you can delete it there.";
    toast(`Removed ${service.name} from ${channel.name}.${removed.subscription === "left" ? ` ${later}` : ""}`, removed.subscription === "left" ? "warn" : "good");
  }

  return { node, load };
}

function makeRow(connection, { test, change, remove }) {
  const { service, channel } = connection;
  const row = el("tr", { role: "row" });
  const cell = (name, ...children) => el("td", { role: "cell", class: name }, ...children);
  const about = `${service.name} to ${channel.name}`;
  const failure = el("p", { class: "failure", role: "alert" });
  // The newest state of the row, not the one that it was made with.
  const control = button("Send test notification", () => test(row.connection, row), { about: `from ${about}` });
  row.parts = {
    control,
    failure,
    filter: el("span"),
    manner: el("p", { class: "small subtle manner" }),
    state: cell("state"),
    last: cell("last"),
  };
  const by = el("p", { class: "small subtle" }, "Connected ", connection.created_by && `by ${connection.created_by}, `, day(connection.created_at));
  row.append(
    el("th", { role: "rowheader", scope: "row", class: "service" }, outside(service.url, service.name), by),
    cell("channel", el("span", { class: "name", text: channel.name }), row.parts.manner),
    cell("filter", row.parts.filter),
    row.parts.state,
    row.parts.last,
    cell("actions", el("div", { class: "buttons" }, control, button("Change", () => change(row.connection), { about, class: "quiet" }), button("Remove", () => remove(row.connection), { about, class: "quiet bad" })), failure),
  );
  return row;
}

function updateRow(row, connection) {
  const { parts } = row;
  row.connection = connection;
  put(parts.filter, FILTERS[connection.filter] ?? connection.filter);
  // Long names of zones break at their slashes.
  replace(parts.manner, unusual(connection).split(/(?<=\/)/).flatMap((part, place) => (place ? [el("wbr"), part] : [part])));
  const now = state(connection);
  replace(parts.state, badge(now));
  const last = connection.last_delivery;
  replace(parts.last, last
    ? [el("span", { text: delivered(last), class: last.outcome === "refused" ? "failure" : undefined }), " ",
      el("span", { class: "small subtle" }, when(last.at)), last.reason && last.reason !== now.code && el("span", { class: "small subtle", text: ` ${last.reason}` })]
    : [el("span", { class: "subtle", text: "Nothing yet" })]);
}

function badge({ kind, label, text, code, since }) {
  const details = [code && el("span", { text: `Reason: ${code}` }), since && el("span", { title: exactly(since) }, "since ", when(since))];
  const facts = details.filter(Boolean).flatMap((part, place) => (place ? [", ", part] : [part]));
  return [
    el("span", { class: `badge ${kind}`, text: label }),
    text && el("p", { class: "small", text }),
    facts.length > 0 && el("p", { class: "small subtle" }, facts),
  ];
}

/** Replaces only what differs, so that a selection survives a poll. */
function replace(parent, children) {
  const [old, fresh] = [[...parent.childNodes], [...el("div", {}, children).childNodes]];
  if (old.length !== fresh.length || fresh.some((node, place) => !node.isEqualNode(old[place]))) parent.replaceChildren(...fresh);
}

/** For the head of a team that is not open. */
export function summary(connections) {
  return connections === 0 ? "No notification channels" : count(connections, "notification channel");
}
