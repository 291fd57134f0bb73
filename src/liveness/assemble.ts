/** Probing put together: the prober with the real socket, clock and kernel. */
import type { Emit } from "../control/event.ts";
import type { Inventory } from "../control/inventory.ts";
import type { TrackStates } from "../control/track-states.ts";
import { pathMtu } from "../io/underlay.ts";
import { PUNT, RX_PACKETS, sumOf, TX_PACKETS } from "../tables/counters.ts";
import type { Tables } from "../tables/tables.ts";
import { Drain, type DrainParts } from "./drain.ts";
import { openEchoSocket } from "./open-echo.ts";
import { type ProbedTopology, Prober } from "./prober.ts";

export interface ProbingRequest {
  readonly inventory: Inventory;
  readonly topology: ProbedTopology;
  /** Where packets are counted; null: nowhere. */
  readonly tables: Tables | null;
  readonly emit: Emit;
  /** The underlay device's MTU. */
  readonly deviceMtu: () => number;
  /** Control has something to do. */
  readonly kick: () => void;
}

/** A prober that runs by itself; `look` is the caller's to call. */
export function createProber({ inventory, topology, tables, emit, deviceMtu, kick }: ProbingRequest): Prober {
  let alarm: NodeJS.Timeout | undefined;
  const prober: Prober = new Prober({
    inventory,
    topology,
    emit,
    kick,
    traffic: ({ row }) => ({
      // What is dropped at the door was sent by somebody who lives.
      received: sumOf(
        tables?.counters ?? [],
        ({ ports, turnedAway }) => ports[row * 4 + RX_PACKETS]! + turnedAway[row]!,
      ),
      // Not BFD, which says itself that nothing answers.
      sent: sumOf(tables?.workerCounters ?? [], ({ ports }) => ports[row * 4 + TX_PACKETS]!),
    }),
    now: () => performance.now(),
    openSocket: openEchoSocket,
    kernelMtu: pathMtu,
    underlayMtu: () => {
      const { mtu } = topology.config.underlay;
      return mtu === "auto" ? deviceMtu() : mtu;
    },
    wakeAt(dueMs) {
      clearTimeout(alarm);
      if (dueMs !== null) alarm = setTimeout(() => prober.run(), Math.max(0, dueMs - performance.now()));
    },
  });
  return prober;
}

/** Packets of tenants that came by tunnels, ever: BFD's, among them inside VXLAN, go on until we are gone. */
export function tenantsPackets(inventory: Inventory, { workerCounters }: Tables): number {
  const received = inventory
    .tunnels()
    .reduce((sum, { row }) => sum + sumOf(workerCounters, ({ ports }) => ports[row * 4 + RX_PACKETS]!), 0);
  return received - sumOf(workerCounters, ({ punted }) => punted[PUNT.bfd]!);
}

/** Leaving, with the real clock. */
export function createDrain({
  agent,
  inventory,
  topology,
  tables,
  tracks,
  emit,
  tellPeers,
  attracts,
}: Pick<ProbingRequest, "inventory" | "topology" | "emit"> &
  Pick<DrainParts, "agent" | "tellPeers" | "attracts"> & {
    readonly tables: Tables;
    readonly tracks: TrackStates;
  }): Drain {
  const drain = new Drain({
    ...{ agent, inventory, emit, tellPeers, attracts },
    downTrack() {
      const { track } = topology.config.drain;
      return tracks.isUp(track) ? null : track;
    },
    limitMs: () => topology.config.drain.seconds * 1000,
    received: () => tenantsPackets(inventory, tables),
    now: () => performance.now(),
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  });
  tracks.onChange(() => drain.follow());
  drain.follow();
  return drain;
}
