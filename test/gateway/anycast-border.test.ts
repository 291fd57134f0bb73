/**
 * Anycast Borders: two that have the same address in VXLAN 10, each a next hop of its own behind its own tunnel.
 *
 * gw1 and gw2 have hosts; what is outside is behind both Borders' routers, so each flow tells by whose router it went.
 */
import { describe, expect, it } from "vitest";
import type { Why } from "../../src/api/schema-why.ts";
import { Shown } from "../../src/api/shown.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import { hopText } from "../../src/ctl/hop-text.ts";
import { WhyAnswers } from "../../src/insight/why.ts";
import { checkNextHops } from "../../src/liveness/next-hops.ts";
import { ARP_REPLY } from "../../src/wire/arp.ts";
import { formatMac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import type { Vm } from "./vm.ts";
import { type Gateway, World } from "./world.ts";

const HOP = "10.1.1.2";
const TARGETS = Array.from({ length: 32 }, (_, i) => `60.1.1.${i + 1}`);
const BOTH = `{ip: ${HOP}, tunnel: b1}, {ip: ${HOP}, tunnel: b2}`;
const route = (hops: string) => `routes: [{prefix: 0.0.0.0/0, nextHops: [${hops}]}]`;

const site = (n: number, rest: string) => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1600}
tunnels:
  - {name: other, remote: 192.0.2.${3 - n}}
  - {name: b1, remote: 192.0.2.11}
  - {name: b2, remote: 192.0.2.12}
vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: vsi-interface10, vsi: vsi10, address: 10.1.1.1/24}]
acs: [{name: vm${n}, vsi: vsi10, tap: {device: t${n}}}]
${rest}
`;
const border = (n: number, mac: string) => `node: b${n}
underlay: {address: 192.0.2.1${n}, mtu: 1600}
tunnels: [{name: gw1, remote: 192.0.2.1}, {name: gw2, remote: 192.0.2.2}, {name: other, remote: 192.0.2.1${3 - n}}]
vsis: [{name: vsi10, vni: 10}, {name: uplink}]
interfaces:
  - {name: inside, vsi: vsi10, address: ${HOP}/24, distributed: false${mac}}
  - {name: outside, vsi: uplink, address: 50.1.${n}.254/24, distributed: false}
acs: [{name: ext, vsi: uplink, tap: {device: e${n}}}]
routes: [{prefix: 60.1.1.0/24, nextHop: 50.1.${n}.1}]
`;

interface Bed {
  readonly world: World;
  readonly gw1: Gateway;
  readonly borders: readonly [Gateway, Gateway];
  readonly vms: readonly [Vm, Vm];
  /** By which router each target is reached from gw1; null: not at all. */
  ways(): Map<string, string | null>;
}

function bed({ hops = BOTH, mac = "" } = {}): Bed {
  const world = new World();
  for (const vtep of ["192.0.2.1", "192.0.2.2", "192.0.2.11", "192.0.2.12"]) world.net.inbox(vtep);
  const gw1 = world.gateway(site(1, route(hops)));
  const gw2 = world.gateway(site(2, route(hops)));
  const borders = [world.gateway(border(1, mac)), world.gateway(border(2, mac))] as const;
  const routers = borders.map((gateway, i) =>
    world.vm(gateway, {
      ...{ name: `r${i + 1}`, ac: "ext", ip: `50.1.${i + 1}.1`, mac: `02:00:00:00:50:0${i + 1}` },
      gateway: `50.1.${i + 1}.254`,
      also: TARGETS,
    }),
  );
  const vm = (gateway: Gateway, n: number) =>
    world.vm(gateway, { name: `vm${n}`, ip: `10.1.1.1${n}`, mac: `02:00:00:00:01:1${n}`, gateway: "10.1.1.1" });
  const vms = [vm(gw1, 1), vm(gw2, 2)] as const;
  let sequence = 0;
  const ways = () => {
    sequence++;
    return new Map(
      TARGETS.map((target) => {
        world.clear();
        vms[0].ping(target, { sequence });
        world.advance(20);
        const by = routers.find((router) => router.icmp.some(({ from }) => from === "10.1.1.11"));
        return [target, vms[0].replies.length === 1 && by !== undefined ? by.name : null];
      }),
    );
  };
  world.advance(1500);
  // The first packets look for the Borders; what is known from then on is asked.
  ways();
  world.advance(1500);
  for (const { events } of world.gateways.values()) events.length = 0;
  return { world, gw1, borders, vms, ways };
}

const told = ({ events }: Gateway, name: RegExp): string[] =>
  events.filter(({ event }) => name.test(event)).map(({ event, fields }) => `${event} ${JSON.stringify(fields)}`);
const shownOf = (gateway: Gateway) =>
  new Shown(gateway.control.shown, { view: () => ({ state: "unwatched" }) as never });
const hopsOf = (gateway: Gateway) =>
  [...rowsOf(shownOf(gateway).routes())].find(({ prefix }) => prefix === "0.0.0.0/0")!.nextHops.map(hopText);
/** How many of the targets are reached by which router. */
function byRouter(ways: ReadonlyMap<string, string | null>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const router of ways.values()) counts[router ?? "none"] = (counts[router ?? "none"] ?? 0) + 1;
  return counts;
}

for (const mac of ["", ", mac: 02:00:5e:00:00:02"])
  describe(`two Borders with one address${mac === "" ? "" : " and one MAC"}`, () => {
    it("share the flows, each resolved and asked apart; neither looks like a host that moves", () => {
      const { world, gw1, ways } = bed({ mac });
      expect(hopsOf(gw1)).toEqual([`${HOP}@b1`, `${HOP}@b2`]);
      const before = ways();
      const counts = byRouter(before);
      expect(counts.none).toBeUndefined();
      expect(Math.min(counts.r1!, counts.r2!)).toBeGreaterThan(TARGETS.length / 4);
      // Both ask for vm1 with the address they share, for as long as there is traffic.
      for (let minute = 0; minute < 5; minute++) {
        world.advance(60_000, 250);
        expect(ways()).toEqual(before);
      }
      for (const { name, events } of world.gateways.values()) {
        // 10.1.1.1 is every gateway's, and a Border hears it now from one, now from another.
        const noise = events.filter(
          ({ event, fields }) => /damped|moved|duplicate|spoof|next-hop/.test(event) && fields.ip !== "10.1.1.1",
        );
        // One MAC behind two tunnels is a MAC that moves: said of the MAC table, and no next hop's matter.
        const own = mac === "" ? noise : noise.filter(({ event }) => !event.startsWith("mac."));
        expect([name, own]).toEqual([name, []]);
      }
      const { neighbors } = gw1.control.agent;
      expect(
        [...neighbors.all()]
          .filter(({ behind }) => behind !== null)
          .map(({ behind, place }) => [behind, place!.port.name]),
      ).toEqual(
        expect.arrayContaining([
          ["b1", "b1"],
          ["b2", "b2"],
        ]),
      );
    });

    it("one dies: its flows go by the other one within three seconds, the other's stay; its return gives them back", () => {
      const { world, gw1, borders, ways } = bed({ mac });
      const before = ways();
      world.gateways.delete("b1");
      world.advance(3000);
      expect(hopsOf(gw1)).toEqual([`${HOP}@b1(dead)`, `${HOP}@b2`]);
      expect(told(gw1, /^next-hop\./)).toEqual([
        `next-hop.dead {"interface":"vsi-interface10","nextHop":"${HOP}","tunnel":"b1","of":"route 0.0.0.0/0"}`,
      ]);
      expect(checkNextHops(gw1.control.shown.hopStates)).toMatchObject([
        { result: "warn", name: `next hop ${HOP} behind b1` },
      ]);
      expect(byRouter(ways())).toEqual({ r2: TARGETS.length });
      world.gateways.set("b1", borders[0]);
      world.advance(1000);
      expect(hopsOf(gw1)).toEqual([`${HOP}@b1`, `${HOP}@b2`]);
      expect(ways()).toEqual(before);
    });
  });

describe("why", () => {
  const said = ({ gw1 }: Bed, subject: { ip: string } | { mac: string }): string[] => {
    const question = { ip: null, mac: null, interface: null, vsi: null, vrf: null, ...subject };
    const answer = new WhyAnswers(gw1.control.shown, shownOf(gw1)).why(question);
    return (answer as Why).sentences.map((text) => text.replace(/: (learned|an) .*/, ""));
  };

  it("tells of an anycast address each place once, and its MAC", () => {
    const own = bed();
    const macs = own.borders.map(({ control }) => formatMac(control.shown.inventory.interface("inside")!.mac));
    const about = (i: number) => [
      `${HOP} on vsi-interface10 has MAC ${macs[i]} at tunnel b${i + 1}, in VSI vsi10`,
      "It was last heard just now; it is reachable, since 2 s ago.",
      "A route or a policy uses it as next hop, so it is kept resolved.",
    ];
    const places = macs.map((mac, i) => `VSI vsi10 has ${mac} at tunnel b${i + 1}`);
    const told = said(own, { ip: HOP });
    expect(told.slice(0, 8)).toEqual([...about(0), ...about(1), ...places]);
    expect(told[8]).toMatch(/^VRF main has/);
    expect(said(own, { mac: macs[0]! }).filter((text) => text.includes("table has"))).toEqual([
      `The ARP table has ${HOP} on vsi-interface10 at this MAC (reachable).`,
    ]);
  });

  it("tells it of Borders with one MAC as well, and which next hop of a route is behind which tunnel", () => {
    const mac = "02:00:5e:00:00:02";
    const shared = bed({ mac: `, mac: ${mac}` });
    const told = said(shared, { ip: HOP });
    expect(told.filter((text) => text.includes(" has MAC ")).map((text) => /tunnel \w+/.exec(text)![0])).toEqual([
      "tunnel b1",
      "tunnel b2",
    ]);
    expect(told.filter((text) => text.startsWith("VSI vsi10 has"))).toHaveLength(1);
    expect(said(shared, { mac }).filter((text) => text.includes("table has"))).toEqual(
      ["b1", "b2"].map(
        (on) => `The ARP table has ${HOP} on vsi-interface10 at this MAC behind tunnel ${on} (reachable).`,
      ),
    );
    expect(said(shared, { ip: TARGETS[0]! })[1]).toContain(
      `to next hop ${HOP} behind tunnel b1, ${HOP} behind tunnel b2`,
    );
  });
});

describe("an anycast Border", () => {
  it("that drains is left without a loss, although the other one still answers for the address", () => {
    const { world, gw1, borders, ways } = bed();
    borders[0].control.agent.setDraining(true);
    for (let n = 0; n < 8 && told(gw1, /^next-hop\.dead/).length === 0; n++) {
      expect(byRouter(ways()).none).toBeUndefined();
    }
    world.advance(2000);
    expect(byRouter(ways())).toEqual({ r2: TARGETS.length });
  });

  it("answers a host that speaks to the address itself, and when it dies the other one does", () => {
    const { world, vms } = bed();
    const answered = (sequence: number) => {
      world.clear();
      vms[0].ping(HOP, { sequence });
      world.advance(200);
      return vms[0].replies;
    };
    vms[0].ask(HOP);
    world.advance(100);
    expect(answered(1)).toHaveLength(1);
    const [first] = [...world.gateways.get("gw1")!.control.agent.neighbors.all()].filter(
      ({ ip, behind }) => ip === parseIpv4(HOP) && behind === null,
    );
    world.gateways.delete(first!.place!.port.name);
    world.advance(3500);
    // The other one is heard each time it asks for a host, or is asked for.
    for (let n = 2; n < 60 && answered(n).length === 0; n++) world.advance(1000);
    expect(answered(99)).toHaveLength(1);
  });

  it("is not pushed aside by a VM that claims the address", () => {
    const { world, gw1, vms, ways } = bed();
    const before = ways();
    vms[0].sendArp({ op: ARP_REPLY, senderIp: parseIpv4(HOP)!, targetIp: parseIpv4(HOP)!, targetMac: vms[0].mac });
    world.advance(500);
    expect(ways()).toEqual(before);
    expect(hopsOf(gw1)).toEqual([`${HOP}@b1`, `${HOP}@b2`]);
    const { neighbors } = gw1.control.agent;
    const macs = [...neighbors.all()].filter(({ behind }) => behind !== null).map(({ place }) => formatMac(place!.mac));
    expect(macs).not.toContain(formatMac(vms[0].mac));
  });

  it("goes with a reload, and leaves nothing: no entry, no number, no question", () => {
    const { world, gw1, ways } = bed();
    gw1.reload(site(1, route(`{ip: ${HOP}, tunnel: b2}`)));
    expect(byRouter(ways())).toEqual({ r2: TARGETS.length });
    gw1.reload(site(1, route(HOP)));
    world.advance(2000);
    expect(byRouter(ways()).none).toBeUndefined();
    expect([...gw1.control.agent.neighbors.all()].filter(({ behind }) => behind !== null)).toEqual([]);
    expect([...gw1.control.agent.neighbors.probes.held()]).toHaveLength(1);
    gw1.reload(site(1, route(BOTH)));
    ways();
    world.advance(1500);
    expect(hopsOf(gw1)).toEqual([`${HOP}@b1`, `${HOP}@b2`]);
  });

  it("stands by for the other one, by priority", () => {
    const { world, ways } = bed({ hops: `{ip: ${HOP}, tunnel: b1}, {ip: ${HOP}, tunnel: b2, priority: 2}` });
    expect(byRouter(ways())).toEqual({ r1: TARGETS.length });
    world.gateways.delete("b1");
    world.advance(3000);
    ways();
    world.advance(500);
    expect(byRouter(ways())).toEqual({ r2: TARGETS.length });
  });
});
