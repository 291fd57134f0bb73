/**
 * The judge must be able to say no. Frames are made from the expected rows themselves, byte by byte, decoded like a
 * capture and judged: all rows hold. Then one thing is spoilt at a time, and exactly that must be found.
 */
import { describe, expect, test } from "vitest";
import { type FrameRow, isFrameRow } from "../../src/lab/expect.ts";
import { SAME_VXLAN } from "../../src/lab/expect-same-vxlan.ts";
import { type ArpEntry, failures, type Judgement, judge } from "../../src/lab/judge.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import { IPV4_BYTES } from "../../src/wire/ipv4.ts";
import { frameRows, NAMES, perfect, SCENARIOS, seenOf } from "./staged.ts";

const unmet = (judgement: Judgement) =>
  judgement.verdicts.filter((verdict) => !verdict.isMet).map(({ row }) => row.row);

describe.each(SCENARIOS)("scenario $number, IPv$family", (scenario) => {
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
      const fields6 = row.nd
        ? [ETH_BYTES + 7, ETH_BYTES + 40 + 23, ETH_BYTES + 40 + 31]
        : [ETH_BYTES + 7, ETH_BYTES + 23];
      const fields4 = row.arp ? [22, 31, 38, 41, 21] : [ETH_BYTES + 8, ETH_BYTES + 12, ETH_BYTES + 19];
      const spots = [0, 6, ...(scenario.family === 6 ? fields6 : fields4)];
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

  test("a datagram that goes on as it came (N1)", () => {
    const row = SAME_VXLAN.rows.find((each): each is FrameRow => isFrameRow(each) && each.row === "3a")!;
    const judgement = more({ ...row, place: "gw2>border" });
    expect(broken(judgement)).toEqual(["N1"]);
    expect(judgement.unexpected).toHaveLength(1);
  });

  test("the VM's own request inside a tunnel (N2)", () => {
    const request = ["request", "M1", "10.1.1.11", "0", "10.1.1.12"] as const;
    const judgement = more({ row: "x", place: "gw1>gw2", vni: 10, eth: ["ff", "M1"], arp: request });
    expect(broken(judgement)).toEqual(["N2"]);
    expect(judgement.unexpected).toHaveLength(1);
  });

  test("a request for the gateway that is passed on (N3)", () => {
    const request = ["request", "G1.10", "10.1.1.11", "0", "10.1.1.1"] as const;
    const judgement = more({ row: "x", place: "gw1>gw2", vni: 10, eth: ["ff", "G1.10"], arp: request });
    expect(broken(judgement)).toEqual(["N3"]);
  });

  test("a redirect (N5)", () => {
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

  test("a gateway that asks its next hop whether it lives, and is answered; not one that asks by its name", () => {
    const ask = ["request", "G1.10", "0.0.0.0", "0", "10.1.1.2"] as const;
    const reply = ["reply", "B.10", "10.1.1.2", "G1.10", "0.0.0.0"] as const;
    const seen = perfect(SAME_VXLAN);
    const question = seenOf({ row: "x", place: "gw1>border", vni: 10, eth: ["B.10", "G1.10"], arp: ask }, 2000);
    const answer = seenOf({ row: "x", place: "border>gw1", vni: 10, eth: ["G1.10", "B.10"], arp: reply }, 2001);
    seen.frames.push(question, answer);
    const judgement = judge(SAME_VXLAN, NAMES, seen);
    expect([judgement.unexpected.length, judgement.tolerated.length]).toEqual([0, 2]);
    const named = ["request", "G1.10", "10.1.1.1", "0", "10.1.1.2"] as const;
    seen.frames.push(seenOf({ row: "x", place: "gw1>border", vni: 10, eth: ["B.10", "G1.10"], arp: named }, 2002));
    expect(judge(SAME_VXLAN, NAMES, seen).unexpected).toHaveLength(1);
  });

  test("a host that claims the gateway's address by announcement is not", () => {
    const claim = ["request", "M1", "10.1.1.1", "0", "10.1.1.1"] as const;
    expect(more({ row: "x", place: "ac vm1", eth: ["ff", "M1"], arp: claim }).unexpected).toHaveLength(1);
  });
});

describe("frames that an IPv6 host sends of its own accord", () => {
  const scenario = SCENARIOS.find(({ number, family }) => number === 1 && family === 6)!;
  const own = ["request", "M1", "2001:db8:10::11", "0", "2001:db8:10::12"] as const;
  const staged = (row: FrameRow) => {
    const seen = perfect(scenario);
    seen.frames.push(seenOf(row, 2000));
    return judge(scenario, NAMES, seen);
  };
  const nd = (asks: NonNullable<FrameRow["arp"]>) => ({ asks, by: asks[2], flags: "" });

  test("about an address of the link are bridged as they are", () => {
    const asks = ["request", "M1", "fe80::11", "0", "fe80::12"] as const;
    const judgement = staged({ row: "x", place: "gw1>gw2", vni: 10, eth: ["S.12", "M1"], nd: nd(asks) });
    expect([judgement.unexpected.length, judgement.tolerated.length, failures(judgement)]).toEqual([0, 1, 0]);
  });

  test("about an address of the subnet are not: no VM's MAC is in a tunnel", () => {
    const judgement = staged({ row: "x", place: "gw1>gw2", vni: 10, eth: ["S.12", "M1"], nd: nd(own) });
    expect(judgement.rules.filter(({ violations }) => violations.length > 0).map(({ name }) => name)).toEqual(["N2"]);
    expect(judgement.unexpected).toHaveLength(1);
  });

  test("a gateway's probe of its next hop is, and a question by its name is not", () => {
    const probe = ["request", "0", "::", "0", "2001:db8:10::12"] as const;
    const named = ["request", "G1.10", "2001:db8:10::1", "0", "2001:db8:10::12"] as const;
    const at = { row: "x", place: "gw1>gw2", vni: 10, eth: ["G2.10", "G1.10"] } as const;
    const said = (asks: NonNullable<FrameRow["arp"]>) => staged({ ...at, nd: nd(asks) }).unexpected.length;
    expect([said(probe), said(named)]).toEqual([0, 1]);
  });
});
