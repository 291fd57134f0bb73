/**
 * VSI-interfaces and VRFs: their rows, gateway MACs, MTUs and subnets.
 *
 * A VSI-interface keeps its row through every change but one: in another VRF it is another VSI-interface, because what
 * was routed in one VRF must never be seen in the next (behaviour.md §5). VRF rows have no content of their own; they are
 * numbers in keys, given out and buried like every other row.
 *
 * MAC and MTU may follow from other objects (the first VSI's VNI, the underlay), so they are computed for all at every
 * change, and stored where they differ.
 */
import { RowPool } from "../../tables/heartbeat.ts";
import type { Tables } from "../../tables/tables.ts";
import { IF_DISTRIBUTED, IF_IPV6, IF_L3VNI, IF_MSS_CLAMP, MAX_INTERFACES, MAX_VRFS } from "../../tables/vsi.ts";
import { hiOf, loOf, type Mac } from "../../wire/ethernet.ts";
import type { Ipv4 } from "../../wire/ipv4.ts";
import { type Ipv6, linkLocalOfMac } from "../../wire/ipv6.ts";
import { gatewayMac } from "../gateway-mac.ts";
import { hasIpv6, type InterfaceObject, type Inventory, isOwnAddress, type Subnet, subnetOf } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { InterfaceConfig } from "../plan.ts";
import type { Draft } from "./draft.ts";
import type { Mtus } from "./mtu.ts";
import type { IsTouched } from "./pins.ts";
import type { Reaper } from "./reaper.ts";

/** What became of a kept VSI-interface, for those who have learned something on it. */
export interface InterfaceChange {
  readonly iface: InterfaceObject;
  readonly macChanged: boolean;
  /** Does what was learned of `ip` hold no more? null: its addresses are what they were. */
  readonly isTouched: IsTouched | null;
  readonly vsisChanged: boolean;
}

export class Interfaces {
  private readonly tables: Tables;
  private readonly inventory: Inventory;
  private readonly reaper: Reaper;
  private readonly rows: RowPool;
  /** Rows 1..MAX_VRFS; a VRF's number is one less. */
  private readonly vrfRows: RowPool;
  private readonly vrfs = new Map<string, number>();
  /** The VNI that its MAC was last derived from. */
  private readonly vniOf = new WeakMap<InterfaceObject, number | null>();

  constructor(tables: Tables, inventory: Inventory, reaper: Reaper) {
    this.tables = tables;
    this.inventory = inventory;
    this.reaper = reaper;
    this.rows = new RowPool(tables.heartbeat, MAX_INTERFACES);
    this.vrfRows = new RowPool(tables.heartbeat, MAX_VRFS + 1);
  }

  /** Row of VRF `name`; it has a VSI-interface (the plan promises that of routes and policies). */
  vrf(name: string): number {
    const row = this.vrfs.get(name);
    if (row === undefined) throw new Error(`VRF ${name}: has no VSI-interface, although the plan was checked`);
    return row;
  }

  get vrfCount(): number {
    return this.vrfs.size;
  }

  /** Names by row. */
  vrfNames(): Map<number, string> {
    return new Map([...this.vrfs].map(([name, row]) => [row, name]));
  }

  /** Take rows for the VSI-interfaces and VRFs that come. @returns why not. */
  prepare(draft: Draft): string | null {
    const { interfaces } = draft.diff;
    const moved = interfaces.changed.filter(({ from, to }) => from.vrf !== to.vrf);
    for (const { name } of [...interfaces.removed, ...moved.map((each) => each.from)])
      draft.interfaces.removed.push(this.inventory.interface(name)!);
    for (const { vrf } of draft.config.interfaces) {
      if (this.vrfs.has(vrf)) continue;
      const row = this.vrfRows.take();
      if (row === 0) return `VRF ${vrf}: there are ${MAX_VRFS} already`;
      this.vrfs.set(vrf, row - 1);
      draft.undo.push(() => {
        this.vrfs.delete(vrf);
        this.vrfRows.retire(row);
      });
    }
    for (const config of [...interfaces.added, ...moved.map((each) => each.to)]) {
      const row = this.rows.take();
      if (row === 0) return `VSI-interface ${config.name}: no row is free`;
      draft.undo.push(() => this.rows.retire(row));
      const mac = gatewayMac(config.mac, draft.config.node, draft.mtus.firstVni(config), config.name);
      draft.interfaces.added.push({
        row,
        name: config.name,
        config,
        vrf: this.vrf(config.vrf),
        vrfName: config.vrf,
        mac,
        mtu: draft.mtus.ofInterface(config),
        ...addressesOf(config, mac),
        borrowed: 0,
        borrowed6: 0n,
        vsis: [],
      });
    }
    return null;
  }

  /** The draft is carried out: rows and inventory. @returns what changed on the kept ones. */
  fill(draft: Draft): InterfaceChange[] {
    for (const iface of draft.interfaces.removed) this.inventory.removeInterface(iface);
    for (const iface of draft.interfaces.added) {
      this.tables.interfaces.vrf[iface.row] = iface.vrf;
      this.store(iface);
      this.inventory.addInterface(iface);
    }
    const changes: InterfaceChange[] = [];
    const fresh = new Set(draft.interfaces.added);
    for (const config of draft.config.interfaces) {
      const iface = this.inventory.interface(config.name)!;
      if (fresh.has(iface)) continue;
      changes.push(this.change(iface, config, draft));
    }
    this.lend();
    return changes.filter((each) => each.macChanged || each.isTouched !== null || each.vsisChanged);
  }

  /** Nothing refers to the removed ones any more. */
  bury(draft: Draft): void {
    for (const { row } of draft.interfaces.removed)
      this.reaper.bury(
        () => {},
        () => this.rows.retire(row),
      );
    const used = new Set(draft.config.interfaces.map((each) => each.vrf));
    for (const [name, row] of this.vrfs) {
      if (used.has(name)) continue;
      this.vrfs.delete(name);
      this.reaper.bury(
        () => {},
        () => this.vrfRows.retire(row + 1),
      );
    }
  }

  /** The underlay MTU changed. */
  setMtus(mtus: Mtus): void {
    for (const iface of this.inventory.interfaces.values()) {
      iface.mtu = mtus.ofInterface(iface.config);
      this.store(iface);
    }
  }

  /** Unnumbered ones get an address to speak with: one that is this gateway's alone, else the first of the VRF. */
  private lend(): void {
    const all = [...this.inventory.interfaces.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const iface of all) {
      if (iface.subnets.length > 0) continue;
      const others = all.flatMap(({ vrf, config }) => (vrf === iface.vrf ? [config] : []));
      iface.borrowed = (lentBy(others, "number") ?? 0) as Ipv4;
      iface.borrowed6 = (lentBy(others, "bigint") ?? 0n) as Ipv6;
    }
  }

  private change(iface: InterfaceObject, config: InterfaceConfig, draft: Draft): InterfaceChange {
    const mac = this.macOf(iface, config, draft);
    const isOther = addressesText(config) !== addressesText(iface.config);
    const change = {
      iface,
      macChanged: mac !== iface.mac,
      isTouched: isOther ? touchedBetween({ ...iface }, iface) : null,
      vsisChanged: config.vsis.join("\n") !== iface.config.vsis.join("\n"),
    };
    iface.config = config;
    iface.mac = mac;
    iface.mtu = draft.mtus.ofInterface(config);
    Object.assign(iface, addressesOf(config, mac));
    this.store(iface);
    return change;
  }

  /** The MAC of `iface` as `config` has it. Thousands of hashes are not free, so one is made only where what it hashes changed. */
  private macOf(iface: InterfaceObject, config: InterfaceConfig, draft: Draft): Mac {
    const vni = draft.mtus.firstVni(config);
    if (config.mac === iface.config.mac && this.vniOf.get(iface) === vni) return iface.mac;
    this.vniOf.set(iface, vni);
    return gatewayMac(config.mac, draft.config.node, vni, config.name);
  }

  private store(iface: InterfaceObject): void {
    const { interfaces } = this.tables;
    interfaces.macHi[iface.row] = hiOf(iface.mac);
    interfaces.macLo[iface.row] = loOf(iface.mac);
    interfaces.mtu[iface.row] = iface.mtu;
    interfaces.linkLocal[2 * iface.row] = Number(BigInt.asIntN(32, iface.linkLocal >> 32n));
    interfaces.linkLocal[2 * iface.row + 1] = Number(BigInt.asIntN(32, iface.linkLocal));
    interfaces.flags[iface.row] =
      (iface.config.distributed ? IF_DISTRIBUTED : 0) |
      (iface.config.mssClamp ? IF_MSS_CLAMP : 0) |
      (hasIpv6(iface) || iface.subnets.length === 0 ? IF_IPV6 : 0) |
      (iface.subnets.length === 0 ? IF_L3VNI : 0);
  }
}

/** VSI-interfaces of which something is forgotten, and of which addresses. */
export function emptiedOf(
  removed: readonly InterfaceObject[],
  changes: readonly InterfaceChange[],
): Map<InterfaceObject, IsTouched> {
  const emptied = new Map<InterfaceObject, IsTouched>(removed.map((iface) => [iface, () => true]));
  for (const { iface, isTouched } of changes) if (isTouched !== null) emptied.set(iface, isTouched);
  return emptied;
}

/** A host is touched where we speak to it from another subnet or address than `was`, or where its address became ours. */
function touchedBetween(was: InterfaceObject, is: InterfaceObject): IsTouched {
  return (ip) => {
    const [from, to] = [subnetOf(was, ip), subnetOf(is, ip)];
    const isSame = from?.address === to?.address && from?.network === to?.network && from?.length === to?.length;
    return !isSame || isOwnAddress(was, ip) !== isOwnAddress(is, ip);
  };
}

/** The address of a family that VSI-interfaces of a VRF lend; null: none of them has one. */
function lentBy(others: readonly InterfaceConfig[], family: "number" | "bigint"): Ip | null {
  const sourceOf = ({ icmpSource, icmpSource6 }: InterfaceConfig) => (family === "number" ? icmpSource : icmpSource6);
  const addressOf = ({ addresses }: InterfaceConfig) => addresses.find(({ ip }) => typeof ip === family);
  const unique = others.find((each) => sourceOf(each) !== null || (!each.distributed && addressOf(each) !== undefined));
  const lender = unique ?? others.find((each) => addressOf(each) !== undefined);
  if (lender === undefined) return null;
  return sourceOf(lender)?.ip ?? addressOf(lender)!.ip;
}

/** With IPv6 it has a link-local subnet too, behind those of the configuration. */
function addressesOf(config: InterfaceConfig, mac: Mac): Pick<InterfaceObject, "subnets" | "linkLocal"> {
  const subnets: Subnet[] = config.addresses.map(({ ip, prefix }) => ({
    ...{ address: ip, network: prefix.network, length: prefix.length },
  }));
  if (config.linkLocal === null) return { subnets, linkLocal: 0n };
  const address = config.linkLocal === "eui64" ? linkLocalOfMac(mac) : config.linkLocal.ip;
  return { subnets: [...subnets, { address, network: LINK_LOCAL, length: 64 }], linkLocal: address };
}

const LINK_LOCAL = 0xfe80n << 112n;

/** Everything about a VSI-interface's addresses in one word; while it stays, all that was learned holds. */
function addressesText({ addresses, linkLocal, icmpSource, icmpSource6 }: InterfaceConfig): string {
  const own = typeof linkLocal === "string" ? linkLocal : (linkLocal?.text ?? "-");
  const texts = addresses.map(({ text, prefix }) => `${text} ${prefix.text}`);
  return [...texts, own, icmpSource?.text ?? "-", icmpSource6?.text ?? "-"].join("\n");
}
