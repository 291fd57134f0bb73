/**
 * Tables for people: an upper-case header, columns aligned and two blanks apart, nothing drawn around them.
 *
 * The rows come sorted and the columns are fixed, so that the output of two moments can be compared with `diff`. Numbers
 * stand on the right. Text from the daemon is made printable: a name must not be able to move the cursor.
 */
import { printable } from "../wire/printable.ts";

export interface Column<T> {
  readonly title: string;
  readonly of: (row: T) => string | number | boolean | null;
  readonly right?: boolean;
}

/** The table's text, with a line feed at the end. */
export function renderTable<T>(columns: readonly Column<T>[], rows: readonly T[]): string {
  const lines = [columns.map((column) => column.title)];
  for (const row of rows) lines.push(columns.map((column) => cell(column.of(row))));
  const widths = columns.map((_, i) => lines.reduce((widest, line) => Math.max(widest, [...line[i]!].length), 0));
  return lines.map((line) => `${renderLine(line, widths, columns)}\n`).join("");
}

function renderLine(line: readonly string[], widths: readonly number[], columns: readonly Column<never>[]): string {
  const cells = line.map((text, i) => {
    const blanks = " ".repeat(widths[i]! - [...text].length);
    return columns[i]!.right === true ? blanks + text : text + blanks;
  });
  return cells.join("  ").trimEnd();
}

function cell(value: string | number | boolean | null): string {
  if (value === null || value === "") return "-";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return printable(String(value));
}

/** "3s", "4m", "2h", "5d": one unit is enough for an age. */
export function shortAge(seconds: number | null): string {
  if (seconds === null) return "-";
  if (seconds < 120) return `${Math.floor(seconds)}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
