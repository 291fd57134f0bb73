/** A VM behind another distributed gateway as next hop: its packets go past it, so that is told wherever it is shown. */
import { describe, expect, it } from "vitest";
import { Why } from "../../src/api/schema-why.ts";
import { Shown } from "../../src/api/shown.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import { Tracer } from "../../src/insight/trace.ts";
import { WhyAnswers } from "../../src/insight/why.ts";
import { article, borderYaml, siteYaml } from "./article.ts";
import type { Gateway, World } from "./world.ts";

const shownOf = ({ control }: Gateway): Shown =>
  new Shown(control.shown, { view: () => ({ state: "unwatched" }) as never });
const told = ({ events }: Gateway): string[] =>
  events.filter(({ event }) => event === "next-hop.bypassed").map(({ fields }) => `${fields.of}: ${fields.nextHop}`);

/** gw1 with a policy that sends vm1's packets for VXLAN 20 through a firewall, 10.1.1.12 (vm4, behind gw2). */
function withPolicy(hop: string, mac = "auto"): { world: World; gw1: Gateway } {
  const world = article({ mac });
  const gw1 = world.gateways.get("gw1")!;
  const rules = `rules: [{match: {destination: 20.1.1.0/24}, nextHop: ${hop}}]`;
  gw1.reload(
    siteYaml("gw1", { mac }).replace(
      /workers:/,
      `policies:\n  - {name: firewall, interfaces: [vsi-interface10], ${rules}}\nworkers:`,
    ),
  );
  world.get("vm1").ping("20.1.1.12");
  world.advance(2500);
  return { world, gw1 };
}

describe("a next hop behind another distributed gateway", () => {
  for (const mac of ["auto", "shared"])
    it(`of a policy, gateway MACs ${mac}: event, show, why and trace tell that it sees nothing`, () => {
      const { world, gw1 } = withPolicy("10.1.1.12", mac);
      // The packet did go past the firewall.
      expect(world.get("vm4").icmp).toEqual([]);
      expect(world.get("vm5").icmp).toHaveLength(1);
      expect(told(gw1)).toEqual(["policy firewall, rule 1: 10.1.1.12"]);
      const shown = shownOf(gw1);
      expect(shown.policies()[0]!.rules[0]).toMatchObject({ action: "nextHop 10.1.1.12", bypassedBy: "gw2" });
      const question = { ip: "10.1.1.12", mac: null, interface: null, vsi: null, vrf: null };
      expect(Why.parse(new WhyAnswers(gw1.control.shown, shown).why(question)).sentences.join(" ")).toContain(
        "is the next hop of policy firewall, rule 1, but sees none of its packets",
      );
      const packet = { protocol: "icmp", ac: "vm1", source: "10.1.1.11", destination: "20.1.1.12", ttl: 64, dscp: 0 };
      const trace = new Tracer(gw1.control.shown, gw1.control.injector).trace(
        { ...packet, size: 84, df: false, sourcePort: 1, destinationPort: 2, inject: false } as never,
        () => undefined,
      );
      expect((trace as { fate: { next: string } }).fate.next).toContain("routes by destination");
      world.advance(10_000);
      expect(told(gw1)).toHaveLength(1);
    });

  it("of a static route, on the Border, which has no address in common with the gateways", () => {
    const world = article();
    const border = world.gateways.get("border")!;
    for (const [vm, to] of [
      ["vm1", "20.1.1.12"],
      ["vm5", "10.1.1.11"],
    ] as const)
      world.get(vm).ping(to);
    world.advance(1000);
    border.reload(borderYaml().replace(/workers:/, "routes: [{prefix: 60.0.0.0/8, nextHop: 10.1.1.12}]\nworkers:"));
    world.get("ext").ping("60.1.1.1");
    world.advance(2500);
    expect(told(border)).toEqual(["route 60.0.0.0/8: 10.1.1.12"]);
    const route = [...rowsOf(shownOf(border).routes())].find(({ prefix }) => prefix === "60.0.0.0/8")!;
    expect(route.nextHops).toMatchObject([{ ip: "10.1.1.12", bypassedBy: "gw2" }]);
  });

  it("is none where the next hop is the Border, or a VM here", () => {
    for (const hop of ["10.1.1.2", "20.1.1.11"]) {
      const { gw1 } = withPolicy(hop);
      expect(told(gw1)).toEqual([]);
      expect(shownOf(gw1).policies()[0]!.rules[0]).toMatchObject({ alive: true, bypassedBy: null });
    }
  });
});
