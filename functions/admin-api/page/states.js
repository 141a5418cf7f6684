// How a connection is doing, in words. Pure.

const DELIVERED = {
  posted: "Card posted",
  edited: "Card updated",
  replied: "Reply posted",
  tested: "Test notification posted",
  refused: "Refused by Teams",
  other: "Delivered by a newer version",
};

export const FILTERS = { all: "All incidents", high_urgency: "High urgency only" };

/** The badge of a connection: its colour, its words, what to do about it, and since when. */
export function state({ health, subscription, last_delivery: last }) {
  if (health.state === "channel_gone") {
    const text = "Teams cannot find the channel, or the app was removed from it. Add the app again, or remove this connection.";
    return { kind: "bad", label: "Channel unreachable", text, code: health.reason, since: health.since };
  }
  if (health.state === "service_gone") {
    return { kind: "bad", label: "Service deleted", text: "This service was deleted in PagerDuty. Remove this connection.", code: health.reason, since: health.since };
  }
  if (subscription === "missing") {
    return { kind: "bad", label: "No webhook", text: "PagerDuty has no webhook subscription for this service. PagerBridge makes a new one within five minutes and fetches what was missed." };
  }
  if (subscription === "disabled") {
    return { kind: "warn", label: "Webhook disabled", text: "PagerDuty disabled its webhook subscription after failed deliveries. PagerBridge switches it on again within five minutes and fetches what was missed." };
  }
  if (last?.outcome === "refused") {
    return { kind: "warn", label: "Last delivery refused", text: "Teams did not take the last message. Send a test notification to check the channel." };
  }
  if (subscription === "unknown") {
    return { kind: "unknown", label: "Not checked", text: "PagerDuty did not tell whether its webhook subscription is active." };
  }
  return { kind: "good", label: "Active" };
}

/** What became of a message. */
export function delivered({ outcome }) {
  return DELIVERED[outcome] ?? outcome;
}

const RANK = { bad: 0, warn: 1, unknown: 2, good: 2 };

/** What needs attention first, then by name. */
export function byUrgency(one, other) {
  const names = (connection) => [connection.service.name, connection.channel.name];
  const [[service, channel], [otherService, otherChannel]] = [names(one), names(other)];
  return RANK[state(one).kind] - RANK[state(other).kind]
    || service.localeCompare(otherService, "en", { numeric: true }) || channel.localeCompare(otherChannel, "en", { numeric: true });
}
