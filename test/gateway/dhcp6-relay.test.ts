/**
 * DHCPv6 through the relay: two sites, and a server behind its own VSI. A client's multicast reaches the server once, wrapped, and what
 * the server says the client's AC alone.
 */
import { describe, expect, it } from "vitest";
import { parseMac } from "../../src/wire/ethernet.ts";
import { formatIpv6 } from "../../src/wire/ipv6.ts";
import { CLIENT_ID, dhcp6Message, iaNa, relayReply } from "../wire/dhcp6-message.ts";
import { fromHex, toHex } from "../wire/hex.ts";
import { Dhcp6Bed, frameOf, heard6, hexOf, ip6, LINK_A, LINK_B, MAC_A, MAC_B, SERVER, sections6 } from "./dhcp6-bed.ts";
import { LINK, NET } from "./host6.ts";
import { siteText } from "./sites.ts";

const LEASE = NET | 0x64n;
const OTHER = NET | 0x65n;
const REPLY = (ip = LEASE, seconds = 600) => dhcp6Message(7, CLIENT_ID + iaNa(hexOf(ip), seconds));

describe("a client's message", () => {
  it("is sent to the server once, wrapped, from the gateway's own address, and flooded nowhere", () => {
    const bed = new Dhcp6Bed();
    bed.ask(bed.a1);
    const asked = heard6(bed.server);
    expect(asked.map(({ from, to }) => [from, to])).toEqual([["2001:db8:10::f1", SERVER]]);
    // Hop count 0, link and peer, vsi10/a1, its MAC, its message.
    expect(toHex(asked[0]!.message)).toBe(
      `0c00${hexOf(ip6("2001:db8:10::f1"))}${hexOf(LINK_A)}` +
        "0012000876736931302f6131" +
        "004f00080001020000000011" +
        `00090012${toHex(dhcp6Message(1))}`,
    );
    for (const other of [bed.b1, bed.a2]) expect(heard6(other)).toEqual([]);
    expect(bed.gw1.control.agent.dhcp.counts6.byName.get("if10")).toEqual({ request: 1, reply: 0, elsewhere: 0 });
    expect(bed.gw1.drops).toEqual({});
  });

  it("by a tunnel is left to its own site", () => {
    const bed = new Dhcp6Bed();
    bed.gw1.reload(siteText(1, 2, sections6(1, { relay: "" })));
    bed.clear();
    bed.ask(bed.a1);
    expect(heard6(bed.server)).toEqual([]);
    expect(heard6(bed.b1)).toHaveLength(1);
    expect(heard6(bed.a2)).toEqual([]);
    expect(bed.world.gateways.get("gw2")!.control.agent.dhcp.counts6.byName.get("if10")).toMatchObject({
      elsewhere: 1,
    });
  });

  it("that no client says is refused: a relay's, a server's, from our own address", () => {
    const bed = new Dhcp6Bed();
    const forward = fromHex(`0c00${hexOf(NET | 1n)}${hexOf(LINK_B)}00090004 01abcdef`);
    for (const message of [
      forward,
      relayReply(hexOf(NET), hexOf(LINK_A), dhcp6Message(7)),
      dhcp6Message(2),
      dhcp6Message(7),
      dhcp6Message(14),
    ])
      bed.ask(bed.a1, message);
    bed.ask(bed.a1, dhcp6Message(1), { from: LINK | 1n });
    expect(bed.gw1.drops).toEqual({ dhcp_untrusted: 6 });
    expect(heard6(bed.server)).toEqual([]);
  });

  it("that is none is dropped, whatever is cut off or wrong", () => {
    const bed = new Dhcp6Bed();
    for (const message of [fromHex(""), fromHex("01abcd"), dhcp6Message(1, "0001 00"), dhcp6Message(1, "0001 0009 00")])
      bed.ask(bed.a1, message);
    bed.ask(bed.a1, dhcp6Message(1), { from: 0n });
    const wrong = frameOf(dhcp6Message(1), LINK_A, bed.a1.mac, ip6("ff02::1:2"), 546, 547);
    wrong[60]! ^= 1;
    bed.a1.tap.send(wrong);
    bed.settle();
    expect(bed.gw1.drops).toEqual({ dhcp_malformed: 6 });
  });

  it("beyond five a second of an AC is dropped; those of another AC are not", () => {
    const bed = new Dhcp6Bed();
    for (let i = 0; i < 8; i++) bed.ask(bed.a1);
    bed.ask(bed.b1);
    expect(bed.gw1.drops).toEqual({ punt_limited: 3 });
    expect(heard6(bed.server)).toHaveLength(6);
    bed.world.advance(1000);
    bed.ask(bed.a1);
    expect(heard6(bed.server)).toHaveLength(7);
  });

  it("goes in pieces where it is too long once it is wrapped", () => {
    const bed = new Dhcp6Bed();
    bed.ask(bed.a1, dhcp6Message(1, `0010 0550 ${"00".repeat(0x550)}`));
    const pieces = bed.server.frames.filter((frame) => frame[12] === 0x86 && frame[20] === 44);
    expect(pieces.map(({ length }) => length <= 1464)).toEqual([true, true]);
  });

  it("is relayed to servers of its family alone", () => {
    const bed = new Dhcp6Bed({ relay: "{servers: [20.1.1.67]}" });
    bed.ask(bed.a1);
    expect(heard6(bed.server)).toEqual([]);
    // Not relayed, so a multicast like any other.
    expect(heard6(bed.b1)).toHaveLength(1);
  });
});

it("all servers owe an answer only to what all of them answer, a server of its own to each message", () => {
  const owing = (type: number, ...servers: readonly string[]) => {
    const bed = new Dhcp6Bed({ relay: `{servers: [${servers.map((server) => `"${server}"`).join(", ")}]}` });
    bed.ask(bed.a1, dhcp6Message(type));
    const { agent, shown } = bed.gw1.control;
    const list = agent.dhcp.servers.list([shown.inventory.interface("if10")!], bed.world.net.nowMs);
    return list.filter(({ silentSeconds }) => silentSeconds !== null).map(({ server }) => server);
  };
  const both = [SERVER, "2001:db8:20::68"] as const;
  // Solicit and Information-request; Request and Renew, which name a server.
  for (const type of [1, 11]) expect(owing(type, ...both)).toEqual(both);
  for (const type of [3, 5]) expect(owing(type, ...both)).toEqual([]);
  expect(owing(5, SERVER)).toEqual([SERVER]);
});

describe("a server's message", () => {
  function asked(options?: ConstructorParameters<typeof Dhcp6Bed>[0]): Dhcp6Bed {
    const bed = new Dhcp6Bed(options);
    bed.ask(bed.a1);
    bed.clear();
    return bed;
  }

  it("reaches the client's AC alone, at its MAC, from the gateway's link-local address", () => {
    const bed = asked();
    bed.answer(dhcp6Message(2));
    const got = heard6(bed.a1);
    expect(got.map(({ from, to, mac }) => [from, to, mac])).toEqual([["fe80::1", formatIpv6(LINK_A), parseMac(MAC_A)]]);
    expect(toHex(got[0]!.message)).toBe(toHex(dhcp6Message(2)));
    for (const other of [bed.b1, bed.a2]) expect(heard6(other)).toEqual([]);
    expect(
      bed.gw1.control.agent.dhcp.servers.list([bed.gw1.control.shown.inventory.interface("if10")!], 0),
    ).toMatchObject([{ server: SERVER, requests: 1, replies: 1, silentSeconds: null }]);
  });

  it("with a prefix that is delegated (IA_PD) reaches the client as it was said, binds nothing and makes no route", () => {
    const bed = new Dhcp6Bed();
    const prefix = `001a 0019 00000e10 00001c20 38 ${hexOf(ip6("2001:db8:1234::"))}`;
    const delegated = dhcp6Message(
      7,
      `${CLIENT_ID} 0019 0029 00000007 00000708 00000b40 ${prefix}`.replaceAll(" ", ""),
    );
    const routes = () => bed.gw1.control.shown.routes.size;
    // The first answer has the client's address learned, a route of its own.
    bed.ask(bed.a1, dhcp6Message(3));
    bed.answer(dhcp6Message(2));
    bed.clear();
    const before = routes();
    bed.ask(bed.a1, dhcp6Message(3));
    bed.answer(delegated);
    expect(heard6(bed.a1).map(({ message }) => toHex(message))).toEqual([toHex(delegated)]);
    expect([bed.bindings(), routes() - before, bed.gw1.drops]).toEqual([[], 0, {}]);
  });

  it("without interface-id goes where the question came from; of one that was not asked for, by its place and MAC", () => {
    const bed = asked();
    bed.answer(dhcp6Message(2), { id: null });
    expect(heard6(bed.a1)).toHaveLength(1);
    // A Reconfigure, or an answer to a question from before a restart.
    bed.answer(dhcp6Message(10, CLIENT_ID, "000000"));
    expect(heard6(bed.a1)).toHaveLength(2);
    bed.answer(dhcp6Message(10, CLIENT_ID, "000000"), { id: "vsi10/b1", peer: LINK_B });
    bed.answer(dhcp6Message(10, CLIENT_ID, "000000"), { id: null });
    expect(heard6(bed.b1)).toEqual([]);
    expect(bed.gw1.drops).toEqual({ dhcp_guard: 2 });
  });

  it("of a stranger, to another relay, or that is no server's, is refused", () => {
    const bed = asked();
    bed.answer(dhcp6Message(2), { link: ip6("2001:db8:10::f2") });
    bed.answer(dhcp6Message(1));
    bed.answer(dhcp6Message(2), { from: ip6("2001:db8:20::68") });
    bed.answer(dhcp6Message(2), { to: ip6("2001:db8:10::1"), link: ip6("2001:db8:10::1") });
    expect(heard6(bed.a1)).toEqual([]);
    expect(bed.gw1.drops).toEqual({ dhcp_guard: 3 });
    // The shared address is gw2's own there.
    expect(bed.world.gateways.get("gw2")!.drops).toEqual({ dhcp_guard: 1 });
  });

  it("that does not parse is dropped at every cut", () => {
    const bed = asked();
    const whole = relayReply(hexOf(ip6("2001:db8:10::f1")), hexOf(LINK_A), REPLY(), "vsi10/a1");
    for (let length = 0; length < whole.length; length++) {
      bed.send(whole.slice(0, length));
      // As slowly as control takes what is for the gateway itself.
      bed.world.advance(5);
    }
    expect(bed.gw1.drops).toEqual({ dhcp_malformed: whole.length });
    expect(bed.bindings()).toEqual([]);
  });

  it("from an AC is refused from any port, behind extension headers, and where its headers hide it", () => {
    const bed = new Dhcp6Bed();
    const offer = (fromPort: number) =>
      frameOf(dhcp6Message(2), LINK_B, bed.b1.mac, LINK_A, fromPort, 546, parseMac(MAC_A)!);
    const plain = offer(547);
    const behind = new Uint8Array(plain.length + 8);
    behind.set(plain.subarray(0, 54));
    behind[20] = 60;
    behind[19] = plain[19]! + 8;
    behind.set([17, 0, 1, 4, 0, 0, 0, 0], 54);
    behind.set(plain.subarray(54), 62);
    const hidden = behind.slice(0, 60);
    hidden[19] = 6;
    for (const frame of [plain, offer(1000), behind, hidden]) bed.b1.tap.send(frame);
    bed.settle();
    expect(bed.gw1.drops).toEqual({ dhcp_guard: 4 });
    expect(heard6(bed.a1)).toEqual([]);
  });
});

describe("a lease", () => {
  const strict = () => new Dhcp6Bed({ strict: ["a1", "b1"] });
  const A = { ac: "a1", mac: MAC_A, ip: "2001:db8:10::64" };

  function leased(bed = strict()): Dhcp6Bed {
    bed.ask(bed.a1, dhcp6Message(3));
    bed.answer(REPLY());
    return bed;
  }

  it("lets a strict AC speak from what it was given, until it ends", () => {
    const bed = strict();
    bed.a1.ask(NET | 1n, { from: LEASE });
    bed.settle();
    expect(bed.gw1.drops).toEqual({ port_security: 1 });
    leased(bed);
    expect(bed.bindings()).toEqual([A]);
    bed.clear();
    bed.a1.ask(NET | 1n, { from: LEASE });
    bed.a1.ask(NET | 1n, { from: LINK_A });
    bed.settle();
    expect(bed.a1.heard.filter(({ type }) => type === 136)).toHaveLength(2);
    bed.a1.ask(NET | 1n, { from: OTHER });
    bed.settle();
    expect(bed.gw1.drops).toEqual({ port_security: 2 });
    bed.world.advance(600_000, 10_000);
    expect(bed.bindings()).toEqual([]);
  });

  it("binds the link-local address that asked, where that is not of the MAC", () => {
    const bed = strict();
    bed.ask(bed.b1, dhcp6Message(3));
    bed.answer(REPLY(OTHER), { id: "vsi10/b1", peer: LINK_B });
    const b = { ac: "b1", mac: MAC_B };
    expect(bed.bindings()).toEqual([
      { ...b, ip: "2001:db8:10::65" },
      { ...b, ip: formatIpv6(LINK_B) },
    ]);
    bed.b1.ask(NET | 1n, { from: LINK_B });
    bed.settle();
    expect(bed.gw1.drops).toEqual({});
    bed.ask(bed.b1, dhcp6Message(8, CLIENT_ID + iaNa(hexOf(OTHER), 0)));
    expect(bed.bindings()).toEqual([]);
  });

  it("that is shorter does not end the link-local address of a longer one; the last one does", () => {
    const bed = strict();
    for (const [ip, seconds] of [
      [OTHER, 600],
      [LEASE, 60],
    ] as const) {
      bed.ask(bed.b1, dhcp6Message(3));
      bed.answer(REPLY(ip, seconds), { id: "vsi10/b1", peer: LINK_B });
    }
    const ends = () =>
      bed.gw1.control.agent.security.bindings.list().map(({ ip, expiresSeconds }) => [ip, expiresSeconds]);
    expect(ends()).toEqual([
      ["2001:db8:10::64", 60],
      ["2001:db8:10::65", 600],
      [formatIpv6(LINK_B), 600],
    ]);
    bed.world.advance(100_000, 10_000);
    expect(ends()).toEqual([
      ["2001:db8:10::65", 500],
      [formatIpv6(LINK_B), 500],
    ]);
    bed.world.advance(500_000, 10_000);
    expect(ends()).toEqual([]);
  });

  it("is asked for by its own MAC and address alone, which are bound to no other", () => {
    const bed = leased();
    bed.clear();
    bed.ask(bed.b1, dhcp6Message(1), { mac: bed.a1.mac });
    bed.ask(bed.b1, dhcp6Message(1), { from: LINK_A });
    bed.ask(bed.b1, dhcp6Message(1), { from: LEASE });
    expect(bed.gw1.drops).toEqual({ port_security: 3 });
    expect(heard6(bed.server)).toEqual([]);
    // A server that knows clients by a DUID gives b what a has.
    bed.ask(bed.b1, dhcp6Message(3));
    bed.answer(REPLY(), { id: "vsi10/b1", peer: LINK_B });
    expect(bed.bindings()).toEqual([A]);
    expect(bed.gw1.events.filter(({ event }) => event === "binding.refused")).toHaveLength(1);
    expect([heard6(bed.b1), bed.gw1.drops.dhcp_guard]).toEqual([[], 1]);
  });

  it("that was not asked for binds nothing, and is not passed on to a strict AC", () => {
    const bed = strict();
    bed.answer(REPLY());
    expect(bed.bindings()).toEqual([]);
    expect(bed.gw1.drops).toEqual({ dhcp_guard: 1 });
    bed.ask(bed.b1, dhcp6Message(3));
    bed.answer(REPLY(), { peer: LINK_B });
    expect(bed.bindings()).toEqual([]);
    expect(bed.gw1.drops).toEqual({ dhcp_guard: 2 });
  });

  it("ends when its client gives it back, or the server says so", () => {
    const bed = leased();
    bed.ask(bed.b1, dhcp6Message(8, CLIENT_ID + iaNa(hexOf(LEASE), 0)));
    expect(bed.bindings()).toEqual([A]);
    bed.ask(bed.a1, dhcp6Message(8, CLIENT_ID + iaNa(hexOf(LEASE), 0)));
    expect(bed.bindings()).toEqual([]);
    leased(bed);
    bed.answer(REPLY(LEASE, 0));
    expect(bed.bindings()).toEqual([]);
  });

  it("never binds an address of ours", () => {
    const bed = strict();
    bed.ask(bed.a1, dhcp6Message(3));
    bed.answer(REPLY(NET | 1n));
    expect(bed.bindings()).toEqual([]);
  });

  it("is asked for by unicast too, past the server's own address", () => {
    const bed = leased();
    bed.clear();
    const gateway = bed.gw1.control.shown.inventory.interface("if10")!.mac;
    bed.a1.tap.send(frameOf(dhcp6Message(5), LEASE, bed.a1.mac, ip6(SERVER), 546, 547, gateway));
    bed.settle();
    expect(heard6(bed.server).map(({ from }) => from)).toEqual(["2001:db8:10::f1"]);
  });
});

it("frames that a mutation makes of a dialogue leave the ledger whole and bind nothing foreign", () => {
  const bed = new Dhcp6Bed({ strict: ["a1", "b1"] });
  let seed = 11;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return (seed >>> 8) % below;
  };
  const gateway2 = bed.world.gateways.get("gw2")!.control.shown.inventory.interface("if20")!.mac;
  const question = frameOf(
    dhcp6Message(3, CLIENT_ID + iaNa(hexOf(LEASE), 60)),
    LINK_A,
    bed.a1.mac,
    ip6("ff02::1:2"),
    546,
    547,
  );
  const reply = relayReply(hexOf(ip6("2001:db8:10::f1")), hexOf(LINK_A), REPLY(), "vsi10/a1");
  for (let round = 0; round < 1500; round++) {
    const changed = question.slice(0, random(4) === 0 ? 14 + random(question.length - 14) : question.length);
    for (let n = random(3); n > 0; n--) changed[12 + random(changed.length - 12)] = random(256);
    bed.a1.tap.send(changed);
    const message = reply.slice(0, random(4) === 0 ? random(reply.length) : reply.length);
    for (let n = random(3); n > 0 && message.length > 0; n--) message[random(message.length)] = random(256);
    const sealed = frameOf(message, ip6(SERVER), bed.server.mac, ip6("2001:db8:10::f1"), 547, 547, gateway2);
    bed.server.tap.send(sealed);
    bed.settle();
    if (round % 5 === 4) bed.world.advance(1000, 1000);
  }
  for (const { ac, mac } of bed.bindings()) expect([ac, mac]).toEqual(["a1", MAC_A]);
});
