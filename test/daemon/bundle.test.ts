/** What the daemon loads is text that V8 keeps: one byte for each character, and only what is used. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const BUNDLES = [
  "main.js",
  "dataplane/worker.bundle.js",
  ...readdirSync(DIST).filter((name) => name.endsWith(".chunk.js")),
];

it("the bundles are ASCII, without the messages of other languages", () => {
  for (const name of BUNDLES) {
    const text = readFileSync(DIST + name, "utf8");
    expect([name, /[^\0-\x7f]/.exec(text)?.index]).toEqual([name, undefined]);
    expect([name, text.includes("zod/v4/locales/fr.js")]).toEqual([name, false]);
  }
});
