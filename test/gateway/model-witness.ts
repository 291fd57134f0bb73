/**
 * The witness: sees every frame on every AC and every datagram on the underlay, and knows what must never be seen.
 *
 * Packets carry a number in their payload (and its low bits as IP identification, for fragments); by it the witness
 * knows who sent them, in which VXLAN, and what became of them. The numbers in brackets are the invariants of the list
 * in the design's testing page.
 */
import { TYPE_LOOP_PROBE } from "../../src/control/mac/loops.ts";
import type { Datagram } from "../../src/io/memory.ts";
import { parseArp } from "../../src/wire/arp.ts";
import { i32, setI32, u16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, type Mac, parseMac, readMac, TYPE_ARP, TYPE_IPV4 } from "../../src/wire/ethernet.ts";
import { isIcmpIntact } from "../../src/wire/icmp.ts";
import { checkIpv4, formatIpv4, IP_DST, IP_SRC, IPV4_OK } from "../../src/wire/ipv4.ts";
import { vniAt } from "../../src/wire/vxlan.ts";
import { toHex } from "../wire/hex.ts";
import { type Host, vniOf } from "./model-reference.ts";
import { BORDER, HOSTS, OVERLAY_MTU, VTEPS } from "./model-site.ts";

const MAGIC = 0x56544550;
/** Local experimental EtherType (IEEE 802). */
export const TYPE_TAGGED = 0x88b5;

/** A packet or frame on its way, and what was seen of it. */
export interface Sent {
  readonly id: number;
  readonly from: Host;
  /** null: a frame that is bridged. */
  readonly to: Host | null;
  readonly ac: string;
  /** Packets of one flow arrive in the order of their numbers. */
  readonly flow: string;
  ttl: number;
  /** TTLs seen on the underlay: each is one more tunnel. */
  readonly crossings: Set<number>;
  readonly hops: Set<string>;
  /** Copies on each AC, of each fragment. */
  readonly arrived: Map<string, number>;
  /** Copies on ACs that a gateway routed there. */
  routed: number;
}

export class Witness {
  /** Gateway MACs of all gateways. */
  gatewayMacs: ReadonlySet<Mac> = new Set();
  /** Frames and datagrams that gateways sent. */
  emitted = 0;
  inBytes = 0;
  outBytes = 0;
  mostCrossings = 0;
  private readonly asked = new Map<string, number>();
  private readonly sent = new Map<number, Sent>();
  private readonly byIpId = new Map<number, Sent>();
  private readonly lastOfFlow = new Map<string, number>();
  private readonly entropies = new Map<string, number>();
  private next = 1;
  private readonly names: ReadonlyMap<string, string>;

  constructor() {
    this.names = new Map(Object.entries(VTEPS).map(([name, address]) => [address, name]));
  }

  /** A new packet or frame from `from` at `ac`; its number must be written with `stamp`. */
  expect(from: Host, to: Host | null, ac: string, flow: string, ttl: number): Sent {
    const id = this.next++;
    const sent: Sent = {
      id,
      from,
      to,
      ac,
      flow,
      ttl,
      crossings: new Set(),
      hops: new Set(),
      arrived: new Map(),
      routed: 0,
    };
    this.sent.set(id, sent);
    this.byIpId.set(id & 0xffff, sent);
    this.sent.delete(id - 5000);
    return sent;
  }

  /** Copies of packet `id` that its receiver got, or that arrived at `ac`. */
  copies(sent: Sent, ac: string): number {
    return sent.arrived.get(`${ac} 0`) ?? 0;
  }

  /** Copies on all ACs. */
  places(sent: Sent): string[] {
    return [...sent.arrived.keys()].map((key) => key.split(" ")[0]!);
  }

  /** Questions of gateways that left by `ac`. */
  askedAt(ac: string): number {
    return this.asked.get(ac) ?? 0;
  }

  /** A host sends `frame`. */
  onSend(frame: Uint8Array): void {
    this.inBytes += frame.length;
  }

  onDatagram(d: Datagram): void {
    this.emitted++;
    this.outBytes += d.bytes.length;
    const [from, to] = [this.names.get(d.from)!, this.names.get(d.to)!];
    const where = `${from}>${to}`;
    if (i32(d.bytes, 0) !== 0x08000000 || d.bytes[7] !== 0) this.fail(`${where}: VXLAN header`, d.bytes);
    const vni = vniAt(d.bytes, 0);
    const frame = d.bytes.subarray(8);
    this.inspect(where, frame, OVERLAY_MTU);
    // [14] the source port is a function of the inner flow
    const flow = flowOf(frame);
    const known = this.entropies.get(flow);
    if (known !== undefined && known !== d.entropy) this.fail(`${where}: flow ${flow} changed its source port`, frame);
    this.entropies.set(flow, d.entropy);

    const sent = this.find(frame);
    if (sent === null) return;
    this.isolation(sent, vni, frame, where);
    if (sent.to === null || !this.isRouted(frame)) {
      // [3] bridged: only the site where it came in replicates
      if (from !== sent.ac.split("-")[0]) this.fail(`${where}: bridged from tunnel to tunnel`, frame);
    } else {
      const ttl = frame[ETH_BYTES + 8]!;
      // [4] never back into the tunnel it came by, and two tunnels at most
      if (sent.hops.has(`${to}>${from} ${ttl + 1}`)) this.fail(`${where}: routed back where it came from`, frame);
      sent.hops.add(`${where} ${ttl}`);
      sent.crossings.add(ttl);
      this.mostCrossings = Math.max(this.mostCrossings, sent.crossings.size);
    }
  }

  /** A gateway sends `frame` out of `ac`, behind which `host` is. */
  onAc(ac: string, frame: Uint8Array, host: Host | null): void {
    this.emitted++;
    this.outBytes += frame.length;
    this.inspect(ac, frame, ac.startsWith(BORDER) ? 1500 : OVERLAY_MTU);
    if (this.isQuestion(frame)) this.asked.set(ac, this.askedAt(ac) + 1);
    const sent = this.find(frame);
    if (sent === null) {
      this.icmpIsForSender(ac, frame, host);
      return;
    }
    this.isolation(sent, vniOf(ac), frame, ac);
    const isRouted = this.isRouted(frame);
    // [3] no frame returns to where it came in; a packet may be routed back there, to who lives there by now
    if (sent.ac === ac && !isRouted) this.fail(`${ac}: back to its ingress`, frame);
    if (isRouted && sent.to !== null) {
      sent.routed++;
      if (frame[ETH_BYTES + 8]! >= sent.ttl) this.fail(`${ac}: TTL does not fall`, frame);
      if (i32(frame, ETH_BYTES + IP_DST) !== ipOf(sent.to)) this.fail(`${ac}: not its destination`, frame);
      if (vniOf(ac) !== meant(sent)) this.fail(`${ac}: routed into the wrong VXLAN`, frame);
    }
    const at = isRouted ? (u16(frame, ETH_BYTES + 6) & 0x1fff) << 3 : 0;
    const key = `${ac} ${at}`;
    const copies = (sent.arrived.get(key) ?? 0) + 1;
    sent.arrived.set(key, copies);
    // [13] no duplicates, and order within a flow
    if (copies > 1) this.fail(`${ac}: a second copy`, frame);
    if (sent.to === null || !isRouted || host !== sent.to) return;
    const last = this.lastOfFlow.get(sent.flow) ?? 0;
    if (sent.id < last) this.fail(`${ac}: flow ${sent.flow}: ${sent.id} behind ${last}`, frame);
    this.lastOfFlow.set(sent.flow, sent.id);
  }

  /** [6] what leaves is well formed */
  private inspect(where: string, frame: Uint8Array, mtu: number): void {
    if (frame.length < ETH_BYTES) this.fail(`${where}: a runt`, frame);
    if (frame.length > ETH_BYTES + mtu) this.fail(`${where}: ${frame.length} bytes`, frame);
    const type = u16(frame, 12);
    if (!this.gatewayMacs.has(readMac(frame, 6))) return;
    if (type === TYPE_ARP) {
      const arp = parseArp(frame, 0, frame.length);
      if (arp === null || arp.ethSrc !== arp.senderMac) this.fail(`${where}: an ARP of ours that is none`, frame);
      return;
    }
    // Hosts that move make it ask for a loop.
    if (type === TYPE_LOOP_PROBE && where.startsWith("g")) return;
    if (type !== TYPE_IPV4) this.fail(`${where}: a gateway sends type ${type.toString(16)}`, frame);
    const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
    if (checkIpv4(view, ETH_BYTES, frame.length) !== IPV4_OK) this.fail(`${where}: IPv4 header`, frame);
    const total = u16(frame, 16);
    if (total + ETH_BYTES !== frame.length || frame[22] === 0) this.fail(`${where}: length or TTL`, frame);
    const isWhole = (u16(frame, 20) & 0x3fff) === 0;
    if (frame[23] === 1 && isWhole && !isIcmpIntact(frame, 34, total - 20)) this.fail(`${where}: ICMP`, frame);
    if (frame[23] === 17 && isWhole && u16(frame, 38) !== total - 20) this.fail(`${where}: UDP length`, frame);
  }

  /** [1] a packet is only in its own VXLAN, or routed within its VRF. */
  private isolation(sent: Sent, vni: number, frame: Uint8Array, where: string): void {
    const isOk = this.isRouted(frame)
      ? vni === 0 || (vni < 30 ? "main" : "blue") === sent.from.vrf
      : vni === sent.from.vni;
    if (!isOk) this.fail(`${where}: from ${sent.from.name} in VXLAN ${vni}`, frame);
  }

  /** An ICMP error goes to the sender of the packet it is about. */
  private icmpIsForSender(ac: string, frame: Uint8Array, host: Host | null): void {
    if (u16(frame, 12) !== TYPE_IPV4 || frame[23] !== 1 || frame.length < 34 + 8 + 28 + 8) return;
    if (frame[34] !== 3 && frame[34] !== 11) return;
    const sent = i32(frame, 34 + 8 + 28) === MAGIC ? this.sent.get(i32(frame, 34 + 8 + 32)) : undefined;
    const isItsOwn = host !== null && readMac(frame, 0) === parseMac(host.mac);
    if (sent !== undefined && isItsOwn && sent.from.mac !== host.mac)
      this.fail(`${ac}: ICMP for ${sent.from.name}`, frame);
    if (u16(frame, 16) > 576) this.fail(`${ac}: ICMP error of ${u16(frame, 16)} bytes`, frame);
  }

  /** An ARP request of a gateway, no announcement. */
  private isQuestion(frame: Uint8Array): boolean {
    if (u16(frame, 12) !== TYPE_ARP || !this.gatewayMacs.has(readMac(frame, 6))) return false;
    const { op, senderIp, targetIp } = parseArp(frame, 0, frame.length)!;
    return op === 1 && senderIp !== targetIp;
  }

  private isRouted(frame: Uint8Array): boolean {
    return u16(frame, 12) === TYPE_IPV4 && this.gatewayMacs.has(readMac(frame, 6));
  }

  private find(frame: Uint8Array): Sent | null {
    const type = u16(frame, 12);
    if (type === TYPE_TAGGED) return i32(frame, 14) === MAGIC ? (this.sent.get(i32(frame, 18)) ?? null) : null;
    if (type !== TYPE_IPV4 || frame[23] !== 17) return null;
    if ((u16(frame, 20) & 0x1fff) !== 0) return this.byIpId.get(u16(frame, 18)) ?? null;
    return i32(frame, 42) === MAGIC ? (this.sent.get(i32(frame, 46)) ?? null) : null;
  }

  private fail(what: string, frame: Uint8Array): never {
    throw new Error(`${what}: ${toHex(frame.subarray(0, 80))}`);
  }
}

/** The VXLAN of the address in the sender's VRF: another VRF has the same addresses. */
function meant({ from, to }: Sent): number {
  return HOSTS.find((host) => host.vrf === from.vrf && host.ip === to!.ip)!.vni;
}

/** Write the number of a packet or frame into its payload at `at`. */
export function stamp(bytes: Uint8Array, at: number, sent: Sent): void {
  setI32(bytes, at, MAGIC);
  setI32(bytes, at + 4, sent.id);
}

export function ipOf(host: Host): number {
  return host.ip.split(".").reduce((word, part) => (word << 8) | Number(part), 0);
}

function flowOf(frame: Uint8Array): string {
  if (u16(frame, 12) !== TYPE_IPV4 || frame.length < 38) return toHex(frame.subarray(0, 12));
  const hasPorts = (u16(frame, 20) & 0x3fff) === 0 && (frame[23] === 17 || frame[23] === 6) && frame[14] === 0x45;
  const [from, to] = [i32(frame, ETH_BYTES + IP_SRC), i32(frame, ETH_BYTES + IP_DST)];
  return `${formatIpv4(from)} ${formatIpv4(to)} ${frame[23]} ${hasPorts ? i32(frame, 34) : "-"}`;
}
