/**
 * docs/examples/ipv6.yaml, its twin and ipv6-border.yaml: hosts hear what the comments say of advertisements, a packet between the
 * sites is routed twice, and one to the outside goes by the Border.
 */
import { beforeAll, expect, it } from "vitest";
import { ANNOUNCE_AGAIN_MS } from "../../src/control/resolution/announcer.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import { IP6_HOPS, IPV6_BYTES } from "../../src/wire/ipv6.ts";
import { packet6, sealed } from "../dataplane/packets6.ts";
import { Host6, LINK, NET } from "../gateway/host6.ts";
import { World } from "../gateway/world.ts";
import { read } from "../house/source.ts";

const text = read("docs/examples/ipv6.yaml");
const twin = text
  .replace("node: gw1", "node: gw2")
  .replace("address: 192.0.2.1,", "address: 192.0.2.2,")
  .replace("{name: gw2, remote: 192.0.2.2}", "{name: gw1, remote: 192.0.2.1}")
  .replace("10.1.1.251", "10.1.1.252")
  .replace("::fb", "::fc")
  .replace("gw1.sock", "gw2.sock")
  .replaceAll("vm1", "vm4")
  .replaceAll("vm2", "vm5");
const NET20 = NET + (0x10n << 80n);

const world = new World(1);
let vm1: Host6;
let vm2: Host6;
let vm4: Host6;
let vm5: Host6;
let ext: Host6;

beforeAll(() => {
  for (const n of [1, 2, 3]) world.net.inbox(`192.0.2.${n}`);
  const [gw1, gw2] = [world.gateway(text), world.gateway(twin)];
  const border = world.gateway(read("docs/examples/ipv6-border.yaml"));
  const host = (gateway: typeof gw1, name: string, net: bigint, id: bigint) =>
    new Host6(gateway.taps.get(name)!, name, `02:00:00:00:00:0${name === "ext" ? 9 : name.slice(2)}`, [
      net | id,
      LINK | id,
    ]);
  vm1 = host(gw1, "vm1", NET, 0x11n);
  vm2 = host(gw1, "vm2", NET20, 0x11n);
  vm4 = host(gw2, "vm4", NET, 0x12n);
  vm5 = host(gw2, "vm5", NET20, 0x12n);
  ext = host(border, "ext", NET + (0x40n << 80n), 1n);
  for (const vm of [vm1, vm2, vm4, vm5]) vm.solicitRouter();
  world.advance(2 * ANNOUNCE_AGAIN_MS);
});

it("hosts of VXLAN 10 make their addresses, those of VXLAN 20 ask a server; the router is fe80::1 of each site's gateway", () => {
  const told = (host: Host6) => {
    const { src, managed, other, prefixes, dns, search } = { ...host.advertisements[0]!, src: host.heard[0]!.src };
    return {
      src,
      managed,
      other,
      dns: dns.length,
      search,
      prefixes: prefixes.map(({ network, autonomous }) => [network, autonomous]),
    };
  };
  const slaac = { managed: false, other: false, dns: 1, search: ["lab.example"], prefixes: [[NET, true]] };
  const server = { managed: true, other: true, dns: 0, search: [], prefixes: [[NET20, false]] };
  expect([vm1, vm4].map(told)).toEqual([slaac, slaac].map((each) => ({ src: LINK | 1n, ...each })));
  expect([vm2, vm5].map(told)).toEqual([server, server].map((each) => ({ src: LINK | 1n, ...each })));
});

it("a host reaches one of the other site in its VXLAN and in the other one, with hop limit 62", () => {
  const hops = (host: Host6, to: string, from = "2001:db8:10::11") => {
    vm1.ask(LINK | 1n);
    world.settle();
    const dst = vm1.neighbors.get(LINK | 1n)!;
    const rest = Uint8Array.of(128, ...new Uint8Array(15));
    vm1.tap.send(sealed(packet6({ dst, src: vm1.mac, from, to, next: 58, rest }), ETH_BYTES + IPV6_BYTES + 2, 16));
    world.advance(1000);
    return host.frames
      .filter((frame) => frame[ETH_BYTES + IPV6_BYTES] === 128)
      .map((frame) => frame[ETH_BYTES + IP6_HOPS]);
  };
  expect(hops(vm4, "2001:db8:10::12")).toEqual([62]);
  expect(hops(vm5, "2001:db8:20::12")).toEqual([62]);
  // Outside: a host of the uplink, and what only its router knows.
  ext.isRouter = true;
  expect(hops(ext, "2001:db8:50::1")).toEqual([62]);
  expect(hops(ext, "2001:db8:60::1")).toEqual([62, 62]);
  // What is in no subnet of ours ends at the Border.
  expect(hops(ext, "2001:db8:1f::1")).toEqual([62, 62]);
  expect(world.gateways.get("border")!.drops).toMatchObject({ discard_route: 1 });
  // antiSpoof is for both families.
  expect(hops(vm5, "2001:db8:20::12", "2001:db8:99::11")).toEqual([62]);
  expect(world.gateways.get("gw1")!.drops).toEqual({ anti_spoof: 1 });
});
