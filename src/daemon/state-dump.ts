/**
 * SIGUSR2: what control believes, written to the log, a line for each kind of object; lists are cut at a thousand.
 *
 * Tables have hundreds of thousands of rows, and the main thread that sorts them also answers ARP: others have their turns
 * meanwhile. A signal that comes while a dump is being written asks for that one.
 */

import type { Steps } from "../api/json-slices.ts";
import type { Status } from "../api/schema.ts";
import type { Shown } from "../api/shown.ts";
import { gather } from "../api/turns.ts";
import type { Log } from "../log/log.ts";

const MOST = 1000;

export interface DumpParts {
  readonly log: Pick<Log, "line">;
  readonly shown: Shown;
  readonly status: () => Status;
  /** Milliseconds. */
  readonly now?: () => number;
}

export class StateDump {
  private readonly parts: DumpParts;
  private running: Promise<void> | null = null;

  constructor(parts: DumpParts) {
    this.parts = parts;
  }

  /** Resolves when all lines are with the log. Never rejects: what cannot be told is told as an error. */
  write(): Promise<void> {
    this.running ??= this.writeAll()
      .catch((error: unknown) => this.parts.log.line("error", "state.dump", { reason: String(error) }))
      .finally(() => {
        this.running = null;
      });
    return this.running;
  }

  private async writeAll(): Promise<void> {
    const { log, shown, status } = this.parts;
    const lists: readonly (readonly [string, () => unknown])[] = [
      ["status", status],
      ["vsis", () => shown.vsis()],
      ["acs", () => shown.acs()],
      ["tunnels", () => shown.tunnels()],
      ["interfaces", () => shown.interfaces()],
      ["macs", () => this.first(shown.macs())],
      ["neighbors", () => this.first(shown.neighbors())],
      ["routes", () => this.first(shown.routes())],
      ["drops", () => shown.drops().filter((drop) => drop.count > 0)],
    ];
    for (const [reason, read] of lists) log.line("info", "state.dump", { reason, value: JSON.stringify(await read()) });
  }

  private async first(rows: Steps<unknown>): Promise<unknown[]> {
    return (await gather(rows, MOST, undefined, this.parts.now)).rows;
  }
}
