import { describe, expect, it } from "vitest";
import { article, tell } from "./article.ts";

/** Frames of `world` so far, without those that start with one of `except`. */
const told = (world: ReturnType<typeof article>) => tell(world);

describe("the three walkthroughs, frame by frame (behaviour.md §2)", () => {
  for (const mac of ["auto", "shared"]) {
    const [G1, G2] = mac === "auto" ? ["G1", "G2"] : ["G", "G"];

    it(`2.1 same VXLAN, ${mac} gateway MACs: vm1 -> vm4`, () => {
      const world = article({ mac });
      world.get("vm1").ping("10.1.1.12");
      world.settle();
      expect(told(world)).toEqual([
        "vm1>gw1: ff/M1 req M1,10.1.1.11 / 0,10.1.1.12",
        `gw1>vm1: M1/${G1}.10 rep ${G1}.10,10.1.1.12 / M1,10.1.1.11`,
        `vm1>gw1: ${G1}.10/M1 10.1.1.11>10.1.1.12 ttl 64 icmp 8/0`,
        `gw1>gw2 vni 10: ff/${G1}.10 req ${G1}.10,10.1.1.11 / 0,10.1.1.12`,
        `gw1>border vni 10: ff/${G1}.10 req ${G1}.10,10.1.1.11 / 0,10.1.1.12`,
        `gw2>vm4: ff/${G2}.10 req ${G2}.10,10.1.1.11 / 0,10.1.1.12`,
        `vm4>gw2: ${G2}.10/M4 rep M4,10.1.1.12 / ${G2}.10,10.1.1.11`,
        `gw2>gw1 vni 10: ${G1}.10/${G2}.10 rep ${G2}.10,10.1.1.12 / ${G1}.10,10.1.1.11`,
        `gw1>gw2 vni 10: ${G2}.10/${G1}.10 10.1.1.11>10.1.1.12 ttl 63 icmp 8/0`,
        `gw2>vm4: M4/${G2}.10 10.1.1.11>10.1.1.12 ttl 62 icmp 8/0`,
        `vm4>gw2: ${G2}.10/M4 10.1.1.12>10.1.1.11 ttl 64 icmp 0/0`,
        `gw2>gw1 vni 10: ${G1}.10/${G2}.10 10.1.1.12>10.1.1.11 ttl 63 icmp 0/0`,
        `gw1>vm1: M1/${G1}.10 10.1.1.12>10.1.1.11 ttl 62 icmp 0/0`,
      ]);
      expect(world.get("vm1").replies).toEqual(["10.1.1.12 ttl=62"]);
    });

    it(`2.2 different VXLAN, ${mac} gateway MACs: vm1 -> vm5`, () => {
      const world = article({ mac });
      world.get("vm1").ping("20.1.1.12");
      world.settle();
      expect(told(world)).toEqual([
        "vm1>gw1: ff/M1 req M1,10.1.1.11 / 0,10.1.1.1",
        `gw1>vm1: M1/${G1}.10 rep ${G1}.10,10.1.1.1 / M1,10.1.1.11`,
        `vm1>gw1: ${G1}.10/M1 10.1.1.11>20.1.1.12 ttl 64 icmp 8/0`,
        `gw1>vm2: ff/${G1}.20 req ${G1}.20,20.1.1.1 / 0,20.1.1.12`,
        `gw1>gw2 vni 20: ff/${G1}.20 req ${G1}.20,20.1.1.1 / 0,20.1.1.12`,
        `gw1>border vni 20: ff/${G1}.20 req ${G1}.20,20.1.1.1 / 0,20.1.1.12`,
        `gw2>vm5: ff/${G2}.20 req ${G2}.20,20.1.1.1 / 0,20.1.1.12`,
        `vm5>gw2: ${G2}.20/M5 rep M5,20.1.1.12 / ${G2}.20,20.1.1.1`,
        `gw2>gw1 vni 20: ${G1}.20/${G2}.20 rep ${G2}.20,20.1.1.12 / ${G1}.20,20.1.1.1`,
        `gw1>gw2 vni 20: ${G2}.20/${G1}.20 10.1.1.11>20.1.1.12 ttl 63 icmp 8/0`,
        `gw2>vm5: M5/${G2}.20 10.1.1.11>20.1.1.12 ttl 62 icmp 8/0`,
        `vm5>gw2: ${G2}.20/M5 20.1.1.12>10.1.1.11 ttl 64 icmp 0/0`,
        `gw2>vm4: ff/${G2}.10 req ${G2}.10,10.1.1.1 / 0,10.1.1.11`,
        `gw2>gw1 vni 10: ff/${G2}.10 req ${G2}.10,10.1.1.1 / 0,10.1.1.11`,
        `gw2>border vni 10: ff/${G2}.10 req ${G2}.10,10.1.1.1 / 0,10.1.1.11`,
        // D7: gw1 holds vm1 locally and fresh, so rows 14 and 15 fall away.
        `gw1>gw2 vni 10: ${G2}.10/${G1}.10 rep ${G1}.10,10.1.1.11 / ${G2}.10,10.1.1.1`,
        `gw2>gw1 vni 10: ${G1}.10/${G2}.10 20.1.1.12>10.1.1.11 ttl 63 icmp 0/0`,
        `gw1>vm1: M1/${G1}.10 20.1.1.12>10.1.1.11 ttl 62 icmp 0/0`,
      ]);
    });
  }

  it("2.2 with relay: always, gw1 asks vm1 again (rows 14 and 15)", () => {
    const world = article({ relay: "always" });
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    const frames = told(world);
    expect(frames).toContain("gw1>vm1: ff/G1.10 req G1.10,10.1.1.1 / 0,10.1.1.11");
    expect(frames).toContain("vm1>gw1: G1.10/M1 rep M1,10.1.1.11 / G1.10,10.1.1.1");
    expect(frames).toContain("gw1>gw2 vni 10: G2.10/G1.10 rep G1.10,10.1.1.11 / G2.10,10.1.1.1");
    expect(world.get("vm1").replies).toEqual(["20.1.1.12 ttl=62"]);
  });

  for (const outside of ["static", "policy"] as const)
    it(`2.3 external network by ${outside} route: vm1 -> ext, and back`, () => {
      const world = article({ outside });
      world.get("vm1").ping("50.1.1.1");
      world.settle();
      const frames = told(world);
      expect(frames.slice(0, 9)).toEqual([
        "vm1>gw1: ff/M1 req M1,10.1.1.11 / 0,10.1.1.1",
        "gw1>vm1: M1/G1.10 rep G1.10,10.1.1.1 / M1,10.1.1.11",
        "vm1>gw1: G1.10/M1 10.1.1.11>50.1.1.1 ttl 64 icmp 8/0",
        "gw1>vm1: ff/G1.10 req G1.10,10.1.1.1 / 0,10.1.1.2",
        "gw1>gw2 vni 10: ff/G1.10 req G1.10,10.1.1.1 / 0,10.1.1.2",
        "gw1>border vni 10: ff/G1.10 req G1.10,10.1.1.1 / 0,10.1.1.2",
        "gw2>vm4: ff/G2.10 req G2.10,10.1.1.1 / 0,10.1.1.2",
        "border>gw1 vni 10: G1.10/B.10 rep B.10,10.1.1.2 / G1.10,10.1.1.1",
        "gw1>border vni 10: B.10/G1.10 10.1.1.11>50.1.1.1 ttl 63 icmp 8/0",
      ]);
      expect(frames).toContain("border>ext: Mext/B.outside 10.1.1.11>50.1.1.1 ttl 62 icmp 8/0".replace("Mext", "ext"));
      expect(frames).toContain("border>gw1 vni 10: ff/B.10 req B.10,10.1.1.2 / 0,10.1.1.11");
      expect(frames).toContain("gw1>border vni 10: B.10/G1.10 rep G1.10,10.1.1.11 / B.10,10.1.1.2");
      expect(frames).toContain("border>gw1 vni 10: G1.10/B.10 50.1.1.1>10.1.1.11 ttl 63 icmp 0/0");
      expect(world.get("vm1").replies).toEqual(["50.1.1.1 ttl=62"]);
      world.get("ext").ping("20.1.1.12");
      world.settle();
      expect(world.get("ext").replies).toEqual(["20.1.1.12 ttl=62"]);
    });

  it("same site, other VXLAN: vm1 -> vm2 is routed once", () => {
    const world = article();
    world.get("vm1").ping("20.1.1.11");
    world.settle();
    expect(world.get("vm1").replies).toEqual(["20.1.1.11 ttl=63"]);
    // Of what crossed the underlay, nothing but the question.
    expect(told(world).filter((f) => f.includes("vni") && !f.includes(" req "))).toEqual([]);
  });
});
