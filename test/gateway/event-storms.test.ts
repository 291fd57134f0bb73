/** Events that a tenant or a peer can cause at will: each is told a few times, then seldom, with the number of those left out. */
import { describe, expect, it } from "vitest";
import { tellHost } from "../../src/evpn/events.ts";
import { ARP_REQUEST } from "../../src/wire/arp.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { arpFrame, vxlan } from "../dataplane/packets.ts";
import { gw, sites, vtep } from "./sites.ts";
import type { World } from "./world.ts";

const SECONDS = 60;
/** Of one event at one place: a burst, one in ten seconds, and one that the window's edge lets in. */
const MOST = 10 + SECONDS / 10 + 1;

const ip = (text: string): number => parseIpv4(text)!;

function announcement(mac: number, senderIp: number): Uint8Array {
  return arpFrame({
    ethDst: BROADCAST,
    ethSrc: mac,
    op: ARP_REQUEST,
    senderMac: mac,
    senderIp,
    targetMac: 0,
    targetIp: senderIp,
  });
}

function bed(): World {
  const world = sites(
    2,
    (n) => `vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.0.1/16}]
acs: [${n === 1 ? "{name: a, vsi: vsi10, tap: {device: a}}, {name: b, vsi: vsi10, tap: {device: b}}" : ""}]`,
  );
  for (const [name, n] of [
    ["a", 1],
    ["b", 2],
  ] as const)
    world.vm(gw(world, 1), { name, ip: `10.1.9.${n}`, mac: `02:00:00:00:00:0${n}`, gateway: "10.1.0.1", length: 16 });
  return world;
}

/** What is told, above debug, while `frames` come in once in 20 ms. */
function told(world: World, frames: (i: number) => void): Map<string, { count: number; suppressed: number }> {
  const { events } = gw(world, 1);
  const from = events.length;
  for (let i = 0; i < SECONDS * 50; i++) {
    frames(i);
    world.net.nowMs += 20;
    world.settle();
    world.seen.length = 0;
  }
  const all = new Map<string, { count: number; suppressed: number }>();
  for (const { level, event, fields } of events.slice(from)) {
    if (level === "debug") continue;
    const each = all.get(event) ?? { count: 0, suppressed: 0 };
    each.count++;
    each.suppressed += Number(fields.suppressed ?? 0);
    all.set(event, each);
  }
  return all;
}

describe(`a storm of ${SECONDS} seconds is few events`, () => {
  const by = (world: World, bytes: Uint8Array) =>
    world.net.carry({ from: vtep(2), to: vtep(1), tos: 0, entropy: 1, bytes: vxlan(10, bytes) });
  const STORMS: [string, string[], (world: World, i: number) => void][] = [
    [
      "a peer gateway's MAC changes all the time",
      ["gateway.mac"],
      (world, i) => by(world, announcement(0x02_66_00_00_00_00 + i, ip("10.1.0.1"))),
    ],
    [
      "MACs wander between two ACs",
      ["mac.moved", "neighbor.moved"],
      (world, i) => {
        const frame = announcement(0x02_55_00_00_00_00 + ((i >> 1) % 200), ip("10.1.1.1") + ((i >> 1) % 200));
        world.get(i % 2 === 0 ? "a" : "b").tap.send(frame);
      },
    ],
    [
      "one MAC is fought for",
      ["mac.damped", "neighbor.damped"],
      (world, i) => world.get(i % 2 === 0 ? "a" : "b").tap.send(announcement(0x02_55_00_00_00_01, ip("10.1.1.1"))),
    ],
    [
      "MACs wander between an AC and a site that EVPN tells of",
      ["evpn.moved"],
      (world, i) => {
        const news = { vsi: "vsi10", mac: 0x02_55_00_00_00_00 + (i >> 1), claim: null, action: "warn" } as const;
        tellHost(gw(world, 1).control.emit, i % 2 === 0 ? "moved-in" : "moved-out", news);
      },
    ],
  ];
  for (const [what, expected, frames] of STORMS)
    it(`${what}: ${expected.join(", ")}`, () => {
      const world = bed();
      const all = told(world, (i) => frames(world, i));
      for (const event of expected) {
        expect(all.get(event)?.count, event).toBeGreaterThan(5);
        expect(all.get(event)?.suppressed, event).toBeGreaterThan(0);
      }
      const damped = gw(world, 1).control.agent.dampedMoves();
      if (what === "one MAC is fought for")
        expect(damped.map(({ host }) => host)).toEqual(["MAC 02:55:00:00:00:01", "10.1.1.1"]);
      // Two places at most: the ACs.
      for (const [event, { count }] of all) expect(count, event).toBeLessThanOrEqual(2 * MOST);
    });
});
