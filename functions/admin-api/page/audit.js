// Who changed what, newest first.

import { el, failed, isFree, put, skeleton, working } from "./dom.js";
import { when } from "./time.js";

const VIA = { page: "This page", teams: "Microsoft Teams", system: "PagerBridge" };

export function auditLog({ api }) {
  const root = document.getElementById("audit");
  const [heading, list] = [root.querySelector("h2"), root.querySelector(".list")];
  const entries = el("ol", { class: "entries" });
  const failure = el("p", { class: "failure", role: "alert" });
  const more = el("button", { type: "button", on: { click: () => isFree(more) && loadMore() } }, el("span", { class: "label", text: "Load more" }));
  const status = el("p", { class: "hidden", role: "status" });
  let next = null;
  let loads = 0;
  let shown = false;

  /** The newest entries. `quietly` leaves what is shown if that fails. */
  async function load({ quietly = false } = {}) {
    loads += 1;
    const mine = loads;
    list.setAttribute("aria-busy", "true");
    if (!shown) list.replaceChildren(skeleton(3, "changes"));
    try {
      const page = await api.read("/audit");
      if (mine !== loads) return;
      shown = true;
      entries.replaceChildren(...page.entries.map(entry));
      const first = page.entries.length === 0 ? el("p", { class: "empty", text: "Nothing has been changed yet." }) : entries;
      list.replaceChildren(first, failure, more, status);
      follow(page.next);
    } catch (error) {
      if (mine === loads && !(quietly && shown)) list.replaceChildren(failed(error.message, () => load()));
    } finally {
      if (mine === loads) list.removeAttribute("aria-busy");
    }
  }

  async function loadMore() {
    const mine = loads;
    put(failure, "");
    const free = working(more, "Loading…");
    try {
      const page = await api.read("/audit", { cursor: next });
      if (mine !== loads) return;
      const fresh = page.entries.map(entry);
      entries.append(...fresh);
      put(status, `${page.entries.length} older changes loaded.`);
      follow(page.next);
      // The button goes away with the last page, and the focus must not fall to the top of the page.
      if (more.hidden) (fresh[0] ?? heading).focus();
    } catch (error) {
      put(failure, error.message);
    } finally {
      free();
    }
  }

  function follow(cursor) {
    next = cursor;
    more.hidden = cursor === null;
  }

  return {
    load,
    forget() {
      loads += 1;
      shown = false;
      list.replaceChildren();
    },
  };
}

function entry({ at, who, via, text }) {
  return el("li", { tabindex: "-1" },
    el("span", { class: "small subtle at" }, when(at)),
    el("span", { class: "who", text: who }),
    el("span", { class: "what", text }),
    el("span", { class: "small subtle via", text: VIA[via] ?? via }));
}
