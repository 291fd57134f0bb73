/**
 * A map for as many keys as a fabric has hosts, which never holds the thread for growing.
 *
 * V8's Map moves all that it has into a larger one when it is full, and into a smaller one when three quarters have gone: 3 ms of
 * a processor at 65,536 keys, 6 at 131,072. A host is in some ten maps, and they would all do so in the same moment. So what comes
 * behind the first FIRST keys is spread over PARTS maps by the key. The last part has twice the keys of the first, and each of the
 * others so much between that, while the whole grows to twice its size, they grow one after the other and not together.
 *
 * The first FIRST keys are in one map, and keep their order; what comes behind them has none. As with a Map, one may add and
 * delete while the values are walked; what is added then may be left out. Keys that were chosen to meet in one part make that one
 * as slow as a Map, no more.
 */
import type { Ip } from "./ip.ts";

const FIRST = 1024;
const PARTS = 64;
const WORD_BITS = 12;
/** The part of a key by the highest bits of its word. */
const PART_OF = Uint8Array.from({ length: 1 << WORD_BITS }, (_, n) =>
  Math.floor(PARTS * Math.log2(1 + n / (1 << WORD_BITS))),
);

/** No value is undefined, or null. */
export class LargeMap<K extends Ip | string, V> {
  private first = new Map<K, V>();
  /** What comes behind those of a full `first`; until there is any: none. */
  private parts: readonly Map<K, V>[] = [];
  private count = 0;

  get size(): number {
    return this.count;
  }

  get(key: K): V | undefined {
    return this.partOf(key)?.get(key) ?? this.first.get(key);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  set(key: K, value: V): void {
    const isFirst = this.first.has(key) || (this.parts.length === 0 && this.first.size < FIRST);
    if (!isFirst && this.parts.length === 0) this.parts = Array.from({ length: PARTS }, () => new Map<K, V>());
    const map = isFirst ? this.first : this.partOf(key)!;
    const before = map.size;
    map.set(key, value);
    this.count += map.size - before;
  }

  /** @returns false: it was not there. */
  delete(key: K): boolean {
    const isDeleted = (this.partOf(key)?.delete(key) ?? false) || this.first.delete(key);
    if (isDeleted && --this.count === 0) this.clear();
    return isDeleted;
  }

  clear(): void {
    this.first = new Map();
    this.parts = [];
    this.count = 0;
  }

  values(): IterableIterator<V> {
    return new Walk((n) => this.partAt(n)?.values());
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return new Walk((n) => this.partAt(n)?.entries());
  }

  private partAt(n: number): Map<K, V> | undefined {
    return n === 0 ? this.first : this.parts[n - 1];
  }

  private partOf(key: K): Map<K, V> | undefined {
    if (this.parts.length === 0) return undefined;
    return this.parts[PART_OF[spread(wordOf(key)) >>> (32 - WORD_BITS)]!];
  }
}

/** As ReadonlyMap is to Map. */
export type ReadonlyLargeMap<K extends Ip | string, V> = Omit<LargeMap<K, V>, "set" | "delete" | "clear">;

/** Part after part. A generator that hands on what an iterator yields takes 200 ns for each. */
class Walk<T> implements IterableIterator<T> {
  private readonly partAt: (n: number) => Iterator<T> | undefined;
  private part: Iterator<T> | undefined;
  private at = 0;

  constructor(partAt: (n: number) => Iterator<T> | undefined) {
    this.partAt = partAt;
    this.part = partAt(0);
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<T, undefined> {
    for (; this.part !== undefined; this.part = this.partAt(++this.at)) {
      const result = this.part.next();
      if (!result.done) return result;
    }
    return { done: true, value: undefined };
  }
}

/** 32 bits of the key, in which keys differ. */
function wordOf(key: Ip | string): number {
  if (typeof key === "number") return key ^ Math.floor(key / 0x100000000);
  if (typeof key === "bigint") return Number(BigInt.asUintN(32, key));
  let word = 0;
  for (let n = 0; n < key.length; n++) word = spread(word ^ key.charCodeAt(n));
  return word;
}

/** Two rounds of multiply and fold (tables/exact-match.ts): the highest bits of the last product depend on all. */
function spread(word: number): number {
  const mixed = Math.imul(word, 0x9e3779b1);
  return Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
}
