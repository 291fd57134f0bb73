/**
 * The log: JSON lines on stderr, or lines for people where stderr is a terminal.
 *
 * A line has a time, a level, and an `event` key from control/event.ts (or one of the daemon's own) with plain fields:
 * people grep for and alert on the keys, so they are the contract and the words around them are not. Written
 * synchronously: the line that explains a crash must be out before the process is.
 *
 * A flood of events must not become a flood of log: of each reason (event, and its `reason` field where it has one) at
 * most LINES_PER_SECOND lines go out in a second; what was left out is told as `suppressed: N`, in a line of its own
 * when the second is over. Lines of level error are never left out.
 */
import { type DestinationStream, destination, type Logger, pino } from "pino";
import type { Emit, EventFields } from "../control/event.ts";
import type { LogConfig } from "../control/plan.ts";
import { printable } from "../wire/printable.ts";

export const LINES_PER_SECOND = 10;
/** Most reasons remembered in one second; more are one reason together. */
const MAX_REASONS = 256;

export type Level = Parameters<Emit>[0];

export interface Log {
  /** One line. `event` is a stable key. */
  readonly line: (level: Level, event: string, fields?: EventFields) => void;
  /** For control; the same, as its type has it. */
  readonly emit: Emit;
  setLevel(level: LogConfig["level"]): void;
  readonly level: string;
}

export interface LogOptions {
  readonly level: LogConfig["level"];
  readonly format: LogConfig["format"];
  /** Fields of every line. */
  readonly base: EventFields;
  /** Where lines go; default: stderr. */
  readonly stream?: DestinationStream;
  readonly isTerminal?: boolean;
  readonly colour?: boolean;
  /** Milliseconds of any clock; for the rate limit. */
  readonly now?: () => number;
}

export function createLog(options: LogOptions): Log {
  const isTerminal = options.isTerminal ?? process.stderr.isTTY === true;
  const pretty = options.format === "pretty" || (options.format === "auto" && isTerminal);
  const colour = options.colour ?? (isTerminal && process.env.NO_COLOR === undefined);
  const sink = options.stream ?? standardError();
  const stream = pretty ? prettyStream(sink, colour) : sink;
  const logger: Logger = pino(
    {
      level: options.level,
      base: pretty ? {} : options.base,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: "message",
    },
    stream,
  );
  const limiter = new Limiter(options.now ?? (() => performance.now()), (level, event, suppressed) =>
    logger[level]({ event, suppressed }),
  );
  const line = (level: Level, event: string, fields: EventFields = {}): void => {
    if (!logger.isLevelEnabled(level)) return;
    if (level === "error" || limiter.admit(level, event, fields)) logger[level]({ event, ...fields });
  };
  return {
    line,
    emit: line,
    setLevel: (level) => {
      logger.level = level;
    },
    get level() {
      return logger.level;
    },
  };
}

/** A log that nobody reads any more (EPIPE) must not stop the gateway: the lines are lost, the frames are not. */
function standardError(): DestinationStream {
  const stream = destination({ dest: 2, sync: true });
  stream.on("error", () => undefined);
  return stream;
}

/** Ten lines a second for each reason, and the count of the others. */
class Limiter {
  private readonly now: () => number;
  private readonly tell: (level: Level, event: string, suppressed: number) => void;
  private readonly reasons = new Map<string, { level: Level; event: string; lines: number; suppressed: number }>();
  private until = Number.NEGATIVE_INFINITY;

  constructor(now: () => number, tell: (level: Level, event: string, suppressed: number) => void) {
    this.now = now;
    this.tell = tell;
  }

  admit(level: Level, event: string, fields: EventFields): boolean {
    const now = this.now();
    if (now >= this.until) {
      this.settle();
      this.until = now + 1000;
    }
    let key = `${event} ${fields.reason ?? ""}`;
    if (!this.reasons.has(key) && this.reasons.size >= MAX_REASONS) key = event;
    const reason = this.reasons.get(key) ?? { level, event, lines: 0, suppressed: 0 };
    this.reasons.set(key, reason);
    if (reason.lines < LINES_PER_SECOND) {
      reason.lines++;
      return true;
    }
    // The first one left out makes sure that somebody tells of it, even if this was the last event for hours.
    if (reason.suppressed++ === 0) setTimeout(() => this.settle(), Math.max(0, this.until - now)).unref();
    return false;
  }

  private settle(): void {
    const over = [...this.reasons.values()];
    this.reasons.clear();
    for (const { level, event, suppressed } of over) if (suppressed > 0) this.tell(level, event, suppressed);
  }
}

// ---- lines for people ------------------------------------------------------------------------------------------

const PAINT: Readonly<Record<string, string>> = {
  debug: "\u001b[2m",
  info: "\u001b[32m",
  warn: "\u001b[33m",
  error: "\u001b[31m",
  fatal: "\u001b[31m",
};

/** `12:00:00.000 INFO  neighbor.learned  interface=vsi-interface10 ip=10.1.1.11`; a stack follows on lines of its own. */
function prettyStream(sink: DestinationStream, colour: boolean): DestinationStream {
  return { write: (json) => sink.write(prettyLine(json, colour)) };
}

function prettyLine(json: string, colour: boolean): string {
  const { time, level, event, message, stack, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const words = Object.entries(fields).map(([key, value]) => `${key}=${shown(value)}`);
  if (message !== undefined) words.unshift(shown(message));
  const label = String(level).toUpperCase().padEnd(5);
  const painted = colour ? `${PAINT[String(level)] ?? ""}${label}\u001b[0m` : label;
  const lines = [`${clock} ${painted} ${event}  ${words.join(" ")}`.trimEnd()];
  if (typeof stack === "string") lines.push(...stack.split("\n").map((each) => `    ${printable(each)}`));
  return `${lines.join("\n")}\n`;
}

/** A field for a terminal: nothing in it may move the cursor. */
function shown(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return printable(text);
}
