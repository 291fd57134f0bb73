/**
 * Tables for people: an upper-case header, columns aligned and two blanks apart, nothing drawn around them.
 *
 * The rows come sorted, and a wide table (`-w`) always has the same columns, so that the output of two moments can be
 * compared with `diff`. A table that must fit a width leaves out what tells the reader least: columns that are empty, that
 * say the same in each of several rows, and, while it is still too wide, those of the highest rank. Numbers stand on the
 * right. Text from the daemon is made printable: a name must not be able to move the cursor.
 */
import { printable } from "../wire/printable.ts";

export type Cell = string | number | boolean | null;

export interface Column<T> {
  readonly title: string;
  readonly of: (row: T) => Cell;
  readonly right?: boolean;
  /** In place of `of` in a table that must fit: a size in short, the length of a list. */
  readonly brief?: (row: T) => Cell;
  /** Absent: the column is always shown. Columns of one rank go together. */
  readonly rank?: number;
  /** A measured value: that it is the same in all rows just now is worth saying. */
  readonly measured?: true;
  /** Text that may be broken into lines at its blanks. */
  readonly wraps?: true;
}

export interface Table {
  /** With a line feed at the end. */
  readonly text: string;
  /** Titles of the columns that were left out. */
  readonly left: readonly string[];
}

const GAP = 2;
/** A narrower column of text is unreadable. */
const LEAST_TEXT = 24;

/** The table's text; without a width every column in full. */
export function renderTable<T>(columns: readonly Column<T>[], rows: readonly T[], width = Number.POSITIVE_INFINITY) {
  return layOut(columns, rows, width).text;
}

export function layOut<T>(columns: readonly Column<T>[], rows: readonly T[], width: number): Table {
  const isWide = width === Number.POSITIVE_INFINITY;
  const all = columns.map((column) => ({
    column,
    cells: rows.map((row) => cell((isWide ? column.of : (column.brief ?? column.of))(row))),
  }));
  let kept = isWide ? all : all.filter(({ column, cells }) => column.rank === undefined || tells(column, cells));
  for (const rank of isWide ? [] : ranksOf(columns)) {
    if (least(kept) <= width) break;
    kept = kept.filter(({ column }) => column.rank !== rank);
  }
  const widths = kept.map(({ column, cells }) => widthOf(column, cells));
  const over = total(widths) - width;
  const wrapped = kept.findIndex(({ column }) => column.wraps === true);
  if (over > 0 && wrapped >= 0) widths[wrapped] = Math.max(LEAST_TEXT, widths[wrapped]! - over);
  const lines = [kept.map(({ column }) => [column.title])];
  for (const row of rows.keys())
    lines.push(kept.map(({ cells }, i) => (i === wrapped ? broken(cells[row]!, widths[i]!) : [cells[row]!])));
  const shown = kept.map(({ column }) => column as Column<never>);
  const text = lines.map((line) => renderRow(line, widths, shown)).join("");
  return { text, left: columns.filter((column) => !shown.includes(column as Column<never>)).map(({ title }) => title) };
}

type Filled<T> = { readonly column: Column<T>; readonly cells: readonly string[] };

/** Does a column tell rows apart, or, of one row, anything at all? */
function tells<T>({ measured }: Column<T>, cells: readonly string[]): boolean {
  if (cells.length < 2 || measured === true) return cells.length === 0 || cells.some((text) => text !== "-");
  return cells.some((text) => text !== cells[0]);
}

function ranksOf(columns: readonly Column<never>[]): number[] {
  return [...new Set(columns.flatMap(({ rank }) => rank ?? []))].sort((a, b) => b - a);
}

function widthOf<T>({ title }: Column<T>, cells: readonly string[]): number {
  return cells.reduce((widest, text) => Math.max(widest, lengthOf(text)), title.length);
}

/** The width of a table whose texts are broken as far as they may be. */
function least<T>(filled: readonly Filled<T>[]): number {
  return total(
    filled.map(({ column, cells }) => {
      const widest = widthOf(column, cells);
      return column.wraps === true ? Math.min(widest, LEAST_TEXT) : widest;
    }),
  );
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP * Math.max(0, widths.length - 1);
}

const lengthOf = (text: string) => [...text].length;

function renderRow(
  cells: readonly (readonly string[])[],
  widths: readonly number[],
  columns: readonly Column<never>[],
): string {
  const height = Math.max(1, ...cells.map((lines) => lines.length));
  let text = "";
  for (let line = 0; line < height; line++) {
    const parts = cells.map((lines, i) => {
      const part = lines[line] ?? "";
      const blanks = " ".repeat(Math.max(0, widths[i]! - lengthOf(part)));
      return columns[i]!.right === true ? blanks + part : part + blanks;
    });
    text += `${parts.join(" ".repeat(GAP)).trimEnd()}\n`;
  }
  return text;
}

/** `text` in lines of at most `width`, broken at blanks; a longer word has a line of its own. */
function broken(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && lengthOf(last) + 1 + lengthOf(word) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

export function cell(value: Cell): string {
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

const PREFIXES = ["", "k", "M", "G", "T", "P"] as const;

/** "987", "1.23k", "45.6M": three digits and a decimal prefix. */
export function shortNumber(value: number): string {
  let power = 0;
  let rest = Math.abs(value);
  // 999.5 would be rounded to four digits.
  while (rest >= 999.5 && power < PREFIXES.length - 1) {
    rest /= 1000;
    power++;
  }
  const digits = power === 0 ? (Number.isInteger(rest) ? 0 : 1) : rest < 9.995 ? 2 : rest < 99.95 ? 1 : 0;
  return `${value < 0 ? "-" : ""}${rest.toFixed(digits)}${PREFIXES[power]}`;
}
