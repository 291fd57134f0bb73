/**
 * A changed configuration file, taken over while frames flow: check, diff, reload.
 *
 * The whole file is validated first, in a thread of its own; then the difference is applied in order, or nothing is
 * (control/topology/topology.ts). One after another: a reload waits until the one before is behind every worker. At most one waits,
 * shared by all who ask: each gets the outcome of a reload that began after the question. A file that cannot be tried (no
 * thread for it) is refused like one that is wrong, and what runs goes on.
 *
 * Two kinds of settings cannot change in a running process. Some (NEEDS_RESTART of config/diff.ts) make another gateway: a file
 * that changes them is refused as a whole. The others (FIXED) only say how sockets, offloads, threads and
 * tables were made: the file is taken over, the old ones stay in use, and `needsRestart` says so until they agree.
 */
import type { CheckReport } from "../api/schema.ts";
import { changesOf } from "../config/change-list.ts";
import { configDiff, settingsDiff } from "../config/diff.ts";
import type { ConfigError } from "../config/error.ts";
import type { ParseResult } from "../config/load.ts";
import { ConfigReader, Unreadable } from "../config/reader.ts";
import type { Config, ConfigDiff } from "../control/plan.ts";
import type { Topology } from "../control/topology/topology.ts";
import type { Log } from "../log/log.ts";

/** Each with all that is under it. */
export const FIXED = [
  "underlay.sourcePorts",
  "underlay.checksum",
  "underlay.acceptZeroChecksum",
  "underlay.offload",
  "workers.priority",
  "workers.cpus",
  "control",
  "attach",
  "limits.macs",
  "limits.neighbors",
  "limits.neighbors6",
  "limits.routes",
  "limits.routes6",
  "log.format",
  "metrics",
];
export const FIXED_BUT = "metrics.hosts";
const SETTLE_TRIES = 40;
const SETTLE_MS = 50;
/** Errors of one file that go into the log. */
const TOLD_ERRORS = 10;

export interface ReloaderParts {
  readonly file: string;
  readonly topology: Topology;
  readonly log: Log;
  /** The new configuration is in force. */
  readonly onApplied: (config: Config) => void;
  /** A reload begins, or is over. */
  readonly onBegin?: () => void;
  readonly onEnd?: (report: CheckReport) => void;
  /** Default: in a thread. */
  readonly reader?: Pick<ConfigReader, "read">;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class Reloader {
  private readonly parts: ReloaderParts;
  private readonly first: Config;
  private readonly reader: Pick<ConfigReader, "read">;
  private running: Promise<unknown> = Promise.resolve();
  private waiting: Promise<CheckReport> | null = null;
  private stopped = false;
  /** For the metrics. */
  last: { readonly successful: boolean; readonly successUnixSeconds: number };

  /** @param first what the process was started with, just applied. */
  constructor(parts: ReloaderParts, first: Config) {
    this.parts = parts;
    this.first = first;
    this.reader = parts.reader ?? new ConfigReader();
    this.last = { successful: true, successUnixSeconds: Date.now() / 1000 };
  }

  /** Settings of the running configuration that this process does not follow. */
  get needsRestart(): string[] {
    return settingsDiff(this.first, this.parts.topology.config).filter(isFixed).sort();
  }

  /** What would a reload of `file` (null: the daemon's own) do? Changes nothing. */
  async check(file: string | null): Promise<CheckReport> {
    const path = file ?? this.parts.file;
    const parsed = await this.read(path);
    if (typeof parsed === "string") return refused(path, parsed, []);
    if ("errors" in parsed) return refused(path, "the file is not valid", parsed.errors);
    const { topology } = this.parts;
    const reason = topology.refusal(parsed.config);
    const running = topology.config;
    const changes = differences(configDiff(running, parsed.config), running, parsed.config);
    if (reason !== null) return { ...refused(path, reason, []), ...changes };
    return { file: path, valid: true, reason: null, errors: [], ...changes };
  }

  /** Load the daemon's file again and apply the difference; or keep what runs, and say why. */
  reload(): Promise<CheckReport> {
    if (this.waiting !== null) return this.waiting;
    const next = this.running.then(() => {
      this.waiting = null;
      return this.runOnce();
    });
    this.waiting = next;
    this.running = next.catch(() => undefined);
    return next;
  }

  stop(): void {
    this.stopped = true;
  }

  private async runOnce(): Promise<CheckReport> {
    this.parts.onBegin?.();
    const report = await this.reloadFile();
    this.parts.onEnd?.(report);
    return report;
  }

  /** The file as it was read, or why it could not be tried. */
  private async read(file: string): Promise<ParseResult | string> {
    try {
      return await this.reader.read(file);
    } catch (error) {
      if (error instanceof Unreadable) return error.message;
      throw error;
    }
  }

  private async reloadFile(): Promise<CheckReport> {
    const { file, log, topology, onApplied } = this.parts;
    const parsed = await this.read(file);
    if (typeof parsed === "string") {
      log.line("error", "config.rejected", { reason: parsed });
      return this.failed(refused(file, parsed, []));
    }
    if ("errors" in parsed) {
      for (const { line, column, path, rule, message, fix } of parsed.errors.slice(0, TOLD_ERRORS)) {
        log.line("error", "config.rejected", { at: `${file}:${line}:${column}`, path, rule, message, fix });
      }
      return this.failed(refused(file, "the file is not valid", parsed.errors));
    }
    for (let tries = 0; !topology.isReady && tries < SETTLE_TRIES && !this.stopped; tries++) await pause(SETTLE_MS);
    if (this.stopped) return this.failed(refused(file, "the daemon is stopping", []));
    const before = topology.config;
    const applied = topology.apply(parsed.config);
    if (!applied.ok) return this.failed(refused(file, applied.reason, []));
    onApplied(parsed.config);
    this.last = { successful: true, successUnixSeconds: Date.now() / 1000 };
    const fixed = applied.diff.settings.filter(isFixed);
    if (fixed.length > 0) log.line("warn", "config.needs-restart", { settings: fixed.join(", ") });
    return { file, valid: true, reason: null, errors: [], ...differences(applied.diff, before, parsed.config) };
  }

  private failed(report: CheckReport): CheckReport {
    this.last = { ...this.last, successful: false };
    return report;
  }
}

function isFixed(path: string): boolean {
  return path !== FIXED_BUT && FIXED.some((key) => path === key || path.startsWith(`${key}.`));
}

function refused(file: string, reason: string, errors: readonly ConfigError[]): CheckReport {
  return { file, valid: false, reason, errors: errors.map((each) => ({ ...each })), changes: [], needsRestart: [] };
}

function differences(diff: ConfigDiff, from: Config, to: Config): Pick<CheckReport, "changes" | "needsRestart"> {
  const needsRestart = [...diff.needsRestart, ...diff.settings.filter(isFixed)].sort();
  return { changes: changesOf(diff, from, to), needsRestart };
}
