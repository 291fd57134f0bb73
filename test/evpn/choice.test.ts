/** Choosing among claims, beside a naive twin that sorts; and the shapes of routes: keys, targets, texts. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { bestOf, compareVteps } from "../../src/evpn/choice.ts";
import { concerns, Importer, type Instance, refusalOf } from "../../src/evpn/import.ts";
import {
  autoDistinguisher,
  autoTarget,
  type EvpnRoute,
  isSameRoute,
  keyOf,
  type MacRoute,
  nlriText,
  type PrefixRoute,
  vniOfTarget,
} from "../../src/evpn/route.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";

const route = (change: Partial<MacRoute>): MacRoute => ({
  ...{ type: 2, rd: "192.0.2.2:10", tag: 0, nextHop: "192.0.2.2", targets: ["65000:10"], encap: 8 },
  ...{ mac: 0x020000000111, ip: null, labels: [10], segment: null, sequence: null },
  ...{ isSticky: false, isGateway: false, routerMac: null, ...change },
});

/** As RFC 7432 §15 is read aloud: keep the sticky ones, of these the highest sequence, of these the lowest address. */
function naive(routes: readonly MacRoute[]): MacRoute | null {
  const sticky = routes.filter((each) => each.isSticky);
  const some = sticky.length > 0 ? sticky : routes;
  const highest = some.filter((each) => some.every((other) => (other.sequence ?? 0) <= (each.sequence ?? 0)));
  const byAddress = (text: string) =>
    text
      .split(".")
      .map((part) => part.padStart(3, "0"))
      .join();
  return highest.reduce<MacRoute | null>(
    (low, each) => (low === null || byAddress(each.nextHop) < byAddress(low.nextHop) ? each : low),
    null,
  );
}

it("chooses as the naive twin does, whatever the order", () => {
  const claim = fc.record({
    isSticky: fc.boolean(),
    sequence: fc.option(fc.constantFrom(0, 1, 2, 0xffffffff)),
    nextHop: fc.constantFrom("192.0.2.1", "192.0.2.2", "192.0.2.10", "10.0.0.9", "223.255.255.254"),
  });
  fc.assert(
    fc.property(fc.array(claim, { maxLength: 6 }), (claims) => {
      const routes = claims.map((each, n) => route({ ...each, rd: `${each.nextHop}:${n}` }));
      expect(bestOf(routes)?.nextHop).toBe(naive(routes)?.nextHop);
      expect(bestOf([...routes].reverse())?.nextHop).toBe(naive(routes)?.nextHop);
    }),
    { numRuns: 500 },
  );
});

it("orders VTEPs as numbers, not as text", () => {
  const sorted = ["192.0.2.10", "2001:db8::1", "192.0.2.9", "9.255.255.255"].sort(compareVteps);
  expect(sorted).toEqual(["9.255.255.255", "192.0.2.9", "192.0.2.10", "2001:db8::1"]);
});

it("names a route by its distinguisher and what it is about, and compares what it says without regard to order", () => {
  const one = route({ ip: "10.1.1.11", targets: ["65000:10", "65000:4001"] });
  expect(nlriText(one)).toBe("[2]:[0]:[48]:[02:00:00:00:01:11]:[32]:[10.1.1.11]");
  expect(nlriText(route({ ip: "2001:db8::11" }))).toBe("[2]:[0]:[48]:[02:00:00:00:01:11]:[128]:[2001:db8::11]");
  expect(keyOf(one)).not.toBe(keyOf({ ...one, rd: "192.0.2.3:10" }));
  expect(keyOf(one)).toBe(keyOf({ ...one, nextHop: "192.0.2.3", sequence: 4 }));
  expect(isSameRoute(one, { ...one, targets: ["65000:4001", "65000:10"] })).toBe(true);
  expect(isSameRoute(one, { ...one, sequence: 1 })).toBe(false);
});

it("makes distinguishers and targets as others do", () => {
  expect(autoDistinguisher("192.0.2.1", 10)).toBe("192.0.2.1:10");
  expect(autoDistinguisher("192.0.2.1", 0x1_0001)).toBe("192.0.2.1:1");
  expect(autoTarget(65000, 10, "vni")).toBe("65000:10");
  // FRR issue 10027: VNI 100013 in the form of RFC 8365.
  expect(autoTarget(65000, 100013, "rfc8365")).toBe("65000:268535469");
  expect(autoTarget(4200000000, 10, "vni")).toBe(`${4200000000 & 0xffff}:10`);
  expect(["65000:10", "1:268535469", "192.0.2.1:10", "65000:0", "65000:16777216"].map(vniOfTarget)).toEqual([
    ...[10, 100013, null, null, null],
  ]);
});

const VSI: Instance = {
  ...{ vsi: "a", vrf: null, subnets: "", vni: 10, rd: "1:1", importsAuto: false, imports: [], exports: [], irb: null },
};
const VRF: Instance = { ...VSI, vsi: "l3", vni: 4001, vrf: { name: "red", routerMac: 0x02000000aaaa, ecmp: 8 } };

it("imports our VNI with any AS, and what is named, into each VSI that wants it", () => {
  const auto = { ...VSI, importsAuto: true };
  const named = { ...VSI, vsi: "b", vni: 20, rd: "1:2", imports: ["65000:10", "7:7"] };
  const importer = new Importer([auto, named]);
  const vsis = (...targets: string[]) => [...importer.instancesOf(targets)].map(({ vsi }) => vsi).sort();
  expect(vsis("65000:10")).toEqual(["a", "b"]);
  expect(vsis("65009:10")).toEqual(["a"]);
  expect(vsis("65009:268435466")).toEqual(["a"]);
  expect(vsis("7:7")).toEqual(["b"]);
  expect(vsis("65000:20", "192.0.2.9:10")).toEqual([]);
});

it.each([
  ["next_hop", { nextHop: "0.0.0.0" }],
  ["next_hop", { nextHop: "127.0.0.1" }],
  ["next_hop", { nextHop: "224.0.0.5" }],
  ["encapsulation", { encap: 10 }],
  ["label", { labels: [] }],
  ["label", { labels: [0] }],
  ["vni_mismatch", { labels: [11] }],
  ["group_mac", { mac: 0x01005e000001 }],
  ["group_mac", { mac: 0 }],
  [null, { encap: null }],
  [null, { ip: "2001:db8::11" }],
] as const)("finds %s in a route with %o", (reason, change) => {
  expect(refusalOf(route(change), VSI)).toBe(reason);
});

const PREFIX: PrefixRoute = {
  ...{ type: 5, rd: "192.0.2.2:4001", tag: 0, nextHop: "192.0.2.2", targets: ["65000:4001"], encap: 8 },
  ...{
    network: parseIpv4("10.9.0.0")!,
    length: 16,
    label: 4001,
    gateway: null,
    segment: null,
    routerMac: 0x02000000bbbb,
  },
};

it.each([
  [null, {}],
  [null, { network: 0, length: 0 }],
  ["next_hop", { nextHop: "0.0.0.0" }],
  ["encapsulation", { encap: 10 }],
  ["label", { label: 0 }],
  ["vni_mismatch", { label: 4002 }],
  ["overlay_index", { gateway: "10.1.1.9" }],
  ["overlay_index", { segment: "00112233445566778899" }],
  ["router_mac", { routerMac: null }],
  ["router_mac", { routerMac: 0 }],
  ["router_mac", { routerMac: 0x01005e000001 }],
  ["gateway_mac", { routerMac: 0x02000000aaaa }],
  ["prefix", { network: parseIpv4("127.0.0.0")!, length: 8 }],
  ["prefix", { network: parseIpv4("224.0.0.0")!, length: 4 }],
  ["prefix", { network: parseIpv4("169.254.0.0")!, length: 16 }],
  ["prefix", { network: parseIpv4("0.0.0.0")!, length: 8 }],
  [null, { network: parseIpv6("2001:db8:9::")!, length: 48 }],
  [null, { network: 0n, length: 0 }],
  [null, { network: parseIpv6("64:ff9b::")!, length: 96 }],
  ["overlay_index", { network: parseIpv6("2001:db8:9::")!, length: 48, gateway: "2001:db8::9" }],
  [null, { network: 0, length: 1 }],
  [null, { network: parseIpv4("128.0.0.0")!, length: 1 }],
  [null, { network: 0n, length: 1 }],
  [null, { network: parseIpv6("8000::")!, length: 1 }],
  [null, { network: parseIpv6("fe00::")!, length: 9 }],
  ["prefix", { network: parseIpv4("0.0.0.0")!, length: 32 }],
  ["prefix", { network: parseIpv4("127.128.0.0")!, length: 9 }],
  ["prefix", { network: 0n, length: 96 }],
  ["prefix", { network: 1n, length: 128 }],
  ["prefix", { network: parseIpv6("::ffff:10.0.0.0")!, length: 104 }],
  ["prefix", { network: parseIpv6("ff00::")!, length: 8 }],
  ["prefix", { network: parseIpv6("fe80::")!, length: 10 }],
] as const)("finds %s in a prefix with %o", (reason, change) => {
  expect(refusalOf({ ...PREFIX, ...change }, VRF)).toBe(reason);
});

it.each([
  [null, {}],
  ["label", { labels: [10] }],
  ["vni_mismatch", { labels: [10, 4002] }],
  ["router_mac", { routerMac: null }],
  ["gateway_mac", { routerMac: 0x02000000aaaa }],
  ["address", { ip: "255.255.255.255" }],
  [null, { ip: "2001:db8::11" }],
  ["address", { ip: "::1" }],
  ["address", { ip: "ff02::1" }],
  ["address", { ip: "::ffff:10.1.1.11" }],
] as const)("finds %s in a host's route to a VRF with %o", (reason, change) => {
  const host = route({ ip: "10.1.1.11", labels: [10, 4001], routerMac: 0x02000000bbbb, ...change });
  expect(refusalOf(host, VRF)).toBe(reason);
});

it("takes prefixes into no VSI, flooding into no VRF, and asks a VRF for hosts with addresses alone", () => {
  expect(refusalOf(PREFIX, VSI)).toBe("unsupported");
  const flooding: EvpnRoute = { ...PREFIX, type: 3, originator: "192.0.2.2", pmsi: null };
  expect(refusalOf(flooding, VRF)).toBe("unsupported");
  const asks = [
    ...[{}, { ip: "10.1.1.11" }, { ip: "2001:db8::1" }, { ip: "fe80::1" }],
    ...[
      { ip: "10.1.1.1", isGateway: true },
      { ip: "2001:db8::1", isGateway: true },
    ],
  ];
  expect(asks.map((change) => concerns(route(change), VRF))).toEqual([false, true, true, false, false, false]);
  expect(asks.map((change) => concerns(route(change), VSI))).toEqual(asks.map(() => true));
});
