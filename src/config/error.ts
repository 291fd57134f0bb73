/**
 * What the operator did wrong, said so that it can be mended without the manual: file, line and column, the path of
 * the key, the rule that was broken, what is wrong, the line itself with a caret, and the fix in words.
 *
 * The text of a broken file is hostile to a terminal (escape sequences) and to a log (one line of a megabyte), so
 * everything quoted from it is clipped and made printable here, and the number of reported errors is bounded.
 */
import { printable } from "../wire/printable.ts";
import type { Path } from "./json-schema.ts";

export interface ConfigError {
  readonly file: string;
  /** 1-based; 0 where the file as a whole is meant. */
  readonly line: number;
  /** 1-based, in UTF-16 units; 0 with line 0. */
  readonly column: number;
  /** Key path as people write it, "vsis[1].vni"; "" for the file as a whole. */
  readonly path: string;
  /** Short stable name of the rule, "duplicate-vni". */
  readonly rule: string;
  readonly message: string;
  /** What to do about it. */
  readonly fix: string;
  /** The line, clipped and printable; "" with line 0. */
  readonly text: string;
  /** Where in `text` the caret stands (0-based), and how many characters it spans (≥ 1). */
  readonly caret: number;
  readonly span: number;
}

/** More than this many errors are no help. */
export const MAX_ERRORS = 200;
const CLIP = 110;

/** "vsis[1].vni" */
export function pathText(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? clip(step) : `.${clip(step)}`;
  }
  return text;
}

/** Printable and at most `most` characters long. */
export function clip(text: string, most = 60): string {
  const short = text.length > most ? `${text.slice(0, most - 1)}…` : text;
  return printable(short);
}

/** A value of the file as a message shows it. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (typeof value === "string") return `"${clip(value, 40)}"`;
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return clip(String(value), 40);
}

/** An error at a place of the text; `starts` holds the offset of every line's first character. */
export function errorAt(
  file: string,
  text: string,
  starts: readonly number[],
  place: { readonly offset: number; readonly length: number },
  what: { readonly path: string; readonly rule: string; readonly message: string; readonly fix: string },
): ConfigError {
  const offset = Math.min(place.offset, text.length);
  const index = lineOf(starts, offset);
  const start = starts[index]!;
  const end = Math.min(starts[index + 1] ?? text.length + 1, text.length + 1) - 1;
  const at = offset - start;
  // A window around the caret: of a line of a megabyte, the part that matters.
  const from = at < CLIP - 20 ? 0 : at - 40;
  const shown = printable(text.slice(start + from, Math.min(end, start + from + CLIP)).replace(/\r$/, ""));
  const caret = Math.min(at - from, shown.length);
  const span = Math.max(1, Math.min(place.length, shown.length - caret));
  return { file, line: index + 1, column: at + 1, ...what, text: shown, caret, span };
}

/** An error of the file as a whole. */
export function errorOf(file: string, rule: string, message: string, fix: string): ConfigError {
  return { file, line: 0, column: 0, path: "", rule, message, fix, text: "", caret: 0, span: 1 };
}

/** Index of the line that holds an offset. */
export function lineOf(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** For people, one block per error. */
export function formatErrors(errors: readonly ConfigError[]): string {
  return errors.map(formatError).join("\n\n");
}

function formatError(error: ConfigError): string {
  const place = error.line === 0 ? error.file : `${error.file}:${error.line}:${error.column}`;
  const path = error.path === "" ? "" : `${error.path}: `;
  const lines = [`${clip(place, 300)}: ${path}${error.message} [${error.rule}]`];
  if (error.line > 0) {
    const number = String(error.line);
    lines.push(`  ${number} | ${error.text}`);
    lines.push(`  ${" ".repeat(number.length)} | ${" ".repeat(error.caret)}${"^".repeat(error.span)}`);
  }
  if (error.fix !== "") lines.push(`  fix: ${error.fix}`);
  return lines.join("\n");
}

/** The word that was probably meant: within two slips of the pen (fewer for short words), else null. */
export function nearest(word: string, known: Iterable<string>): string | null {
  if (word.length > 64) return null;
  const most = word.length <= 3 ? 1 : 2;
  let best: string | null = null;
  let bestDistance = most + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) > most) continue;
    const distance = slips(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Damerau-Levenshtein with neighbouring transpositions. */
function slips(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
    }
    before = above;
    above = row;
  }
  return above[b.length]!;
}
