/**
 * Watching: it changes nothing that leaves, tells each frame and each drop once, loses by count and never blocks; and off,
 * it writes nothing.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { Injector } from "../../src/control/inject.ts";
import { F_FLAGS, F_GSO_SIZE, F_UNITS, GSO_TCPV4 } from "../../src/io/port-io.ts";
import { DROP, DROPS, PUNT } from "../../src/tables/counters.ts";
import { R_ARG, R_ARG2, R_KIND, R_LENGTH, R_PORT, R_UNITS, R_VSI, R_WATCH_ID } from "../../src/tables/ring.ts";
import { SET_WATCH, SET_WATCH_SNAP } from "../../src/tables/tables.ts";
import {
  FATE_PUNTED,
  FATE_SENT,
  LOST_DROPS,
  LOST_FRAMES,
  W_CAUSE,
  W_COPIES,
  W_ID,
  W_LENGTH,
  W_OUT_PORT,
  W_OUT_VSI,
  W_PARENT,
  WATCH_DROP,
  WATCH_DROPS,
  WATCH_FRAMES,
  WATCH_IN,
  WATCH_OUT,
  WATCH_RING_BYTES,
} from "../../src/tables/watch.ts";
import { setFilter } from "../../src/tables/watch-filter.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { xorshift } from "../tables/xorshift.ts";
import { toHex } from "../wire/hex.ts";
import { crowdedRig, SEEDS } from "./corpus.ts";
import { ethernet, udpFrame, vxlan } from "./packets.ts";
import { G10, ip, M1, P10, P20, Rig } from "./rig.ts";

function watchAll(rig: Rig, bits: number, snaplen = 2000): void {
  rig.tables.settings[SET_WATCH] = bits;
  rig.tables.settings[SET_WATCH_SNAP] = snaplen;
  rig.tables.watch.ports.fill(1);
  rig.tables.watch.vsis.fill(1);
}

/** Everything in the watch ring. */
function records(rig: Rig) {
  const ring = rig.tables.watch.rings[0]!;
  const all = [];
  for (let r = ring.peek(); r >= 0; r = ring.peek()) {
    const w = ring.words;
    const at = ring.frameAt(r);
    all.push({
      kind: w[r + R_KIND]!,
      port: w[r + R_PORT]!,
      vsi: w[r + R_VSI]!,
      fate: w[r + R_ARG]!,
      punt: w[r + R_ARG2]!,
      out: [w[r + W_OUT_PORT]!, w[r + W_OUT_VSI]!, w[r + W_COPIES]!],
      units: w[r + R_UNITS]!,
      id: w[r + W_ID]!,
      // Of one that goes out, in the words of `out`.
      parent: w[r + W_PARENT]!,
      cause: w[r + W_CAUSE]!,
      length: w[r + W_LENGTH]!,
      bytes: ring.bytes.slice(at, at + w[r + R_LENGTH]!),
    });
    ring.release(r);
  }
  return all;
}

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
  rig.mac(1, M1, 1);
  rig.neighbor("20.1.1.12", 2, P20, 3);
});

const routed = () => udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12") });

describe("a capture", () => {
  it("holds a routed frame as it came and as it left, from a tunnel and to one as the inner frame", () => {
    watchAll(rig, WATCH_FRAMES);
    const frame = routed();
    rig.vm1.send(frame);
    rig.run();
    const [came, left] = records(rig);
    expect(came).toMatchObject({
      kind: WATCH_IN,
      port: 1,
      vsi: 1,
      fate: FATE_SENT,
      out: [3, 2, 1],
      length: frame.length,
    });
    expect(toHex(came!.bytes)).toBe(toHex(frame));
    expect(left).toMatchObject({ kind: WATCH_OUT, port: 3, vsi: 2, fate: FATE_SENT, length: frame.length });
    expect(toHex(left!.bytes)).toBe(toHex(rig.wire[0]!.bytes.slice(8)));
    const inner = ethernet(M1, P10, 0x88b5, 46);
    rig.arrive(2, vxlan(10, inner));
    rig.run();
    expect(records(rig).map(({ kind, port, bytes }) => [kind, port, toHex(bytes)])).toEqual([
      [WATCH_IN, 3, toHex(inner)],
      [WATCH_OUT, 1, toHex(inner)],
    ]);
  });

  it("numbers each frame; a copy has the number of what came in, and what control sends that of what it was told", () => {
    watchAll(rig, WATCH_FRAMES);
    rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 46));
    rig.vm1.send(udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.77") }));
    rig.run();
    const [flooded, one, other, punted] = records(rig);
    expect(new Set([flooded, one, other, punted].map((record) => record!.id)).size).toBe(4);
    expect([one!.parent, other!.parent]).toEqual([flooded!.id, flooded!.id]);
    const punts = rig.tables.punts[0]!;
    expect(punts.words[punts.peek() + R_WATCH_ID]).toBe(punted!.id);
    const injector = new Injector(rig.tables.injects, () => undefined);
    injector.cause = punted!.id;
    injector.toPort(1, 1, routed());
    injector.cause = 0;
    injector.toPort(1, 1, routed());
    rig.vm1.send(routed());
    rig.run();
    expect(records(rig).map(({ kind, parent, cause }) => [kind, kind === WATCH_OUT ? [parent, cause] : []])).toEqual([
      [WATCH_OUT, [0, punted!.id]],
      [WATCH_OUT, [0, 0]],
      [WATCH_IN, []],
      [WATCH_OUT, [expect.any(Number), 0]],
    ]);
    // Not watched any more: what is punted has no number.
    rig.tables.settings[SET_WATCH] = 0;
    punts.release(punts.peek());
    rig.vm1.send(udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.77") }));
    rig.run();
    expect(punts.words[punts.peek() + R_WATCH_ID]).toBe(0);
  });

  it("copies no frame that is not meant, on its way in or out", () => {
    watchAll(rig, WATCH_FRAMES);
    setFilter(rig.tables.watch.filter, ["udp"], new Set([ip("20.1.1.12")]));
    rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 46));
    rig.vm1.send(udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.77") }));
    rig.vm1.send(routed());
    rig.run();
    expect(records(rig).map(({ kind, port }) => [kind, port])).toEqual([
      [WATCH_IN, 1],
      [WATCH_OUT, 3],
    ]);
    expect(rig.tables.watch.lost[LOST_FRAMES]).toBe(0);
  });

  it("names punt class, drop reason and the copies of a flood; cuts at snaplen; keeps to what is wanted", () => {
    watchAll(rig, WATCH_FRAMES, 20);
    rig.vm1.send(udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.77") }));
    rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 46));
    rig.vm1.send(new Uint8Array(9));
    rig.run();
    const seen = records(rig);
    expect(seen.map(({ kind, fate, punt, out }) => [kind, fate, punt, kind === WATCH_OUT ? 0 : out[2]])).toEqual([
      [WATCH_IN, FATE_PUNTED, PUNT.unresolved, 0],
      [WATCH_IN, FATE_SENT, 0, 2],
      [WATCH_OUT, FATE_SENT, 0, 0],
      [WATCH_OUT, FATE_SENT, 0, 0],
      [WATCH_IN, DROP.runt, 0, 0],
    ]);
    expect(seen.map(({ bytes, length }) => [bytes.length, length])).toEqual([
      [20, 60],
      [20, 60],
      [20, 60],
      [20, 60],
      [9, 9],
    ]);
    rig.tables.watch.ports.fill(0);
    rig.tables.watch.ports[3] = 1;
    rig.vm1.send(routed());
    rig.run();
    expect(records(rig).map(({ kind, port }) => [kind, port])).toEqual([[WATCH_OUT, 3]]);
    rig.tables.watch.vsis[2] = 0;
    rig.vm1.send(routed());
    rig.run();
    expect(records(rig)).toEqual([]);
  });

  it("counts a super-frame as what it stands for", () => {
    watchAll(rig, WATCH_FRAMES);
    rig.describe = (frames, d) => {
      frames[d + F_FLAGS] = GSO_TCPV4;
      frames[d + F_GSO_SIZE] = 10;
      frames[d + F_UNITS] = 2;
    };
    rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 60));
    rig.run();
    expect(records(rig).map(({ units }) => units)).toEqual([2, 2, 2]);
  });

  it("a ring that is full loses records and counts them; frames go on", () => {
    watchAll(rig, WATCH_FRAMES | WATCH_DROPS, 2000);
    const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12"), payload: 1300 });
    for (let n = 0; n < 3000; n++) rig.vm1.send(frame);
    rig.run();
    expect(rig.wire.length).toBe(3000);
    const kept = records(rig).length;
    expect(kept).toBeGreaterThan(WATCH_RING_BYTES / 1600);
    expect(kept + rig.tables.watch.lost[LOST_FRAMES]!).toBe(6000);
    expect(rig.imbalance).toBe(0);
  });
});

describe("drops", () => {
  it("are told once each: received ones, copies, refused by the io, at most 1,000 a second", () => {
    watchAll(rig, WATCH_DROPS);
    const reasons = () =>
      records(rig).map(({ kind, port, fate, bytes }) => `${kind} ${port} ${DROPS[fate - 1]![0]} ${bytes.length}`);
    rig.vm1.send(new Uint8Array(9));
    rig.tables.ports.mtu[4] = 40;
    rig.vm1.send(ethernet(BROADCAST, M1, 0x88b5, 200));
    rig.run();
    expect(reasons()).toEqual([`${WATCH_DROP} 0 runt 9`, `${WATCH_DROP} 1 too_big 128`]);
    rig.io.failPeer(3, -105);
    rig.vm1.send(routed());
    rig.run();
    expect(reasons()).toEqual([`${WATCH_DROP} 3 tx_again 0`]);
    rig.net.nowMs += 2000;
    for (let n = 0; n < 2500; n++) rig.vm1.send(new Uint8Array(9));
    rig.run();
    expect(reasons().length).toBe(1000);
    expect(rig.tables.watch.lost[LOST_DROPS]).toBe(1500);
    rig.net.nowMs += 1000;
    rig.vm1.send(new Uint8Array(9));
    rig.run();
    expect(reasons().length).toBe(1);
  });
});

describe("either way", () => {
  it("off, nothing is written; on, 20,000 random frames meet the same fates and leave the same bytes", () => {
    const [still, watched] = [crowdedRig(), crowdedRig()];
    watchAll(watched, WATCH_FRAMES | WATCH_DROPS);
    const random = xorshift(99);
    for (let batch = 0; batch < 200; batch++) {
      for (const one of [still, watched]) one.net.nowMs += 50;
      for (let n = 0; n < 100; n++) {
        const seed = SEEDS[random() % SEEDS.length]!;
        const bytes = seed.bytes.slice();
        if (random() % 2 === 0) bytes[random() % Math.min(bytes.length, 64)] = random();
        for (const one of [still, watched]) {
          if (seed.tap === 0) one.arrive(seed.last, bytes, seed.tos);
          else one.net.tapOf(100 + seed.tap)!.send(bytes);
        }
      }
      for (const one of [still, watched]) one.run();
      records(watched);
    }
    expect(still.tables.watch.rings[0]!.isEmpty).toBe(true);
    expect([...still.tables.watch.lost]).toEqual([0, 0]);
    expect(watched.wire.map(({ bytes }) => toHex(bytes))).toEqual(still.wire.map(({ bytes }) => toHex(bytes)));
    expect(watched.heard).toEqual(still.heard);
    expect(watched.punts()).toEqual(still.punts());
    const [a, b] = [still.tables.counters[0]!, watched.tables.counters[0]!];
    expect([b.received, b.sent, b.copies, b.punted, b.drops, b.ports, b.vsis, b.rules]).toEqual([
      ...[a.received, a.sent, a.copies, a.punted, a.drops, a.ports, a.vsis, a.rules],
    ]);
    expect([still.imbalance, watched.imbalance]).toEqual([0, 0]);
  }, 60_000);
});
