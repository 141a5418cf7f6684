// Waits until Teams has named the person: hands the page's code over where Teams has opened the window, and shows the number elsewhere.
"use strict";
const PATIENCE = 3000;
const CLOSES_WITHIN = 5000;
const EVERY = 2000;
const page = document.querySelector("main");
const byTeams = document.getElementById("by-teams");
const byNumber = document.getElementById("by-number");
const teams = document.getElementById("teams-js");

function showNumber() {
  if (byTeams) byTeams.hidden = true;
  byNumber.hidden = false;
}

let begun = false;
async function handOver(late) {
  if (begun) return;
  begun = true;
  try {
    await microsoftTeams.app.initialize();
    clearTimeout(late);
    microsoftTeams.authentication.notifySuccess(page.dataset.code);
    // Teams closes the window now. If it stays, Teams did not take the code.
    setTimeout(showNumber, CLOSES_WITHIN);
  } catch {
    showNumber();
  }
}

if (teams) {
  const late = setTimeout(showNumber, PATIENCE);
  teams.addEventListener("load", () => handOver(late));
  teams.addEventListener("error", showNumber);
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
