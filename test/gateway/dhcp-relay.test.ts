/**
 * DHCP through the relay: two sites, and a server at the third one behind its own VSI. A client's broadcast reaches the server
 * once, and the answer the client's AC alone.
 */
import { describe, expect, it } from "vitest";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, readDhcp } from "../../src/wire/dhcp.ts";
import { BROADCAST, ETH_BYTES, parseMac, readMac, writeMac } from "../../src/wire/ethernet.ts";
import { addressesAt, formatIpv4, IPV4_BYTES, parseIpv4 } from "../../src/wire/ipv4.ts";
import { udpFrame } from "../../src/wire/udp.ts";
import { l4IsRight } from "../dataplane/packets.ts";
import { DISCOVER, dhcpMessage } from "../wire/dhcp-message.ts";
import { toHex } from "../wire/hex.ts";
import { datagrams, gw, sites, siteText } from "./sites.ts";
import type { Vm } from "./vm.ts";
import type { World } from "./world.ts";

const CLIENT = "02:00:00:00:00:11";
const SERVER = "20.1.1.67";
const HEAD = ETH_BYTES + IPV4_BYTES + 8;
const ip = (text: string) => parseIpv4(text)!;

/** Sites 1 and 2 with VXLANs 10 and 20; the server is in VXLAN 20 of site 2. `relay`: of if10 at both. */
function bed(relay = `{servers: [${SERVER}]}`): World {
  const world = sites(
    2,
    (n) => `
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24, icmpSource: 10.1.1.25${n}, dhcpRelay: ${relay}}
  - {name: if20, vsi: vsi20, address: 20.1.1.1/24}
acs: [{name: a${n}, vsi: vsi10, tap: {device: a${n}}}, {name: b${n}, vsi: vsi10, tap: {device: b${n}}}, {name: s${n}, vsi: vsi20, tap: {device: s${n}}}]`,
  );
  world.vm(gw(world, 1), { name: "a1", ip: "0.0.0.0", mac: CLIENT });
  world.vm(gw(world, 1), { name: "b1", ip: "10.1.1.12", mac: "02:00:00:00:00:12", gateway: "10.1.1.1" });
  world.vm(gw(world, 2), { name: "a2", ip: "10.1.1.13", mac: "02:00:00:00:00:13", gateway: "10.1.1.1" });
  world.vm(gw(world, 2), { name: "s2", ip: SERVER, mac: "02:00:00:00:00:67", gateway: "20.1.1.1" });
  world.settle();
  world.clear();
  return world;
}

/** A client's datagram to the server port. */
function request(message = dhcpMessage(), to = "255.255.255.255", from = "0.0.0.0"): Uint8Array {
  const ends = { from: ip(from), fromPort: DHCP_CLIENT_PORT, to: ip(to), toPort: DHCP_SERVER_PORT };
  const frame = udpFrame(ends, message, 64);
  writeMac(frame, 0, BROADCAST);
  writeMac(frame, 6, parseMac(CLIENT)!);
  return frame;
}

/** Datagrams to the DHCP ports that `vm` received: addresses, ports, message. */
function heard(vm: Vm) {
  return vm.received
    .filter((frame) => frame[23] === 17)
    .map((frame) => {
      const { source, destination } = addressesAt(frame, ETH_BYTES);
      return { from: formatIpv4(source), to: formatIpv4(destination), mac: readMac(frame, 0), frame };
    });
}

/** Let the server at s2 answer the one request that it heard by `type`, echoing option 82 or not. */
function answer(world: World, type = "02", more: Readonly<Record<number, string>> = {}, isEchoed = true): void {
  const server = world.get("s2");
  const { frame } = heard(server).at(-1)!;
  const asked = frame.slice(HEAD);
  const dhcp = readDhcp(asked)!;
  const agent =
    isEchoed && dhcp.agent !== null ? `52${toHex(Uint8Array.of(dhcp.agent.length))}${toHex(dhcp.agent)}` : "";
  const giaddr = toHex(asked.subarray(24, 28));
  const reply = dhcpMessage(`3501${type} ${agent} ff`, { 0: "02", 16: "0a01010b", 24: giaddr, ...more });
  server.sendPacket(fromServer(reply));
  world.settle();
}

/** The server's packet to the relay at site 1. */
function fromServer(message: Uint8Array): Uint8Array {
  const ends = { from: ip(SERVER), fromPort: DHCP_SERVER_PORT, to: ip("10.1.1.251"), toPort: DHCP_SERVER_PORT };
  return udpFrame(ends, message, 64).subarray(ETH_BYTES);
}

/** What site 1 has without a relay. */
function withoutRelay(world: World): void {
  const sections = `
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24}, {name: if20, vsi: vsi20, address: 20.1.1.1/24}]
acs: [{name: a1, vsi: vsi10, tap: {device: a1}}, {name: b1, vsi: vsi10, tap: {device: b1}}, {name: s1, vsi: vsi20, tap: {device: s1}}]`;
  gw(world, 1).reload(siteText(1, 2, sections));
  world.settle();
  world.clear();
}

describe("a request", () => {
  it("is sent to the server once, with the gateway's own address, and flooded nowhere", () => {
    const world = bed();
    world.get("a1").tap.send(request());
    world.settle();
    const asked = heard(world.get("s2"));
    expect(asked.map(({ from, to }) => [from, to])).toEqual([["10.1.1.251", SERVER]]);
    const { frame } = asked[0]!;
    expect(l4IsRight(frame)).toBe(true);
    const message = frame.subarray(HEAD);
    expect(readDhcp(message)).toMatchObject({ hops: 1, giaddr: ip("10.1.1.251"), xid: 0x12345678, type: 1 });
    // vsi10/a1, gw1, the subnet, where to renew.
    expect(toHex(readDhcp(message)!.agent!)).toBe(
      "010876736931302f6131" + "0203677731" + "05040a010100" + "0b040a010101",
    );
    for (const other of ["b1", "a2"]) expect(heard(world.get(other))).toEqual([]);
    expect(gw(world, 1).control.agent.dhcp.counts.byName.get("if10")).toMatchObject({ request: 1, elsewhere: 0 });
  });

  it("tells the VRF that its client is in, where that is not main", () => {
    const world = sites(
      1,
      () => `
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
  - {name: if10, vsi: vsi10, vrf: red, address: 10.1.1.1/24, icmpSource: 10.1.1.251, dhcpRelay: {servers: [${SERVER}]}}
  - {name: if20, vsi: vsi20, vrf: red, address: 20.1.1.1/24}
acs: [{name: a1, vsi: vsi10, tap: {device: a1}}, {name: s1, vsi: vsi20, tap: {device: s1}}]`,
    );
    world.vm(gw(world, 1), { name: "a1", ip: "0.0.0.0", mac: CLIENT });
    world.vm(gw(world, 1), { name: "s1", ip: SERVER, mac: "02:00:00:00:00:67", gateway: "20.1.1.1" });
    world.settle();
    world.get("a1").tap.send(request());
    world.settle();
    const message = heard(world.get("s1"))[0]!.frame.subarray(HEAD);
    expect(toHex(readDhcp(message)!.agent!)).toMatch(/0b040a010101 ?9704007265649800$/);
  });

  it("by a tunnel is left to its own site", () => {
    const world = bed();
    withoutRelay(world);
    world.get("a1").tap.send(request());
    world.settle();
    expect(heard(world.get("s2"))).toEqual([]);
    expect(gw(world, 2).control.agent.dhcp.counts.byName.get("if10")).toMatchObject({ elsewhere: 1 });
    expect(heard(world.get("b1"))).toHaveLength(1);
    expect(heard(world.get("a2"))).toEqual([]);
  });

  it("of a client that speaks as a relay is refused", () => {
    for (const message of [
      dhcpMessage(DISCOVER, { 24: "0a01010b" }),
      dhcpMessage(DISCOVER, { 3: "01" }),
      dhcpMessage("350101 520301 0141 ff"),
    ]) {
      const world = bed();
      world.get("a1").tap.send(request(message));
      world.settle();
      expect(gw(world, 1).drops).toEqual({ dhcp_untrusted: 1 });
      expect(heard(world.get("s2"))).toEqual([]);
    }
  });

  it("that is no DHCP message is dropped, whatever is cut off or wrong", () => {
    const whole = request();
    const world = bed();
    const short = (length: number) => request(dhcpMessage().subarray(0, length));
    const wrong = [short(0), short(239), request(dhcpMessage(DISCOVER, { 28: "ff" })), request(dhcpMessage("3501"))];
    const checksum = whole.slice();
    checksum[ETH_BYTES + IPV4_BYTES + 6]! ^= 1;
    for (const frame of [...wrong, checksum]) world.get("a1").tap.send(frame);
    world.settle();
    expect(gw(world, 1).drops).toEqual({ dhcp_malformed: 5 });
  });

  it("with option 82 hidden in its file or server name is none", () => {
    const world = bed();
    for (const [overload, at] of [
      ["01", 108],
      ["02", 44],
      ["03", 44],
    ] as const)
      world.get("a1").tap.send(request(dhcpMessage(`350101 3401${overload} ff`, { [at]: "5203 010141 ff" })));
    world.settle();
    expect(gw(world, 1).drops).toEqual({ dhcp_malformed: 3 });
    expect(heard(world.get("s2"))).toEqual([]);
  });

  it("to give an address back leaves its server owing nothing: it answers to none", () => {
    const world = bed();
    for (const type of ["04", "07"])
      world.get("a1").tap.send(request(dhcpMessage(`3501${type} ff`, { 12: "0a01010b" })));
    world.settle();
    world.advance(70_000, 5000);
    const { dhcp } = gw(world, 1).control.agent;
    expect(dhcp.servers.list(gw(world, 1).control.shown.inventory.interfaces.values(), world.net.nowMs)).toEqual([
      { interface: "if10", server: SERVER, requests: 2, replies: 0, answeredSeconds: null, silentSeconds: null },
    ]);
  });

  it("is owed an answer by all servers only where all of them answer: not what names another one's offer", () => {
    const owing = (type: string, ...servers: readonly string[]) => {
      const world = bed(`{servers: [${servers.join(", ")}]}`);
      world.get("a1").tap.send(request(dhcpMessage(`3501${type} ff`)));
      world.settle();
      const { agent, shown } = gw(world, 1).control;
      const list = agent.dhcp.servers.list(shown.inventory.interfaces.values(), world.net.nowMs);
      return list.filter(({ silentSeconds }) => silentSeconds !== null).map(({ server }) => server);
    };
    const both = [SERVER, "20.1.1.68"] as const;
    // DISCOVER, and REQUEST with or without a server's identifier.
    expect(owing("01", ...both)).toEqual(both);
    expect(owing("03", ...both)).toEqual([]);
    expect(owing("03", SERVER)).toEqual([SERVER]);
  });

  it("beyond five a second of an AC is dropped; those of another AC are not", () => {
    const world = bed();
    for (let i = 0; i < 8; i++) world.get("a1").tap.send(request());
    world.get("b1").tap.send(request());
    world.settle();
    expect(gw(world, 1).drops).toEqual({ punt_limited: 3 });
    expect(heard(world.get("s2"))).toHaveLength(6);
    world.advance(1000);
    world.get("a1").tap.send(request());
    world.settle();
    expect(heard(world.get("s2"))).toHaveLength(7);
  });

  it("goes without option 82 where that is switched off, or would make it too long", () => {
    const world = bed(`{servers: [${SERVER}], option82: false}`);
    world.get("a1").tap.send(request());
    world.settle();
    expect(readDhcp(heard(world.get("s2"))[0]!.frame.subarray(HEAD))).toMatchObject({ agent: null, hops: 1 });
    const full = bed();
    // 1422 bytes are left of 1450: this fits, and option 82 does not.
    full.get("a1").tap.send(request(dhcpMessage(`350101 ${"00".repeat(1160)} ff`)));
    full.settle();
    expect(readDhcp(heard(full.get("s2"))[0]!.frame.subarray(HEAD))).toMatchObject({ agent: null, hops: 1 });
  });

  it("to renew, sent to the gateway as the client's server, is relayed too", () => {
    const world = bed();
    const client = world.get("b1");
    const renewal = dhcpMessage("350103 ff", { 12: "0a01010c", 28: "020000000012" });
    client.sendPacket(request(renewal, "10.1.1.1", "10.1.1.12").subarray(ETH_BYTES));
    world.settle();
    expect(heard(world.get("s2")).map(({ from }) => from)).toEqual(["10.1.1.251"]);
    answer(world, "05", { 16: "0a01010c", 28: "020000000012", 10: "0000" });
    expect(heard(client).map(({ from, to }) => [from, to])).toEqual([["10.1.1.1", "10.1.1.12"]]);
  });
});

describe("a reply", () => {
  function asked(relay?: string): World {
    const world = bed(relay);
    world.get("a1").tap.send(request());
    world.settle();
    return world;
  }

  it("reaches the client's AC alone, without option 82, as broadcast or unicast", () => {
    const world = asked();
    answer(world);
    const [offer] = heard(world.get("a1"));
    expect(offer).toMatchObject({ from: "10.1.1.1", to: "255.255.255.255", mac: BROADCAST });
    expect(l4IsRight(offer!.frame)).toBe(true);
    expect(readDhcp(offer!.frame.subarray(HEAD))).toMatchObject({ agent: null, yiaddr: ip("10.1.1.11"), type: 2 });
    answer(world, "05", { 10: "0000" });
    expect(heard(world.get("a1"))[1]).toMatchObject({ to: "10.1.1.11", mac: parseMac(CLIENT)! });
    for (const other of ["b1", "a2"]) expect(heard(world.get(other))).toEqual([]);
    const { servers } = gw(world, 1).control.agent.dhcp;
    expect(servers.list(gw(world, 1).control.shown.inventory.interfaces.values(), world.net.nowMs)).toEqual([
      { interface: "if10", server: SERVER, requests: 1, replies: 2, answeredSeconds: 0, silentSeconds: null },
    ]);
  });

  it("that refuses is broadcast, and one without option 82 goes where the client's MAC is", () => {
    const world = asked();
    answer(world, "06", { 10: "0000", 16: "00000000" }, false);
    expect(heard(world.get("a1"))[0]).toMatchObject({ to: "255.255.255.255", mac: BROADCAST });
    expect(heard(world.get("b1"))).toEqual([]);
  });

  it("for a client whose place is unknown goes to all ACs of the VSI-interface, and to no tunnel", () => {
    const world = asked();
    const messages = () => datagrams(world, 1, 2).filter(({ length }) => length > 300).length;
    const before = messages();
    answer(world, "02", { 28: "0200000000ee" }, false);
    expect([heard(world.get("a1")).length, heard(world.get("b1")).length]).toEqual([1, 1]);
    expect(heard(world.get("a2"))).toEqual([]);
    expect(messages()).toBe(before);
  });

  it("of a stranger, or to another relay, is refused", () => {
    const world = asked();
    answer(world, "02", { 24: "0a0101fc" });
    expect(gw(world, 1).drops).toEqual({ dhcp_guard: 1 });
    const other = bed("{servers: [20.1.1.68]}");
    other.get("s2").sendPacket(fromServer(dhcpMessage("350102 ff", { 0: "02", 24: "0a0101fb" })));
    other.settle();
    expect(gw(other, 1).drops).toEqual({ dhcp_guard: 1 });
  });

  it("from an AC is no server's, neither bridged nor as broadcast, behind data of the same flow or not", () => {
    const world = bed();
    const rogue = world.get("b1");
    rogue.ping("10.1.1.1");
    world.settle();
    world.clear();
    const ends = { from: ip("10.1.1.12"), fromPort: DHCP_SERVER_PORT, to: ip("10.1.1.11"), toPort: DHCP_CLIENT_PORT };
    const offer = udpFrame(ends, dhcpMessage("350102 ff", { 0: "02" }), 64);
    writeMac(offer, 0, parseMac(CLIENT)!);
    writeMac(offer, 6, rogue.mac);
    const data = udpFrame({ ...ends, fromPort: 1, toPort: 2 }, new Uint8Array(20), 64);
    data.set(offer.subarray(0, 12));
    world.get("a1").ask("10.1.1.1");
    world.settle();
    const broadcast = offer.slice();
    writeMac(broadcast, 0, BROADCAST);
    const fromElsewhere = udpFrame({ ...ends, fromPort: 1067 }, dhcpMessage("350102 ff", { 0: "02" }), 64);
    fromElsewhere.set(broadcast.subarray(0, 12));
    for (const frame of [data, offer, data, offer, broadcast, fromElsewhere]) rogue.tap.send(frame);
    world.settle();
    expect(gw(world, 1).drops).toEqual({ dhcp_guard: 4 });
    expect(heard(world.get("a1"))).toHaveLength(2);
  });
});

it("without a relay DHCP is a broadcast like any other", () => {
  const world = bed();
  withoutRelay(world);
  world.get("a1").tap.send(request());
  world.settle();
  expect(heard(world.get("b1"))).toHaveLength(1);
  expect(gw(world, 1).drops).toEqual({});
});
