/** Who gets which place of a next-hop group: shares, and above all what moves and what does not. */
import { describe, expect, test } from "vitest";
import { type GroupMember, PLACES, placesOf } from "../../src/control/routes/places.ts";

const member = (n: number, more: Partial<GroupMember> = {}): GroupMember => ({
  adjacency: n,
  name: `10.1.1.${n}`,
  weight: 1,
  priority: 1,
  ...more,
});
const members = (count: number, first = 2) => Array.from({ length: count }, (_, i) => member(first + i));
const all = () => true;
const without =
  (...dead: number[]) =>
  (adjacency: number) =>
    !dead.includes(adjacency);
const moved = (a: readonly number[], b: readonly number[]) => a.filter((each, i) => each !== b[i]).length;
const shareOf = (places: readonly number[], n: number) => places.filter((each) => each === n).length;

/** The slow twin of a whole set: each member in turn takes its share, one place at a time, the one it wishes most. */
function slowly(set: readonly GroupMember[]): number[] {
  const owners = new Array<number>(PLACES).fill(set[0]!.adjacency);
  const rank = (place: number, { name }: GroupMember): bigint => {
    // 64-bit arithmetic instead of the wrapping multiplications.
    const wrap = (value: bigint) => BigInt.asUintN(32, value);
    let h = 0x811c9dc5n;
    for (const letter of Buffer.from(name)) h = wrap((h ^ BigInt(letter)) * 0x01000193n);
    h = wrap((h ^ BigInt(place)) * 0x01000193n);
    h = wrap((h ^ (h >> 16n)) * 0x85ebca6bn);
    h = wrap((h ^ (h >> 13n)) * 0xc2b2ae35n);
    return h ^ (h >> 16n);
  };
  for (let n = 1; n < set.length; n++) {
    const taker = set[n]!;
    const now = set.slice(0, n + 1);
    const total = now.reduce((sum, each) => sum + each.weight, 0);
    const until = (k: number) =>
      Math.round((now.slice(0, k).reduce((sum, each) => sum + each.weight, 0) * PLACES) / total);
    const share = new Map(now.map((each, k) => [each.adjacency, until(k + 1) - until(k)]));
    while (shareOf(owners, taker.adjacency) < share.get(taker.adjacency)!) {
      const free = owners
        .map((owner, place) => ({ owner, place }))
        .filter(({ owner }) => owner !== taker.adjacency && shareOf(owners, owner) > share.get(owner)!);
      const best = free.reduce((a, b) => (rank(b.place, taker) > rank(a.place, taker) ? b : a));
      owners[best.place] = taker.adjacency;
    }
  }
  return owners;
}

describe("places", () => {
  test("are shared by weight, to a place, and as the slow twin says", () => {
    for (let count = 1; count <= 8; count++)
      for (const first of [2, 30, 101, 200]) {
        const set = members(count, first);
        const places = placesOf(set, all);
        expect(places).toHaveLength(PLACES);
        const shares = set.map(({ adjacency }) => shareOf(places, adjacency));
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
        expect(places).toEqual(slowly(set));
      }
    const weighted = [member(2, { weight: 2 }), member(3), member(4, { weight: 5 })];
    const places = placesOf(weighted, all);
    expect(weighted.map(({ adjacency }) => shareOf(places, adjacency))).toEqual([16, 8, 40]);
    expect(places).toEqual(slowly(weighted));
    // The least weight still has a place.
    const lopsided = [member(2), ...members(7, 3).map((each) => ({ ...each, weight: 16 }))];
    expect(shareOf(placesOf(lopsided, all), 2)).toBe(1);
  });

  test("of living members stay, whichever other one dies, in whatever order, and each finds its own again", () => {
    for (const set of [members(4), members(8, 100), [member(2, { weight: 3 }), ...members(3, 3)]]) {
      const full = placesOf(set, all);
      for (const { adjacency: a } of set)
        for (const { adjacency: b } of set) {
          const one = placesOf(set, without(a));
          const two = placesOf(set, without(a, b));
          for (const [place, owner] of full.entries()) if (owner !== a) expect(one[place]).toBe(owner);
          // Those who took over from the first stay as well.
          for (const [place, owner] of one.entries()) if (owner !== b) expect(two[place]).toBe(owner);
          expect(one).not.toContain(a);
          expect(two).not.toContain(b);
        }
    }
  });

  test("of a dead one go to all the living", () => {
    const heirs = placesOf(members(4), without(2)).filter((_, place) => placesOf(members(4), all)[place] === 2);
    expect(new Set(heirs).size).toBe(3);
  });

  test("move by a fifth, and no more, when a fifth member comes", () => {
    for (let first = 2; first < 200; first++) {
      const before = placesOf(members(4, first), all);
      const after = placesOf(members(5, first), all);
      expect(moved(before, after) / PLACES).toBeLessThanOrEqual(0.25);
      for (const [place, owner] of after.entries()) if (owner !== first + 4) expect(before[place]).toBe(owner);
    }
  });
});

describe("priorities", () => {
  const set = [member(2), member(3), member(4, { priority: 2 }), member(5, { priority: 3 })];

  test("the least one with a living member forms the set", () => {
    expect(new Set(placesOf(set, all))).toEqual(new Set([2, 3]));
    expect(new Set(placesOf(set, without(2)))).toEqual(new Set([3]));
    expect(new Set(placesOf(set, without(2, 3)))).toEqual(new Set([4]));
    expect(new Set(placesOf(set, without(2, 3, 4)))).toEqual(new Set([5]));
  });

  test("with all dead the first set stays, so that its packets make control ask", () => {
    expect(placesOf(set, () => false)).toEqual(placesOf(set, all));
  });
});

describe("a member whose track is down", () => {
  const tracked = [member(2, { track: "a" }), member(3, { track: "b" }), member(4, { priority: 2 })];
  const down =
    (...tracks: string[]) =>
    (track: string | null) =>
      track === null || !tracks.includes(track);

  test("is taken for dead: no place of another one moves", () => {
    expect(placesOf(tracked, all, down())).toEqual(placesOf(tracked, all));
    expect(placesOf(tracked, all, down("a"))).toEqual(placesOf(tracked, without(2)));
    expect(new Set(placesOf(tracked, all, down("a", "b")))).toEqual(new Set([4]));
  });

  test("is not kept where the others are dead, as those are", () => {
    expect(new Set(placesOf(tracked, without(3, 4), down("a")))).toEqual(new Set([3]));
    expect(new Set(placesOf(tracked, without(2, 3, 4), down()))).toEqual(new Set([2, 3]));
  });
});
