/** A refused change leaves no trace: not in the tables, not in the world, not in the next attempt. */
import { describe, expect, test } from "vitest";
import type { Config } from "../../src/control/plan.ts";
import { MAX_FLOOD } from "../../src/tables/vsi.ts";
import { BASE, changed, started } from "./topology-base.ts";
import { Bed, plan, SIZES, sorted } from "./topology-bed.ts";

describe("a refused change", () => {
  const more = changed(
    ["tunnels:\n", "tunnels:\n  - {name: gw4, remote: 192.0.2.4}\n"],
    ["vsis:\n", "vsis:\n  - {name: vsi30, vni: 30}\n"],
    ["{device: tap2}", "{device: tap2, mtu: 1300}"],
    [
      "acs:\n",
      "acs:\n  - {name: vm3, vsi: vsi30, tap: {device: tap3}}\n  - {name: vm4, vsi: vsi30, tap: {device: tap4}}\n",
    ],
    ["address: 20.1.1.1/24", "address: 20.1.1.1/24, vrf: red"],
    ["[10.1.1.2, 20.1.1.2]", "[10.1.1.2]"],
  );

  test("a TAP that cannot be opened leaves everything as it was, and the next attempt works", () => {
    const bed = started();
    const [words, meaning] = [bed.snapshot(), sorted(bed.meaning())];
    bed.opener.refuse.add("tap4");
    expect(bed.topology.apply(more)).toEqual({ ok: false, reason: "AC vm4: TAP tap4: refused" });
    expect(bed.opener.take().sort()).toEqual(["close tap3", "open tap3"]);
    expect([...bed.opener.kept].sort()).toEqual(["tap1", "tap2"]);
    expect(bed.snapshot()).toBe(words);
    expect(sorted(bed.meaning())).toEqual(meaning);
    expect([bed.learners.take(), bed.commands.notes]).toEqual([[], []]);
    expect(bed.events.at(-1)).toBe("config.rejected");
    expect(bed.topology.config).toEqual(plan(BASE));
    bed.opener.refuse.clear();
    bed.apply(more);
    expect([...bed.opener.kept].sort()).toEqual(["tap1", "tap2", "tap3", "tap4"]);
    const fresh = new Bed();
    fresh.apply(more);
    expect(sorted(bed.meaning())).toEqual(sorted(fresh.meaning()));
  });

  test("an MTU that cannot be set puts those already set back", () => {
    const bed = started();
    bed.opener.refuse.add("tap2");
    const config = changed(
      ["{device: tap2}", "{device: tap2, mtu: 1300}"],
      ["{device: tap1}", "{device: tap1, mtu: 1300}"],
    );
    expect(bed.topology.apply(config)).toEqual({ ok: false, reason: "AC vm2: TAP tap2: refused" });
    expect(bed.opener.take()).toEqual(["change tap1 1300", "change tap1 1550"]);
    expect(bed.tables.ports.mtu[bed.port("vm1").row]).toBe(1550);
  });

  test("at the start it leaves nothing at all", () => {
    const bed = new Bed();
    bed.opener.refuse.add("tap2");
    const words = bed.snapshot();
    expect(bed.topology.apply(plan(BASE)).ok).toBe(false);
    expect(bed.snapshot()).toBe(words);
    expect([bed.opener.open.size, bed.inventory.ports.size, bed.inventory.vsis.size]).toEqual([0, 0, 0]);
    expect(bed.topology.config).toMatchObject({ tunnels: [], vsis: [], acs: [] });
  });

  test("a hundred refusals cost no row", () => {
    const bed = started();
    bed.opener.refuse.add("tap4");
    for (let i = 0; i < 100; i++) bed.topology.apply(more);
    bed.opener.refuse.clear();
    const next = Math.max(...[...bed.inventory.ports.keys()]);
    bed.apply(more);
    expect(Math.max(...[...bed.inventory.ports.keys()])).toBeLessThanOrEqual(next + 3);
  });

  const reasonOf = (bed: Bed, config: Config): string => {
    const words = bed.snapshot();
    const result = bed.topology.apply(config);
    expect(bed.snapshot()).toBe(words);
    return result.ok ? "applied" : result.reason;
  };

  test("what needs a restart", () => {
    const other = {
      ...plan(BASE, "{address: 192.0.2.9, mtu: 1600}"),
      workers: { count: 2, priority: "auto" as const, cpus: null },
    };
    expect(reasonOf(started(), other)).toBe("needs a restart: underlay.address, workers.count");
  });

  test("what the tables were not carved for", () => {
    const base = plan(BASE);
    expect(reasonOf(started(), { ...base, limits: { ...base.limits, macs: SIZES.macs + 1 } })).toMatch(
      /^limits.macs: 4097/,
    );
  });

  test("too many ports in a flood list", () => {
    const base = plan(BASE);
    const more = Array.from({ length: MAX_FLOOD }, (_, i) => ({
      ...base.acs[0]!,
      name: `x${i}`,
      handover: true,
      tap: null,
    }));
    const bed = started();
    expect(reasonOf(bed, { ...base, acs: [...base.acs, ...more] })).toMatch(/^VSI vsi10: 1025 ACs and tunnels/);
    expect(bed.opener.open.size).toBe(2);
  });

  test("too many combinations in the rules", () => {
    const list = Array.from({ length: 64 }, (_, i) => `10.1.${i}.0/24`).join(", ");
    const config = changed(["rules: [", `rules: [{match: {source: [${list}], destination: 0.0.0.0/0}, drop: true}, `]);
    const [policy] = config.policies;
    const [wide, last] = policy!.rules;
    const { sources } = wide!.match;
    const rules = [{ ...wide!, match: { ...wide!.match, destinations: [...sources, ...sources.slice(1)] } }, last!];
    expect(reasonOf(started(), { ...config, policies: [{ ...policy!, rules }] })).toMatch(/8129 combinations/);
  });

  test("too many VRFs", () => {
    const vsis = Array.from({ length: 256 }, (_, i) => `  - {name: v${i}}`).join("\n");
    const interfaces = Array.from(
      { length: 256 },
      (_, i) => `  - {name: i${i}, vsi: v${i}, address: 10.1.1.1/24, vrf: r${i}}`,
    );
    const config = plan(`vsis:\n${vsis}\ninterfaces:\n${interfaces.join("\n")}\n`);
    const [vsi, iface] = [config.vsis[0]!, config.interfaces[0]!];
    const more = {
      ...config,
      vsis: [...config.vsis, { ...vsi, name: "v256", interface: "i256" }],
      interfaces: [...config.interfaces, { ...iface, name: "i256", vsis: ["v256"], vrf: "r256" }],
    };
    const bed = new Bed();
    expect(reasonOf(bed, more)).toMatch(/there are 256 already/);
    bed.apply(config);
    expect(bed.topology.interfaces.vrfCount).toBe(256);
  });

  test("too many next hops and routes for the tables", () => {
    const bed = new Bed({ workers: 1, macs: 4096, neighbors: 256, routes: 1024, routes6: 0 });
    const sized = (config: Config) => ({ ...config, limits: { ...config.limits, routes6: 0 } });
    const base = sized(plan("vsis: [{name: a}]\ninterfaces: [{name: i, vsi: a, address: 10.0.0.1/16}]\n"));
    const hop = (i: number) => ({
      text: `10.0.${i >> 8}.${i & 255}`,
      ip: 0x0a000000 + i,
      weight: 1,
      priority: 1,
      track: null,
      tunnel: null,
    });
    const route = (i: number, ...hops: number[]) => ({
      vrf: "main",
      prefix: { text: `20.${i >> 8}.${i & 255}.0/24`, network: (0x14000000 + (i << 8)) | 0, length: 24 },
      target: { kind: "nextHops" as const, nextHops: hops.map(hop) },
    });
    const many = (count: number, hops: (i: number) => number[]) => ({
      ...base,
      routes: Array.from({ length: count }, (_, i) => route(i, ...hops(i))),
    });
    expect(
      reasonOf(
        bed,
        many(1300, (i) => [i + 10]),
      ),
    ).toMatch(/1300 next hops are more than 1023/);
    expect(
      reasonOf(
        bed,
        many(1000, (i) => [(i & 511) + 10, (i >> 9) + 900]),
      ),
    ).toMatch(/1000 different sets/);
    expect(
      reasonOf(
        bed,
        many(4000, () => [10]),
      ),
    ).toMatch(/4000 routes and .* are more than/);
  });
});
