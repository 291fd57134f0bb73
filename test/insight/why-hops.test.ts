/** What `why` tells of the ways to an address: next hops that are dead, tracks that are down, a gateway that drains. */
import { expect, it } from "vitest";
import type { Route } from "../../src/api/schema.ts";
import type { Track } from "../../src/api/schema-tracks.ts";
import { type HopParts, type HopScope, hopSentences } from "../../src/insight/why-hops.ts";

const track: Track = {
  ...{ name: "isp", kind: "overlay", target: "203.0.113.1 via 50.1.1.1 on outside", state: "down", blind: null },
  ...{ seconds: 7, rttMs: null, answered: 3, missed: 9, uses: [], useCount: 0 },
};
const hop = (ip: string, more: object = {}) => ({ ip, interface: "if10", alive: true, bypassedBy: null, ...more });
const route = (...nextHops: object[]) =>
  ({ vrf: "main", prefix: "0.0.0.0/0", origin: "static", action: "forward", nextHops }) as unknown as Route;
const parts = (more: Partial<HopParts>): HopParts => ({
  dead: () => [],
  tracks: () => [],
  routesTo: () => [],
  withdrawn: () => [],
  draining: () => null,
  isOwn: () => false,
  ...more,
});
const dead = (ip: string, tunnel: string | null = null, on = "if10") => ({
  ...{
    ip,
    tunnel,
    interface: on,
    of: ["route 0.0.0.0/0"],
    useCount: 1,
    alive: false,
    found: true,
    cause: null,
    seconds: 12,
  },
});
const scope = (...interfaces: string[]): HopScope => ({ interfaces: new Set(interfaces), vrfs: new Set(["main"]) });
const all = scope("if10", "if20");

it("of the route to an address: which of its next hops is dead, of two with one address too", () => {
  const routes = [route(hop("10.1.1.2", { tunnel: "b1" }), hop("10.1.1.2", { tunnel: "b2" }))];
  const said = hopSentences(parts({ dead: () => [dead("10.1.1.2", "b1")], routesTo: () => routes }), "60.1.1.9", all);
  expect(said).toEqual([
    "Of the next hops of 0.0.0.0/0 in VRF main, 10.1.1.2 behind tunnel b1 is dead: it has answered no ARP on if10 for 12 s.",
  ]);
});

it("of one that went with its tunnel: not that it is silent", () => {
  const hops = parts({ dead: () => [{ ...dead("10.1.1.2"), cause: "the gateway behind tunnel b1 leaves" }] });
  expect(hopSentences(hops, "10.1.1.2", all)).toEqual([
    "10.1.1.2 is dead: the gateway behind tunnel b1 leaves; for 12 s; it is a next hop of route 0.0.0.0/0.",
  ]);
});

it("of a next hop itself: what it is one of", () => {
  const said = hopSentences(parts({ dead: () => [dead("10.1.1.2")] }), "10.1.1.2", all);
  expect(said).toEqual([
    "10.1.1.2 is dead: it has answered no ARP on if10 for 12 s; it is a next hop of route 0.0.0.0/0.",
  ]);
});

it("of a next hop of the link, which a route names with its VSI-interface", () => {
  const routes = [route(hop("fe80::2%if10"), hop("fe80::2%if20", { interface: "if20" }))];
  const hops = parts({ dead: () => [dead("fe80::2")], routesTo: () => routes });
  expect(hopSentences(hops, "2001:db8:60::9", all)).toEqual([
    "Of the next hops of 0.0.0.0/0 in VRF main, fe80::2 is dead: it has answered no neighbour solicitation on if10 for 12 s.",
  ]);
});

it("of an address that several VSI-interfaces have: those alone that are asked about", () => {
  const hops = parts({ dead: () => [dead("fe80::2"), dead("fe80::2", null, "if20")] });
  const said = (asked: HopScope) => hopSentences(hops, "fe80::2", asked).map((text) => text.match(/ on (\w+) /)![1]);
  expect(said(scope("if10"))).toEqual(["if10"]);
  expect(said(all)).toEqual(["if10", "if20"]);
});

it("of an address of the link no route: none leads there", () => {
  const asked: string[] = [];
  const routesTo = (ip: string) => {
    asked.push(ip);
    return [];
  };
  hopSentences(parts({ routesTo }), "fe80::2", all);
  hopSentences(parts({ routesTo }), "2001:db8::2", all);
  expect(asked).toEqual(["2001:db8::2"]);
});

it("of the uses of a next hop some, and how many there are", () => {
  const of = ["route 1.0.0.0/8", "route 2.0.0.0/8"];
  const hops = parts({ dead: () => [{ ...dead("10.1.1.2"), of, useCount: 1_000_000 }] });
  expect(hopSentences(hops, "10.1.1.2", all)[0]).toMatch(
    /; it is a next hop of route 1\.0\.0\.0\/8; route 2\.0\.0\.0\/8; 999998 more\.$/,
  );
});

it("of a track that is down, or blind; up it says nothing", () => {
  const routes = [route(hop("50.1.1.1", { track: "isp" }), hop("50.1.1.2", { track: "isp" }), hop("10.1.1.3"))];
  const told = (state: Track) =>
    hopSentences(parts({ tracks: () => [state], routesTo: () => routes }), "60.1.1.9", all);
  expect(told(track)).toEqual([
    "Of the next hops of 0.0.0.0/0 in VRF main, 50.1.1.1 is out of use: its track isp, 203.0.113.1 via 50.1.1.1 on outside, is down for 7 s.",
  ]);
  expect(told({ ...track, blind: "no socket" })[0]).toContain("down for 7 s (it cannot be asked: no socket)");
  expect(told({ ...track, state: "up" })).toEqual([]);
});

it("of our own addresses, that we drain", () => {
  const said = (isOwn: boolean) =>
    hopSentences(parts({ draining: () => "draining: track isp is down", isOwn: () => isOwn }), "10.1.1.2", all);
  expect(said(true)[0]).toContain("This gateway is draining: track isp is down; peers are asked to leave it");
  expect(said(false)).toEqual([]);
});

it("of a route that its tracks have withdrawn, where it would be the longest match", () => {
  const prefix = (text: string, network: number, length: number) => ({ text, network, length });
  const withdrawn = () => [
    { vrf: "main", prefix: prefix("60.0.0.0/8", 0x3c000000, 8), tracks: ["isp"] },
    { vrf: "main", prefix: prefix("60.1.0.0/16", 0x3c010000, 16), tracks: ["isp", "cable"] },
    { vrf: "red", prefix: prefix("60.1.1.0/24", 0x3c010100, 24), tracks: ["isp"] },
    { vrf: "main", prefix: prefix("61.0.0.0/8", 0x3d000000, 8), tracks: ["isp"] },
  ];
  const said = (ip: string, inTable: string) =>
    hopSentences(
      parts({
        withdrawn,
        tracks: () => [track, { ...track, name: "cable", target: "AC ext" }],
        routesTo: () => [{ ...route(), prefix: inTable }],
      }),
      ip,
      all,
    );
  const far = "203.0.113.1 via 50.1.1.1 on outside";
  expect(said("60.1.1.9", "0.0.0.0/0")).toEqual([
    `Route 60.1.0.0/16 in VRF main leads there too, but is withdrawn: its tracks isp (${far}), cable (AC ext) are down.`,
  ]);
  expect(said("60.2.1.9", "0.0.0.0/0")).toEqual([
    `Route 60.0.0.0/8 in VRF main leads there too, but is withdrawn: its track isp (${far}) is down.`,
  ]);
  expect(said("60.2.1.9", "60.2.0.0/16")).toEqual([]);
  expect(said("2001:db8::9", "::/0")).toEqual([]);
});
