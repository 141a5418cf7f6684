// PagerDuty's incidents, and what people and monitoring tools do with them there.

import { busy, el, isWebAddress, keep, options, put, when } from "./dom.js";

const NOBODY = { id: "", name: "Monitoring tool" };
const STATUS = { triggered: "Triggered", acknowledged: "Acknowledged", resolved: "Resolved" };
const ENTRIES = {
  trigger_log_entry: "Triggered",
  acknowledge_log_entry: "Acknowledged",
  unacknowledge_log_entry: "Acknowledgement timed out",
  resolve_log_entry: "Resolved",
  reopen_log_entry: "Reopened",
  assign_log_entry: "Reassigned",
  escalate_log_entry: "Escalated",
  priority_change_log_entry: "Priority changed",
  service_change_log_entry: "Moved to another service",
  annotate_log_entry: "Note",
};

export function pagerdutySide(app) {
  const root = document.getElementById("pagerduty");
  const actor = root.querySelector("#actor");
  const form = root.querySelector("#trigger");
  const failure = form.querySelector(".failure");
  const storm = form.querySelector("#storm");
  const count = root.querySelector(".list-title span");
  const list = root.querySelector(".incidents");
  let state;

  actor.addEventListener("change", () => {
    app.remember("actor", actor.value);
    show(state);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { service, summary, severity, source, image, details } = form.elements;
    const link = { text: form.elements["link-text"].value, href: form.elements.link.value };
    const wish = { service: service.value, summary: summary.value, severity: severity.value, source: source.value, link,
      image: image.value, details: details.value };
    const went = await busy([form.querySelector("[type=submit]")], failure, () => app.post("pagerduty/alert", wish));
    // What is wrong may be among what is folded away.
    if (!went) form.querySelector("details").open = true;
  });
  // Whoever follows the address from a card is not on this page.
  form.elements.image.value = new URL(form.elements.image.value, location).href;
  storm.addEventListener("click", () =>
    busy([storm], failure, () => app.post("pagerduty/storm", { service: form.elements.service.value })));

  function show(fresh) {
    state = fresh;
    options(actor, [...state.pagerdutyPeople, NOBODY], app.remembered("actor") ?? state.pagerdutyPeople[0]?.id);
    options(form.elements.service, state.services);
    const { open, resolved } = state.totals;
    const shown = state.incidents.length;
    const hidden = shown < open + resolved ? `; the newest ${shown} are shown` : "";
    put(count, shown ? `${open} open, ${resolved} resolved${hidden}` : "");
    const incidents = state.incidents.length ? state.incidents : [{ id: "empty" }];
    keep(list, incidents, makeIncident, updateIncident);
    return open;
  }

  function makeIncident(incident) {
    if (incident.id === "empty") return el("li", { class: "empty", text: "No incidents. All quiet." });
    const failure = el("p", { class: "failure", role: "alert" });
    const node = el("li", { "aria-label": `Incident #${incident.number}` });
    const act = (control, path, wish, user = actor.value) =>
      busy([control], failure, () => app.post(`pagerduty/${path}`, { incident: incident.id, user: user || null, ...wish }));
    const button = (text, path, kind) => {
      const made = el("button", { type: "button", class: kind, text });
      made.addEventListener("click", () => act(made, path, {}));
      return made;
    };
    const parts = {
      status: el("span", { class: "status" }),
      at: el("span", { class: "subtle" }, when(incident.createdAt)),
      title: el("h4", {}, isWebAddress(incident.url)
        ? el("a", { href: incident.url, target: "_blank", rel: "noopener noreferrer" })
        : el("span")),
      meta: el("p", { class: "meta" }),
      acknowledge: button("Acknowledge", "acknowledge"),
      resolve: button("Resolve", "resolve"),
      note: el("button", { type: "button", text: "Add note", "aria-expanded": "false" }),
      ...chooser("Priority", (select) => act(select, "priority", { priority: select.value || null }), "priority"),
      ...chooser("Assigned to", (select) => select.value && act(select, "reassign", { to: select.value }), "assignee"),
      log: el("ul", { class: "log", tabindex: "0", "aria-label": "Activity" }),
      logTitle: el("summary"),
    };
    parts.noteForm = noteForm(parts.note, (text, control) => act(control, "note", { text }));
    const changes = el("div", { class: "changes" }, parts.priorityLabel, parts.assigneeLabel);
    node.append(
      el("p", { class: "line" }, parts.status, parts.at), parts.title, parts.meta,
      el("div", { class: "buttons" }, parts.acknowledge, parts.resolve, parts.note), parts.noteForm, changes, failure,
      el("details", { open: true }, parts.logTitle, parts.log),
    );
    parts.changes = changes;
    node.parts = parts;
    return node;
  }

  function updateIncident(node, incident) {
    if (incident.id === "empty") return;
    const { parts } = node;
    const isOpen = incident.status !== "resolved";
    const person = actor.value !== "";
    node.className = `incident ${incident.status in STATUS ? incident.status : ""}`;
    put(parts.status, STATUS[incident.status] ?? incident.status);
    put(parts.title.firstElementChild, `#${incident.number} ${incident.title}`);
    if (parts.title.firstElementChild.href) parts.title.firstElementChild.href = incident.url;
    else if (isWebAddress(incident.url)) parts.title.firstElementChild.setAttribute("href", incident.url);
    const priority = state.priorities.find((known) => known.id === incident.priority);
    const facts = [incident.service, `${incident.urgency === "high" ? "High" : "Low"} urgency`, priority?.name];
    put(parts.meta, facts.filter(Boolean).join(" · "));
    parts.acknowledge.hidden = incident.status !== "triggered";
    parts.resolve.hidden = !isOpen;
    for (const control of [parts.acknowledge, parts.note, parts.priority, parts.assignee]) {
      control.disabled = !person;
      control.title = person ? "" : "Only people do this: choose one above.";
    }
    parts.priorityLabel.hidden = !isOpen || state.priorities.length === 0;
    parts.assigneeLabel.hidden = !isOpen;
    parts.changes.hidden = parts.priorityLabel.hidden && parts.assigneeLabel.hidden;
    options(parts.priority, [{ id: "", name: "None" }, ...state.priorities], incident.priority ?? "");
    const assigned = incident.assignees.length === 1 ? incident.assignees[0].id : "";
    const several = incident.assignees.map((assignee) => assignee.name).join(", ") || "Nobody";
    options(parts.assignee, [...(assigned ? [] : [{ id: "", name: several }]), ...state.pagerdutyPeople], assigned);
    put(parts.logTitle, `Activity (${incident.log.length})`);
    const entries = incident.log.map((entry, place) => ({ ...entry, id: String(place) })).reverse();
    keep(parts.log, entries, makeEntry);
  }

  return { show };
}

function chooser(label, change, name) {
  const select = el("select");
  select.addEventListener("change", () => {
    change(select);
    select.blur();
  });
  return { [name]: select, [`${name}Label`]: el("label", {}, `${label} `, select) };
}

function noteForm(opener, send) {
  const text = el("textarea", { rows: 2, required: true, "aria-label": "Note", placeholder: "What did you find or do?" });
  const submit = el("button", { type: "submit", class: "primary", text: "Save note" });
  const form = el("form", { class: "note", hidden: true }, text, submit);
  const toggle = (open) => {
    form.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    (open ? text : opener).focus();
  };
  opener.addEventListener("click", () => toggle(form.hidden));
  form.addEventListener("keydown", (event) => event.key === "Escape" && toggle(false));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await send(text.value, submit)) {
      form.reset();
      toggle(false);
    }
  });
  return form;
}

function makeEntry(entry) {
  const what = `${ENTRIES[entry.kind] ?? entry.kind}${entry.by ? ` by ${entry.by}` : ""}`;
  return el("li", {}, when(entry.at), ` ${what}`, entry.note ? el("span", { class: "note-text", text: entry.note }) : undefined);
}
