/** An IPv6 host that pings, and answers pings; of each answer it notes who sent it, and the hop limit that is left. */
import { ETH_DST, ETH_SRC, type Mac, readMac } from "../../src/wire/ethernet.ts";
import { ICMP6_ECHO_REPLY, ICMP6_ECHO_REQUEST, ICMP6_TIME_EXCEEDED } from "../../src/wire/icmp6.ts";
import {
  formatIpv6,
  IP6_DST,
  IP6_HOPS,
  IP6_NEXT,
  IP6_SRC,
  PROTO_ICMP6,
  parseIpv6,
  readIpv6,
} from "../../src/wire/ipv6.ts";
import { packet6, sealed } from "../dataplane/packets6.ts";
import { Host6 } from "./host6.ts";
import type { Gateway } from "./world.ts";

const L3 = 14;
const L4 = L3 + 40;

export class PingingHost6 {
  readonly host: Host6;
  readonly replies: string[] = [];
  readonly ip: bigint;
  private readonly gateway: string;

  /** @param gateway its gateway's address, to which everything beyond its /64 goes. */
  constructor(of: Gateway, ac: string, mac: string, ip: string, gateway: string) {
    const tap = of.taps.get(ac)!;
    this.ip = parseIpv6(ip)!;
    this.gateway = gateway;
    this.host = new Host6(tap, ac, mac, [this.ip, (0xfe80n << 112n) | (this.ip & 0xffffn)]);
    const hear = tap.receive;
    tap.receive = (frame) => {
      hear(frame);
      this.onFrame(frame);
    };
  }

  /** Speak to the gateway, as the first thing that a host does. */
  hello(): void {
    this.host.ask(parseIpv6(this.gateway)!);
  }

  /** @returns false: it does not know the MAC yet, and asked for it. */
  ping(to: string, hops = 64): boolean {
    const target = parseIpv6(to)!;
    const hop = target >> 64n === this.ip >> 64n ? target : parseIpv6(this.gateway)!;
    const dst = this.host.neighbors.get(hop);
    if (dst === undefined) {
      this.host.ask(hop);
      return false;
    }
    this.send(dst, formatIpv6(this.ip), to, ICMP6_ECHO_REQUEST, hops);
    return true;
  }

  private send(dst: Mac, from: string, to: string, type: number, hops = 64): void {
    const rest = Uint8Array.of(type, 0, 0, 0, 0, 7, 0, 1);
    const packet = packet6({ dst, src: this.host.mac, from, to, next: PROTO_ICMP6, rest, hops });
    this.host.tap.send(sealed(packet, L4 + 2, rest.length));
  }

  private onFrame(frame: Uint8Array): void {
    if (frame[12] !== 0x86 || frame[13] !== 0xdd || frame[L3 + IP6_NEXT] !== PROTO_ICMP6) return;
    if (readIpv6(frame, L3 + IP6_DST) !== this.ip || readMac(frame, ETH_DST) !== this.host.mac) return;
    const from = formatIpv6(readIpv6(frame, L3 + IP6_SRC));
    const type = frame[L4];
    if (type === ICMP6_ECHO_REQUEST && this.host.alive)
      this.send(readMac(frame, ETH_SRC), formatIpv6(this.ip), from, ICMP6_ECHO_REPLY);
    else if (type === ICMP6_ECHO_REPLY) this.replies.push(`${from} hops=${frame[L3 + IP6_HOPS]}`);
    else if (type === ICMP6_TIME_EXCEEDED) this.replies.push(`${from} time exceeded`);
    else if (type === 1) this.replies.push(`${from} unreachable/${frame[L4 + 1]}`);
  }
}
