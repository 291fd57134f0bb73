/**
 * Tunnels that come and go while the gateway runs: the party that learns of a VTEP acquires its tunnel, and releases it.
 *
 * The configuration holds its tunnels in the same ledger (tunnel-holds.ts), so one that both name is one bridge port: it keeps
 * its row, its counters and what was learned on it when one of the two lets go. The configured name and keepalive win.
 *
 * The steps are those of a reload (topology.ts) for one tunnel. In: rows, the peer in each worker, the guard of its address,
 * then (VNI, tunnel) pairs and flood lists, and its frames are let in last. Out: the same in reverse, and what was learned
 * there is forgotten.
 *
 * What a fabric's routes no longer name goes in two steps (`retire`): nothing is sent by it from now on, and what still comes by it
 * is taken for a while (lingering.ts). A reload ends that.
 */
import { MAX_VNI_PAIRS } from "../../tables/tables.ts";
import { MAX_FLOOD } from "../../tables/vsi.ts";
import type { Emit } from "../event.ts";
import type { Inventory, TunnelPort, VsiObject } from "../inventory.ts";
import type { Config } from "../plan.ts";
import type { ConnectedRoutes } from "../routes/connected.ts";
import type { Timers } from "../timers.ts";
import type { Learners } from "./learners.ts";
import { Lingering } from "./lingering.ts";
import type { Mtus } from "./mtu.ts";
import type { Pins } from "./pins.ts";
import { type Ports, unnamedTunnel } from "./ports.ts";
import type { TunnelHolds, TunnelOwner } from "./tunnel-holds.ts";
import type { CountedBefore } from "./views.ts";
import type { Vsis } from "./vsis.ts";

/** Most tunnels that the configuration does not name. */
export const UNNAMED_TUNNELS = 1024;

export type Acquired =
  | { readonly ok: true; readonly tunnel: TunnelPort }
  | { readonly ok: false; readonly reason: string };

/** The tunnels of each VSI. */
type Carried = ReadonlyMap<VsiObject, readonly TunnelPort[]>;

export interface TunnelsParts {
  readonly holds: TunnelHolds;
  readonly inventory: Inventory;
  readonly ports: Ports;
  readonly vsis: Vsis;
  readonly connected: ConnectedRoutes;
  readonly pins: Pins;
  readonly counted: CountedBefore;
  readonly learners: Learners;
  readonly commands: { flush(): void };
  readonly timers: Timers;
  readonly emit: Emit;
  readonly current: () => { readonly config: Config; readonly mtus: Mtus };
}

export class Tunnels {
  private readonly parts: TunnelsParts;
  private isAnnouncing = false;
  readonly lingering: Lingering;

  constructor(parts: TunnelsParts) {
    this.parts = parts;
    this.lingering = new Lingering(parts.timers, (remote, vni) => this.endPair(remote, vni));
  }

  /**
   * `owner` needs the tunnel to VTEP `remote` for `vnis`; an empty list: the tunnel alone. Each call counts, and wants a
   * `release` with the same arguments.
   *
   * @param remote canonical text, of the underlay's family, not our own address.
   * @param vnis a VNI without VSI is remembered, and carried as soon as a reload brings the VSI.
   * @returns the bridge port, to say behind what a MAC is; or why not (no row, a limit): then nothing is held.
   */
  acquire(remote: string, vnis: readonly number[], owner: Exclude<TunnelOwner, "config">): Acquired {
    const { holds, inventory, vsis, commands } = this.parts;
    if (this.isFull(remote, vnis)) this.lingering.endAll();
    const known = inventory.tunnelTo(remote);
    const reason = this.whyNot(remote, vnis, known);
    if (reason !== null) return { ok: false, reason };
    const tunnel = known ?? this.open(remote, owner);
    if (tunnel === null) return { ok: false, reason: "no bridge port is free" };
    for (const vni of holds.hold(remote, vnis, owner)) {
      const isLingering = this.lingering.take(remote, vni);
      const vsi = vsis.of(vni);
      if (vsi === undefined) continue;
      if (isLingering) vsis.use(vsi, tunnel);
      else vsis.join(vsi, tunnel);
    }
    if (known === undefined) this.start(tunnel);
    else if (tunnel.lingering) this.resume(tunnel);
    this.announceSoon();
    commands.flush();
    return { ok: true, tunnel };
  }

  /** The reverse of one `acquire`. The last one takes the tunnel, or the VNI, away. */
  release(remote: string, vnis: readonly number[], owner: Exclude<TunnelOwner, "config">): void {
    const { holds, inventory, vsis, learners, pins, commands } = this.parts;
    const lost = holds.letGo(remote, vnis, owner);
    const tunnel = inventory.tunnelTo(remote)!;
    const left = lost.flatMap((vni) => vsis.of(vni) ?? []);
    for (const vsi of left) vsis.leave(vsi, tunnel);
    if (!holds.isHeld(remote)) {
      for (const vni of this.lingering.vnisOf(remote)) {
        this.lingering.take(remote, vni);
        vsis.forgetPair(vni, tunnel);
      }
      this.close(tunnel);
    } else {
      if (left.length > 0) learners.leaveTunnels(new Map([[tunnel, new Set(left)]]));
      this.rename(tunnel);
    }
    if (left.length > 0) pins.dropMisplaced();
    commands.flush();
  }

  /** Like `release`, but what still comes by it is taken for a while. */
  retire(remote: string, vnis: readonly number[], owner: Exclude<TunnelOwner, "config">): void {
    const { holds, inventory, vsis, learners, pins, commands, emit } = this.parts;
    const tunnel = inventory.tunnelTo(remote)!;
    const lost = holds.letGo(remote, vnis, owner);
    if (holds.isHeld(remote)) this.rename(tunnel);
    else {
      tunnel.lingering = true;
      emit("info", "tunnel.down", { tunnel: tunnel.name, lingering: true });
    }
    const left = new Set<VsiObject>();
    for (const vni of lost) {
      const vsi = vsis.of(vni);
      if (vsi === undefined) continue;
      vsis.spare(vsi, tunnel);
      left.add(vsi);
      this.lingering.add(remote, vni);
    }
    if (left.size > 0) learners.leaveTunnels(new Map([[tunnel, left]]));
    if (tunnel.lingering && this.lingering.vnisOf(remote).length === 0) this.close(tunnel);
    pins.dropMisplaced();
    commands.flush();
  }

  /** As they are now: `forgetLeft` compares with it. */
  carried(): Carried {
    return new Map(Array.from(this.parts.inventory.vsis.values(), (vsi) => [vsi, [...vsi.tunnels]]));
  }

  /** A VSI that has lost a tunnel which stays forgets what was learned behind it; of `emptied` ones nothing is left anyway. */
  forgetLeft(before: Carried, emptied: ReadonlySet<VsiObject>): void {
    const { inventory, learners } = this.parts;
    const left = new Map<TunnelPort, Set<VsiObject>>();
    for (const [vsi, tunnels] of before) {
      if (inventory.vsis.get(vsi.row) !== vsi || emptied.has(vsi)) continue;
      const kept = new Set(vsi.tunnels);
      for (const tunnel of tunnels)
        if (!kept.has(tunnel) && inventory.ports.get(tunnel.row) === tunnel)
          left.set(tunnel, (left.get(tunnel) ?? new Set()).add(vsi));
    }
    if (left.size > 0) learners.leaveTunnels(left);
  }

  private endPair(remote: string, vni: number): void {
    const { inventory, vsis, commands } = this.parts;
    const tunnel = inventory.tunnelTo(remote)!;
    vsis.forgetPair(vni, tunnel);
    if (!tunnel.lingering || this.lingering.vnisOf(remote).length > 0) return;
    this.close(tunnel);
    commands.flush();
  }

  /** Is there no room beside what lingers? */
  private isFull(remote: string, vnis: readonly number[]): boolean {
    const { holds, inventory } = this.parts;
    if (this.lingering.size === 0) return false;
    const isNew = inventory.tunnelTo(remote) === undefined;
    const tunnels = holds.unnamed + this.lingering.list().size;
    return (isNew && tunnels >= UNNAMED_TUNNELS) || holds.pairs + this.lingering.size + vnis.length > MAX_VNI_PAIRS;
  }

  /** A route names it again. */
  private resume(tunnel: TunnelPort): void {
    const { learners, emit } = this.parts;
    tunnel.lingering = false;
    if (!tunnel.up) return;
    learners.portUp(tunnel);
    emit("info", "tunnel.up", { tunnel: tunnel.name });
  }

  private whyNot(remote: string, vnis: readonly number[], known: TunnelPort | undefined): string | null {
    const { holds, vsis, current } = this.parts;
    const { underlay } = current().config;
    if (remote === underlay.address) return "that is our own VTEP address";
    if (remote.includes(":") !== (underlay.family === 6))
      return `it is not of our underlay's family, IPv${underlay.family}`;
    if (known === undefined && holds.unnamed >= UNNAMED_TUNNELS)
      return `there are ${UNNAMED_TUNNELS} tunnels that the configuration does not name`;
    const fresh = vnis.filter((vni) => !holds.has(remote, vni));
    if (holds.pairs + fresh.length > MAX_VNI_PAIRS) return `there are ${MAX_VNI_PAIRS} pairs of VNI and tunnel`;
    for (const vni of fresh) {
      const vsi = vsis.of(vni);
      if (vsi !== undefined && vsi.acs.length + vsi.tunnels.length >= MAX_FLOOD)
        return `the flood list of VSI ${vsi.name} holds ${MAX_FLOOD} ports`;
    }
    return null;
  }

  private open(remote: string, owner: TunnelOwner): TunnelPort | null {
    const { ports, connected, inventory, counted, current } = this.parts;
    const { config, mtus } = current();
    const tunnel = ports.openTunnel(unnamedTunnel(remote, owner), config, mtus);
    if (tunnel === null) return null;
    counted.note(tunnel, "ports", tunnel.row);
    connected.guardVtep(inventory, remote);
    return tunnel;
  }

  private start(tunnel: TunnelPort): void {
    const { ports, learners, emit } = this.parts;
    ports.leadTunnel(tunnel);
    learners.portUp(tunnel);
    emit("info", "tunnel.up", { tunnel: tunnel.name });
  }

  private close(tunnel: TunnelPort): void {
    const { ports, connected, inventory, learners, counted, emit } = this.parts;
    ports.closeTunnel(tunnel);
    connected.unguardVtep(inventory, tunnel.config.remote);
    learners.flushPort(tunnel);
    counted.forget(tunnel);
    emit("info", "tunnel.down", { tunnel: tunnel.name, removed: true });
  }

  /** The owner that it is called after may have gone. */
  private rename(tunnel: TunnelPort): void {
    const { holds, inventory } = this.parts;
    const { remote } = tunnel.config;
    const owners = holds.owners(remote);
    const config = unnamedTunnel(remote, owners[0]!);
    if (!owners.includes("config") && config.name !== tunnel.name) inventory.renameTunnels(new Map([[tunnel, config]]));
  }

  /** Peers hear of our addresses: once for all tunnels that come in one round. */
  private announceSoon(): void {
    if (this.isAnnouncing) return;
    this.isAnnouncing = true;
    const { timers, learners, inventory } = this.parts;
    timers.after(0, () => {
      this.isAnnouncing = false;
      learners.announceNews(inventory);
    });
  }
}

/** What the configuration holds: VTEP address -> VNIs. */
export function holdsOf(config: Config): Map<string, Set<number>> {
  const remotes = new Map(config.tunnels.map(({ name, remote }) => [name, remote]));
  const wanted = new Map<string, Set<number>>(config.tunnels.map(({ remote }) => [remote, new Set()]));
  for (const { vni, tunnels } of config.vsis)
    if (vni !== null) for (const name of tunnels) wanted.get(remotes.get(name)!)!.add(vni);
  return wanted;
}
