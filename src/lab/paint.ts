/**
 * Colour and layout for a terminal. Colour says nothing that the text does not: it is only used where stdout is a
 * terminal and NO_COLOR (no-color.org) is not set.
 */
import { put } from "../ctl/terminal.ts";

const isColoured = process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb";
const colour = (code: number) => (text: string) => (isColoured ? `\x1b[${code}m${text}\x1b[0m` : text);

export const green = colour(32);
export const red = colour(31);
export const yellow = colour(33);
export const dim = colour(2);
export const bold = colour(1);

export function mark(isGood: boolean): string {
  return isGood ? green("✓") : red("✗");
}

const WIDTH = 110;

export function heading(text: string): string {
  return `\n${bold(`━━ ${text} ${"━".repeat(Math.max(3, WIDTH - text.length - 4))}`)}`;
}

/** Rows of cells as aligned columns, each line behind `indent`. */
export function columns(rows: readonly (readonly string[])[], indent = ""): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, visibleLength(cell));
  }
  return rows
    .map((row) =>
      `${indent}${row.map((cell, i) => cell + " ".repeat(widths[i]! - visibleLength(cell))).join("  ")}`.trimEnd(),
    )
    .join("\n");
}

function visibleLength(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is our own colour codes that have no width
  return text.replace(/\x1b\[\d+m/g, "").length;
}

export function print(text: string): void {
  void put(`${text}\n`);
}

/** Progress, for the impatient: stderr. */
export function say(text: string): void {
  process.stderr.write(`lab: ${text}\n`);
}
