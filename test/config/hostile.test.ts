/**
 * Files that were written to hurt: whatever stands in a file, the parser returns within a second, never throws, and
 * leaves the process as it was.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { formatErrors, MAX_ERRORS } from "../../src/config/error.ts";
import { parseConfig } from "../../src/config/load.ts";
import { BASE } from "./broken-files.ts";

const KIB = 1024;
/** No test of speed: what these files aim at is quadratic or worse, and would take minutes. */
const BLOW_UP_MS = 15_000;
const nest = (open: string, close: string, depth: number) => `routes: ${open.repeat(depth)}${close.repeat(depth)}`;
const many = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join("");

/** Billion laughs: nine levels of nine aliases. */
const laughs = many(9, (i) => `a${i}: &a${i} [${i === 0 ? "x, x" : `*a${i - 1}, `.repeat(9)}]\n`);

const HOSTILE: readonly (readonly [what: string, text: string, rule: string])[] = [
  ["10 MB of anything", "x".repeat(10 * KIB * KIB), "too-large"],
  ["1 MiB in two-byte characters", "ä".repeat(KIB * KIB - 10), "too-large"],
  ["lists in lists", nest("[", "]", 200_000), "too-deep"],
  ["lists in lists, never closed", nest("[", "", 1000 * KIB), "too-deep"],
  ["mappings in mappings", nest("{a: ", "}", 100_000), "too-deep"],
  ["hyphens", `routes:\n  ${"- ".repeat(400_000)}`, "too-deep"],
  ["question marks", "? ".repeat(400_000), "too-deep"],
  ["indentation", many(1200, (i) => `${" ".repeat(i)}a:\n`), "too-deep"],
  ["an alias bomb", laughs, "too-many-aliases"],
  ["a wide alias bomb", `a: &a [${"x,".repeat(100_000)}]\nb: [${"*a,".repeat(99)}]\n`, "too-many-values"],
  ["an alias of itself", "node: &a [*a]\n", "bad-alias"],
  ["merge of itself", "node: &a {<<: *a}\n", "bad-alias"],
  ["a NUL byte", "node: gw\u00001\n", "bad-character"],
  ["a terminal escape", "node: \u001b[2J\n", "bad-character"],
  ["__proto__", `${BASE}__proto__: {polluted: 1}\n`, "forbidden-key"],
  ["__proto__ inside", `${BASE}log: {"__proto__": {polluted: 1}}\n`, "forbidden-key"],
  ["constructor", `${BASE}constructor: {prototype: {polluted: 1}}\n`, "forbidden-key"],
  ["toString, valueOf, hasOwnProperty", `${BASE}toString: 1\nvalueOf: 1\nhasOwnProperty: 1\n`, "unknown-key"],
  ["one key many times", many(25_000, () => "node: a\n"), "duplicate-key"],
  ["many unknown keys", many(25_000, (i) => `key${i}: 1\n`), "unknown-key"],
  ["many unknown keys inside", `limits: {${many(20_000, (i) => `key${i}: 1, `)}}\n`, "unknown-key"],
  ["many syntax errors", many(30_000, (i) => `"${i}" a: b\n`), "too-deep"],
  ["some syntax errors", many(9, (i) => `"${i}" a: b\n`), "syntax"],
  ["many colons", many(30_000, (i) => `"${i}": a: b\n`), "too-deep"],
  ["many anchors", many(20_000, (i) => `k${i}: &a${i} x\n`), "unknown-key"],
  ["many quotes", `node: ${'"'.repeat(100_000)}`, "syntax"],
  ["too many quotes", `node: ${'"'.repeat(900_000)}`, "too-many-values"],
  ["an open quote over many lines", `node: "${"a\n".repeat(400_000)}`, "syntax"],
  ["a word over many lines", `node: ${"a\n ".repeat(300_000)}`, "bad-value"],
  ["a block of many lines", `node: |\n${" a\n".repeat(300_000)}`, "bad-value"],
  ["backslashes", `node: "${"\\\\".repeat(400_000)}"\n`, "bad-value"],
  ["many documents", "---\n".repeat(40_000), "several-documents"],
  ["too many documents", "---\n".repeat(250_000), "too-many-values"],
  ["a long list", `node: [${"1, ".repeat(45_000)}]\n`, "wrong-type"],
  ["a list of a megabyte", `node: [${"1, ".repeat(300_000)}]\n`, "too-many-values"],
  ["comments", "# x\n".repeat(250_000), "too-many-values"],
  ["a long wrong list", `${BASE}routes: [${"1, ".repeat(45_000)}]\n`, "wrong-type"],
  ["a long wrong line", `node: [${"{a: 1}, ".repeat(15_000)}]\n`, "wrong-type"],
  ["a name of a megabyte", `node: ${"x".repeat(1000 * KIB)}\n`, "bad-value"],
  ["a key of a megabyte", `${"x".repeat(900 * KIB)}: 1\n`, "syntax"],
  [
    "many names that exist nowhere",
    `${BASE}policies: [{name: p, rules: [{drop: true}], interfaces: [${many(4000, (i) => `x${i},`)}]}]\n`,
    "unknown-vsi-interface",
  ],
  [
    "many equal subnets",
    BASE.replace(/^(vsis|interfaces|acs): .*\n/gm, "") +
      `interfaces:\n${many(4000, (i) => `- {name: i${i}, vsi: v, address: 10.0.0.1/8}\n`)}`,
    "unknown-vsi",
  ],
  ["an empty string", "", "empty"],
  ["blanks", " \n".repeat(400_000), "empty"],
];

const clean = Object.getOwnPropertyNames(Object.prototype).sort().join();
afterEach(() => {
  expect(Object.getOwnPropertyNames(Object.prototype).sort().join()).toBe(clean);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

describe("hostile files", () => {
  test.each(HOSTILE)("%s", (_what, text, rule) => {
    const start = performance.now();
    const result = parseConfig(text, "evil.yaml");
    const shown = "errors" in result ? formatErrors(result.errors) : "";
    const took = performance.now() - start;
    expect("errors" in result && result.errors.map((error) => error.rule)).toContain(rule);
    expect(took, "a blow-up takes minutes; a busy machine may take its time").toBeLessThan(BLOW_UP_MS);
    expect("errors" in result && result.errors.length).toBeLessThanOrEqual(2 * MAX_ERRORS);
    expect(shown.length).toBeLessThan(500 * KIB);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: nothing that steers a terminal comes out
    expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});

test("a large good file parses in a time that fits its size", () => {
  const text = `node: gw1
underlay: {address: 192.0.2.1}
tunnels:
${many(64, (i) => `- {name: t${i}, remote: 198.51.100.${i + 1}}\n`)}vsis:
${many(256, (i) => `- {name: v${i}, vni: ${i + 1}}\n`)}interfaces:
${many(256, (i) => `- {name: i${i}, vsi: v${i}, address: 10.${i}.0.1/16}\n`)}acs:
${many(256, (i) => `- {name: a${i}, vsi: v${i}, tap: {device: tap${i}}}\n`)}routes:
${many(5000, (i) => `- {prefix: 100.${i >> 8}.${i & 255}.0/24, nextHop: 10.${i & 255}.0.2}\n`)}`;
  const start = performance.now();
  const result = parseConfig(text, "large.yaml");
  const took = performance.now() - start;
  expect("config" in result && result.config.routes.length).toBe(5000);
  expect(took).toBeLessThan(BLOW_UP_MS);
});

describe("random files", () => {
  const example = readFileSync(join(import.meta.dirname, "fixtures", "gw1.yaml"), "utf8");
  const check = (text: string): void => {
    const result = parseConfig(text, "random.yaml");
    if ("config" in result) return;
    expect(result.errors.length).toBeGreaterThan(0);
    expect(formatErrors(result.errors)).not.toBe("");
    for (const error of result.errors) {
      expect(error.rule).toMatch(/^[a-z0-9-]+$/);
      expect(error.message).not.toBe("");
      expect(error.line).toBeLessThanOrEqual(text.split("\n").length);
    }
  };

  test("any text", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), check), { numRuns: 500 });
  });

  test("the example with pieces cut out, doubled or replaced", () => {
    const piece = fc.record({
      at: fc.nat(example.length),
      length: fc.nat(40),
      put: fc.oneof(
        fc.constantFrom(
          "",
          "\t",
          "\n",
          "{",
          "}",
          "[",
          "]",
          ": ",
          "- ",
          '"',
          "'",
          "*a",
          "&a ",
          "null",
          "-1",
          "1e99",
          ".nan",
          "~",
          "<<: ",
          "!!x ",
        ),
        fc.string({ maxLength: 8 }),
        fc.nat(example.length - 50).map((from) => example.slice(from, from + 50)),
      ),
    });
    const mutate = fc
      .array(piece, { minLength: 1, maxLength: 4 })
      .map((pieces) =>
        pieces.reduce((text, { at, length, put }) => text.slice(0, at) + put + text.slice(at + length), example),
      );
    fc.assert(fc.property(mutate, check), { numRuns: 400 });
  });

  test("the example with values of other kinds", () => {
    const lines = example.split("\n");
    const value = fc.oneof(
      fc.json(),
      fc.constantFrom(
        "[]",
        "{}",
        "null",
        "0",
        "-1",
        "true",
        '""',
        "[[]]",
        "[{}]",
        "[null]",
        "1.5",
        "99999999999999999999",
      ),
    );
    const swap = fc.tuple(fc.nat(lines.length - 1), value).map(([index, put]) => {
      const line = lines[index]!;
      // Behind the last colon of a line, up to what closes it, stands a value.
      return lines
        .with(
          index,
          line.replace(/: [^:]*?([\]}]*)$/, (_, end: string) => `: ${put}${end}`),
        )
        .join("\n");
    });
    fc.assert(fc.property(swap, check), { numRuns: 400 });
  });
});
