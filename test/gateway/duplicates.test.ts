/** One address that two hosts have is told apart from a host that moved. */
import { describe, expect, it } from "vitest";
import { SUSPECTS_OF } from "../../src/control/resolution/duplicates.ts";
import { ARP_REQUEST } from "../../src/wire/arp.ts";
import { article } from "./article.ts";
import { Vm } from "./vm.ts";
import type { World } from "./world.ts";

const TAKEN = { ip: "10.1.1.11", gateway: "10.1.1.1" };

const duplicatesOf = (world: World, gateway: string) =>
  world.gateways.get(gateway)!.control.agent.arp.duplicates.list();
const told = (world: World, gateway: string) =>
  world.gateways
    .get(gateway)!
    .events.filter(({ event }) => event.startsWith("neighbor.duplicate"))
    .map(({ event, fields }) => `${event} ${fields.ip} ${fields.at} ${fields.otherAt}`);

/** vm1 talks; then another host with its address appears behind AC vm4, at the other site. */
function second(mac: "auto" | "shared" = "auto", ac = "vm4", gateway = "gw2"): { world: World; other: Vm } {
  const world = article({ mac });
  world.get("vm1").ping("20.1.1.12");
  world.get("vm2").ping("10.1.1.11");
  world.advance(1000);
  const other = world.vm(world.gateways.get(gateway)!, { name: "other", ac, ...TAKEN, mac: "02:00:00:00:66:66" });
  return { world, other };
}

const announce = (vm: Vm): void => vm.sendArp({ op: ARP_REQUEST, targetIp: vm.ip });

describe("an address that two hosts have", () => {
  for (const mac of ["auto", "shared"] as const)
    it(`at two sites, gateway MACs ${mac}: both gateways say so within three seconds, and say it once`, () => {
      const { world, other } = second(mac);
      announce(other);
      world.advance(3000);
      expect(told(world, "gw1")).toEqual(["neighbor.duplicate 10.1.1.11 AC vm1 tunnel gw2"]);
      expect(told(world, "gw2")).toHaveLength(1);
      expect(duplicatesOf(world, "gw1")).toMatchObject([
        { ip: "10.1.1.11", interface: "vsi-interface10", places: [{ via: "AC vm1" }, { via: "tunnel gw2" }] },
      ]);
      for (let i = 0; i < 20; i++) {
        announce(i % 2 === 0 ? other : world.get("vm1"));
        world.advance(10_000, 200);
      }
      expect(told(world, "gw1")).toHaveLength(1);
      expect(duplicatesOf(world, "gw1")).toHaveLength(1);
    });

  it("of which one only asks for its gateway: the request that is relayed is enough", () => {
    const { world, other } = second();
    other.ask("10.1.1.77");
    world.advance(3000);
    expect(told(world, "gw1")).toHaveLength(1);
  });

  it("on two ACs of one site", () => {
    const { world, other } = second("auto", "vm1", "gw1");
    const both = world.get("vm1");
    // Behind the same port: both hear what is sent to it.
    other.tap.receive = (frame) => {
      for (const vm of [both, other]) (vm as unknown as { onFrame(f: Uint8Array): void }).onFrame(frame);
    };
    announce(other);
    world.advance(3000);
    expect(told(world, "gw1")).toEqual(["neighbor.duplicate 10.1.1.11 AC vm1 AC vm1"]);
  });

  it("is over when one of them is gone, and is told so", () => {
    const { world, other } = second();
    announce(other);
    world.advance(3000);
    other.alive = false;
    world.advance(160_000, 500);
    expect(told(world, "gw1").at(-1)).toMatch(/^neighbor.duplicate-over 10.1.1.11/);
    expect(duplicatesOf(world, "gw1")).toEqual([]);
  });

  it("a host that asks whether an address is free, which is in use: told too", () => {
    const { world, other } = second();
    other.sendArp({ op: ARP_REQUEST, senderIp: 0, targetIp: other.ip });
    world.advance(3000);
    expect([...told(world, "gw1"), ...told(world, "gw2")].length).toBeGreaterThan(0);
  });
});

describe("a tenant that makes duplicates of its own", () => {
  it("fills its AC's share, and a real one elsewhere is told all the same", () => {
    const { world, other } = second();
    const { tap } = world.get("vm2");
    const made = Array.from({ length: 80 }, (_, i) => {
      const mac = `02:00:00:66:${i % 2 === 0 ? "aa" : "bb"}:${(i >> 1).toString(16).padStart(2, "0")}`;
      return new Vm(tap, { name: `made${i}`, ip: `20.1.1.${100 + (i >> 1)}`, mac, gateway: "20.1.1.1" });
    });
    tap.receive = (frame) => {
      for (const vm of made) (vm as unknown as { onFrame(f: Uint8Array): void }).onFrame(frame);
    };
    for (let i = 0; i < 3; i++) {
      for (const vm of made) {
        announce(vm);
        world.advance(10, 10);
      }
      world.advance(12_000, 500);
    }
    expect(duplicatesOf(world, "gw1")).toHaveLength(SUSPECTS_OF.ac);
    announce(other);
    world.advance(3000);
    expect(told(world, "gw1").at(-1)).toBe("neighbor.duplicate 10.1.1.11 AC vm1 tunnel gw2");
  });
});

describe("what is none", () => {
  it("a host that moved to the other site, the old place silent", () => {
    const { world, other } = second();
    world.get("vm1").alive = false;
    announce(other);
    world.advance(10_000);
    for (const gateway of ["gw1", "gw2", "border"]) expect(told(world, gateway)).toEqual([]);
  });

  it("the gateway address that all sites share, as the Border hears it", () => {
    const world = article();
    for (let i = 0; i < 40; i++) {
      for (const name of ["vm1", "vm4"]) world.get(name).sendArp({ op: ARP_REQUEST, targetIp: 0x0a010100 + 100 + i });
      for (const name of ["vm2", "vm5"]) world.get(name).ping(`10.1.1.${100 + i}`);
      world.advance(2000, 200);
    }
    expect(told(world, "border")).toEqual([]);
  });

  it("a host that is made again with another MAC", () => {
    const { world } = second();
    const again = world.vm(world.gateways.get("gw1")!, {
      name: "again",
      ac: "vm1",
      ...TAKEN,
      mac: "02:00:00:00:77:77",
    });
    announce(again);
    world.advance(5000);
    expect(told(world, "gw1")).toEqual([]);
  });
});
