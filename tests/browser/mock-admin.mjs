// The configuration page's files with an API that is made up: quick states, and faults on demand.
//
// It holds the page to the API's rules (CSRF header, encoded ids) and remembers each request that breaks one.
// `node mock-admin.mjs` serves it for looking at it.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";

const FILES = new URL("../../functions/admin-api/page/", import.meta.url);
const TYPES = { ".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml" };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const PREFIX = "/admin/api/v1";
const CSRF = "one-two-three";
const PAGE = 25;

export const ago = (minutes) => new Date(Date.now() - minutes * 60_000).toISOString();
const channelId = (name) => `19:${name}@thread.tacv2`;

/** What the API answers from. Tests change it as they need. */
export function aWorld() {
  const services = Array.from({ length: 5000 }, (_, place) => ({ id: `PSVC${place}`, name: `${["Checkout", "Payments", "Search", "Ledger", "Mail"][place % 5]} ${["api", "worker", "db", "cache"][place % 4]} ${place}` }));
  services.splice(0, 0, { id: "PCHKOUT", name: "Checkout API" }, { id: "PMARKUP", name: "<img src=x onerror=alert(1)> & Co" });
  const channel = (name, kind = "standard") => ({ id: channelId(name), name, kind });
  return {
    health: { status: "ok", silent_since: null, healing: [] },
    session: {
      user: { name: "Ada Wong", email: "ada@example.com", role: "owner" },
      account: { id: "PACC", subdomain: "acme", url: "https://acme.pagerduty.com" },
      csrf: CSRF,
      expires_at: ago(-480),
    },
    services,
    teams: [
      {
        id: channelId("platform"), name: "Platform", tenant: "t1", installed: true, connected_at: ago(60 * 24 * 40),
        channels: [channel("General"), channel("payments-incidents"), channel("search-incidents"), channel("leads", "private"), channel("partner-ops", "shared"),
          ...Array.from({ length: 60 }, (_, place) => channel(`squad-${place + 1}`))],
        connections: [
          connection("Payments API", "payments-incidents", { last_delivery: { at: ago(4), outcome: "edited", reason: null } }),
          connection("Search", "search-incidents", { filter: "high_urgency", last_delivery: { at: ago(60 * 50), outcome: "posted", reason: null } }),
          connection("Ledger", "old-channel", { health: { state: "channel_gone", reason: "ConversationNotFound", since: ago(60 * 27) }, last_delivery: { at: ago(60 * 27), outcome: "refused", reason: "ConversationNotFound" } }),
          connection("Mail gateway", "payments-incidents", { subscription: "disabled", last_delivery: { at: ago(60 * 6), outcome: "replied", reason: null } }),
          connection("Batch jobs", "General", { subscription: "unknown", created_by: null }),
        ],
        links: 12,
      },
      { id: channelId("data"), name: "Data Engineering", tenant: "t1", installed: true, connected_at: ago(60 * 30), channels: [channel("General")], connections: [], links: 0 },
      { id: channelId("legacy"), name: "Legacy Support", tenant: "t1", installed: false, connected_at: ago(60 * 24 * 300), channels: [], connections: [connection("Fax", "fax")], links: 1 },
    ],
    audit: Array.from({ length: 60 }, (_, place) => ({
      at: ago(7 + place * 190),
      who: ["Ada Wong", "Ben Okafor", "PagerBridge"][place % 3],
      via: ["page", "teams", "system"][place % 3],
      text: ["Connected Payments API to payments-incidents in Platform", "Removed Search from search-incidents in Platform", "Marked Ledger to old-channel as unreachable"][place % 3],
    })),
    deliveries: [...ledger(0, 70, 4711), ...ledger(1, 320, 4000), ...ledger(2, 3, 3000)],
    /** What happens to a test notification. */
    tested: { outcome: "tested", reason: null },
    /** What becomes of a webhook subscription when a connection is removed. */
    left: "deleted",
    limit: 50,
  };
}

export function connection(service, channel, changes = {}) {
  const id = `P${service.replaceAll(/\W/g, "").toUpperCase()}`;
  return {
    service: { id, name: service, url: `https://acme.pagerduty.com/service-directory/${id}` },
    channel: { id: channelId(channel), name: channel },
    filter: "all", zone: "UTC", mentions: "nobody", created_at: ago(60 * 24 * 30), created_by: "Ada Wong",
    health: { state: "healthy", reason: null, since: null }, subscription: "active", last_delivery: null, ...changes,
  };
}

class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.answer = [status, { error: { code, message } }];
  }
}

const ROUTES = [
  ["GET", "/session", ({ world }) => {
    if (!world.session) throw new Refusal(401, "not_logged_in", "Nobody is logged in.");
    return [200, world.session];
  }],
  ["DELETE", "/session", ({ world }) => {
    world.session = null;
    return [204];
  }],
  ["GET", "/health", ({ world }) => [200, world.health]],
  ["GET", "/teams", ({ world }) => [200, { teams: world.teams.map(({ channels, connections, links, ...team }) => ({ ...team, connections: connections.length })) }]],
  ["GET", "/teams/:team/channels", ({ team, query }) => {
    const found = named(team.channels, query.get("query"));
    return [200, { channels: found.slice(0, PAGE), more: found.length > PAGE }];
  }],
  ["GET", "/services", ({ world, query }) => {
    const found = named(world.services, query.get("query"));
    const from = Number(query.get("offset") ?? 0);
    return [200, { services: found.slice(from, from + PAGE), next: from + PAGE < found.length ? from + PAGE : null }];
  }],
  ["GET", "/teams/:team/connections", ({ team }) => [200, { connections: team.connections }]],
  ["POST", "/teams/:team/connections", ({ world, team, body }) => {
    const known = team.connections.find((one) => one.service.id === body.service && one.channel.id === body.channel);
    if (known) return [200, known];
    if (team.connections.length >= world.limit) {
      throw new Refusal(409, "too_many_connections", `A team can have ${world.limit} notification channels. Remove one before you connect another.`);
    }
    const [service, channel] = [world.services.find((one) => one.id === body.service), team.channels.find((one) => one.id === body.channel)];
    if (!service || !channel || !["all", "high_urgency"].includes(body.filter)) throw new Refusal(422, "invalid", "There is no such service or channel.");
    const made = connection(service.name, channel.name, { filter: body.filter, ...manner(body), created_at: ago(0) });
    Object.assign(made.service, { id: service.id });
    team.connections.push(made);
    note(world, `Connected ${service.name} to ${channel.name} in ${team.name}`);
    return [201, made];
  }],
  ["PATCH", "/teams/:team/connections/:service/:channel", ({ world, connection: known, body }) => {
    Object.assign(known, manner({ zone: known.zone, mentions: known.mentions, ...body }));
    note(world, `changed how a channel is told of ${known.service.name}: ${known.mentions === "nobody" ? "nobody is" : "assignees are"} mentioned, times in ${known.zone}`);
    return [200, known];
  }],
  ["DELETE", "/teams/:team/connections/:service/:channel", ({ world, team, connection: known }) => {
    team.connections.splice(team.connections.indexOf(known), 1);
    note(world, `Removed ${known.service.name} from ${known.channel.name} in ${team.name}`);
    return [200, { subscription: world.left }];
  }],
  ["POST", "/teams/:team/connections/:service/:channel/test", ({ world, connection: known }) => {
    if (world.tested) known.last_delivery = { at: ago(0), ...world.tested };
    return [202, { id: "T1" }];
  }],
  ["POST", "/teams/:team/disconnect", ({ world, team, body }) => {
    if (body.confirm !== "disconnect") throw new Refusal(422, "not_confirmed", "Type disconnect to confirm.");
    world.teams.splice(world.teams.indexOf(team), 1);
    note(world, `Disconnected ${team.name}`);
    return [200, { connections_removed: team.connections.length, links_removed: team.links }];
  }],
  ["GET", "/deliveries", ({ world, query }) => {
    const asked = (name) => query.get(name);
    const day = asked("day") ?? utcDay(0);
    if (!/^\d{4}-\d\d-\d\d$/.test(day)) throw new Refusal(400, "invalid", "The day is not one, as in 2026-11-23.");
    if ([...query.values()].includes("") || (asked("outcome") && !OUTCOMES.includes(asked("outcome")))) throw new Refusal(400, "invalid", "There is no such filter.");
    const number = asked("incident")?.replace(/^#/, "");
    const fits = (one) => (!asked("outcome") || one.outcome === asked("outcome")) && (!asked("service") || one.service?.id === asked("service"))
      && (!asked("channel") || one.channel?.id === asked("channel")) && (!number || [one.incident, String(one.number)].includes(number));
    // Looks at so many lines, whether they fit or not: an answer may be empty and there is more all the same.
    const lines = world.deliveries.filter((one) => one.received_at.startsWith(day));
    const from = Number(asked("before") ?? 0);
    return [200, { deliveries: lines.slice(from, from + 50).filter(fits), next: from + 50 < lines.length ? String(from + 50) : null, more_waiting: from === 0 ? 3 : 0, keeps_days: 90 }];
  }],
  ["POST", "/deliveries/replay", ({ world, body }) => {
    const known = world.deliveries.filter((one) => one.incident === body.incident);
    if (known.length === 0) throw new Refusal(404, "unknown_incident", "PagerBridge knows nothing of this incident (any more).");
    if (!known.some((one) => one.channel?.id === body.channel)) throw new Refusal(404, "unknown_connection", "The incident's service is not connected to this channel (any more).");
    const made = { ...known[0], event: `R${world.deliveries.length}`, occasion: "replayed", outcome: "edited", received_at: new Date().toISOString(), at: new Date().toISOString(), took_ms: 640, why: null, attempts: 1 };
    world.deliveries.unshift(made);
    note(world, `Asked for the card of incident #${known[0].number} again`);
    return [202, { event: made.event }];
  }],
  ["GET", "/audit", ({ world, query }) => {
    const from = Number(query.get("cursor") ?? 0);
    return [200, { entries: world.audit.slice(from, from + 20), next: from + 20 < world.audit.length ? String(from + 20) : null }];
  }],
];

const MENTIONS = ["nobody", "assignees"];
const OUTCOMES = ["posted", "edited", "queued", "waiting", "refused", "no_channel", "coalesced", "replied", "dropped"];
const OCCASIONS = ["webhook", "webhook", "action", "reconciled", "replayed", "restored"];
const WHY = { waiting: "429 Throttled", refused: "MessageSizeTooBig", dropped: "the service is not connected to the channel" };

/** A UTC day, so many days ago. */
export const utcDay = (days) => ago(days * 24 * 60).slice(0, 10);

/** The lines of a day, newest first; incident numbers go down from `top`. */
function ledger(days, amount, top) {
  const begin = Date.parse(utcDay(days));
  const end = Math.min(Date.now(), begin + 24 * 60 * 60_000 - 1);
  return Array.from({ length: amount }, (_, place) => {
    const outcome = OUTCOMES[place % OUTCOMES.length];
    const number = top - place;
    const at = new Date(end - ((end - begin) * place) / amount).toISOString();
    const [id, name] = [["PCHKOUT", "Checkout API"], ["PSVC1", "Payments worker 1"], ["PSVC2", "Search db 2"]][place % 3];
    return {
      event: `01E${number}`, occasion: OCCASIONS[place % OCCASIONS.length], incident: `Q${number}`, number, url: `https://acme.pagerduty.com/incidents/Q${number}`,
      service: { id, name },
      channel: outcome === "no_channel" ? null
        : { id: channelId(place % 2 ? "payments-incidents" : "General"), name: place % 2 ? "payments-incidents" : "General", team: channelId("platform"), team_name: "Platform" },
      received_at: at, at, took_ms: [812, 3812, 41_000, 250_000, 7_500_000][place % 5], outcome,
      why: WHY[outcome] ?? null, attempts: { waiting: 3, queued: 0, no_channel: 0 }[outcome] ?? 1,
    };
  });
}

/** As the API reads both settings, with what it does not know as a refusal. */
function manner({ zone = "UTC", mentions = "nobody" }) {
  if (!MENTIONS.includes(mentions)) throw new Refusal(400, "invalid", "The request is not understood.");
  try {
    return { zone: new Intl.DateTimeFormat("en", { timeZone: zone.trim() || "UTC" }).resolvedOptions().timeZone, mentions };
  } catch {
    throw new Refusal(400, "invalid", "There is no such time zone. Please use a name such as Europe/Berlin.");
  }
}

function named(items, query) {
  const text = (query ?? "").toLowerCase();
  return items.filter((item) => item.name.toLowerCase().includes(text));
}

function note(world, text) {
  world.audit.unshift({ at: ago(0), who: world.session.user.name, via: "page", text });
}

/** The ids of a path if it matches the pattern. */
function matched(pattern, path) {
  const [wanted, parts] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== parts.length) return undefined;
  const ids = {};
  for (const [place, part] of wanted.entries()) {
    if (part.startsWith(":")) ids[part.slice(1)] = decodeURIComponent(parts[place]);
    else if (part !== parts[place]) return undefined;
  }
  return ids;
}

export async function startMock() {
  const mock = {
    world: aWorld(),
    /** `METHOD /path?query` of each request to the API, and bodies of writes. */
    requests: [],
    /** Requests that the real API would not understand. */
    violations: [],
    faults: [],
    /** The next `times` requests that match get this instead: an answer, one that is cut off, or a wait for a promise. */
    next(pattern, fault, times = 1) {
      mock.faults.push({ pattern, fault, times });
    },
    reset() {
      Object.assign(mock, { world: aWorld(), requests: [], violations: [], faults: [] });
    },
  };

  async function api(request, url, raw) {
    const { world } = mock;
    const asked = `${request.method} ${decodeURIComponent(url.pathname.slice(PREFIX.length))}${decodeURIComponent(url.search)}`;
    const body = raw ? JSON.parse(raw) : undefined;
    mock.requests.push({ asked, body });
    const planned = mock.faults.find(({ pattern, times }) => times > 0 && pattern.test(asked));
    if (planned) {
      planned.times -= 1;
      if (planned.fault.until) await planned.fault.until;
      if (planned.fault.cut) return undefined;
      if (planned.fault.status) return [planned.fault.status, planned.fault.body];
    }
    if (/[:@]/.test(url.pathname)) mock.violations.push(`not encoded: ${url.pathname}`);
    try {
      for (const [method, pattern, run] of ROUTES) {
        const ids = method === request.method && matched(pattern, url.pathname.slice(PREFIX.length));
        if (!ids) continue;
        if (!world.session && pattern !== "/session") throw new Refusal(401, "not_logged_in", "Nobody is logged in.");
        if (method !== "GET" && request.headers["x-pagerbridge-csrf"] !== world.session?.csrf) throw new Refusal(403, "csrf", "The page is out of date. Reload it.");
        const team = world.teams.find((one) => one.id === ids.team);
        if (ids.team && !team) throw new Refusal(404, "no_such_team", "There is no such team.");
        const known = team?.connections.find((one) => one.service.id === ids.service && one.channel.id === ids.channel);
        if (ids.service && !known) throw new Refusal(404, "no_such_connection", "There is no such connection.");
        return run({ world, team, connection: known, query: url.searchParams, body });
      }
    } catch (error) {
      if (error instanceof Refusal) return error.answer;
      throw error;
    }
    mock.violations.push(`no such route: ${asked}`);
    return [404, { error: { code: "not_found", message: "There is nothing here." } }];
  }

  async function serve(request, response) {
    const url = new URL(request.url, "http://mock");
    if (url.pathname.startsWith(`${PREFIX}/`)) {
      let raw = "";
      for await (const part of request) raw += part;
      const answer = await api(request, url, raw);
      if (!answer) {
        response.writeHead(200, { "content-type": "application/json", "content-length": "500" });
        response.write("{");
        return setImmediate(() => request.socket.destroy());
      }
      const [status, content] = answer;
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
      return response.end(content === undefined ? undefined : typeof content === "string" ? content : JSON.stringify(content));
    }
    const name = url.pathname === "/admin" ? "index.html" : url.pathname.match(/^\/admin\/assets\/([\w.-]+)$/)?.[1];
    const content = name ? await readFile(new URL(name, FILES)).catch(() => undefined) : undefined;
    if (!content) {
      mock.violations.push(`no such file: ${request.url}`);
      return response.writeHead(404).end();
    }
    response.writeHead(200, { "content-type": TYPES[extname(name)], "content-security-policy": POLICY, "x-content-type-options": "nosniff", "cache-control": "no-store" });
    return response.end(content);
  }

  const server = createServer((request, response) => serve(request, response).catch((error) => {
    mock.violations.push(String(error));
    response.writeHead(500).end();
  }));
  await new Promise((resolve) => server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", resolve));
  mock.address = `http://127.0.0.1:${server.address().port}/admin`;
  mock.stop = () => new Promise((resolve) => {
    server.closeAllConnections();
    server.close(resolve);
  });
  return mock;
}

if (process.argv[1] === new URL(import.meta.url).pathname) console.log((await startMock()).address);
