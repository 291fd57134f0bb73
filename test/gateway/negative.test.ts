import { describe, expect, it } from "vitest";
import { parseArp } from "../../src/wire/arp.ts";
import { BROADCAST, readMac } from "../../src/wire/ethernet.ts";
import { ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE } from "../../src/wire/icmp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { article, tell } from "./article.ts";
import { icmpPacket } from "./vm.ts";

const onUnderlay = (frames: string[]): string[] => frames.filter((f) => f.includes(" vni "));

describe("what must not happen (behaviour.md §2.4)", () => {
  it("no frame from a tunnel leaves on a tunnel by bridging (N1)", () => {
    const world = article();
    const vm4 = world.get("vm4");
    // A broadcast that is no ARP, and an unknown unicast: one copy per remote VTEP, and none of those comes out again.
    for (const dst of [BROADCAST, 0x020000009999]) {
      world.clear();
      vm4.tap.send(udpFrame({ dst, src: vm4.mac, from: vm4.ip, to: -1 }));
      world.settle();
      const underlay = onUnderlay(tell(world));
      expect(underlay).toHaveLength(2);
      expect(underlay.every((f) => f.startsWith("gw2>"))).toBe(true);
      expect(tell(world).filter((f) => f.startsWith("gw1>vm1"))).toHaveLength(1);
    }
  });

  it("vm1's own MAC never appears inside a VXLAN ARP (N2)", () => {
    const world = article();
    world.get("vm1").ping("10.1.1.12");
    world.get("vm1").ping("20.1.1.12");
    world.get("vm1").ask("10.1.1.77");
    world.advance(5000);
    const macs = world.seen
      .filter((s) => s.where === "underlay")
      .flatMap((s) => {
        const arp = parseArp(s.bytes, 8, s.bytes.length);
        return arp === null ? [] : [arp.ethSrc, arp.senderMac, arp.targetMac, readMac(s.bytes, 14)];
      });
    expect(macs.length).toBeGreaterThan(0);
    expect(macs).not.toContain(world.get("vm1").mac);
  });

  it("an ARP for the gateway from an AC makes exactly one frame (N3)", () => {
    const world = article();
    world.get("vm1").ask("10.1.1.1");
    world.advance(3000);
    expect(tell(world)).toEqual([
      "vm1>gw1: ff/M1 req M1,10.1.1.11 / 0,10.1.1.1",
      "gw1>vm1: M1/G1.10 rep G1.10,10.1.1.1 / M1,10.1.1.11",
    ]);
  });

  it("a probe for an unused address gets no answer from any gateway (N4)", () => {
    const world = article();
    world.get("vm1").sendArp({ op: 1, senderIp: 0, targetIp: parseIpv4("10.1.1.99")! });
    world.advance(5000);
    expect(tell(world).filter((f) => f.includes(" rep "))).toEqual([]);
    // It is relayed to the other sites with the sender kept at 0.0.0.0 (§3.3).
    expect(tell(world)).toContain("gw1>gw2 vni 10: ff/G1.10 req G1.10,0.0.0.0 / 0,10.1.1.99");
    expect(tell(world)).toContain("gw2>vm4: ff/G2.10 req G2.10,0.0.0.0 / 0,10.1.1.99");
  });

  it("but a probe for an address that lives is answered, so that duplicates are found (N4)", () => {
    const world = article();
    world.get("vm4").ask("10.1.1.1");
    world.get("vm1").ping("10.1.1.12");
    world.settle();
    world.clear();
    world.get("vm1").sendArp({ op: 1, senderIp: 0, targetIp: parseIpv4("10.1.1.12")! });
    world.settle();
    expect(tell(world).filter((f) => f.includes("gw1>vm1") && f.includes(" rep "))).toHaveLength(1);
  });

  it("no ICMP redirect, whatever is sent (N5)", () => {
    const world = article();
    world.get("vm1").ping("10.1.1.12");
    world.get("vm1").ping("20.1.1.11");
    world.get("vm1").ping("50.1.1.1");
    world.settle();
    expect(tell(world).filter((f) => f.includes("icmp 5/"))).toEqual([]);
  });

  it("a dead address: an ARP answer at once, ICMP host unreachable within 4 s (N6)", () => {
    const world = article();
    world.get("vm1").ping("10.1.1.77");
    world.settle();
    expect(world.get("vm1").arp.has(parseIpv4("10.1.1.77")!)).toBe(true);
    world.advance(4000);
    const errors = world.get("vm1").icmp.filter((m) => m.type === ICMP_UNREACHABLE);
    expect(errors.map((m) => `${m.code} from ${m.from}`)).toEqual(["1 from 10.1.1.1"]);
    // At most one solicitation a second, whatever arrives.
    const asked = onUnderlay(tell(world)).filter((f) => f.includes("gw1>gw2") && f.includes(" req "));
    expect(asked.length).toBeLessThanOrEqual(5);
  });

  it("in verified mode: no ARP answer (N6)", () => {
    const world = article({ proxyArp: "verified" });
    world.get("vm1").ping("10.1.1.77");
    world.advance(5000);
    expect(world.get("vm1").arp.size).toBe(0);
    world.clear();
    world.get("vm1").ping("10.1.1.12");
    world.advance(1000);
    expect(world.get("vm1").replies).toEqual(["10.1.1.12 ttl=62"]);
  });

  it("no answer to a request from a tunnel for an address behind another tunnel (N7)", () => {
    const world = article();
    world.get("vm4").ping("10.1.1.11"); // now gw2 knows 10.1.1.11 behind gw1
    world.settle();
    world.clear();
    // The Border asks for 10.1.1.11: gw1 answers, gw2 does not.
    world.get("ext").ping("10.1.1.11");
    world.settle();
    const answers = onUnderlay(tell(world)).filter((f) => f.includes(" rep ") && f.includes(",10.1.1.11 /"));
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.every((f) => f.startsWith("gw1>border"))).toBe(true);
  });

  it("two gateways that ask for vm5 within the same second both get a reply (N8)", () => {
    const world = article();
    world.get("vm1").ping("20.1.1.12");
    world.get("ext").ping("20.1.1.12");
    world.settle();
    expect(world.get("vm1").replies).toEqual(["20.1.1.12 ttl=62"]);
    expect(world.get("ext").replies).toEqual(["20.1.1.12 ttl=62"]);
  });

  it("TTL 1 from vm1 to vm4: one time-exceeded, nothing on the tunnel (N9)", () => {
    const world = article();
    world.get("vm1").ping("10.1.1.12");
    world.settle();
    world.clear();
    world.get("vm1").ping("10.1.1.12", { ttl: 1 });
    world.settle();
    expect(world.get("vm1").icmp.map((m) => `${m.type}/${m.code} ${m.from}`)).toEqual([
      `${ICMP_TIME_EXCEEDED}/0 10.1.1.1`,
    ]);
    expect(onUnderlay(tell(world))).toEqual([]);
  });

  it("a DF packet one byte too long: ICMP 3/4 with the overlay MTU, nothing on the wire (N10)", () => {
    const world = article();
    world.get("vm1").ping("10.1.1.12");
    world.settle();
    world.clear();
    world.get("vm1").ping("10.1.1.12", { payload: 1450 - 28 });
    world.settle();
    expect(world.get("vm1").replies).toHaveLength(1);
    world.clear();
    world.get("vm1").ping("10.1.1.12", { payload: 1450 - 27 });
    world.settle();
    expect(world.get("vm1").icmp.map((m) => `${m.type}/${m.code} mtu ${m.rest}`)).toEqual(["3/4 mtu 1450"]);
    expect(onUnderlay(tell(world))).toEqual([]);
  });

  it("without DF the packet is fragmented inside, and the pieces are a packet again", () => {
    const world = article();
    const [vm1, vm4] = [world.get("vm1"), world.get("vm4")];
    vm1.ping("10.1.1.12");
    world.settle();
    world.clear();
    vm1.sendPacket(icmpPacket(vm1.ip, vm4.ip, 8, 64, 9, 2000, false));
    world.settle();
    const pieces = vm4.received
      .filter((f) => f[23] === 1)
      .map((f) => ({ at: ((f[20]! & 31) << 8) | f[21]!, more: f[20]! >> 5, bytes: f.length - 34 }));
    expect(pieces.map((p) => p.bytes).reduce((a, b) => a + b, 0)).toBe(2008);
    expect(pieces.every((p) => p.bytes <= 1430)).toBe(true);
    expect(pieces.map((p) => p.more)).toEqual([1, 0]);
    expect(pieces[1]!.at * 8).toBe(pieces[0]!.bytes);
  });
});
