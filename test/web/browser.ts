/**
 * The page in a real browser: Debian's chromium, driven by playwright-core. Where there is none the tests say so and skip.
 *
 * Every request is noted with where it went, and whatever the page complains of, its own errors and what its policy blocked.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const PROGRAM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file),
);

/** Why there is no browser here; null: there is one. */
export const noBrowser: string | null =
  PROGRAM === undefined ? "no chromium: as root, node test/set-up.mjs test installs it" : null;
if (noBrowser !== null) console.warn(`skipped: ${noBrowser}`);

export async function openBrowser(): Promise<Browser> {
  // Root's chromium has no sandbox; the pages are ours.
  return await chromium.launch({ executablePath: PROGRAM!, args: ["--no-sandbox"] });
}

const require = createRequire(import.meta.url);

/** What axe finds on the page as it is now, serious and worse. The page must have been opened with bypassCSP. */
export async function seriousIn(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = (await page.evaluate("axe.run()")) as {
    violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return serious.map(({ id, nodes }) => `${id}: ${nodes[0]!.html.slice(0, 200)} ${nodes[0]!.failureSummary}`);
}

export interface Watched {
  readonly page: Page;
  readonly requests: string[];
  readonly complaints: string[];
}

export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(url);
  return { page, requests, complaints };
}
