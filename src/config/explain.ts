/**
 * What zod found, in the operator's words.
 *
 * zod says "Invalid input: expected number, received string"; the operator wants to know which key, what may stand
 * there, and what was probably meant. The ranges, choices and descriptions come out of the schema itself (as JSON
 * Schema), so a message cannot disagree with the manual.
 *
 * Alternatives ("auto" or a number, one prefix or a list) make zod report every branch; here the branch that the
 * operator was in is chosen: the one whose complaint lies deeper than "this is another kind of value".
 */
import type { z } from "zod";
import { plural } from "../wire/plural.ts";
import { clip, MAX_ERRORS, nearest, show } from "./error.ts";
import { descriptionAt, homesOf, keysAt, type Path, type SchemaNode, schemasAt } from "./json-schema.ts";
import type { Fault } from "./source.ts";

type Issue = z.core.$ZodIssue;

/** A fault and whether its place is the key or the value. */
export interface Found extends Fault {
  readonly at: "key" | "value";
  /** How the rest of this reading takes it. */
  readonly repair?: Repair;
}

/** In the mapping at a path: a key is read as another one (`as`), gets another value, or (neither) is left out. */
export interface Repair {
  readonly at: Path;
  readonly key: string | number;
  readonly as?: string;
  readonly value?: string;
  /** Only the quotes were missing, unless the text is wrong as well; then that alone is told. */
  readonly isUnquoted?: true;
}

/** The faults behind one issue. */
export function explain(issue: Issue, prefix: Path): Found[] {
  const path = [...prefix, ...(issue.path as (string | number)[])];
  switch (issue.code) {
    case "unrecognized_keys": {
      const present = Object.keys(issue.input ?? {});
      return issue.keys.slice(0, MAX_ERRORS).map((key) => unknownKey(path, key, present));
    }
    case "invalid_union":
      return explainUnion(issue, path);
    case "invalid_type":
      return [wrongType(path, issue.expected, issue.input)];
    case "invalid_value":
      return [wrongChoice(path, issue.values, issue.input)];
    case "too_small":
    case "too_big":
      // A text where a list of so many entries stands: zod counts its letters, and says beside it that it is no list.
      return issue.origin === "string" ? [] : [outOfBounds(path, issue)];
    case "custom": {
      const fix = typeof issue.params?.fix === "string" ? issue.params.fix : meaning(path);
      return [{ path, rule: "bad-value", message: clip(issue.message, 300), fix, at: "value" }];
    }
    default:
      return [{ path, rule: "bad-value", message: clip(issue.message, 300), fix: meaning(path), at: "value" }];
  }
}

/** Keys of a sample. */
const MOST_FIELDS = 4;
/** A word this short is near to many others: where it is at home says more than what it resembles. */
const SHORT = 3;

/** A key that is not known at this place; `present`: all keys that stand there. */
export function unknownKey(path: Path, key: string, present: readonly string[]): Found {
  const known = keysAt(path);
  const homes = homesOf(key);
  const isAtHome = homes.length > 0 && key.length <= SHORT;
  // "vrfs": a key in the plural, for which there is no list.
  const one = key.endsWith("s") && !known.includes(key.slice(0, -1)) ? homesOf(key.slice(0, -1)) : [];
  const meant = isAtHome || one.length > 0 ? null : nearest(key, known);
  const message = `unknown key ${clip(key)}${meant === null ? "" : `; did you mean ${meant}?`}`;
  let fix = `remove it; known here: ${known.join(", ")}`;
  if (meant !== null && present.includes(meant))
    fix = `${meant} stands here already: put both together, or remove this one`;
  else if (meant !== null) fix = `write ${meant}, or remove it`;
  else if (one.length > 0) fix = `there is no list of them: write ${one.slice(0, 3).join(" or ")}`;
  else if (homes.includes(key)) fix = `${key} is a section of its own: write it without indentation`;
  else if (homes.length > 0) fix = `${clip(key)} belongs in ${homes.slice(0, 3).join(" or ")}`;
  const repair = meant === null ? { at: path, key } : { at: path, key, as: meant };
  return { path: [...path, key], rule: "unknown-key", message, fix, at: "key", repair };
}

/** A word that was meant stands in the place of the one that is written. */
function wordFor(path: Path, meant: string | null): { readonly repair?: Repair } {
  return meant === null ? {} : { repair: { at: path.slice(0, -1), key: path.at(-1)!, value: meant } };
}

function explainUnion(issue: Extract<Issue, { code: "invalid_union" }>, path: Path): Found[] {
  const input = "input" in issue ? issue.input : undefined;
  if (input === undefined || input === null) return [wrongType(path, "value", input)];
  const words = issue.errors.flat().flatMap((each) => (each.code === "invalid_value" ? each.values.map(String) : []));
  const meant = typeof input === "string" ? nearest(input, words) : null;
  const deeper = issue.errors.filter((branch) => branch.length > 0 && !branch.some(isOtherKind));
  if (deeper.length === 1 && meant === null) return deeper[0]!.flatMap((each) => explain(each, path));
  const message = `expected ${choices(path)}, got ${show(input)}`;
  const fix = meant === null ? meaning(path) : `did you mean ${meant}?`;
  return [{ path, rule: "bad-value", message, fix, at: "value", ...wordFor(path, meant) }];
}

function isOtherKind(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === "invalid_union") return issue.errors.every((branch) => branch.some(isOtherKind));
  return issue.code === "invalid_type" || issue.code === "invalid_value";
}

function wrongType(path: Path, expected: string, input: unknown): Found {
  const key = String(path.at(-1) ?? "");
  if (input === undefined) {
    return { path, rule: "missing-key", message: `${key} is missing`, fix: `add ${meaning(path)}`, at: "key" };
  }
  if (input === null) {
    return {
      path,
      rule: "no-value",
      message: `${key} has no value`,
      fix: `give it one or remove the key: ${meaning(path)}`,
      at: "key",
    };
  }
  const message = `expected ${KINDS[expected] ?? expected}, got ${show(input)}`;
  if (expected === "string" && typeof input !== "object") {
    const value = String(input);
    const repair = { at: path.slice(0, -1), key: path.at(-1)!, value, isUnquoted: true } as const;
    return { path, rule: "wrong-type", message, fix: `put it in quotes: "${value}"`, at: "value", repair };
  }
  let fix = meaning(path);
  if (expected === "object")
    fix = `${input === false ? "leave it out, or " : ""}write ${key}: ${sample(path)} (${descriptionAt(path)})`;
  if (expected === "boolean") fix = "write true or false";
  if (expected === "array") fix = "write a list: [a, b], or one entry a line, each after a hyphen";
  if (typeof input === "string" && /^-?\d+$/.test(input) && (expected === "number" || expected === "int")) {
    fix = "write the number without quotes";
  }
  return { path, rule: "wrong-type", message, fix, at: "value" };
}

/** "{intervalMs: 1000, multiplier: 3}": what may stand in a mapping, with the defaults. */
function sample(path: Path): string {
  const fields = schemasAt(path).flatMap((node) => Object.entries(node.properties ?? {}));
  const texts = fields.map(
    ([name, { default: value }]) => `${name}: ${typeof value === "object" ? "…" : (value ?? "…")}`,
  );
  return `{${texts.slice(0, MOST_FIELDS).join(", ")}${texts.length > MOST_FIELDS ? ", …" : ""}}`;
}

const KINDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a whole number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping (key: value)",
};

function wrongChoice(path: Path, values: readonly unknown[], input: unknown): Found {
  if (input === undefined || input === null) return wrongType(path, "value", input);
  const words = values.map(String);
  const meant = typeof input === "string" ? nearest(input, words) : null;
  const message = `expected ${words.join(" | ")}, got ${show(input)}`;
  return {
    path,
    rule: "bad-value",
    message,
    fix: meant === null ? meaning(path) : `did you mean ${meant}?`,
    at: "value",
    ...wordFor(path, meant),
  };
}

function outOfBounds(path: Path, issue: Extract<Issue, { code: "too_small" | "too_big" }>): Found {
  const small = issue.code === "too_small";
  const bound = small ? issue.minimum : issue.maximum;
  const found = { path, rule: "out-of-range", at: "value" } as const;
  if (issue.origin === "array") {
    const message = small
      ? `needs at least ${plural(Number(bound), "entry", "entries")}`
      : `takes at most ${plural(Number(bound), "entry", "entries")}`;
    return { ...found, message, fix: meaning(path) };
  }
  return { ...found, message: `${show(issue.input)} is out of range: expected ${choices(path)}`, fix: meaning(path) };
}

/** "auto | 576..65535" */
function choices(path: Path): string {
  const words = schemasAt(path).flatMap(choiceOf);
  const several = words.length > 1 ? words.filter((word) => word !== "text") : words;
  return [...new Set(several)].join(" | ") || "another value";
}

function choiceOf(node: SchemaNode): string[] {
  if (node.const !== undefined) return [String(node.const)];
  if (node.enum !== undefined) return node.enum.map(String);
  if (node.type === "integer") return [`${node.minimum}..${node.maximum}`];
  if (node.type === "array") return ["a list of these"];
  if (node.type === "string") return ["text"];
  return [];
}

/** The schema's description, as advice. */
function meaning(path: Path): string {
  for (let end = path.length; end > 0; end--) {
    const text = descriptionAt(path.slice(0, end));
    if (text !== "") return `${String(path[end - 1])}: ${text}`;
  }
  return "see vtepd schema";
}
