/** Drops by reason and port on a whole gateway: every one of them somewhere, with the last frame and its VNI. */
import { expect, it } from "vitest";
import { Shown } from "../../src/api/shown.ts";
import { lastDropsOf } from "../../src/insight/last-drops.ts";
import { PortDrops } from "../../src/insight/port-drops.ts";
import { ARP_REQUEST } from "../../src/wire/arp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { article } from "./article.ts";

it("tells the data plane's and control's by port, a stranger's by none, and adds up to the count of the reason", () => {
  const world = article();
  const { control } = world.gateways.get("gw1")!;
  const shown = new Shown(control.shown, { view: () => null as never });
  const drops = () => new PortDrops(control.shown, lastDropsOf(control.shown)).beside(shown.drops());
  const of = (reason: string) => drops().find((drop) => drop.reason === reason)!;
  expect(drops().flatMap(({ ports }) => ports)).toEqual([]);
  const runt = Uint8Array.from([2, 0, 0, 0, 1, 0x11, 2, 0, 0, 0, 1, 0x11]);
  for (const vm of ["vm1", "vm2", "vm2"]) world.get(vm).tap.send(runt);
  const foreign = { op: ARP_REQUEST, senderIp: parseIpv4("99.1.1.1")!, targetIp: parseIpv4("10.1.1.1")! };
  world.get("vm1").sendArp(foreign);
  for (const from of ["192.0.2.2", "192.0.2.99"]) {
    const bytes = new Uint8Array(68);
    bytes.set([8, 0, 0, 0, 0, 0, 77, 0, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9]);
    world.net.inbox("192.0.2.1").push({ from, to: "192.0.2.1", tos: 0, entropy: 0, bytes });
  }
  world.settle();
  expect(of("arp_not_local").ports).toEqual([
    {
      via: { kind: "ac", name: "vm1" },
      count: 1,
      last: expect.objectContaining({ vsi: "vsi10", vni: 10, outer: null, frame: expect.stringContaining("99.1.1.1") }),
    },
  ]);
  expect(of("unknown_vni").ports).toEqual([
    {
      via: { kind: "tunnel", name: "gw2" },
      count: 1,
      last: expect.objectContaining({ vsi: null, vni: 77, outer: "192.0.2.2" }),
    },
  ]);
  expect(of("unknown_vtep").ports).toEqual([{ via: null, count: 1, last: null }]);
  for (const { count, ports } of drops()) expect(ports.reduce((sum, port) => sum + port.count, 0)).toBe(count);
});

it("an AC that comes back, or takes the place of another one, begins with nothing; what has gone is of no port", () => {
  const world = article();
  const { control } = world.gateways.get("gw1")!;
  const { topology, inventory } = control.shown;
  const shown = new Shown(control.shown, { view: () => null as never });
  const portDrops = new PortDrops(control.shown, lastDropsOf(control.shown));
  const reserved = () => portDrops.beside(shown.drops()).find(({ reason }) => reason === "reserved_mac")!;
  const toBridge = Uint8Array.from({ length: 60 }, (_, i) => [0x01, 0x80, 0xc2, 0, 0, 0x0e, 2][i] ?? 0);
  world.get("vm1").tap.send(toBridge);
  world.settle();
  expect(reserved().ports).toMatchObject([{ via: { name: "vm1" }, count: 1 }]);
  const row = inventory.ac("vm1")!.row;
  const { config } = topology;
  expect(topology.apply({ ...config, acs: config.acs.filter(({ name }) => name !== "vm1") }).ok).toBe(true);
  world.advance(2000);
  expect(topology.apply(config).ok).toBe(true);
  world.settle();
  const again = inventory.ac("vm1")!;
  expect(again.row).toBe(row);
  expect(reserved()).toMatchObject({ count: 1, ports: [{ via: null, count: 1, last: null }] });
});
