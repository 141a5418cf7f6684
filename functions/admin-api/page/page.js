// The configuration page: who is logged in, and what they see.

import { api } from "./api.js";
import { auditLog } from "./audit.js";
import { deliveriesList } from "./deliveries.js";
import { closeAll } from "./dialog.js";
import { el, isWebAddress, put } from "./dom.js";
import { healthNotice } from "./health.js";
import { teamsList } from "./teams.js";

const TOAST_MS = 10_000;
const ROLES = { owner: "Account Owner", admin: "Global Admin", user: "Manager" };
/** PagerDuty calls its Managers "user". The API asks for the role again. */
const REPLAYING = ["owner", "admin", "user"];
const VIEWS = ["loading", "log-in", "trouble", "content"];

/** Of who is logged in. */
let role;

const find = (id) => document.getElementById(id);
const server = api({
  loggedOut: ({ unsaved }) => logIn(`Your session has ended.${unsaved ? " Your last change was not saved." : ""} Log in again to go on. A session ends after 30 minutes without use.`),
  somebodyElse: () => {
    closeAll();
    start();
    toast("Somebody else has logged in with this browser. Your last change was not saved.", "warn");
  },
});
const audit = auditLog({ api: server });
const deliveries = deliveriesList({ api: server, mayReplay: () => REPLAYING.includes(role), changed: () => audit.load({ quietly: true }) });
const health = healthNotice({ api: server, box: find("health") });
const teams = teamsList({ api: server, toast, changed: () => audit.load({ quietly: true }) });

find("log-out").addEventListener("click", logOut);
find("trouble").querySelector("button").addEventListener("click", start);
start();

async function start() {
  view("loading");
  health.forget();
  teams.forget();
  deliveries.forget();
  audit.forget();
  try {
    greet(await server.session());
  } catch (error) {
    if (error.status === 401) logIn("");
    else trouble(error.message);
    return;
  }
  view("content");
  health.load();
  teams.load();
  deliveries.load();
  audit.load();
}

function view(name) {
  for (const id of VIEWS) find(id).hidden = id !== name;
  document.querySelector(".session").hidden = name !== "content";
}

function greet({ user, account }) {
  role = user.role;
  const link = find("account");
  put(link, account.subdomain);
  if (isWebAddress(account.url)) link.href = account.url;
  link.title = "Open this account in PagerDuty";
  put(find("person").querySelector(".name"), user.name);
  put(find("person").querySelector(".subtle"), ROLES[user.role] ?? user.role);
  find("person").title = user.email;
}

function logIn(why) {
  closeAll();
  health.forget();
  teams.forget();
  deliveries.forget();
  audit.forget();
  notice("log-in", why);
  view("log-in");
  if (why) find("log-in-title").focus();
}

function trouble(message) {
  notice("trouble", message);
  view("trouble");
  find("trouble-title").focus();
}

function notice(id, text) {
  const line = find(id).querySelector(".notice");
  line.hidden = text === "";
  put(line, text);
}

async function logOut() {
  const control = find("log-out");
  control.disabled = true;
  try {
    await server.write("DELETE", "/session");
    logIn("You have logged out.");
  } catch (error) {
    if (error.status !== 401) toast(`You are still logged in. ${error.message}`, "bad");
  } finally {
    control.disabled = false;
  }
}

/** A line that comes and goes; it stays while somebody points at it or has the focus in it. */
function toast(text, kind = "good") {
  const close = el("button", { type: "button", class: "close", "aria-label": "Dismiss", text: "×" });
  const line = el("div", { class: `toast ${kind}` }, el("p", { text }), close);
  let left;
  let before;
  const leave = () => {
    const back = line.contains(document.activeElement) && before?.isConnected;
    line.remove();
    if (back) before.focus();
  };
  const wait = () => {
    clearTimeout(left);
    left = setTimeout(leave, TOAST_MS);
  };
  for (const event of ["mouseenter", "focusin"]) line.addEventListener(event, () => clearTimeout(left));
  for (const event of ["mouseleave", "focusout"]) line.addEventListener(event, wait);
  line.addEventListener("focusin", (event) => {
    before = event.relatedTarget ?? before;
  });
  close.addEventListener("click", leave);
  find("toasts").append(line);
  wait();
}
