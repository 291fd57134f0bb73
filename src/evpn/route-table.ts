/**
 * Routes by what they are about (`keyOf`), without a text for each: a hundred thousand keys would take more memory than their routes.
 *
 * A map from a hash to the first route that has it; the few that share one are chained. The seed is chosen once for each process,
 * so a peer cannot choose routes that meet in one chain. The order is that of the map (control/large-map.ts), and one may add and
 * delete while it is walked.
 */
import { LargeMap } from "../control/large-map.ts";
import { hiOf, loOf } from "../wire/ethernet.ts";
import { wordsOf } from "../wire/ipv6.ts";
import { type EvpnRoute, ipOf, keyOf } from "./route.ts";

/** What is kept in the table: of one thing there is one route. */
export interface Kept {
  route: EvpnRoute;
  /** The next one with the same hash. */
  next: this | null;
}

/** Hashes stay small integers, which a map holds without a box. */
const HASH_BITS = 0x3fffffff;

export class RouteTable<K extends Kept> {
  private readonly heads = new LargeMap<number, K>();
  private readonly seed: number;
  private readonly hash: (route: EvpnRoute, seed: number) => number;
  size = 0;

  /** @param seed a random int32. */
  constructor(seed: number, hash = hashOf) {
    this.seed = seed;
    this.hash = hash;
  }

  find(route: EvpnRoute): K | undefined {
    let kept = this.heads.get(this.hash(route, this.seed)) ?? null;
    while (kept !== null && !isSameKey(kept.route, route)) kept = kept.next;
    return kept ?? undefined;
  }

  /** One whose key is not in it. */
  add(kept: K): void {
    const hash = this.hash(kept.route, this.seed);
    kept.next = this.heads.get(hash) ?? null;
    this.heads.set(hash, kept);
    this.size++;
  }

  /** One that is in it. */
  delete(kept: K): void {
    const hash = this.hash(kept.route, this.seed);
    const head = this.heads.get(hash)!;
    this.size--;
    if (head === kept) {
      if (kept.next === null) this.heads.delete(hash);
      else this.heads.set(hash, kept.next);
      return;
    }
    let before = head;
    while (before.next !== kept) before = before.next!;
    before.next = kept.next;
  }

  *values(): Generator<K> {
    for (const head of this.heads.values()) for (let kept: K | null = head; kept !== null; kept = kept.next) yield kept;
  }
}

function isSameKey(a: EvpnRoute, b: EvpnRoute): boolean {
  if (a.type !== b.type || a.rd !== b.rd) return false;
  if (a.type !== 2 || b.type !== 2) return keyOf(a) === keyOf(b);
  return a.mac === b.mac && a.tag === b.tag && ipOf(a) === ipOf(b);
}

/** Each word and each character goes through a round that begins with what the seed made of those before: peers choose them all. */
function hashOf(route: EvpnRoute, seed: number): number {
  if (route.type !== 2) return textHash(keyOf(route), seed) & HASH_BITS;
  let hash = mix(textHash(route.rd, seed), route.tag);
  hash = mix(hash, loOf(route.mac));
  hash = mix(hash, hiOf(route.mac));
  const ip = ipOf(route);
  if (typeof ip === "number") hash = mix(hash, ip ^ 1);
  else if (ip !== null) for (const word of wordsOf(ip)) hash = mix(hash, word);
  return hash & HASH_BITS;
}

function textHash(text: string, seed: number): number {
  let hash = seed;
  for (let n = 0; n < text.length; n++) hash = mix(hash, text.charCodeAt(n));
  return hash;
}

/** A round of multiply and fold (tables/exact-match.ts). */
function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b) ^ (mixed >>> 13);
}
