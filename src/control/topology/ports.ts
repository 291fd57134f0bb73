/**
 * Bridge ports: the rows of PortTable for ACs and tunnels, what leads to them, and what they lead to.
 *
 * A port whose identity changed (an AC in another VSI, on another TAP or VLAN; a tunnel to another VTEP) is another
 * port: it gets a new row, and everything that was learned behind the old one is forgotten. Everything else (limits,
 * flags, MTU, keepalive) is a store into the row it has.
 *
 * A row is filled while nothing leads to it. What leads to it: the flood list (flood-lists.ts), the (VNI, tunnel) pair
 * (vsis.ts), and from outside `ofIo` and `ofVlan`, which this file writes. A row is not cleared when its port goes, for a
 * worker may be about to send there: it stays as it is until it is buried.
 */

import { MAX_PORTS } from "../../tables/counters.ts";
import { RowPool } from "../../tables/heartbeat.ts";
import type { Tables } from "../../tables/tables.ts";
import {
  IO_NONE,
  IO_PEER,
  KIND_AC,
  KIND_NONE,
  KIND_TUNNEL,
  MAX_IO_PORTS,
  PORT_ANTI_SPOOF,
  PORT_RA_GUARD,
  PORT_STRICT,
  PORT_UP,
  STORM_BROADCAST,
  STORM_CLASSES,
  STORM_MULTICAST,
  STORM_UNKNOWN,
} from "../../tables/vsi.ts";
import type { AcPort, Inventory, PortObject, TunnelPort, VsiObject } from "../inventory.ts";
import { PatientWriter } from "../patient-writer.ts";
import { peerAddress } from "../peer-address.ts";
import type { AcConfig, Config, TunnelConfig } from "../plan.ts";
import type { StormConfig } from "../plan-storm.ts";
import type { Timers } from "../timers.ts";
import type { Draft } from "./draft.ts";
import type { Mtus } from "./mtu.ts";
import type { Reaper } from "./reaper.ts";
import { type IoCommands, type PortOpener, Taps, tapKey } from "./taps.ts";
import type { TunnelHolds, TunnelOwner } from "./tunnel-holds.ts";

const NO_STORM: StormConfig = { broadcast: 0, unknownUnicast: 0, multicast: 0 };

export class Ports {
  readonly taps: Taps;
  private readonly tables: Tables;
  private readonly inventory: Inventory;
  private readonly holds: TunnelHolds;
  private readonly commands: IoCommands;
  private readonly reaper: Reaper;
  private readonly rows: RowPool;
  private readonly ios: RowPool;
  private readonly vlans: PatientWriter;
  /** ACs in a loop: frames a second that they may have flooded. */
  private readonly floodLimits = new Map<AcPort, number>();
  /** By tunnel: the underlay MTU on the way to it, where it is known to be smaller than ours. */
  private readonly pathMtus = new Map<TunnelPort, number>();

  constructor(
    tables: Tables,
    inventory: Inventory,
    holds: TunnelHolds,
    opener: PortOpener,
    commands: IoCommands,
    reaper: Reaper,
    timers: Timers,
    seed: number,
  ) {
    this.tables = tables;
    this.inventory = inventory;
    this.holds = holds;
    this.commands = commands;
    this.reaper = reaper;
    this.rows = new RowPool(tables.heartbeat, MAX_PORTS);
    this.ios = new RowPool(tables.heartbeat, MAX_IO_PORTS);
    this.taps = new Taps(tables, opener, commands, reaper, this.ios);
    this.vlans = new PatientWriter(tables.ports.ofVlan, tables.heartbeat, timers, seed);
  }

  /** Take rows and open TAPs for the ports that come. `vsiOf` finds VSIs, drafted ones included. @returns why not. */
  prepare(draft: Draft, vsiOf: (name: string) => VsiObject): string | null {
    const problem = this.taps.prepare(draft);
    if (problem !== null) return problem;
    const { tunnels, acs } = draft.diff;
    const moved = tunnels.changed.filter(({ from, to }) => from.remote !== to.remote);
    const rebuilt = acs.changed.filter(({ from, to }) => !isSameCircuit(from, to));
    for (const { name } of [...tunnels.removed, ...moved.map((each) => each.from)]) {
      const port = this.inventory.tunnel(name)!;
      const other = this.holds.owners(port.config.remote).find((owner) => owner !== "config");
      if (other === undefined) draft.ports.removed.push(port);
      else draft.renamed.set(port, unnamedTunnel(port.config.remote, other));
    }
    for (const { name } of [...acs.removed, ...rebuilt.map((each) => each.from)])
      draft.ports.removed.push(this.inventory.ac(name)!);
    for (const config of [...tunnels.added, ...moved.map((each) => each.to)]) {
      const known = this.inventory.tunnelTo(config.remote);
      if (known !== undefined && !draft.ports.removed.includes(known)) draft.renamed.set(known, config);
      else if (!this.draftTunnel(draft, config)) return `tunnel ${config.name}: no bridge port is free`;
    }
    for (const config of [...acs.added, ...rebuilt.map((each) => each.to)])
      if (!this.draftAc(draft, config, vsiOf(config.vsi))) return `AC ${config.name}: no bridge port is free`;
    return null;
  }

  /** The draft is carried out: rows of new ports, changes of kept ones, the inventory. */
  fill(draft: Draft): void {
    for (const port of draft.ports.removed) {
      this.inventory.removePort(port);
      port.up = false;
    }
    this.inventory.renameTunnels(draft.renamed);
    for (const port of draft.ports.added) {
      this.fillRow(port);
      this.inventory.addPort(port);
    }
    for (const config of draft.config.tunnels) this.inventory.tunnel(config.name)!.config = config;
    for (const config of draft.config.acs) this.inventory.ac(config.name)!.config = config;
    this.setMtus(draft.config, draft.mtus);
  }

  /** Nothing from outside leads to the removed ports any more, unless a new one takes their place. */
  withdraw(draft: Draft): void {
    const taken = new Set(draft.ports.added.map(circuitOf));
    for (const port of draft.ports.removed) {
      if (port.kind === "tunnel") this.pathMtus.delete(port);
      if (taken.has(circuitOf(port))) continue;
      const vlan = vlanOf(port);
      if (vlan === 0) Atomics.store(this.tables.ports.ofIo, port.io, 0);
      else this.vlans.remove(port.io, vlan);
    }
  }

  /** From now on frames come in by the new ports. Workers are told last. */
  publish(draft: Draft): void {
    for (const port of draft.ports.added) this.lead(port);
    // Away with the old first: a new tunnel may have the address of an old one.
    for (const port of draft.ports.removed) if (port.kind === "tunnel") this.commands.detach(port.io);
    this.taps.detachUnused(draft);
    this.taps.attachFresh();
    for (const port of draft.ports.added) if (port.kind === "tunnel") this.attach(port, draft.config);
    for (const port of draft.ports.removed) this.bury(port);
  }

  /** Make a tunnel without a reload; nothing leads to it, and nothing comes by it yet. @returns null when no row is free. */
  openTunnel(tunnel: TunnelConfig, config: Config, mtus: Mtus): TunnelPort | null {
    const [io, row] = [this.ios.take(), this.rows.take()];
    if (io === 0 || row === 0) {
      if (io !== 0) this.ios.retire(io);
      if (row !== 0) this.rows.retire(row);
      return null;
    }
    const port = tunnelPort(tunnel, row, io);
    this.fillRow(port);
    this.inventory.addPort(port);
    this.refresh(port, this.mtuOf(port, mtus));
    this.attach(port, config);
    return port;
  }

  /** Frames of the peer come in by `port` from now on. */
  leadTunnel(port: TunnelPort): void {
    this.lead(port);
  }

  /** Away with a tunnel without a reload; nothing leads to it any more. */
  closeTunnel(port: TunnelPort): void {
    this.inventory.removePort(port);
    port.up = false;
    this.pathMtus.delete(port);
    Atomics.store(this.tables.ports.ofIo, port.io, 0);
    this.commands.detach(port.io);
    this.bury(port);
  }

  /**
   * Store whether a port may be used; what a worker could not attach cannot be. `draining`: a tunnel that is not used any more, and
   * whose frames are still taken. @returns false when it was so already.
   */
  setUp(port: PortObject, wanted: boolean, draining = false): boolean {
    if (port.kind === "tunnel") port.wanted = wanted;
    const up = wanted && refusalOf(this.tables, port.io) === null;
    const wasDraining = port.kind === "tunnel" && port.draining;
    if ((port.up === up && wasDraining === draining) || !this.isThere(port)) return false;
    port.up = up;
    if (port.kind === "tunnel") port.draining = draining;
    this.tables.ports.flags[port.row] = flagsOf(port);
    return true;
  }

  /** An AC may have at most so many frames flooded in a second, whatever is configured; null: what is configured. */
  limitFloods(ac: AcPort, perSecond: number | null): void {
    if (perSecond === null) this.floodLimits.delete(ac);
    else this.floodLimits.set(ac, perSecond);
    if (this.isThere(ac)) this.tables.ports.storm[ac.row] = this.stormOf(ac);
  }

  /** The forwarding threads see by `slot` what the tunnel's BFD session says; 0: it has none. */
  setSession(port: TunnelPort, slot: number): void {
    if (this.isThere(port)) this.tables.ports.session[port.row] = slot;
  }

  /** The underlay MTU towards one tunnel; null: as everywhere. */
  setPathMtu(port: TunnelPort, underlayMtu: number | null, mtus: Mtus): void {
    if (!this.isThere(port)) return;
    if (underlayMtu === null) this.pathMtus.delete(port);
    else this.pathMtus.set(port, underlayMtu);
    this.refresh(port, this.mtuOf(port, mtus));
  }

  /** Store the MTU of every port. */
  setMtus(config: Config, mtus: Mtus): void {
    for (const port of this.inventory.tunnels()) this.refresh(port, this.mtuOf(port, mtus));
    for (const ac of config.acs) this.refresh(this.inventory.ac(ac.name)!, mtus.ofAc(ac));
  }

  private draftTunnel(draft: Draft, config: TunnelConfig): boolean {
    const io = this.ios.take();
    if (io === 0) return false;
    draft.undo.push(() => this.ios.retire(io));
    return this.draftPort(draft, (row) => tunnelPort(config, row, io));
  }

  private draftAc(draft: Draft, config: AcConfig, vsi: VsiObject): boolean {
    const { io, open } = this.taps.of(config)!;
    const common = { name: config.name, io, mtu: 0, up: open !== null };
    return this.draftPort(draft, (row) => ({ kind: "ac", row, ...common, vsi, config, linkDown: false }));
  }

  private draftPort(draft: Draft, portAt: (row: number) => PortObject): boolean {
    const row = this.rows.take();
    if (row === 0) return false;
    draft.undo.push(() => this.rows.retire(row));
    draft.ports.added.push(portAt(row));
    return true;
  }

  private fillRow(port: PortObject): void {
    const { ports } = this.tables;
    const { row, io } = port;
    ports.io[row] = io;
    ports.vsi[row] = port.vsi?.row ?? 0;
    ports.vlan[row] = vlanOf(port);
    ports.session[row] = 0;
    ports.kind[row] = port.kind === "ac" ? KIND_AC : KIND_TUNNEL;
    if (port.kind === "tunnel") ports.ioKind[io] = IO_PEER;
  }

  private refresh(port: PortObject, mtu: number): void {
    const { ports } = this.tables;
    port.mtu = mtu;
    ports.mtu[port.row] = mtu;
    ports.flags[port.row] = flagsOf(port);
    ports.storm[port.row] = port.kind === "ac" ? this.stormOf(port) : 0;
    const { broadcast, unknownUnicast, multicast } = port.kind === "ac" ? port.config.storm : NO_STORM;
    const at = port.row * STORM_CLASSES;
    ports.stormOf[at + STORM_BROADCAST] = broadcast;
    ports.stormOf[at + STORM_UNKNOWN] = unknownUnicast;
    ports.stormOf[at + STORM_MULTICAST] = multicast;
  }

  private stormOf(port: AcPort): number {
    const [configured, limit] = [port.config.stormPerSecond, this.floodLimits.get(port) ?? 0];
    return configured === 0 || limit === 0 ? configured + limit : Math.min(configured, limit);
  }

  /** Late news of a port that has gone must not be stored in a row that is another one's by now. */
  private isThere(port: PortObject): boolean {
    return this.inventory.ports.get(port.row) === port;
  }

  private mtuOf(tunnel: TunnelPort, mtus: Mtus): number {
    const path = this.pathMtus.get(tunnel) ?? mtus.underlay;
    return Math.min(path, mtus.underlay) - (mtus.underlay - mtus.overlay);
  }

  /** Each worker learns the peer's address. */
  private attach({ io, config: { remote } }: TunnelPort, { underlay }: Config): void {
    this.commands.attachPeer(io, peerAddress(remote), underlay.port);
  }

  /** Frames of its circuit lead to `port` from now on. */
  private lead(port: PortObject): void {
    const vlan = vlanOf(port);
    if (vlan === 0) Atomics.store(this.tables.ports.ofIo, port.io, port.row);
    else if (!this.vlans.set(port.io, vlan, port.row))
      throw new Error(`AC ${port.name}: the VLAN table is full, although the plan was checked`);
  }

  private bury(port: PortObject): void {
    const { ports } = this.tables;
    this.reaper.bury(
      () => {},
      () => {
        ports.kind[port.row] = KIND_NONE;
        ports.flags[port.row] = 0;
        this.rows.retire(port.row);
        if (port.kind === "ac") return;
        ports.ioKind[port.io] = IO_NONE;
        this.ios.retire(port.io);
      },
    );
  }
}

function tunnelPort(config: TunnelConfig, row: number, io: number): TunnelPort {
  const state = { mtu: 0, up: true, wanted: true, draining: false, lingering: false };
  return { kind: "tunnel", row, name: config.name, io, vsi: null, config, ...state };
}

/** What stands for a configuration of the tunnel to `remote` while there is none. A configured name has no colon. */
export function unnamedTunnel(remote: string, owner: TunnelOwner): TunnelConfig {
  return { name: `${owner}:${remote}`, remote, keepalive: null, bfd: null };
}

/** What a worker could not attach. */
export interface Refusal {
  readonly worker: number;
  /** As in errno(3), positive. */
  readonly errno: number;
}

/** The first worker that could not attach io port `io`, or null. */
export function refusalOf({ ioErrors, sizes }: Tables, io: number): Refusal | null {
  for (let worker = 0; worker < sizes.workers; worker++) {
    const errno = -Atomics.load(ioErrors, worker * MAX_IO_PORTS + io);
    if (errno !== 0) return { worker, errno };
  }
  return null;
}

/** Is it still the same port, only with other settings? */
function isSameCircuit(from: AcConfig, to: AcConfig): boolean {
  return from.vsi === to.vsi && from.vlan === to.vlan && tapKey(from) === tapKey(to);
}

function vlanOf(port: PortObject): number {
  return port.kind === "ac" ? (port.config.vlan ?? 0) : 0;
}

/** What frames must have to arrive at `port`. */
function circuitOf(port: PortObject): string {
  return `${port.io} ${vlanOf(port)}`;
}

function flagsOf(port: PortObject): number {
  if (port.kind === "tunnel") return port.up || port.draining ? PORT_UP : 0;
  const { antiSpoof, routerAdvertisements } = port.config;
  const isGuarded = routerAdvertisements === "deny";
  const spoofing = antiSpoof === "strict" ? PORT_STRICT : antiSpoof ? PORT_ANTI_SPOOF : 0;
  return (port.up ? PORT_UP : 0) | spoofing | (isGuarded ? PORT_RA_GUARD : 0);
}
