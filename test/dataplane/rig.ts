/**
 * A gateway's tables filled by hand, without control: what the data plane needs for unit tests and measurements.
 *
 *   port 1  AC vm1 (TAP, io 1, VSI 1 = VNI 10)      port 2  AC vm2 (TAP, io 2, VSI 2 = VNI 20)
 *   port 3  tunnel gw2 (192.0.2.2, io 3)            port 4  tunnel border (192.0.2.3, io 4)
 *   VSI-interface 1: 10.1.1.1/24 on VSI 1           VSI-interface 2: 20.1.1.1/24 on VSI 2
 */

import { Plane } from "../../src/dataplane/plane.ts";
import { MemoryIo, MemoryNet, type MemoryTap } from "../../src/io/memory.ts";
import { ExactMatchWriter } from "../../src/tables/exact-match.ts";
import {
  REWRITE_BYTES,
  ROUTE_ADJACENCY,
  ROUTE_GLEAN,
  ROUTE_KIND_SHIFT,
  ROUTE_LOCAL,
  routeKey,
} from "../../src/tables/fib.ts";
import { MAC_GATEWAY, macKey } from "../../src/tables/mac.ts";
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

export class Rig {
  readonly tables: Tables;
  readonly net = new MemoryNet(7);
  readonly io: MemoryIo;
  readonly plane: Plane;
  readonly macs: ExactMatchWriter;
  readonly routes: ExactMatchWriter;
  readonly vm1: MemoryTap;
  readonly vm2: MemoryTap;
  private adjacencies = 1;

  constructor(macs = 1024) {
    this.tables = createTables({ workers: 1, macs, neighbors: 1024, routes: 1024 }).tables;
    const t = this.tables;
    this.net.inbox("192.0.2.2");
    this.net.inbox("192.0.2.3");
    this.io = new MemoryIo(this.net, "192.0.2.1");
    this.plane = new Plane(t, this.io, 0);
    this.macs = new ExactMatchWriter(t.macs, t.heartbeat, 12345);
    this.routes = new ExactMatchWriter(t.fib.routes, t.heartbeat, 6789);
    const vnis = new ExactMatchWriter(t.vsis.ofVni, t.heartbeat, 99);
    t.settings[SET_DSCP] = -1;
    t.settings[SET_PUNT_TOTAL] = 2000;
    t.settings[SET_PUNT_AC] = 500;
    t.settings[SET_VXLAN_PORT] = 4789;
    t.settings[SET_OVERHEAD] = 50;
    this.vm1 = this.net.tap();
    this.vm2 = this.net.tap();
    this.io.attachTap(1, this.vm1.fd);
    this.io.attachTap(2, this.vm2.fd);
    for (const [port, vsi] of [
      [1, 1],
      [2, 2],
    ] as const) {
      t.ports.kind[port] = KIND_AC;
      t.ports.io[port] = port;
      t.ports.vsi[port] = vsi;
      t.ports.mtu[port] = 1450;
      t.ports.flags[port] = PORT_UP;
      t.ports.ioKind[port] = IO_TAP;
      t.ports.ofIo[port] = port;
    }
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
      vnis.set(vni, 3, vsi);
      vnis.set(vni, 4, vsi);
      this.mac(vsi, mac, MAC_GATEWAY);
      this.route(address, 32, ROUTE_LOCAL, vsi);
      this.route(address, 24, ROUTE_GLEAN, vsi);
    }
  }

  mac(vsi: number, mac: Mac, value: number): void {
    this.macs.set(loOf(mac), macKey(vsi, hiOf(mac)), value);
  }

  route(prefix: string, length: number, kind: number, arg: number): void {
    this.routes.set(ip(prefix) & maskOf(length), routeKey(1, length), (kind << ROUTE_KIND_SHIFT) | arg);
    if (length < 32) this.tables.fib.lengths[1]! |= 1 << length;
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
    fib.adjacencyIp[n] = ip(address);
    fib.rewrite[n] = n;
    this.route(address, 32, ROUTE_ADJACENCY, n);
    return n;
  }

  /** Turns until nothing moves. */
  run(): void {
    for (let i = 0; i < 1000; i++) if (this.plane.turn(0) === 0 && !this.plane.pending) return;
    throw new Error("still busy after 1000 turns");
  }
}
