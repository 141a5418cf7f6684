// Waits until Teams has named the person: hands the page's code over where Teams has opened the window, and shows the number elsewhere.
"use strict";
const PATIENCE = 3000;
const CONTEXT_PATIENCE = 1000;
const CLOSES_WITHIN = 5000;
const EVERY = 2000;
const page = document.querySelector("main");
const byTeams = document.getElementById("by-teams");
const byAnother = document.getElementById("by-another");
const byNumber = document.getElementById("by-number");
const teams = document.getElementById("teams-js");
const { user, tenant, code } = page.dataset;

function show(part) {
  for (const other of [byTeams, byAnother, byNumber]) if (other) other.hidden = other !== part;
}

/** Whether this window is known to be another user's. Any app in Teams can open our address in a window of its own: the code would go to
 * that app. A client that does not say whose it is gets the code, as clients do that open it for us. */
async function isAnothers() {
  const silence = new Promise((resolve) => setTimeout(resolve, CONTEXT_PATIENCE));
  const context = await Promise.race([microsoftTeams.app.getContext().catch(() => undefined), silence]);
  const differs = (said, known) => Boolean(said) && said.toLowerCase() !== known.toLowerCase();
  return differs(context?.user?.id, user) || differs(context?.user?.tenant?.id, tenant);
}

let begun = false;
async function handOver(late) {
  if (begun) return;
  begun = true;
  try {
    await microsoftTeams.app.initialize();
    clearTimeout(late);
    if (await isAnothers()) return show(byAnother);
    microsoftTeams.authentication.notifySuccess(code);
    // Teams closes the window now. If it stays, Teams did not take the code.
    setTimeout(() => show(byNumber), CLOSES_WITHIN);
  } catch {
    show(byNumber);
  }
}

if (teams) {
  show(byTeams);
  const late = setTimeout(() => show(byNumber), PATIENCE);
  teams.addEventListener("load", () => handOver(late));
  teams.addEventListener("error", () => show(byNumber));
  if (window.microsoftTeams) handOver(late);
}

async function look() {
  try {
    const answer = await fetch("/oauth/callback?wait", { cache: "no-store" });
    const { link } = await answer.json();
    if (link === "linked" || link === "over") return location.replace("/oauth/callback");
  } catch {
    // The next look may be answered.
  }
  setTimeout(look, EVERY);
}

// A reload asks how it stands, and does not send the answer again.
history.replaceState(null, "", "/oauth/callback");
setTimeout(look, EVERY);
