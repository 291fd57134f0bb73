/** What captures and tables would hold if each row of a scenario came true: frames made byte by byte from the rows, and decoded like a capture. */
import { expect } from "vitest";
import { type FrameRow, isFrameRow, macNames, type Scenario } from "../../src/lab/expect.ts";
import { OTHER_VXLAN } from "../../src/lab/expect-other-vxlan.ts";
import { OUTSIDE } from "../../src/lab/expect-outside.ts";
import { SAME_VXLAN } from "../../src/lab/expect-same-vxlan.ts";
import { type Seen, seenLeaving, seenOnAc } from "../../src/lab/frame.ts";
import type { ArpEntry, Observation } from "../../src/lab/judge.ts";
import { vtep } from "../../src/lab/topology.ts";
import { ARP_FRAME_BYTES, ARP_REPLY, ARP_REQUEST, emitArp } from "../../src/wire/arp.ts";
import { setU16, setU24 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, ETH_SRC, ETH_TYPE, parseMac, TYPE_IPV4, writeMac } from "../../src/wire/ethernet.ts";
import { emitIpv4, ICMP_BYTES, ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST } from "../../src/wire/icmp.ts";
import { IPV4_BYTES, PROTO_ICMP, PROTO_UDP, parseIpv4 } from "../../src/wire/ipv4.ts";
import { UDP_BYTES } from "../../src/wire/udp-tcp.ts";
import { VXLAN_HEADER_BYTES, VXLAN_PORT } from "../../src/wire/vxlan.ts";

export const SCENARIOS = [SAME_VXLAN, OTHER_VXLAN, OUTSIDE];

/** "02:4f:<gateway>:00:00:<VNI>" for every gateway and VSI. */
export const NAMES = macNames((gateway, vsi) => {
  const site = { gw1: "01", gw2: "02", border: "0b" }[gateway] ?? "ff";
  return `02:4f:${site}:00:00:${vsi === "uplink" ? "fe" : vsi.slice(3).padStart(2, "0")}`;
});
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
