/** Neighbour discovery between hosts of two sites, whole gateways over memory io (behaviour.md §10). */
import { describe, expect, it } from "vitest";
import { ICMP6_UNREACHABLE } from "../../src/wire/icmp6.ts";
import { formatIpv6 } from "../../src/wire/ipv6.ts";
import { groupMac, solicitedNode } from "../../src/wire/nd.ts";
import { packet6, sealed } from "../dataplane/packets6.ts";
import { toHex } from "../wire/hex.ts";
import { Host6, LINK, NET, Sites6, site6 } from "./host6.ts";

const [A, B, C] = [NET | 0x11n, NET | 0x12n, NET | 0x13n];

describe("vm1 asks for vm4 (rows 1 to 8)", () => {
  const sites = new Sites6();
  const { vm1, vm3, vm4, world } = sites;
  vm1.ask(B);
  world.settle();

  it("is answered with its gateway's MAC, R = 0", () => {
    expect(sites.said(vm1)).toEqual(["NA 10::12 10::1>10::11 R0S1O1 gw1"]);
  });

  it("all sites are asked with the gateways' MACs", () => {
    expect(sites.said(vm3)).toEqual(["NS 10::12 10::11>ff02::1:ff00:12 gw1"]);
    expect(sites.said(vm4)).toEqual(["NS 10::12 10::11>ff02::1:ff00:12 gw2"]);
    expect(sites.inTunnels()).toEqual([
      "1: NS 10::12 10::11>ff02::1:ff00:12 gw1",
      "2: NA 10::12 10::1>10::11 R0S1O1 gw2",
    ]);
  });

  it("both gateways know both hosts, each in its place", () => {
    const placeAt = (gateway: typeof sites.gw1, ip: bigint) => {
      const { agent, inventory } = gateway.control.shown;
      return agent.neighbors.find(inventory.interface("if10")!, ip)?.place?.port.name;
    };
    expect([placeAt(sites.gw1, A), placeAt(sites.gw1, B)]).toEqual(["vm1", "gw2"]);
    expect([placeAt(sites.gw2, A), placeAt(sites.gw2, B)]).toEqual(["gw1", "vm4"]);
  });

  it("asked again by unicast, as unreachability detection does, it is answered from the table (V11)", () => {
    sites.clear();
    vm1.ask(B, { to: vm1.neighbors.get(B)! });
    world.settle();
    expect(sites.said(vm1)).toEqual(["NA 10::12 10::1>10::11 R0S1O1 gw1"]);
    expect([sites.inTunnels(), sites.gw1.drops]).toEqual([[], {}]);
  });

  it("no frame in a tunnel tells a host's MAC of an address of the subnet", () => {
    const macs = [vm1, vm3, vm4].map(({ mac }) => mac.toString(16).padStart(12, "0"));
    const seen = world.seen.filter(({ where }) => where === "underlay");
    for (const { bytes } of seen) for (const mac of macs) expect(Buffer.from(bytes).toString("hex")).not.toContain(mac);
  });
});

describe("a next hop that does not answer", () => {
  it("is said to be unreachable to each sender, also where they are of one prefix", () => {
    const sites = new Sites6({ addresses: '[10.1.1.1/24, "2001:db8:10::1/64", "2001:db8:20::1/64"]' });
    const { vm1, vm3, world, gw1 } = sites;
    for (const vm of [vm1, vm3]) vm.ask(NET | 1n);
    world.settle();
    sites.clear();
    const dst = gw1.control.shown.inventory.interface("if10")!.mac;
    const rest = Uint8Array.of(128, ...new Uint8Array(15));
    for (const vm of [vm1, vm1, vm3]) {
      const from = formatIpv6(vm.addresses[0]!);
      const echo = packet6({ dst, src: vm.mac, from, to: "2001:db8:20::77", next: 58, rest });
      vm.tap.send(sealed(echo, 56, 16));
    }
    world.advance(8000);
    const told = (vm: typeof vm1) =>
      vm.frames.filter((frame) => frame[20] === 58 && frame[54] === ICMP6_UNREACHABLE).length;
    expect([told(vm1), told(vm3)]).toEqual([1, 1]);
    expect(gw1.drops).toMatchObject({ unresolved_timeout: 3 });
  });
});

describe("the gateway's own addresses", () => {
  it("are answered for with R = 1, at one's own site alone", () => {
    const sites = new Sites6();
    sites.vm1.ask(NET | 1n);
    sites.vm1.ask(LINK | 1n);
    sites.vm1.ask(LINK | 1n, { from: LINK | 0x11n });
    sites.world.settle();
    expect(sites.said(sites.vm1)).toEqual([
      "NA 10::1 10::1>10::11 R1S1O1 gw1",
      "NA fe80::1 fe80::1>10::11 R1S1O1 gw1",
      "NA fe80::1 fe80::1>fe80::11 R1S1O1 gw1",
    ]);
    expect([sites.inTunnels(), sites.said(sites.vm4), sites.said(sites.vm3)]).toEqual([[], [], []]);
  });

  it("are defended, once in ten seconds", () => {
    const sites = new Sites6();
    for (let n = 0; n < 3; n++) sites.vm1.tell(LINK | 1n);
    sites.vm1.ask(B, { from: NET | 1n });
    sites.world.settle();
    expect(sites.gw1.drops).toEqual({ nd_gw_spoof: 4 });
    expect(sites.said(sites.vm1)).toEqual([
      "NA fe80::1 fe80::1>ff02::1 R1S0O1 gw1",
      "NA 10::1 10::1>ff02::1 R1S0O1 gw1",
    ]);
    expect(sites.inTunnels()).toEqual([]);
  });
});

describe("duplicate address detection", () => {
  it("of a free address: all hear of it without a MAC, none learns, none answers", () => {
    const sites = new Sites6();
    const free = NET | 0x77n;
    sites.vm1.probe(free, new Uint8Array([1, 2, 3, 4, 5, 6]));
    sites.world.advance(1000);
    expect(sites.said(sites.vm1)).toEqual([]);
    expect(sites.said(sites.vm3)).toEqual(["NS 10::77 ::>ff02::1:ff00:77 gw1"]);
    expect(sites.said(sites.vm4)).toEqual(["NS 10::77 ::>ff02::1:ff00:77 gw2"]);
    expect(sites.vm4.heard[0]).toMatchObject({ mac: null, nonce: new Uint8Array([1, 2, 3, 4, 5, 6]) });
    for (const { control } of [sites.gw1, sites.gw2]) expect(control.agent.neighbors.size).toBe(0);
  });

  it("of one that a host at the other site has: the host is asked, and the one that probed is told, in a frame to it alone", () => {
    const sites = new Sites6();
    sites.vm1.probe(B);
    sites.world.settle();
    expect(sites.vm1.duplicates).toContain(B);
    const told = sites.vm1.heard.filter(({ ethDst }) => ethDst === sites.vm1.mac);
    expect(told).toMatchObject([{ target: B, isSolicited: false, isRouter: false, mac: sites.vm1.heard[0]!.ethSrc }]);
  });

  it("of one that was heard of just now: the gateway answers at once", () => {
    const sites = new Sites6();
    sites.vm3.ask(NET | 1n);
    sites.world.settle();
    sites.clear();
    sites.vm1.probe(C);
    sites.world.settle();
    expect(sites.said(sites.vm1)).toEqual(["NA 10::13 10::1>ff02::1 R0S0O1 gw1"]);
    expect(sites.inTunnels()).toEqual([]);
  });

  it("of its own by a host that was heard of at the other site just now, and starts again here: it is free", () => {
    const sites = new Sites6();
    sites.vm1.ask(B);
    sites.world.settle();
    const { topology, inventory } = sites.gw2.control.shown;
    topology.setAcUp(inventory.ac("vm4")!, false);
    sites.world.advance(5000);
    const moved = new Host6(sites.vm3.tap, "vm4", "02:00:00:00:01:12", []);
    moved.probe(B, new Uint8Array(6).fill(7));
    sites.world.advance(1500);
    expect(moved.duplicates).toEqual([]);
  });

  it("of a gateway's address", () => {
    const sites = new Sites6();
    sites.vm1.probe(NET | 1n);
    sites.vm4.probe(LINK | 1n);
    sites.world.settle();
    expect([sites.vm1.duplicates, sites.vm4.duplicates]).toEqual([[NET | 1n], [LINK | 1n]]);
    expect(sites.inTunnels()).toEqual([]);
  });

  it("of one's own address again: silence", () => {
    const sites = new Sites6();
    sites.vm1.ask(NET | 1n);
    sites.world.settle();
    sites.clear();
    sites.vm1.probe(A);
    sites.world.advance(1000);
    expect([sites.vm1.duplicates, sites.said(sites.vm1)]).toEqual([[], []]);
  });

  it.each([
    ["at two sites", "vm1", "vm4"],
    ["at one", "vm1", "vm3"],
  ] as const)("by two hosts at once %s: both hear of it (RFC 4862 §5.4.3)", (_, one, other) => {
    for (const apartMs of [0, 100, 700]) {
      const sites = new Sites6();
      const free = NET | 0x99n;
      sites[one].tentative.push(free);
      sites[other].tentative.push(free);
      sites[one].probe(free, new Uint8Array(6).fill(1));
      sites.world.advance(apartMs);
      sites[other].probe(free, new Uint8Array(6).fill(2));
      sites.world.settle();
      expect([apartMs, sites[one].duplicates.length > 0, sites[other].duplicates.length > 0]).toEqual([
        apartMs,
        true,
        true,
      ]);
    }
  });
});

describe("hosts' link-local addresses (V4)", () => {
  it("are bridged, at the hosts' own MACs", () => {
    const sites = new Sites6();
    sites.vm1.ask(LINK | 0x12n, { from: LINK | 0x11n });
    sites.world.settle();
    expect(sites.said(sites.vm4)).toEqual(["NS fe80::12 fe80::11>ff02::1:ff00:12 vm1"]);
    expect(sites.said(sites.vm1)).toEqual(["NA fe80::12 fe80::12>fe80::11 R0S1O1 vm4"]);
    for (const { control, drops } of [sites.gw1, sites.gw2])
      expect([control.agent.neighbors.size, drops]).toEqual([0, {}]);
  });

  it("are not told of at the gateway's MAC when one asks for an address of the subnet (V6)", () => {
    const sites = new Sites6();
    sites.vm1.ask(B, { from: LINK | 0x11n });
    sites.world.settle();
    expect(sites.said(sites.vm1)).toEqual(["NA 10::12 fe80::1>fe80::11 R0S1O1 gw1"]);
    expect(sites.said(sites.vm4)).toEqual(["NS 10::12 fe80::1>ff02::1:ff00:12 gw2"]);
    expect(sites.vm4.neighbors.has(LINK | 0x11n)).toBe(false);
  });
});

describe("linkLocal: isolate", () => {
  const isolated = () => {
    const sites = new Sites6({ vsi: ", linkLocal: isolate" });
    sites.vm1.ask(LINK | 0x12n, { from: LINK | 0x11n });
    sites.vm1.ask(LINK | 0x13n, { from: LINK | 0x11n });
    sites.world.settle();
    return sites;
  };

  it("hosts do not find each other's link-local addresses, here or there", () => {
    const sites = isolated();
    expect([sites.said(sites.vm3), sites.said(sites.vm4), sites.inTunnels()]).toEqual([[], [], []]);
    expect(sites.gw1.drops).toEqual({ link_isolated: 2 });
  });

  it("they find the gateway's, and addresses of the subnet", () => {
    const sites = isolated();
    sites.vm1.ask(LINK | 1n, { from: LINK | 0x11n });
    sites.vm1.ask(B, { from: LINK | 0x11n });
    sites.world.settle();
    expect(sites.said(sites.vm1)).toEqual([
      "NA fe80::1 fe80::1>fe80::11 R1S1O1 gw1",
      "NA 10::12 fe80::1>fe80::11 R0S1O1 gw1",
    ]);
    sites.clear();
    sites.vm4.ask(A);
    sites.world.settle();
    expect(sites.said(sites.vm4)).toEqual(["NA 10::11 10::1>10::12 R0S1O1 gw2"]);
  });

  it("begins and ends with a reload", () => {
    const sites = new Sites6();
    const isDropped = () => {
      sites.clear();
      sites.vm1.ask(LINK | 0x12n, { from: LINK | 0x11n });
      sites.world.settle();
      return sites.said(sites.vm4).length === 0;
    };
    const found = ["bridge", "isolate", "bridge"].map((linkLocal) => {
      sites.gw1.reload(site6(1, { vsi: `, linkLocal: ${linkLocal}` }));
      return isDropped();
    });
    expect(found).toEqual([false, true, false]);
  });
});

describe("naSource: target", () => {
  it("an advertisement for a host has that host's address as its source, one for the gateway the gateway's", () => {
    const sites = new Sites6({ iface: ", naSource: target" });
    sites.vm1.ask(B);
    sites.vm1.ask(NET | 1n);
    sites.world.settle();
    expect(sites.said(sites.vm1)).toEqual(["NA 10::12 10::12>10::11 R0S1O1 gw1", "NA 10::1 10::1>10::11 R1S1O1 gw1"]);
    expect(sites.inTunnels()).toEqual([
      "1: NS 10::12 10::11>ff02::1:ff00:12 gw1",
      "2: NA 10::12 10::12>10::11 R0S1O1 gw2",
    ]);
  });

  it("so does an announcement", () => {
    const sites = new Sites6({ iface: ", naSource: target" });
    sites.vm1.tell(A);
    sites.world.settle();
    expect(sites.said(sites.vm4)).toEqual(["NA 10::11 10::11>ff02::1 R0S0O1 gw2"]);
  });

  it.each([
    ["target", "12", "69ba"],
    ["gateway", "01", "69cb"],
  ])("%s: to the byte, checksum by hand", (naSource, from, checksum) => {
    const sites = new Sites6({ iface: `, naSource: ${naSource}, mac: "02:4f:20:00:00:0a"` });
    sites.vm1.ask(B);
    sites.world.settle();
    const [net, ethernet] = ["20010db80010000000000000000000", "020000000111 024f2000000a 86dd"];
    expect(sites.vm1.frames.map((frame) => toHex(frame))).toEqual([
      `${ethernet} 60000000 0020 3a ff ${net}${from} ${net}11
       8800 ${checksum} 60000000 ${net}12 0201 024f2000000a`.replaceAll(/\s/g, ""),
    ]);
  });
});

describe("announcements and moves", () => {
  it("a host's unsolicited advertisement reaches all sites with the gateways' MACs (V10)", () => {
    const sites = new Sites6();
    sites.vm1.tell(A);
    sites.world.settle();
    expect(sites.said(sites.vm3)).toEqual(["NA 10::11 10::1>ff02::1 R0S0O1 gw1"]);
    expect(sites.said(sites.vm4)).toEqual(["NA 10::11 10::1>ff02::1 R0S0O1 gw2"]);
  });

  it("a router's keeps its flag on the way", () => {
    const sites = new Sites6();
    sites.vm1.isRouter = true;
    sites.vm1.tell(A);
    sites.world.settle();
    expect(sites.said(sites.vm4)).toEqual(["NA 10::11 10::1>ff02::1 R1S0O1 gw2"]);
  });

  it("a host that moves to the other site is believed within a second", () => {
    const sites = new Sites6();
    sites.vm1.ask(B);
    sites.world.settle();
    sites.vm1.alive = false;
    sites.vm4.addresses.push(A);
    sites.vm4.tell(A);
    sites.world.advance(1000);
    const { agent, inventory } = sites.gw1.control.shown;
    expect(agent.neighbors.find(inventory.interface("if10")!, A)!.place!.port.name).toBe("gw2");
    sites.clear();
    sites.vm3.ask(A);
    sites.world.settle();
    expect(sites.said(sites.vm3)[0]).toBe("NA 10::11 10::1>10::13 R0S1O1 gw1");
  });
});

describe("what is refused", () => {
  it("another MAC than the frame's, and addresses of elsewhere", () => {
    const sites = new Sites6();
    sites.vm1.ask(B, { mac: sites.vm3.mac });
    sites.vm1.ask(NET | (7n << 64n));
    sites.vm1.ask(B, { from: 1n });
    sites.world.settle();
    expect(sites.gw1.drops).toEqual({ nd_src_mismatch: 1, nd_not_local: 1, nd_martian: 1 });
  });

  it("behind extension headers nothing is bridged that control has not seen", () => {
    const sites = new Sites6();
    const plain: Uint8Array[] = [];
    const send = sites.vm1.tap.send;
    sites.vm1.tap.send = (frame) => void plain.push(frame);
    sites.vm1.ask(B);
    const [frame] = plain;
    const hidden = new Uint8Array([...frame!.subarray(0, 54), 58, 0, 1, 4, 0, 0, 0, 0, ...frame!.subarray(54)]);
    hidden[20] = 60;
    hidden[19]! += 8;
    send(hidden);
    sites.world.settle();
    expect(sites.gw1.drops).toEqual({ nd_malformed: 1 });
    expect(sites.vm4.frames).toEqual([]);
  });
});

describe("a scan", () => {
  it("of 10,000 addresses floods what its ration allows, and slows neither ARP nor what is known", () => {
    const sites = new Sites6();
    sites.vm1.ask(B);
    sites.vm3.ask(NET | 1n);
    sites.world.settle();
    sites.clear();
    const before = sites.gw1.control.agent.arp.counts.byName.get("vsi10")?.gateway_reply ?? 0;
    for (let n = 0; n < 10_000; n++) {
      sites.vm1.ask(NET | BigInt(0x10000 + n));
      if (n % 100 === 99) {
        sites.vm3.ask(B);
        sites.world.advance(10);
      }
    }
    const seconds = 1;
    expect(sites.inTunnels().length).toBeLessThanOrEqual(200 * (seconds + 1));
    const answers = sites.said(sites.vm3).filter((text) => text.startsWith("NA 10::12"));
    expect(answers.length).toBe(100);
    expect(before).toBe(sites.gw1.control.agent.arp.counts.byName.get("vsi10")?.gateway_reply ?? 0);
  });
});

describe("mode suppress", () => {
  it("answers with the host's own MAC, and floods what it does not know as it came", () => {
    const sites = new Sites6({ vsi: ", arp: suppress" });
    sites.vm1.ask(B);
    sites.world.settle();
    expect(sites.said(sites.vm4)).toEqual(["NS 10::12 10::11>ff02::1:ff00:12 vm1"]);
    expect(sites.said(sites.vm1)).toEqual(["NA 10::12 10::12>10::11 R0S1O1 vm4"]);
    sites.clear();
    sites.vm3.ask(B);
    sites.world.settle();
    expect(sites.said(sites.vm3)).toEqual(["NA 10::12 10::12>10::13 R0S1O1 vm4"]);
    expect(sites.inTunnels()).toEqual([]);
  });
});

it("groups are what the bed says", () => {
  expect(groupMac(solicitedNode(B)).toString(16)).toBe("3333ff000012");
});
