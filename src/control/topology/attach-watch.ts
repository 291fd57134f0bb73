/**
 * Did every worker take what it was given? A TAP or a peer that one of them could not attach is down, and given again.
 *
 * `attach` is a command, and its answer comes back as a word in shared memory (`ioErrors`): not as a record, which a full punt
 * ring would lose. Without it an AC looks up and is dead: its frames are not read. Looked at once a second: the
 * port goes down with an event that says why, the worker is told again until it succeeds, and the port comes back.
 *
 * While a word says no, nothing else can set the port up either (Ports.setUp).
 */
import type { Tables } from "../../tables/tables.ts";
import { type Emit, portField } from "../event.ts";
import type { Inventory, PortObject } from "../inventory.ts";
import { peerAddress } from "../peer-address.ts";
import type { Timers } from "../timers.ts";
import { type Refusal, refusalOf } from "./ports.ts";
import type { OpenTap } from "./taps.ts";
import type { Topology } from "./topology.ts";

const LOOK_MS = 1000;

export interface AttachWatchParts {
  readonly tables: Tables;
  readonly timers: Timers;
  readonly inventory: Inventory;
  readonly topology: Pick<Topology, "setAcUp" | "setTunnelUp" | "tapOf" | "config">;
  readonly commands: {
    /** Detach, and attach again, in one worker. */
    renewTap(worker: number, io: number, fds: OpenTap["fds"]): void;
    renewPeer(worker: number, io: number, address: Uint8Array, udpPort: number): void;
  };
  readonly emit: Emit;
}

export class AttachWatch {
  private readonly parts: AttachWatchParts;
  private readonly refused = new Map<PortObject, Refusal>();

  constructor(parts: AttachWatchParts) {
    this.parts = parts;
    parts.timers.every(LOOK_MS, () => this.checkWords());
  }

  /** Ports that are down because a worker could not attach them, as it was seen last. */
  list(): readonly (readonly [PortObject, Refusal])[] {
    return [...this.refused];
  }

  private checkWords(): void {
    const { tables, inventory } = this.parts;
    for (const port of this.refused.keys()) if (inventory.ports.get(port.row) !== port) this.refused.delete(port);
    const renewed = new Set<number>();
    for (const port of inventory.ports.values()) {
      const refusal = refusalOf(tables, port.io);
      if (refusal === null) this.restore(port);
      else {
        this.refuse(port, refusal);
        // ACs of one TAP have one io port.
        if (!renewed.has(port.io)) this.renew(port, refusal.worker);
        renewed.add(port.io);
      }
    }
  }

  private refuse(port: PortObject, refusal: Refusal): void {
    const isNews = !this.refused.has(port);
    this.refused.set(port, refusal);
    if (isNews) this.parts.emit("warn", "port.refused", { ...portField(port), ...refusal });
    this.apply(port);
  }

  private restore(port: PortObject): void {
    if (this.refused.delete(port)) this.apply(port);
  }

  private renew(port: PortObject, worker: number): void {
    const { commands, topology } = this.parts;
    if (port.kind === "tunnel") {
      commands.renewPeer(worker, port.io, peerAddress(port.config.remote), topology.config.underlay.port);
      return;
    }
    const tap = topology.tapOf(port);
    if (tap !== null) commands.renewTap(worker, port.io, tap.fds);
  }

  /** Sets the port as all else that is known of it says; Ports.setUp looks whether it is refused. */
  private apply(port: PortObject): void {
    const { topology } = this.parts;
    if (port.kind === "tunnel") {
      if (!port.draining) topology.setTunnelUp(port, port.wanted);
    } else if (topology.tapOf(port) !== null && !port.linkDown) topology.setAcUp(port, true);
  }
}
