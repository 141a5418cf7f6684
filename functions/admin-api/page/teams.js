// The teams, each with its notification channels behind a disclosure, and the way to disconnect one.

import { path } from "./api.js";
import { connectionsOf, summary } from "./connections.js";
import { confirm } from "./dialog.js";
import { button, count, el, failed, freshId, keep, put, skeleton } from "./dom.js";
import { day } from "./time.js";

/** From this many teams on, finding one takes a field. */
const MANY = 8;
/** Being away for this long makes what is shown old. */
const OLD_MS = 60_000;
const OPEN = "pagerbridge.open-teams";

export function teamsList({ api, toast, changed }) {
  const root = document.getElementById("teams");
  const [heading, find, list] = [root.querySelector("h2"), root.querySelector(".find"), root.querySelector(".list")];
  const input = find.querySelector("input");
  let teams;
  let loads = 0;
  let looked = 0;

  input.addEventListener("input", draw);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !teams || root.closest("[hidden]") || Date.now() - looked < OLD_MS) return;
    load({ quietly: true });
    for (const node of list.querySelectorAll(".team")) node.refresh();
  });

  async function load({ quietly = false } = {}) {
    loads += 1;
    const mine = loads;
    list.setAttribute("aria-busy", "true");
    if (!teams) list.replaceChildren(skeleton(3, "teams"));
    try {
      const answer = await api.read("/teams");
      if (mine !== loads) return;
      teams = answer.teams;
      looked = Date.now();
      draw();
    } catch (error) {
      if (mine !== loads || (quietly && teams)) return;
      teams = undefined;
      list.replaceChildren(failed(error.message, () => load()));
    } finally {
      if (mine === loads) list.removeAttribute("aria-busy");
    }
  }

  function draw() {
    const text = input.value.trim().toLowerCase();
    find.hidden = teams.length < MANY && !text;
    const shown = teams.filter((team) => team.name.toLowerCase().includes(text));
    for (const child of [...list.children]) if (!child.matches(".team")) child.remove();
    keep(list, shown.map((team) => ({ key: team.id, ...team })), makeTeam, (node, team) => node.update(team));
    if (teams.length === 0) list.append(howToInstall());
    else if (shown.length === 0) list.append(el("p", { class: "empty", role: "status", text: `No team matches “${input.value.trim()}”.` }));
  }

  function makeTeam(team) {
    const [panelId, nameId] = [freshId("team"), freshId("name")];
    const meta = el("p", { class: "meta" });
    const hint = el("p", { class: "notice warn", hidden: true });
    const panel = el("div", { id: panelId, class: "panel", role: "region", "aria-labelledby": nameId, hidden: true }, hint);
    const opener = el("button", { type: "button", class: "disclosure", id: nameId, "aria-expanded": "false", "aria-controls": panelId, text: team.name });
    const node = el("article", { class: "team", "aria-labelledby": nameId },
      el("div", { class: "head" }, el("div", { class: "title" }, el("h3", {}, opener), meta),
        button("Disconnect", () => disconnect(node.team), { about: team.name, class: "quiet bad" })),
      panel);
    let inner;

    function expand(open) {
      panel.hidden = !open;
      opener.setAttribute("aria-expanded", String(open));
      if (!open || inner) return;
      inner = connectionsOf(team, { api, toast, changed: news });
      panel.append(inner.node);
      inner.load();
    }
    function news(fresh) {
      if (fresh.connections !== undefined) node.update({ ...node.team, ...fresh });
      changed();
    }
    opener.addEventListener("click", () => {
      expand(panel.hidden);
      remember(team.id, !panel.hidden);
    });
    node.refresh = () => inner?.load({ quietly: true });
    node.update = (fresh) => {
      node.team = fresh;
      put(opener, fresh.name);
      describe(meta, hint, fresh);
    };
    if (remembered().includes(team.id) || teams.length === 1) expand(true);
    return node;
  }

  async function disconnect(team) {
    const removed = await confirm({
      title: `Disconnect ${team.name}?`,
      content: [
        el("p", { text: "This cannot be undone. PagerBridge will delete:" }),
        el("ul", {},
          el("li", {}, el("strong", { text: "Notification channels: " }), team.connections === 0 ? "there are none in this team." : `${summary(team.connections)} of this team. Incidents will no longer be posted there.`),
          el("li", {}, el("strong", { text: "Account links: " }), "unless another connected team of the same organization needs them, people have to link their Microsoft Teams and PagerDuty users again before they can act on incidents from Teams."),
          el("li", {}, el("strong", { text: "Webhook subscriptions: " }), "those in PagerDuty that no other team needs.")),
        el("p", { text: "To connect the team again, somebody has to install the app in it again." }),
      ],
      action: "I understand my actions, Disconnect PagerDuty from Microsoft Teams",
      busy: "Disconnecting…",
      typed: "disconnect",
      act: async () => (await api.write("POST", path`/teams/${team.id}/disconnect`, { confirm: "disconnect" })).content,
    });
    if (!removed) return;
    remember(team.id, false);
    teams = teams.filter((known) => known.id !== team.id);
    draw();
    heading.focus();
    const gone = [count(removed.connections_removed, "notification channel"), count(removed.links_removed, "account link")];
    toast(`Disconnected ${team.name}: ${gone.join(" and ")} removed.`);
    changed();
    load({ quietly: true });
  }

  return {
    load,
    forget() {
      loads += 1;
      teams = undefined;
      list.replaceChildren();
    },
  };
}

function describe(meta, hint, team) {
  const parts = [summary(team.connections)];
  if (team.connected_at) parts.push(el("span", {}, "connected ", day(team.connected_at)));
  if (!team.installed) parts.push(el("span", { class: "badge bad", text: "App removed" }));
  else if (!team.connected_at) parts.push(el("span", { class: "badge warn", text: "Not authorized" }));
  meta.replaceChildren(...parts.flatMap((part, place) => (place === 0 ? [part] : [part.className ? " " : " · ", part])));
  const advice = !team.installed ? "The app was removed from this team, so nothing can be posted in its channels. Add it to the team again in Microsoft Teams."
    : !team.connected_at ? "The app is in this team, but nobody has authorized it yet. Choose Authorize in the app's private message in Microsoft Teams." : "";
  put(hint, advice);
  hint.hidden = advice === "";
}

function howToInstall() {
  const steps = [
    "In Microsoft Teams, open the app and choose Add to a Team.",
    "Select a team, then choose Set up a bot. The app works in all channels of the team.",
    "Open the app's message in your private chat and choose Authorize.",
    "Come back here and reload this page.",
  ];
  return el("div", { class: "empty" }, el("p", {}, el("strong", { text: "No team is connected to PagerDuty yet." })), el("ol", {}, steps.map((text) => el("li", { text }))));
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(OPEN)) ?? [];
  } catch {
    return [];
  }
}

function remember(team, open) {
  try {
    sessionStorage.setItem(OPEN, JSON.stringify([...remembered().filter((known) => known !== team), ...(open ? [team] : [])]));
  } catch {
    // A browser that stores nothing only forgets.
  }
}
