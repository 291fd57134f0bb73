/** The ring against an array: order, wrap-around, fullness, visibility only after commit. */
import { describe, expect, it } from "vitest";
import { attach, create } from "../../src/tables/layout.ts";
import { R_ARG, R_KIND, R_LENGTH, RECORD_WORDS, Ring } from "../../src/tables/ring.ts";
import { xorshift } from "./xorshift.ts";

/** Producer's and consumer's ends: two objects over the same memory, as two threads have them. */
function ends(capacity: number): { producer: Ring; consumer: Ring } {
  const { buffer, columns } = create((carver) => new Ring(carver, capacity));
  return { producer: columns, consumer: attach(buffer, (carver) => new Ring(carver, capacity)) };
}

function put(ring: Ring, tag: number, length: number): boolean {
  const at = ring.reserve(length);
  if (at < 0) return false;
  ring.words[at + R_KIND] = 5;
  ring.words[at + R_ARG] = tag;
  const to = ring.frameAt(at);
  for (let i = 0; i < length; i++) ring.bytes[to + i] = tag + i;
  ring.commit();
  return true;
}

function take(ring: Ring): { tag: number; length: number } | null {
  const at = ring.peek();
  if (at < 0) return null;
  const [tag, length] = [ring.words[at + R_ARG]!, ring.words[at + R_LENGTH]!];
  const from = ring.frameAt(at);
  expect(ring.words[at + R_KIND]).toBe(5);
  expect(from).toBe((at + RECORD_WORDS) * 4);
  expect(from + length).toBeLessThanOrEqual(ring.bytes.length);
  for (let i = 0; i < length; i++)
    if (ring.bytes[from + i] !== ((tag + i) & 255)) throw new Error(`byte ${i} of ${tag}`);
  ring.release(at);
  return { tag, length };
}

describe("Ring", () => {
  it("is an array with a limit: random records, in order, whole, through many wraps", () => {
    for (const capacity of [512, 1024, 4096]) {
      const random = xorshift(capacity);
      const { producer, consumer } = ends(capacity);
      const twin: { tag: number; length: number }[] = [];
      let [refused, written] = [0, 0];
      for (let i = 0; i < 20_000; i++) {
        // Phases that mostly fill and phases that mostly drain, so both ends of the range are visited.
        const fill = (i >> 6) % 2 === 0;
        if (random() % 4 < (fill ? 3 : 1)) {
          const length = random() % (capacity / 2 - 64 + 1);
          if (put(producer, i, length)) {
            twin.push({ tag: i, length });
            written += length + 64;
          } else refused++;
        } else expect(take(consumer)).toEqual(twin.shift() ?? null);
      }
      for (const want of twin) expect(take(consumer)).toEqual(want);
      expect(take(consumer)).toBeNull();
      expect(refused).toBeGreaterThan(100);
      expect(written / capacity).toBeGreaterThan(1000);
    }
  });

  it("shows nothing before commit, and a reserve without commit leaves no trace", () => {
    const { producer, consumer } = ends(1024);
    const at = producer.reserve(100);
    expect(at).toBeGreaterThanOrEqual(0);
    expect(consumer.peek()).toBe(-1);
    expect(producer.reserve(10), "the same place again").toBe(at);
    producer.commit();
    expect(consumer.peek()).toBe(at);
    expect(consumer.words[at + R_LENGTH]).toBe(10);
  });

  it("an empty ring takes a record of half its size wherever its ends stand; a longer one never", () => {
    for (let step = 64; step <= 512; step += 64) {
      const { producer, consumer } = ends(1024);
      for (let i = 0; i < 40; i++) {
        expect(put(producer, i, step - 64), `step ${step}, turn ${i}`).toBe(true);
        expect(take(consumer)).toEqual({ tag: i, length: step - 64 });
        expect(put(producer, 99, 512 - 64), `half, step ${step}, turn ${i}`).toBe(true);
        expect(take(consumer)).toEqual({ tag: 99, length: 448 });
      }
      expect(producer.reserve(449)).toBe(-1);
    }
  });

  it("full refuses and loses nothing; one release makes room again", () => {
    const { producer, consumer } = ends(1024);
    let n = 0;
    while (put(producer, n, 64)) n++;
    expect(n).toBe(7); // eight would make the ends meet, which means empty
    expect(put(producer, 99, 0)).toBe(true); // the last line
    expect(put(producer, 99, 0)).toBe(false);
    expect(take(consumer)).toEqual({ tag: 0, length: 64 });
    expect(put(producer, 100, 0)).toBe(true);
    for (let i = 1; i < n; i++) expect(take(consumer)).toEqual({ tag: i, length: 64 });
    expect(take(consumer)?.tag).toBe(99);
    expect(take(consumer)?.tag).toBe(100);
    expect(take(consumer)).toBeNull();
  });
});
