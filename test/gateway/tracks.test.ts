/** Tracks on whole gateways: two Borders with an uplink each, whose lines die while all that is near still answers. */
import { describe, expect, it } from "vitest";
import type { HostPing } from "../../src/api/schema-probe.ts";
import { Shown } from "../../src/api/shown.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import { waysOf } from "../../src/daemon/status.ts";
import { pingHost } from "../../src/liveness/host-ping.ts";
import { checkTrack, tracksOf } from "../../src/liveness/tracks.ts";
import { setU16, u16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import { ICMP_ECHO_REPLY } from "../../src/wire/icmp.ts";
import { parseIpv4, sum16 } from "../../src/wire/ipv4.ts";
import { IP6_DST, parseIpv6, readIpv6 } from "../../src/wire/ipv6.ts";
import { parseNd } from "../../src/wire/nd.ts";
import { echoReply, Host6, LINK } from "./host6.ts";
import { icmpPacket, type Vm } from "./vm.ts";
import { type Gateway, World } from "./world.ts";

const FAR = "60.1.1.9";
const TRACKS = (n: number) =>
  `tracks: [{name: isp, icmp: ${FAR}, interface: outside, via: 50.1.${n}.1}, {name: cable, ac: ext}]`;
const BOTH = (n: number) =>
  `routes: [{prefix: 60.1.1.0/24, nextHops: [{ip: 50.1.${n}.1, track: isp}, {ip: 10.1.1.${4 - n}, priority: 2}]}]`;

const border = (n: number, rest: string) => `node: b${n}
underlay: {address: 192.0.2.${n + 1}, mtu: 1600}
tunnels: [{name: gw1, remote: 192.0.2.1}, {name: other, remote: 192.0.2.${4 - n}}]
vsis: [{name: vsi10, vni: 10}, {name: uplink}]
interfaces:
  - {name: inside, vsi: vsi10, address: 10.1.1.${n + 1}/24, distributed: false}
  - {name: outside, vsi: uplink, address: 50.1.${n}.254/24, distributed: false}
acs: [{name: ext, vsi: uplink, tap: {device: e${n}}}]
${rest}
`;
const GW1 = `node: gw1
underlay: {address: 192.0.2.1, mtu: 1600}
tunnels: [{name: b1, remote: 192.0.2.2}, {name: b2, remote: 192.0.2.3}]
vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: vsi-interface10, vsi: vsi10, address: 10.1.1.1/24}]
acs: [{name: vm1, vsi: vsi10, tap: {device: t1}}]
routes: [{prefix: 0.0.0.0/0, nextHops: [10.1.1.2, {ip: 10.1.1.3, priority: 2}]}]
`;

interface Bed {
  readonly world: World;
  readonly gw1: Gateway;
  readonly borders: readonly [Gateway, Gateway];
  readonly routers: readonly [Vm, Vm];
  readonly vm1: Vm;
  /** Is 60.1.1.1 answered, from where? */
  ping(): string[];
  /** What is behind router n + 1 is reached, or not; the router itself lives. */
  far(n: 0 | 1, isThere: boolean): void;
}

function bed(rest: (n: number) => string = (n) => `${TRACKS(n)}\n${BOTH(n)}`): Bed {
  const world = new World();
  const gw1 = world.gateway(GW1);
  const borders = [world.gateway(border(1, rest(1))), world.gateway(border(2, rest(2)))] as const;
  const also: string[][] = [
    [FAR, "60.1.1.1"],
    [FAR, "60.1.1.1"],
  ];
  const router = (n: 0 | 1) =>
    world.vm(borders[n], {
      name: `r${n + 1}`,
      ac: "ext",
      ip: `50.1.${n + 1}.1`,
      mac: `02:00:00:00:50:0${n + 1}`,
      gateway: `50.1.${n + 1}.254`,
      also: also[n]!,
    });
  const routers = [router(0), router(1)] as const;
  const vm1 = world.vm(gw1, { name: "vm1", ip: "10.1.1.11", mac: "02:00:00:00:01:11", gateway: "10.1.1.1" });
  let sequence = 0;
  const made: Bed = {
    world,
    gw1,
    borders,
    routers,
    vm1,
    ping() {
      world.clear();
      vm1.ping("60.1.1.1", { sequence: ++sequence });
      world.advance(50);
      return routers.flatMap((vm) => (vm.icmp.some(({ from }) => from === "10.1.1.11") ? [vm.name] : []));
    },
    far(n, isThere) {
      routers[n].setAlso(isThere ? [FAR, "60.1.1.1"] : []);
    },
  };
  world.advance(1000);
  return made;
}

const views = (gateway: Gateway) => gateway.control.tracks.views();
const stateOf = (gateway: Gateway, name = "isp") => views(gateway).find((track) => track.name === name)!.state;
const told = ({ events }: Gateway, name: RegExp): string[] =>
  events.filter(({ event }) => name.test(event)).map(({ event, fields }) => `${event} ${JSON.stringify(fields)}`);
const routeOf = (gateway: Gateway, prefix: string) => {
  const shown = new Shown(gateway.control.shown, { view: () => ({ state: "unwatched" }) as never });
  return [...rowsOf(shown.routes())].find((route) => route.prefix === prefix);
};

describe("an uplink whose far end dies", () => {
  it("is noticed in its detection time (and the steps of this clock); packets go by the other Border, and come back with it", () => {
    const { world, borders, ping, far } = bed();
    const [b1] = borders;
    expect(stateOf(b1)).toBe("up");
    expect(ping()).toEqual(["r1"]);
    far(0, false);
    world.advance(1700);
    expect(stateOf(b1)).toBe("down");
    expect(told(b1, /^track\.down/)).toEqual([
      `track.down {"track":"isp","target":"${FAR} via 50.1.1.1 on outside","problem":"no answer"}`,
    ]);
    expect(waysOf(b1.control)).toEqual({ nextHops: 2, nextHopsDead: 0, tracks: 2, tracksDown: 1 });
    expect(ping()).toEqual(["r2"]);
    expect(routeOf(b1, "60.1.1.0/24")!.nextHops).toMatchObject([
      { ip: "50.1.1.1", alive: false, track: "isp" },
      { ip: "10.1.1.3", alive: true, track: null },
    ]);
    // Its own route leads to the other Border now, where the far end answers: the question still goes out by its uplink.
    world.advance(60_000, 250);
    expect(told(b1, /^track\./).filter((line) => line.startsWith("track.up"))).toHaveLength(1);
    far(0, true);
    world.advance(2500);
    expect(stateOf(b1)).toBe("up");
    expect(ping()).toEqual(["r1"]);
  });

  it("of both Borders: no packet runs in circles between them", () => {
    const { world, borders, ping, far } = bed();
    far(0, false);
    far(1, false);
    world.advance(2500);
    expect(borders.map((gateway) => stateOf(gateway))).toEqual(["down", "down"]);
    expect(ping()).toEqual([]);
    // The second one would send it back where it came from.
    expect(borders.map(({ drops }) => drops.l3_loop ?? 0)).toEqual([0, 1]);
  });
});

it("answers that a VM makes up in the name of the dead host, by our identifier and the next numbers, count for nothing", () => {
  const { world, borders, routers, far } = bed();
  const [b1] = borders;
  const [r1] = routers;
  const asked = r1.received.findLast((frame) => frame[23] === 1 && frame[34] === 8)!;
  const [identifier, first] = [u16(asked, 38), u16(asked, 40)];
  far(0, false);
  for (let n = 0; n < 40; n++) {
    for (let sequence = first; sequence < first + 10; sequence++) r1.sendPacket(forged(identifier, sequence));
    world.advance(50);
  }
  expect(stateOf(b1)).toBe("down");
  expect(b1.drops.not_forwarded).toBeUndefined();
});

/** An echo reply of FAR to b1, whose data it cannot know. */
function forged(identifier: number, sequence: number): Uint8Array {
  const packet = icmpPacket(parseIpv4(FAR)!, parseIpv4("50.1.1.254")!, ICMP_ECHO_REPLY, 64, sequence, 28);
  setU16(packet, 24, identifier);
  setU16(packet, 22, 0);
  setU16(packet, 22, ~sum16(packet, 20, packet.length - 20, 0) & 0xffff);
  return packet;
}

describe("a route that depends on a track", () => {
  const alone = (n: number) =>
    `${TRACKS(n)}\nroutes: [{prefix: 60.1.1.0/24, nextHop: 50.1.${n}.1, track: isp}, {prefix: 60.0.0.0/8, nextHop: 50.1.${n}.1}]`;

  it("is withdrawn with it, so that a shorter prefix takes its packets, and is back with it", () => {
    const { world, borders, far } = bed(alone);
    const [b1] = borders;
    expect(routeOf(b1, "60.1.1.0/24")).toBeDefined();
    far(0, false);
    world.advance(1700);
    expect(routeOf(b1, "60.1.1.0/24")).toBeUndefined();
    expect(routeOf(b1, "60.0.0.0/8")).toBeDefined();
    const { staticRoutes } = b1.control.topology;
    expect([...staticRoutes.withdrawn()]).toMatchObject([
      { vrf: "main", prefix: { text: "60.1.1.0/24" }, tracks: ["isp"] },
    ]);
    far(0, true);
    world.advance(2500);
    expect([...staticRoutes.withdrawn()]).toEqual([]);
    expect(routeOf(b1, "60.1.1.0/24")!.nextHops).toMatchObject([{ ip: "50.1.1.1", alive: true }]);
  });

  it("is withdrawn as well where it has several next hops, all by tracks", () => {
    const { world, borders, far } = bed(
      (n) =>
        `${TRACKS(n)}\nroutes: [{prefix: 60.1.1.0/24, track: isp, nextHops: [50.1.${n}.1, 50.1.${n}.2]}, {prefix: 60.0.0.0/8, nextHop: 50.1.${n}.1}]`,
    );
    const [b1] = borders;
    far(0, false);
    world.advance(1700);
    expect(routeOf(b1, "60.1.1.0/24")).toBeUndefined();
    expect([...b1.control.topology.staticRoutes.withdrawn()]).toMatchObject([{ tracks: ["isp"] }]);
    far(0, true);
    world.advance(2500);
    expect(routeOf(b1, "60.1.1.0/24")).toBeDefined();
  });

  it("follows a reload: the track is asked by other rules, goes, and comes back", () => {
    const { world, borders, far } = bed(alone);
    const [b1] = borders;
    far(0, false);
    world.advance(1700);
    b1.reload(border(1, alone(1).replace("via: 50.1.1.1}", "via: 50.1.1.1, multiplier: 4}")));
    expect([stateOf(b1), routeOf(b1, "60.1.1.0/24")]).toEqual(["down", undefined]);
    b1.reload(border(1, "routes: [{prefix: 60.1.1.0/24, nextHop: 50.1.1.1}]"));
    expect(views(b1)).toEqual([]);
    expect(routeOf(b1, "60.1.1.0/24")).toBeDefined();
    b1.reload(border(1, alone(1)));
    expect(stateOf(b1)).toBe("starting");
    world.advance(2500);
    expect([stateOf(b1), routeOf(b1, "60.1.1.0/24")]).toEqual(["down", undefined]);
  });
});

it("a policy's rule falls through while the track of its next hop is down", () => {
  const rest = (n: number) => `${TRACKS(n)}
routes: [{prefix: 60.1.1.0/24, nextHop: 10.1.1.${4 - n}}]
policies: [{name: out, interfaces: [inside], rules: [{match: {destination: 60.1.1.0/24}, nextHop: 50.1.${n}.1, track: isp}]}]`;
  const { world, borders, ping, far } = bed(rest);
  expect(ping()).toEqual(["r1"]);
  far(0, false);
  world.advance(1700);
  const shown = new Shown(borders[0].control.shown, { view: () => ({ state: "unwatched" }) as never });
  expect(shown.policies()[0]!.rules[0]).toMatchObject({ alive: false, nextHops: [{ ip: "50.1.1.1", alive: false }] });
  expect(ping()).toEqual(["r2"]);
});

describe("the carrier of an AC", () => {
  it("is a track: down with the AC, up with it", () => {
    const { world, borders } = bed();
    const [b1] = borders;
    const ac = b1.control.shown.inventory.ac("ext")!;
    b1.control.topology.setAcUp(ac, false);
    world.advance(100);
    expect(stateOf(b1, "cable")).toBe("down");
    expect(told(b1, /^track\.down/)[0]).toMatch(/"target":"AC ext","problem":"its TAP is not there"/);
    b1.control.topology.setAcUp(ac, true);
    world.advance(100);
    expect(stateOf(b1, "cable")).toBe("up");
  });
});

describe("a host of IPv6 behind an uplink", () => {
  const FAR6 = 0x20010db8_0060_0000_0000_0000_0000_0009n;
  const ROUTER = 0x20010db8_0050_0000_0000_0000_0000_0001n;

  /** A Border whose uplink's router passes echoes to the far end on, while that is there. */
  function uplink6(via: string) {
    const world = new World();
    const text = `node: border
underlay: {address: 192.0.2.3, mtu: 1500}
vsis: [{name: vsi10, vni: 10}, {name: uplink}]
interfaces:
  - {name: inside, vsi: vsi10, address: "2001:db8:10::2/64", distributed: false}
  - {name: outside, vsi: uplink, address: "2001:db8:50::fe/64", distributed: false}
acs: [{name: ext, vsi: uplink, tap: {device: e1}}]
tracks: [{name: isp, icmp: "2001:db8:60::9", interface: outside, via: "${via}"}]
routes: [{prefix: "::/0", nextHop: "${via}", track: isp}]
`;
    const gateway = world.gateway(text);
    const router = new Host6(gateway.taps.get("ext")!, "r1", "02:00:00:00:50:01", [ROUTER, LINK | 0x51n]);
    router.isRouter = true;
    const line = { isThere: true, echoes: 0 };
    const learn = router.tap.receive;
    router.tap.receive = (frame) => {
      learn(frame);
      if (parseNd(frame, 0, frame.length) !== null || readIpv6(frame, ETH_BYTES + IP6_DST) !== FAR6) return;
      line.echoes++;
      if (line.isThere) router.tap.send(echoReply(frame));
    };
    world.advance(1700);
    return { world, gateway, router, line, text };
  }

  for (const via of ["2001:db8:50::1", "fe80::51%outside"])
    it(`is asked through ${via}; the route by it is withdrawn while it is silent, and back with it`, () => {
      const { world, gateway, line, text } = uplink6(via);
      expect(stateOf(gateway)).toBe("up");
      expect(line.echoes).toBeGreaterThanOrEqual(3);
      expect(routeOf(gateway, "::/0")!.nextHops).toMatchObject([{ alive: true, track: "isp" }]);
      line.isThere = false;
      world.advance(1700);
      expect(told(gateway, /^track\.down/)).toEqual([
        `track.down {"track":"isp","target":"2001:db8:60::9 via ${via} on outside","problem":"no answer"}`,
      ]);
      expect(routeOf(gateway, "::/0")).toBeUndefined();
      line.isThere = true;
      world.advance(2500);
      expect(stateOf(gateway)).toBe("up");
      expect(routeOf(gateway, "::/0")!.nextHops).toMatchObject([{ alive: true }]);
      // A reload that leaves it alone leaves its counts.
      const { answered } = views(gateway)[0]!;
      gateway.reload(text);
      expect(views(gateway)[0]!.answered).toBe(answered);
    });
});

describe("a host that another VRF leads to", () => {
  /** Asked by if30 of VRF red; the answers come in by `up`, which is in main. */
  const text = (here: string, there: string, own: string, up: string, source: string, target: string) => `node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
vsis: [{name: vsi30, vni: 30}, {name: uplink}]
interfaces:
  - {name: if30, vsi: vsi30, vrf: red, address: "${own}", icmpSource: "${source}"}
  - {name: up, vsi: uplink, address: "${up}", distributed: false}
acs: [{name: ext, vsi: uplink, tap: {device: e1}}]
tracks: [{name: isp, icmp: "${target}", interface: if30}]
routes: [{prefix: "${here}", viaVrf: red}, {prefix: "${there}", vrf: red, viaVrf: main}]
`;
  const answered = async (world: World, gateway: Gateway, target: string) => {
    world.advance(1700);
    expect(stateOf(gateway)).toBe("up");
    const { agent, shown } = gateway.control;
    const parts = { agent, inventory: shown.inventory, now: () => world.net.nowMs, kick: () => {} };
    const answer = pingHost(parts, "if30", target, 84) as Promise<HostPing>;
    world.advance(1200);
    expect((await answer).kind).toBe("reply");
  };

  it("answers to the VRF that asked", async () => {
    const world = new World();
    const gateway = world.gateway(
      text("10.3.1.0/24", "50.1.1.0/24", "10.3.1.1/24", "50.1.1.1/24", "10.3.1.251", "50.1.1.2"),
    );
    world.vm(gateway, { name: "ext", ip: "50.1.1.2", mac: "02:00:00:00:50:02", gateway: "50.1.1.1" });
    await answered(world, gateway, "50.1.1.2");
  });

  it("answers to it by IPv6", async () => {
    const world = new World();
    const [here, there] = ["2001:db8:30::", "2001:db8:50::"];
    const gateway = world.gateway(
      text(`${here}/64`, `${there}/64`, `${here}1/64`, `${there}1/64`, `${here}f1`, `${there}2`),
    );
    const address = parseIpv6("2001:db8:50::2")!;
    const host = new Host6(gateway.taps.get("ext")!, "ext", "02:00:00:00:50:02", [address]);
    const learn = host.tap.receive;
    host.tap.receive = (frame) => {
      learn(frame);
      if (readIpv6(frame, ETH_BYTES + IP6_DST) === address && parseNd(frame, 0, frame.length) === null)
        host.tap.send(echoReply(frame));
    };
    await answered(world, gateway, "2001:db8:50::2");
  });
});

it("a track through the underlay is down where nothing can ask, and says so", () => {
  const { world, borders } = bed(() =>
    "tracks: [{name: spine, icmp: 192.0.2.200}]\nroutes: [{prefix: 60.1.1.0/24, nextHop: 50.1.1.1, track: spine}]".replace(
      /nextHop: [^,]*/,
      "nextHop: 10.1.1.9",
    ),
  );
  const [b1] = borders;
  world.advance(1000);
  const [track] = tracksOf(views(b1), b1.control.topology.config);
  expect(track).toMatchObject({ state: "down", blind: "there is no socket for echoes", uses: ["route 60.1.1.0/24"] });
  expect(track!.useCount).toBe(1);
  expect(checkTrack(track!)).toMatchObject({ result: "fail", name: "track spine" });
  // Someone brings one: it is asked, and up.
  b1.control.tracks.askUnderlay = (_address, _waitMs, done) => {
    done(1);
    return null;
  };
  world.advance(1700);
  expect(stateOf(b1, "spine")).toBe("up");
});

it("a track of very many routes names eight, counts all, and is told of as such", () => {
  const [b1] = bed().borders;
  const { config } = b1.control.topology;
  const view = views(b1)[0]!;
  const hop = { text: "50.1.1.1", ip: 0x32010101, weight: 1, priority: 1, track: view.name, tunnel: null };
  const route = (n: number) => ({
    ...{ vrf: "main", prefix: { text: `p${n}`, network: n, length: 32 } },
    target: { kind: "nextHops", nextHops: [hop, hop] } as const,
  });
  const routes = Array.from({ length: 20_000 }, (_, n) => route(n));
  const [track] = tracksOf([view], { ...config, routes, policies: [], drain: { ...config.drain, track: null } });
  expect(track).toMatchObject({ uses: routes.slice(0, 8).map(({ prefix }) => `route ${prefix.text}`) });
  expect(track).toMatchObject({ useCount: 20_000 });
  expect(checkTrack(track!).text).toMatch(/; of route p0; route p1; route p2; 19997 more$/);
});
