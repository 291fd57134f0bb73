/**
 * The pictures of docs/web/: a screenshot of each view, from a lab that is up, in namespaces or in Docker.
 *
 *     npm run lab -- up && npm run lab -- web --port 8099     # in another terminal; it prints the address
 *     node test/web/screenshots.mjs 'http://127.0.0.1:8099/#t=…'
 */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const TO = join(import.meta.dirname, "../../docs/web");
const [, , url] = process.argv;
if (url === undefined) throw new Error("usage: node test/web/screenshots.mjs ADDRESS");
const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";

mkdirSync(TO, { recursive: true });
const browser = await chromium.launch({ executablePath: PROGRAM, args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce" });
const shoot = (name) => page.screenshot({ path: join(TO, `${name}.png`) });
const go = async (view) => {
  await page.evaluate(`location.hash = "#/${view}"`);
  await page.waitForSelector("main h2");
};
await page.goto(url);
await page.waitForSelector("[data-gateway]");
await go("walk");
if ((await page.locator("button", { hasText: "S2" }).count()) > 0) await page.click("text=S2");
else {
  await page.click("text=my own ping");
  await page.waitForSelector("text=ping now");
  execFileSync(join(import.meta.dirname, "../../docker/lab"), ["walk", "2"], { stdio: "ignore" });
}
await page.waitForSelector("svg.stage", { timeout: 60_000 });
for (let at = 1; at < 10; at++) await page.keyboard.press("ArrowRight");
await page.evaluate("scrollTo(0, 0)");
await page.setViewportSize({ width: 1280, height: 1120 });
await shoot("walk");
await page.setViewportSize({ width: 1280, height: 900 });
await go("fabric");
// A picture of rates needs a few looks.
await page.waitForTimeout(6000);
await page.locator("svg .cable").first().click();
await page.waitForTimeout(1500);
await shoot("fabric");
await go("trace");
await page.waitForTimeout(1000);
await page.click("text=follow it");
await page.waitForSelector(".way");
await shoot("trace");
await go("tables");
await page.waitForSelector(".grid tbody tr");
await shoot("tables");
await go("events");
await page.waitForSelector(".events tbody tr");
await shoot("events");
await browser.close();
