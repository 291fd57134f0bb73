import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { finishChecksum, fragmentIpv4 } from "../../src/control/icmp/fragment.ts";
import {
  REASSEMBLY_BYTES,
  REASSEMBLY_FRAGMENTS,
  REASSEMBLY_MS,
  REASSEMBLY_PACKETS,
  REASSEMBLY_PER_PORT,
  Reassembly,
} from "../../src/control/icmp/reassembly.ts";
import { Ledger } from "../../src/control/ledger.ts";
import { Timers } from "../../src/control/timers.ts";
import { setU16, u16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import {
  checkIpv4,
  FRAGMENT_MF,
  FRAGMENT_OFFSET,
  headerBytes,
  IP_FRAGMENT,
  IP_LENGTH,
  IPV4_OK,
  setHeaderChecksum,
  sum16,
} from "../../src/wire/ipv4.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { AgentBed, M1, M3 } from "./agent-bed.ts";

const bed = new AgentBed();

/** A UDP frame whose payload has `payload` bytes and whose header carries `options` (a multiple of four). */
function packet(payload: number, options: readonly number[] = []): Uint8Array {
  const plain = udpFrame({ dst: M1, src: M3, from: 0x0a010101, to: 0x0a01010c, payload, df: false });
  const frame = new Uint8Array(plain.length + options.length);
  frame.set(plain.subarray(0, ETH_BYTES + 20));
  frame.set(options, ETH_BYTES + 20);
  frame.set(plain.subarray(ETH_BYTES + 20), ETH_BYTES + 20 + options.length);
  frame[ETH_BYTES] = 0x45 + options.length / 4;
  setU16(frame, ETH_BYTES + IP_LENGTH, frame.length - ETH_BYTES);
  setHeaderChecksum(frame, ETH_BYTES);
  return frame;
}

const isValid = (frame: Uint8Array) =>
  checkIpv4(new DataView(frame.buffer, frame.byteOffset, frame.length), ETH_BYTES, frame.length) === IPV4_OK;
const payloadOf = (frame: Uint8Array) => frame.subarray(ETH_BYTES + headerBytes(frame, ETH_BYTES));
const word = (frame: Uint8Array) => u16(frame, ETH_BYTES + IP_FRAGMENT);

describe("fragmentIpv4", () => {
  it("joined again, the pieces are the packet; each fits and is valid", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4000 }),
        fc.integer({ min: 68, max: 1500 }),
        fc.constantFrom(
          [],
          [1, 1, 1, 0],
          [148, 4, 0, 0],
          [7, 7, 4, 0, 0, 0, 0, 0],
          [148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0],
        ),
        (payload, mtu, options) => {
          const whole = packet(payload, options);
          const pieces = fragmentIpv4(whole, mtu)!;
          const joined = new Uint8Array(payloadOf(whole).length).fill(0xa5);
          let offset = 0;
          pieces.forEach((piece, i) => {
            expect(isValid(piece)).toBe(true);
            expect(piece.length - ETH_BYTES).toBeLessThanOrEqual(mtu);
            expect((word(piece) & FRAGMENT_OFFSET) << 3).toBe(offset);
            expect((word(piece) & FRAGMENT_MF) !== 0).toBe(i < pieces.length - 1);
            joined.set(payloadOf(piece), offset);
            offset += payloadOf(piece).length;
          });
          expect(joined).toEqual(payloadOf(whole));
        },
      ),
    );
  });

  it("a fragment of a fragment keeps its offset, and More Fragments on its last piece", () => {
    const middle = packet(1000);
    setU16(middle, ETH_BYTES + IP_FRAGMENT, FRAGMENT_MF | 100);
    setHeaderChecksum(middle, ETH_BYTES);
    const pieces = fragmentIpv4(middle, 420)!;
    expect(pieces.map((each) => word(each) & FRAGMENT_OFFSET)).toEqual([100, 150, 200]);
    expect(pieces.every((each) => (word(each) & FRAGMENT_MF) !== 0)).toBe(true);
  });

  it("RFC 791: only options with the copied flag are in later fragments", () => {
    const pieces = fragmentIpv4(packet(1000, [7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0]), 300)!;
    expect(headerBytes(pieces[0]!, ETH_BYTES)).toBe(32);
    expect([...pieces[1]!.subarray(ETH_BYTES + 20, ETH_BYTES + headerBytes(pieces[1]!, ETH_BYTES))]).toEqual([
      148, 4, 0, 0,
    ]);
  });

  it("an MTU without room for eight bytes is refused", () => {
    expect(fragmentIpv4(packet(100), 27)).toBeNull();
  });
});

describe("finishChecksum", () => {
  it("sums from the start to the packet's end, never over padding", () => {
    const frame = new Uint8Array(200).fill(0xff);
    frame.set(packet(101));
    const l4 = ETH_BYTES + 20;
    setU16(frame, l4 + 6, 0x1234);
    expect(finishChecksum(frame, l4, l4 + 6)).toBe(true);
    const seen = u16(frame, l4 + 6);
    setU16(frame, l4 + 6, 0x1234);
    expect(seen).toBe(~sum16(frame, l4, 8 + 101, 0) & 0xffff);
  });

  it("refuses offsets outside the packet; a computed zero is sent as ones (RFC 768)", () => {
    const frame = packet(10);
    const l4 = ETH_BYTES + 20;
    for (const [start, field] of [
      [0, 6],
      [l4, l4 - 2],
      [l4, frame.length - 1],
      [l4, 5000],
    ] as const)
      expect(finishChecksum(frame.slice(), start, field)).toBe(false);
    const sum = sum16(frame, l4, 18, 0);
    setU16(frame, l4 + 6, 0xffff - sum);
    expect(finishChecksum(frame, l4, l4 + 6)).toBe(true);
    expect(u16(frame, l4 + 6)).toBe(0xffff);
  });
});

describe("Reassembly", () => {
  let timers: Timers;
  let ledger: Ledger;
  let lost: number[];
  let reassembly: Reassembly;
  beforeEach(() => {
    timers = new Timers(0);
    ledger = new Ledger(bed.tables.controlCounters);
    lost = [];
    reassembly = new Reassembly(ledger, timers, ({ units }) => lost.push(units));
  });
  const bytes = (length: number, first = 0) => Uint8Array.from({ length }, (_, i) => first + i);
  const add = (at: number, more: boolean, length: number, flow = "a", port = bed.vm1) =>
    reassembly.add(port, flow, at, more, bytes(length, at));

  it("joins fragments in any order; duplicates change nothing", () => {
    const order = fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 });
    fc.assert(
      fc.property(order, (parts) => {
        const whole = bytes(8 * 4 + 5);
        for (const [i, part] of parts.entries()) {
          const from = part * 8;
          const piece = whole.subarray(from, from + 8);
          const added = reassembly.add(bed.vm1, "x", from, part < 4, piece);
          if (i < 4) {
            expect(added.kind).toBe("held");
            expect(reassembly.add(bed.vm1, "x", from, part < 4, piece).kind).toBe("held");
          } else expect(added).toEqual({ kind: "complete", payload: whole, units: 8 });
        }
        expect([ledger.held, reassembly.size]).toEqual([0, 0]);
      }),
    );
  });

  it("an overlap makes the whole packet worthless", () => {
    add(0, true, 16);
    add(32, true, 16);
    expect(add(8, true, 16)).toEqual({ kind: "refused", units: 2 });
    expect([ledger.held, reassembly.size]).toEqual([0, 0]);
  });

  it("so do two ends, bytes behind the end, and an end before bytes that came", () => {
    add(16, false, 8);
    expect(add(32, false, 8).kind).toBe("refused");
    add(16, false, 8);
    expect(add(24, true, 8).kind).toBe("refused");
    add(32, true, 8);
    expect(add(8, false, 8).kind).toBe("refused");
  });

  it("a middle fragment of odd length, an empty one, or one beyond 8 KB is refused", () => {
    expect(add(0, true, 12).kind).toBe("refused");
    expect(add(8, false, 0).kind).toBe("refused");
    expect(add(REASSEMBLY_BYTES - 8, false, 16).kind).toBe("refused");
    expect(add(65528, false, 8).kind).toBe("refused");
  });

  it("bounded: fragments of a packet, packets of a port, packets in all", () => {
    for (let i = 0; i < REASSEMBLY_FRAGMENTS; i++) expect(add(i * 8, true, 8).kind).toBe("held");
    expect(add(REASSEMBLY_FRAGMENTS * 8, true, 8)).toEqual({ kind: "refused", units: REASSEMBLY_FRAGMENTS });
    for (let n = 0; n < REASSEMBLY_PER_PORT; n++) expect(add(0, true, 8, `f${n}`).kind).toBe("held");
    expect(add(0, true, 8, "one more").kind).toBe("refused");
    for (let p = 0; p < 20; p++) {
      const port = { ...bed.vm3, row: 100 + p };
      for (let n = 0; n < REASSEMBLY_PER_PORT; n++) add(0, true, 8, `f${n}`, port);
    }
    expect([reassembly.size, ledger.held]).toEqual([REASSEMBLY_PACKETS, REASSEMBLY_PACKETS]);
  });

  it("of a full store gives a port the oldest slot of the one with the most, and loses no fragment uncounted", () => {
    const greedy = Array.from({ length: 8 }, (_, p) => ({ ...bed.vm3, row: 100 + p }));
    for (const port of greedy) for (let n = 0; n < REASSEMBLY_PER_PORT; n++) add(0, true, 8, `f${n}`, port);
    expect(reassembly.size).toBe(REASSEMBLY_PACKETS);
    // A ninth gets what a fair share is, one after the other.
    const results = Array.from({ length: REASSEMBLY_PER_PORT }, (_, n) => add(0, true, 8, `f${n}`).kind);
    expect(results.filter((kind) => kind === "held")).toHaveLength(7);
    expect(lost).toEqual(Array(7).fill(1));
    expect([reassembly.size, ledger.held]).toEqual([REASSEMBLY_PACKETS, REASSEMBLY_PACKETS]);
    expect(add(8, false, 8, "f0").kind).toBe("complete");
    // The first to begin was the first to go.
    expect(add(8, false, 8, "f0", greedy[0]!).kind).toBe("held");
  });

  it("what does not come in time, or whose port goes, is given up", () => {
    add(0, true, 8);
    add(16, true, 8);
    add(0, true, 8, "b", bed.vm3);
    reassembly.flushPort(bed.vm3);
    expect(lost).toEqual([1]);
    timers.run(REASSEMBLY_MS + 1000);
    expect(lost).toEqual([1, 2]);
    expect(ledger.held).toBe(0);
  });

  it("is keyed by port and flow", () => {
    add(0, true, 8);
    expect(add(8, false, 8, "a", bed.vm3).kind).toBe("held");
    expect(add(8, false, 8, "b").kind).toBe("held");
    expect(add(8, false, 8).kind).toBe("complete");
  });
});
