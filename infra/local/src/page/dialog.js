// The dialog that the bot opens after a button was pressed: its pages, what is typed in them, and how it ends.

import { drawCard } from "./cards.js";
import { el, put } from "./dom.js";

export function dialogs(app) {
  const node = document.getElementById("dialog");
  const title = node.querySelector("h2");
  const surface = node.querySelector(".surface");
  const notice = node.querySelector(".notice");
  let user;
  let waits = false;

  node.querySelector("button").addEventListener("click", () => node.close());
  node.addEventListener("close", () => {
    surface.replaceChildren();
    app.post("teams/close", { user }).catch((error) => console.warn(error));
  });

  /** Shows what the bot answered, if it is about a dialog. */
  function takes(whose, shown) {
    if (!["dialog", "message", "closed"].includes(shown.kind)) return false;
    user = whose;
    if (shown.kind === "closed") {
      node.close();
      return true;
    }
    put(title, shown.title || title.textContent);
    notice.hidden = true;
    const content = shown.kind === "dialog" ? drawCard(shown.card, { press, search }) : el("p", { class: "plain", text: shown.text });
    surface.replaceChildren(content ?? "");
    if (!node.open) node.showModal();
    (surface.querySelector("input, textarea, select") ?? title).focus();
    return true;
  }

  async function press(action, inputs) {
    if (waits) return;
    waits = true;
    surface.setAttribute("aria-busy", "true");
    notice.hidden = true;
    let failure;
    try {
      const shown = await app.post("teams/submit", { user, action, inputs });
      // The dialog may have been closed meanwhile.
      if (node.open && !takes(user, shown)) failure = shown.text;
    } catch (error) {
      failure = error.message;
    }
    waits = false;
    surface.removeAttribute("aria-busy");
    if (failure) tell(failure);
  }

  function tell(text) {
    notice.className = "notice error";
    notice.setAttribute("role", "alert");
    put(notice, "");
    notice.hidden = false;
    put(notice, text);
  }

  function search(dataset, text) {
    return app.ask("teams/search", { user, dataset, text });
  }

  return { takes };
}
