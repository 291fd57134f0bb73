/** DHCP through the relay of strict ACs, mangled: whatever a client or its server makes of a dialogue, the ledger holds and nothing foreign binds. */
import { expect, it } from "vitest";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from "../../src/wire/dhcp.ts";
import { BROADCAST, ETH_BYTES, parseMac, writeMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { udpFrame } from "../../src/wire/udp.ts";
import { dhcpMessage } from "../wire/dhcp-message.ts";
import { gw, sites } from "./sites.ts";

const MACS = { a: "02:00:00:00:00:11", b: "02:00:00:00:00:12" };
const ip = (text: string) => parseIpv4(text)!;
const HEAD = ETH_BYTES + 28;

function bed() {
  const world = sites(
    1,
    () => `
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24, icmpSource: 10.1.1.251, dhcpRelay: {servers: [20.1.1.67]}}
  - {name: if20, vsi: vsi20, address: 20.1.1.1/24}
acs:
  - {name: a, vsi: vsi10, tap: {device: a}, antiSpoof: strict}
  - {name: b, vsi: vsi10, tap: {device: b}, antiSpoof: strict, bindings: [{mac: "${MACS.b}", ip: 10.1.1.12}]}
  - {name: s, vsi: vsi20, tap: {device: s}}`,
  );
  const gateway = gw(world, 1);
  for (const name of ["a", "b"] as const) world.vm(gateway, { name, ip: "0.0.0.0", mac: MACS[name] });
  world.vm(gateway, { name: "s", ip: "20.1.1.67", mac: "02:00:00:00:00:67", gateway: "20.1.1.1" });
  world.get("s").ping("20.1.1.1");
  world.settle();
  world.clear();
  return { world, gateway };
}

it("at any byte, cut anywhere, with a checksum that holds or not", () => {
  const { world, gateway } = bed();
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return (seed >>> 8) % below;
  };
  const mangled = (message: Uint8Array, first: number): Uint8Array => {
    const bytes = message.slice(0, random(4) === 0 ? random(message.length + 1) : message.length);
    for (let n = random(4); n > 0 && bytes.length > first; n--)
      bytes[first + random(bytes.length - first)] = random(256);
    return bytes;
  };
  const question = dhcpMessage("350103 3204 0a01010b 340103 ff");
  const circuit = "010776736931302f61";
  const answer = dhcpMessage(`350105 330400000e10 5209${circuit} ff`, { 0: "02", 16: "0a01010b", 24: "0a0101fb" });
  const ask = { from: 0, fromPort: DHCP_CLIENT_PORT, to: ip("255.255.255.255"), toPort: DHCP_SERVER_PORT };
  const tell = { from: ip("20.1.1.67"), fromPort: DHCP_SERVER_PORT, to: ip("10.1.1.251"), toPort: DHCP_SERVER_PORT };
  let bound = 0;
  for (let round = 0; round < 400; round++) {
    // Options alone, names and options, or all of it.
    const first = [240, 44, 0][random(3)]!;
    const frame = udpFrame(ask, mangled(question, first), 64);
    writeMac(frame, 0, BROADCAST);
    writeMac(frame, 6, parseMac(MACS.a)!);
    if (random(8) === 0) frame[ETH_BYTES + random(HEAD - ETH_BYTES)] = random(256);
    world.get("a").tap.send(frame);
    world.settle();
    world.get("s").sendPacket(udpFrame(tell, mangled(answer, first), 64).subarray(ETH_BYTES));
    // Checks every ledger.
    world.settle();
    const list = gateway.control.agent.security.bindings.list();
    bound = Math.max(bound, list.length);
    for (const { ac, mac, ip: address, source } of list) {
      if (source === "dhcp") expect([ac, mac]).toEqual(["a", MACS.a]);
      if (source === "dhcp") expect(["10.1.1.1", "10.1.1.251", "10.1.1.12", "10.1.1.255"]).not.toContain(address);
    }
    if (round % 4 === 3) world.advance(1000, 1000);
  }
  expect(bound).toBeGreaterThan(1);
  expect(gateway.drops.dhcp_malformed).toBeGreaterThan(40);
  expect(gateway.drops.dhcp_guard).toBeGreaterThan(0);
});
