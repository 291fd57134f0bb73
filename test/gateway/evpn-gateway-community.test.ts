/** Frames to a host whose MAC a hostile peer announces as a gateway's (RFC 7432 §10.1): they reach the host, bridged, in either order. */
import { expect, it } from "vitest";
import type { MacRoute } from "../../src/evpn/route.ts";
import { parseMac } from "../../src/wire/ethernet.ts";
import { EvpnWorld } from "./evpn-world.ts";
import type { Vm } from "./vm.ts";

const yaml = (n: number): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: 65000}
vsis: [{name: vsi10, vni: 10, evpn: {}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24, mac: shared}]
acs: [{name: a${n}, vsi: vsi10, tap: {device: a${n}}}]
control: {socket: /run/gw${n}.sock}
`;
const M2 = "02:00:00:00:01:12";
const claim: MacRoute = {
  ...{ type: 2, rd: "192.0.2.66:10", tag: 0, nextHop: "192.0.2.66", targets: ["65000:10"], encap: 8 },
  ...{ mac: parseMac(M2)!, ip: "10.1.1.1", labels: [10], segment: null, sequence: 9 },
  ...{ isSticky: false, isGateway: true, routerMac: null },
};

it.each([true, false])("the claim came first: %s", (isFirst) => {
  const site = new EvpnWorld();
  for (const n of [1, 2]) {
    site.world.net.inbox(`192.0.2.${n}`);
    site.join(yaml(n));
  }
  site.world.net.inbox("192.0.2.66");
  const [one, two] = [1, 2].map(
    (n): Vm =>
      site.world.vm(site.members[n - 1]!.gateway, {
        ...{ name: `a${n}`, ip: `10.1.1.${10 + n}`, mac: `02:00:00:00:01:1${n}`, gateway: "10.1.1.1" },
      }),
  );
  const { evpn, gateway } = site.members[0]!;
  const say = (isWithdrawn: boolean) => evpn.rows([{ route: claim, isWithdrawn, peer: "192.0.2.251" }]);
  const row = () => gateway.control.agent.macs.list().find(({ mac }) => mac === M2);
  site.pass(1000);
  if (isFirst) {
    say(false);
    expect(row()).toMatchObject({ origin: "gateway", via: { name: "evpn:192.0.2.66" } });
  }
  for (const vm of [one!, two!]) vm.ask("10.1.1.1");
  site.pass(2000);
  if (!isFirst) say(false);
  site.pass(3000);
  expect(row()).toMatchObject({ origin: "evpn", via: { name: "evpn:192.0.2.2" } });
  expect(evpn.refused.get("gateway_host")).toBe(1);
  one!.ask("10.1.1.12");
  site.pass(100);
  expect(one!.arp.get(two!.ip)).toBe(two!.mac);
  site.world.clear();
  one!.ping("10.1.1.12");
  site.pass(100);
  // Bridged: it has lost no hop. Nothing went to the peer that claims it, not even what is for the gateway.
  expect(one!.icmp.map(({ type, ttl }) => [type, ttl])).toEqual([[0, 64]]);
  one!.ping("10.1.1.1");
  site.pass(100);
  expect(one!.icmp.map(({ type }) => type)).toEqual([0, 0]);
  expect(site.world.seen.filter(({ where, to }) => where === "underlay" && to === "192.0.2.66")).toEqual([]);
  // The claim goes, and the host stays.
  say(true);
  site.pass(1000);
  expect(row()).toMatchObject({ origin: "evpn", via: { name: "evpn:192.0.2.2" } });
});
