/**
 * What the world does to TAPs without telling us.
 *
 * Once a second the kernel is asked. A VM that set its interface down takes its AC down; poll(2) on the TAP tells, whatever
 * namespace the interface is in (its carrier is ours to set, so it says nothing). A TAP that is gone takes its ACs down, so that
 * nothing is flooded to them and readiness says so; one that we had made is made again, one that was handed over is its owner's
 * business.
 */
import type { Emit } from "../control/event.ts";
import type { AcPort, Inventory } from "../control/inventory.ts";
import { tapKey } from "../control/topology/taps.ts";
import type { Topology } from "../control/topology/topology.ts";
import { tapOrNull } from "../io/handover.ts";
import type { TapOpener } from "./tap-opener.ts";

/** Most looks between two tries to make a device. */
const SELDOM_LOOKS = 30;

export interface TapWatchParts {
  readonly opener: TapOpener;
  readonly topology: Topology;
  readonly inventory: Inventory;
  readonly emit: Emit;
}

export class TapWatch {
  private readonly parts: TapWatchParts;
  /** ACs whose device cannot be made: looks until the next try, and between the tries after it. */
  private readonly patience = new Map<AcPort, { looks: number; again: number }>();

  constructor(parts: TapWatchParts) {
    this.parts = parts;
  }

  /** Ask the kernel. */
  checkTaps(): void {
    const { opener, inventory, topology } = this.parts;
    const gone = new Set(opener.gone().map(tapKey));
    for (const port of inventory.acs()) {
      const ac = port.config;
      if (gone.has(tapKey(ac))) topology.loseTap(port);
      else if (!this.lookAtLink(port) && ac.tap !== null) this.reopen(port);
      else this.patience.delete(port);
    }
    for (const port of this.patience.keys()) if (inventory.ports.get(port.row) !== port) this.patience.delete(port);
  }

  /** Is there a TAP? Then it is seen whether the VM has its interface up. */
  private lookAtLink(ac: AcPort): boolean {
    const { topology } = this.parts;
    const tap = topology.tapOf(ac);
    if (tap === null) return false;
    const info = tapOrNull(tap.fds[0]!);
    // Deleted while it is handed over: its owner's connection tells (attach/server.ts).
    if (info !== null) topology.setLink(ac, info.up);
    return true;
  }

  /** Make a deleted device again: at once, and where that fails ever more seldom. */
  private reopen(ac: AcPort): void {
    const { topology, emit } = this.parts;
    const patience = this.patience.get(ac) ?? { looks: 0, again: 1 };
    this.patience.set(ac, patience);
    if (--patience.looks > 0) return;
    const problem = topology.reopenTap(ac);
    if (problem === null) return;
    if (patience.again === 1) emit("warn", "ac.down", { ac: ac.name, vsi: ac.vsi.name, problem });
    patience.looks = patience.again;
    patience.again = Math.min(2 * patience.again, SELDOM_LOOKS);
  }
}
