/**
 * A VM for tests: the smallest IPv4 host that behaves like a real one behind a TAP.
 *
 * It resolves by ARP with a queue, answers ARP for its own address, learns from ARP that is addressed to it (RFC 826's
 * merge), answers echo requests, and writes down every frame it sends and receives.
 */
import type { MemoryTap } from "../../src/io/memory.ts";
import { ARP_REPLY, ARP_REQUEST, type Arp, parseArp } from "../../src/wire/arp.ts";
import { i32, setU16, u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, ETH_BYTES, type Mac, parseMac, readMac, TYPE_IPV4, writeMac } from "../../src/wire/ethernet.ts";
import { echoReply, emitIpv4, ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST, isIcmpIntact } from "../../src/wire/icmp.ts";
import {
  formatIpv4,
  headerBytes,
  IP_DST,
  IP_LENGTH,
  IP_PROTOCOL,
  IP_SRC,
  IP_TTL,
  IPV4_BYTES,
  type Ipv4,
  maskOf,
  PROTO_ICMP,
  parseIpv4,
  sum16,
} from "../../src/wire/ipv4.ts";
import { arpFrame } from "../dataplane/packets.ts";

/** `also`: addresses behind it, for which it answers echoes. */
export type VmOptions = {
  name: string;
  ip: string;
  mac: string;
  gateway?: string;
  length?: number;
  also?: readonly string[];
};

/** An ICMP message that reached the VM. */
export type IcmpSeen = { type: number; code: number; rest: number; from: string; ttl: number; frame: Uint8Array };

export class Vm {
  readonly name: string;
  readonly options: VmOptions;
  readonly ip: Ipv4;
  readonly mac: Mac;
  readonly tap: MemoryTap;
  readonly arp = new Map<Ipv4, Mac>();
  /** Every frame the gateway sent to this VM. */
  readonly received: Uint8Array[] = [];
  readonly icmp: IcmpSeen[] = [];
  /** A dead VM receives and never answers. */
  alive = true;
  private readonly gateway: Ipv4 | null;
  private readonly mask: number;
  private also: readonly Ipv4[] = [];
  private readonly waiting = new Map<Ipv4, Uint8Array[]>();

  constructor(tap: MemoryTap, options: VmOptions) {
    this.name = options.name;
    this.options = options;
    this.tap = tap;
    this.ip = parseIpv4(options.ip)!;
    this.mac = parseMac(options.mac)!;
    this.gateway = options.gateway === undefined ? null : parseIpv4(options.gateway)!;
    this.mask = maskOf(options.length ?? 24);
    this.setAlso(options.also ?? []);
    tap.receive = (frame) => this.onFrame(frame);
  }

  /** What is behind it: it answers echoes for these addresses. */
  setAlso(addresses: readonly string[]): void {
    this.also = addresses.map((text) => parseIpv4(text)!);
  }

  /** Ask who has `target`, as broadcast. */
  ask(target: string): void {
    this.sendArp({ op: ARP_REQUEST, targetIp: parseIpv4(target)! });
  }

  /** Send an ARP message; everything not given is what an honest host would say. */
  sendArp(fields: Partial<Arp> & { op: number }): void {
    this.tap.send(
      arpFrame({
        ethDst: BROADCAST,
        ethSrc: this.mac,
        senderMac: this.mac,
        senderIp: this.ip,
        targetMac: 0,
        targetIp: 0,
        ...fields,
      }),
    );
  }

  /** Send an echo request of `payload` bytes, resolving the next hop first. */
  ping(target: string, { ttl = 64, sequence = 1, payload = 56, df = true } = {}): void {
    const packet = icmpPacket(this.ip, parseIpv4(target)!, ICMP_ECHO_REQUEST, ttl, sequence, payload, df);
    this.sendPacket(packet);
  }

  /** Send an IPv4 packet (without Ethernet header) to its destination or the gateway. */
  sendPacket(packet: Uint8Array): void {
    const to = i32(packet, IP_DST);
    const local = ((to ^ this.ip) & this.mask) === 0;
    const hop = local || this.gateway === null ? to : this.gateway;
    const frame = new Uint8Array(ETH_BYTES + packet.length);
    frame.set(packet, ETH_BYTES);
    setU16(frame, 12, TYPE_IPV4);
    writeMac(frame, 6, this.mac);
    const mac = this.arp.get(hop);
    if (mac !== undefined) {
      writeMac(frame, 0, mac);
      this.tap.send(frame);
      return;
    }
    const queue = this.waiting.get(hop) ?? [];
    queue.push(frame);
    this.waiting.set(hop, queue);
    if (queue.length === 1) this.ask(formatIpv4(hop));
  }

  /** Echo replies received, as "from ttl". */
  get replies(): string[] {
    return this.icmp.filter((m) => m.type === ICMP_ECHO_REPLY).map((m) => `${m.from} ttl=${m.ttl}`);
  }

  private onFrame(frame: Uint8Array): void {
    this.received.push(frame);
    const to = readMac(frame, 0);
    if (to !== this.mac && to !== BROADCAST) return;
    const arp = parseArp(frame, 0, frame.length);
    if (arp !== null) this.onArp(arp);
    else if (u16(frame, 12) === TYPE_IPV4) this.onPacket(frame);
  }

  private onArp(arp: Arp): void {
    const forUs = arp.targetIp === this.ip;
    if (arp.senderIp !== 0 && (forUs || this.arp.has(arp.senderIp))) {
      this.arp.set(arp.senderIp, arp.senderMac);
      for (const frame of this.waiting.get(arp.senderIp) ?? []) {
        writeMac(frame, 0, arp.senderMac);
        this.tap.send(frame);
      }
      this.waiting.delete(arp.senderIp);
    }
    if (forUs && arp.op === ARP_REQUEST && this.alive)
      this.sendArp({ op: ARP_REPLY, ethDst: arp.senderMac, targetMac: arp.senderMac, targetIp: arp.senderIp });
  }

  private onPacket(frame: Uint8Array): void {
    const l3 = ETH_BYTES;
    const asked = i32(frame, l3 + IP_DST);
    if ((asked !== this.ip && !this.also.includes(asked)) || frame[l3 + IP_PROTOCOL] !== PROTO_ICMP) return;
    if ((u16(frame, l3 + 6) & 0x3fff) !== 0) return; // a fragment: written down, not reassembled
    const l4 = l3 + headerBytes(frame, l3);
    const length = u16(frame, l3 + IP_LENGTH) - headerBytes(frame, l3);
    if (!isIcmpIntact(frame, l4, length)) throw new Error(`${this.name}: ICMP with a wrong checksum`);
    this.icmp.push({
      type: frame[l4]!,
      code: frame[l4 + 1]!,
      rest: i32(frame, l4 + 4),
      from: formatIpv4(i32(frame, l3 + IP_SRC)),
      ttl: frame[l3 + IP_TTL]!,
      frame,
    });
    if (frame[l4] !== ICMP_ECHO_REQUEST || !this.alive) return;
    const reply = frame.slice(l3, l4 + length);
    echoReply(reply, l4 - l3, length);
    emitIpv4(reply, 0, reply.length, asked, i32(frame, l3 + IP_SRC), PROTO_ICMP, 0, 64, 1, 0x4000);
    this.sendPacket(reply);
  }
}

/** An IPv4 packet with an ICMP echo message. */
export function icmpPacket(
  from: Ipv4,
  to: Ipv4,
  type: number,
  ttl: number,
  sequence: number,
  payload: number,
  df = true,
): Uint8Array {
  const packet = new Uint8Array(IPV4_BYTES + 8 + payload);
  emitIpv4(packet, 0, packet.length, from, to, PROTO_ICMP, 0, ttl, sequence, df ? 0x4000 : 0);
  const l4 = IPV4_BYTES;
  packet[l4] = type;
  setU16(packet, l4 + 4, 77);
  setU16(packet, l4 + 6, sequence);
  for (let i = 0; i < payload; i++) packet[l4 + 8 + i] = i;
  setU16(packet, l4 + 2, ~sum16(packet, l4, 8 + payload, 0) & 0xffff);
  return packet;
}
