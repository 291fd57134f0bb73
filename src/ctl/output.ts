/**
 * How vtepctl speaks: data to stdout in the form that was asked for, everything else to stderr.
 *
 * The three forms say the same: `json` and `yaml` are what the API answered, unchanged and stable; `table` is made for
 * eyes. Colour only where a terminal shows it (NO_COLOR and --color decide first), and only in tables and messages.
 */
import type { Refusal } from "./client.ts";
import { type Column, renderTable } from "./table.ts";

export const FORMS = ["table", "json", "yaml"] as const;
export type Form = (typeof FORMS)[number];

export interface Output {
  readonly form: Form;
  readonly colour: boolean;
}

/** What a verb is given: filled in before its action runs. */
export interface Session {
  socket: string;
  output: Output;
}

/** Is colour wanted on this stream? `--color` beats NO_COLOR beats what the stream is. */
export function wantsColour(option: string | undefined, stream: { readonly isTTY?: boolean }): boolean {
  if (option === "always") return true;
  if (option === "never") return false;
  const forbidden = process.env.NO_COLOR !== undefined && process.env.NO_COLOR !== "";
  return !forbidden && stream.isTTY === true;
}

/** Print a list: as it is, or as a table. */
export async function printList<T>(
  output: Output,
  rows: readonly T[],
  columns: readonly Column<T>[],
  shown: readonly T[] = rows,
): Promise<void> {
  if (output.form !== "table") return await printValue(output, rows);
  const text = renderTable(columns, shown);
  const end = text.indexOf("\n");
  await write(output.colour ? `\u001b[1m${text.slice(0, end)}\u001b[0m${text.slice(end)}` : text);
}

/** Print a value in JSON or YAML; a table form of it is the caller's. */
export async function printValue(output: Output, value: unknown): Promise<void> {
  if (output.form === "json") return await write(`${JSON.stringify(value, null, 2)}\n`);
  const { stringify } = await import("yaml");
  await write(stringify(value));
}

/** Print lines of `name  value`. */
export async function printFacts(facts: readonly (readonly [string, string])[]): Promise<void> {
  const width = Math.max(...facts.map(([name]) => name.length));
  await write(facts.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join(""));
}

/** To stdout; a reader that has gone away (`| head`) ends the program quietly. */
export function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error == null) resolve();
      else if ((error as NodeJS.ErrnoException).code === "EPIPE") process.exit(0);
      else reject(error);
    });
  });
}

/** Say why nothing was printed: one JSON object for programs, two lines for people. */
export function complain(form: Form, colour: boolean, refusal: Refusal): void {
  const { code, message, hint } = refusal;
  if (message === "") return;
  if (form === "json") {
    process.stderr.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
    return;
  }
  const label = colour ? "\u001b[31merror\u001b[0m" : "error";
  process.stderr.write(`${label}: ${message}\n${hint === "" ? "" : `  fix: ${hint}\n`}`);
}
