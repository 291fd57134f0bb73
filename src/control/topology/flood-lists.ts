/**
 * Flood lists: where copies of a VSI's broadcast, unknown and multicast frames go.
 *
 * Two lists per VSI in shared memory; the one that is not published may be written only when every worker has left the
 * batch in which the last change happened. If one has not, the change waits for a timer and then takes whatever the
 * list should be at that moment. A list holds the ports that are up: a dead tunnel costs nothing.
 */
import type { Heartbeat } from "../../tables/heartbeat.ts";
import { publishFlood, type VsiTable } from "../../tables/vsi.ts";
import type { PortObject, VsiObject } from "../inventory.ts";
import type { Timers } from "../timers.ts";

const RETRY_MS = 1;

interface Published {
  readonly acs: readonly number[];
  readonly tunnels: readonly number[];
  readonly note: Int32Array;
}

export class FloodLists {
  private readonly table: VsiTable;
  private readonly heartbeat: Heartbeat;
  private readonly timers: Timers;
  private readonly published = new Map<number, Published>();
  private readonly late = new Set<VsiObject>();
  private retrying = false;

  constructor(table: VsiTable, heartbeat: Heartbeat, timers: Timers) {
    this.table = table;
    this.heartbeat = heartbeat;
    this.timers = timers;
  }

  /** Is nothing waiting, and may every list be written at once? */
  get isSettled(): boolean {
    if (this.late.size > 0) return false;
    for (const { note } of this.published.values()) if (!this.heartbeat.passed(note)) return false;
    return true;
  }

  /** Publish the ports of `vsi` that are up, unless they are published already. */
  update(vsi: VsiObject): void {
    const acs = rowsUp(vsi.acs);
    const tunnels = rowsUp(vsi.tunnels);
    const last = this.published.get(vsi.row);
    this.late.delete(vsi);
    if (isSame(last?.acs ?? [], acs) && isSame(last?.tunnels ?? [], tunnels)) return;
    if (last !== undefined && !this.heartbeat.passed(last.note)) {
      this.late.add(vsi);
      this.retryLater();
      return;
    }
    if (!publishFlood(this.table, vsi.row, acs, tunnels))
      throw new Error(`flood list of ${vsi.name}: ${acs.length + tunnels.length} ports, although the plan was checked`);
    this.published.set(vsi.row, { acs, tunnels, note: this.heartbeat.note() });
  }

  /** The row goes back to the pool: forget what was published for it (an empty list by now). */
  forget(row: number): void {
    this.published.delete(row);
  }

  private retryLater(): void {
    if (this.retrying) return;
    this.retrying = true;
    this.timers.after(RETRY_MS, () => {
      this.retrying = false;
      for (const vsi of [...this.late]) this.update(vsi);
    });
  }
}

function rowsUp(ports: readonly PortObject[]): number[] {
  return ports.filter((port) => port.up).map((port) => port.row);
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((row, i) => row === b[i]);
}
