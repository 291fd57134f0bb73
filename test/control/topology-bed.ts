/**
 * A gateway without planes: the real topology over real tables, with learners, TAPs and workers that only take notes.
 */

import { configDiff } from "../../src/config/diff.ts";
import { formatErrors } from "../../src/config/error.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { LeftTunnels } from "../../src/control/behind.ts";
import type { EventName } from "../../src/control/event.ts";
import {
  type AcPort,
  type InterfaceObject,
  Inventory,
  type PortObject,
  type TunnelPort,
  type VsiObject,
} from "../../src/control/inventory.ts";
import type { Config } from "../../src/control/plan.ts";
import { Routes } from "../../src/control/routes/routes.ts";
import { Timers } from "../../src/control/timers.ts";
import type { Learners } from "../../src/control/topology/learners.ts";
import type { IoCommands } from "../../src/control/topology/taps.ts";
import { Topology } from "../../src/control/topology/topology.ts";
import { routeViews } from "../../src/control/topology/views.ts";
import { MAX_RULES } from "../../src/tables/counters.ts";
import type { ExactMatch } from "../../src/tables/exact-match.ts";
import { RULE_ACTION, RULE_WORDS } from "../../src/tables/fib.ts";
import { createTables, type Sizes, type Tables } from "../../src/tables/tables.ts";
import { FLOOD_ACS, FLOOD_ALL, FLOOD_PORTS, MAX_INTERFACES } from "../../src/tables/vsi.ts";
import { formatMac, type Mac } from "../../src/wire/ethernet.ts";
import { formatIpv4, type Ipv4 } from "../../src/wire/ipv4.ts";
import { FakeNextHops } from "./fake-next-hops.ts";
import { NotingOpener } from "./noting-opener.ts";

export const SIZES: Sizes = { workers: 2, macs: 4096, neighbors: 256, routes: 1024 };

/** A checked configuration: `body` below a node with VTEP address 192.0.2.1. */
export function plan(body: string, underlay = "{address: 192.0.2.1, mtu: 1600}"): Config {
  const result = parseConfig(
    `node: gw1\nunderlay: ${underlay}\nlimits: {macs: 4096, neighbors: 256, routes: 1024}\n${body}`,
    "test.yaml",
  );
  if ("errors" in result) throw new Error(formatErrors(result.errors));
  return result.config;
}

/** Notes what it is told; `macs` and `hosts` are what is pinned right now. */
export class NotingLearners implements Learners {
  readonly notes: string[] = [];
  /** "vsi mac" -> "port flags" */
  readonly pinned = new Map<string, string>();
  /** "interface ip" -> "mac port vsi" */
  readonly hosts = new Map<string, string>();
  readonly hops = new FakeNextHops();
  hasRoom = true;

  readonly macs = {
    addStatic: (vsi: VsiObject, mac: Mac, port: PortObject | null, flags: number) => {
      if (this.hasRoom) this.pinned.set(`${vsi.name} ${formatMac(mac)}`, `${port?.name ?? "-"} ${flags.toString(16)}`);
      return this.hasRoom;
    },
    removeStatic: (vsi: VsiObject, mac: Mac) => {
      if (!this.pinned.delete(`${vsi.name} ${formatMac(mac)}`)) throw new Error(`${formatMac(mac)} was not pinned`);
    },
  };

  readonly neighbors = {
    hold: (on: InterfaceObject, ip: Ipv4) => this.hops.hold(on, ip),
    release: (adjacency: number) => this.hops.release(adjacency),
    isAlive: (adjacency: number) => this.hops.isAlive(adjacency),
    onChange: (callback: (adjacency: number, alive: boolean) => void) => this.hops.onChange(callback),
    addStatic: (on: InterfaceObject, ip: Ipv4, mac: Mac, port: PortObject, vsi: VsiObject) => {
      this.hosts.set(`${on.name} ${formatIpv4(ip)}`, `${formatMac(mac)} ${port.name} ${vsi.name}`);
      return true;
    },
    removeStatic: (on: InterfaceObject, ip: Ipv4) => {
      if (!this.hosts.delete(`${on.name} ${formatIpv4(ip)}`)) throw new Error(`${formatIpv4(ip)} was not pinned`);
    },
    refreshRewrites: (on: InterfaceObject) => this.notes.push(`refresh ${on.name}`),
  };

  readonly security = { configure: () => undefined };

  announceAt(on: InterfaceObject, port: PortObject, vsi: VsiObject): void {
    this.notes.push(`announce ${on.name} on ${port.name} in ${vsi.name}`);
  }

  announceNews(): void {}

  announceInto(tunnel: PortObject): void {
    this.notes.push(`tell ${tunnel.name}`);
  }

  announceHosts(vsi: VsiObject): void {
    this.notes.push(`tell hosts of ${vsi.name}`);
  }

  portUp(port: PortObject): void {
    this.notes.push(`up ${port.name}`);
  }

  suspendPort(port: PortObject): void {
    this.notes.push(`suspend port ${port.name} ${port.row}`);
  }

  flushPort(port: PortObject): void {
    this.notes.push(`flush port ${port.name} ${port.row}`);
  }

  leaveTunnels(left: LeftTunnels): void {
    const textOf = ([{ name, row }, vsis]: [PortObject, ReadonlySet<VsiObject>]) =>
      `flush port ${name} ${row} of ${Array.from(vsis, (vsi) => vsi.name)}`;
    this.notes.push(Array.from(left, textOf).join("; "));
  }

  flushVsi(vsi: VsiObject): void {
    this.notes.push(`flush vsi ${vsi.name}`);
    for (const key of this.pinned.keys()) if (key.startsWith(`${vsi.name} `)) this.pinned.delete(key);
    for (const [key, value] of this.hosts) if (value.endsWith(` ${vsi.name}`)) this.hosts.delete(key);
  }

  flushInterface(on: InterfaceObject): void {
    this.notes.push(`flush interface ${on.name}`);
    for (const key of this.hosts.keys()) if (key.startsWith(`${on.name} `)) this.hosts.delete(key);
  }

  /** What was noted since the last call. */
  take(): string[] {
    return this.notes.splice(0);
  }
}

export class NotingCommands implements IoCommands {
  /** By io port: what the workers hold. */
  readonly attached = new Map<number, string>();
  readonly notes: string[] = [];

  attachTap(io: number, fds: readonly number[]): void {
    if (this.attached.has(io)) throw new Error(`io port ${io} is attached already`);
    this.attached.set(io, `tap ${fds.join()}`);
    this.notes.push(`tap ${io}`);
  }

  attachPeer(io: number, address: Uint8Array, udpPort: number): void {
    if (this.attached.has(io)) throw new Error(`io port ${io} is attached already`);
    const text = `peer ${address.join(".")}:${udpPort}`;
    if ([...this.attached.values()].includes(text)) throw new Error(`${text} is attached already`);
    this.attached.set(io, text);
    this.notes.push(`peer ${io}`);
  }

  detach(io: number): void {
    if (!this.attached.delete(io)) throw new Error(`io port ${io} is not attached`);
    this.notes.push(`detach ${io}`);
  }

  flush(): void {}
}

export class Bed {
  readonly tables: Tables;
  readonly timers = new Timers(0);
  readonly inventory = new Inventory();
  readonly learners = new NotingLearners();
  readonly opener = new NotingOpener();
  readonly commands = new NotingCommands();
  readonly routes: Routes;
  readonly topology: Topology;
  readonly events: EventName[] = [];
  isDrained = true;

  constructor(sizes: Sizes = SIZES, settings = plan("")) {
    this.tables = createTables(sizes).tables;
    this.routes = new Routes(this.tables, this.timers, () => undefined, 0x5eed);
    this.topology = new Topology({
      tables: this.tables,
      timers: this.timers,
      inventory: this.inventory,
      routes: this.routes,
      learners: this.learners,
      opener: this.opener,
      commands: this.commands,
      emit: (_level, event) => this.events.push(event),
      difference: configDiff,
      isDrained: () => this.isDrained,
      settings,
      underlayMtu: 1600,
      seed: 0x5eed,
    });
  }

  /** Apply, which must succeed, and let what went be buried. */
  apply(config: Config): void {
    const result = this.topology.apply(config);
    if (!result.ok) throw new Error(result.reason);
    this.settle();
  }

  /** Time in which files are closed but rows are not yet free again. */
  settle(): void {
    this.timers.run(this.timers.nowMs + 20);
  }

  port(name: string): PortObject {
    return (this.inventory.ac(name) ?? this.inventory.tunnel(name))!;
  }

  ac(name: string): AcPort {
    return this.inventory.ac(name)!;
  }

  tunnel(name: string): TunnelPort {
    return this.inventory.tunnel(name)!;
  }

  vsi(name: string): VsiObject {
    return this.inventory.vsi(name)!;
  }

  interface(name: string): InterfaceObject {
    return this.inventory.interface(name)!;
  }

  /** The published flood list of a VSI, as names: ACs, then tunnels. */
  flood(name: string): [string[], string[]] {
    const { floodAt, flood } = this.tables.vsis;
    const at = floodAt[this.vsi(name).row]!;
    const names = [...flood.subarray(at + FLOOD_PORTS, at + FLOOD_PORTS + flood[at + FLOOD_ALL]!)].map(
      (row) => this.inventory.ports.get(row)?.name ?? `row ${row}`,
    );
    return [names.slice(0, flood[at + FLOOD_ACS]), names.slice(flood[at + FLOOD_ACS])];
  }

  /** The VSI that a VNI leads to when it comes by a tunnel. */
  vniOf(vni: number, tunnel: string): string | null {
    const row = this.tables.vsis.ofVni.get(vni, this.port(tunnel).row);
    return row === 0 ? null : (this.inventory.vsis.get(row)?.name ?? `row ${row}`);
  }

  /** What the tables mean, in names: equal for two gateways with the same configuration, whatever came before. */
  meaning(): Record<string, unknown> {
    const { ports, vsis, interfaces, fib, settings } = this.tables;
    const all = [...this.inventory.ports.values()];
    const nameOf = (row: number) => this.inventory.ports.get(row)?.name ?? (row === 0 ? "-" : `row ${row}`);
    const hop = (adjacency: number) => this.learners.hops.held.get(adjacency)?.name ?? `adjacency ${adjacency}`;
    return {
      settings: [...settings],
      ports: all.map(({ name, row, io, up }) => ({
        name,
        up,
        kind: ports.kind[row],
        vsi: this.inventory.vsis.get(ports.vsi[row]!)?.name ?? "-",
        vlan: ports.vlan[row],
        mtu: ports.mtu[row],
        flags: ports.flags[row],
        storm: ports.storm[row],
        ioKind: ports.ioKind[io],
        leads: ports.vlan[row] === 0 ? nameOf(ports.ofIo[io]!) : nameOf(ports.ofVlan.get(io, ports.vlan[row]!)),
        attached: this.commands.attached.get(io)?.replace(/^tap .*/, "tap"),
      })),
      circuits: live(ports.ofVlan).length,
      vsis: [...this.inventory.vsis.values()].map(({ name, row }) => ({
        name,
        vni: vsis.vni[row],
        flags: vsis.flags[row],
        interface: this.inventory.interfaces.get(vsis.interface[row]!)?.name ?? "-",
        flood: this.flood(name),
      })),
      pairs: live(vsis.ofVni).map(
        ([vni, port, vsi]) => `${vni} ${nameOf(port!)} ${this.inventory.vsis.get(vsi!)?.name}`,
      ),
      interfaces: [...this.inventory.interfaces.values()].map(({ name, row, vrf, vrfName }) => ({
        name,
        vrfName,
        vrf: interfaces.vrf[row] === vrf,
        mac: [interfaces.macHi[row], interfaces.macLo[row]],
        mtu: interfaces.mtu[row],
        flags: interfaces.flags[row],
        lengths: fib.lengths[vrf],
      })),
      routes: [
        ...routeViews({
          tables: this.tables,
          inventory: this.inventory,
          routes: this.routes,
          hops: this.topology,
          vrfNames: this.topology.interfaces.vrfNames(),
        }),
      ],
      stored: live(fib.routes).length,
      rules: [...this.inventory.interfaces.values()].map(({ name, row }) => {
        const bank = fib.policyHead[0]!;
        const count = fib.policyCount[bank * MAX_INTERFACES + row]!;
        const first = bank * MAX_RULES + fib.policyFirst[bank * MAX_INTERFACES + row]!;
        const rows = Array.from({ length: count }, (_, i) => {
          const words = [...fib.rules.subarray((first + i) * RULE_WORDS, (first + i + 1) * RULE_WORDS)];
          const action = words[RULE_ACTION]!;
          return [...words.slice(0, RULE_ACTION), action & 0xff, action > 0xff ? hop(action >> 8) : "-"].join(" ");
        });
        return { name, rows };
      }),
      held: this.learners.hops.names(),
      pinned: [...this.learners.pinned],
      hosts: [...this.learners.hosts],
      taps: [...this.opener.open],
      workers: [...this.commands.attached.values()].map((text) => text.replace(/^tap .*/, "tap")),
    };
  }

  /** Everything in shared memory that a change could touch, to prove that it did not. */
  snapshot(): string {
    const { ports, vsis, interfaces, fib, settings } = this.tables;
    const columns: Int32Array[] = [
      settings,
      ports.kind,
      ports.io,
      ports.vsi,
      ports.vlan,
      ports.mtu,
      ports.flags,
      ports.storm,
      ports.ofIo,
      ports.ofVlan.rows,
      vsis.vni,
      vsis.flags,
      vsis.interface,
      vsis.floodAt,
      vsis.ofVni.rows,
      interfaces.vrf,
      interfaces.macHi,
      interfaces.macLo,
      interfaces.mtu,
      interfaces.flags,
      fib.routes.rows,
      fib.lengths,
      fib.policyHead,
      fib.policyCount,
      fib.rules,
    ];
    return columns.map((column) => sparse(column)).join("\n");
  }
}

function sparse(column: Int32Array): string {
  const cells: string[] = [];
  for (let i = 0; i < column.length; i++) if (column[i] !== 0) cells.push(`${i}=${column[i]}`);
  return cells.join();
}

/** The rows of an exact-match table's published bank that hold something: key, key, value. */
function live({ rows, capacity, head }: ExactMatch): number[][] {
  const found: number[][] = [];
  const first = head[0]! * capacity * 4;
  for (let at = first; at < first + capacity * 4; at += 4)
    if (rows[at + 2] !== 0) found.push([...rows.subarray(at, at + 3)]);
  return found;
}

/** `meaning` with every list sorted: order means nothing but within rules and flood lists, which are text or nested. */
export function sorted(meaning: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(meaning).map(([key, value]) => [
      key,
      Array.isArray(value) ? value.map((each) => JSON.stringify(each)).sort() : value,
    ]),
  );
}
