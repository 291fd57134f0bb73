/** Next hops of routes and policies that die: noticed by asking, told wherever they are shown, and no noise on those asked. */
import { describe, expect, it } from "vitest";
import { Shown } from "../../src/api/shown.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import { checkNextHops, nextHopRows } from "../../src/liveness/next-hops.ts";
import { ARP_REQUEST, parseArp } from "../../src/wire/arp.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { arpFrame } from "../dataplane/packets.ts";
import { article, borderYaml } from "./article.ts";
import type { Gateway, World } from "./world.ts";

const shownOf = ({ control }: Gateway): Shown =>
  new Shown(control.shown, { view: () => ({ state: "unwatched" }) as never });
const told = ({ events }: Gateway, name: RegExp): string[] =>
  events.filter(({ event }) => name.test(event)).map(({ event, fields }) => `${event} ${JSON.stringify(fields)}`);
const gatewayOf = (world: World, name: string): Gateway => world.gateways.get(name)!;

/** Everybody on gw1 and gw2 has been outside, so the Border's addresses are known. */
function warm(outside: "static" | "policy"): World {
  const world = article({ outside });
  for (const vm of ["vm1", "vm2", "vm4", "vm5"]) world.get(vm).ping("50.1.1.1");
  world.settle();
  for (const vm of ["vm1", "vm2", "vm4", "vm5"]) expect(world.get(vm).replies).toHaveLength(1);
  world.clear();
  for (const { events } of world.gateways.values()) events.length = 0;
  return world;
}

/** Its daemon is killed: the machine, and so the tunnel, stays up. */
function kill(world: World, name: string): Gateway {
  const gateway = gatewayOf(world, name);
  world.gateways.delete(name);
  return gateway;
}

describe("a Border whose daemon dies", () => {
  it("is out of the route within three seconds, and told; its return is noticed within one", () => {
    const world = warm("static");
    const gw1 = gatewayOf(world, "gw1");
    const border = kill(world, "border");
    world.advance(3000);
    const dead = told(gw1, /^next-hop\./);
    expect(dead).toEqual(['next-hop.dead {"interface":"vsi-interface10","nextHop":"10.1.1.2","of":"route 0.0.0.0/0"}']);
    const route = [...rowsOf(shownOf(gw1).routes())].find(({ prefix }) => prefix === "0.0.0.0/0")!;
    expect(route.nextHops).toMatchObject([{ ip: "10.1.1.2", alive: false }]);
    const { hopStates, agent } = gw1.control.shown;
    world.advance(2000);
    expect(checkNextHops(hopStates)).toMatchObject([
      {
        result: "warn",
        name: "next hop 10.1.1.2",
        text: expect.stringMatching(/^of route 0\.0\.0\.0\/0: .* for [2-4] s$/),
      },
    ]);
    const rows = nextHopRows(hopStates, agent.neighbors.probes.counts).map(({ values }) => [...values()]);
    expect(rows[0]).toEqual([
      [{ interface: "vsi-interface10", state: "alive" }, 0],
      [{ interface: "vsi-interface10", state: "dead" }, 1],
    ]);
    expect(rows[1]!.find(([labels]) => labels.result === "missed")![1]).toBeGreaterThanOrEqual(3);
    world.gateways.set("border", border);
    world.advance(1000);
    expect(told(gw1, /^next-hop\./).at(-1)).toMatch(/^next-hop\.alive /);
    expect(checkNextHops(hopStates)).toMatchObject([{ result: "ok" }]);
    world.get("vm1").ping("50.1.1.1", { sequence: 2 });
    world.settle();
    expect(world.get("vm1").replies).toHaveLength(1);
  });

  it("behind a tunnel that is down, or whose gateway leaves: that is the cause, not its silence", () => {
    for (const [word, cause] of [
      ["down", "tunnel border is down"],
      ["draining", "the gateway behind tunnel border leaves"],
    ]) {
      const world = warm("static");
      const gw1 = gatewayOf(world, "gw1");
      const { topology, shown } = gw1.control;
      const tunnel = shown.inventory.tunnels().find(({ name }) => name === "border")!;
      if (word === "down") topology.setTunnelUp(tunnel, false);
      else topology.drainTunnel(tunnel);
      world.advance(500);
      expect(told(gw1, /^next-hop\.dead/)).toMatchObject([expect.stringContaining(`"cause":"${cause}"`)]);
      // What was behind it is forgotten after ten seconds, and why it is dead is not.
      world.advance(15_000);
      const [check] = checkNextHops(shown.hopStates);
      expect(check!.text).toMatch(new RegExp(`^of route 0\\.0\\.0\\.0/0: ${cause}; for 1[45] s$`));
      expect(check!.fix).not.toContain("vtepctl ping");
      topology.setTunnelUp(tunnel, true);
      world.advance(2000);
      expect(checkNextHops(shown.hopStates)).toMatchObject([{ result: "ok" }]);
    }
  });

  it("is dead in the rules of policies too", () => {
    const world = warm("policy");
    const gw1 = gatewayOf(world, "gw1");
    kill(world, "border");
    world.advance(3000);
    expect(
      shownOf(gw1)
        .policies()
        .map(({ rules }) => rules[0]!.alive),
    ).toEqual([false, false, true]);
    expect(told(gw1, /^next-hop\./)).toHaveLength(2);
  });
});

it("so many next hops that each is asked less often than it should be are told of", () => {
  const states = { dead: () => [], counts: () => new Map([["i", { alive: 1000, dead: 0 }]]) };
  expect(checkNextHops(states, { everyMs: 750, wantedMs: 750 })).toMatchObject([{ result: "ok" }]);
  expect(checkNextHops(states, { everyMs: 2000, wantedMs: 750 })).toMatchObject([
    { result: "ok" },
    { result: "warn", text: "1000 next hops: each is asked every 2000 ms, not every 750: a death is noticed later" },
  ]);
  const { probes } = gatewayOf(warm("static"), "gw1").control.agent.neighbors;
  expect(probes.pace).toEqual({ everyMs: 750, wantedMs: 750 });
});

it("a dead next hop is told with what looks for it: by vtepctl ping, but for an address of the link", () => {
  const more = { found: true, cause: null };
  const told = (ip: string) =>
    checkNextHops({
      dead: () => [
        { ip, tunnel: null, interface: "if10", of: ["route ::/0"], useCount: 1, alive: false, ...more, seconds: 4 },
      ],
      counts: () => new Map(),
    })[0]!;
  expect(told("10.1.1.2").text).toBe("of route ::/0: it has answered no ARP on if10 for 4 s");
  expect(told("10.1.1.2").fix).toContain("vtepctl ping 10.1.1.2 --interface if10");
  expect(told("2001:db8::2").text).toBe("of route ::/0: it has answered no neighbour solicitation on if10 for 4 s");
  expect(told("2001:db8::2").fix).toContain("vtepctl ping 2001:db8::2 --interface if10");
  expect(told("fe80::2").text).toContain("neighbour solicitation on if10");
  expect(told("fe80::2").fix).toMatch(/\? vtepctl show nd$/);
});

describe("a Border that drains", () => {
  it("is left within three seconds without a loss, and taken again when it does not any more", () => {
    const world = warm("static");
    const [gw1, border, vm1] = [gatewayOf(world, "gw1"), gatewayOf(world, "border"), world.get("vm1")];
    border.control.agent.setDraining(true);
    for (let sequence = 1; sequence <= 40; sequence++) {
      if (told(gw1, /^next-hop\.dead/).length > 0) break;
      vm1.ping("50.1.1.1", { sequence });
      world.advance(100);
      expect(vm1.replies).toHaveLength(sequence);
    }
    expect(told(gw1, /^next-hop\./)).toHaveLength(1);
    // What is outside is not asked to leave: it asks for itself, and is answered.
    const ext = world.get("ext");
    ext.ping("50.1.1.254");
    world.settle();
    expect(ext.replies).toHaveLength(1);
    border.control.agent.setDraining(false);
    world.advance(1000);
    expect(told(gw1, /^next-hop\./).at(-1)).toMatch(/^next-hop\.alive /);
  });
});

describe("a Border that drains and searches for a host", () => {
  it("finds it, and no peer takes it for alive by that", () => {
    const world = warm("static");
    const [gw1, border] = [gatewayOf(world, "gw1"), gatewayOf(world, "border")];
    border.control.agent.setDraining(true);
    world.advance(4000);
    expect(told(gw1, /^next-hop\./)).toHaveLength(1);
    shownOf(border).flushNeighbors("vsi-interface10", null, null, null);
    world.clear();
    const ext = world.get("ext");
    ext.ping("10.1.1.11", { sequence: 7 });
    world.advance(3000);
    const requests = world.get("vm1").received.filter((frame) => frame[23] === 1 && frame[34] === 8);
    expect(requests).toHaveLength(1);
    expect(told(gw1, /^next-hop\.alive/)).toEqual([]);
    // What went into tunnels: no ARP has an address of the Border as its sender, and no announcement is one of it.
    const arps = world.seen
      .filter(
        ({ where, from, bytes }) => where === "underlay" && from === "192.0.2.3" && bytes[20] === 8 && bytes[21] === 6,
      )
      .map(({ bytes }) => parseArp(bytes, 8, bytes.length)!);
    expect(arps.length).toBeGreaterThan(0);
    expect(arps.filter(({ senderIp }) => senderIp === parseIpv4("10.1.1.2"))).toEqual([]);
    border.control.agent.setDraining(false);
    world.advance(2000);
    expect(told(gw1, /^next-hop\./).at(-1)).toMatch(/^next-hop\.alive /);
  });
});

describe("a policy whose next hop dies", () => {
  /** On the Border: 50.1.1.1 is connected, and a rule sends vm1's packets to it through a firewall, 50.1.1.7. */
  function throughFirewall(onDead: string) {
    const world = article();
    const border = gatewayOf(world, "border");
    const rules = `rules: [{match: {source: 10.1.1.0/24}, nextHop: 50.1.1.7${onDead}}]`;
    border.reload(
      borderYaml().replace(/workers:/, `policies:\n  - {name: fw, interfaces: [vsi-interface10], ${rules}}\nworkers:`),
    );
    return { world, border, vm1: world.get("vm1") };
  }

  it("falls through to the table, and takes up its way again with the next hop's life", () => {
    const { world, border, vm1 } = throughFirewall("");
    vm1.ping("50.1.1.1");
    world.advance(3500);
    // The first packet began the search, which ended in vain.
    expect(vm1.replies).toHaveLength(0);
    expect(shownOf(border).policies()[0]!.rules[0]).toMatchObject({ alive: false, nextHops: [{ ip: "50.1.1.7" }] });
    vm1.ping("50.1.1.1", { sequence: 2 });
    world.advance(100);
    expect(vm1.replies).toHaveLength(1);
    const { tap, mac } = world.get("ext");
    const firewall = parseIpv4("50.1.1.7")!;
    const said = { ethDst: BROADCAST, ethSrc: mac, op: ARP_REQUEST, senderMac: mac, targetMac: 0 };
    tap.send(arpFrame({ ...said, senderIp: firewall, targetIp: firewall }));
    world.advance(100);
    expect(shownOf(border).policies()[0]!.rules[0]).toMatchObject({ alive: true });
  });

  it("drops where the rule says so, and counts it", () => {
    const { world, border, vm1 } = throughFirewall(", onDead: drop");
    vm1.ping("50.1.1.1");
    world.advance(3500);
    vm1.ping("50.1.1.1", { sequence: 2 });
    world.advance(100);
    expect(vm1.replies).toHaveLength(0);
    expect(border.drops).toMatchObject({ policy_next_hop_dead: 1 });
  });
});

describe("being asked each second", () => {
  it("is no news on a Border that all gateways ask by the address they share: no host moves, nothing is damped", () => {
    const world = warm("policy");
    world.advance(300_000, 250);
    const border = gatewayOf(world, "border");
    expect(told(border, /moved|damped|duplicate|learned/)).toEqual([]);
    expect(shownOf(border).duplicates()).toEqual([]);
    for (const name of ["gw1", "gw2"]) expect(told(gatewayOf(world, name), /next-hop|failed|duplicate/)).toEqual([]);
    expect(border.drops).toEqual({});
  });
});
