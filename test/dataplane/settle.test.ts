/**
 * Accounts: what the io says became of each record, and what a super-frame counts for.
 */
import { describe, expect, it } from "vitest";
import {
  F_CSUM_START,
  F_FLAGS,
  F_GSO_SIZE,
  F_UNITS,
  FLAG_NEEDS_CSUM,
  GSO_TCPV4,
  S_CSUM_START,
  S_DONE,
  S_ERROR,
  S_FLAGS,
  S_GSO_SIZE,
  S_UNITS,
  SEND_WORDS,
  STATUS_FAILED,
} from "../../src/io/port-io.ts";
import { INJECT, PUNT, RECORD_TOO_BIG } from "../../src/tables/counters.ts";
import { publishFlood } from "../../src/tables/vsi.ts";
import { BROADCAST, type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { toHex } from "../wire/hex.ts";
import { ethernet, tagged, tcpFrame, vxlan } from "./packets.ts";
import { G10, G20, ip, M1, P20, Rig } from "./rig.ts";

const FAR = parseMac("02:00:00:00:01:12")!;
const FARTHER = parseMac("02:00:00:00:01:13")!;
const frame = (dst: Mac, payload = 46): Uint8Array => ethernet(dst, M1, 0x88b5, payload);

function lab(): Rig {
  const rig = new Rig();
  rig.mac(1, M1, 1);
  rig.mac(1, FAR, 3);
  rig.mac(1, FARTHER, 4);
  return rig;
}

/** Receive packets, bytes, transmit packets, bytes. */
const account = (column: Float64Array, row: number): number[] => [...column.slice(row * 4, row * 4 + 4)];

describe("settling", () => {
  it("a port and its VSI count wire packets and bytes in and out, tags and VXLAN headers left aside", () => {
    const rig = lab();
    rig.ac(11, 1, 5, 20);
    publishFlood(rig.tables.vsis, 1, [1, 11], [3, 4]);
    rig.net.tapOf(105)!.send(tagged(frame(BROADCAST), 7)); // no AC: counted by the drop alone
    rig.net.tapOf(105)!.send(tagged(frame(BROADCAST), 20));
    rig.arrive(2, vxlan(10, frame(M1, 100)));
    rig.run();
    const { ports, vsis } = rig.tables.counters[0]!;
    expect(account(ports, 11)).toEqual([1, 60, 0, 0]);
    expect(account(ports, 1)).toEqual([0, 0, 2, 60 + 114]);
    expect(account(ports, 3)).toEqual([1, 114, 1, 60]);
    expect(account(ports, 4)).toEqual([0, 0, 1, 60]);
    expect(account(vsis, 1)).toEqual([2, 174, 4, 3 * 60 + 114]);
    expect(rig.drops).toEqual({ ac_unbound: 1 });
  });

  it("a failing record takes nothing with it: each neighbour in the batch is sent, in order", () => {
    const rig = lab();
    rig.io.failPeer(3, -1);
    rig.vm2.error = -11;
    for (let i = 0; i < 10; i++) {
      rig.vm1.send(frame(FAR, 46 + i));
      rig.vm1.send(frame(FARTHER, 46 + i));
      rig.inject(INJECT.port, 2, 2, 0, 0, frame(FAR));
      rig.inject(INJECT.port, 1, 1, 0, 0, frame(FAR, 46 + i));
    }
    rig.run();
    expect(rig.wire.map((d) => [d.to, d.bytes.length])).toEqual(
      Array.from({ length: 10 }, (_, i) => ["192.0.2.3", 68 + i]),
    );
    expect(rig.heard[1]!.map((b) => b.length)).toEqual(Array.from({ length: 10 }, (_, i) => 60 + i));
    expect(rig.drops).toEqual({ tx_error: 10, tap_full: 10 });
    expect(account(rig.tables.counters[0]!.ports, 3).slice(2)).toEqual([0, 0]);
    expect(rig.imbalance).toBe(0);
    rig.io.failPeer(3, 0);
    rig.vm1.send(frame(FAR));
    rig.run();
    expect(rig.drops).toEqual({ tx_error: 10, tap_full: 10 });
    expect(rig.wire.at(-1)!.to).toBe("192.0.2.2");
  });

  it("each errno has its reason, on a TAP and on a tunnel", () => {
    const reasons: Record<string, number> = {};
    for (const [errno, tap, tunnel] of [
      [-11, "tap_full", "tx_again"],
      [-105, "tap_full", "tx_again"],
      [-90, "tap_error", "too_big"],
      [-5, "tap_error", "tx_error"],
      [-19, "tap_error", "tx_error"],
      [-113, "tap_error", "tx_error"],
    ] as const) {
      const rig = lab();
      rig.io.failPeer(3, errno);
      rig.vm1.error = errno;
      rig.vm1.send(frame(FAR));
      rig.inject(INJECT.port, 1, 1, 0, 0, frame(M1));
      rig.run();
      expect(rig.drops, `${errno}`).toEqual({ [tap]: 1, [tunnel]: 1 });
      reasons[tunnel] = errno;
    }
    expect(Object.keys(reasons)).toHaveLength(3);
  });

  it("EMSGSIZE on a tunnel is a path-MTU event: control is told how long and where, once, and its doorbell rings", () => {
    const rig = lab();
    rig.net.mtu = 1000;
    rig.net.nowMs = 9000;
    for (let i = 0; i < 5; i++) rig.vm1.send(frame(FAR, 1200));
    rig.plane.turn(0);
    rig.punts();
    const doorbell = rig.tables.doorbell[0]!;
    rig.plane.turn(0); // the exchange that fails
    expect(rig.punts()).toMatchObject([{ kind: RECORD_TOO_BIG, port: 3, vsi: 0, arg: 1200 + 14 + 8, units: 0 }]);
    expect(rig.tables.doorbell[0]).toBe(doorbell + 1);
    expect(rig.drops).toEqual({ too_big: 5 });
    expect(rig.imbalance).toBe(0);
  });

  it("the doorbell rings when there is something in the punt ring, and only then", () => {
    const rig = lab();
    const bell = (): number => rig.tables.doorbell[0]!;
    rig.vm1.send(frame(FAR));
    rig.run();
    expect(bell()).toBe(0);
    rig.vm1.send(ethernet(FAR, FARTHER, 0x88b5, 46)); // moved: a LEARN record
    rig.run();
    expect(bell()).toBe(1);
  });

  it("batches are counted by size", () => {
    const rig = lab();
    for (const n of [1, 3, 16, 17, 200]) {
      for (let i = 0; i < n; i++) rig.vm1.send(frame(FAR));
      rig.run();
    }
    const { misc } = rig.tables.counters[0]!;
    expect([misc[1], misc[2]]).toEqual([237, 5]);
    expect([...misc.slice(8, 13)]).toEqual([1, 1, 1, 1, 1]);
  });
});

describe("a super-frame", () => {
  const MSS = 1400;
  const UNITS = 14;
  const big = (dst: Mac, payload = (UNITS - 1) * MSS + 600): Uint8Array =>
    tcpFrame({ dst, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12"), payload });
  const wireBytes = big(G10).length + (UNITS - 1) * 54;

  function labOf(gsoSize = MSS): Rig {
    const rig = lab();
    rig.neighbor("20.1.1.12", 2, P20, 3);
    rig.net.mtu = 65_535;
    rig.describe = (frames, d) => {
      frames[d + F_FLAGS] = GSO_TCPV4 | FLAG_NEEDS_CSUM;
      frames[d + F_GSO_SIZE] = gsoSize;
      frames[d + F_UNITS] = UNITS;
      frames[d + F_CSUM_START] = 34;
    };
    return rig;
  }

  it("is routed whole: its metadata goes along, it counts as its segments, bytes with all their headers", () => {
    const rig = labOf();
    rig.vm1.send(big(G10));
    rig.run();
    const c = rig.tables.counters[0]!;
    expect([c.received[0], c.sent[0]]).toEqual([UNITS, UNITS]);
    expect(account(c.ports, 1)).toEqual([UNITS, wireBytes, 0, 0]);
    expect(account(c.ports, 3)).toEqual([0, 0, UNITS, wireBytes]);
    expect(rig.sends).toHaveLength(1);
    const s = rig.sends[0]!;
    expect([s[S_FLAGS], s[S_GSO_SIZE], s[S_UNITS], s[S_CSUM_START]]).toEqual([
      GSO_TCPV4 | FLAG_NEEDS_CSUM,
      MSS,
      UNITS,
      34,
    ]);
    const want = tcpFrame({
      dst: P20,
      src: G20,
      from: ip("10.1.1.11"),
      to: ip("20.1.1.12"),
      ttl: 63,
      payload: big(G10).length - 54,
    });
    expect(toHex(rig.wire[0]!.bytes)).toBe(toHex(vxlan(20, want)));
    expect(rig.imbalance).toBe(0);
  });

  it("fits when a segment fits: 1410 bytes of payload into an MTU of 1450, 1411 not", () => {
    for (const [gsoSize, fits] of [
      [1410, true],
      [1411, false],
    ] as const) {
      const rig = labOf(gsoSize);
      rig.vm1.send(big(G10));
      rig.vm1.send(big(FAR));
      rig.run();
      expect(rig.wire).toHaveLength(fits ? 2 : 0);
      const mtus = rig.punts().filter((p) => p.kind === PUNT.mtu);
      expect(mtus.map((p) => [p.arg, p.units, p.flags & 0xff])).toEqual(
        fits ? [] : new Array(2).fill([1450, UNITS, GSO_TCPV4]),
      );
      expect(rig.imbalance).toBe(0);
    }
  });

  it("with its tag stripped and another pushed, the checksum still starts where L4 does", () => {
    const rig = labOf();
    rig.ac(11, 1, 5, 20);
    rig.ac(12, 1, 6, 30);
    rig.mac(1, FAR, 12);
    rig.describe = (frames, d) => {
      frames[d + F_FLAGS] = GSO_TCPV4 | FLAG_NEEDS_CSUM;
      frames[d + F_GSO_SIZE] = MSS;
      frames[d + F_UNITS] = UNITS;
      frames[d + F_CSUM_START] = 38;
    };
    rig.net.tapOf(105)!.send(tagged(big(FAR), 20));
    rig.net.tapOf(105)!.send(tagged(big(FARTHER), 20));
    rig.net.tapOf(105)!.send(tagged(big(BROADCAST), 20));
    publishFlood(rig.tables.vsis, 1, [12, 1, 11], [3]);
    rig.run();
    expect(rig.sends.map((s) => s[S_CSUM_START])).toEqual([38, 34, 38, 34, 34]);
    const { ports } = rig.tables.counters[0]!;
    expect(account(ports, 11)).toEqual([3 * UNITS, 3 * wireBytes, 0, 0]);
    expect(account(ports, 1).slice(2)).toEqual([UNITS, wireBytes]);
    expect(toHex(rig.heard[6]![0]!)).toBe(toHex(tagged(big(FAR), 30)));
    expect(rig.imbalance).toBe(0);
  });

  it("that left in part counts in part, and the rest is dropped by name", () => {
    const rig = labOf();
    const exchange = rig.io.exchange.bind(rig.io);
    rig.io.exchange = (count, timeoutMs) => {
      const received = exchange(count, timeoutMs);
      for (let i = 0; i < count; i++) {
        rig.io.sends[i * SEND_WORDS + S_DONE] = 5;
        rig.io.sends[i * SEND_WORDS + S_ERROR] = -11;
      }
      rig.io.status[STATUS_FAILED] = count;
      return received;
    };
    rig.vm1.send(big(G10));
    rig.run();
    const c = rig.tables.counters[0]!;
    expect([c.received[0], c.sent[0]]).toEqual([UNITS, 5]);
    expect(rig.drops).toEqual({ tx_again: UNITS - 5 });
    const sent = account(c.ports, 3);
    expect(sent[2]).toBe(5);
    expect(Math.abs(sent[3]! - (wireBytes * 5) / UNITS)).toBeLessThan(1);
    expect(rig.imbalance).toBe(0);
  });
});
