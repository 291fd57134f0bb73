/**
 * An IPv6 host for tests, and two sites of one VXLAN for it: vm1 and vm3 behind gw1, vm4 behind gw2, all in 2001:db8:10::/64.
 *
 * It answers solicitations of its addresses, learns neighbours from what is said to it, and writes down all neighbour discovery that
 * it hears. Everything else is said when a test wants it.
 */
import { ANNOUNCE_AGAIN_MS } from "../../src/control/resolution/announcer.ts";
import type { MemoryTap } from "../../src/io/memory.ts";
import { u16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, ETH_SRC, type Mac, parseMac, TYPE_IPV6 } from "../../src/wire/ethernet.ts";
import {
  ICMP6_ECHO_REPLY,
  ICMP6_NEIGHBOR_ADVERTISEMENT,
  ICMP6_NEIGHBOR_SOLICITATION,
  ICMP6_ROUTER_ADVERTISEMENT,
  sealIcmp6,
} from "../../src/wire/icmp6.ts";
import { formatIpv6, IP6_DST, IP6_SRC, IPV6_BYTES, isMulticast6 } from "../../src/wire/ipv6.ts";
import {
  ALL_NODES,
  ALL_ROUTERS,
  emitAdvertisement,
  emitRouterSolicitation,
  emitSolicitation,
  groupMac,
  ND_MAX_BYTES,
  type Nd,
  parseNd,
  solicitedNode,
} from "../../src/wire/nd.ts";
import type { RouterAdvertisement } from "../../src/wire/router-advertisement.ts";
import { type Gateway, type Seen, World } from "./world.ts";

export const NET = 0x20010db8_0010_0000_0000_0000_0000_0000n;
export const LINK = 0xfe80n << 112n;

export class Host6 {
  readonly name: string;
  readonly mac: Mac;
  readonly addresses: bigint[];
  /** What is being probed for (RFC 4862 §5.4), and which of it another host has. */
  readonly tentative: bigint[] = [];
  readonly duplicates: bigint[] = [];
  readonly neighbors = new Map<bigint, Mac>();
  readonly heard: Nd[] = [];
  readonly frames: Uint8Array[] = [];
  isRouter = false;
  alive = true;
  readonly tap: MemoryTap;

  constructor(tap: MemoryTap, name: string, mac: string, addresses: readonly bigint[]) {
    this.tap = tap;
    this.name = name;
    this.mac = parseMac(mac)!;
    this.addresses = [...addresses];
    tap.receive = (frame) => this.onFrame(frame.slice());
  }

  /** Solicit `target`; `to`: as unreachability detection does, from who has it. */
  ask(target: bigint, { from = this.addresses[0]!, to = null as Mac | null, mac = this.mac } = {}): void {
    const dst = to === null ? solicitedNode(target) : target;
    const around = { ethDst: to ?? groupMac(dst), ethSrc: this.mac, src: from, dst };
    this.send((b) => emitSolicitation(b, 0, around, { target, mac, nonce: null }));
  }

  /** Duplicate address detection of `target`. */
  probe(target: bigint, nonce: Uint8Array | null = null): void {
    this.tentative.push(target);
    const dst = solicitedNode(target);
    const around = { ethDst: groupMac(dst), ethSrc: this.mac, src: 0n, dst };
    this.send((b) => emitSolicitation(b, 0, around, { target, mac: null, nonce }));
  }

  /** Say where `target` is: to `dst`, or all. */
  tell(target: bigint, dst = ALL_NODES, ethDst: Mac = groupMac(ALL_NODES)): void {
    const isSolicited = !isMulticast6(dst);
    const around = { ethDst, ethSrc: this.mac, src: target, dst };
    const flags = { isRouter: this.isRouter, isSolicited, isOverride: true };
    this.send((b) => emitAdvertisement(b, 0, around, { target, ...flags, mac: this.mac }));
  }

  solicitRouter(src = LINK | BigInt(this.mac & 0xffff)): void {
    const around = { ethDst: groupMac(ALL_ROUTERS), ethSrc: this.mac, src, dst: ALL_ROUTERS };
    this.send((b) => emitRouterSolicitation(b, 0, around, { mac: src === 0n ? null : this.mac }));
  }

  get advertisements(): RouterAdvertisement[] {
    return this.heard.filter((nd): nd is Extract<Nd, RouterAdvertisement> => nd.type === ICMP6_ROUTER_ADVERTISEMENT);
  }

  send(write: (bytes: Uint8Array) => number): void {
    const bytes = new Uint8Array(ND_MAX_BYTES);
    this.tap.send(bytes.slice(0, write(bytes)));
  }

  private onFrame(frame: Uint8Array): void {
    this.frames.push(frame);
    const nd = parseNd(frame, 0, frame.length);
    if (nd === null) return;
    this.heard.push(nd);
    if (nd.type === ICMP6_NEIGHBOR_ADVERTISEMENT) {
      if (this.tentative.includes(nd.target)) this.duplicates.push(nd.target);
      if (nd.mac !== null) this.neighbors.set(nd.target, nd.mac);
    }
    if (nd.type === ICMP6_NEIGHBOR_SOLICITATION) {
      if (nd.src === 0n && this.tentative.includes(nd.target)) this.duplicates.push(nd.target);
      if (nd.src !== 0n && nd.mac !== null) this.neighbors.set(nd.src, nd.mac);
      if (!this.alive || !this.addresses.includes(nd.target)) return;
      if (nd.src === 0n) this.tell(nd.target);
      else this.tell(nd.target, nd.src, nd.ethSrc);
    }
  }
}

export interface Sites6Options {
  readonly vsi?: string;
  /** Of the VSI-interface of each gateway: more keys. */
  readonly iface?: string;
  readonly ac?: string;
  readonly addresses?: string;
}

export const site6 = (
  n: 1 | 2,
  { vsi = "", iface = "", ac = "", addresses = "" }: Sites6Options = {},
): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
tunnels: [{name: gw${3 - n}, remote: 192.0.2.${3 - n}}]
vsis: [{name: vsi10, vni: 10${vsi}}]
interfaces: [{name: if10, vsi: vsi10, address: ${addresses === "" ? '[10.1.1.1/24, "2001:db8:10::1/64"]' : addresses}${iface}}]
acs: [${(n === 1 ? ["vm1", "vm3"] : ["vm4"]).map((vm) => `{name: ${vm}, vsi: vsi10, tap: {device: ${vm}}${ac}}`).join(", ")}]
workers: 1
control: {socket: /run/vtepd/gw${n}.sock}
`;

export class Sites6 {
  readonly world = new World();
  readonly gw1: Gateway;
  readonly gw2: Gateway;
  readonly vm1: Host6;
  readonly vm3: Host6;
  readonly vm4: Host6;

  constructor(options: Sites6Options = {}) {
    const { world } = this;
    for (const n of [1, 2]) world.net.inbox(`192.0.2.${n}`);
    this.gw1 = world.gateway(site6(1, options));
    this.gw2 = world.gateway(site6(2, options));
    const host = (gateway: Gateway, name: string, mac: string, id: bigint) => {
      const made = new Host6(gateway.taps.get(name)!, name, mac, [NET | id, LINK | id]);
      const send = made.tap.send.bind(made.tap);
      made.tap.send = (frame) => {
        world.seen.push({ at: world.net.nowMs, where: name, from: name, to: gateway.name, bytes: frame.slice() });
        send(frame);
      };
      return made;
    };
    this.vm1 = host(this.gw1, "vm1", "02:00:00:00:01:11", 0x11n);
    this.vm3 = host(this.gw1, "vm3", "02:00:00:00:01:13", 0x13n);
    this.vm4 = host(this.gw2, "vm4", "02:00:00:00:01:12", 0x12n);
    world.advance(2 * ANNOUNCE_AGAIN_MS);
    this.clear();
  }

  clear(): void {
    this.world.clear();
    for (const { heard, frames } of [this.vm1, this.vm3, this.vm4]) {
      heard.length = 0;
      frames.length = 0;
    }
  }

  /** Neighbour discovery that `host` heard: "NS 10::11>12 G1" is asked by 10::11, in a frame from G1. */
  said(host: Host6): string[] {
    return host.heard.map((nd) => this.text(nd));
  }

  /** The same of what went from gateway to gateway. */
  inTunnels(): string[] {
    return this.world.seen
      .filter(({ where, bytes }: Seen) => where === "underlay" && u16(bytes, 8 + 12) === TYPE_IPV6)
      .map(({ from, bytes }) => `${from.at(-1)}: ${this.text(parseNd(bytes, 8, bytes.length)!)}`);
  }

  private text(nd: Nd): string {
    const name = (ip: bigint) => formatIpv6(ip).replace("2001:db8:", "");
    const flags =
      nd.type !== ICMP6_NEIGHBOR_ADVERTISEMENT ? "" : ` R${+nd.isRouter}S${+nd.isSolicited}O${+nd.isOverride}`;
    const kind = { 133: "RS", 134: "RA", 135: "NS", 136: "NA", 137: "redirect" }[nd.type];
    const target = "target" in nd ? ` ${name(nd.target)}` : "";
    const mac = "mac" in nd && nd.mac !== null && nd.mac !== nd.ethSrc ? ` with ${this.macName(nd.mac)}` : "";
    return `${kind}${target} ${name(nd.src)}>${name(nd.dst)}${flags} ${this.macName(nd.ethSrc)}${mac}`;
  }

  private macName(mac: Mac): string {
    for (const vm of [this.vm1, this.vm3, this.vm4]) if (vm.mac === mac) return vm.name;
    for (const gateway of [this.gw1, this.gw2])
      if (gateway.control.shown.inventory.interface("if10")!.mac === mac) return gateway.name;
    return mac.toString(16);
  }
}

/** The answer to an echo request of IPv6. */
export function echoReply(request: Uint8Array): Uint8Array {
  const reply = request.slice();
  reply.copyWithin(0, ETH_SRC, ETH_SRC + 6);
  reply.set(request.subarray(0, 6), ETH_SRC);
  const at = ETH_BYTES + IP6_SRC;
  reply.copyWithin(at, ETH_BYTES + IP6_DST, ETH_BYTES + IPV6_BYTES);
  reply.set(request.subarray(at, at + 16), ETH_BYTES + IP6_DST);
  reply[ETH_BYTES + IPV6_BYTES] = ICMP6_ECHO_REPLY;
  sealIcmp6(reply, ETH_BYTES, reply.length - ETH_BYTES - IPV6_BYTES);
  return reply;
}
