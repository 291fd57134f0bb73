/**
 * antiSpoof: strict on whole gateways: bindings of the configuration and of DHCP leases, what breaks them, and how one learns
 * of it. The DHCP server is behind an AC of another VSI of the same gateway.
 */
import { describe, expect, it } from "vitest";
import { checkSecurity } from "../../src/doctor/security.ts";
import { securitySentences } from "../../src/insight/why-security.ts";
import { ARP_REQUEST } from "../../src/wire/arp.ts";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, readDhcp } from "../../src/wire/dhcp.ts";
import { BROADCAST, ETH_BYTES, formatMac, parseMac, writeMac } from "../../src/wire/ethernet.ts";
import { IPV4_BYTES, parseIpv4 } from "../../src/wire/ipv4.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";
import { ALL_NODES, emitAdvertisement, groupMac, ND_MAX_BYTES } from "../../src/wire/nd.ts";
import { udpFrame } from "../../src/wire/udp.ts";
import { dhcpMessage } from "../wire/dhcp-message.ts";
import { toHex } from "../wire/hex.ts";
import { gw, sites, siteText } from "./sites.ts";
import type { Vm } from "./vm.ts";
import type { World } from "./world.ts";

const MAC_A = "02:00:00:00:00:11";
const MAC_B = "02:00:00:00:00:12";
const MAC_C = "02:00:00:00:00:13";
const SERVER = "20.1.1.67";
const HEAD = ETH_BYTES + IPV4_BYTES + 8;
const ip = (text: string) => parseIpv4(text)!;

const BOUND = `bindings: [{mac: "${MAC_A}", ip: 10.1.1.11}, {mac: "${MAC_A}", ip: "2001:db8::11"}]`;

/** a: bound by hand. b: by DHCP. c: not strict. s: the server. */
const sections = (a = `antiSpoof: strict, ${BOUND}`) => `
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24, icmpSource: 10.1.1.251, dhcpRelay: {servers: [${SERVER}]}}
  - {name: if20, vsi: vsi20, address: 20.1.1.1/24}
acs:
  - {name: a, vsi: vsi10, tap: {device: a}, ${a}}
  - {name: b, vsi: vsi10, tap: {device: b}, antiSpoof: strict}
  - {name: c, vsi: vsi10, tap: {device: c}}
  - {name: s, vsi: vsi20, tap: {device: s}}`;

function bed(): World {
  const world = sites(1, () => sections());
  world.vm(gw(world, 1), { name: "a", ip: "10.1.1.11", mac: MAC_A, gateway: "10.1.1.1" });
  world.vm(gw(world, 1), { name: "b", ip: "10.1.1.12", mac: MAC_B, gateway: "10.1.1.1" });
  world.vm(gw(world, 1), { name: "c", ip: "10.1.1.13", mac: MAC_C, gateway: "10.1.1.1" });
  world.vm(gw(world, 1), { name: "s", ip: SERVER, mac: "02:00:00:00:00:67", gateway: "20.1.1.1" });
  world.get("s").ping("20.1.1.1");
  world.settle();
  world.clear();
  return world;
}

const security = (world: World) => gw(world, 1).control.agent.security;
const bound = (world: World) =>
  security(world)
    .bindings.list()
    .map(({ ac, mac, ip: address, source }) => `${ac} ${mac} ${address} ${source}`);
const events = (world: World, name: string) => gw(world, 1).events.filter(({ event }) => event === name);

/** A client's message to the server port; `from` the MAC of the frame. */
function request(vm: Vm, options: string, mac = vm.options.mac, from = vm.options.mac): void {
  const chaddr = mac.replaceAll(":", "");
  const ends = { from: 0, fromPort: DHCP_CLIENT_PORT, to: ip("255.255.255.255"), toPort: DHCP_SERVER_PORT };
  const frame = udpFrame(ends, dhcpMessage(options, { 28: chaddr }), 64);
  writeMac(frame, 0, BROADCAST);
  writeMac(frame, 6, parseMac(from)!);
  vm.tap.send(frame);
}

/** The server acknowledges the last request: `address`, for 600 s. `echoes`: option 82. */
function acknowledge(world: World, address: string, echoes = true): void {
  const server = world.get("s");
  const asked = server.received
    .filter((frame) => frame[23] === 17)
    .at(-1)!
    .slice(HEAD);
  const dhcp = readDhcp(asked)!;
  const agent = echoes ? `52${toHex(Uint8Array.of(dhcp.agent!.length))}${toHex(dhcp.agent!)}` : "";
  const reply = dhcpMessage(`350105 330400000258 ${agent} ff`, {
    ...{ 0: "02", 16: toHex(bytesOf(address)), 24: "0a0101fb", 28: formatMac(dhcp.chaddr).replaceAll(":", "") },
  });
  const ends = { from: ip(SERVER), fromPort: DHCP_SERVER_PORT, to: ip("10.1.1.251"), toPort: DHCP_SERVER_PORT };
  server.sendPacket(udpFrame(ends, reply, 64).subarray(ETH_BYTES));
  world.settle();
}

/** The server's address sends a lease of 10.1.1.12 by itself: `circuit` says where to. */
function lease(world: World, circuit: string, mac: string, xid = "12345678"): void {
  const text = new TextEncoder().encode(circuit);
  const agent = `01${toHex(Uint8Array.of(text.length))}${toHex(text)}`;
  const options = `350105 330400000258 52${toHex(Uint8Array.of(agent.length / 2))}${agent} ff`;
  const more = { 0: "02", 4: xid, 16: "0a01010c", 24: "0a0101fb", 28: mac.replaceAll(":", "") };
  const ends = { from: ip(SERVER), fromPort: DHCP_SERVER_PORT, to: ip("10.1.1.251"), toPort: DHCP_SERVER_PORT };
  world.get("s").sendPacket(udpFrame(ends, dhcpMessage(options, more), 64).subarray(ETH_BYTES));
  world.settle();
}

const bytesOf = (address: string) => Uint8Array.from(address.split(".").map(Number));

/** VM b has a lease of 10.1.1.12. */
function leased(echoes = true): World {
  const world = bed();
  request(world.get("b"), "350103 ff");
  world.settle();
  acknowledge(world, "10.1.1.12", echoes);
  return world;
}

describe("a static binding", () => {
  it("lets its VM speak, and ends what it sends as another one: ARP, IPv4, any MAC", () => {
    const world = bed();
    const a = world.get("a");
    a.ping("20.1.1.67");
    world.settle();
    expect(a.replies).toEqual(["20.1.1.67 ttl=63"]);
    a.sendArp({ op: ARP_REQUEST, senderIp: ip("10.1.1.13"), targetIp: ip("10.1.1.1") });
    a.sendArp({ op: ARP_REQUEST, senderMac: parseMac(MAC_C)!, ethSrc: parseMac(MAC_C)!, targetIp: ip("10.1.1.1") });
    world.settle();
    expect(gw(world, 1).drops).toEqual({ port_security: 2 });
    const { agent } = gw(world, 1).control;
    expect(agent.neighborViews().some(({ ip: known }) => known === "10.1.1.13")).toBe(false);
    expect(agent.macs.stories(parseMac(MAC_C)!)).toEqual([]);
  });

  it("is told of with the offender and what is missing: event, doctor, why", () => {
    const world = bed();
    world.get("a").sendArp({ op: ARP_REQUEST, senderIp: ip("10.1.1.99"), targetIp: ip("10.1.1.1") });
    world.settle();
    const fields = { ac: "a", vsi: "vsi10", mac: MAC_A, ip: "10.1.1.99", why: "this MAC is not bound to this address" };
    expect(events(world, "port.security")).toMatchObject([{ level: "warn", fields }]);
    const { bindings, offenders } = security(world);
    const checks = checkSecurity(["a", "b"], bindings.list(), offenders.list());
    expect(checks.map(({ name, result }) => [name, result])).toEqual([
      ["port security", "ok"],
      ["port security a", "warn"],
    ]);
    expect(checks[0]!.text).toBe("2 bindings at 2 strict ACs; b can send DHCP alone: no lease yet");
    expect(checks[1]!.fix).toContain(`add {mac: "${MAC_A}", ip: 10.1.1.99} to bindings of AC a`);
    expect(securitySentences(security(world), { ip: "10.1.1.99" })).toEqual([
      `AC a sent as 10.1.1.99 from ${MAC_A}, and that was dropped 0 s ago: this MAC is not bound to this address; ` +
        `the missing binding is {mac: "${MAC_A}", ip: 10.1.1.99}.`,
    ]);
    expect(securitySentences(security(world), { ip: "10.1.1.11" })[0]).toContain(
      "by the configuration, and nothing else",
    );
  });

  it("ends an advertisement of another's IPv6 address from its own, and tells whose", () => {
    const world = bed();
    const bytes = new Uint8Array(ND_MAX_BYTES);
    const mac = parseMac(MAC_A)!;
    const around = { ethDst: groupMac(ALL_NODES), ethSrc: mac, src: parseIpv6("2001:db8::11")!, dst: ALL_NODES };
    const said = { target: parseIpv6("2001:db8::12")!, isRouter: false, isSolicited: false, isOverride: true, mac };
    world.get("a").tap.send(bytes.subarray(0, emitAdvertisement(bytes, 0, around, said)));
    world.settle();
    expect(gw(world, 1).drops).toEqual({ port_security: 1 });
    const fields = { ac: "a", mac: MAC_A, ip: "2001:db8::12", why: "this MAC is not bound to this address" };
    expect(events(world, "port.security")).toMatchObject([{ fields }]);
    expect(world.get("c").received).toEqual([]);
  });

  it("has a ration of events: a thousand other addresses in ten seconds are a few lines", () => {
    const world = bed();
    for (let n = 0; n < 100; n++) {
      world.get("a").sendArp({ op: ARP_REQUEST, senderIp: ip(`10.1.1.${100 + n}`), targetIp: ip("10.1.1.1") });
      world.advance(100);
    }
    expect(gw(world, 1).drops).toMatchObject({ port_security: 100 });
    expect(events(world, "port.security").length).toBeLessThan(15);
  });

  it("is enforced by a reload, and no more by another", () => {
    const world = bed();
    gw(world, 1).reload(siteText(1, 1, sections("antiSpoof: false")));
    const a = world.get("a");
    const spoof = () => {
      a.sendArp({ op: ARP_REQUEST, senderIp: ip("10.1.1.98"), targetIp: ip("10.1.1.1") });
      world.settle();
    };
    spoof();
    expect(gw(world, 1).drops).toEqual({});
    gw(world, 1).reload(siteText(1, 1, sections()));
    spoof();
    expect(gw(world, 1).drops).toEqual({ port_security: 1 });
    a.ping("20.1.1.67");
    world.settle();
    expect(a.replies).toHaveLength(1);
  });
});

describe("a DHCP lease", () => {
  it.each([true, false])("binds the client where it asked (option 82 echoed: %s), until it ends", (echoes) => {
    const world = bed();
    const b = world.get("b");
    b.ping("20.1.1.67");
    world.settle();
    expect(b.replies).toEqual([]);
    request(b, "350103 ff");
    world.settle();
    acknowledge(world, "10.1.1.12", echoes);
    expect(bound(world)).toContain(`b ${MAC_B} 10.1.1.12 dhcp`);
    b.ask("10.1.1.1");
    b.ping("20.1.1.67");
    world.settle();
    expect(b.replies).toContain("20.1.1.67 ttl=63");
    const before = gw(world, 1).drops.port_security;
    world.advance(601_000, 5000);
    expect(bound(world)).not.toContain(`b ${MAC_B} 10.1.1.12 dhcp`);
    expect(events(world, "binding.ended").map(({ fields }) => fields.reason)).toEqual(["expired"]);
    b.ping("20.1.1.67");
    world.settle();
    expect(gw(world, 1).drops.port_security).toBeGreaterThan(before!);
  });

  it("is renewed for as long again, also by a client whose binding was lost", () => {
    const world = leased();
    world.advance(500_000, 5000);
    request(world.get("b"), "350103 ff");
    world.settle();
    acknowledge(world, "10.1.1.12");
    world.advance(500_000, 5000);
    expect(bound(world)).toContain(`b ${MAC_B} 10.1.1.12 dhcp`);
    expect(events(world, "binding.added")).toHaveLength(1);
  });

  it("ends where the client gives it back", () => {
    const world = leased();
    const release = dhcpMessage("350107 ff", { 12: "0a01010c", 28: MAC_B.replaceAll(":", "") });
    const ends = { from: ip("10.1.1.12"), fromPort: DHCP_CLIENT_PORT, to: ip("10.1.1.1"), toPort: DHCP_SERVER_PORT };
    world.get("b").ask("10.1.1.1");
    world.settle();
    world.get("b").sendPacket(udpFrame(ends, release, 64).subarray(ETH_BYTES));
    world.settle();
    expect(bound(world)).not.toContain(`b ${MAC_B} 10.1.1.12 dhcp`);
  });

  it("cannot be fetched by a neighbour: neither with the other's MAC, nor for it", () => {
    const world = leased();
    const reload = sections().replace(
      "{name: c, vsi: vsi10, tap: {device: c}}",
      "{name: c, vsi: vsi10, tap: {device: c}, antiSpoof: strict}",
    );
    gw(world, 1).reload(siteText(1, 1, reload));
    const c = world.get("c");
    const messages = () => world.get("s").received.filter((frame) => frame[23] === 17).length;
    const before = messages();
    request(c, "350101 ff", MAC_B, MAC_B);
    request(c, "350101 ff", MAC_B, MAC_C);
    request(c, "350101 ff", MAC_A, MAC_A);
    world.settle();
    expect(messages()).toBe(before);
    expect(gw(world, 1).drops).toMatchObject({ port_security: 3 });
    request(c, "350103 ff");
    world.settle();
    acknowledge(world, "10.1.1.12");
    expect(bound(world).filter((each) => each.startsWith("c"))).toEqual([]);
    expect(events(world, "binding.refused").at(-1)!.fields).toMatchObject({ ac: "c", reason: "bound at AC b" });
    // It would speak from what it may not.
    expect(c.received.filter((frame) => frame[23] === 17)).toEqual([]);
    expect(gw(world, 1).drops).toMatchObject({ dhcp_guard: 1 });
    acknowledge(world, "10.1.1.13");
    expect(bound(world).filter((each) => each.startsWith("c"))).toEqual([`c ${MAC_C} 10.1.1.13 dhcp`]);
  });

  describe("that was not asked for binds nothing and reaches no strict AC", () => {
    const guarded = (world: World, ...acs: readonly string[]) => {
      expect(bound(world).filter((each) => each.endsWith("dhcp"))).toEqual([]);
      expect(gw(world, 1).drops).toEqual({ dhcp_guard: 1 });
      for (const ac of acs) expect(world.get(ac).received.filter((frame) => frame[23] === 17)).toEqual([]);
    };

    it("made up by a VM that sends as the server", () => {
      const world = bed();
      lease(world, "vsi10/b", MAC_B);
      guarded(world, "a", "b", "c");
    });

    it("with another transaction's number", () => {
      const world = bed();
      request(world.get("b"), "350103 ff");
      world.settle();
      lease(world, "vsi10/b", MAC_B, "12345679");
      guarded(world, "b");
    });

    it("for another MAC than the one that asked", () => {
      const world = bed();
      request(world.get("b"), "350103 ff");
      world.settle();
      lease(world, "vsi10/b", "02:00:00:00:00:99");
      guarded(world, "b");
    });

    it("at another AC than the one that asked", () => {
      const world = bed();
      request(world.get("c"), "350103 ff");
      world.settle();
      lease(world, "vsi10/b", MAC_C);
      guarded(world, "b");
    });

    it("more than 64 s later", () => {
      const world = bed();
      request(world.get("b"), "350103 ff");
      world.settle();
      world.advance(65_000, 5000);
      world.get("s").ping("20.1.1.1");
      world.settle();
      lease(world, "vsi10/b", MAC_B);
      guarded(world, "b");
    });
  });

  it("to an AC that is not strict is passed on, and binds nothing where it was not asked for", () => {
    const world = bed();
    lease(world, "vsi10/c", MAC_C);
    expect(bound(world).filter((each) => each.endsWith("dhcp"))).toEqual([]);
    expect(world.get("c").received.filter((frame) => frame[23] === 17)).toHaveLength(1);
  });

  it("of one AC are 256 at most", () => {
    const world = leased();
    const { bindings } = security(world);
    const port = gw(world, 1).control.shown.inventory.ac("b")!;
    const results = Array.from({ length: 300 }, (_, n) =>
      bindings.lease(port, 0x020000001000 + n, ip("10.1.2.0") + n, 60),
    );
    expect(results.filter((each) => each)).toHaveLength(255);
    expect(events(world, "binding.refused").length).toBeGreaterThan(0);
  });

  it("that is renewed writes no row, and a new one its own alone", () => {
    const world = leased();
    const { bindings } = security(world);
    const port = gw(world, 1).control.shown.inventory.ac("b")!;
    for (let n = 1; n < 250; n++) bindings.lease(port, 0x020000001000 + n, ip("10.1.2.0") + n, 60);
    const before = bindings.rows.writes;
    for (let n = 1; n < 250; n++) bindings.lease(port, 0x020000001000 + n, ip("10.1.2.0") + n, 600);
    expect(bindings.rows.writes).toBe(before);
    world.advance(120_000, 10_000);
    expect(bindings.of(port)).toHaveLength(250);
    bindings.lease(port, 0x020000001001, ip("10.1.2.251"), 600);
    expect(bindings.rows.writes).toBe(before + 1);
    bindings.release(port, 0x020000001001, ip("10.1.2.1"));
    expect(bindings.rows.writes).toBe(before + 2);
    expect(bindings.has(port, 0x020000001001, ip("10.1.2.251"))).toBe(true);
    expect(bindings.has(port, 0x020000001001, ip("10.1.2.1"))).toBe(false);
  });

  it("gets a place where others have all of them: of what is not strict first, then of who has the most", () => {
    const acs = Array.from({ length: 17 }, (_, n) => `  - {name: x${n}, vsi: vsi10, tap: {device: x${n}}}`).join("\n");
    const world = sites(1, () => `${sections()}\n${acs}`);
    const { inventory } = gw(world, 1).control.shown;
    const { bindings } = security(world);
    const fill = (name: string, count: number, first = 0) =>
      Array.from({ length: count }, (_, n) =>
        bindings.lease(inventory.ac(name)!, 0x020000100000 + first + n, ip("10.2.0.0") + first + n, 600 + n),
      ).filter((each) => each).length;
    for (let n = 0; n < 16; n++) expect(fill(`x${n}`, 256, n * 256)).toBe(256);
    // A latecomer that is not strict gets a fair share and no more, a strict one all that it may have.
    expect(fill("x16", 256, 5000)).toBeGreaterThan(200);
    expect(fill("b", 256, 6000)).toBe(256);
    const count = (name: string) => bindings.of(inventory.ac(name)!).length;
    expect(count("b")).toBe(256);
    fill("x16", 256, 7000);
    fill("x3", 256, 8000);
    expect(count("b")).toBe(256);
    const all = inventory.acs().map(({ name }) => count(name));
    // Two of them are in the configuration.
    expect(all.reduce((sum, each) => sum + each, 0)).toBe(4096 + 2);
  });

  it("goes with its AC", () => {
    const world = leased();
    const without = sections().replace(/.*name: b, vsi.*\n/, "");
    gw(world, 1).reload(siteText(1, 1, without));
    world.advance(1000);
    expect(bound(world).filter((each) => each.includes("dhcp"))).toEqual([]);
    gw(world, 1).reload(siteText(1, 1, sections()));
    expect(bound(world).filter((each) => each.includes("dhcp"))).toEqual([]);
  });
});
