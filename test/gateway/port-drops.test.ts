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
