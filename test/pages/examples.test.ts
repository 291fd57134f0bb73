/** docs/examples: each file is valid, starts as a whole gateway, and carries what its comments say, over memory io. */
import { beforeAll, describe, expect, it } from "vitest";
import { formatErrors } from "../../src/config/error.ts";
import { parseConfig } from "../../src/config/load.ts";
import { ANNOUNCE_AGAIN_MS } from "../../src/control/resolution/announcer.ts";
import { parseMac, readMac } from "../../src/wire/ethernet.ts";
import { ICMP_ECHO_REQUEST } from "../../src/wire/icmp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { vniAt } from "../../src/wire/vxlan.ts";
import { siteText } from "../gateway/sites.ts";
import { icmpPacket } from "../gateway/vm.ts";
import { type Gateway, World } from "../gateway/world.ts";
import { files, read } from "../house/source.ts";

const EXAMPLES = files("docs/examples", /\.yaml$/);
const example = (name: string) => read(`docs/examples/${name}.yaml`);

/** What the page of keys links to, and nothing but that. */
it("each is linked from the page of the configuration, or from another example", () => {
  const texts = [read("docs/configuration.md"), ...EXAMPLES.map(read)].join("\n");
  expect(EXAMPLES.length).toBeGreaterThanOrEqual(8);
  for (const path of EXAMPLES) expect(texts).toMatch(new RegExp(`(\\(examples/|[ (])${path.split("/").at(-1)}`));
});

it.each(EXAMPLES)("%s starts as it stands, with every AC, and is quiet", (path) => {
  const text = read(path);
  const parsed = parseConfig(text, path);
  if ("errors" in parsed) throw new Error(formatErrors(parsed.errors));
  const world = new World(1);
  for (const [, remote] of text.matchAll(/remote: ([0-9a-f.:]+)/g)) world.net.inbox(remote!);
  const gateway = world.gateway(text);
  world.advance(ANNOUNCE_AGAIN_MS);
  const acs = [...gateway.control.shown.inventory.ports.values()].filter(({ kind }) => kind === "ac");
  expect(acs.map(({ name, up }) => [name, up])).toEqual(parsed.config.acs.map(({ name }) => [name, true]));
  expect(gateway.events.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
  expect(gateway.drops).toEqual({});
});

it("the gateway and the Border of an EVPN fabric fit: one VRF, by one L3VNI, in one AS", () => {
  const of = (name: string) => {
    const parsed = parseConfig(example(name), name);
    if ("errors" in parsed) throw new Error(formatErrors(parsed.errors));
    const { vrfs, evpn } = parsed.config;
    return { as: evpn?.as, vrfs: vrfs.map((vrf) => `${vrf.name} ${vrf.l3vni}`) };
  };
  expect(of("evpn")).toEqual({ as: 65000, vrfs: ["main 4001"] });
  expect(of("evpn-border")).toEqual(of("evpn"));
});

/** `text` as its twin at the other end of tunnel `gw2`, with VMs of its own. */
function twin(text: string, [here, there]: readonly [string, string], vms: Readonly<Record<string, string>>): string {
  const swapped = text
    .replace("node: gw1", "node: gw2")
    .replaceAll(here, "HERE")
    .replaceAll(there, here)
    .replaceAll("HERE", there)
    .replaceAll("name: gw2", "name: gw1")
    .replace("gw1.sock", "gw2.sock")
    .replace("icmpSource: 10.1.1.251", "icmpSource: 10.1.1.252");
  return Object.entries(vms).reduce((all, [from, to]) => all.replaceAll(new RegExp(`\\b${from}\\b`, "g"), to), swapped);
}

/** VM `n` in net 10 or 20, at AC `name`. */
function vm(world: World, gateway: Gateway, n: number, net: number, host: number, way = `${net}.1.1.1`): void {
  world.vm(gateway, { name: `vm${n}`, ip: `${net}.1.1.${host}`, mac: `02:00:00:00:0${n}:${host}`, gateway: way });
}

/** TTLs of the answers that vm1 has from each address. */
function pings(world: World, ...addresses: readonly string[]): string[] {
  const vm1 = world.get("vm1");
  for (const address of addresses) {
    vm1.ping(address);
    world.advance(2000);
  }
  return vm1.replies;
}

function quiet(world: World): void {
  world.advance(ANNOUNCE_AGAIN_MS);
  world.clear();
}

describe("two sites and a Border (gateway.yaml, border.yaml)", () => {
  let world: World;
  beforeAll(() => {
    world = new World(1);
    for (const address of ["192.0.2.1", "192.0.2.2", "192.0.2.3"]) world.net.inbox(address);
    const gw1 = world.gateway(example("gateway"));
    const gw2 = world.gateway(
      twin(example("gateway"), ["192.0.2.1", "192.0.2.2"], { vm1: "vm4", vm2: "vm5", "tap-vm1": "tap-vm4" }),
    );
    const border = world.gateway(example("border"));
    vm(world, gw1, 1, 10, 11);
    vm(world, gw1, 2, 20, 11);
    vm(world, gw2, 4, 10, 12);
    vm(world, gw2, 5, 20, 12);
    world.vm(border, { name: "ext", ip: "50.1.1.1", mac: "02:00:00:00:0e:01", gateway: "50.1.1.254" });
    quiet(world);
  });

  it("VMs reach each other in their VXLAN and across, and the outside by policy", () => {
    expect(pings(world, "10.1.1.12", "20.1.1.11", "20.1.1.12", "50.1.1.1")).toEqual([
      "10.1.1.12 ttl=62",
      "20.1.1.11 ttl=63",
      "20.1.1.12 ttl=62",
      "50.1.1.1 ttl=62",
    ]);
  });

  it("by route from VXLAN 20", () => {
    world.get("vm2").ping("50.1.1.1");
    world.advance(2000);
    expect(world.get("vm2").replies).toEqual(["50.1.1.1 ttl=62"]);
  });

  it("a source of another network is dropped (antiSpoof)", () => {
    const vm1 = world.get("vm1");
    vm1.sendPacket(icmpPacket(parseIpv4("99.1.1.11")!, parseIpv4("20.1.1.11")!, ICMP_ECHO_REQUEST, 64, 1, 56, true));
    world.settle();
    expect(world.gateways.get("gw1")!.drops.anti_spoof).toBe(1);
  });
});

it("the tag of a trunk chooses the VXLAN, and ends at the AC (vlan.yaml)", () => {
  const world = new World(1);
  for (const address of ["192.0.2.1", "192.0.2.2"]) world.net.inbox(address);
  const gw1 = world.gateway(example("vlan"));
  quiet(world);
  const frame = (vlan: number): Uint8Array => {
    const bytes = new Uint8Array(64);
    bytes.set([0x02, 0, 0, 0, 0, 0x99, 0x02, 0, 0, 0, 0, 0x11, 0x81, 0, vlan >> 8, vlan & 0xff, 0x88, 0xb5]);
    return bytes;
  };
  const tap = gw1.taps.get("trunk-20") ?? gw1.taps.get("trunk-untagged")!;
  tap.send(frame(20));
  world.settle();
  const sent = world.seen.filter(({ where, to }) => where === "underlay" && to === "192.0.2.2");
  expect(sent.map(({ bytes }) => vniAt(bytes, 0))).toEqual([20]);
  expect(readMac(sent[0]!.bytes, 8 + 6)).toBe(parseMac("02:00:00:00:00:11"));
  expect([...sent[0]!.bytes.subarray(8 + 12, 8 + 14)]).toEqual([0x88, 0xb5]);
  tap.send(frame(99));
  world.settle();
  expect(gw1.drops).toEqual({ ac_unbound: 1 });
});

it("tunnels over IPv6 carry what those over IPv4 do, 20 bytes less (ipv6-underlay.yaml)", () => {
  const world = new World(1);
  for (const address of ["2001:db8::1", "2001:db8::2"]) world.net.inbox(address);
  const gw1 = world.gateway(example("ipv6-underlay"));
  const gw2 = world.gateway(twin(example("ipv6-underlay"), ["2001:db8::1", "2001:db8::2"], { vm1: "vm4" }));
  vm(world, gw1, 1, 10, 11);
  vm(world, gw2, 4, 10, 12);
  quiet(world);
  expect(pings(world, "10.1.1.12")).toEqual(["10.1.1.12 ttl=62"]);
  const ports = [...gw1.control.shown.inventory.ports.values()];
  expect(ports.filter(({ kind }) => kind === "tunnel").map(({ name, mtu }) => [name, mtu])).toEqual([["gw2", 1430]]);
});

it("one gateway for all sites: bridged within a VXLAN, routed there and back between two (central-gateway.yaml, leaf.yaml)", () => {
  const world = new World(1);
  for (const address of ["192.0.2.1", "192.0.2.2", "192.0.2.9"]) world.net.inbox(address);
  const gw1 = world.gateway(example("leaf"));
  const gw2 = world.gateway(twin(example("leaf"), ["192.0.2.1", "192.0.2.2"], { vm1: "vm4", vm2: "vm5" }));
  world.gateway(example("central-gateway"));
  vm(world, gw1, 1, 10, 11);
  vm(world, gw1, 2, 20, 11);
  vm(world, gw2, 4, 10, 12);
  vm(world, gw2, 5, 20, 12);
  quiet(world);
  expect(pings(world, "10.1.1.12", "20.1.1.11", "20.1.1.12")).toEqual([
    "10.1.1.12 ttl=64",
    "20.1.1.11 ttl=63",
    "20.1.1.12 ttl=63",
  ]);
});

describe("beside a bridge that is none of ours", () => {
  /** What the peer's bridge does, done by a VSI without addresses; the real ones are in test/netns and test/interop. */
  const bridge = (peer: string) =>
    siteText(2, 1, `vsis: [{name: vsi10, vni: 10}]\nacs: [{name: vm4, vsi: vsi10, tap: {device: tap-vm4}}]`).replace(
      /tunnels: .*/,
      `tunnels: [{name: ${peer}, remote: 192.0.2.1}]`,
    );

  it.each([
    ["kernel-peer", "10.1.1.1", ["10.1.1.12 ttl=64", "10.1.1.1 ttl=64"]],
    ["ovs-peer", "10.1.1.12", ["10.1.1.12 ttl=64", "10.1.1.12 ttl=64"]],
  ] as const)("%s: hosts of both sides, and the gateway from the other side", (name, target, expected) => {
    const world = new World(1);
    for (const address of ["192.0.2.1", "192.0.2.2"]) world.net.inbox(address);
    const gw1 = world.gateway(example(name));
    const peer = world.gateway(bridge("gw1"));
    vm(world, gw1, 1, 10, 11);
    vm(world, peer, 4, 10, 12);
    quiet(world);
    expect(pings(world, "10.1.1.12", target)).toEqual(expected);
    if (target !== "10.1.1.1") return;
    world.get("vm4").ping("10.1.1.1");
    world.advance(2000);
    expect(world.get("vm4").replies).toEqual(["10.1.1.1 ttl=64"]);
  });
});
