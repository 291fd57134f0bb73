/**
 * The policers on virtual time: no AC and no class gets more than its rate, none starves another, and neither a storm nor
 * a port that was quiet for a month confuses them (S06).
 */
import { describe, expect, it } from "vitest";
import { Policer } from "../../src/dataplane/policer.ts";
import { Told } from "../../src/dataplane/told.ts";
import { F_UNITS } from "../../src/io/port-io.ts";
import { PUNT, PUNTS } from "../../src/tables/counters.ts";
import { SET_PUNT_AC, SET_PUNT_TOTAL, type Tables } from "../../src/tables/tables.ts";
import {
  publishFlood,
  STORM_BROADCAST,
  STORM_CLASSES,
  STORM_MULTICAST,
  STORM_NONE,
  STORM_UNKNOWN,
} from "../../src/tables/vsi.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { arpFrame, ethernet } from "./packets.ts";
import { ip, M1, M2, Rig } from "./rig.ts";

/** Frames per second that passed, over `seconds` of offering `pps` to each of `ports`, in `kinds` in turn. */
function offered(
  rig: Rig,
  ports: number[],
  kinds: number[],
  pps: number,
  seconds: number,
  from = 0,
): Map<number, number> {
  const policer = new Policer(rig.tables, 0);
  const passed = new Map(ports.map((port) => [port, 0]));
  let n = 0;
  for (let ms = 0; ms < seconds * 1000; ms++) {
    policer.begin((from + ms) | 0);
    for (const port of ports) {
      for (let i = 0; i < pps / 1000; i++)
        if (policer.admit(kinds[n++ % kinds.length]!, port)) passed.set(port, passed.get(port)! + 1);
    }
  }
  return passed;
}

const sum = (passed: Map<number, number>): number => [...passed.values()].reduce((a, b) => a + b, 0);
const BURST = 0.25;

describe("the policer in front of the punt ring", () => {
  it("lets an AC have 500 a second and one burst, whatever classes it mixes, and no less", () => {
    const all = Object.values(PUNT);
    for (const kinds of [[PUNT.arp], [PUNT.ttl], all]) {
      const passed = offered(new Rig(), [1], kinds, 20_000, 4).get(1)!;
      expect(passed).toBeLessThanOrEqual(500 * (4 + BURST));
      expect(passed).toBeGreaterThan(500 * 4 - 10);
    }
  });

  it("lets all ports together have no more than the total, and a class no more than half", () => {
    const rig = new Rig();
    const ports = Array.from({ length: 10 }, (_, i) => 100 + i);
    for (const port of ports) rig.tables.ports.kind[port] = 1;
    const mixed = sum(offered(rig, ports, Object.values(PUNT), 2_000, 4));
    expect(mixed).toBeLessThanOrEqual(2000 * (4 + BURST));
    expect(mixed).toBeGreaterThan(2000 * 4 - 20);
    const oneClass = sum(offered(rig, ports, [PUNT.arp], 2_000, 4));
    expect(oneClass).toBeLessThanOrEqual(1000 * (4 + BURST));
    expect(oneClass).toBeGreaterThan(1000 * 4 - 20);
  });

  it("an AC that floods does not take a quiet one's share: all of its 20 a second pass", () => {
    const rig = new Rig();
    const policer = new Policer(rig.tables, 0);
    let [asked, passed] = [0, 0];
    for (let ms = 0; ms < 4000; ms++) {
      policer.begin(ms);
      for (let i = 0; i < 20; i++) policer.admit(1 + ((ms + i) % PUNTS.length), 1);
      if (ms % 50 !== 0) continue;
      asked++;
      if (policer.admit(PUNT.arp, 2)) passed++;
    }
    expect([asked, passed]).toEqual([80, 80]);
  });

  /** Of 20 frames a second of class `kind` from `port`: how many pass while `flood` takes what it can get, each ms, before each of them. */
  function passedBeside(flood: (policer: Policer) => void, kind: number, port: number): number {
    const rig = new Rig();
    for (let each = 100; each < 110; each++) rig.tables.ports.kind[each] = 1;
    const policer = new Policer(rig.tables, 0);
    let passed = 0;
    for (let ms = 0; ms < 4000; ms++) {
      policer.begin(ms);
      flood(policer);
      if (ms % 50 === 0 && policer.admit(kind, port)) passed++;
    }
    return passed;
  }
  const flooded = (policer: Policer, kind: number, port: number) => {
    for (let i = 0; i < 20; i++) policer.admit(kind, port);
  };

  it.each([
    ["two ACs that flood the same", [PUNT.arp, PUNT.arp], PUNT.arp],
    ["two of neighbour discovery", [PUNT.nd, PUNT.nd], PUNT.nd],
    ["four that use up the whole", [PUNT.ttl, PUNT.ttl, PUNT.local, PUNT.local], PUNT.arp],
    ["ten of everything", [1, 2, 3, 4, 5, 6, 7, 8, PUNT.arp, PUNT.nd], PUNT.nd],
  ])("%s take no other AC's share", (_, kinds, kind) => {
    const flood = (policer: Policer) => {
      for (const [i, each] of kinds.entries()) flooded(policer, each, 100 + i);
    };
    expect(passedBeside(flood, kind, 1)).toBe(80);
  });

  it.each([1, 3])("a class that floods by port %i takes no other class's share there, an AC or a tunnel", (port) => {
    for (const kind of [PUNT.ttl, PUNT.unresolved, PUNT.nd])
      expect(passedBeside((policer) => flooded(policer, kind, port), PUNT.arp, port)).toBe(80);
  });

  it("copies of what goes on anyway take none of their class's share", () => {
    const flood = (policer: Policer) => {
      for (let i = 0; i < 20; i++) policer.admit(PUNT.nd, 3, true);
    };
    expect(passedBeside(flood, PUNT.nd, 3)).toBe(80);
  });

  it("is indifferent to where the clock stands, the int32 wrap included", () => {
    const at0 = offered(new Rig(), [1], [PUNT.arp], 2_000, 2).get(1);
    for (const from of [-0x80000000, 0x7fffffff - 1000, 0x7fffffff, -500])
      expect(offered(new Rig(), [1], [PUNT.arp], 2_000, 2, from).get(1), `from ${from}`).toBe(at0);
  });

  it("a port that was quiet for a month finds its bucket full, not frozen", () => {
    // 25 days and more are a negative difference in int32.
    for (const later of [2 ** 31 - 1, 2 ** 31, 2 ** 31 + 86_400_000, 2 ** 32 - 1]) {
      const policer = new Policer(new Rig().tables, 0);
      const burst = () => {
        let n = 0;
        while (policer.admit(PUNT.arp, 1)) n++;
        return n;
      };
      policer.begin(0);
      // But for an eighth, which is for the other classes.
      const full = burst();
      expect(full).toBe(125 - 16);
      policer.begin(later | 0);
      expect(burst(), `${later} ms later`).toBe(full);
    }
  });

  it("several workers share the rates: together they let through what one would, and each its part", () => {
    for (const workers of [2, 3, 16]) {
      const rig = new Rig();
      rig.tables.ports.kind[1] = 1;
      const tables = { ...rig.tables, sizes: { ...rig.tables.sizes, workers } } as Tables;
      const seconds = 4;
      const passed = Array.from({ length: workers }, (_, worker) => {
        const policer = new Policer(tables, worker);
        let [punts, records] = [0, 0];
        for (let ms = 0; ms < seconds * 1000; ms++) {
          policer.begin(ms);
          for (let i = 0; i < 2; i++) if (policer.admit(1 + (ms % PUNTS.length), 1)) punts++;
          for (let i = 0; i < 10; i++) if (policer.admitRecord()) records++;
        }
        return [punts, records] as const;
      });
      for (const [i, rate] of [
        [0, 500],
        [1, 8000],
      ] as const) {
        const counts = passed.map((each) => each[i]);
        const all = counts.reduce((a, b) => a + b, 0);
        expect(all, `${workers} workers`).toBeLessThanOrEqual(rate * (seconds + BURST));
        expect(all, `${workers} workers`).toBeGreaterThan(rate * seconds * 0.98);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(4 * (seconds + 1));
      }
    }
  });

  it("a rate of less than one for each worker still lets each have one", () => {
    const rig = new Rig();
    rig.tables.settings[SET_PUNT_AC] = 1;
    rig.tables.settings[SET_PUNT_TOTAL] = 10;
    const workers = 16;
    const tables = { ...rig.tables, sizes: { ...rig.tables.sizes, workers } } as Tables;
    for (let worker = 0; worker < workers; worker++) {
      const policer = new Policer(tables, worker);
      for (const port of [1, 3]) {
        policer.begin(0);
        policer.admit(PUNT.arp, port); // the bucket is known from here on
        policer.begin(4000);
        expect(policer.admit(PUNT.arp, port), `worker ${worker}, port ${port}`).toBe(true);
      }
    }
  });

  it("a changed limit holds at once", () => {
    const rig = new Rig();
    rig.tables.settings[SET_PUNT_AC] = 100;
    expect(offered(rig, [1], [PUNT.arp], 5_000, 4).get(1)).toBeLessThanOrEqual(425);
    rig.tables.settings[SET_PUNT_TOTAL] = 60;
    expect(sum(offered(rig, [1, 2], [PUNT.arp, PUNT.ttl], 5_000, 4))).toBeLessThanOrEqual(60 * 4.25);
  });

  it("through the plane: 20 kpps of ARP from VM1 become 500 records a second; VM2 has all its answers", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    rig.mac(2, M2, 2);
    const ask = (mac: number, from: string, to: string): Uint8Array =>
      arpFrame({
        ethDst: BROADCAST,
        ethSrc: mac,
        op: 1,
        senderMac: mac,
        senderIp: ip(from),
        targetMac: 0,
        targetIp: ip(to),
      });
    const [storm, quiet] = [ask(M1, "10.1.1.11", "10.1.1.1"), ask(M2, "20.1.1.11", "20.1.1.1")];
    const counts = [0, 0, 0];
    for (let ms = 0; ms < 1000; ms++) {
      rig.net.nowMs = 5000 + ms;
      for (let i = 0; i < 20; i++) rig.vm1.send(storm);
      if (ms % 100 === 0) rig.vm2.send(quiet);
      rig.plane.turn(0);
      for (const p of rig.punts()) counts[p.port]!++;
    }
    expect(counts[1]).toBeLessThanOrEqual(625);
    expect(counts[1]).toBeGreaterThan(600);
    expect(counts[2]).toBe(10);
    expect(rig.drops).toEqual({ punt_limited: 20_000 - counts[1]! });
    expect(rig.imbalance).toBe(0);
  });
});

describe("BFD inside VXLAN", () => {
  it("has 200 a second of a tunnel in one worker, however many there are: a session is one flow", () => {
    for (const workers of [1, 4, 16]) {
      const rig = new Rig();
      const tables = { ...rig.tables, sizes: { ...rig.tables.sizes, workers } } as Tables;
      const policer = new Policer(tables, 0);
      let passed = 0;
      for (let ms = 0; ms < 4000; ms++) {
        policer.begin(ms);
        for (let i = 0; i < 2; i++) if (policer.admitBfd(3)) passed++;
      }
      expect(passed, `${workers} workers`).toBeLessThanOrEqual(200 * (4 + BURST));
      expect(passed, `${workers} workers`).toBeGreaterThan(200 * 4 - 10);
    }
  });
});

describe("the storm limit", () => {
  it("counts broadcast, unknown and multicast of one AC together; known unicast and tunnels are free", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    rig.mac(1, M2, 3);
    rig.tables.ports.storm[1] = 100;
    const kinds = [BROADCAST, 0x01005e010203, 0x020000000999].map((dst) => ethernet(dst, M1, 0x88b5, 46));
    for (let ms = 0; ms < 1000; ms++) {
      rig.net.nowMs = ms;
      for (let i = 0; i < 3; i++) rig.vm1.send(kinds[i]!);
      rig.vm1.send(ethernet(M2, M1, 0x88b5, 46));
      rig.plane.turn(0);
    }
    rig.run();
    const bum = 3000 - rig.drops.storm_limited!;
    expect(bum).toBeLessThanOrEqual(126);
    expect(bum).toBeGreaterThan(115);
    expect(rig.wire.length).toBe(1000 + 2 * bum);
    expect(rig.imbalance).toBe(0);
  });

  it("counts each class by itself, beside the limit of all: a storm of one leaves the others what they have", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    rig.mac(1, M2, 3);
    const { storm, stormOf } = rig.tables.ports;
    storm[1] = 400;
    stormOf[STORM_CLASSES + STORM_BROADCAST] = 40;
    stormOf[STORM_CLASSES + STORM_MULTICAST] = 80;
    const kinds = [BROADCAST, 0x01005e010203, 0x020000000999];
    const frames = kinds.map((dst) => ethernet(dst, M1, 0x88b5, 46));
    const passed = [0, 0, 0];
    for (let ms = 0; ms < 4000; ms++) {
      rig.net.nowMs = ms;
      for (const [i, frame] of frames.entries()) {
        const before = rig.wire.length;
        rig.vm1.send(frame);
        rig.plane.turn(0);
        rig.plane.turn(0);
        if (rig.wire.length > before) passed[i]!++;
      }
    }
    const second = passed.map((count) => count / 4);
    // A bucket holds a quarter of a second, and is full when it begins.
    expect(second[0]).toBeGreaterThan(39);
    expect(second[0]).toBeLessThan(44);
    expect(second[1]).toBeGreaterThan(78);
    expect(second[1]).toBeLessThan(87);
    // Unknown unicast has no limit of its own: what the others leave of 400.
    expect(second[2]).toBeGreaterThan(250);
    expect(second[0]! + second[1]! + second[2]!).toBeLessThan(430);
    expect(rig.imbalance).toBe(0);
  });

  it("takes no token of one bucket where the other one is empty", () => {
    const rig = new Rig();
    rig.tables.ports.storm[1] = 4;
    rig.tables.ports.stormOf[STORM_CLASSES + STORM_UNKNOWN] = 400;
    const policer = new Policer(rig.tables, 0);
    policer.begin(0);
    const admitted = (kind: number) => policer.admitStorm(1, 1, kind);
    expect([admitted(STORM_UNKNOWN), admitted(STORM_UNKNOWN), admitted(STORM_BROADCAST)]).toEqual([true, false, false]);
    for (let i = 0; i < 1000; i++) expect(admitted(STORM_UNKNOWN)).toBe(false);
    rig.tables.ports.storm[1] = 0;
    expect(admitted(STORM_UNKNOWN)).toBe(true);
    expect(admitted(STORM_NONE)).toBe(true);
  });

  it("of the greatest rate that can be configured lets through what is within it", () => {
    const rig = new Rig();
    rig.tables.ports.storm[1] = 10_000_000;
    const policer = new Policer(rig.tables, 0);
    let passed = 0;
    for (let ms = 0; ms < 100_000; ms += 1000) {
      policer.begin(ms);
      if (policer.admitStorm(1, 1, STORM_NONE)) passed++;
    }
    expect(passed).toBe(100);
  });

  it("is shared by several workers", () => {
    const rig = new Rig();
    rig.tables.ports.storm[1] = 100;
    const tables = { ...rig.tables, sizes: { ...rig.tables.sizes, workers: 3 } } as Tables;
    let passed = 0;
    for (let worker = 0; worker < 3; worker++) {
      const policer = new Policer(tables, worker);
      for (let ms = 0; ms < 4000; ms++) {
        policer.begin(ms);
        if (policer.admitStorm(1, 1, STORM_NONE)) passed++;
      }
    }
    expect(passed).toBeLessThanOrEqual(425);
    expect(passed).toBeGreaterThan(390);
  });

  it("a super-frame larger than the bucket passes on credit, and the rate holds all the same", () => {
    const rig = new Rig();
    rig.mac(1, M1, 1);
    publishFlood(rig.tables.vsis, 1, [1], [3]);
    rig.tables.ports.storm[1] = 100;
    rig.describe = (frames, d) => {
      frames[d + F_UNITS] = 40;
    };
    for (let ms = 0; ms < 8000; ms += 10) {
      rig.net.nowMs = ms;
      rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 46));
      rig.plane.turn(0);
    }
    rig.run();
    const passed = rig.wire.length * 40;
    expect(passed).toBeGreaterThan(100 * 8 - 80);
    expect(passed).toBeLessThanOrEqual(100 * 8 + 25 + 40);
  });
});

describe("what was told", () => {
  it("is news again after half a second, also half a second that is a month", () => {
    const told = new Told();
    expect(told.isNews(7, 1, 2, 3, 1000)).toBe(true);
    expect(told.isNews(7, 1, 2, 3, 1499)).toBe(false);
    expect(told.isNews(7, 1, 2, 3, 1500)).toBe(true);
    expect(told.isNews(7, 1, 2, 4, 1500), "another place").toBe(true);
    expect(told.isNews(8, 1, 2, 3, 1500), "another kind").toBe(true);
    const month = new Told();
    month.isNews(7, 1, 2, 3, 1500);
    expect(month.isNews(7, 1, 2, 3, (1500 + 2 ** 31 + 1) | 0)).toBe(true);
    expect(month.isNews(7, 1, 2, 3, (1500 + 2 ** 31 + 2) | 0)).toBe(false);
  });
});
