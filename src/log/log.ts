/**
 * The log: JSON lines on stderr, or lines for people where stderr is a terminal.
 *
 * A line has a time, a level, and an `event` key from control/event.ts (or one of the daemon's own) with plain fields:
 * people grep for and alert on the keys, so they are the contract and the words around them are not. Where stderr takes
 * nothing, lines are lost and counted (sink.ts): a log must not stop the gateway. The end of the process waits for it
 * (`drain`), so that the line that explains a crash is out before the process is.
 *
 * A flood of events must not become a flood of log: of each reason (event, and its `reason` field where it has one) at
 * most LINES_PER_SECOND lines go out in a second, and above level debug BURST_LINES in all before that becomes one every
 * REFILL_MS: a network that misbehaves for a night is a hundred kilobytes an hour and not the disk. What was left out is
 * told as `suppressed: N`, in a line of its own, when the second is over or, in a long flood, every TELL_MS. Lines of
 * level error are never left out.
 */
import { type DestinationStream, type Logger, pino } from "pino";
import type { Emit, EventFields } from "../control/event.ts";
import type { LogConfig } from "../control/plan.ts";
import { printable } from "../wire/printable.ts";
import { LogSink } from "./sink.ts";

export const LINES_PER_SECOND = 10;
export const BURST_LINES = 30;
const REFILL_MS = 10_000;
const TELL_MS = 60_000;
/** Most reasons remembered; more are one reason together. */
const MAX_REASONS = 256;

export type Level = Parameters<Emit>[0];

export interface Log {
  /** One line. `event` is a stable key. */
  readonly line: (level: Level, event: string, fields?: EventFields) => void;
  /** For control; the same, as its type has it. */
  readonly emit: Emit;
  setLevel(level: LogConfig["level"]): void;
  readonly level: string;
  /** Lines that stderr did not take, ever. */
  readonly lost: number;
  /** Wait for what is on its way, but no longer than `ms`. @returns is it out? */
  drain(ms: number): Promise<boolean>;
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
  const standardError = options.stream === undefined ? new LogSink(2) : null;
  const sink = options.stream ?? standardError!;
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
  if (standardError !== null) standardError.onRoom = (lines) => logger.warn({ event: "log.lost", lines });
  return {
    line,
    emit: line,
    setLevel: (level) => {
      logger.level = level;
    },
    get level() {
      return logger.level;
    },
    get lost() {
      return standardError?.lost ?? 0;
    },
    drain: async (ms) => (standardError === null ? true : await standardError.drain(ms)),
  };
}

/** A reason's lines: how many are still allowed in this second, and in all. */
interface Reason {
  readonly level: Level;
  readonly event: string;
  lines: number;
  allowance: number;
  suppressed: number;
  toldMs: number;
}

/** What each reason may write, and the count of the rest. */
class Limiter {
  private readonly now: () => number;
  private readonly tell: (level: Level, event: string, suppressed: number) => void;
  private readonly reasons = new Map<string, Reason>();
  private until = Number.NEGATIVE_INFINITY;
  private settledMs: number;
  private timer: NodeJS.Timeout | null = null;

  constructor(now: () => number, tell: (level: Level, event: string, suppressed: number) => void) {
    this.now = now;
    this.tell = tell;
    this.settledMs = now();
  }

  admit(level: Level, event: string, fields: EventFields): boolean {
    const now = this.now();
    if (now >= this.until) {
      this.settle(now);
      this.until = now + 1000;
    }
    let key = `${event} ${fields.reason ?? ""}`;
    if (!this.reasons.has(key) && this.reasons.size >= MAX_REASONS) key = event;
    let reason = this.reasons.get(key);
    if (reason === undefined) {
      reason = { level, event, lines: 0, allowance: BURST_LINES, suppressed: 0, toldMs: Number.NEGATIVE_INFINITY };
      this.reasons.set(key, reason);
    }
    if (reason.lines < LINES_PER_SECOND && (reason.allowance >= 1 || level === "debug")) {
      reason.lines++;
      if (level !== "debug") reason.allowance--;
      return true;
    }
    reason.suppressed++;
    // The first one left out makes sure that it is told, even if this was the last event for hours.
    this.arm(Math.max(0, this.until - now));
    return false;
  }

  /** A second is over: tell what was left out, forget the reasons that are quiet. */
  private settle(now: number): void {
    const refill = (now - this.settledMs) / REFILL_MS;
    this.settledMs = now;
    let isUntold = false;
    for (const [key, reason] of this.reasons) {
      reason.lines = 0;
      reason.allowance = Math.min(BURST_LINES, reason.allowance + refill);
      const isFlood = reason.allowance < 1;
      if (reason.suppressed > 0 && (!isFlood || now - reason.toldMs >= TELL_MS)) {
        this.tell(reason.level, reason.event, reason.suppressed);
        reason.suppressed = 0;
        reason.toldMs = now;
      }
      if (reason.suppressed > 0) isUntold = true;
      else if (reason.allowance === BURST_LINES) this.reasons.delete(key);
    }
    if (isUntold) this.arm(TELL_MS);
  }

  private arm(ms: number): void {
    if (this.timer !== null) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.settle(this.now());
    }, ms);
    this.timer.unref();
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
