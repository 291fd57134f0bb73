/**
 * How vtepctl speaks: data to stdout in the form that was asked for, everything else to stderr.
 *
 * The three forms say the same: `json` and `yaml` are what the API answered, unchanged and stable (characters that must not
 * reach a terminal are written as escapes); `table` is made for eyes. Colour only where a terminal shows it (NO_COLOR and
 * --color decide first), and only in tables and messages.
 */
import { isPrintable, printable, printableJson } from "../wire/printable.ts";
import type { Refusal } from "./client.ts";
import { type Column, cell, layOut } from "./table.ts";
import { bold, isTerminal, put, red, say, terminalWidth, write } from "./terminal.ts";

export const FORMS = ["table", "json", "yaml"] as const;
export type Form = (typeof FORMS)[number];

export interface Output {
  readonly form: Form;
  readonly colour: boolean;
  /** More answers follow: each is one line of JSON. */
  readonly isStream?: boolean;
}

/** What a verb is given: filled in before its action runs. */
export interface Session {
  /** The gateway that is asked, the first where there are several. */
  socket: string;
  /** All that were named. */
  sockets: readonly string[];
  output: Output;
}

/** Is colour wanted on this stream? `--color` beats NO_COLOR beats what the stream is. */
export function wantsColour(option: string | undefined, stream: { readonly isTTY?: boolean }): boolean {
  if (option === "always") return true;
  if (option === "never") return false;
  const forbidden = process.env.NO_COLOR !== undefined && process.env.NO_COLOR !== "";
  return !forbidden && stream.isTTY === true;
}

/** What a table has to fit into where nothing says how wide the terminal is. */
const WIDTH = 80;

/**
 * Print a list: as it is, or as a table that fits; a terminal is told what was left out. A table without rows is the sentence
 * `none`, on stderr: programs that read lines find none.
 */
export async function printList<T>(
  output: Output,
  rows: readonly T[],
  columns: readonly Column<T>[],
  { isWide = false, none = "there is nothing to show" } = {},
): Promise<void> {
  if (output.form !== "table") return await printValue(output, rows);
  if (rows.length === 0) return say(`${none}\n`);
  const { text, left } = layOut(columns, rows, isWide ? Number.POSITIVE_INFINITY : Math.max(WIDTH, terminalWidth()));
  const end = text.indexOf("\n");
  const head = text.slice(0, end);
  await write(output.colour ? bold(head) : head, text.slice(end));
  if (left.length > 0 && isTerminal()) say(`(-w shows ${left.join(", ")}, too)\n`);
}

/** Each row as lines of `TITLE  value`, all columns in full, with an empty line between rows. */
export async function printBlocks<T>(columns: readonly Column<T>[], rows: readonly T[]): Promise<void> {
  for (const [i, row] of rows.entries()) {
    if (i > 0) await write("\n");
    await printFacts(columns.map(({ title, of }) => [title, cell(of(row))]));
  }
}

/** Print a value in JSON or YAML; a table form of it is the caller's. */
export async function printValue(output: Output, value: unknown): Promise<void> {
  if (output.form === "json") return await put(`${jsonText(value, output.isStream)}\n`);
  const { Document, visit } = await import("yaml");
  const document = new Document(value);
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === "string" && !isPrintable(node.value.replaceAll("\n", ""))) node.type = "QUOTE_DOUBLE";
    },
  });
  await put(printableJson(document.toString()));
}

/** `value` as JSON for people (indented), or on one line. */
export function jsonText(value: unknown, isOneLine = false): string {
  return printableJson(JSON.stringify(value, null, isOneLine ? 0 : 2));
}

/** Print lines of `name  value`. */
export async function printFacts(facts: readonly (readonly [string, string])[]): Promise<void> {
  const width = Math.max(...facts.map(([name]) => name.length));
  await write(facts.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}\n`).join(""));
}

/** Say why nothing was printed: one JSON object for programs, two lines for people. */
export function complain(form: Form, colour: boolean, refusal: Refusal): void {
  const { code, message, hint } = refusal;
  if (message === "") return;
  if (form === "json") {
    say(`${jsonText({ error: { code, message, hint } }, true)}\n`);
    return;
  }
  say(colour ? red("error") : "error", `: ${message}\n${hint === "" ? "" : `  fix: ${hint}\n`}`);
}
