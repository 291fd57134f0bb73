/**
 * stdout and stderr, as vtepd, vtepctl and the lab write to them: the one door to the terminal.
 *
 * Text may come from a VM, a peer, a file or a daemon that is not ours, so everything is made printable here; escape
 * sequences are made of `Painted` pieces and of nothing else.
 *
 * Output that cannot be written is a failure, or `vtepd schema > FILE` on a full disk would look like success: one line on
 * stderr and exit code 1. A reader who has gone (`| head`) has what was wanted: exit code 0, without a word.
 */
import { writeSync } from "node:fs";
import { printableLines } from "../wire/printable.ts";

/** Text with a style: parameters of SGR (ECMA-48 §8.3.117). */
export interface Painted {
  readonly text: string;
  readonly style: number;
}
export type Piece = string | Painted;

const paint =
  (style: number) =>
  (text: string): Painted => ({ text, style });
export const bold = paint(1);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);

/** To stdout. Resolves when it is written; what cannot be written ends the program. */
export function write(...pieces: readonly Piece[]): Promise<void> {
  return put(pieces.map(rendered).join(""));
}

/** To stderr; where it is not read, nothing is lost that could be said otherwise. */
export function say(...pieces: readonly Piece[]): void {
  process.stderr.write(pieces.map(rendered).join(""));
}

/** To stdout as it is: for text in which every piece from outside has been made printable already. */
export function put(text: string): Promise<void> {
  if (isFile()) {
    putWhole(text);
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    process.stdout.write(text, (error) => (error == null ? resolve() : lose(error)));
  });
}

/** Would bytes written to stdout meet a terminal? */
export function isTerminal(): boolean {
  return process.stdout.isTTY === true;
}

/** Columns of the terminal; 0: it is none, or does not say. */
export function terminalWidth(): number {
  return isTerminal() ? (process.stdout.columns ?? 0) : 0;
}

/** Begin at the top of an empty screen (ECMA-48 §8.3.21 CUP, §8.3.39 ED). */
export function clearScreen(): Promise<void> {
  return put("\u001b[H\u001b[J");
}

/** What a program does when its output cannot be written. */
let lose: (error: NodeJS.ErrnoException) => void = giveUp;

/**
 * Call once, first thing in a program: an error of a stream that is not handled ends the process with a stack, even when the
 * callback of the write has had it. `onLost`: what to do instead of ending at once.
 */
export function guardOutput(onLost: (error: NodeJS.ErrnoException) => void = giveUp): void {
  lose = onLost;
  process.stdout.on("error", onLost);
  process.stderr.on("error", () => undefined);
}

function rendered(piece: Piece): string {
  if (typeof piece === "string") return printableLines(piece);
  return `\u001b[${piece.style}m${printableLines(piece.text)}\u001b[0m`;
}

/** Node writes to files and to devices like /dev/full with one write(2), and takes no notice of how much of it was written. */
function isFile(): boolean {
  return (process.stdout as { _type?: string })._type === "fs";
}

function putWhole(text: string): void {
  const bytes = Buffer.from(text);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
  } catch (error) {
    lose(error as NodeJS.ErrnoException);
  }
}

function giveUp(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(0);
  try {
    writeSync(2, `error: cannot write the output: ${error.message}\n`);
  } catch {
    // stderr is full, too: the exit code is left
  }
  process.exit(1);
}
