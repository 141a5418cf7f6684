// The form that ties a service to a channel.

import { path } from "./api.js";
import { combobox } from "./combobox.js";
import { el, freshId, isFree, put, working } from "./dom.js";
import { manner, ownZone, settingsFields } from "./settings.js";
import { FILTERS } from "./states.js";

const KINDS = { private: "private channel", shared: "shared channel" };

export function connectForm(team, { api, opener, connected }) {
  const id = freshId("connect");
  const service = combobox({
    label: "PagerDuty Service",
    many: "services",
    placeholder: "Search by name",
    search: async (query, from, signal) => {
      const { services, next } = await api.read("/services", { query, offset: from ?? 0 }, signal);
      return { items: services, next };
    },
  });
  const channel = combobox({
    label: "Microsoft Team Channel",
    many: "channels",
    placeholder: "Search by name",
    search: async (query, _from, signal) => {
      const { channels, more } = await api.read(path`/teams/${team.id}/channels`, { query }, signal);
      const items = channels.map(({ id: channelId, name, kind }) => ({ id: channelId, name, note: KINDS[kind] }));
      return { items, next: null, hint: more ? "There are more: type to narrow them down." : undefined };
    },
  });
  const filterId = freshId("incidents");
  const filter = el("select", { id: filterId }, Object.entries(FILTERS).map(([value, text]) => el("option", { value, text })));
  const settings = settingsFields({ zone: ownZone(), mentions: "nobody" });
  const submit = el("button", { type: "submit", class: "primary" }, el("span", { class: "label", text: "Connect" }));
  const cancel = el("button", { type: "button", text: "Close", on: { click: close } });
  const failure = el("p", { class: "notice bad", role: "alert", hidden: true });
  const outcome = el("p", { class: "notice", role: "status", hidden: true });
  const node = el("form", { id, class: "connect", "aria-label": "Connect Notification Channel", novalidate: true, hidden: true },
    el("div", { class: "fields" }, service.node, channel.node, el("div", { class: "field" }, el("label", { for: filterId, text: "Incidents" }), filter), settings.nodes),
    failure, outcome, el("div", { class: "buttons" }, submit, cancel));
  opener.setAttribute("aria-controls", id);

  node.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isFree(submit)) send();
  });
  node.addEventListener("keydown", (event) => {
    // In a select it only closes the list of choices.
    if (event.key === "Escape" && !event.target.matches("select")) close();
  });

  async function send() {
    show(failure, "");
    show(outcome, "");
    service.fail(service.chosen ? "" : "Choose a service from the list.");
    channel.fail(channel.chosen ? "" : "Choose a channel from the list.");
    const missing = [service, channel].find((field) => !field.chosen);
    if (missing) {
      missing.input.focus();
      return;
    }
    const free = working(submit, "Connecting…");
    try {
      const wish = { service: service.chosen.id, channel: channel.chosen.id, filter: filter.value, ...settings.wish() };
      const { status, content: connection } = await api.write("POST", path`/teams/${team.id}/connections`, wish);
      const existed = status === 200;
      connected(connection, existed);
      if (existed) {
        show(outcome, already(connection, wish));
      } else {
        // Several services often go to the same channel.
        service.clear();
        service.input.focus();
      }
    } catch (error) {
      show(failure, error.message);
    } finally {
      free();
    }
  }

  function toggle() {
    if (!node.hidden) {
      close();
      return;
    }
    node.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    service.input.focus();
  }

  function close() {
    node.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    show(failure, "");
    show(outcome, "");
    opener.focus();
  }

  return { node, toggle };
}

function already(connection, wanted) {
  const { service, channel, filter } = connection;
  const known = `${service.name} is already connected to ${channel.name}`;
  if (filter === wanted.filter) {
    if (manner(connection) === manner(wanted)) return `${known}. Nothing has changed.`;
    return `${known}; its cards ${manner(connection)}. To change that, choose Change beside it.`;
  }
  return `${known} for “${FILTERS[filter] ?? filter}”. To change that, remove the connection and connect it again.`;
}

function show(line, text) {
  line.hidden = text === "";
  put(line, text);
}
