/**
 * An agent without workers: two VSIs, their ports and VSI-interfaces made by hand; the test plays the worker. It punts
 * records, reads what was injected as text, and moves the clock. Nothing sleeps.
 *
 *   vsi10  if10 10.1.1.1/24 G10   ACs vm1, vm3   tunnels gw2, border
 *   vsi20  if20 20.1.1.1/24 G20   AC  vm2        tunnels gw2, border
 */
import { Agent } from "../../src/control/agent.ts";
import type { EventFields, EventName } from "../../src/control/event.ts";
import { Injector } from "../../src/control/inject.ts";
import {
  type AcPort,
  type InterfaceObject,
  Inventory,
  type PortObject,
  type TunnelPort,
  type VsiObject,
} from "../../src/control/inventory.ts";
import { formatIp } from "../../src/control/ip.ts";
import type { AcConfig, InterfaceConfig, LimitsConfig, VsiConfig } from "../../src/control/plan.ts";
import { NEWS_EVERY_MS } from "../../src/control/resolution/peer-gateway.ts";
import { Timers } from "../../src/control/timers.ts";
import { DROPS, type DropName, INJECT, PUNT, RECORD_LEARN, RECORD_STALE } from "../../src/tables/counters.ts";
import { macKey } from "../../src/tables/mac.ts";
import { R_ARG, R_ARG2, R_FLAGS, R_GSO_SIZE, R_KIND, R_LENGTH, R_PORT, R_UNITS, R_VSI } from "../../src/tables/ring.ts";
import { createTables, type Tables } from "../../src/tables/tables.ts";
import { ARP_REPLY, ARP_REQUEST, type Arp, parseArp } from "../../src/wire/arp.ts";
import { i32, u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, formatMac, hiOf, loOf, type Mac, readMac } from "../../src/wire/ethernet.ts";
import { formatIpv4, IP_DST, IP_SRC, type Ipv4, parseIpv4 } from "../../src/wire/ipv4.ts";
import { arpFrame, udpFrame } from "../dataplane/packets.ts";

export const M1 = 0x020000000111;
export const M2 = 0x020000000211;
export const M3 = 0x020000000113;
export const M9 = 0x020000000999;
export const G10 = 0x02aa0000000a;
export const G20 = 0x02aa00000014;
/** gw2's and the Border's gateway MACs. */
export const P10 = 0x02bb0000000a;
export const P20 = 0x02bb00000014;
export const B10 = 0x02cc0000000a;

const NAMES = new Map<Mac, string>([
  [BROADCAST, "ff"],
  [0, "0"],
  [M1, "M1"],
  [M2, "M2"],
  [M3, "M3"],
  [M9, "M9"],
  [G10, "G10"],
  [G20, "G20"],
  [P10, "P10"],
  [P20, "P20"],
  [B10, "B10"],
]);

export const LIMITS: LimitsConfig = {
  ...{ macs: 1000, neighbors: 1000, routes: 100, neighbors6: 1000, routes6: 100 },
  ...{ acMacs: 8, searchesOfUplink: 512, puntPerSecond: 2000, puntPerAcPerSecond: 500 },
  icmpPerSecond: 1000,
  icmpPerAcPerSecond: 100,
};

/** One injected frame. */
export interface Sent {
  readonly kind: number;
  readonly port: number;
  readonly vsi: number;
  readonly arg: number;
  readonly units: number;
  readonly frame: Uint8Array;
}

export function ip(text: string): Ipv4 {
  return parseIpv4(text)!;
}

export function interfaceOn(
  row: number,
  network: number,
  mac: Mac,
  more: Partial<InterfaceConfig> = {},
): InterfaceObject {
  const config: InterfaceConfig = {
    name: `if${network}`,
    vsis: [`vsi${network}`],
    addresses: [],
    ...{ linkLocal: null, naSource: "gateway", gleanFrom: "any" },
    mac: "auto",
    distributed: true,
    vrf: "main",
    mtu: "auto",
    arp: { ageSeconds: 1200, limit: 100, static: [] },
    ...{ icmpSource: null, icmpSource6: null, dhcpRelay: null, dhcpRelay6: null, routerAdvertisement: null },
    mssClamp: true,
    ...more,
  };
  const subnets = [{ address: ip(`${network}.1.1.1`), network: ip(`${network}.1.1.0`), length: 24 }];
  const own = { subnets, linkLocal: 0n, borrowed: 0, borrowed6: 0n };
  return { row, name: config.name, config, vrf: 0, vrfName: "main", mac, mtu: 1450, ...own, vsis: [] };
}

export function vsiOf(
  row: number,
  network: number,
  on: InterfaceObject | null,
  more: Partial<VsiConfig> = {},
): VsiObject {
  const config: VsiConfig = {
    name: `vsi${network}`,
    vni: network,
    tunnels: ["gw2", "border"],
    interface: on?.name ?? null,
    arp: on === null ? "flood" : "localProxy",
    proxyArp: "immediate",
    relay: "auto",
    flood: { broadcast: true, unknownUnicast: true, multicast: true, selective: [] },
    linkLocal: "bridge",
    innerVlan: "drop",
    mac: { ageSeconds: 300, limit: 32, static: [] },
    ...{ isRelayed: false, isRelayed6: false, evpn: null, l3vrf: null },
    ...more,
  };
  const vsi: VsiObject = { row, name: config.name, config, interface: on, acs: [], tunnels: [] };
  if (on !== null) (on.vsis as VsiObject[]).push(vsi);
  return vsi;
}

export function acOf(row: number, name: string, vsi: VsiObject): AcPort {
  const none = { slaac: 0, stormPerSecond: 0, storm: { broadcast: 0, unknownUnicast: 0, multicast: 0 } };
  const off = { tap: null, handover: true, vlan: null, antiSpoof: false, bindings: [], ...none };
  const config: AcConfig = { ...off, name, vsi: vsi.name, routerAdvertisements: "allow" };
  const port: AcPort = { row, kind: "ac", name, io: row, vsi, config, mtu: 1450, up: true, linkDown: false };
  vsi.acs.push(port);
  return port;
}

export function tunnelOf(row: number, name: string): TunnelPort {
  const port = { row, name, io: row, vsi: null, mtu: 1450, up: true, wanted: true, draining: false, lingering: false };
  return { ...port, kind: "tunnel", config: { name, remote: "192.0.2.2", keepalive: null, bfd: null } };
}

export class AgentBed {
  readonly tables: Tables = createTables({ workers: 1, macs: 1000, neighbors: 1000, routes: 100 }).tables;
  readonly timers = new Timers(1_000_000);
  readonly inventory = new Inventory();
  readonly events: { level: string; event: EventName; fields: EventFields }[] = [];
  /** "vrf ip" -> adjacency: what the FIB would hold. */
  readonly hosts = new Map<string, number>();
  /** "vrf ip" -> the route of an ICMP error to it; none: back where the frame came from. */
  readonly ways = new Map<string, number>();
  readonly resolved: string[] = [];
  readonly tooBig: string[] = [];
  readonly agent: Agent;
  readonly if10: InterfaceObject;
  readonly if20: InterfaceObject;
  readonly vsi10: VsiObject;
  readonly vsi20: VsiObject;
  readonly vm1: AcPort;
  readonly vm3: AcPort;
  readonly vm2: AcPort;
  readonly gw2: TunnelPort;
  readonly border: TunnelPort;
  chance = 0;

  constructor(vsi: Partial<VsiConfig> = {}, on: Partial<InterfaceConfig> = {}) {
    this.if10 = interfaceOn(1, 10, G10, on);
    this.if20 = interfaceOn(2, 20, G20, on);
    this.vsi10 = vsiOf(1, 10, this.if10, vsi);
    this.vsi20 = vsiOf(2, 20, this.if20, vsi);
    this.vm1 = acOf(1, "vm1", this.vsi10);
    this.vm3 = acOf(2, "vm3", this.vsi10);
    this.vm2 = acOf(3, "vm2", this.vsi20);
    this.gw2 = tunnelOf(11, "gw2");
    this.border = tunnelOf(12, "border");
    for (const each of [this.vsi10, this.vsi20]) {
      each.tunnels.push(this.gw2, this.border);
      this.inventory.addVsi(each);
    }
    for (const each of [this.if10, this.if20]) this.inventory.addInterface(each);
    for (const each of [this.vm1, this.vm3, this.vm2, this.gw2, this.border]) this.inventory.addPort(each);
    const injector = new Injector(this.tables.injects, () => undefined);
    this.agent = new Agent({
      tables: this.tables,
      timers: this.timers,
      injector,
      inventory: this.inventory,
      routes: {
        setHost: (vrf, host, adjacency) => this.hosts.set(`${vrf} ${formatIp(host)}`, adjacency),
        find: (vrf, host) => this.ways.get(`${vrf} ${formatIp(host)}`) ?? 0,
        removeHost: (vrf, host) => this.hosts.delete(`${vrf} ${formatIp(host)}`),
      },
      emit: (level, event, fields) => this.events.push({ level, event, fields }),
      node: "gw1",
      random: () => this.chance,
      limits: LIMITS,
      onResolved: (ms, result) => this.resolved.push(`${result} ${ms}`),
      onTooBig: (tunnel, length) => this.tooBig.push(`${tunnel.name} ${length}`),
    });
    this.agent.macs.addStatic(this.vsi10, G10, null, 0x10000);
    this.agent.macs.addStatic(this.vsi20, G20, null, 0x10000);
  }

  /** The peer gateway behind gw2 announces itself, and is answered; from then on it is known. */
  meet(): this {
    this.request(this.gw2, this.vsi10, P10, "10.1.1.1", "10.1.1.1");
    this.request(this.gw2, this.vsi20, P20, "20.1.1.1", "20.1.1.1");
    this.advance(NEWS_EVERY_MS);
    this.sent();
    return this;
  }

  get nowMs(): number {
    return this.timers.nowMs;
  }

  /** Punt a frame and let the agent act; the ledger must balance. */
  punt(
    kind: number,
    port: PortObject,
    vsi: VsiObject,
    frame: Uint8Array,
    { arg = 0, arg2 = 0, flags = 0, gsoSize = 0, units = 1 } = {},
  ): void {
    const ring = this.tables.punts[0]!;
    const at = ring.reserve(frame.length);
    if (at < 0) throw new Error("punt ring full");
    const w = ring.words;
    w[at + R_KIND] = kind;
    w[at + R_PORT] = port.row;
    w[at + R_VSI] = vsi.row;
    w[at + R_ARG] = arg;
    w[at + R_ARG2] = arg2;
    w[at + R_FLAGS] = flags;
    w[at + R_GSO_SIZE] = gsoSize;
    w[at + R_UNITS] = units;
    ring.bytes.set(frame, ring.frameAt(at));
    ring.commit();
    this.poll();
  }

  poll(): void {
    this.agent.poll(this.nowMs);
    if (this.agent.imbalance() !== 0) throw new Error(`control's ledger is off by ${this.agent.imbalance()}`);
  }

  /** An ARP message; what is not given is what an honest broadcast request says. */
  arp(port: PortObject, vsi: VsiObject, fields: Partial<Arp> & { senderMac: Mac; senderIp: Ipv4 }): void {
    const frame = arpFrame({
      ethDst: BROADCAST,
      ethSrc: fields.senderMac,
      op: ARP_REQUEST,
      targetMac: 0,
      targetIp: 0,
      ...fields,
    });
    this.punt(PUNT.arp, port, vsi, frame);
  }

  request(port: PortObject, vsi: VsiObject, senderMac: Mac, sender: string, target: string, ethDst = BROADCAST): void {
    this.arp(port, vsi, { ethDst, senderMac, senderIp: ip(sender), targetIp: ip(target) });
  }

  reply(port: PortObject, vsi: VsiObject, senderMac: Mac, sender: string, to: Mac, target: string): void {
    this.arp(port, vsi, {
      op: ARP_REPLY,
      ethDst: to,
      senderMac,
      senderIp: ip(sender),
      targetMac: to,
      targetIp: ip(target),
    });
  }

  learn(port: PortObject, vsi: VsiObject, mac: Mac): void {
    this.record(RECORD_LEARN, port, vsi, loOf(mac), hiOf(mac));
  }

  stale(port: PortObject, on: InterfaceObject, host: string): void {
    const adjacency = this.agent.neighbors.find(on, ip(host))?.adjacency ?? 0;
    this.record(RECORD_STALE, port, this.vsi10, adjacency, 0);
  }

  record(kind: number, port: PortObject, vsi: VsiObject, arg: number, arg2: number): void {
    this.punt(kind, port, vsi, new Uint8Array(0), { arg, arg2, units: 0 });
  }

  /** Let `ms` pass, in steps that meet every timer. */
  advance(ms: number): void {
    const until = this.nowMs + ms;
    for (;;) {
      const due = this.timers.nextDue();
      const next = due === null || due > until ? until : Math.max(due, this.nowMs);
      this.agent.poll(next);
      if (this.agent.imbalance() !== 0) throw new Error("control's ledger is off");
      if (next === until) return;
    }
  }

  /** Control is away for `ms`: all that was due meanwhile is done late, in one round. */
  stall(ms: number): void {
    this.agent.poll(this.nowMs + ms);
  }

  /** What was injected since the last call. */
  sent(): Sent[] {
    const ring = this.tables.injects[0]!;
    const all: Sent[] = [];
    for (let at = ring.peek(); at >= 0; at = ring.peek()) {
      const w = ring.words;
      const from = ring.frameAt(at);
      all.push({
        kind: w[at + R_KIND]!,
        port: w[at + R_PORT]!,
        vsi: w[at + R_VSI]!,
        arg: w[at + R_ARG]!,
        units: w[at + R_UNITS]!,
        frame: ring.bytes.slice(from, from + w[at + R_LENGTH]!),
      });
      ring.release(at);
    }
    return all;
  }

  /** vm1 sends a packet to `target` on if20 that has no rewrite yet. */
  want(
    target: string,
    { from = "10.1.1.11", port = this.vm1, vsi = this.vsi10, on = this.if20, sport = 1 } = {},
  ): void {
    const frame = udpFrame({ dst: G10, src: M1, from: ip(from), to: ip(target), sport });
    this.punt(PUNT.unresolved, port, vsi, frame, { arg: on.row, arg2: 0 });
  }

  /** What was asked for since the last time. */
  requests(): string[] {
    return this.told().filter((each) => each.includes(" req "));
  }

  /** The same, told as text. */
  told(): string[] {
    return this.sent().map((sent) => this.tell(sent));
  }

  /** Drops of control's block by name, those that are not zero. */
  get drops(): Partial<Record<DropName, number>> {
    const out: Partial<Record<DropName, number>> = {};
    DROPS.forEach(([name], i) => {
      const count = this.tables.controlCounters.drops[i + 1]! + this.tables.controlCounters.refused[i + 1]!;
      if (count > 0) out[name] = count;
    });
    return out;
  }

  /** "state mac port" of a neighbour, or null. */
  neighbor(on: InterfaceObject, host: string): string | null {
    const entry = this.agent.neighbors.find(on, ip(host));
    if (entry === undefined) return null;
    return entry.place === null ? entry.state : `${entry.state} ${nameOf(entry.place.mac)} ${entry.place.port.name}`;
  }

  macValue(vsi: VsiObject, mac: Mac): number {
    return this.tables.macs.get(loOf(mac), macKey(vsi.row, hiOf(mac)));
  }

  /** What workers do when they see `mac` as source. */
  hitMac(vsi: VsiObject, mac: Mac): void {
    this.tables.macs.hit(this.tables.macs.find(loOf(mac), macKey(vsi.row, hiOf(mac))));
  }

  eventsNamed(event: EventName): EventFields[] {
    return this.events.filter((each) => each.event === event).map((each) => each.fields);
  }

  private tell({ kind, port, vsi, arg, frame }: Sent): string {
    const name = this.inventory.ports.get(port)?.name ?? "none";
    const scope = ["", "ACs", "tunnels", "all"][arg & 3];
    const where =
      kind === INJECT.port
        ? `${name} vsi${vsi}`
        : kind === INJECT.flood
          ? `${scope} of vsi${vsi} but ${name}`
          : `adjacency ${arg} from ${name}`;
    const eth = `${nameOf(readMac(frame, 0))}/${nameOf(readMac(frame, 6))}`;
    const arp = parseArp(frame, 0, frame.length);
    if (arp === null || u16(frame, 12) !== 0x0806) {
      const l3 = 14;
      return `${where}: ${eth} ${formatIpv4(i32(frame, l3 + IP_SRC))}>${formatIpv4(i32(frame, l3 + IP_DST))}`;
    }
    const op = arp.op === ARP_REQUEST ? "req" : "rep";
    const sender = `${nameOf(arp.senderMac)},${formatIpv4(arp.senderIp)}`;
    return `${where}: ${eth} ${op} ${sender} / ${nameOf(arp.targetMac)},${formatIpv4(arp.targetIp)}`;
  }
}

function nameOf(mac: Mac): string {
  return NAMES.get(mac) ?? formatMac(mac);
}
