/** DHCP through the relay where two uplinks lead to the server: its answer comes in by either one that the route uses. */
import { describe, expect, it } from "vitest";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from "../../src/wire/dhcp.ts";
import { BROADCAST, parseMac, writeMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";
import { udpFrame } from "../../src/wire/udp.ts";
import { dhcpMessage } from "../wire/dhcp-message.ts";
import { gw, sites } from "./sites.ts";
import type { World } from "./world.ts";

const CLIENT = "02:00:00:00:00:11";
const GIADDR = "10.1.1.251";
const SERVER = "60.1.1.67";
const ip = (text: string) => parseIpv4(text)!;

/** One gateway; routers r1 and r2 behind its uplinks up1 and up2. */
function bed(nextHops: string): World {
  const world = sites(
    1,
    () => `
vsis: [{name: vsi10, vni: 10}, {name: out1}, {name: out2}, {name: out3}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24, icmpSource: ${GIADDR}, dhcpRelay: {servers: [${SERVER}]}}
  - {name: up1, vsi: out1, address: [50.1.1.1/24, "2001:db8:50::1/64"]}
  - {name: up2, vsi: out2, address: [51.1.1.1/24, "2001:db8:51::1/64"]}
  - {name: up3, vsi: out3, address: [52.1.1.1/24, "2001:db8:52::1/64"]}
acs: [${["a1: vsi10", "r1: out1", "r2: out2", "r3: out3"]
      .map((each) => each.split(": "))
      .map(([name, vsi]) => `{name: ${name}, vsi: ${vsi}, tap: {device: ${name}}}`)
      .join(", ")}]
routes:
  - {prefix: 60.1.1.0/24, nextHops: ${nextHops}}
  - {prefix: "2001:db8:60::/64", nextHops: ["2001:db8:50::2", "2001:db8:51::2"]}`,
  );
  world.vm(gw(world, 1), { name: "a1", ip: "0.0.0.0", mac: CLIENT });
  for (const n of [1, 2, 3]) {
    const address = { ip: `5${n - 1}.1.1.2`, gateway: `5${n - 1}.1.1.1`, mac: `02:00:00:00:5${n}:02` };
    world.vm(gw(world, 1), { name: `r${n}`, ...address });
  }
  world.settle();
  const ends = { from: ip("0.0.0.0"), fromPort: DHCP_CLIENT_PORT, to: ip("255.255.255.255"), toPort: DHCP_SERVER_PORT };
  const frame = udpFrame(ends, dhcpMessage(), 64);
  writeMac(frame, 0, BROADCAST);
  writeMac(frame, 6, parseMac(CLIENT)!);
  world.get("a1").tap.send(frame);
  world.settle();
  return world;
}

/** Offers that the client hears when the server's one comes in by router `n`. */
function offersBy(world: World, n: number): number {
  const before = world.get("a1").received.length;
  const message = dhcpMessage("350102 330400000e10 ff", { 0: "02", 16: "0a01010b", 24: "0a0101fb" });
  const ends = { from: ip(SERVER), fromPort: DHCP_SERVER_PORT, to: ip(GIADDR), toPort: DHCP_SERVER_PORT };
  const frame = udpFrame(ends, message, 60);
  writeMac(frame, 0, gw(world, 1).control.shown.inventory.interface(`up${n}`)!.mac);
  writeMac(frame, 6, world.get(`r${n}`).mac);
  world.get(`r${n}`).tap.send(frame);
  world.settle();
  return world.get("a1").received.length - before;
}

describe("a server behind two uplinks", () => {
  for (const nextHops of ["[50.1.1.2, 51.1.1.2]", "[51.1.1.2, 50.1.1.2]"])
    it(`is heard by each of ${nextHops}, and by no other one`, () => {
      const world = bed(nextHops);
      expect([1, 2, 3].map((n) => offersBy(world, n))).toEqual([1, 1, 0]);
      expect(gw(world, 1).drops).toEqual({ dhcp_guard: 1 });
    });

  it("is not heard by the one that stands by", () => {
    const world = bed("[50.1.1.2, {ip: 51.1.1.2, priority: 2}]");
    expect([1, 2].map((n) => offersBy(world, n))).toEqual([1, 0]);
  });
});

it("what is routed by several VSI-interfaces is routed by each of them", () => {
  const { agent, shown } = gw(bed("[50.1.1.2, 51.1.1.2]"), 1).control;
  const ups = [1, 2, 3].map((n) => shown.inventory.interface(`up${n}`)!);
  for (const host of [ip(SERVER), parseIpv6("2001:db8:60::67")!])
    expect(ups.map((up) => agent.ways.isRoutedBy(up, host))).toEqual([true, true, false]);
});
