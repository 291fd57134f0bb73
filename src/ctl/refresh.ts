/**
 * `--watch`: a question asked again and again, and its answer shown in place of the one before.
 *
 * On a terminal the screen is drawn anew; elsewhere one answer follows the other, with the time between tables, as one line
 * of JSON or as one YAML document. Counters become rates, for which the answer before is handed over as well. A gateway that
 * does not answer for a while (a restart) is said, and asked again.
 */
import { type Command, InvalidArgumentError } from "commander";
import { EXIT, Refusal } from "./client.ts";
import type { Output, Session } from "./output.ts";
import { clearScreen, isTerminal, write } from "./terminal.ts";

const DEFAULT_SECONDS = 2;
const LEAST_SECONDS = 0.1;
const MOST_SECONDS = 3600;

/** What follows `--watch`: seconds, or (`--watch vm1`) the first word of what is asked. */
export interface Watch {
  readonly seconds: number;
  readonly word: string | null;
}

/** The answer before, and how long ago it was given. */
export interface Before<T> {
  readonly value: T;
  readonly seconds: number;
}

export function watched(command: Command): Command {
  return command.option(
    "--watch [seconds]",
    `show it again every ${DEFAULT_SECONDS} seconds, until interrupted`,
    (text) => {
      const seconds = Number(text);
      if (Number.isNaN(seconds)) return { seconds: DEFAULT_SECONDS, word: text } satisfies Watch;
      if (seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS) return { seconds, word: null } satisfies Watch;
      throw new InvalidArgumentError(`seconds from ${LEAST_SECONDS} to ${MOST_SECONDS} are needed.`);
    },
  );
}

/** `--watch` alone is `true`. */
export function watchOf(option: Watch | true | undefined): Watch | null {
  if (option === undefined) return null;
  return option === true ? { seconds: DEFAULT_SECONDS, word: null } : option;
}

/** Read and print, once or until interrupted. */
/** What was asked for is not there: refused, but while it is watched, when it may come and go. */
export function missing(watch: Watch | null, text: string, hint: string): void {
  if (watch === null) throw new Refusal("not_found", text, hint, EXIT.notFound);
}

export async function refresh<T>(
  session: Session,
  watch: Watch | null,
  read: () => Promise<T>,
  print: (output: Output, value: T, before: Before<T> | null) => Promise<void>,
): Promise<void> {
  if (watch === null) return await print(session.output, await read(), null);
  const output: Output = { ...session.output, isStream: true };
  const pause = new Pause();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, pause.end);
  let last: { value: T; at: number } | null = null;
  while (!pause.isOver) {
    const at = performance.now();
    const value = await read().catch((error) => {
      if (last === null || !(error instanceof Refusal) || error.exit !== EXIT.unreachable) throw error;
      return error;
    });
    await newPage(output);
    if (value instanceof Refusal) await write(`${value.message}; asking again\n`);
    else {
      await print(output, value, last === null ? null : { value: last.value, seconds: (at - last.at) / 1000 });
      last = { value, at };
    }
    await pause.take(watch.seconds * 1000 - (performance.now() - at));
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, pause.end);
}

async function newPage({ form }: Output): Promise<void> {
  if (form === "json") return;
  if (form === "yaml") return await write("---\n");
  if (isTerminal()) await clearScreen();
  await write(`${new Date().toISOString().slice(11, 19)} UTC\n`);
}

/** A wait that an interrupt cuts short. */
class Pause {
  isOver = false;
  private wake: () => void = () => undefined;

  readonly end = (): void => {
    this.isOver = true;
    this.wake();
  };

  take(ms: number): Promise<void> {
    if (this.isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, ms));
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
