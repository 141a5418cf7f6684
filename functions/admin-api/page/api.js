// The JSON API. Every failure is an `ApiError` with a sentence for a person.

const PREFIX = "/admin/api/v1";
/** The HTTP API in front of the functions gives up after 30 s. */
const TIME_LIMIT_MS = 30_000;

const NO_ANSWER = "PagerBridge does not answer. Check your network connection and try again.";
const TOO_SLOW = "PagerBridge took too long to answer. Try again in a moment.";

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** A path whose parts are encoded: channel ids contain `:` and `@`. */
export function path(parts, ...ids) {
  return parts.map((part, place) => part + (place < ids.length ? encodeURIComponent(ids[place]) : "")).join("");
}

export function api({ loggedOut, somebodyElse }) {
  let session;

  async function send(method, target, { body, signal } = {}) {
    const headers = { accept: "application/json" };
    if (method !== "GET") headers["x-pagerbridge-csrf"] = session?.csrf ?? "";
    if (body) headers["content-type"] = "application/json";
    const limit = AbortSignal.timeout(TIME_LIMIT_MS);
    const options = { method, headers, body: body && JSON.stringify(body), cache: "no-store", redirect: "error", credentials: "same-origin" };
    let answer, content;
    try {
      answer = await fetch(PREFIX + target, { ...options, signal: signal ? AbortSignal.any([signal, limit]) : limit });
      content = answer.status === 204 ? {} : await answer.json().catch((error) => {
        if (error.name !== "SyntaxError") throw error;
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "no_answer", limit.aborted ? TOO_SLOW : NO_ANSWER);
    }
    if (answer.ok && content) return { status: answer.status, content };
    const said = content?.error;
    throw new ApiError(answer.status, said?.code ?? "unreadable", said?.message ?? unexplained(answer.status));
  }

  /** Another log-in in this browser replaces the CSRF value; a write that fails for that reason is sent again. */
  async function sendAgain(method, target, options, refusal) {
    const old = session;
    const { content: fresh } = await send("GET", "/session");
    session = fresh;
    if (fresh.account.id !== old.account.id || fresh.user.email !== old.user.email) {
      somebodyElse();
      throw refusal;
    }
    if (fresh.csrf === old.csrf) throw refusal;
    return send(method, target, options);
  }

  async function request(method, target, options) {
    try {
      return await send(method, target, options).catch((error) => {
        if (error.status === 403 && method !== "GET" && session) return sendAgain(method, target, options, error);
        throw error;
      });
    } catch (error) {
      if (error.status === 401) loggedOut({ unsaved: method !== "GET" });
      throw error;
    }
  }

  return {
    /** Who is logged in; nobody is an `ApiError` with status 401 like any other. */
    async session() {
      session = (await send("GET", "/session")).content;
      return session;
    },
    async read(target, query = {}, signal = undefined) {
      const wish = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined));
      return (await request("GET", wish.size ? `${target}?${wish}` : target, { signal })).content;
    },
    /** Returns the status too: 200 and 201 differ. */
    write: (method, target, body) => request(method, target, { body }),
  };
}

function unexplained(status) {
  if (status >= 500) return `PagerBridge is not available right now (HTTP ${status}). Try again in a moment.`;
  return `PagerBridge gave an answer that this page does not understand (HTTP ${status}). Reload the page and try again.`;
}
