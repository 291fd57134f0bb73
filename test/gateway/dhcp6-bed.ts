/**
 * Two sites whose VXLAN 10 relays DHCPv6 to a server in VXLAN 20 of site 2. Clients at gw1: a1, which has its link-local address from its
 * MAC, and b1; at gw2: a2. `strict`: the ACs of gw1 that are.
 */
import type { Binding } from "../../src/api/bindings.ts";
import { DHCP6_CLIENT_PORT, DHCP6_SERVER_PORT } from "../../src/wire/dhcp6.ts";
import { ETH_BYTES, type Mac, parseMac, readMac, writeMac } from "../../src/wire/ethernet.ts";
import { formatIpv6, IP6_DST, IP6_NEXT, IP6_SRC, IPV6_BYTES, parseIpv6, readIpv6 } from "../../src/wire/ipv6.ts";
import { udp6Frame, udp6Payload } from "../../src/wire/udp6.ts";
import { dhcp6Message, relayReply } from "../wire/dhcp6-message.ts";
import { toHex } from "../wire/hex.ts";
import { Host6, LINK, NET } from "./host6.ts";
import { gw, sites } from "./sites.ts";
import type { World } from "./world.ts";

export const SERVER = "2001:db8:20::67";
export const MAC_A = "02:00:00:00:00:11";
export const MAC_B = "02:00:00:00:00:12";
/** fe80::ff:fe00:11. */
export const LINK_A = LINK | 0xff_fe00_0011n;
export const LINK_B = LINK | 0xb0b_0000_0001n;
const UDP = 17;
const HEAD = ETH_BYTES + IPV6_BYTES + 8;

export const ip6 = (text: string): bigint => parseIpv6(text)!;
export const hexOf = (ip: bigint): string => ip.toString(16).padStart(32, "0");

export const sections6 = (
  n: number,
  { relay = `{servers: ["${SERVER}"]}`, strict = [] as readonly string[] } = {},
): string => {
  const ac = (name: string, vsi: string) =>
    `{name: ${name}, vsi: ${vsi}, tap: {device: ${name}}${strict.includes(name) ? ", antiSpoof: strict" : ""}}`;
  return `
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
  - {name: if10, vsi: vsi10, address: [10.1.1.1/24, "2001:db8:10::1/64"], icmpSource: [10.1.1.25${n}, "2001:db8:10::f${n}"]${relay === "" ? "" : `, dhcpRelay: ${relay}`}}
  - {name: if20, vsi: vsi20, address: [20.1.1.1/24, "2001:db8:20::1/64"]}
acs: [${ac(`a${n}`, "vsi10")}, ${ac(`b${n}`, "vsi10")}, ${ac(`s${n}`, "vsi20")}]`;
};

export class Dhcp6Bed {
  readonly world: World;
  readonly a1: Host6;
  readonly b1: Host6;
  readonly a2: Host6;
  readonly server: Host6;

  constructor(options: { readonly relay?: string; readonly strict?: readonly string[] } = {}) {
    this.world = sites(2, (n) => sections6(n, options));
    const host = (n: number, name: string, mac: string, addresses: readonly bigint[]) =>
      new Host6(gw(this.world, n).taps.get(name)!, name, mac, addresses);
    this.a1 = host(1, "a1", MAC_A, [LINK_A]);
    this.b1 = host(1, "b1", MAC_B, [LINK_B]);
    this.a2 = host(2, "a2", "02:00:00:00:00:21", [NET | 0x21n]);
    this.server = host(2, "s2", "02:00:00:00:00:67", [ip6(SERVER)]);
    this.settle();
    this.clear();
  }

  get gw1() {
    return gw(this.world, 1);
  }

  settle(): void {
    this.world.settle();
  }

  clear(): void {
    this.world.clear();
    for (const { frames, heard } of [this.a1, this.b1, this.a2, this.server]) {
      frames.length = 0;
      heard.length = 0;
    }
  }

  bindings(): Pick<Binding, "ac" | "mac" | "ip">[] {
    return this.gw1.control.agent.security.bindings.list().map(({ ac, mac, ip }) => ({ ac, mac, ip }));
  }

  /** A client's message, by multicast or to `to`; `from` its address, `mac` the frame's. */
  ask(
    host: Host6,
    message = dhcp6Message(1),
    { from = host.addresses[0]!, mac = host.mac, to = ALL_SERVERS } = {},
  ): void {
    host.tap.send(frameOf(message, from, mac, to, DHCP6_CLIENT_PORT, DHCP6_SERVER_PORT));
    this.settle();
  }

  /** The server says `message` to the client behind `id` of gw1; `more`: another link, peer, or source. */
  answer(
    message: Uint8Array,
    {
      id = "vsi10/a1" as string | null,
      peer = LINK_A,
      link = ip6("2001:db8:10::f1"),
      from = ip6(SERVER),
      to = ip6("2001:db8:10::f1"),
    } = {},
  ): void {
    this.send(relayReply(hexOf(link), hexOf(peer), message, id), from, to);
  }

  /** The server's host sends this to the relay's port. */
  send(bytes: Uint8Array, from = ip6(SERVER), to = ip6("2001:db8:10::f1")): void {
    const { mac } = gw(this.world, 2).control.shown.inventory.interface("if20")!;
    this.server.tap.send(frameOf(bytes, from, this.server.mac, to, DHCP6_SERVER_PORT, DHCP6_SERVER_PORT, mac));
    this.settle();
  }
}

export const ALL_SERVERS = ip6("ff02::1:2");
const GROUP_MAC: Mac = parseMac("33:33:00:01:00:02")!;

export function frameOf(
  message: Uint8Array,
  from: bigint,
  mac: Mac,
  to: bigint,
  fromPort: number,
  toPort: number,
  dst = GROUP_MAC,
): Uint8Array {
  const frame = udp6Frame({ from, fromPort, to, toPort }, message, 64);
  writeMac(frame, 0, dst);
  writeMac(frame, 6, mac);
  return frame;
}

/** Datagrams over IPv6 that `host` received; the checksums hold. */
export function heard6(host: Host6) {
  return host.frames
    .filter((frame) => frame[12] === 0x86 && frame[ETH_BYTES + IP6_NEXT] === UDP)
    .map((frame) => {
      if (udp6Payload(frame, ETH_BYTES, false) === null) throw new Error(`${host.name}: ${toHex(frame)}`);
      return {
        from: formatIpv6(readIpv6(frame, ETH_BYTES + IP6_SRC)),
        to: formatIpv6(readIpv6(frame, ETH_BYTES + IP6_DST)),
        mac: readMac(frame, 0),
        message: frame.subarray(HEAD),
      };
    });
}
