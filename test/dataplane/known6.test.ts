/** Known destinations beside a slow twin: a Map that forgets nothing but what control renews. */
import { describe, expect, it } from "vitest";
import { KNOWN_MATCH, KNOWN_OWN, KNOWN_SPECIFIC, KnownDestinations6, NOT_ASKED } from "../../src/dataplane/known6.ts";
import { xorshift } from "../tables/xorshift.ts";

describe("known destinations", () => {
  it("say of an address what was noted of it in its VRF, or nothing", () => {
    const random = xorshift(6);
    const known = new KnownDestinations6();
    const twin = new Map<string, number>();
    let found = 0;
    let lost = 0;
    for (let n = 1; n < 20_000; n++) {
      if (n % 1000 === 0) {
        known.begin(n);
        twin.clear();
      }
      const few = [0, 1, -1, 0x20010db8, 1 << 31];
      const [a, b, c] = [few[random() % 5]!, few[random() % 5]!, few[random() % 5]!];
      const d = random() % 3 === 0 ? few[random() % 5]! : random() & 15;
      const vrf = random() & 1;
      const name = [a, b, c, d, vrf].join();
      const at = known.find(a, b, c, d, vrf);
      if (at >= 0) {
        found++;
        expect([known.words[at + KNOWN_OWN], known.words[at + KNOWN_MATCH]]).toEqual([
          twin.get(name),
          twin.get(name)! + 1,
        ]);
        continue;
      }
      if (twin.has(name)) lost++;
      known.take(~at, a, b, c, d, vrf, n);
      expect(known.find(a, b, c, d, vrf)).toBe(~at);
      expect([known.words[~at + KNOWN_MATCH], known.words[~at + KNOWN_SPECIFIC]]).toEqual([NOT_ASKED, NOT_ASKED]);
      known.words[~at + KNOWN_MATCH] = n + 1;
      twin.set(name, n);
    }
    // Two addresses may want one place: then the first is looked for again.
    expect(Math.min(found, lost)).toBeGreaterThan(100);
  });

  it("of one VRF are not those of another that wants the same place", () => {
    const known = new KnownDestinations6();
    known.begin(1);
    const at = ~known.find(1, 2, 3, 4, 0);
    const other = Array.from({ length: 5000 }, (_, vrf) => vrf + 1).find((vrf) => ~known.find(1, 2, 3, 4, vrf) === at)!;
    known.take(at, 1, 2, 3, 4, 0, 99);
    expect(known.find(1, 2, 3, 4, 0)).toBe(at);
    expect(known.find(1, 2, 3, 4, other)).toBe(~at);
  });

  it("are kept from batch to batch while the table's version is the same", () => {
    const known = new KnownDestinations6();
    known.begin(7);
    const at = ~known.find(1, 2, 3, 4, 0);
    known.take(at, 1, 2, 3, 4, 0, 99);
    known.begin(7);
    expect(known.find(1, 2, 3, 4, 0)).toBe(at);
    known.begin(8);
    expect(known.find(1, 2, 3, 4, 0)).toBe(~at);
    expect(known.find(0, 0, 0, 0, 0)).toBeLessThan(0);
  });
});
