/**
 * The topology with the real learners: what is pinned, resolved and routed after random changes is what a fresh gateway
 * has; and no number of changes uses up a row of any pool.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { configDiff } from "../../src/config/diff.ts";
import { Agent } from "../../src/control/agent.ts";
import { Injector } from "../../src/control/inject.ts";
import { Inventory } from "../../src/control/inventory.ts";
import type { Config } from "../../src/control/plan.ts";
import { Routes } from "../../src/control/routes/routes.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import { Timers } from "../../src/control/timers.ts";
import { FORMER_MAC_MS } from "../../src/control/topology/former-macs.ts";
import { Topology } from "../../src/control/topology/topology.ts";
import { interfaceViews, policyViews, routeViews, tunnelViews, vsiViews } from "../../src/control/topology/views.ts";
import { PUNT } from "../../src/tables/counters.ts";
import { R_ARG, R_KIND, R_LENGTH, R_PORT, R_UNITS, R_VSI, RECORD_WORDS } from "../../src/tables/ring.ts";
import { createTables, type Sizes } from "../../src/tables/tables.ts";
import { setI32 } from "../../src/wire/bytes.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import { IP_DST, parseIpv4 } from "../../src/wire/ipv4.ts";
import { NotingOpener } from "./noting-opener.ts";
import { anyPlan } from "./random-plan.ts";
import { plan, SIZES } from "./topology-bed.ts";

class Gateway {
  readonly tables;
  readonly timers = new Timers(0);
  readonly inventory = new Inventory();
  readonly routes: Routes;
  readonly agent: Agent;
  readonly topology: Topology;
  nowMs = 0;

  constructor(config: Config, sizes: Sizes = SIZES) {
    const { timers, inventory } = this;
    this.tables = createTables(sizes).tables;
    const { tables } = this;
    const injector = new Injector(tables.injects, () => {});
    this.routes = new Routes(tables, timers, () => undefined, 7);
    const common = { tables, timers, inventory, routes: this.routes, emit: () => {} };
    this.agent = new Agent({ ...common, injector, node: "gw1", random: () => 0.5, limits: config.limits });
    this.topology = new Topology({
      ...common,
      learners: this.agent,
      opener: new NotingOpener(),
      commands: injector,
      difference: configDiff,
      isDrained: (worker) => tables.injects[worker]!.isEmpty,
      settings: config,
      underlayMtu: 1600,
      seed: 7,
    });
  }

  apply(config: Config): void {
    const result = this.topology.apply(config);
    if (!result.ok) throw new Error(result.reason);
    this.run(20);
  }

  /** The workers take what was injected, and time goes by. */
  run(ms: number): void {
    for (let half = 0; half < 2; half++) {
      this.drain();
      this.nowMs += ms / 2;
      this.agent.poll(this.nowMs);
    }
    this.drain();
  }

  private drain(): void {
    for (const ring of this.tables.injects) for (let at = ring.peek(); at >= 0; at = ring.peek()) ring.release(at);
  }

  /** A worker punts an IPv4 packet whose next hop it cannot rewrite. */
  wantNextHop(on: string, ip: string, port: string): void {
    const ring = this.tables.punts[0]!;
    const at = ring.reserve(60);
    const words = ring.words;
    words.fill(0, at + 1, at + RECORD_WORDS + 15);
    words[at + R_KIND] = PUNT.unresolved;
    words[at + R_PORT] = this.inventory.ac(port)!.row;
    words[at + R_VSI] = this.inventory.interface(on)!.vsis[0]!.row;
    words[at + R_ARG] = this.inventory.interface(on)!.row;
    setI32(ring.bytes, ring.frameAt(at) + ETH_BYTES + IP_DST, parseIpv4(ip)!);
    words[at + R_UNITS] = 1;
    words[at + R_LENGTH] = 60;
    ring.commit();
  }

  routeViews() {
    const { tables, inventory, routes, topology } = this;
    const vrfNames = topology.interfaces.vrfNames();
    return [...rowsOf(routeViews({ tables, inventory, routes, hops: topology, vrfNames }))];
  }

  meaning(): Record<string, string[]> {
    const text = (list: readonly unknown[]) => list.map((each) => JSON.stringify(each)).sort();
    const { inventory, topology, agent } = this;
    const vsis = vsiViews(inventory, topology.counted).map(({ row: _r, countedBefore: _c, ...rest }) => rest);
    const tunnels = tunnelViews(inventory, topology.counted).map(({ row: _r, countedBefore: _c, vsis, ...rest }) => ({
      ...rest,
      vsis: [...vsis].sort(),
    }));
    const policies = policyViews(topology.policies).map(({ rules, ...rest }) => ({
      ...rest,
      rules: rules.map(({ row: _r, countedBefore: _c, ...rule }) => rule),
    }));
    return {
      vsis: text(vsis),
      tunnels: text(tunnels),
      interfaces: text(interfaceViews(inventory).map(({ row: _r, ...rest }) => rest)),
      routes: text(this.routeViews()),
      policies: text(policies),
      macs: text(agent.macs.list()),
      neighbors: text(
        agent.neighborViews().map(({ ip, interface: on, mac, via, state }) => ({ ip, on, mac, via, state })),
      ),
      stored: [`${this.routes.size} routes`, `${agent.macs.size} MACs`],
    };
  }
}

describe("with the real learners", () => {
  test("whatever came before, the last configuration is all there is", () => {
    fc.assert(
      fc.property(fc.array(anyPlan, { minLength: 2, maxLength: 6 }), (configs) => {
        const gateway = new Gateway(configs[0]!);
        for (const config of configs) gateway.apply(config);
        // Former gateway MACs are kept for a while.
        gateway.run(FORMER_MAC_MS);
        const fresh = new Gateway(configs.at(-1)!);
        fresh.apply(configs.at(-1)!);
        expect(gateway.meaning()).toEqual(fresh.meaning());
        expect(gateway.agent.imbalance()).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  const BORDER = `
tunnels: [{name: border, remote: 192.0.2.3}]
vsis: [{name: v, vni: 10}]
interfaces: [{name: i, vsi: v, address: 10.1.1.1/24, arp: {static: [{ip: 10.1.1.2, mac: "02:cc:00:00:00:0a", tunnel: border}]}}]
acs: [{name: vm1, vsi: v, tap: {device: tap1}}]
routes: [{prefix: 0.0.0.0/0, nextHops: [10.1.1.2, 10.1.1.3]}]
`;

  test("a static neighbour is a host route; its tunnel's death takes it out of the next hops, its return brings it back", () => {
    const gateway = new Gateway(plan(BORDER));
    gateway.apply(plan(BORDER));
    const alive = () => gateway.topology.staticRoutes.nextHopsOf("main", "0.0.0.0/0").map((hop) => hop.alive);
    const host = () => gateway.routeViews().find((route) => route.prefix === "10.1.1.2/32");
    expect(host()).toMatchObject({ origin: "host", action: "forward", interface: "i" });
    expect(alive()).toEqual([true, true]);
    const border = gateway.inventory.tunnel("border")!;
    gateway.topology.setTunnelUp(border, false);
    expect(alive()[0]).toBe(false);
    gateway.topology.setTunnelUp(border, true);
    expect(alive()[0]).toBe(true);
    expect(host()).toMatchObject({ origin: "host" });
  });

  test("a static neighbour that goes leaves a next hop of which nothing is known: alive, and asked for by the next packet", () => {
    const gateway = new Gateway(plan(BORDER));
    gateway.apply(plan(BORDER));
    const bare = plan(BORDER.replace(/, arp: \{static: .*?\}\]\}/, ""));
    gateway.apply(bare);
    const fresh = new Gateway(bare);
    fresh.apply(bare);
    expect(gateway.topology.staticRoutes.nextHopsOf("main", "0.0.0.0/0").map((hop) => hop.alive)).toEqual([true, true]);
    expect(gateway.meaning()).toEqual(fresh.meaning());
    // With the routes too: none is left that asks.
    const nothing = plan(BORDER.replace(/^routes:.*$/m, "").replace(/, arp: \{static: .*?\}\]\}/, ""));
    gateway.apply(plan(BORDER));
    gateway.apply(nothing);
    expect(gateway.agent.neighborViews()).toEqual([]);
  });

  test("a next hop that no host answers for leaves the set; the packet is accounted for", () => {
    const gateway = new Gateway(plan(BORDER));
    gateway.apply(plan(BORDER));
    gateway.wantNextHop("i", "10.1.1.3", "vm1");
    for (let i = 0; i < 60; i++) gateway.run(100);
    expect(gateway.topology.staticRoutes.nextHopsOf("main", "0.0.0.0/0").map((hop) => hop.alive)).toEqual([
      true,
      false,
    ]);
    expect(gateway.agent.imbalance()).toBe(0);
  });

  test("five hundred reloads with next hops, neighbours and MACs use no more rows than one", () => {
    const sizes: Sizes = { workers: 1, macs: 4096, neighbors: 32, routes: 64 };
    const limits = (config: Config): Config => ({
      ...config,
      limits: { ...config.limits, neighbors: 32, routes: 64, neighbors6: 32, routes6: 64 },
    });
    const other = limits(plan(BORDER.replaceAll("10.1.1.", "10.2.2.").replace("vni: 10", "vni: 11")));
    const base = limits(plan(BORDER));
    const gateway = new Gateway(base, sizes);
    for (let i = 0; i < 500; i++) {
      gateway.apply(i % 2 === 0 ? base : other);
      gateway.run(300);
    }
    gateway.apply(base);
    gateway.run(FORMER_MAC_MS);
    const fresh = new Gateway(base, sizes);
    fresh.apply(base);
    expect(gateway.meaning()).toEqual(fresh.meaning());
    expect(Math.max(...gateway.inventory.ports.keys())).toBeLessThan(20);
  });
});
