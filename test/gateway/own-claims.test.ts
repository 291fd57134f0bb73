/** A VM claims its gateway's address where one other host hears it: in a frame to that host alone, or in what is bridged (behaviour.md §3.7). */
import { describe, expect, it } from "vitest";
import { ARP_REPLY, ARP_REQUEST } from "../../src/wire/arp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { ALL_NODES } from "../../src/wire/nd.ts";
import { LINK, NET, Sites6 } from "./host6.ts";
import { gw, sites } from "./sites.ts";

const C = NET | 0x13n;
const MODES = ["", ", arp: suppress", ", arp: flood"];

describe("ARP", () => {
  it.each(MODES)("to another VM's MAC, or to all: arp_gw_spoof, and no VM hears it%s", (vsi) => {
    const world = sites(
      2,
      (n) => `vsis: [{name: vsi10, vni: 10${vsi}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24}]
acs: [${(n === 1 ? ["a", "b"] : ["c"]).map((name) => `{name: ${name}, vsi: vsi10, tap: {device: ${name}}, routerAdvertisements: allow}`).join(", ")}]`,
    );
    const [a, b, c] = [
      ["a", 1, 11],
      ["b", 1, 12],
      ["c", 2, 13],
    ].map(([name, site, host]) =>
      world.vm(gw(world, site as number), {
        ...{ name: name as string, ip: `10.1.1.${host}`, mac: `02:00:00:00:01:${host}`, gateway: "10.1.1.1" },
      }),
    ) as [ReturnType<typeof world.vm>, ReturnType<typeof world.vm>, ReturnType<typeof world.vm>];
    const senderIp = parseIpv4("10.1.1.1")!;
    for (const vm of [a, b, c]) vm.sendArp({ op: ARP_REPLY, targetIp: vm.ip });
    world.settle();
    const before = { b: b.received.length, c: c.received.length };
    // What it says of itself is bridged as ever, and carries nothing of the same run past control.
    a.sendArp({ op: ARP_REPLY, targetIp: b.ip, ethDst: b.mac });
    for (const vm of [b, c])
      for (const op of [ARP_REQUEST, ARP_REPLY]) a.sendArp({ op, senderIp, targetIp: vm.ip, ethDst: vm.mac });
    a.sendArp({ op: ARP_REPLY, senderIp, targetIp: senderIp });
    world.settle();
    expect(gw(world, 1).drops).toEqual({ arp_gw_spoof: 5 });
    expect([b.received.length - before.b, c.received.length - before.c]).toEqual([1, 0]);
  });
});

describe("neighbour discovery", () => {
  const claims: [string, (sites: Sites6, dst: number) => void][] = [
    ["its address, in an advertisement to that host's MAC", ({ vm1 }, dst) => vm1.tell(NET | 1n, C, dst)],
    ["the same to all nodes", ({ vm1 }, dst) => vm1.tell(NET | 1n, ALL_NODES, dst)],
    ["its link-local address", ({ vm1 }, dst) => vm1.tell(LINK | 1n, LINK | 0x13n, dst)],
    ["its address, by asking", ({ vm1 }, dst) => vm1.ask(C, { from: NET | 1n, to: dst })],
    ["its link-local address, by asking", ({ vm1 }, dst) => vm1.ask(LINK | 0x13n, { from: LINK | 1n, to: dst })],
    ["its address, by asking all for a link-local one", ({ vm1 }) => vm1.ask(LINK | 0x13n, { from: NET | 1n })],
  ];
  it.each(["", ", arp: suppress", ", arp: flood"])("is heard by no host%s", (vsi) => {
    for (const [what, claim] of claims) {
      const sites = new Sites6({ vsi });
      for (const host of [sites.vm3, sites.vm4]) {
        claim(sites, host.mac);
        sites.world.settle();
      }
      for (const host of [sites.vm3, sites.vm4]) {
        const told = [...host.neighbors].filter(
          ([ip, mac]) => (ip === (NET | 1n) || ip === (LINK | 1n)) && mac === sites.vm1.mac,
        );
        expect([what, told]).toEqual([what, []]);
      }
      expect([what, sites.gw1.drops]).toEqual([what, { nd_gw_spoof: 2 }]);
    }
  });

  it.each(MODES)("nor with another MAC than the frame's%s", (vsi) => {
    const sites = new Sites6({ vsi });
    const lie = 0x020000006666;
    for (const target of [C, LINK | 0x13n]) sites.vm1.ask(target, { from: NET | 1n, mac: lie });
    sites.world.settle();
    for (const host of [sites.vm3, sites.vm4]) expect([...host.neighbors.values()]).not.toContain(lie);
    const { nd_gw_spoof = 0, nd_src_mismatch = 0 } = sites.gw1.drops;
    expect(nd_gw_spoof + nd_src_mismatch).toBe(2);
  });
});
