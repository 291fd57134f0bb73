/**
 * What the world changes without telling us: a TAP that somebody deleted, the underlay device's MTU, its address.
 *
 * Once a second the kernel is asked. A TAP that is gone takes its ACs down, so that nothing is flooded to them and
 * readiness says so; it comes back with a new file only (hand-over, or remove the AC and add it again). A changed MTU moves every
 * MTU that follows from it (`underlay.mtu: auto`). A missing VTEP address is told once; the sockets work again when it is
 * back.
 */
import type { Emit } from "./control/event.ts";
import type { Inventory } from "./control/inventory.ts";
import type { AcConfig, Config } from "./control/plan.ts";
import { tapKey } from "./control/taps.ts";
import type { Topology } from "./control/topology.ts";
import { deviceMtuFor, IoError } from "./io/native.ts";
import type { TapOpener } from "./tap-opener.ts";

export interface WorldWatchParts {
  readonly opener: TapOpener;
  readonly topology: Topology;
  readonly inventory: Inventory;
  readonly emit: Emit;
  /** The underlay device's MTU is another one. */
  readonly onMtu: (mtu: number) => void;
}

export class WorldWatch {
  private readonly parts: WorldWatchParts;
  private mtu: number;
  private isAddressGone = false;

  /** @param mtu the underlay device's, as it was used so far. */
  constructor(parts: WorldWatchParts, mtu: number) {
    this.parts = parts;
    this.mtu = mtu;
  }

  /** Ask the kernel. */
  look(config: Config): void {
    this.lookAtTaps();
    this.lookAtUnderlay(config.underlay.address);
  }

  private lookAtTaps(): void {
    const { opener, inventory, topology } = this.parts;
    const gone = new Set(opener.gone().map(tapKey));
    if (gone.size === 0) return;
    for (const port of inventory.ports.values()) {
      if (port.kind === "ac" && port.up && gone.has(tapKey(port.config as AcConfig))) topology.setAcUp(port, false);
    }
  }

  private lookAtUnderlay(address: string): void {
    const { emit, onMtu } = this.parts;
    try {
      const { mtu } = deviceMtuFor(address);
      this.isAddressGone = false;
      if (mtu === this.mtu) return;
      this.mtu = mtu;
      onMtu(mtu);
    } catch (error) {
      if (!(error instanceof IoError)) throw error;
      if (!this.isAddressGone) emit("warn", "underlay.mtu", { problem: error.message });
      this.isAddressGone = true;
    }
  }
}
