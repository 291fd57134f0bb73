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
import { IF_DISTRIBUTED, IF_MSS_CLAMP, MAX_INTERFACES, MAX_VRFS } from "../../tables/vsi.ts";
import { hiOf, loOf, type Mac } from "../../wire/ethernet.ts";
import { gatewayMac } from "../gateway-mac.ts";
import type { InterfaceObject, Inventory, Subnet } from "../inventory.ts";
import type { InterfaceConfig } from "../plan.ts";
import type { Draft } from "./draft.ts";
import type { Mtus } from "./mtu.ts";
import type { Reaper } from "./reaper.ts";

/** What became of a kept VSI-interface, for those who have learned something on it. */
export interface InterfaceChange {
  readonly on: InterfaceObject;
  readonly macChanged: boolean;
  readonly subnetsChanged: boolean;
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
      draft.interfaces.added.push({
        row,
        name: config.name,
        config,
        vrf: this.vrf(config.vrf),
        vrfName: config.vrf,
        mac: gatewayMac(config.mac, draft.config.node, draft.mtus.firstVni(config), config.name),
        mtu: draft.mtus.ofInterface(config),
        subnets: subnetsOf(config),
        vsis: [],
      });
    }
    return null;
  }

  /** The draft is carried out: rows and inventory. @returns what changed on the kept ones. */
  fill(draft: Draft): InterfaceChange[] {
    for (const on of draft.interfaces.removed) this.inventory.removeInterface(on);
    for (const on of draft.interfaces.added) {
      this.tables.interfaces.vrf[on.row] = on.vrf;
      this.store(on);
      this.inventory.addInterface(on);
    }
    const changes: InterfaceChange[] = [];
    const fresh = new Set(draft.interfaces.added);
    for (const config of draft.config.interfaces) {
      const on = this.inventory.interface(config.name)!;
      if (fresh.has(on)) continue;
      changes.push(this.change(on, config, draft));
    }
    return changes.filter((each) => each.macChanged || each.subnetsChanged || each.vsisChanged);
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
    for (const on of this.inventory.interfaces.values()) {
      on.mtu = mtus.ofInterface(on.config);
      this.store(on);
    }
  }

  private change(on: InterfaceObject, config: InterfaceConfig, draft: Draft): InterfaceChange {
    const mac = this.macOf(on, config, draft);
    const change = {
      on,
      macChanged: mac !== on.mac,
      subnetsChanged: addressesText(config) !== addressesText(on.config),
      vsisChanged: config.vsis.join("\n") !== on.config.vsis.join("\n"),
    };
    on.config = config;
    on.mac = mac;
    on.mtu = draft.mtus.ofInterface(config);
    on.subnets = subnetsOf(config);
    this.store(on);
    return change;
  }

  /** The MAC of `on` as `config` has it. Thousands of hashes are not free, so one is made only where what it hashes changed. */
  private macOf(on: InterfaceObject, config: InterfaceConfig, draft: Draft): Mac {
    const vni = draft.mtus.firstVni(config);
    if (config.mac === on.config.mac && this.vniOf.get(on) === vni) return on.mac;
    this.vniOf.set(on, vni);
    return gatewayMac(config.mac, draft.config.node, vni, config.name);
  }

  private store(on: InterfaceObject): void {
    const { interfaces } = this.tables;
    interfaces.macHi[on.row] = hiOf(on.mac);
    interfaces.macLo[on.row] = loOf(on.mac);
    interfaces.mtu[on.row] = on.mtu;
    interfaces.flags[on.row] = (on.config.distributed ? IF_DISTRIBUTED : 0) | (on.config.mssClamp ? IF_MSS_CLAMP : 0);
  }
}

function subnetsOf(on: InterfaceConfig): Subnet[] {
  return on.addresses.map(({ ip, prefix }) => ({ address: ip, network: prefix.network, length: prefix.length }));
}

/** Everything about a VSI-interface's addresses in one word; what was learned holds only as long as it stays. */
function addressesText({ addresses, icmpSource }: InterfaceConfig): string {
  return [...addresses.map(({ text, prefix }) => `${text} ${prefix.text}`), icmpSource?.text ?? "-"].join("\n");
}
