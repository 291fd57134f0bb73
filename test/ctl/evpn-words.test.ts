/** `show evpn routes` in the words of H3C's manuals. */
import { describe, expect, it } from "vitest";
import { evpnRoutes } from "../../src/ctl/vendor-words.ts";

describe("EVPN routes in H3C's words", () => {
  const ROUTES = [
    "[2]:[0]:[48]:[02:00:00:00:01:11]",
    "[2]:[0]:[48]:[02:00:00:00:01:11]:[32]:[10.1.1.11]",
    "[2]:[0]:[48]:[02:00:00:00:01:11]:[128]:[2001:db8::11]",
    "[3]:[0]:[32]:[192.0.2.1]",
    "[5]:[0]:[24]:[10.2.0.0]",
  ];
  it.each([
    ["mac", [0]],
    ["arp", [1]],
    ["nd", [2]],
    ["imet", [3]],
    ["prefix", [4]],
    ["all", [0, 1, 2, 3, 4]],
  ] as const)("%s", (word, found) => {
    const { isMeant, words } = evpnRoutes([word]);
    expect(ROUTES.flatMap((route, n) => (isMeant(route) ? [n] : []))).toEqual(found);
    expect(words).toEqual([]);
  });
  it("leaves all other words to be looked for", () => {
    expect(evpnRoutes(["arp", "10.1.1.11"]).words).toEqual(["10.1.1.11"]);
    expect(evpnRoutes(["10.1.1.11"]).words).toEqual(["10.1.1.11"]);
  });
});
