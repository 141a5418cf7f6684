// A modal question: before something is taken away, or about what is to be changed.

import { el, freshId, isFree, put, working } from "./dom.js";

/**
 * Asks, runs `act` on the confirming button and resolves with its result, or with undefined if the person decided against it.
 * A failure of `act` is shown and the dialog stays. `typed` is a word that has to be typed first. `fields` are filled in, `first` to begin
 * with; then nothing is taken away.
 */
export function confirm({ title, content, fields, first, action, busy, typed, act }) {
  const [heading, text] = [freshId("title"), freshId("text")];
  const failure = el("p", { class: "failure", role: "alert" });
  const field = typed && el("input", { type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const go = el("button", { type: "submit", class: fields ? "primary" : "danger" }, el("span", { class: "label", text: action }));
  const cancel = el("button", { type: "button", text: "Cancel" });
  const form = el("form", {},
    el("h2", { id: heading, text: title }),
    el("div", { id: text, class: "text" }, content),
    fields && el("div", { class: "fields" }, fields),
    typed && el("label", { class: "field" }, el("span", {}, "Type ", el("code", { text: typed }), " to confirm"), field),
    failure, el("div", { class: "buttons" }, go, cancel));
  const dialog = el("dialog", { "aria-labelledby": heading, "aria-describedby": text }, form);

  return new Promise((resolve) => {
    let result;
    let pending = false;
    if (field) {
      go.disabled = true;
      field.addEventListener("input", () => {
        go.disabled = field.value.trim() !== typed;
      });
    }
    cancel.addEventListener("click", () => pending || dialog.close());
    // What has been sent cannot be taken back, so the dialog stays to tell how it went.
    dialog.addEventListener("cancel", (event) => pending && event.preventDefault());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!isFree(go) || go.disabled) return;
      pending = true;
      put(failure, "");
      const free = working(go, busy);
      try {
        result = await act();
        dialog.close();
      } catch (error) {
        put(failure, error.message);
      } finally {
        pending = false;
        free();
      }
    });
    document.body.append(dialog);
    dialog.showModal();
    (field ?? first ?? cancel).focus();
  });
}

/** Whatever is asked, it no longer matters. */
export function closeAll() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}
