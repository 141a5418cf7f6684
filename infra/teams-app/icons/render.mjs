// Renders the drawings beside this file into the sizes that Teams wants. Run after a drawing has changed:
//   (cd tests/browser && npm ci --ignore-scripts) && node infra/teams-app/icons/render.mjs
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const require = createRequire(new URL("../../../tests/browser/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
for (const [drawing, size] of [
  ["color", 192],
  ["color32x32", 32],
  ["outline", 32],
]) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  const svg = readFileSync(new URL(`${drawing}.svg`, import.meta.url), "utf8");
  await page.setContent(`<style>*{margin:0}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`);
  await page.screenshot({ path: new URL(`${drawing}.png`, import.meta.url).pathname, omitBackground: true });
  await page.close();
}
await browser.close();
