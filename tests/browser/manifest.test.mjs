// The app package as `cargo run -p teams-app` makes it, against Microsoft's own schema.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import Ajv from "ajv-draft-04";

const require = createRequire(import.meta.url);
const root = path.resolve(import.meta.dirname, "../..");
const program = process.env.TEAMS_APP ?? path.join(root, "target/debug/teams-app");

let folder;
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "teams-app-"));
});
after(() => rmSync(folder, { recursive: true }));

/** The entries of a zip without compression, which is what the program writes. */
function entries(zip) {
  const found = new Map();
  for (let at = 0; zip.readUInt32LE(at) === 0x04034b50; ) {
    const [method, size] = [zip.readUInt16LE(at + 8), zip.readUInt32LE(at + 18)];
    const [name, extra] = [zip.readUInt16LE(at + 26), zip.readUInt16LE(at + 28)];
    assert.equal(method, 0, "stored");
    const start = at + 30 + name + extra;
    found.set(zip.toString("utf8", at + 30, at + 30 + name), zip.subarray(start, start + size));
    at = start + size;
  }
  return found;
}

function made(...more) {
  const out = path.join(folder, "app.zip");
  const flags = ["--app-id", "11111111-2222-4333-8444-555555555555", "--domain", "bridge.example.com", "--out", out];
  execFileSync(program, [...flags, ...more], { stdio: "pipe" });
  return JSON.parse(entries(readFileSync(out)).get("manifest.json").toString("utf8"));
}

function complaints(manifest) {
  const schemas = path.join(path.dirname(require.resolve("@microsoft/app-manifest/package.json")), "build/json-schemas/teams");
  const file = path.join(schemas, `v${manifest.manifestVersion}`, "MicrosoftTeams.schema.json");
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const fits = ajv.compile(JSON.parse(readFileSync(file, "utf8")));
  fits(manifest);
  return (fits.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
}

test("the manifest is valid by Microsoft's schema", () => {
  assert.deepEqual(complaints(made()), []);
  const long = ["--name", "x".repeat(30), "--developer-name", "y".repeat(32), "--website", "https://example.com/"];
  assert.deepEqual(complaints(made(...long)), []);
});

test("the schema is really asked", () => {
  const manifest = made();
  assert.notDeepEqual(complaints({ ...manifest, id: "nonsense" }), []);
  assert.notDeepEqual(complaints({ ...manifest, unheardOf: true }), []);
  const bots = [{ ...manifest.bots[0], scopes: ["everywhere"] }];
  assert.notDeepEqual(complaints({ ...manifest, bots }), []);
});

test("a bad argument is named and nothing is written", () => {
  assert.throws(() => made("--domain", "https://bridge.example.com/"), /--domain/);
  const flags = ["--app-id", "x", "--domain", "bridge.example.com", "--out", path.join(folder, "none.zip")];
  assert.throws(() => execFileSync(program, flags, { stdio: "pipe" }), /--app-id is not a GUID/);
  assert.throws(() => readFileSync(path.join(folder, "none.zip")), /ENOENT/);
});
