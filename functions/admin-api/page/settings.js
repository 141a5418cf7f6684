// How the cards of a connection tell: in which time zone, and whether a reply mentions somebody.

import { combobox } from "./combobox.js";
import { el, freshId } from "./dom.js";

export const UTC = "UTC";
export const MENTIONS = { nobody: "Nobody", assignees: "Assignees" };

const ZONES_AT_ONCE = 50;

/** The reader's own zone; some browsers do not tell. */
export function ownZone() {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  return timeZone && timeZone !== "Etc/Unknown" ? timeZone : UTC;
}

/** The one that holds now, the own one and UTC first: what most people want. */
function zones(current) {
  const known = Intl.supportedValuesOf?.("timeZone") ?? [];
  return [...new Set([current, ownZone(), UTC, ...known])];
}

/** The difference to UTC today, as in "UTC+2"; nothing for a zone that is too new for the browser. */
function offset(zone) {
  if (zone === UTC) return undefined;
  try {
    const parts = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "shortOffset" }).formatToParts();
    return parts.find(({ type }) => type === "timeZoneName")?.value.replace("GMT", UTC);
  } catch {
    return undefined;
  }
}

/** Both fields, side by side or below each other as the place has it. `wish` reads what they say. */
export function settingsFields({ zone, mentions }) {
  const all = zones(zone);
  const times = combobox({
    label: "Times on cards",
    many: "time zones",
    placeholder: UTC,
    clears: false,
    search: async (query, from = 0) => {
      const text = query.toLowerCase().replaceAll(" ", "_");
      const found = all.filter((name) => name.toLowerCase().includes(text));
      const items = found.slice(from, from + ZONES_AT_ONCE).map((name) => ({ id: name, name, note: offset(name) }));
      const next = from + ZONES_AT_ONCE < found.length ? from + ZONES_AT_ONCE : null;
      // Browsers know fewer names than PagerBridge, which has the last word.
      return { items, next, hint: found.length ? undefined : "Not in this list. Its full name may work all the same." };
    },
  });
  times.preset({ id: zone, name: zone });
  const ids = { mention: freshId("mention"), hint: freshId("hint") };
  const mention = el("select", { id: ids.mention, "aria-describedby": ids.hint },
    Object.entries(MENTIONS).map(([value, text]) => el("option", { value, text })));
  mention.value = mentions;
  return {
    nodes: [
      times.node,
      el("div", { class: "field" }, el("label", { for: ids.mention, text: "Mention" }), mention,
        el("p", { id: ids.hint, class: "hint", text: "A short reply in the incident's thread mentions whoever gets it." })),
    ],
    first: times.input,
    wish: () => ({ zone: times.input.value.trim() || UTC, mentions: mention.value }),
  };
}

/** Whatever a connection does not do as most do, in a line; empty if there is nothing of the kind. */
export function unusual({ zone, mentions }) {
  const parts = [zone !== UTC && `Times in ${zone}`, mentions === "assignees" && "mentions assignees"].filter(Boolean);
  const line = parts.join(", ");
  return line.charAt(0).toUpperCase() + line.slice(1);
}

/** As PagerBridge says it in Teams too: "mention nobody and write times in UTC". */
export function manner({ zone, mentions }) {
  return `mention ${mentions} and write times in ${zone}`;
}
