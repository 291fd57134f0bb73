/** What captures and tables would hold if each row of a scenario came true: frames made byte by byte from the rows, and decoded like a capture. */
import { expect } from "vitest";
import { type FrameRow, isFrameRow, macNames, type Scenario } from "../../src/lab/expect.ts";
import { overIpv6 } from "../../src/lab/expect-ipv6.ts";
import { OTHER_VXLAN } from "../../src/lab/expect-other-vxlan.ts";
import { OUTSIDE } from "../../src/lab/expect-outside.ts";
import { SAME_VXLAN } from "../../src/lab/expect-same-vxlan.ts";
import { type Seen, seenLeaving, seenOnAc } from "../../src/lab/frame.ts";
import type { ArpEntry, Observation } from "../../src/lab/judge.ts";
import { vtep } from "../../src/lab/topology.ts";
import { ARP_FRAME_BYTES, ARP_REPLY, ARP_REQUEST, emitArp } from "../../src/wire/arp.ts";
import { setU16, setU24 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, ETH_SRC, ETH_TYPE, parseMac, TYPE_IPV4, TYPE_IPV6, writeMac } from "../../src/wire/ethernet.ts";
import { emitIpv4, ICMP_BYTES, ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST } from "../../src/wire/icmp.ts";
import { checksum6, ICMP6_ECHO_REPLY, ICMP6_ECHO_REQUEST } from "../../src/wire/icmp6.ts";
import { IPV4_BYTES, PROTO_ICMP, PROTO_UDP, parseIpv4 } from "../../src/wire/ipv4.ts";
import {
  IP6_DST,
  IP6_HOPS,
  IP6_LENGTH,
  IP6_NEXT,
  IP6_SRC,
  IPV6_BYTES,
  PROTO_ICMP6,
  parseIpv6,
  writeIpv6,
} from "../../src/wire/ipv6.ts";
import { emitAdvertisement, emitSolicitation, ND_MAX_BYTES, solicitedNode } from "../../src/wire/nd.ts";
import { UDP_BYTES } from "../../src/wire/udp-tcp.ts";
import { VXLAN_HEADER_BYTES, VXLAN_PORT } from "../../src/wire/vxlan.ts";

const ARTICLE = [SAME_VXLAN, OTHER_VXLAN, OUTSIDE];
export const SCENARIOS = [...ARTICLE, ...ARTICLE.map(overIpv6)];

/** "02:4f:<gateway>:00:00:<VNI>" for every gateway and VSI. */
export const NAMES = macNames((gateway, vsi) => {
  const site = { gw1: "01", gw2: "02", border: "0b" }[gateway] ?? "ff";
  return `02:4f:${site}:00:00:${vsi === "uplink" ? "fe" : vsi.slice(3).padStart(2, "0")}`;
}, 6);
export const mac = (name: string) => parseMac(NAMES.get(name)!)!;

export function bytesOf(row: FrameRow): Uint8Array {
  if (row.arp !== undefined) {
    const [op, senderMac, senderIp, targetMac, targetIp] = row.arp;
    const bytes = new Uint8Array(60).fill(0xa5); // as on a wire: padded
    emitArp(bytes, 0, {
      ethDst: mac(row.eth[0]),
      ethSrc: mac(row.eth[1]),
      op: op === "request" ? ARP_REQUEST : ARP_REPLY,
      senderMac: mac(senderMac),
      senderIp: parseIpv4(senderIp)!,
      targetMac: mac(targetMac),
      targetIp: parseIpv4(targetIp)!,
    });
    expect(bytes[ARP_FRAME_BYTES]).toBe(0xa5);
    return bytes;
  }
  if (row.nd !== undefined) return discoveryOf(row.eth, row.nd);
  if (row.ip![0].includes(":")) return echo6Of(row.eth, row.ip!);
  const [source, destination, ttl, message] = row.ip!;
  const bytes = new Uint8Array(ETH_BYTES + IPV4_BYTES + ICMP_BYTES + 56);
  writeMac(bytes, 0, mac(row.eth[0]));
  writeMac(bytes, ETH_SRC, mac(row.eth[1]));
  setU16(bytes, ETH_TYPE, TYPE_IPV4);
  emitIpv4(
    bytes,
    ETH_BYTES,
    bytes.length - ETH_BYTES,
    parseIpv4(source)!,
    parseIpv4(destination)!,
    PROTO_ICMP,
    0,
    ttl,
    7,
  );
  bytes[ETH_BYTES + IPV4_BYTES] = message === "echo request" ? ICMP_ECHO_REQUEST : ICMP_ECHO_REPLY;
  return bytes;
}

function discoveryOf(eth: FrameRow["eth"], { asks, by, flags }: NonNullable<FrameRow["nd"]>): Uint8Array {
  const [op, senderMac, senderIp, , targetIp] = asks;
  const bytes = new Uint8Array(ND_MAX_BYTES);
  const [asked, told] = [parseIpv6(targetIp)!, parseIpv6(senderIp)!];
  const isAsking = op === "request";
  const around = {
    ethDst: mac(eth[0]),
    ethSrc: mac(eth[1]),
    src: parseIpv6(by)!,
    dst: isAsking ? solicitedNode(asked) : asked,
  };
  const [isRouter, isSolicited, isOverride] = ["router", "solicited", "override"].map((flag) =>
    flags.includes(flag),
  ) as [boolean, boolean, boolean];
  const length = isAsking
    ? emitSolicitation(bytes, 0, around, { target: asked, mac: told === 0n ? null : mac(senderMac), nonce: null })
    : emitAdvertisement(bytes, 0, around, { target: told, isRouter, isSolicited, isOverride, mac: mac(senderMac) });
  return bytes.slice(0, length);
}

function echo6Of(eth: FrameRow["eth"], [source, destination, ttl, message]: NonNullable<FrameRow["ip"]>): Uint8Array {
  const bytes = new Uint8Array(ETH_BYTES + IPV6_BYTES + ICMP_BYTES + 56);
  const l4 = ETH_BYTES + IPV6_BYTES;
  writeMac(bytes, 0, mac(eth[0]));
  writeMac(bytes, ETH_SRC, mac(eth[1]));
  setU16(bytes, ETH_TYPE, TYPE_IPV6);
  bytes[ETH_BYTES] = 6 << 4;
  setU16(bytes, ETH_BYTES + IP6_LENGTH, bytes.length - l4);
  bytes[ETH_BYTES + IP6_NEXT] = PROTO_ICMP6;
  bytes[ETH_BYTES + IP6_HOPS] = ttl;
  writeIpv6(bytes, ETH_BYTES + IP6_SRC, parseIpv6(source)!);
  writeIpv6(bytes, ETH_BYTES + IP6_DST, parseIpv6(destination)!);
  bytes[l4] = message === "echo request" ? ICMP6_ECHO_REQUEST : ICMP6_ECHO_REPLY;
  setU16(bytes, l4 + 2, ~checksum6(bytes, ETH_BYTES, bytes.length - l4) & 0xffff);
  return bytes;
}

/** What a capture would have seen of a row. */
export function seenOf(row: FrameRow, atMs: number, change: (bytes: Uint8Array) => void = () => {}): Seen {
  const inner = bytesOf(row);
  change(inner);
  const [from = "", to = ""] = row.place.split(">");
  if (row.vni === undefined) return seenOnAc(row.place.slice(3), { atMs, bytes: inner })!;
  const head = ETH_BYTES + IPV4_BYTES + UDP_BYTES + VXLAN_HEADER_BYTES;
  const bytes = new Uint8Array(head + inner.length);
  setU16(bytes, ETH_TYPE, TYPE_IPV4);
  const [source, destination] = [parseIpv4(vtep(from).underlay)!, parseIpv4(vtep(to).underlay)!];
  emitIpv4(bytes, ETH_BYTES, bytes.length - ETH_BYTES, source, destination, PROTO_UDP, 0, 64, 1);
  setU16(bytes, ETH_BYTES + IPV4_BYTES, 50_000);
  setU16(bytes, ETH_BYTES + IPV4_BYTES + 2, VXLAN_PORT);
  bytes[head - VXLAN_HEADER_BYTES] = 0x08;
  setU24(bytes, head - VXLAN_HEADER_BYTES + 4, row.vni);
  bytes.set(inner, head);
  const nameOf = (address: string) => (address === vtep(to).underlay ? to : address);
  return seenLeaving(vtep(from), { atMs, bytes }, nameOf)!;
}

export const frameRows = (scenario: Scenario) => scenario.rows.filter(isFrameRow);

/** An observation in which everything is as expected, rows one millisecond apart. */
export function perfect(scenario: Scenario): Observation & { frames: Seen[] } {
  const arpTables = new Map<string, ArpEntry[]>();
  const neighbours = new Map<string, Map<string, string>>();
  for (const row of scenario.rows) {
    if (isFrameRow(row) || row.isAbsent === true) continue;
    const address = NAMES.get(row.mac!)!;
    if (row.via === undefined) {
      neighbours.set(row.table, (neighbours.get(row.table) ?? new Map()).set(row.ip, address));
    } else {
      const [kind = "", name = ""] = row.via.split(" ");
      const entry = { ip: row.ip, mac: address, kind: row.kind ?? "host", via: { kind, name } };
      arpTables.set(row.table, [...(arpTables.get(row.table) ?? []), entry]);
    }
  }
  return { frames: frameRows(scenario).map((row, i) => seenOf(row, 1000 + i)), arpTables, neighbours };
}
