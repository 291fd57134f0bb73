/**
 * The judge must be able to say no. Frames are made from the expected rows themselves, byte by byte, decoded like a
 * capture and judged: all rows hold. Then one thing is spoilt at a time, and exactly that must be found.
 */
import { describe, expect, test } from "vitest";
import { type FrameRow, isFrameRow, macNames, type Scenario } from "../../src/lab/expect.ts";
import { OTHER_VXLAN } from "../../src/lab/expect-other-vxlan.ts";
import { OUTSIDE } from "../../src/lab/expect-outside.ts";
import { SAME_VXLAN } from "../../src/lab/expect-same-vxlan.ts";
import { type Seen, seenLeaving, seenOnAc } from "../../src/lab/frame.ts";
import { type ArpEntry, failures, type Judgement, judge, type Observation } from "../../src/lab/judge.ts";
import { vtep } from "../../src/lab/topology.ts";
import { ARP_FRAME_BYTES, ARP_REPLY, ARP_REQUEST, emitArp } from "../../src/wire/arp.ts";
import { setU16, setU24 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, ETH_SRC, ETH_TYPE, parseMac, TYPE_IPV4, writeMac } from "../../src/wire/ethernet.ts";
import { emitIpv4, ICMP_BYTES, ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST } from "../../src/wire/icmp.ts";
import { IPV4_BYTES, PROTO_ICMP, PROTO_UDP, parseIpv4 } from "../../src/wire/ipv4.ts";
import { UDP_BYTES } from "../../src/wire/udp-tcp.ts";
import { VXLAN_HEADER_BYTES, VXLAN_PORT } from "../../src/wire/vxlan.ts";

const SCENARIOS = [SAME_VXLAN, OTHER_VXLAN, OUTSIDE];

/** "02:4f:<gateway>:00:00:<VNI>" for every gateway and VSI. */
const NAMES = macNames((gateway, vsi) => {
  const site = { gw1: "01", gw2: "02", border: "0b" }[gateway] ?? "ff";
  return `02:4f:${site}:00:00:${vsi === "uplink" ? "fe" : vsi.slice(3).padStart(2, "0")}`;
});
const mac = (name: string) => parseMac(NAMES.get(name)!)!;

function bytesOf(row: FrameRow): Uint8Array {
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
function seenOf(row: FrameRow, atMs: number, change: (bytes: Uint8Array) => void = () => {}): Seen {
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

const frameRows = (scenario: Scenario) => scenario.rows.filter(isFrameRow);

/** An observation in which everything is as expected, rows one millisecond apart. */
function perfect(scenario: Scenario): Observation & { frames: Seen[] } {
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

const unmet = (judgement: Judgement) =>
  judgement.verdicts.filter((verdict) => !verdict.isMet).map(({ row }) => row.row);

describe.each(SCENARIOS)("scenario $number", (scenario) => {
  test("holds when everything is as expected", () => {
    const judgement = judge(scenario, NAMES, perfect(scenario));
    expect(unmet(judgement)).toEqual([]);
    expect(judgement.unexpected).toEqual([]);
    expect(failures(judgement)).toBe(0);
  });

  test("misses each frame that is taken away, unless it is optional", () => {
    for (const [i, row] of frameRows(scenario).entries()) {
      const seen = perfect(scenario);
      seen.frames.splice(i, 1);
      expect([row.row, unmet(judge(scenario, NAMES, seen))]).toEqual([
        row.row,
        row.optional === undefined ? [row.row] : [],
      ]);
    }
  });

  test("finds each frame that comes twice", () => {
    for (const row of frameRows(scenario)) {
      const seen = perfect(scenario);
      seen.frames.push(seenOf(row, 2000));
      expect([row.row, failures(judge(scenario, NAMES, seen))]).not.toEqual([row.row, 0]);
    }
  });

  test("finds any flipped byte of a MAC, an ARP field, a TTL", () => {
    for (const [i, row] of frameRows(scenario).entries()) {
      const spots = [0, 6, ...(row.arp ? [22, 31, 38, 41, 21] : [ETH_BYTES + 8, ETH_BYTES + 12, ETH_BYTES + 19])];
      for (const at of spots) {
        const seen = perfect(scenario);
        seen.frames[i] = seenOf(row, 1000 + i, (bytes) => {
          bytes[at] = bytes[at]! ^ 2;
        });
        expect([row.row, at, failures(judge(scenario, NAMES, seen))]).not.toEqual([row.row, at, 0]);
      }
    }
  });

  test("finds the same frame in another VXLAN and in another tunnel", () => {
    for (const [i, row] of frameRows(scenario).entries()) {
      if (row.vni === undefined) continue;
      for (const change of [{ vni: 99 }, { place: row.place.endsWith("border") ? "gw2>gw1" : "gw2>border" }]) {
        const seen = perfect(scenario);
        seen.frames[i] = seenOf({ ...row, ...change }, 1000 + i);
        if (seen.frames[i]!.place === row.place && seen.frames[i]!.outer?.vni === row.vni) continue;
        expect([row.row, failures(judge(scenario, NAMES, seen))]).not.toEqual([row.row, 0]);
      }
    }
  });

  test("demands the order of the rows within a place", () => {
    const seen = perfect(scenario);
    const onAc1 = seen.frames.filter((frame) => frame.place === "ac vm1");
    const [first, second] = [onAc1[0]!, onAc1[1]!];
    seen.frames = seen.frames.map((frame) =>
      frame === first ? { ...frame, atMs: second.atMs } : frame === second ? { ...frame, atMs: first.atMs } : frame,
    );
    expect(failures(judge(scenario, NAMES, seen))).toBeGreaterThan(0);
  });

  test("misses every table entry that is not there or points elsewhere", () => {
    for (const row of scenario.rows) {
      if (isFrameRow(row) || row.isAbsent === true || row.optional !== undefined) continue;
      const empty = perfect(scenario);
      (empty.arpTables as Map<string, ArpEntry[]>).set(row.table, []);
      (empty.neighbours as Map<string, Map<string, string>>).get(row.table)?.clear();
      expect(unmet(judge(scenario, NAMES, empty))).toContain(row.row);
      if (row.via === undefined) continue;
      const astray = perfect(scenario);
      const entries = (astray.arpTables.get(row.table) ?? []).map((entry) => ({
        ...entry,
        via: { kind: "ac", name: "vm9" },
      }));
      (astray.arpTables as Map<string, readonly ArpEntry[]>).set(row.table, entries);
      expect(unmet(judge(scenario, NAMES, astray))).toContain(row.row);
    }
  });
});

describe("frames that no row explains", () => {
  const more = (row: FrameRow) => {
    const seen = perfect(SAME_VXLAN);
    seen.frames.push(seenOf(row, 2000));
    return judge(SAME_VXLAN, NAMES, seen);
  };
  const broken = (judgement: Judgement) =>
    judgement.rules.filter((rule) => rule.violations.length > 0).map((rule) => rule.name);

  test("N1: a datagram that goes on as it came", () => {
    const row = SAME_VXLAN.rows.find((each): each is FrameRow => isFrameRow(each) && each.row === "3a")!;
    const judgement = more({ ...row, place: "gw2>border" });
    expect(broken(judgement)).toEqual(["N1"]);
    expect(judgement.unexpected).toHaveLength(1);
  });

  test("N2: the VM's own request inside a tunnel", () => {
    const request = ["request", "M1", "10.1.1.11", "0", "10.1.1.12"] as const;
    const judgement = more({ row: "x", place: "gw1>gw2", vni: 10, eth: ["ff", "M1"], arp: request });
    expect(broken(judgement)).toEqual(["N2"]);
    expect(judgement.unexpected).toHaveLength(1);
  });

  test("N3: a request for the gateway that is passed on", () => {
    const request = ["request", "G1.10", "10.1.1.11", "0", "10.1.1.1"] as const;
    const judgement = more({ row: "x", place: "gw1>gw2", vni: 10, eth: ["ff", "G1.10"], arp: request });
    expect(broken(judgement)).toEqual(["N3"]);
  });

  test("N5: a redirect", () => {
    const seen = perfect(SAME_VXLAN);
    const row: FrameRow = {
      row: "x",
      place: "ac vm1",
      eth: ["M1", "G1.10"],
      ip: ["10.1.1.1", "10.1.1.11", 64, "echo reply"],
    };
    seen.frames.push(
      seenOf(row, 2000, (bytes) => {
        bytes[ETH_BYTES + IPV4_BYTES] = 5;
      }),
    );
    expect(broken(judge(SAME_VXLAN, NAMES, seen))).toEqual(["N5"]);
  });

  test("a second answer to one request is not excused as a revalidation", () => {
    const reply = ["reply", "G1.10", "10.1.1.12", "M1", "10.1.1.11"] as const;
    expect(more({ row: "x", place: "ac vm1", eth: ["M1", "G1.10"], arp: reply }).unexpected).toHaveLength(1);
  });

  test("a unicast revalidation and its one answer are", () => {
    const seen = perfect(SAME_VXLAN);
    const ask = ["request", "M1", "10.1.1.11", "0", "10.1.1.12"] as const;
    const reply = ["reply", "G1.10", "10.1.1.12", "M1", "10.1.1.11"] as const;
    seen.frames.push(
      seenOf({ row: "x", place: "ac vm1", eth: ["G1.10", "M1"], arp: ask }, 2000),
      seenOf({ row: "x", place: "ac vm1", eth: ["M1", "G1.10"], arp: reply }, 2001),
    );
    const judgement = judge(SAME_VXLAN, NAMES, seen);
    expect([judgement.unexpected.length, judgement.tolerated.length]).toEqual([0, 2]);
  });

  test("a host that claims the gateway's address by announcement is not", () => {
    const claim = ["request", "M1", "10.1.1.1", "0", "10.1.1.1"] as const;
    expect(more({ row: "x", place: "ac vm1", eth: ["ff", "M1"], arp: claim }).unexpected).toHaveLength(1);
  });
});
