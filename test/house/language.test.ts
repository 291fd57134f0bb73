/**
 * Plain technical English: words not to say in comments, logs, texts of the programs and pages. Each hides who does what, or
 * makes a person of a program; what to say instead stands beside it.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { files, ROOT, read } from "./source.ts";

const NOT_TO_SAY: readonly (readonly [RegExp, instead: string])[] = [
  [/\bwhoever\b/i, "the one that is meant: the caller, a client, a process that …"],
  // Not the user of that name.
  [/(?<!USER |-o )\bnobody\b/i, "no host, no worker, no client; or the passive: that is not read"],
  [/\b(he|him|his|himself|she|hers?|herself)\b/i, "it, or the noun"],
  [/\bmanners?\b(?! of)/i, "what it does: operating, behaviour, limits"],
  [/\bnot to be had\b/i, "not available"],
  [/\b(is|was|be) fed\b/i, "pinged, filled, given"],
  [/\bhow-manieth\b/i, "the number of"],
  [/\blies about\b/i, "stands, is"],
  [/\bto the curious|the curious\b/i, "who it is for"],
  [/\brolls? dice\b/i, "reads a random number"],
];

/** What people read of ours; but for the list itself. */
const READ = [
  ...files("src", /\.tsx?$/),
  ...files("native-bindings", /\.(cc|h)$/),
  ...files("test", /\.(tsx?|mjs|cc|h|md)$/).filter((path) => path !== "test/house/language.test.ts"),
  ...files("docker", /^(?!\.)/),
  ...files("deploy", /\.(ya?ml|json|service)$/),
  ...files("docs", /\.(md|yaml)$/),
  ...["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].filter((path) => existsSync(join(ROOT, path))),
];

const found = (path: string, text: string) =>
  text
    .split("\n")
    .flatMap((line, n) =>
      NOT_TO_SAY.filter(([word]) => word.test(line)).map(
        ([word, instead]) => `${path}:${n + 1}: ${word.exec(line)![0]}: say ${instead}`,
      ),
    );

it("no word that hides who does what", () => {
  expect(READ.length).toBeGreaterThan(550);
  expect(READ.flatMap((path) => found(path, read(path)))).toEqual([]);
});

it("the list sees what it should, and only that", () => {
  expect(found("a", "a watchdog that is fed\nWhoever may open it\nfor which he asks").length).toBe(3);
  expect(found("a", "the header, this, there, a histogram, fedora, in a manner of speaking")).toEqual([]);
});

it("the name of a test says what it holds; codes of a rule or a list come last", () => {
  const first = /\b(?:it|test|describe)(?:\.\w+)?\(\s*"(?:§\d|[A-Z]\d{1,2}\b)[^"]*"/g;
  expect('it("N1 no frame leaves"'.match(first)).toHaveLength(1);
  expect('it("no frame leaves (N1)"'.match(first)).toBeNull();
  const names = files("test", /\.ts$/).filter((path) => path !== "test/house/language.test.ts");
  expect(names.flatMap((path) => (read(path).match(first) ?? []).map((name) => `${path}: ${name}`))).toEqual([]);
});
