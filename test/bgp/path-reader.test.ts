/** What the attributes of a path say, in both versions of the engine's API. */
import { describe, expect, it } from "vitest";
import { pathOf } from "../../src/bgp/codec.ts";
import type { Fields } from "../../src/bgp/dialect.ts";
import { gobgp3 } from "../../src/bgp/gobgp3.ts";
import { gobgp4 } from "../../src/bgp/gobgp4.ts";
import { PathReader } from "../../src/bgp/path-reader.ts";
import type { MacRoute } from "../../src/evpn/route.ts";

const route: MacRoute = {
  ...{ type: 2, rd: "192.0.2.2:10", tag: 0, nextHop: "192.0.2.2", targets: [], encap: 8 },
  ...{ mac: 0x020000000111, ip: null, labels: [10], segment: null, sequence: null },
  ...{ isSticky: false, isGateway: false, routerMac: null },
};

describe.each([gobgp3(), gobgp4()].map((dialect) => [dialect.name, dialect] as const))("%s", (_, dialect) => {
  it.each([
    [[], null],
    [[8], 8],
    [[10], 10],
    // RFC 8365 §5.1: a gateway announces all that it takes.
    [[8, 10], 8],
    [[10, 8], 8],
    [[9, 8, 10], 8],
  ])("of encapsulations %j VXLAN is taken where it is among them", (types, encap) => {
    const communities = types.map((tunnelType) => dialect.wrap("EncapExtended", { tunnelType }));
    const pattrs = [
      dialect.wrap("NextHopAttribute", { nextHop: route.nextHop }),
      dialect.wrap("ExtendedCommunitiesAttribute", { communities }),
    ];
    const path = dialect.type("Path");
    const bytes = path.encode(path.fromObject({ ...pathOf(route, dialect), pattrs })).finish();
    const heard = dialect.type("HeardPath").decode(bytes) as unknown as Fields;
    expect(new PathReader(dialect).routeOf(heard)).toMatchObject({ mac: route.mac, encap });
  });
});
