/** Routes into another VRF: what is refused, at its line, with what to do; and what becomes a plan. */
import { describe, expect, it } from "vitest";
import { routeForm } from "../../src/config/form.ts";
import { parseConfig } from "../../src/config/load.ts";
import { BASE, errorsOf, type Row, routes, testRows } from "./broken-files.ts";

const [AT, VIA] = [7, "routes[0].viaVrf"];
const ROWS: readonly Row[] = [
  ["its own VRF", routes("{prefix: 20.1.1.0/24, viaVrf: main}"), AT, VIA, "the route is in VRF main itself"],
  ["no such VRF", routes("{prefix: 20.1.1.0/24, viaVrf: blu}"), AT, VIA, "no VSI-interface belongs to VRF blu"],
  ["an action", routes("{prefix: 20.1.1.0/24, viaVrf: blue, action: discard}"), AT, VIA, "discard leads to no VRF"],
  [
    "a next hop that is not there",
    routes("{prefix: 0.0.0.0/0, viaVrf: blue, nextHop: 10.1.1.2}"),
    AT,
    "routes[0].nextHop",
    "10.1.1.2 lies in no connected subnet of VRF blue",
  ],
  [
    "a track without a next hop",
    routes("{prefix: 20.1.1.0/24, viaVrf: blue, track: t}], tracks: [{name: t, ac: a1}").replace(
      "], tracks: [{name: t, ac: a1}]",
      "]\ntracks: [{name: t, ac: a1}]",
    ),
    AT,
    "routes[0].track",
    "no next hop that depends on it",
  ],
  [
    "an IPv6 prefix that comes back",
    routes("{prefix: '2001:db8::/32', viaVrf: blue}, {prefix: '::/0', vrf: blue, viaVrf: main}"),
    AT,
    VIA,
    "VRF blue sends ::/0 on to VRF main, and here it comes back",
  ],
  [
    "a prefix that comes back",
    routes("{prefix: 30.0.0.0/8, viaVrf: blue}, {prefix: 0.0.0.0/0, vrf: blue, viaVrf: main}"),
    AT,
    VIA,
    "VRF blue sends 0.0.0.0/0 on to VRF main, and here it comes back",
  ],
];

describe("a route into another VRF", () => {
  testRows(ROWS);

  it("that goes on to a third VRF is refused, with the one to name", () => {
    const text = `${BASE.replace("}, {name: i2", "}, {name: i3, vsi: up, address: 30.1.1.1/24, vrf: red}, {name: i2")}routes: [{prefix: 30.1.0.0/16, viaVrf: blue}, {prefix: 30.0.0.0/8, vrf: blue, viaVrf: red}]\n`;
    expect(errorsOf(text).map(({ rule, fix }) => [rule, fix])).toEqual([["vrf-chain", "write viaVrf: red"]]);
  });

  it("of both directions is none that comes back, where each leads to subnets", () => {
    const both = "{prefix: 20.1.1.0/24, viaVrf: blue}, {prefix: 0.0.0.0/0, vrf: blue, viaVrf: main}";
    expect(errorsOf(routes(both))).toEqual([]);
    // A next hop ends it.
    const hop = "{prefix: 0.0.0.0/0, viaVrf: blue, nextHop: 20.1.1.2}, {prefix: 0.0.0.0/0, vrf: blue, viaVrf: main}";
    expect(errorsOf(routes(hop))).toEqual([]);
  });

  it("is kept as it was written", () => {
    const text = routes(
      "{prefix: 20.1.1.0/24, viaVrf: blue}, {prefix: 0.0.0.0/0, viaVrf: blue, nextHops: [20.1.1.2, 20.1.1.3]}",
    );
    const read = parseConfig(text, "gw1.yaml");
    if ("errors" in read) throw new Error("it is right");
    expect(read.config.routes.map(({ target }) => target)).toMatchObject([
      { kind: "vrf", vrf: "blue", nextHops: [] },
      { kind: "vrf", vrf: "blue", nextHops: [{ text: "20.1.1.2" }, { text: "20.1.1.3" }] },
    ]);
    expect(read.config.routes.map(routeForm)).toEqual([
      { prefix: "20.1.1.0/24", viaVrf: "blue", vrf: "main" },
      { prefix: "0.0.0.0/0", viaVrf: "blue", nextHops: ["20.1.1.2", "20.1.1.3"], vrf: "main" },
    ]);
  });
});
