// The slider that makes Teams refuse earlier, or never: what it lets through now, and how often it refused.

import { put } from "./dom.js";

/** The slider's places, from left to right, in percent of what Teams publishes; the last one is off. */
const PLACES = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, null];

export function limitsControl(app) {
  const root = document.querySelector(".limits");
  const slider = root.querySelector("input");
  const place = root.querySelector("output");
  const words = root.querySelector("#limits-words");
  const refused = root.querySelector(".refused");
  let sending = false;
  let failure = "";

  slider.max = PLACES.length - 1;
  slider.addEventListener("input", () => {
    name();
    send();
  });

  /** One wish after the other, so that the last place wins; the slider stays usable meanwhile. */
  async function send() {
    if (sending) return;
    sending = true;
    let sent;
    try {
      while (sent !== slider.value) {
        sent = slider.value;
        await app.post("teams/limits", { percent: PLACES[sent] });
      }
      failure = "";
    } catch (error) {
      failure = error.message;
    } finally {
      sending = false;
    }
    if (failure) put(words, failure);
    words.classList.toggle("failure", failure !== "");
  }

  function name() {
    const percent = PLACES[slider.value];
    const text = percent === null ? "off" : percent === 100 ? "as published" : percent === 10 ? "a tenth" : `${percent} %`;
    put(place, text);
    slider.setAttribute("aria-valuetext", text);
  }

  function show({ limits }) {
    if (!sending) slider.value = PLACES.findIndex((percent) => percent === null || percent >= (limits.percent ?? Infinity));
    name();
    if (!failure) put(words, limits.words);
    const requests = limits.refused === 1 ? "1 request" : `${limits.refused.toLocaleString("en")} requests`;
    put(refused, limits.refused ? `${requests} refused with 429` : "No request refused yet");
    refused.classList.toggle("some", limits.refused > 0);
  }

  return { show };
}
