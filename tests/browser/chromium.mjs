// What every browser test needs: a quiet Chromium, and the local stack to look at.
import { spawn } from "node:child_process";
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { after, before } from "node:test";
import axe from "axe-core";
import { chromium } from "playwright-core";

const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: QUIET });
}

/** Starts the stack on free ports and waits for the address that it prints. */
export async function startStack() {
  const ports = ["--port", "--aws-port", "--pagerduty-port", "--teams-port"].flatMap((flag) => [flag, "0"]);
  const root = new URL("../..", import.meta.url).pathname;
  const stack = spawn(`${root}target/debug/local`, ports, { cwd: root, env: { ...process.env, RUST_LOG: "error" }, stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: stack.stdout })) {
    if (line.trim().startsWith("http://")) return { address: line.trim(), stop: () => stack.kill("SIGINT") };
  }
  throw new Error("the local stack ended before it printed its address");
}

/** The local stack and a browser for all tests of a file: there as soon as the first one begins. */
export function stackAndBrowser() {
  const both = {};
  before(async () => {
    both.stack = await startStack();
    both.browser = await launch();
  });
  after(async () => {
    await both.browser?.close();
    both.stack?.stop();
  });
  return both;
}

/** Fails with what axe objects to, and where. */
export async function hasNoBarrier(page) {
  const violations = await page.evaluate(`(async () => { ${axe.source}; return (await axe.run()).violations; })()`);
  assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), []);
}

/** Microsoft's script: where the page gets it, and the same bytes from npm. */
export const TEAMS_JS = {
  address: "https://res.cdn.office.net/teams-js/2.58.0/js/MicrosoftTeams.min.js",
  file: new URL("./node_modules/@microsoft/teams-js/dist/umd/MicrosoftTeams.min.js", import.meta.url).pathname,
};
const TEAMS_CDN = "https://res.cdn.office.net/**";

/** Gives the pages of a context Microsoft's script. Its list of hosts is not in the package: the script has one of its own. */
export async function withTeamsJs(context) {
  await context.route(TEAMS_CDN, (route) => (route.request().url() === TEAMS_JS.address
    ? route.fulfill({ path: TEAMS_JS.file, contentType: "text/javascript", headers: { "access-control-allow-origin": "*" } })
    : route.fulfill({ status: 404, headers: { "access-control-allow-origin": "*" } })));
}

/** Microsoft's place cannot be reached. */
export async function withoutTeamsJs(context) {
  await context.route(TEAMS_CDN, (route) => route.abort());
}
