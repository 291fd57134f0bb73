/**
 * The topology: applies a configuration to the running tables, in order, or not at all.
 *
 * `apply` has two halves. The first one only takes: it checks sizes, takes rows, opens TAPs. Whatever refuses, everything
 * taken is given back and the old state is exactly what it was. The second half cannot fail:
 *
 *   1. fill      rows of new objects (nothing leads to them yet), the inventory
 *   2. withdraw  what leads to objects that go: circuits, (VNI, tunnel) pairs, routes, static neighbours
 *   3. change    settings, flags, VSI-interfaces, flood lists: one store each
 *   4. route     connected and static routes, policies: new next hops are held before old ones are released
 *   5. forget    what was learned on objects that went or are no longer what they were
 *   6. publish   gateway and static MACs, static neighbours, pairs, circuits; then the workers get the new TAPs and peers
 *   7. bury      rows and files of what went (reaper.ts)
 *
 * Each step compares what shall be with what is, so an object that did not change keeps its rows, its counters, and all
 * that was learned on it: a reload is invisible to its frames.
 *
 * A second change waits until the first is behind every worker (`isReady`): lists and banks come in twos.
 */
import type { Tables } from "../../tables/tables.ts";
import type { Emit } from "../event.ts";
import type { AcPort, Inventory, PortObject, TunnelPort, VsiObject } from "../inventory.ts";
import type { Config, ConfigDiff } from "../plan.ts";
import { ConnectedRoutes } from "../routes/connected.ts";
import { FabricRoutes } from "../routes/fabric.ts";
import { NextHopGroups } from "../routes/next-hop-group.ts";
import { Policies } from "../routes/policies.ts";
import type { Routes } from "../routes/routes.ts";
import { StaticRoutes } from "../routes/static.ts";
import type { Timers } from "../timers.ts";
import { type FollowedTracks, NO_TRACKS } from "../track-states.ts";
import { whyNotFitting } from "./capacity.ts";
import { acsToAnnounce, announceFurther, countsOf, tellChange } from "./change-events.ts";
import { type Draft, giveUp, newDraft } from "./draft.ts";
import { FormerMacs } from "./former-macs.ts";
import { emptiedOf, type InterfaceChange, Interfaces } from "./interfaces.ts";
import type { Learners } from "./learners.ts";
import { Mtus } from "./mtu.ts";
import { Pins } from "./pins.ts";
import { Ports } from "./ports.ts";
import { Reaper } from "./reaper.ts";
import { storeSettings } from "./settings.ts";
import { type IoCommands, type OpenTap, type PortOpener, tapKey } from "./taps.ts";
import { TunnelHolds } from "./tunnel-holds.ts";
import { holdsOf, Tunnels } from "./tunnels.ts";
import { CountedBefore } from "./views.ts";
import { Vsis } from "./vsis.ts";

export interface TopologyParts {
  readonly tables: Tables;
  readonly timers: Timers;
  readonly inventory: Inventory;
  readonly routes: Routes;
  readonly learners: Learners;
  readonly opener: PortOpener;
  readonly commands: IoCommands;
  readonly emit: Emit;
  readonly tracks?: FollowedTracks;
  /** What differs from one configuration to the next (config/diff.ts). */
  readonly difference: (from: Config, to: Config) => ConfigDiff;
  /** Has worker k taken everything out of its inject ring? */
  readonly isDrained: (worker: number) => boolean;
  /** What holds before the first `apply`: its settings; its objects are not looked at. */
  readonly settings: Config;
  /** The underlay device's MTU, for `underlay.mtu: auto`. */
  readonly underlayMtu: number;
  /** A random int32 for hashes. */
  readonly seed: number;
}

export type ApplyResult =
  | { readonly ok: true; readonly diff: ConfigDiff }
  | { readonly ok: false; readonly reason: string };

export class Topology {
  readonly interfaces: Interfaces;
  readonly staticRoutes: StaticRoutes;
  readonly fabricRoutes: FabricRoutes;
  readonly policies: Policies;
  private readonly parts: TopologyParts;
  private readonly reaper: Reaper;
  readonly ports: Ports;
  private readonly vsis: Vsis;
  private readonly connected: ConnectedRoutes;
  private readonly holds = new TunnelHolds();
  readonly tunnels: Tunnels;
  readonly pins: Pins;
  readonly formerMacs: FormerMacs;
  /** For the views. */
  readonly counted: CountedBefore;
  private measuredMtu: number;
  private current: Config;

  constructor(parts: TopologyParts) {
    const { tables, timers, inventory, routes, learners, opener, commands, emit, isDrained, seed } = parts;
    this.parts = parts;
    this.current = nothingOf(parts.settings);
    this.measuredMtu = parts.underlayMtu;
    this.reaper = new Reaper(tables.heartbeat, timers, isDrained);
    this.ports = new Ports(tables, inventory, this.holds, opener, commands, this.reaper, timers, seed);
    this.vsis = new Vsis(tables, inventory, this.holds, timers, this.reaper, seed);
    this.interfaces = new Interfaces(tables, inventory, this.reaper);
    this.counted = new CountedBefore(tables);
    this.connected = new ConnectedRoutes(routes);
    const { neighbors } = learners;
    const groups = new NextHopGroups(tables, timers, neighbors, parts.tracks ?? NO_TRACKS);
    this.staticRoutes = new StaticRoutes(routes, neighbors, groups);
    this.fabricRoutes = new FabricRoutes({ routes, nextHops: neighbors, groups, timers, limits: tables.sizes });
    this.policies = new Policies(tables, neighbors, groups);
    this.formerMacs = new FormerMacs(timers, () => this.pins.applyMacs());
    const formerMacs = (vsi: VsiObject) => this.formerMacs.of(vsi);
    this.pins = new Pins(inventory, learners.macs, learners.neighbors, timers, emit, formerMacs);
    const { holds, ports, vsis, connected, pins, counted } = this;
    const current = () => ({ config: this.current, mtus: this.mtus(this.current) });
    const own = { holds, ports, vsis, connected, pins, counted, current };
    this.tunnels = new Tunnels({ ...own, inventory, learners, commands, timers, emit });
  }

  /** The configuration that is applied; before the first `apply` the settings alone. */
  get config(): Config {
    return this.current;
  }

  /** Is the last change behind every worker, and are its files closed? Only then is another one accepted. */
  get isReady(): boolean {
    return this.policies.isSettled && this.vsis.floods.isSettled && this.reaper.openFiles === 0;
  }

  /** Look after what was taken away, without waiting for the timer. */
  reap(): void {
    this.reaper.reap();
  }

  /** Why `config` would be refused for what it says (not for the moment it comes at), or null. Changes nothing. */
  refusal(config: Config): string | null {
    return this.whyRefused(config, this.parts.difference(this.current, config));
  }

  private whyRefused(config: Config, { needsRestart }: ConfigDiff): string | null {
    if (needsRestart.length > 0) return `needs a restart: ${needsRestart.join(", ")}`;
    return whyNotFitting(config, this.parts.tables.sizes, this.holds, this.fabricRoutes.groupCount);
  }

  /** Apply `config`, or change nothing and say why. */
  apply(config: Config): ApplyResult {
    const diff = this.parts.difference(this.current, config);
    const draft = newDraft(config, diff, new Mtus(config, this.measuredMtu));
    const reason = this.whyNot(config, diff) ?? this.prepare(draft);
    if (reason !== null) {
      giveUp(draft);
      this.parts.emit("error", "config.rejected", { reason });
      return { ok: false, reason };
    }
    this.commit(draft);
    return { ok: true, diff };
  }

  /** The underlay device has another MTU. It matters where the configuration says `auto`. */
  setUnderlayMtu(mtu: number): void {
    if (this.measuredMtu === mtu) return;
    this.measuredMtu = mtu;
    const config = this.current;
    if (config.underlay.mtu !== "auto") return;
    const mtus = this.mtus(config);
    this.ports.setMtus(config, mtus);
    this.interfaces.setMtus(mtus);
    this.parts.learners.announceNews(this.parts.inventory);
    const problems = this.ports.taps.setMtus(config.acs, mtus);
    this.parts.emit("info", "underlay.mtu", { underlay: mtus.underlay, overlay: mtus.overlay });
    for (const problem of problems) this.parts.emit("warn", "underlay.mtu", { problem });
  }

  /** Packets towards one tunnel must be smaller than the underlay's MTU says (a path MTU), or need no longer (null). */
  setPathMtu(tunnel: TunnelPort, underlayMtu: number | null): void {
    this.ports.setPathMtu(tunnel, underlayMtu, this.mtus(this.current));
  }

  /** A tunnel's liveness changed: a dead one leaves flood lists, and what is behind it is suspended. */
  setTunnelUp(tunnel: TunnelPort, up: boolean): void {
    // Of a peer that had said so nothing else was to be expected.
    const level = up || tunnel.draining || tunnel.lingering ? "info" : "warn";
    if (!this.setUp(tunnel, up)) return;
    this.parts.emit(level, tunnel.up ? "tunnel.up" : "tunnel.down", { tunnel: tunnel.name });
    if (tunnel.up) this.parts.learners.announceInto(tunnel);
  }

  /** What a tunnel's BFD session says stands in `slot`, for the forwarding threads; 0: it has no session. */
  setSession(tunnel: TunnelPort, slot: number): void {
    this.ports.setSession(tunnel, slot);
  }

  /** A tunnel's peer leaves in good order: it is used no more, and what it still sends is taken. */
  drainTunnel(tunnel: TunnelPort): void {
    if (this.setUp(tunnel, false, true)) this.parts.emit("info", "tunnel.draining", { tunnel: tunnel.name });
  }

  /** An AC can be used, or cannot: what is behind it is suspended meanwhile. */
  setAcUp(ac: AcPort, up: boolean): void {
    ac.linkDown = false;
    if (!this.setUp(ac, up)) return;
    this.parts.emit("info", ac.up ? "ac.up" : "ac.down", { ac: ac.name, vsi: ac.vsi.name });
    if (ac.up) this.announce(ac);
  }

  /** The VM has set its interface down, or up again. Its AC has its TAP all the same. */
  setLink(ac: AcPort, up: boolean): void {
    if (ac.linkDown === !up || this.tapOf(ac) === null) return;
    if (up) this.setAcUp(ac, true);
    else if (this.setUp(ac, false))
      this.parts.emit("info", "ac.down", { ac: ac.name, vsi: ac.vsi.name, problem: "the VM's interface is down" });
    ac.linkDown = !up;
  }

  /** The TAP behind an AC, or null while there is none. */
  tapOf(ac: AcPort): OpenTap | null {
    return this.ports.taps.of(ac.config)?.open ?? null;
  }

  /**
   * The TAP of an AC with `handover: true` has arrived; its fds are the topology's to close (through the opener).
   * @returns why it is refused: the fds stay the caller's then.
   */
  handOver(name: string, tap: OpenTap): string | null {
    const port = this.parts.inventory.ac(name);
    if (port === undefined) return `there is no AC ${name}`;
    const ac = port.config;
    if (!ac.handover) return `AC ${name} has a TAP of its own (no handover: true)`;
    this.ports.taps.handOver(ac, tap);
    port.linkDown = false;
    this.parts.commands.flush();
    // A new VM behind the same AC: what the old one taught is wrong.
    this.parts.learners.flushPort(port);
    if (this.setUp(port, true)) this.parts.emit("info", "ac.up", { ac: port.name, vsi: port.vsi.name });
    this.announce(port);
    return null;
  }

  /** The TAP that was handed over to an AC is gone: the AC is down, its fds are closed when no worker uses them. */
  takeBack(name: string): void {
    const port = this.parts.inventory.ac(name);
    if (port === undefined || !port.config.handover) return;
    this.endAc(port);
    this.ports.taps.takeBack(port.config);
    this.parts.commands.flush();
  }

  /** Somebody deleted the device of an AC: it is down, its file is closed when no worker uses it. */
  loseTap(ac: AcPort): void {
    this.endAc(ac);
    if (this.ports.taps.takeBack(ac.config)) this.parts.commands.flush();
  }

  /** Make the device of an AC that `loseTap` was told of again; with it all ACs on it come back. @returns why not. */
  reopenTap(ac: AcPort): string | null {
    const problem = this.ports.taps.reopen(ac.config);
    if (problem !== null) return problem;
    this.parts.commands.flush();
    const key = tapKey(ac.config);
    for (const port of this.parts.inventory.acs()) if (tapKey(port.config) === key) this.setAcUp(port, true);
    return null;
  }

  private mtus(config: Config): Mtus {
    return new Mtus(config, this.measuredMtu);
  }

  private whyNot(config: Config, diff: ConfigDiff): string | null {
    return this.isReady ? this.whyRefused(config, diff) : "the last change is not behind every worker yet; try again";
  }

  private prepare(draft: Draft): string | null {
    this.tunnels.lingering.endAll();
    const drafted = (name: string): VsiObject =>
      this.parts.inventory.vsi(name) ?? draft.vsis.added.find((vsi) => vsi.name === name)!;
    return this.interfaces.prepare(draft) ?? this.vsis.prepare(draft) ?? this.ports.prepare(draft, drafted);
  }

  private commit(draft: Draft): void {
    const { config } = draft;
    const { inventory, learners, commands, emit } = this.parts;
    // fill
    const changes = this.interfaces.fill(draft);
    const carried = this.tunnels.carried();
    this.ports.fill(draft);
    this.holds.replaceConfig(holdsOf(config));
    this.vsis.fill(draft);
    learners.security.configure();
    this.count(draft);
    const emptied = this.whatIsEmptied(draft, changes);
    // withdraw
    this.ports.withdraw(draft);
    this.vsis.withdraw(draft);
    this.connected.withdraw(inventory, config);
    this.fabricRoutes.forget(emptied.interfaces);
    this.pins.withdrawNeighbors(emptied.interfaces, emptied.vsis);
    // change
    storeSettings(this.parts.tables, config);
    this.vsis.change(draft);
    // route
    this.connected.publish();
    this.parts.tracks?.apply(config.tracks, inventory);
    const { added, removed, changed } = draft.diff.interfaces;
    const isRehomed = added.length + removed.length + changed.length > 0;
    this.staticRoutes.apply(config.routes, draft.diff.routes, inventory, isRehomed, (name) =>
      this.interfaces.vrf(name),
    );
    this.policies.apply(config.policies, inventory);
    // forget
    for (const port of draft.ports.removed) learners.flushPort(port);
    this.tunnels.forgetLeft(carried, emptied.vsis);
    for (const vsi of emptied.vsis) {
      learners.flushVsi(vsi);
      this.pins.forgetVsi(vsi);
    }
    for (const [iface, isTouched] of emptied.interfaces) learners.flushInterface(iface, isTouched);
    for (const each of changes) if (each.macChanged || each.vsisChanged) learners.neighbors.refreshRewrites(each.iface);
    // publish
    const macChanges = this.formerMacs.update(inventory);
    this.pins.applyMacs();
    this.pins.publishNeighbors();
    this.vsis.publish(draft);
    this.ports.publish(draft);
    this.interfaces.bury(draft);
    for (const port of draft.ports.added) if (port.up) learners.portUp(port);
    this.current = config;
    tellChange(draft, emit);
    for (const ac of acsToAnnounce(draft, changes)) this.announce(ac);
    emit("info", "config.applied", countsOf(draft.diff));
    announceFurther(macChanges, this.parts);
    commands.flush();
  }

  private count({ ports, vsis }: Draft): void {
    for (const object of [...ports.removed, ...vsis.removed]) this.counted.forget(object);
    for (const port of ports.added) this.counted.note(port, "ports", port.row);
    for (const vsi of vsis.added) this.counted.note(vsi, "vsis", vsi.row);
  }

  /** Without its TAP an AC has nothing to come back to. */
  private endAc(ac: AcPort): void {
    this.setAcUp(ac, false);
    this.parts.learners.flushPort(ac);
  }

  private setUp(port: PortObject, up: boolean, draining = false): boolean {
    if (!this.ports.setUp(port, up, draining)) return false;
    if (port.vsi !== null) this.vsis.floods.update(port.vsi);
    else
      for (const vsi of this.parts.inventory.vsis.values())
        if (vsi.tunnels.includes(port)) this.vsis.floods.update(vsi);
    if (port.up) this.parts.learners.portUp(port);
    else this.parts.learners.suspendPort(port);
    return true;
  }

  /** Objects that went, or are so different now that nothing learned on them holds: a VSI of another VNI or VSI-interface. */
  private whatIsEmptied({ vsis, interfaces, diff }: Draft, changes: readonly InterfaceChange[]) {
    const { inventory } = this.parts;
    const emptied = { vsis: new Set(vsis.removed), interfaces: emptiedOf(interfaces.removed, changes) };
    for (const { from, to } of diff.vsis.changed)
      if (from.vni !== to.vni || from.interface !== to.interface) emptied.vsis.add(inventory.vsi(to.name)!);
    return emptied;
  }

  /** Hosts behind `ac` learn who their gateway is. */
  private announce(ac: AcPort): void {
    const iface = ac.vsi?.interface;
    if (ac.up && iface != null) this.parts.learners.announceAt(iface, ac, ac.vsi);
  }
}

/** `config` without any object. */
function nothingOf(config: Config): Config {
  return { ...config, tunnels: [], vsis: [], interfaces: [], vrfs: [], acs: [], routes: [], policies: [], tracks: [] };
}
