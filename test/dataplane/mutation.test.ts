/**
 * Hostile bytes: seeds truncated at every length, and hundreds of thousands of mutations. Nothing throws, every frame has
 * one fate, what leaves is well formed, a canary always gets through; and two gateways whose stale memory differs give
 * identical answers, so none ever read what was not received.
 */
import { describe, expect, it } from "vitest";
import { F_FLAGS, FLAG_CSUM_BAD, FLAG_GSO_BAD, FLAG_NEEDS_CSUM, FLAG_TRUNCATED } from "../../src/io/port-io.ts";
import { DROPS, INJECT, PUNT, SCOPE_ACS } from "../../src/tables/counters.ts";
import { i32, u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, readMac } from "../../src/wire/ethernet.ts";
import { xorshift } from "../tables/xorshift.ts";
import { toHex } from "../wire/hex.ts";
import { crowdedRig, SEEDS, type Seed } from "./corpus.ts";
import { ethernet, headerIsRight, udpFrame, vxlan } from "./packets.ts";
import { G10, G20, ip, M1, P20, type Rig } from "./rig.ts";

const CANARY = { dst: G10, src: M1, from: ip("10.1.1.11"), to: ip("20.1.1.12"), sport: 4242 };
const CANARY_OUT = toHex(vxlan(20, udpFrame({ ...CANARY, dst: P20, src: G20, ttl: 63 })));

/** A gateway whose unreceived bytes are `stale`. */
function gateway(stale: number, arenaBytes = 1 << 20): Rig {
  const rig = crowdedRig(arenaBytes);
  rig.net.stale = stale;
  rig.plane.worker.pool.poison = stale === 0xa5;
  rig.io.arena.fill(stale);
  return rig;
}

function offer(rig: Rig, seed: Seed): void {
  if (seed.tap === 0) rig.arrive(seed.last, seed.bytes, seed.tos);
  else rig.net.tapOf(100 + seed.tap)!.send(seed.bytes);
}

/** One number from everything that came out since the last call: frames, datagrams with their outer fields, punt records. */
function digest(rig: Rig): number {
  let h = 0x811c9dc5;
  const word = (value: number): void => {
    h = Math.imul(h ^ value, 0x01000193);
  };
  const bytes = (b: Uint8Array): void => {
    word(b.length);
    for (let i = 0; i < b.length; i++) h = Math.imul(h ^ b[i]!, 0x01000193);
  };
  rig.heard.forEach((frames, io) => {
    word(io);
    for (const frame of frames) bytes(frame);
  });
  for (const d of rig.wire) {
    word(d.to.length ^ d.to.charCodeAt(d.to.length - 1));
    word(d.tos);
    word(d.entropy);
    bytes(d.bytes);
  }
  for (const p of rig.punts()) {
    for (const field of [p.kind, p.port, p.vsi, p.arg, p.arg2, p.units, p.flags, p.outerSource, p.outerTos])
      word(field);
    bytes(p.bytes);
  }
  return h;
}

function forget(rig: Rig): void {
  rig.wire.length = 0;
  for (const frames of rig.heard) if (frames !== undefined) frames.length = 0;
}

/** What leaves must be well formed, whatever came in. `routedOnly`: input came by tunnels alone, so only routed frames may leave by one. */
function inspect(rig: Rig, routedOnly: boolean): void {
  for (const { bytes } of rig.wire) {
    const vni = u16(bytes, 5);
    if (i32(bytes, 0) !== 0x08000000 || bytes[4] !== 0 || bytes[7] !== 0 || ![10, 20, 30].includes(vni))
      throw new Error(`VXLAN header ${toHex(bytes, 0, 8)}`);
    const inner = bytes.slice(8);
    if (inner.length < 14 || inner.length > 1464) throw new Error(`inner frame of ${inner.length} bytes`);
    const routed = check(inner);
    if (routedOnly && !routed) throw new Error(`bridged from tunnel to tunnel: ${toHex(bytes)}`);
  }
  for (const frames of rig.heard) for (const frame of frames ?? []) check(frame);
}

/** Is it a frame we routed? Then it must be a whole packet with a right header checksum and some TTL left. */
function check(frame: Uint8Array): boolean {
  if (frame.length < 14) throw new Error(`a runt left: ${toHex(frame)}`);
  const source = readMac(frame, 6);
  if ((source !== G10 && source !== G20) || u16(frame, 12) !== 0x0800) return false;
  if (u16(frame, 16) + 14 !== frame.length || frame[22] === 0 || !headerIsRight(frame))
    throw new Error(`badly routed: ${toHex(frame)}`);
  return true;
}

/** `seed` with one to four things done to it. */
function mutate(seed: Seed, random: () => number): Seed {
  let bytes = seed.bytes.slice();
  const interesting = [0, 1, 0x7f, 0x80, 0xff, 0x45, 0x4f, 0x81, 0x08, 0x06, 0x40, 0x12];
  for (let n = 1 + (random() & 3); n > 0; n--) {
    const at = bytes.length === 0 ? 0 : random() % bytes.length;
    switch (random() % 8) {
      case 0:
      case 1:
        bytes[at]! ^= 1 << (random() & 7);
        break;
      case 2:
        bytes[at] = interesting[random() % interesting.length]!;
        break;
      case 3:
        bytes = bytes.slice(0, at);
        break;
      case 4: {
        const longer = new Uint8Array(bytes.length + (random() % 64)).fill(random());
        longer.set(bytes);
        bytes = longer;
        break;
      }
      case 5: {
        // The head of this one, the tail of another.
        const other = SEEDS[random() % SEEDS.length]!.bytes;
        const spliced = new Uint8Array(at + Math.max(0, other.length - at));
        spliced.set(bytes.slice(0, at));
        spliced.set(other.slice(at), at);
        bytes = spliced;
        break;
      }
      case 6: // a lie in one of the first 64 bytes, where the headers are
        if (bytes.length > 0) bytes[random() % Math.min(64, bytes.length)] = random();
        break;
      default: // nothing: valid frames keep the tables busy
    }
  }
  return { ...seed, tos: random() & 255, last: random() % 50 === 0 ? 99 : seed.last, bytes };
}

describe("hostile bytes", () => {
  it("each seed truncated at every length, to its end behind other frames and with stale bytes of two kinds", () => {
    const twins = [gateway(0xa5), gateway(0x5a)] as const;
    let frames = 0;
    for (const seed of SEEDS) {
      const lengths = Math.min(seed.bytes.length, 160);
      for (const rig of twins) {
        rig.net.nowMs += 50;
        for (let n = 0; n <= lengths; n++) offer(rig, { ...seed, bytes: seed.bytes.slice(0, n) });
        rig.run();
        inspect(rig, seed.tap === 0);
        expect(rig.imbalance).toBe(0);
      }
      frames += lengths;
      expect(digest(twins[0])).toBe(digest(twins[1]));
      for (const rig of twins) forget(rig);
    }
    expect(frames).toBeGreaterThan(15_000);
    expect(twins[0].drops).toEqual(twins[1].drops);
  });

  it("200,000 frames, mutated: no throw, one fate each, a canary in each batch, and no answer depends on stale memory", () => {
    const seed = Number(process.env.VTEPD_SEED ?? 20_240_117);
    const random = xorshift(seed);
    const twins = [gateway(0xa5), gateway(0x5a)] as const;
    const flags = [FLAG_TRUNCATED, FLAG_GSO_BAD, FLAG_CSUM_BAD, FLAG_NEEDS_CSUM];
    let canaries = 0;
    // Each batch goes through both gateways. A longer hunt: VTEPD_BATCHES=100000 VTEPD_SEED=...
    const [BATCHES, PER_BATCH] = [Number(process.env.VTEPD_BATCHES ?? 500), 200];
    for (let batch = 0; batch < BATCHES; batch++) {
      const fromTunnels = batch % 2 === 0;
      const input: Seed[] = [];
      while (input.length < PER_BATCH) {
        const chosen = SEEDS[random() % SEEDS.length]!;
        if ((chosen.tap === 0) === fromTunnels) input.push(mutate(chosen, random));
      }
      const flag = batch % 10 === 3 ? flags[random() & 3]! : 0;
      for (const rig of twins) {
        rig.net.nowMs += 5;
        if (!fromTunnels) {
          rig.vm1.send(udpFrame(CANARY));
          rig.inject(INJECT.flood, 0, 1, SCOPE_ACS, 0, ethernet(BROADCAST, G10, 0x0806, 46));
          rig.inject(INJECT.port, 11, 1, 0, 0, ethernet(M1, G10, 0x0806, 46));
        }
        for (const one of input) offer(rig, one);
        let i = 0;
        rig.describe = (frames, d) => {
          if (flag !== 0 && ++i % 17 === 0) frames[d + F_FLAGS] = flag;
        };
        try {
          rig.run();
          inspect(rig, fromTunnels);
        } catch (error) {
          throw new Error(`VTEPD_SEED=${seed}, batch ${batch}`, { cause: error });
        }
        if (rig.imbalance !== 0) throw new Error(`imbalance ${rig.imbalance}; VTEPD_SEED=${seed}, batch ${batch}`);
      }
      canaries += twins[0].wire.filter((d) => toHex(d.bytes) === CANARY_OUT).length;
      if (digest(twins[0]) !== digest(twins[1]))
        throw new Error(`stale bytes decide; VTEPD_SEED=${seed}, batch ${batch}`);
      for (const rig of twins) forget(rig);
    }
    const [a, b] = [twins[0].tables.counters[0]!, twins[1].tables.counters[0]!];
    expect(a.received[0]).toBe(BATCHES * PER_BATCH + BATCHES / 2);
    expect(canaries).toBe(BATCHES / 2);
    expect([...a.drops, ...a.punted, ...a.misc.slice(0, 1)]).toEqual([...b.drops, ...b.punted, ...b.misc.slice(0, 1)]);
    expect([...a.ports, ...a.vsis, ...a.rules]).toEqual([...b.ports, ...b.vsis, ...b.rules]);
    // The mutations got deep: every class was punted, and almost every reason of the data plane was met.
    expect(Object.values(PUNT).every((kind) => a.punted[kind]! > 0)).toBe(true);
    const met = DROPS.filter((_, i) => a.drops[i + 1]! > 0).map(([name]) => name);
    expect(met.length, met.join()).toBeGreaterThanOrEqual(25);
  }, 600_000);

  it("a frame meets the same fate in a batch as alone: nothing a worker remembers within a batch changes an answer", () => {
    const random = xorshift(Number(process.env.VTEPD_SEED ?? 7));
    const together = gateway(0xa5);
    const alone = gateway(0x5a, 1 << 16);
    const taps = [1, 2, 5, 6, 8, 0, 0];
    for (let batch = 0; batch < 800; batch++) {
      // One source at a time, so that the order is the same; often the same frame again, or one that differs a little.
      const from = SEEDS.filter((seed) => seed.tap === taps[batch % taps.length]);
      const input: Seed[] = [];
      while (input.length < 24) {
        const last = input.at(-1);
        const chosen = last !== undefined && random() % 3 === 0 ? last : from[random() % from.length]!;
        input.push(random() % 3 === 0 ? mutate(chosen, random) : chosen);
      }
      for (const rig of [together, alone]) rig.net.nowMs += 5;
      for (const one of input) offer(together, one);
      together.run();
      for (const one of input) {
        offer(alone, one);
        alone.run();
      }
      if (digest(together) !== digest(alone))
        throw new Error(`batch ${batch}: ${input.map((s) => toHex(s.bytes)).join(" ")}`);
      for (const rig of [together, alone]) forget(rig);
    }
    const [a, b] = [together.tables.counters[0]!, alone.tables.counters[0]!];
    expect([...a.drops, ...a.punted]).toEqual([...b.drops, ...b.punted]);
    expect([...a.ports, ...a.vsis, ...a.rules]).toEqual([...b.ports, ...b.vsis, ...b.rules]);
    const hitRows = (rig: Rig): number[] =>
      [...rig.tables.macs.hits.keys()].filter((row) => rig.tables.macs.hits[row] !== 0);
    expect(hitRows(together)).toEqual(hitRows(alone));
    expect([...together.tables.fib.adjacencyHit]).toEqual([...alone.tables.fib.adjacencyHit]);
    expect(together.imbalance).toBe(0);
  }, 60_000);
});
