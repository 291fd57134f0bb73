/** Random configurations one after the other: only the last one counts. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bed, plan, sorted } from "./topology-bed.ts";

describe("twin", () => {
  /** Small choices, so that names, VNIs, devices and addresses meet again and again. */
  const some = <T>(values: readonly T[], max = values.length) => fc.subarray([...values], { maxLength: max });
  const config = fc
    .record({
      remotes: fc.shuffledSubarray(["192.0.2.2", "192.0.2.3", "192.0.2.4"]),
      vnis: fc.shuffledSubarray([10, 20, 30, null]),
      members: fc.array(some([0, 1, 2]), { minLength: 4, maxLength: 4 }),
      bound: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      vrfs: fc.array(fc.constantFrom("main", "red"), { minLength: 4, maxLength: 4 }),
      macs: fc.array(fc.constantFrom("auto", "shared", '"02:00:00:00:aa:01"'), { minLength: 4, maxLength: 4 }),
      net: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 4, maxLength: 4 }),
      acs: fc.array(
        fc.record({
          vsi: fc.integer({ min: 0, max: 3 }),
          device: fc.constantFrom("tap0", "tap1", "tap2"),
          vlan: fc.constantFrom("untagged", 5, 6),
          storm: fc.constantFrom(0, 100),
        }),
        { maxLength: 5 },
      ),
      hops: fc.integer({ min: 0, max: 3 }),
      rules: fc.integer({ min: 0, max: 2 }),
    })
    .map((each) => {
      const tunnels = each.remotes.map((remote, i) => ({ name: `t${i}`, remote }));
      const lines = ["tunnels:", ...tunnels.map((t) => `  - {name: ${t.name}, remote: ${t.remote}}`), "vsis:"];
      for (const [i, vni] of each.vnis.entries()) {
        const names = each.members[i]!.filter((n) => n < tunnels.length).map((n) => `t${n}`);
        lines.push(`  - {name: v${i}${vni === null ? "" : `, vni: ${vni}, tunnels: [${names}]`}}`);
      }
      const bound = each.vnis.map((_, i) => i).filter((i) => each.bound[i]);
      lines.push("interfaces:");
      for (const i of bound)
        lines.push(
          `  - {name: i${i}, vsi: v${i}, address: 10.${i}.${each.net[i]}.1/24, mac: ${each.macs[i]}, vrf: ${each.vrfs[i]}}`,
        );
      lines.push("acs:");
      const seen = new Set<string>();
      for (const [i, ac] of each.acs.entries()) {
        const circuit = `${ac.device} ${ac.vlan}`;
        if (ac.vsi >= each.vnis.length || seen.has(circuit)) continue;
        seen.add(circuit);
        lines.push(
          `  - {name: a${i}, vsi: v${ac.vsi}, tap: {device: ${ac.device}}, vlan: ${ac.vlan}, stormPerSecond: ${ac.storm}}`,
        );
      }
      const first = bound[0];
      if (first !== undefined && each.hops > 0) {
        const hops = Array.from({ length: each.hops }, (_, n) => `10.${first}.${each.net[first]}.${n + 2}`);
        lines.push(`routes: [{prefix: 0.0.0.0/0, vrf: ${each.vrfs[first]}, nextHops: [${hops}]}]`);
        const rules = Array.from(
          { length: each.rules },
          (_, n) => `{match: {}, nextHop: ${hops[0]!.replace(/\d+$/, `${n + 9}`)}}`,
        );
        if (rules.length > 0) lines.push(`policies: [{name: p, interfaces: [i${first}], rules: [${rules}]}]`);
      }
      // A section without entries is left out.
      const text = lines.filter((line, i) => !line.endsWith(":") || lines[i + 1]?.startsWith("  ")).join("\n");
      return plan(`${text}\n`);
    });

  test("whatever came before, a configuration means what it means on a gateway that starts with it", () => {
    fc.assert(
      fc.property(fc.array(config, { minLength: 2, maxLength: 6 }), fc.boolean(), (configs, slowly) => {
        const bed = new Bed();
        for (const each of configs) {
          bed.apply(each);
          if (slowly) bed.timers.run(bed.timers.nowMs + 1500);
        }
        const fresh = new Bed();
        fresh.apply(configs.at(-1)!);
        expect(sorted(bed.meaning())).toEqual(sorted(fresh.meaning()));
      }),
      { numRuns: 80 },
    );
  });
});
