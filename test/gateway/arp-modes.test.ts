import { describe, expect, it } from "vitest";
import { ARP_REPLY, ARP_REQUEST, type Arp, parseArp } from "../../src/wire/arp.ts";
import { BROADCAST, formatMac, type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { formatIpv4, parseIpv4 } from "../../src/wire/ipv4.ts";
import { article, gatewayMac, siteYaml, tell } from "./article.ts";
import { datagrams, gw, sites } from "./sites.ts";
import type { World } from "./world.ts";

const ip = (text: string): number => parseIpv4(text)!;
const mac = (text: string): Mac => parseMac(text)!;

const view = (world: World, gateway: string, address: string): string[] =>
  world.gateways
    .get(gateway)!
    .control.agent.neighborViews()
    .filter((row) => row.ip === address)
    .map((row) => `${row.mac} ${row.state} ${row.via?.kind} ${row.via?.name} ${row.origin}`);

const arps = (frames: readonly Uint8Array[], at = 0): Arp[] =>
  frames.map((frame) => parseArp(frame, at, frame.length)).filter((arp) => arp !== null);

/** `count` sites with VSI 10 (`vsi`), gateway 10.1.1.1 (`on`) and ACs a1, b1 / a2 / … */
function lan(count: number, vsi = "", on = "", each: (n: number) => string = () => ""): World {
  const world = sites(count, (n) => {
    const acs = n === 1 ? ["a1", "b1"] : [`a${n}`];
    return `vsis: [{name: vsi10, vni: 10${vsi}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24${on}${each(n)}}]
acs: [${acs.map((ac) => `{name: ${ac}, vsi: vsi10, tap: {device: ${ac}}}`).join(", ")}]`;
  });
  for (let n = 1; n <= count; n++)
    for (const ac of n === 1 ? ["a1", "b1"] : [`a${n}`]) {
      const host = ac === "b1" ? 21 : 10 + n;
      world.vm(gw(world, n), { name: ac, ip: `10.1.1.${host}`, mac: `02:00:00:00:01:${host}`, gateway: "10.1.1.1" });
    }
  world.settle();
  world.clear();
  return world;
}

describe("the article's flows in the tables", () => {
  it("after flow 1 each gateway knows the other's host behind the other's MAC; VMs know gateway MACs alone (A02)", () => {
    const world = article();
    const [G1, G2] = ["gw1", "gw2"].map((name) => formatMac(gatewayMac(world, name, "vsi-interface10")));
    world.get("vm1").ping("10.1.1.12");
    world.settle();
    expect(view(world, "gw1", "10.1.1.12")).toEqual([`${G2} reachable tunnel gw2 reply`]);
    expect(view(world, "gw2", "10.1.1.11")).toEqual([`${G1} reachable tunnel gw1 request`]);
    expect(view(world, "gw1", "10.1.1.11")).toEqual(["02:00:00:00:01:11 reachable ac vm1 request"]);
    expect([...world.get("vm1").arp].map(([to, at]) => `${formatIpv4(to)} ${formatMac(at)}`)).toEqual([
      `10.1.1.12 ${G1}`,
    ]);
    expect([...world.get("vm4").arp].map(([to, at]) => `${formatIpv4(to)} ${formatMac(at)}`)).toEqual([
      `10.1.1.11 ${G2}`,
    ]);
  });

  it("flow 2: asked in VXLAN 20 alone, no conflict over the shared gateway address, data goes by VNI 20 (A03)", () => {
    const world = article();
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    const asked = tell(world).filter((line) => line.startsWith("gw1>gw2") && line.includes(" req "));
    expect(asked).toEqual(["gw1>gw2 vni 20: ff/G1.20 req G1.20,20.1.1.1 / 0,20.1.1.12"]);
    expect(gw(world, 2).drops).toEqual({});
    expect(gw(world, 2).events.filter(({ event }) => event === "arp.defend")).toEqual([]);
    const own = formatMac(gatewayMac(world, "gw1", "vsi-interface20"));
    expect(view(world, "gw2", "20.1.1.1")).toEqual([`${own} gateway tunnel gw1 gateway`]);
    expect(view(world, "gw1", "20.1.1.12").map((row) => row.split(" ").slice(1).join(" "))).toEqual([
      "reachable tunnel gw2 reply",
    ]);
    const vnis = new Set(tell(world).filter((line) => line.includes("10.1.1.11>20.1.1.12") && line.includes("vni")));
    expect([...vnis].map((line) => line.split(":")[0])).toEqual(["gw1>gw2 vni 20"]);
  });

  it("a known host's announcement updates at once and is never answered; an unknown one's from an AC creates (A07)", () => {
    const world = lan(2);
    const a1 = world.get("a1");
    a1.sendArp({ op: ARP_REQUEST, targetIp: a1.ip });
    world.settle();
    expect(arps(a1.received)).toEqual([]);
    expect(view(world, "gw1", "10.1.1.11")).toEqual(["02:00:00:00:01:11 reachable ac a1 announcement"]);
    // From a tunnel it creates nothing.
    expect(view(world, "gw2", "10.1.1.11")).toEqual([]);
    a1.sendArp({
      op: ARP_REQUEST,
      targetIp: a1.ip,
      ethSrc: mac("02:00:00:00:01:99"),
      senderMac: mac("02:00:00:00:01:99"),
    });
    world.settle();
    expect(view(world, "gw1", "10.1.1.11")).toEqual(["02:00:00:00:01:99 reachable ac a1 announcement"]);
  });
});

describe("ARP modes", () => {
  it("suppress answers with the host's own MAC without a flood, and floods what it does not know", () => {
    const world = sites(
      2,
      (n) => `vsis: [{name: vsi10, vni: 10, arp: suppress}]
acs: [{name: a${n}, vsi: vsi10, tap: {device: a${n}}}, {name: b${n}, vsi: vsi10, tap: {device: b${n}}}]`,
    );
    for (const n of [1, 2])
      for (const [ac, host] of [
        [`a${n}`, 10 + n],
        [`b${n}`, 20 + n],
      ] as const)
        world.vm(gw(world, n), { name: ac, ip: `10.1.1.${host}`, mac: `02:00:00:00:01:${host}` });
    world.clear();
    const [a1, b1, a2] = [world.get("a1"), world.get("b1"), world.get("a2")];
    a1.ask("10.1.1.12");
    world.settle();
    expect(a1.arp.get(a2.ip)).toBe(a2.mac);
    expect(arps(datagrams(world, 1, 2), 8).map((arp) => formatMac(arp.senderMac))).toEqual(["02:00:00:00:01:11"]);
    world.clear();
    b1.ask("10.1.1.12");
    world.settle();
    expect(b1.arp.get(a2.ip)).toBe(a2.mac);
    expect(arps(b1.received).map((arp) => formatMac(arp.ethSrc))).toEqual([formatMac(a2.mac)]);
    expect(datagrams(world, 1, 2)).toEqual([]);
    expect(a1.received).toEqual([]);
    b1.ask("10.1.1.77");
    world.settle();
    expect(arps(datagrams(world, 1, 2), 8)).toHaveLength(1);
    expect(arps(a1.received)).toHaveLength(1);
  });

  it("flood with a VSI-interface: hosts hear each other with their own MACs, the gateway answers for itself alone", () => {
    const world = lan(2, ", arp: flood");
    const [a1, a2] = [world.get("a1"), world.get("a2")];
    a1.ping("10.1.1.12");
    world.settle();
    expect(a1.replies).toEqual(["10.1.1.12 ttl=64"]);
    expect(a1.arp.get(a2.ip)).toBe(a2.mac);
    world.clear();
    a1.ask("10.1.1.1");
    world.settle();
    expect(arps(a1.received).map((arp) => formatMac(arp.senderMac))).toEqual([
      formatMac(gatewayMac(world, "gw1", "if10")),
    ]);
    expect(world.get("b1").received.length).toBeLessThanOrEqual(1);
  });

  it("verified: several askers, one question, each its own answer; none gets one for a host that is gone", () => {
    const world = lan(3, ", proxyArp: verified");
    for (const name of ["a1", "b1", "a3"]) {
      world.get(name).ask("10.1.1.12");
      world.get(name).ask("10.1.1.99");
    }
    world.settle();
    for (const [name, gateway] of [
      ["a1", "gw1"],
      ["b1", "gw1"],
      ["a3", "gw3"],
    ] as const) {
      expect(world.get(name).arp.get(ip("10.1.1.12")), name).toBe(gatewayMac(world, gateway, "if10"));
      expect(world.get(name).arp.has(ip("10.1.1.99"))).toBe(false);
    }
    const asked = arps(datagrams(world, 1, 2), 8).filter(
      (arp) => arp.op === ARP_REQUEST && arp.targetIp === ip("10.1.1.12"),
    );
    expect(asked).toHaveLength(1);
  });

  it("a gateway announces its address on an AC that comes, and on a change of its MAC (§3.12)", () => {
    const world = article();
    const more = siteYaml("gw1").replace("\nroutes:", "\n  - {name: late, vsi: vsi10, tap: {device: late}}\nroutes:");
    const got: Uint8Array[] = [];
    const gw1 = gw(world, 1);
    const tap = world.net.tap.bind(world.net);
    world.net.tap = () => {
      const fresh = tap();
      fresh.receive = (frame) => got.push(frame);
      return fresh;
    };
    gw1.reload(more);
    expect(
      arps(got).map(
        (arp) => `${arp.op} ${formatIpv4(arp.senderIp)}=${formatIpv4(arp.targetIp)} ${formatMac(arp.senderMac)}`,
      ),
    ).toEqual([`1 10.1.1.1=10.1.1.1 ${formatMac(gatewayMac(world, "gw1", "vsi-interface10"))}`]);
    expect(arps(world.get("vm1").received)).toEqual([]);
    world.advance(1000);
    gw1.reload(more.replaceAll("mac: auto", "mac: shared"));
    const told = arps(world.get("vm1").received);
    // Its own address; and the Border's, which hears of the new MAC and lets itself be announced in turn.
    expect(told.map((arp) => `${formatIpv4(arp.senderIp)} ${formatMac(arp.senderMac)}`)).toEqual([
      "10.1.1.1 02:00:5e:00:00:0a",
      "10.1.1.2 02:00:5e:00:00:0a",
    ]);
  });
});

describe("hosts that leave without a word", () => {
  it("who takes its place on the AC and asks for it is answered within the life of a probe", () => {
    const world = lan(2);
    const [a1, a2] = [world.get("a1"), world.get("a2")];
    a1.ping("10.1.1.12");
    world.settle();
    // a1's address is now behind gw2, and somebody else is behind its AC.
    a1.alive = false;
    const other = world.vm(gw(world, 1), { name: "other", ac: "a1", ip: "10.1.1.31", mac: "02:00:00:00:01:31" });
    const moved = world.vm(gw(world, 2), { name: "moved", ac: "a2", ip: "10.1.1.11", mac: formatMac(a1.mac) });
    a2.alive = false;
    world.advance(11_000, 500);
    for (let i = 0; i < 6 && other.replies.length === 0; i++) {
      other.arp.clear();
      if (i === 0) other.ping("10.1.1.11");
      else other.ask("10.1.1.11");
      world.advance(1000);
    }
    expect(other.replies).toEqual(["10.1.1.11 ttl=62"]);
    expect(view(world, "gw1", "10.1.1.11").map((row) => row.split(" ").slice(2).join(" "))).toEqual([
      "tunnel gw2 reply",
    ]);
    expect(moved.icmp).toHaveLength(1);
  });
});

describe("gateway MACs, static entries, several VSIs", () => {
  for (const [setting, check] of [
    ["auto", (a: Mac, b: Mac) => a !== b],
    ["shared", (a: Mac, b: Mac) => a === b && a === mac("02:00:5e:00:00:0a")],
    ['"02:aa:bb:cc:dd:0a"', (a: Mac, b: Mac) => a === b && a === mac("02:aa:bb:cc:dd:0a")],
  ] as const)
    it(`mac: ${setting}: VMs of two sites reach each other and their gateway`, () => {
      const world = lan(2, "", `, mac: ${setting}`);
      expect(check(gatewayMac(world, "gw1", "if10"), gatewayMac(world, "gw2", "if10"))).toBe(true);
      world.get("a1").ping("10.1.1.12");
      world.get("a2").ping("10.1.1.21");
      world.get("a1").ping("10.1.1.1");
      world.settle();
      expect(world.get("a1").replies.toSorted()).toEqual(["10.1.1.1 ttl=64", "10.1.1.12 ttl=62"]);
      expect(world.get("a2").replies).toEqual(["10.1.1.21 ttl=62"]);
    });

  it("a static ARP entry is used at once, never asked for, never taken over, never aged", () => {
    const entry = '{ip: 10.1.1.50, mac: "02:00:00:00:01:50", ac: b1}';
    const world = lan(2, "", "", (n) => (n === 1 ? `, arp: {ageSeconds: 10, static: [${entry}]}` : ""));
    const [a1, b1] = [world.get("a1"), world.get("b1")];
    const expected = ["02:00:00:00:01:50 reachable ac b1 static"];
    expect(view(world, "gw1", "10.1.1.50")).toEqual(expected);
    a1.sendArp({ op: ARP_REQUEST, senderIp: ip("10.1.1.50"), targetIp: ip("10.1.1.50") });
    a1.sendArp({ op: ARP_REPLY, ethDst: BROADCAST, senderIp: ip("10.1.1.50"), targetIp: ip("10.1.1.50") });
    world.settle();
    expect(gw(world, 1).drops).toEqual({ arp_gw_spoof: 2 });
    expect(arps(a1.received)).toHaveLength(1); // told off once in ten seconds
    world.advance(60_000, 1000);
    expect(view(world, "gw1", "10.1.1.50")).toEqual(expected);
    world.clear();
    a1.ping("10.1.1.50");
    world.settle();
    expect(b1.received.map((frame) => frame[23])).toEqual([1]);
    expect(datagrams(world, 1, 2)).toEqual([]);
  });

  it("two VSIs share a VSI-interface: asked in both VXLANs, routed between them, each bridged apart (D5)", () => {
    const world = sites(
      2,
      (n) => `vsis: [{name: vsi10, vni: 10}, {name: vsi11, vni: 11}]
interfaces: [{name: if10, vsis: [vsi10, vsi11], address: 10.1.1.1/24}]
acs: [{name: p${n}, vsi: vsi10, tap: {device: p${n}}}, {name: q${n}, vsi: vsi11, tap: {device: q${n}}}]`,
    );
    for (const n of [1, 2])
      for (const [ac, host] of [
        [`p${n}`, 10 + n],
        [`q${n}`, 20 + n],
      ] as const)
        world.vm(gw(world, n), { name: ac, ip: `10.1.1.${host}`, mac: `02:00:00:00:01:${host}`, gateway: "10.1.1.1" });
    world.clear();
    const p1 = world.get("p1");
    p1.ping("10.1.1.22"); // VXLAN 11, other site
    world.settle();
    expect(p1.replies).toEqual(["10.1.1.22 ttl=62"]);
    const asked = arps(datagrams(world, 1, 2), 8).filter((arp) => arp.op === ARP_REQUEST);
    expect(asked.map((arp) => formatIpv4(arp.targetIp))).toEqual(["10.1.1.22", "10.1.1.22"]);
    p1.ping("10.1.1.21"); // VXLAN 11, same site
    world.settle();
    expect(p1.replies).toContain("10.1.1.21 ttl=63");
    world.clear();
    const frame = new Uint8Array(60);
    frame.set([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 1, 0x11, 0x88, 0xb5]);
    p1.tap.send(frame);
    world.settle();
    expect(["q1", "p2", "q2"].map((name) => world.get(name).received.length)).toEqual([0, 1, 0]);
  });
});

describe("the Border's uplink", () => {
  it("a lone external LAN is never proxied for: a host alone on a port hears the others itself", () => {
    const world = article();
    const ext = world.get("ext");
    ext.ask("50.1.1.77"); // another host of the external LAN, on the same wire
    ext.sendArp({ op: ARP_REQUEST, senderIp: 0, targetIp: ip("50.1.1.78") });
    world.advance(3000);
    expect(arps(ext.received)).toEqual([]);
    ext.ask("50.1.1.254");
    world.settle();
    expect(arps(ext.received).map((arp) => formatIpv4(arp.senderIp))).toEqual(["50.1.1.254"]);
    // Nothing of the uplink is flooded into any VXLAN.
    expect(world.seen.filter((seen) => seen.where === "underlay")).toEqual([]);
  });

  it("the Border answers over tunnels for its own address alone (D15)", () => {
    const world = article();
    world.get("vm1").ping("50.1.1.1");
    world.settle();
    const replies = tell(world).filter((line) => line.startsWith("border>") && line.includes(" rep "));
    expect(replies).toEqual(["border>gw1 vni 10: G1.10/B.10 rep B.10,10.1.1.2 / G1.10,10.1.1.1"]);
  });
});
