/**
 * VSIs: their rows, which (VNI, tunnel) leads to them, and who belongs to them.
 *
 * A VSI keeps its row through every change, a new VNI included: what is learned in it may have to be forgotten then, but
 * its ACs stay. The (VNI, tunnel) pairs are compared as a whole with what is published, so a pair that stays is not
 * touched, and one that goes from one VSI to another changes hands with one store.
 */
import { MAX_PORTS, MAX_VSIS } from "../../tables/counters.ts";
import { RowPool } from "../../tables/heartbeat.ts";
import type { Tables } from "../../tables/tables.ts";
import {
  VSI_DHCP_RELAY,
  VSI_DHCP6_RELAY,
  VSI_FLOOD_BROADCAST,
  VSI_FLOOD_MULTICAST,
  VSI_FLOOD_UNKNOWN,
  VSI_ISOLATE,
  VSI_KEEP_INNER_VLAN,
  VSI_LOCAL_PROXY,
  VSI_ND,
  VSI_NO_TUNNEL_LEARN,
  VSI_RA,
  VSI_SUPPRESS,
} from "../../tables/vsi.ts";
import { hasIpv6, type Inventory, type TunnelPort, type VsiObject } from "../inventory.ts";
import { PatientWriter } from "../patient-writer.ts";
import type { VsiConfig } from "../plan.ts";
import type { Timers } from "../timers.ts";
import type { Draft } from "./draft.ts";
import { FloodLists } from "./flood-lists.ts";
import type { Reaper } from "./reaper.ts";
import { groupAcs } from "./taps.ts";
import type { TunnelHolds } from "./tunnel-holds.ts";

interface Pair {
  readonly vni: number;
  readonly tunnel: number;
  readonly vsi: number;
}

export class Vsis {
  readonly floods: FloodLists;
  private readonly tables: Tables;
  private readonly inventory: Inventory;
  private readonly holds: TunnelHolds;
  private readonly reaper: Reaper;
  private readonly rows: RowPool;
  private readonly vnis: PatientWriter;
  /** What is published, and what shall be; see `pairKey`. */
  private pairs = new Map<number, Pair>();
  private wanted = new Map<number, Pair>();
  private ofVni = new Map<number, VsiObject>();

  constructor(tables: Tables, inventory: Inventory, holds: TunnelHolds, timers: Timers, reaper: Reaper, seed: number) {
    this.tables = tables;
    this.inventory = inventory;
    this.holds = holds;
    this.reaper = reaper;
    this.rows = new RowPool(tables.heartbeat, MAX_VSIS);
    this.vnis = new PatientWriter(tables.vsis.ofVni, tables.heartbeat, timers, seed);
    this.floods = new FloodLists(tables.vsis, tables.heartbeat, timers);
  }

  /** Take rows for the VSIs that come. @returns why not. */
  prepare(draft: Draft): string | null {
    for (const { name } of draft.diff.vsis.removed) draft.vsis.removed.push(this.inventory.vsi(name)!);
    for (const config of draft.diff.vsis.added) {
      const row = this.rows.take();
      if (row === 0) return `VSI ${config.name}: no row is free`;
      draft.undo.push(() => this.rows.retire(row));
      draft.vsis.added.push({ row, name: config.name, config, interface: null, acs: [], tunnels: [] });
    }
    return null;
  }

  /** The draft is carried out: the inventory, and who belongs to whom. Ports and VSI-interfaces are in the inventory already. */
  fill(draft: Draft): void {
    for (const vsi of draft.vsis.removed) {
      this.inventory.removeVsi(vsi);
      vsi.acs.length = 0;
      vsi.tunnels.length = 0;
    }
    for (const vsi of draft.vsis.added) this.inventory.addVsi(vsi);
    const acs = groupAcs(draft.config.acs, (ac) => ac.vsi);
    for (const config of draft.config.vsis) {
      const vsi = this.inventory.vsi(config.name)!;
      vsi.config = config;
      vsi.interface = config.interface === null ? null : this.inventory.interface(config.interface)!;
      const members = acs.get(config.name) ?? [];
      vsi.acs.splice(0, vsi.acs.length, ...members.map((ac) => this.inventory.ac(ac.name)!));
      vsi.tunnels.splice(0, vsi.tunnels.length, ...this.tunnelsOf(config));
    }
    this.ofVni = new Map([...this.inventory.vsis.values()].map((vsi) => [vsi.config.vni ?? 0, vsi]));
    for (const iface of draft.config.interfaces) {
      const { vsis } = this.inventory.interface(iface.name)!;
      vsis.splice(0, vsis.length, ...iface.vsis.map((name) => this.inventory.vsi(name)!));
    }
    for (const vsi of draft.vsis.added) this.store(vsi);
  }

  /** Pairs and flood copies that are no more. */
  withdraw(draft: Draft): void {
    this.wanted = this.wantedPairs();
    for (const [key, { vni, tunnel }] of this.pairs) if (!this.wanted.has(key)) this.vnis.remove(vni, tunnel);
    for (const vsi of draft.vsis.removed) this.floods.update(vsi);
  }

  /** Flags, VNI and VSI-interface of the kept ones; flood lists. Rows of new ports and VSI-interfaces are filled. */
  change(draft: Draft): void {
    for (const { name } of draft.config.vsis) {
      const vsi = this.inventory.vsi(name)!;
      this.store(vsi);
      this.floods.update(vsi);
    }
  }

  /** From now on frames come in by the new pairs. */
  publish(draft: Draft): void {
    for (const [key, { vni, tunnel, vsi }] of this.wanted) {
      if (this.pairs.get(key)?.vsi === vsi) continue;
      if (!this.vnis.set(vni, tunnel, vsi)) throw new Error("the VNI table is full, although the plan was checked");
    }
    this.pairs = this.wanted;
    for (const vsi of draft.vsis.removed) this.bury(vsi);
  }

  /** The VSI of a VNI. */
  of(vni: number): VsiObject | undefined {
    return vni === 0 ? undefined : this.ofVni.get(vni);
  }

  /** Without a reload: `tunnel` carries the VNI of `vsi` from now on. */
  join(vsi: VsiObject, tunnel: TunnelPort): void {
    const vni = vsi.config.vni!;
    const pair = { vni, tunnel: tunnel.row, vsi: vsi.row };
    if (!this.vnis.set(vni, tunnel.row, vsi.row)) throw new Error("the VNI table is full, although there was room");
    this.pairs.set(pairKey(vni, tunnel.row), pair);
    vsi.tunnels.push(tunnel);
    this.floods.update(vsi);
  }

  /** The reverse of `join`. */
  leave(vsi: VsiObject, tunnel: TunnelPort): void {
    this.spare(vsi, tunnel);
    this.forgetPair(vsi.config.vni!, tunnel);
  }

  /** Nothing is sent by `tunnel` in `vsi` any more; its frames are still taken. */
  spare(vsi: VsiObject, tunnel: TunnelPort): void {
    vsi.tunnels.splice(vsi.tunnels.indexOf(tunnel), 1);
    this.floods.update(vsi);
  }

  /** The reverse of `spare`. */
  use(vsi: VsiObject, tunnel: TunnelPort): void {
    vsi.tunnels.push(tunnel);
    this.floods.update(vsi);
  }

  /** The end of what was spared. */
  forgetPair(vni: number, tunnel: TunnelPort): void {
    this.vnis.remove(vni, tunnel.row);
    this.pairs.delete(pairKey(vni, tunnel.row));
  }

  /** In the order of the configuration; behind them those that others hold for its VNI. */
  private tunnelsOf({ vni, tunnels }: VsiConfig): Set<TunnelPort> {
    const all = new Set(tunnels.map((name) => this.inventory.tunnel(name)!));
    if (vni !== null) for (const remote of this.holds.remotesOf(vni)) all.add(this.inventory.tunnelTo(remote)!);
    return all;
  }

  private wantedPairs(): Map<number, Pair> {
    const pairs = new Map<number, Pair>();
    for (const vsi of this.inventory.vsis.values()) {
      const vni = vsi.config.vni;
      if (vni === null) continue;
      for (const { row } of vsi.tunnels) pairs.set(pairKey(vni, row), { vni, tunnel: row, vsi: vsi.row });
    }
    return pairs;
  }

  /** Each column is one store of one word: a worker sees the old value or the new one. */
  private store(vsi: VsiObject): void {
    const { vsis } = this.tables;
    vsis.vni[vsi.row] = vsi.config.vni ?? 0;
    vsis.flags[vsi.row] = flagsOf(vsi.config) | discoveryFlagsOf(vsi);
    Atomics.store(vsis.interface, vsi.row, vsi.interface?.row ?? 0);
  }

  private bury(vsi: VsiObject): void {
    const { vsis } = this.tables;
    Atomics.store(vsis.interface, vsi.row, 0);
    this.reaper.bury(
      () => {},
      () => {
        this.floods.forget(vsi.row);
        this.rows.retire(vsi.row);
      },
    );
  }
}

function discoveryFlagsOf({ config, interface: iface }: VsiObject): number {
  const isRouter = iface !== null && iface.config.routerAdvertisement !== null;
  const isSeen = config.arp === "suppress" || (iface !== null && hasIpv6(iface));
  return (isSeen ? VSI_ND : 0) | (isRouter ? VSI_RA : 0);
}

/** One number for (VNI, tunnel): reloads compare tens of thousands of pairs. */
function pairKey(vni: number, tunnel: number): number {
  return vni * MAX_PORTS + tunnel;
}

function flagsOf({ arp, evpn, flood, innerVlan, isRelayed, isRelayed6, linkLocal }: VsiConfig): number {
  return (
    (arp === "localProxy" ? VSI_LOCAL_PROXY : 0) |
    (arp === "suppress" ? VSI_SUPPRESS : 0) |
    (flood.broadcast ? VSI_FLOOD_BROADCAST : 0) |
    (flood.unknownUnicast ? VSI_FLOOD_UNKNOWN : 0) |
    (flood.multicast ? VSI_FLOOD_MULTICAST : 0) |
    (innerVlan === "keep" ? VSI_KEEP_INNER_VLAN : 0) |
    (isRelayed ? VSI_DHCP_RELAY : 0) |
    (isRelayed6 ? VSI_DHCP6_RELAY : 0) |
    (linkLocal === "isolate" ? VSI_ISOLATE : 0) |
    (evpn?.learning === "evpn" ? VSI_NO_TUNNEL_LEARN : 0)
  );
}
