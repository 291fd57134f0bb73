/**
 * What exists, for people and programs: plain JSON objects with names, lists never null.
 *
 * `row` is the index of the object's cells in the counter blocks; manage adds the numbers. A row may have had another
 * owner before, and counters never go back, so `countedBefore` says what the cells of all workers showed when this object
 * got its row: subtract it.
 */

import { DROP_REASONS } from "../../tables/counters.ts";
import * as FIB from "../../tables/fib.ts";
import type { Tables } from "../../tables/tables.ts";
import { formatMac } from "../../wire/ethernet.ts";
import type { Inventory, PortObject } from "../inventory.ts";
import { compareIp, formatIp } from "../ip.ts";
import type { RuleAction, RuleMatch, TapConfig, TunnelConfig } from "../plan.ts";
import type { FabricRoutes } from "../routes/fabric.ts";
import type { Policies } from "../routes/policies.ts";
import type { RouteEntry, RouteOrigin, Routes } from "../routes/routes.ts";
import type { NextHopState, StaticRoutes } from "../routes/static.ts";
import { STEP, type Stepwise, sorted } from "../sorted.ts";

/** Receive packets, bytes, transmit packets, bytes; of a bridge port also the packets that were turned away. */
export type Counted = readonly number[];
/** The index of those that were turned away. */
export const TURNED_AWAY = 4;

export interface VsiView {
  readonly name: string;
  readonly row: number;
  readonly countedBefore: Counted;
  readonly vni: number | null;
  readonly interface: string | null;
  readonly arp: string;
  readonly proxyArp: string;
  readonly acs: readonly string[];
  readonly tunnels: readonly string[];
  /** Ports of the flood list: those that are up. */
  readonly flooded: number;
  readonly flood: { readonly broadcast: boolean; readonly unknownUnicast: boolean; readonly multicast: boolean };
}

export interface AcView {
  readonly name: string;
  readonly row: number;
  readonly countedBefore: Counted;
  readonly vsi: string;
  readonly up: boolean;
  readonly linkDown: boolean;
  readonly mtu: number;
  readonly tap: TapConfig | null;
  readonly handover: boolean;
  readonly vlan: number | null;
  readonly antiSpoof: boolean | "strict";
  readonly stormPerSecond: number;
}

export interface TunnelView {
  readonly name: string;
  readonly row: number;
  readonly countedBefore: Counted;
  readonly remote: string;
  readonly up: boolean;
  readonly draining: boolean;
  readonly lingering: boolean;
  readonly mtu: number;
  readonly vsis: readonly string[];
  readonly keepalive: TunnelConfig["keepalive"];
}

export interface InterfaceView {
  readonly name: string;
  readonly row: number;
  readonly vrf: string;
  readonly vsis: readonly string[];
  readonly addresses: readonly string[];
  readonly mac: string;
  /** "auto", "shared", or the MAC: where `mac` comes from. */
  readonly macSetting: string;
  readonly mtu: number;
  readonly distributed: boolean;
  readonly icmpSource: string | null;
  readonly mssClamp: boolean;
}

export interface RouteView {
  readonly vrf: string;
  readonly prefix: string;
  readonly origin: RouteOrigin;
  readonly action:
    | "local"
    | "glean"
    | "forward"
    | "vrf"
    | "unreachable"
    | "prohibit"
    | "discard"
    | "broadcast"
    | "underlay";
  readonly interface: string | null;
  /** The VRF that it leads to; null: it stays in its own. */
  readonly viaVrf: string | null;
  readonly nextHops: readonly NextHopState[];
}

export interface PolicyView {
  readonly name: string;
  readonly interfaces: readonly string[];
  readonly rules: readonly {
    /** Index of its hit counter. */
    readonly row: number;
    readonly countedBefore: number;
    readonly match: RuleMatch;
    readonly action: RuleAction;
    /** Is its next hop resolved? null: it has none. */
    readonly alive: boolean | null;
    readonly nextHops: readonly NextHopState[];
  }[];
}

/** What the counter cells of rows showed when they got their owner. */
export class CountedBefore {
  private readonly tables: Tables;
  private readonly kept = new Map<object, Counted>();
  private readonly drops = new Map<object, Float64Array>();

  constructor(tables: Tables) {
    this.tables = tables;
  }

  /** `owner` has got `row`. */
  note(owner: object, kind: "ports" | "vsis", row: number): void {
    const sum = (cell: number) => this.tables.counters.reduce((all, block) => all + block[kind][row * 4 + cell]!, 0);
    const turnedAway = this.tables.counters.reduce((all, block) => all + block.turnedAway[row]!, 0);
    this.kept.set(owner, [sum(0), sum(1), sum(2), sum(3), ...(kind === "ports" ? [turnedAway] : [])]);
    if (kind !== "ports") return;
    const drops = this.dropsAt(row);
    if (drops.some((count) => count > 0)) this.drops.set(owner, drops);
  }

  forget(owner: object): void {
    this.kept.delete(owner);
    this.drops.delete(owner);
  }

  /** What bridge port `port` has dropped since it got its row, by reason. */
  dropsOf(port: PortObject): Float64Array {
    const drops = this.dropsAt(port.row);
    const before = this.drops.get(port);
    return before === undefined ? drops : drops.map((count, reason) => count - before[reason]!);
  }

  private dropsAt(row: number): Float64Array {
    const sums = new Float64Array(DROP_REASONS);
    for (const { portDrops } of this.tables.counters)
      for (let reason = 0; reason < DROP_REASONS; reason++) sums[reason]! += portDrops[row * DROP_REASONS + reason]!;
    return sums;
  }

  of(owner: object): Counted {
    return this.kept.get(owner) ?? [0, 0, 0, 0, 0];
  }
}

export function vsiViews(inventory: Inventory, counted: CountedBefore): VsiView[] {
  return [...inventory.vsis.values()].map((vsi) => {
    const { broadcast, unknownUnicast, multicast } = vsi.config.flood;
    return {
      name: vsi.name,
      row: vsi.row,
      countedBefore: counted.of(vsi),
      vni: vsi.config.vni,
      interface: vsi.interface?.name ?? null,
      arp: vsi.config.arp,
      proxyArp: vsi.config.proxyArp,
      acs: vsi.acs.map((port) => port.name),
      tunnels: vsi.tunnels.map((port) => port.name),
      flooded: [...vsi.acs, ...vsi.tunnels].filter((port) => port.up).length,
      flood: { broadcast, unknownUnicast, multicast },
    };
  });
}

export function acViews(inventory: Inventory, counted: CountedBefore): AcView[] {
  return inventory.acs().map((port) => {
    const { tap, handover, vlan, antiSpoof, stormPerSecond } = port.config;
    const { name, row, up, linkDown, mtu } = port;
    const countedBefore = counted.of(port);
    return {
      name,
      row,
      countedBefore,
      vsi: port.vsi.name,
      up,
      linkDown,
      mtu,
      tap,
      handover,
      vlan,
      antiSpoof,
      stormPerSecond,
    };
  });
}

export function tunnelViews(inventory: Inventory, counted: CountedBefore): TunnelView[] {
  const vsis = new Map<PortObject, string[]>();
  for (const vsi of inventory.vsis.values())
    for (const tunnel of vsi.tunnels) {
      const names = vsis.get(tunnel);
      if (names === undefined) vsis.set(tunnel, [vsi.name]);
      else names.push(vsi.name);
    }
  return inventory.tunnels().map((port) => {
    const { remote, keepalive } = port.config;
    const { name, row, up, draining, lingering, mtu } = port;
    return {
      name,
      row,
      countedBefore: counted.of(port),
      remote,
      up,
      draining,
      lingering,
      mtu,
      vsis: vsis.get(port) ?? [],
      keepalive,
    };
  });
}

export function interfaceViews(inventory: Inventory): InterfaceView[] {
  return [...inventory.interfaces.values()].map((iface) => ({
    name: iface.name,
    row: iface.row,
    vrf: iface.vrfName,
    vsis: iface.vsis.map((vsi) => vsi.name),
    addresses: iface.subnets.map(({ address, length }) => `${formatIp(address)}/${length}`),
    mac: formatMac(iface.mac),
    macSetting: iface.config.mac,
    mtu: iface.mtu,
    distributed: iface.config.distributed,
    icmpSource: iface.config.icmpSource?.text ?? null,
    mssClamp: iface.config.mssClamp,
  }));
}

const ACTIONS: Readonly<Record<number, RouteView["action"]>> = {
  [FIB.ROUTE_LOCAL]: "local",
  [FIB.ROUTE_GLEAN]: "glean",
  [FIB.ROUTE_ADJACENCY]: "forward",
  [FIB.ROUTE_HOST]: "forward",
  [FIB.ROUTE_GROUP]: "forward",
  [FIB.ROUTE_UNREACHABLE]: "unreachable",
  [FIB.ROUTE_PROHIBIT]: "prohibit",
  [FIB.ROUTE_DISCARD]: "discard",
  [FIB.ROUTE_BROADCAST]: "broadcast",
  [FIB.ROUTE_UNDERLAY]: "underlay",
  [FIB.ROUTE_VRF]: "vrf",
};

export interface RouteParts {
  readonly tables: Tables;
  readonly inventory: Inventory;
  readonly routes: Routes;
  /** The topology. */
  readonly hops: {
    readonly staticRoutes: Pick<StaticRoutes, "nextHopsOf" | "viaVrfOf">;
    readonly fabricRoutes: Pick<FabricRoutes, "nextHopsOf">;
  };
  readonly vrfNames: ReadonlyMap<number, string>;
}

/** All routes: by VRF in the order of `compare`, then by address and length; made as they are read. */
export function* routeViews(
  parts: RouteParts,
  compare: (a: string, b: string) => number = (a, b) => (a < b ? -1 : 1),
): Stepwise<RouteView> {
  const named = [...parts.vrfNames].sort(([, a], [, b]) => compare(a, b));
  const ranks = new Map(named.map(([vrf], rank) => [vrf, rank]));
  const rankOf = (vrf: number) => ranks.get(vrf) ?? ranks.size + vrf;
  const order = (a: RouteEntry, b: RouteEntry) =>
    rankOf(a.vrf) - rankOf(b.vrf) || compareIp(a.network, b.network) || a.length - b.length;
  for (const entry of sorted(parts.routes.list(), order)) yield entry === STEP ? STEP : routeView(parts, entry);
}

export function routeView(parts: RouteParts, entry: RouteEntry): RouteView {
  const { tables, inventory, vrfNames } = parts;
  const vrf = vrfNames.get(entry.vrf) ?? String(entry.vrf);
  const prefix = `${formatIp(entry.network)}/${entry.length}`;
  let row = 0;
  if (entry.kind === FIB.ROUTE_LOCAL || entry.kind === FIB.ROUTE_GLEAN) row = entry.argument;
  else if (entry.kind === FIB.ROUTE_ADJACENCY || entry.kind === FIB.ROUTE_HOST)
    row = tables.fib.adjacencyInterface[entry.argument]!;
  return {
    vrf,
    prefix,
    origin: entry.origin,
    action: ACTIONS[entry.kind]!,
    interface: inventory.interfaces.get(row)?.name ?? null,
    viaVrf: entry.origin === "static" ? parts.hops.staticRoutes.viaVrfOf(vrf, prefix) : null,
    nextHops: nextHopsOf(parts, entry, vrf, prefix),
  };
}

function nextHopsOf({ hops }: RouteParts, { origin, network, length }: RouteEntry, vrf: string, prefix: string) {
  if (origin === "static") return hops.staticRoutes.nextHopsOf(vrf, prefix);
  return origin === "evpn" ? hops.fabricRoutes.nextHopsOf(vrf, network, length) : [];
}

export function policyViews(policies: Policies): PolicyView[] {
  return policies.list().map(({ name, interfaces, rules }) => ({
    name,
    interfaces,
    rules: rules.map(({ id, rule, countedBefore, alive, nextHops }) => ({
      row: id,
      countedBefore,
      match: rule.match,
      action: rule.action,
      alive,
      nextHops,
    })),
  }));
}
