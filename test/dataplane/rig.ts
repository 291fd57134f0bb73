/**
 * A gateway's tables filled by hand, without control: what the data plane needs for unit tests and measurements.
 *
 *   port 1  AC vm1 (TAP, io 1, VSI 1 = VNI 10)      port 2  AC vm2 (TAP, io 2, VSI 2 = VNI 20)
 *   port 3  tunnel gw2 (192.0.2.2, io 3)            port 4  tunnel border (192.0.2.3, io 4)
 *   VSI-interface 1: 10.1.1.1/24 on VSI 1           VSI-interface 2: 20.1.1.1/24 on VSI 2
 */

import { Plane } from "../../src/dataplane/plane.ts";
import { type Datagram, MemoryIo, MemoryNet, type MemoryTap } from "../../src/io/memory.ts";
import { FRAME_WORDS, SEND_WORDS } from "../../src/io/port-io.ts";
import { BindingWriter, bindingKey, MAPPED_IPV4 } from "../../src/tables/bindings.ts";
import { DROPS, imbalance } from "../../src/tables/counters.ts";
import { ExactMatchWriter } from "../../src/tables/exact-match.ts";
import {
  REWRITE_BYTES,
  ROUTE_GLEAN,
  ROUTE_HOST,
  ROUTE_KIND_SHIFT,
  ROUTE_LOCAL,
  routeKey,
} from "../../src/tables/fib.ts";
import { MAC_GATEWAY, macKey } from "../../src/tables/mac.ts";
import {
  R_ARG,
  R_ARG2,
  R_FLAGS,
  R_KIND,
  R_LENGTH,
  R_OUTER_SOURCE,
  R_OUTER_TOS,
  R_PORT,
  R_UNITS,
  R_VSI,
  type Ring,
} from "../../src/tables/ring.ts";
import {
  createTables,
  SET_DSCP,
  SET_OVERHEAD,
  SET_PUNT_AC,
  SET_PUNT_TOTAL,
  SET_VXLAN_PORT,
  type Tables,
} from "../../src/tables/tables.ts";
import {
  IF_DISTRIBUTED,
  IF_MSS_CLAMP,
  IO_PEER,
  IO_TAP,
  KIND_AC,
  KIND_TUNNEL,
  PORT_UP,
  publishFlood,
  VSI_FLOOD_BROADCAST,
  VSI_FLOOD_MULTICAST,
  VSI_FLOOD_UNKNOWN,
  VSI_LOCAL_PROXY,
} from "../../src/tables/vsi.ts";
import { hiOf, loOf, type Mac, parseMac, writeMac } from "../../src/wire/ethernet.ts";
import { maskOf, parseIpv4 } from "../../src/wire/ipv4.ts";

export const M1 = parseMac("02:00:00:00:01:11")!;
export const M2 = parseMac("02:00:00:00:02:11")!;
export const G10 = parseMac("02:aa:00:00:00:0a")!;
export const G20 = parseMac("02:aa:00:00:00:14")!;
export const P10 = parseMac("02:bb:00:00:00:0a")!;
export const P20 = parseMac("02:bb:00:00:00:14")!;

export const ip = (text: string): number => parseIpv4(text)!;

/** A record of the punt ring, as control reads it. */
export type Punted = {
  kind: number;
  port: number;
  vsi: number;
  arg: number;
  arg2: number;
  units: number;
  flags: number;
  outerSource: number;
  outerTos: number;
  bytes: Uint8Array;
};

export class Rig {
  readonly tables: Tables;
  readonly net = new MemoryNet(7);
  readonly io: MemoryIo;
  readonly plane: Plane;
  readonly macs: ExactMatchWriter;
  readonly routes: ExactMatchWriter;
  readonly vnis: ExactMatchWriter;
  readonly vlans: ExactMatchWriter;
  readonly bindings: BindingWriter;
  readonly vm1: MemoryTap;
  readonly vm2: MemoryTap;
  /** What each TAP got, by io port, and what went onto the underlay, in order. */
  readonly heard: Uint8Array[][] = [];
  readonly wire: Datagram[] = [];
  /** The send records of the last exchange that had some. */
  sends: Int32Array[] = [];
  /** Called with each received descriptor (at word `d` of `frames`) before the plane sees it: to play super-frames. */
  describe: (frames: Int32Array, d: number) => void = () => {};
  private adjacencies = 1;
  /** Whose number each adjacency is. */
  readonly nextHops = new Map<number, string>();

  constructor(macs = 1024, arenaBytes = 1 << 20) {
    this.tables = createTables({ workers: 1, macs, neighbors: 1024, routes: 1024 }).tables;
    const t = this.tables;
    this.net.inbox("192.0.2.2");
    this.net.inbox("192.0.2.3");
    this.io = new MemoryIo(this.net, "192.0.2.1", arenaBytes);
    this.plane = new Plane(t, this.io, 0);
    this.macs = new ExactMatchWriter(t.macs, t.heartbeat, 12345);
    this.routes = new ExactMatchWriter(t.fib.routes, t.heartbeat, 6789);
    this.vnis = new ExactMatchWriter(t.vsis.ofVni, t.heartbeat, 99);
    this.vlans = new ExactMatchWriter(t.ports.ofVlan, t.heartbeat, 77);
    this.bindings = new BindingWriter(t.bindings, t.heartbeat, 55);
    t.settings[SET_DSCP] = -1;
    t.settings[SET_PUNT_TOTAL] = 2000;
    t.settings[SET_PUNT_AC] = 500;
    t.settings[SET_VXLAN_PORT] = 4789;
    t.settings[SET_OVERHEAD] = 50;
    this.plane.worker.pool.poison = true;
    this.net.observe = (d) => this.wire.push({ ...d, bytes: d.bytes.slice() });
    this.wrapExchange();
    this.vm1 = this.ac(1, 1, 1);
    this.vm2 = this.ac(2, 2, 2);
    for (const [port, last] of [
      [3, 2],
      [4, 3],
    ] as const) {
      this.io.arena.set([192, 0, 2, last], this.io.scratchAt);
      this.io.attachPeer(port, this.io.scratchAt, 4, 4789);
      t.ports.kind[port] = KIND_TUNNEL;
      t.ports.io[port] = port;
      t.ports.mtu[port] = 1450;
      t.ports.flags[port] = PORT_UP;
      t.ports.ioKind[port] = IO_PEER;
      t.ports.ofIo[port] = port;
    }
    for (const [vsi, vni, mac, address] of [
      [1, 10, G10, "10.1.1.1"],
      [2, 20, G20, "20.1.1.1"],
    ] as const) {
      t.vsis.vni[vsi] = vni;
      t.vsis.interface[vsi] = vsi;
      t.vsis.flags[vsi] = VSI_LOCAL_PROXY | VSI_FLOOD_BROADCAST | VSI_FLOOD_UNKNOWN | VSI_FLOOD_MULTICAST;
      t.interfaces.vrf[vsi] = 1;
      t.interfaces.macHi[vsi] = hiOf(mac);
      t.interfaces.macLo[vsi] = loOf(mac);
      t.interfaces.mtu[vsi] = 1450;
      t.interfaces.flags[vsi] = IF_DISTRIBUTED | IF_MSS_CLAMP;
      publishFlood(t.vsis, vsi, [vsi], [3, 4]);
      this.vnis.set(vni, 3, vsi);
      this.vnis.set(vni, 4, vsi);
      this.mac(vsi, mac, MAC_GATEWAY);
      this.route(address, 32, ROUTE_LOCAL, vsi);
      this.route(address, 24, ROUTE_GLEAN, vsi);
    }
  }

  mac(vsi: number, mac: Mac, value: number): void {
    this.macs.set(loOf(mac), macKey(vsi, hiOf(mac)), value);
  }

  route(prefix: string, length: number, kind: number, arg: number, vrf = 1): void {
    this.routes.set(ip(prefix) & maskOf(length), routeKey(vrf, length), (kind << ROUTE_KIND_SHIFT) | arg);
    if (length < 32) this.tables.fib.lengths[vrf]! |= 1 << length;
  }

  /** An AC may send from `address`: IPv4, or the eight groups of IPv6; and from none. */
  bind(port: number, mac: Mac, address: number | readonly number[]): void {
    const key = bindingKey(port, hiOf(mac));
    const pair = (groups: readonly number[], at: number) => (groups[at]! << 16) | groups[at + 1]!;
    this.bindings.add([key, loOf(mac), 0, 0, 0, 0]);
    if (typeof address === "number") this.bindings.add([key, loOf(mac), 0, 0, MAPPED_IPV4, address]);
    else this.bindings.add([key, loOf(mac), pair(address, 0), pair(address, 2), pair(address, 4), pair(address, 6)]);
  }

  /** A resolved neighbour: adjacency, rewrite row and host route. @returns the adjacency. */
  neighbor(address: string, on: number, mac: Mac, port: number): number {
    const fib = this.tables.fib;
    const n = this.adjacencies++;
    writeMac(fib.rewriteMacs, n * REWRITE_BYTES, mac);
    writeMac(fib.rewriteMacs, n * REWRITE_BYTES + 6, on === 1 ? G10 : G20);
    fib.rewritePort[n] = port;
    fib.rewriteVsi[n] = on;
    fib.adjacencyInterface[n] = on;
    this.nextHops.set(n, address);
    fib.rewrite[n] = n;
    this.route(address, 32, ROUTE_HOST, n);
    return n;
  }

  /** Bridge port `port`: an AC of `vsi` on TAP `io`, untagged or with a tag. @returns the TAP. */
  ac(port: number, vsi: number, io: number, vlan = 0): MemoryTap {
    const p = this.tables.ports;
    let tap = this.net.tapOf(100 + io);
    while (tap === undefined) {
      this.net.tap();
      tap = this.net.tapOf(100 + io);
    }
    this.io.attachTap(io, tap.fd);
    this.heard[io] ??= [];
    tap.receive = (frame) => this.heard[io]!.push(frame);
    p.kind[port] = KIND_AC;
    p.io[port] = io;
    p.vsi[port] = vsi;
    p.vlan[port] = vlan;
    p.mtu[port] = 1450;
    p.flags[port] = PORT_UP;
    p.ioKind[io] = IO_TAP;
    if (vlan === 0) p.ofIo[io] = port;
    else this.vlans.set(io, vlan, port);
    return tap;
  }

  /** A datagram from VTEP 192.0.2.`last` arrives. */
  arrive(last: number, bytes: Uint8Array, tos = 0): void {
    const datagram = { from: `192.0.2.${last}`, to: "192.0.2.1", tos, entropy: 0, bytes: bytes.slice() };
    this.net.inbox("192.0.2.1").push(datagram);
  }

  /** Put a record into the inject ring. */
  inject(kind: number, port: number, vsi: number, arg: number, arg2: number, frame: Uint8Array): boolean {
    const ring = this.tables.injects[0]!;
    const at = ring.reserve(frame.length);
    if (at < 0) return false;
    const words = ring.words;
    words.fill(0, at + R_FLAGS, at + R_LENGTH);
    words[at + R_KIND] = kind;
    words[at + R_PORT] = port;
    words[at + R_VSI] = vsi;
    words[at + R_ARG] = arg;
    words[at + R_ARG2] = arg2;
    words[at + R_UNITS] = 1;
    ring.bytes.set(frame, ring.frameAt(at));
    ring.commit();
    return true;
  }

  /** Take everything out of the punt ring, and out of that of BFD. */
  punts(): Punted[] {
    return [...this.takenFrom(this.tables.punts[0]!), ...this.takenFrom(this.tables.bfds[0]!)];
  }

  private takenFrom(ring: Ring): Punted[] {
    const all: Punted[] = [];
    for (let r = ring.peek(); r >= 0; r = ring.peek()) {
      const w = ring.words;
      const from = ring.frameAt(r);
      all.push({
        kind: w[r + R_KIND]!,
        port: w[r + R_PORT]!,
        vsi: w[r + R_VSI]!,
        arg: w[r + R_ARG]!,
        arg2: w[r + R_ARG2]!,
        units: w[r + R_UNITS]!,
        flags: w[r + R_FLAGS]!,
        outerSource: w[r + R_OUTER_SOURCE]!,
        outerTos: w[r + R_OUTER_TOS]!,
        bytes: ring.bytes.slice(from, from + w[r + R_LENGTH]!),
      });
      ring.release(r);
    }
    return all;
  }

  /** The drop counters that are not zero, by name. */
  get drops(): Record<string, number> {
    const counts = this.tables.counters[0]!.drops;
    return Object.fromEntries(DROPS.map(([name], i) => [name, counts[i + 1]!] as const).filter(([, n]) => n !== 0));
  }

  /** The ledger's error: 0, or a frame has no fate, or two. */
  get imbalance(): number {
    return imbalance(this.tables.workerCounters);
  }

  private wrapExchange(): void {
    const exchange = this.io.exchange.bind(this.io);
    this.io.exchange = (count, timeoutMs) => {
      const received = exchange(count, timeoutMs);
      if (count > 0) this.sends = [];
      for (let i = 0; i < count; i++) this.sends.push(this.io.sends.slice(i * SEND_WORDS, (i + 1) * SEND_WORDS));
      for (let i = 0; i < received; i++) this.describe(this.io.frames, i * FRAME_WORDS);
      return received;
    };
  }

  /** Turns until nothing moves. */
  run(): void {
    for (let i = 0; i < 1000; i++) if (this.plane.turn(0) === 0 && !this.plane.pending) return;
    throw new Error("still busy after 1000 turns");
  }
}
