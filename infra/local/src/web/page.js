// The page asks for everything twice a second and redraws only what has changed, so that a note half typed stays.
import { render as renderPlain } from "/demo/plain.js";

const byId = (id) => document.getElementById(id);
const view = { me: null, user: null, conversation: 0, seen: new Map(), cards: new Map(), incidents: new Map(), last: "" };
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function element(name, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

function problem(text) {
  byId("problem").hidden = !text;
  byId("problem").textContent = text ?? "";
}

async function post(path, body) {
  const answer = await fetch(`/demo/api/${path}`, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  });
  const value = await answer.json().catch(() => ({}));
  problem(answer.ok ? null : value.error ?? `That did not work (${answer.status}).`);
  await refresh();
}

function hostConfig() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const pair = (name) => ({ default: color(name), subtle: color(name === "--ink" ? "--quiet" : name) });
  const colors = {
    default: pair("--ink"), accent: pair("--accent"), good: pair("--good"), warning: pair("--warning"),
    attention: pair("--attention"), light: pair("--quiet"), dark: pair("--ink"),
  };
  const container = { backgroundColor: color("--paper"), foregroundColors: colors };
  const plain = { default: container, emphasis: { ...container, backgroundColor: color("--ground") } };
  for (const name of ["good", "warning", "attention", "accent"]) plain[name] = { ...container, backgroundColor: color("--ground") };
  return {
    fontFamily: "inherit",
    fontSizes: { small: 13, default: 15, medium: 17, large: 20, extraLarge: 24 },
    textStyles: { heading: { size: "medium", weight: "bolder" } },
    spacing: { small: 4, default: 8, medium: 12, large: 16, extraLarge: 24, padding: 12 },
    containerStyles: plain,
    actions: { maxActions: 6, buttonSpacing: 8, showCard: { actionMode: "inline", inlineTopMargin: 12, style: "default" }, actionAlignment: "left" },
    inputs: { label: { requiredInputs: { weight: "bolder" }, optionalInputs: { weight: "bolder" } } },
  };
}

function drawCard(message, act) {
  const Cards = window.AdaptiveCards;
  if (!Cards) return renderPlain(message.card, act);
  const card = new Cards.AdaptiveCard(new Cards.SerializationContext());
  card.hostConfig = new Cards.HostConfig(hostConfig());
  card.parse(message.card);
  card.onExecuteAction = (action) => {
    const type = action.getJsonTypeName();
    act({ type, verb: action.verb, url: action.url, title: action.title }, inputsOf(card, action));
  };
  return card.render() ?? renderPlain(message.card, act);
}

/** The renderer merges the inputs that belong to an action into its data; those are the ones that the person filled in. */
function inputsOf(card, action) {
  const known = new Map(card.getAllInputs(true).map((input) => [input.id, input]));
  const merged = Object.keys(action.data ?? {}).filter((key) => known.has(key));
  return Object.fromEntries(merged.map((key) => [key, String(known.get(key).value ?? "")]));
}

function act(message) {
  return (action, inputs) => {
    if (action.type === "Action.OpenUrl") {
      window.open(action.url, "_blank", "noopener");
      return;
    }
    post("teams/click", { user: view.me, message: message.id, button: action.verb ?? action.title, inputs });
  };
}

const timeOf = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function drawMessage(message, state) {
  const box = element("div");
  const name = message.bot ? "PagerBridge" : state.people.find((person) => person.id === message.from)?.name ?? "Somebody";
  const who = element("p", "who");
  who.append(element("b", "", name), ` ${timeOf(message.at)}${message.edited ? " · edited" : ""}`);
  box.append(who);
  if (message.text) box.append(element("p", "said", message.text));
  if (message.card) {
    const frame = element("div", "card");
    frame.append(drawCard(message, act(message)));
    box.append(frame);
  }
  for (const notice of message.notices.slice(-1)) drawNotice(notice, box);
  return box;
}

/** Teams shows the answer to a click for a short while. */
function drawNotice(notice, box) {
  const left = 15000 - (Date.now() - new Date(notice.at));
  if (left <= 0) return;
  const node = element("p", `notice ${notice.kind}`, notice.text);
  node.setAttribute("role", "status");
  box.append(node);
  setTimeout(() => node.remove(), left);
}

/** Threads stay in the page as long as their content is the same. */
function drawThreads(state, conversation) {
  const list = byId("messages");
  const roots = conversation.messages.filter((message) => !message.root);
  const wanted = new Map();
  for (const root of roots) {
    const replies = conversation.messages.filter((message) => message.root === root.id);
    wanted.set(`${view.me}/${conversation.id}/${root.id}`, { root, replies });
  }
  for (const node of [...list.children]) if (!wanted.has(node.dataset.key)) node.remove();
  for (const [key, { root, replies }] of wanted) {
    let node = [...list.children].find((child) => child.dataset.key === key);
    if (!node) {
      node = element("article", "thread");
      node.dataset.key = key;
      node.append(element("div", "root"), element("div", "replies"));
      list.append(node);
    }
    const rootJson = JSON.stringify(root);
    if (node.dataset.root !== rootJson) {
      node.dataset.root = rootJson;
      node.children[0].replaceChildren(drawMessage(root, state));
    }
    const repliesJson = JSON.stringify(replies);
    if (node.dataset.replies !== repliesJson) {
      node.dataset.replies = repliesJson;
      node.children[1].replaceChildren(...replies.map((reply) => {
        const box = drawMessage(reply, state);
        box.classList.add("reply");
        return box;
      }));
    }
  }
  if (!roots.length) list.replaceChildren(element("p", "empty", "Nothing here yet. Trigger an incident in PagerDuty, or write help."));
}

function drawConversations(state) {
  const nav = byId("conversations");
  const names = JSON.stringify([state.conversations.map((c) => [c.name, c.messages.length]), view.conversation, view.me]);
  if (nav.dataset.shown === names) return;
  nav.dataset.shown = names;
  nav.replaceChildren();
  let team;
  state.conversations.forEach((conversation, index) => {
    if (conversation.team !== team) {
      team = conversation.team;
      if (team) nav.append(element("p", "team", team));
    }
    const button = element("button", "", conversation.name);
    button.type = "button";
    button.setAttribute("aria-current", String(index === view.conversation));
    const key = `${view.me}/${index}`;
    if (index === view.conversation) view.seen.set(key, conversation.messages.length);
    const unread = conversation.messages.length - (view.seen.get(key) ?? 0);
    if (unread > 0) {
      const badge = element("span", "unread", String(unread));
      badge.setAttribute("aria-label", `${unread} new`);
      button.append(badge);
    }
    button.addEventListener("click", () => { view.conversation = index; view.last = ""; refresh(); });
    nav.append(button);
  });
}

function drawIncidents(state) {
  const list = byId("incidents");
  const wanted = new Set(state.incidents.map((incident) => incident.id));
  for (const node of [...list.children]) if (!wanted.has(node.dataset.key)) node.remove();
  state.incidents.forEach((incident, index) => {
    const json = JSON.stringify(incident);
    let node = [...list.children].find((child) => child.dataset.key === incident.id);
    if (!node) {
      node = element("article");
      node.dataset.key = incident.id;
      list.insertBefore(node, list.children[index] ?? null);
    }
    if (node.dataset.shown === json) return;
    node.dataset.shown = json;
    node.className = `incident ${incident.status}`;
    node.replaceChildren(...incidentParts(incident, state));
  });
  if (!state.incidents.length) list.replaceChildren(element("p", "empty", "No incidents. All quiet."));
}

function incidentParts(incident, state) {
  const facts = element("p", "facts");
  const word = element("span", "word", incident.status[0].toUpperCase() + incident.status.slice(1));
  const parts = [incident.service.summary, `${incident.urgency} urgency`];
  if (incident.priority) parts.push(incident.priority.summary);
  const names = incident.assignments.map((assignment) => assignment.assignee.summary);
  if (names.length) parts.push(`assigned to ${names.join(", ")}`);
  facts.append(word, ` · ${parts.join(" · ")}`);
  const buttons = element("div", "buttons");
  const button = (title, action, more) => {
    const node = element("button", "", title);
    node.type = "button";
    node.addEventListener("click", () => post(`pagerduty/${action}`, { user: view.user, incident: incident.id, ...more }));
    buttons.append(node);
  };
  if (incident.status === "triggered") button("Acknowledge", "acknowledge");
  if (incident.status !== "resolved") button("Resolve", "resolve");
  if (incident.status === "resolved") button("Reopen", "reopen");
  if (state.priorities.length && incident.status !== "resolved") {
    const select = element("select");
    select.setAttribute("aria-label", "Priority");
    for (const [id, name] of [["", "No priority"], ...state.priorities]) select.append(new Option(name, id, false, id === (incident.priority?.id ?? "")));
    select.addEventListener("change", () => post("pagerduty/priority", { user: view.user, incident: incident.id, priority: select.value }));
    buttons.append(select);
  }
  const note = element("form");
  const field = element("input");
  field.placeholder = "Note";
  field.setAttribute("aria-label", `Note on incident ${incident.incident_number}`);
  const send = element("button", "", "Add note");
  note.append(field, send);
  note.addEventListener("submit", (event) => {
    event.preventDefault();
    post("pagerduty/note", { user: view.user, incident: incident.id, text: field.value });
  });
  const notes = element("ul");
  for (const entry of incident.notes) notes.append(element("li", "", `${entry.user?.summary ?? "Somebody"}: ${entry.content}`));
  return [element("h3", "", `#${incident.incident_number} ${incident.title}`), facts, buttons, note, ...(incident.notes.length ? [notes] : [])];
}

function fill(select, options, chosen) {
  const json = JSON.stringify(options);
  if (select.dataset.shown === json) return;
  select.dataset.shown = json;
  select.replaceChildren(...options.map(([id, name]) => new Option(name, id, false, id === chosen)));
}

function draw(state) {
  view.me ??= state.me;
  view.user ??= state.users[0]?.id;
  fill(byId("me"), state.people.map((person) => [person.id, person.name]), view.me);
  fill(byId("user"), state.users.map((user) => [user.id, user.name]), view.user);
  fill(byId("service"), state.services.map((service) => [service.id, service.name]));
  const start = state.conversations.findIndex((conversation) => conversation.messages.length);
  if (view.conversation === 0 && !view.chosen && start > 0) view.conversation = start;
  view.chosen ||= start >= 0;
  const conversation = state.conversations[view.conversation] ?? state.conversations[0];
  byId("conversation-name").textContent = conversation.name;
  drawConversations(state);
  drawThreads(state, conversation);
  drawIncidents(state);
  if (state.complaints.length) problem(`The simulators complain: ${state.complaints.at(-1)}`);
  else if (state.plain) problem(`Cards are drawn plainly, without Microsoft's renderer: ${state.plain}. Install npm and start again to see them as in Teams.`);
  view.conversations = state.conversations;
}

async function refresh() {
  try {
    const query = view.me ? `?user=${encodeURIComponent(view.me)}` : "";
    const text = await (await fetch(`/demo/api/state${query}`)).text();
    if (text === view.last) return;
    view.last = text;
    draw(JSON.parse(text));
  } catch {
    problem("PagerBridge does not answer. Was it stopped?");
  }
}

byId("me").addEventListener("change", (event) => { view.me = event.target.value; view.last = ""; refresh(); });
byId("user").addEventListener("change", (event) => { view.user = event.target.value; });
byId("trigger").addEventListener("submit", (event) => {
  event.preventDefault();
  post("pagerduty/trigger", { user: view.user, service: byId("service").value, title: byId("title").value, urgency: byId("urgency").value });
});
byId("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = byId("say-text").value;
  byId("say-text").value = "";
  await post("teams/say", { user: view.me, conversation: view.conversations[view.conversation].id, text });
});
dark.addEventListener("change", () => {
  for (const thread of byId("messages").children) delete thread.dataset.root;
  view.last = "";
  refresh();
});

await refresh();
setInterval(refresh, 500);
