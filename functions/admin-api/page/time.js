// Points in time as a reader wants them: how long ago, and exactly when on demand.

import { el, put } from "./dom.js";

const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];
const WORDS = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const JUST_NOW_S = 45;
const TICK_MS = 30_000;

/** `3 minutes ago`. A clock that runs ahead of the server's does not make it the future. */
export function ago(iso, now = Date.now()) {
  let amount = Math.max(0, (now - Date.parse(iso)) / 1000);
  if (Number.isNaN(amount)) return "";
  if (amount < JUST_NOW_S) return "just now";
  for (const [unit, size] of STEPS) {
    if (Math.round(amount) < size) return WORDS.format(-Math.round(amount), unit);
    amount /= size;
  }
  return "";
}

/** The exact time in the reader's words and time zone. */
export function exactly(iso) {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? "" : at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
}

/** A time of day for comparing lines, in the reader's time zone; the title has it as PagerDuty and logs write it. */
export function clock(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return el("span", { text: iso });
  const text = at.toLocaleString("en", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  return el("time", { datetime: iso, title: `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`, text });
}

/** A day, for things where the hour does not matter. */
export function day(iso) {
  return el("time", { datetime: iso, title: exactly(iso), text: new Date(iso).toLocaleDateString("en", { dateStyle: "medium" }) });
}

/** An element that shows how long ago it was and stays right. */
export function when(iso) {
  return el("time", { class: "ago", datetime: iso, title: exactly(iso), text: ago(iso) });
}

setInterval(() => {
  for (const time of document.querySelectorAll("time.ago")) put(time, ago(time.dateTime));
}, TICK_MS);
