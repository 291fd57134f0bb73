/** The search for a path MTU against paths of every width, with helpful, silent and lying routers. */
import { describe, expect, it } from "vitest";
import { MtuSearch } from "../../src/liveness/mtu-search.ts";

type Router = "helpful" | "silent" | "liar";

/** Search a path that carries `width`; what the routers say is a hint. */
function search(width: number, router: Router, floor = 626, ceiling = 1500, first = 0) {
  const search = new MtuSearch(floor, ceiling, first);
  let tries = 0;
  for (let length = search.next(); length !== null; length = search.next()) {
    if (++tries > 40) throw new Error(`no end: ${length}`);
    expect(length).toBeGreaterThanOrEqual(floor);
    expect(length).toBeLessThanOrEqual(ceiling);
    if (length <= width) search.passed(length);
    else search.failed(length, router === "helpful" ? width : router === "liar" ? 700 : 0);
  }
  return { found: search.found, isProven: search.isProven, tries };
}

describe("the search for a path MTU", () => {
  it("is over at once where the longest passes", () => {
    expect(search(1500, "silent")).toEqual({ found: 1500, isProven: true, tries: 1 });
    expect(search(9000, "silent")).toEqual({ found: 1500, isProven: true, tries: 1 });
  });

  it("takes a router at its word once that passes", () => {
    expect(search(1400, "helpful")).toEqual({ found: 1400, isProven: true, tries: 2 });
  });

  it("finds every width without any help, in eleven tries", () => {
    for (let width = 626; width <= 1500; width++) {
      const { found, isProven, tries } = search(width, "silent");
      expect([width, found, isProven]).toEqual([width, width, true]);
      expect(tries).toBeLessThanOrEqual(12);
    }
  });

  it("believes no hint below the floor, and none that is longer than what did not pass", () => {
    expect(search(500, "helpful")).toMatchObject({ found: 626, isProven: false });
    const odd = new MtuSearch(626, 1500);
    odd.failed(1500, 1600);
    expect(odd.next()).toBe(626 + Math.ceil((1499 - 626) / 2));
  });

  it("never takes more than a liar's hint says it may, and never less than passes", () => {
    expect(search(1400, "liar").found).toBe(700);
  });

  it("begins with a hint, and goes on above it", () => {
    expect(search(1400, "silent", 626, 1500, 1400)).toMatchObject({ found: 1400, isProven: true });
    expect(search(1500, "silent", 626, 1500, 1400)).toMatchObject({ found: 1500, isProven: true });
  });

  it("tries the floor before it says that nothing passes", () => {
    const result = search(100, "silent");
    expect(result).toMatchObject({ found: 626, isProven: false });
    expect(search(1000, "silent", 1280, 1280)).toMatchObject({ found: 1280, isProven: false, tries: 1 });
  });
});
