/** The doctor: what it says of a gateway and of this machine, with a port that is really taken. */
import { createSocket } from "node:dgram";
import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import type { Tunnel } from "../../src/api/schema.ts";
import { Check, ok } from "../../src/api/schema-doctor.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { PortObject } from "../../src/control/inventory.ts";
import { type LastDrop, MISTAKES } from "../../src/doctor/drops.ts";
import { examineGateway, type GatewayFacts } from "../../src/doctor/gateway.ts";
import { checkGro, checkZeroChecksum, examineHost } from "../../src/doctor/host.ts";
import { addon } from "../../src/io/addon.ts";
import { SCHEDULING, STATUS, UNWATCHED } from "../api/fake-source.ts";

const traffic = (packets: number) => ({ packets, bytes: packets * 100 });
const TUNNEL: Tunnel = {
  name: "gw2",
  remote: "192.0.2.2",
  up: true,
  state: "unwatched",
  mtu: 1450,
  vsis: ["vsi10"],
  probe: UNWATCHED,
  receive: traffic(5),
  transmit: traffic(5),
};
const VSI = { interface: null, arp: "flood" as const, acs: [], macs: 0, receive: traffic(0), transmit: traffic(0) };
const LAST: LastDrop = {
  secondsAgo: 3,
  via: { kind: "tunnel", name: "gw1" },
  vsi: null,
  taps: [],
  outer: null,
  outerPort: null,
  flags: 8,
  vni: 10,
  frame: "60 bytes",
};

function facts(parts: Partial<GatewayFacts>): GatewayFacts {
  return {
    status: STATUS,
    acs: [],
    tunnels: [TUNNEL],
    features: {
      offloads: [{ name: "udpGso", wanted: true, inUse: true }],
      probes: [],
      fallbacks: [],
      workers: [{ worker: 0, receiveBuffer: 8 << 20, receiveDrops: 0 }],
      scheduling: SCHEDULING,
      memory: { resident: 96e6, proportional: null },
    },
    vsis: [
      { ...VSI, name: "vsi11", vni: 11, tunnels: ["gw2"] },
      { ...VSI, name: "vsi20", vni: 20, tunnels: ["gw2"] },
      { ...VSI, name: "vsi30", vni: 30, tunnels: [] },
    ],
    interfaces: [],
    hasEvpn: false,
    duplicates: [],
    bypassed: [],
    macLimits: [],
    dampedMoves: [],
    refusedPorts: [],
    routesWithoutRoom: 0,
    drops: [],
    ...parts,
  };
}

async function examined(parts: Partial<GatewayFacts>, name: string): Promise<Check> {
  const checks = await examineGateway(facts(parts), []);
  for (const check of checks) {
    Check.parse(check);
    expect(check.fix === null, check.name).toBe(check.result === "ok");
  }
  return checks.find((check) => check.name === name)!;
}

it("an AC whose VM has set its interface down is told, with the command", async () => {
  const ac = { vsi: "vsi11", vlan: null, mtu: 1450, receive: traffic(0), transmit: traffic(0) };
  const acs = [
    { ...ac, name: "vm1", device: "eth0", netns: "ns-vm1", up: false, linkDown: true },
    { ...ac, name: "vm2", device: null, netns: null, up: false },
    { ...ac, name: "vm3", device: null, netns: null, up: false, linkDown: true },
  ];
  expect(await examined({ acs }, "AC vm1")).toMatchObject({ result: "warn", fix: "ip -n ns-vm1 link set eth0 up" });
  expect(await examined({ acs }, "AC vm2")).toBeUndefined();
  expect((await examined({ acs }, "AC vm3")).fix).toContain("in the VM");
});

describe("a gateway", () => {
  it("that is well has nothing but ok", async () => {
    const checks = await examineGateway(facts({}), [() => [ok("bgp", "what a feature says")]]);
    expect(checks.filter(({ result }) => result !== "ok")).toEqual([]);
    expect(checks.map(({ name }) => name)).toEqual([
      "ready",
      "config",
      "probing",
      "workers",
      "traffic of gw2",
      "strangers",
      "drops",
      "loss",
      "offloads",
      "receive buffer",
      "addresses",
      "routes",
      "bgp",
    ]);
  });

  it("with an address that two hosts have, or a next hop that is bypassed, is told so with both places", async () => {
    const places = [
      { mac: "02:00:00:00:01:11", via: "AC vm1" },
      { mac: "02:00:00:00:02:22", via: "tunnel gw2" },
    ];
    const address = { interface: "if10", vsi: "vsi10", ip: "10.1.1.11", places, isProbe: false, seconds: 9 };
    const hop = { of: "policy p, rule 1", ip: "10.1.1.12", interface: "if10", tunnel: { name: "gw2" } as PortObject };
    const checks = await examineGateway(facts({ duplicates: [address], bypassed: [hop] }), []);
    expect(checks.filter(({ result }) => result === "warn").map(({ name, text }) => `${name}: ${text}`)).toEqual([
      "address 10.1.1.11 on if10: two hosts have it: 02:00:00:00:01:11 at AC vm1 and 02:00:00:00:02:22 at tunnel gw2",
      "next hop 10.1.1.12: policy p, rule 1: the gateway behind tunnel gw2 answers for 10.1.1.12 and routes by destination, past it",
    ]);
  });

  it("with an AC that a worker could not attach fails, and says why", async () => {
    const refused = { kind: "ac", name: "vm1", worker: 1, error: "ENOSPC, no space left on device" } as const;
    expect(await examined({ refusedPorts: [refused] }, "AC vm1")).toMatchObject({
      result: "fail",
      text: "down: worker 1 cannot attach it: ENOSPC, no space left on device; it tries again every second",
    });
  });

  it("whose route table is full says how many prefixes are not in it", async () => {
    expect(await examined({ routesWithoutRoom: 3 }, "routes")).toEqual({
      name: "routes",
      result: "warn",
      text: "the forwarding table is full and lacks 3 prefixes, whose packets go by shorter ones",
      fix: "raise limits.routes or limits.neighbors and restart; or vtepctl arp flush",
    });
  });

  it("which a limit keeps from learning MACs: the limit, an example, and where to look; later the past", async () => {
    const via = { kind: "ac", name: "vm1" } as const;
    const limit = { vsi: "vsi10", mac: "02:00:00:00:01:11", via, key: "limits.acMacs", most: 1024, times: 12 } as const;
    expect(await examined({ macLimits: [{ ...limit, secondsAgo: 3 }] }, "MACs of vsi10")).toEqual({
      name: "MACs of vsi10",
      result: "warn",
      text: "12 times a MAC was not learned, the last 02:00:00:00:01:11 at AC vm1: limits.acMacs (1024) is reached; frames to it are flooded",
      fix: "raise limits.acMacs, or see what sends from so many MACs at AC vm1",
    });
    const ofVsi = { ...limit, key: "mac.limit", times: 1, secondsAgo: 3 } as const;
    expect((await examined({ macLimits: [ofVsi] }, "MACs of vsi10")).fix).toContain("raise mac.limit of vsi10,");
    const past = await examined({ macLimits: [{ ...limit, secondsAgo: 1000 }] }, "MACs of vsi10");
    expect(past).toMatchObject({ result: "ok", text: expect.stringMatching(/ is reached; the last 16 min ago$/) });
  });

  it("with tunnel lists that differ: a peer that never sends, and a stranger that does", async () => {
    const silent = { tunnels: [{ ...TUNNEL, receive: traffic(0) }] };
    expect(await examined(silent, "traffic of gw2")).toMatchObject({ result: "warn" });
    const idle = { tunnels: [{ ...TUNNEL, receive: traffic(0), transmit: traffic(0) }] };
    expect(await examined(idle, "traffic of gw2")).toMatchObject({ result: "ok" });
    const drops = [
      {
        reason: "unknown_vtep",
        count: 7,
        text: "",
        last: { ...LAST, via: null, outer: "192.0.2.9", outerPort: 50_000 },
      },
    ];
    const check = await examined({ drops }, "strangers");
    expect(check.text).toContain(
      "7 packets from VTEPs that are no tunnel of ours, the last from 192.0.2.9, UDP port 50000, with VNI 10",
    );
    expect(check.fix).toContain("remote: 192.0.2.9");
  });

  it("with a VNI that differs: the peer whose frames are dropped is not called silent", async () => {
    const drops = [
      { reason: "unknown_vni", count: 4, text: "", last: { ...LAST, via: { kind: "tunnel", name: "gw2" } } },
    ];
    const tunnels = [{ ...TUNNEL, receive: traffic(0), turnedAway: 4 }];
    expect(await examined({ tunnels, drops } as Partial<GatewayFacts>, "traffic of gw2")).toMatchObject({
      result: "ok",
      text: "0 packets received, 5 sent; 4 more came and were dropped at the door: the drops below say why",
    });
    expect(await examined({ tunnels, drops } as Partial<GatewayFacts>, "drops unknown_vni")).toMatchObject({
      result: "warn",
    });
  });

  it("whose numbers are one says so in the singular", async () => {
    const probe = { ...UNWATCHED, silentSeconds: 40, sentSince: 5 };
    const once = { ...TUNNEL, receive: traffic(1), transmit: traffic(1) };
    expect((await examined({ tunnels: [once] }, "traffic of gw2")).text).toBe("1 packet received, 1 sent");
    const never = { ...once, receive: traffic(0) };
    expect((await examined({ tunnels: [never] }, "traffic of gw2")).text).toBe("1 packet sent, none ever received");
    const brought = { ...never, name: "evpn:gw2" };
    expect((await examined({ tunnels: [brought] }, "traffic of evpn:gw2")).fix).toContain(": has it our routes of ");
    expect((await examined({ tunnels: [{ ...once, probe }] }, "traffic of gw2")).text).toMatch(/^5 packets sent, /);
    expect((await examined({ routesWithoutRoom: 1 }, "routes")).text).toContain("lacks 1 prefix, ");
  });

  it("whose peer has fallen silent: how many packets went out, and for how long none came back", async () => {
    const probe = { ...UNWATCHED, silentSeconds: 40, sentSince: 8 };
    expect(await examined({ tunnels: [{ ...TUNNEL, probe }] }, "traffic of gw2")).toMatchObject({
      result: "warn",
      text: "8 packets sent, none received for 40 s",
      fix: expect.stringMatching(/vtepctl ping HOST --interface NAME asks a host behind it$/),
    });
    const quiet = { ...probe, sentSince: 1 };
    expect((await examined({ tunnels: [{ ...TUNNEL, probe: quiet }] }, "traffic of gw2")).result).toBe("ok");
    const watched = { ...TUNNEL, probe, bfd: { verdict: "up" } } as GatewayFacts["tunnels"][number];
    expect((await examined({ tunnels: [watched] }, "traffic of gw2")).fix).toContain("vtepd runs, says BFD");
  });

  it("that lost packets for want of room: where, what would help, and who counts the rest", async () => {
    const drop = (reason: string, count: number, secondsAgo = 3) => ({
      reason,
      count,
      text: "",
      last: { ...LAST, secondsAgo },
    });
    const { features } = facts({});
    const overflown = { ...features, workers: [{ worker: 0, receiveBuffer: 8 << 20, receiveDrops: 40 }] };
    expect(await examined({}, "loss")).toMatchObject({ result: "ok", text: expect.stringContaining("nstat") });
    const full = { drops: [drop("tap_full", 12), drop("no_route", 5)], features: overflown };
    expect(await examined(full, "loss")).toMatchObject({
      result: "warn",
      text: expect.stringMatching(
        /^packets lost: 40 in the underlay's receive buffer; 12 at a TAP, whose VM takes slower than it is given; what VMs lose/,
      ),
      fix: "give that VM more processor time",
    });
    expect(await examined({ drops: [drop("tap_full", 12, 7200)] }, "loss")).toMatchObject({
      result: "ok",
      text: expect.stringMatching(/^packets lost: 12 at a TAP.* \(the last 2 h ago\); /),
    });
    expect(await examined({ features: overflown }, "loss")).toMatchObject({ result: "ok" });
    expect(await examined({ features: overflown }, "receive buffer")).toMatchObject({ result: "warn" });
  });

  it("whose drops mean a mistake: the last culprit and the fix; after a quarter of an hour, the past", async () => {
    const vni = (count: number, last: Partial<LastDrop> = {}) => ({
      drops: [{ reason: "unknown_vni", count, text: "", last: { ...LAST, ...last } }],
    });
    const name = "drops unknown_vni";
    expect(await examined(vni(6), name)).toMatchObject({
      result: "warn",
      text: "6 frames, the last from gw1, carry VNI 10, which no VSI here has; VSIs here: 11, 20, 30; the last 3 s ago",
      fix: "give a VSI here vni: 10 and this tunnel, or correct the vni on gw1",
    });
    expect(await examined(vni(1, { vni: 30 }), name)).toMatchObject({
      text: "1 frame from gw1 carries VNI 30: vsi30 has it, but not on tunnel gw1; 3 s ago",
      fix: "add gw1 to tunnels of vsi30, or take us out of that VSI's tunnels there",
    });
    expect(await examined(vni(9, { vni: 20, via: { kind: "tunnel", name: "gw2" } }), name)).toMatchObject({
      result: "ok",
      text: "9 frames, the last from gw2, came with VNI 20 before this configuration, which takes it",
    });
    expect(await examined(vni(2, { vni: 20, via: null, outer: "192.0.2.9" }), name)).toMatchObject({
      text: "2 frames, the last from 192.0.2.9, carry VNI 20: vsi20 has it; the tunnel they came by is gone; the last 3 s ago",
      fix: "is it a peer? then add {name: …, remote: 192.0.2.9} to tunnels",
    });
    expect(await examined(vni(6, { secondsAgo: 3 * 3600 }), name)).toMatchObject({
      result: "ok",
      text: expect.stringMatching(/; the last 3 h ago$/),
    });
    expect(await examined({}, "drops")).toMatchObject({ result: "ok" });
  });

  it("each mistake's sentence can be said of any frame, and has a fix", async () => {
    for (const [reason, { name, text, fix }] of Object.entries(MISTAKES)) {
      const interfaces = [{ name: "if10", vsis: ["vsi10"], addresses: ["10.1.1.1/24"] }];
      const context = { vsis: [], interfaces, tunnels: [], hasEvpn: false };
      for (const via of [LAST.via, { kind: "ac", name: "vm1" }, null] as const)
        for (const vsi of ["vsi10", null]) {
          const fact = { reason, count: 2, last: { ...LAST, via, vsi, taps: ["vm2"] } };
          expect([name, text(fact, context), fix(fact, context)].join(), reason).not.toMatch(/undefined|null|NaN/);
        }
    }
  });

  it("with a worker that makes no progress", async () => {
    expect(await examined({}, "workers")).toMatchObject({ result: "ok" });
    const stuckWorkers = [{ worker: 1, seconds: 4 }];
    const check = await examined({ status: { ...STATUS, workers: 2, stuckWorkers } }, "workers");
    expect(check).toMatchObject({ result: "fail", text: "worker 1 forwards nothing for 4 s" });
  });

  it("with small buffers, lost offloads, a refused reload", async () => {
    const { features } = facts({});
    const small = { ...features, workers: [{ worker: 0, receiveBuffer: 212_992, receiveDrops: 0 }] };
    expect(await examined({ features: small }, "receive buffer")).toMatchObject({ result: "warn" });
    const lossy = { ...features, workers: [{ worker: 0, receiveBuffer: 8 << 20, receiveDrops: 3 }] };
    expect((await examined({ features: lossy }, "receive buffer")).text).toContain("3 datagrams lost");
    const offloads = [{ name: "udpGso", wanted: true, inUse: false }];
    expect((await examined({ features: { ...features, offloads } }, "offloads")).text).toContain("given up: udpGso");
    const config = { ...STATUS.config, lastReloadSuccessful: false };
    expect(await examined({ status: { ...STATUS, config } }, "config")).toMatchObject({ result: "warn" });
  });
});

const hasAddon = (() => {
  try {
    addon();
    return true;
  } catch {
    return false;
  }
})();

describe("this machine", () => {
  const hostChecks = (address: string, port: number, more = "") => {
    const parsed = parseConfig(`node: gw1\nunderlay: {address: ${address}, port: ${port}${more}}\n`, "gw1.yaml");
    if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
    const checks = examineHost(parsed.config, false);
    for (const check of checks) Check.parse(check);
    return new Map(checks.map((check) => [check.name, check]));
  };

  it("lacks a namespace that a TAP is to be made in: which, for whom, and the command that makes it", () => {
    const acs = ["/proc/self/ns/net", "vm-nowhere", "/nowhere/net"].map(
      (netns, at) => `\n  - {name: vm${at}, vsi: vsi10, tap: {device: eth0, netns: ${netns}}}`,
    );
    const checks = hostChecks("192.0.2.1", 4789, `}\nvsis: [{name: vsi10, vni: 10}]\nacs:${acs.join("")}\nmetrics: {`);
    expect(checks.get("namespace /proc/self/ns/net")).toMatchObject({ result: "ok" });
    expect(checks.get("namespace vm-nowhere")).toMatchObject({
      result: "fail",
      text: "there is none, for the TAP of AC vm1",
      fix: "ip netns add vm-nowhere",
    });
    expect(checks.get("namespace /nowhere/net")).toMatchObject({
      result: "fail",
      fix: expect.stringMatching(/tap\.netns$/),
    });
  });

  it("without a configuration is examined for what every gateway needs", () => {
    const names = examineHost(null, false).map(({ name }) => name);
    for (const name of ["kernel", "addon", "/dev/net/tun", "raw-socket", "cap", "capability CAP_NET_ADMIN"])
      expect(names).toContain(name);
  });

  it("warns of a wire whose device does not join packets, with the line that turns it on", () => {
    const off = { device: "eth0", gro: false, tso: true };
    expect(checkGro(off, true)).toMatchObject([{ result: "warn", fix: "ethtool -K eth0 gro on" }]);
    expect(checkGro({ ...off, gro: true }, true)).toMatchObject([{ result: "ok" }]);
    // A veth that cuts is a wire, one that does not brings super-frames.
    expect(checkGro({ ...off, tso: false }, false)).toMatchObject([{ result: "warn" }]);
    expect(checkGro(off, false)).toEqual([]);
    expect(checkGro({ ...off, gro: null }, true)).toEqual([]);
  });

  it("warns of more workers than processors", () => {
    const workersOf = (workers: number) => {
      const parsed = parseConfig(`node: gw1\nunderlay: {address: 127.0.0.1}\nworkers: ${workers}\n`, "gw1.yaml");
      if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
      return examineHost(parsed.config, false).find(({ name }) => name === "workers");
    };
    const processors = availableParallelism();
    expect(workersOf(1)).toBeUndefined();
    if (processors > 1) expect(workersOf(2)).toMatchObject({ result: "ok", fix: null });
    if (processors < 16)
      expect(workersOf(16)).toMatchObject({ result: "warn", text: expect.stringMatching(/^16 workers share/) });
  });

  it.skipIf(!hasAddon)("says who has the port: this very process", async () => {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    const { port } = socket.address();
    const taken = hostChecks("127.0.0.1", port).get("port")!;
    expect(taken).toMatchObject({ result: "fail" });
    expect(taken.text).toMatch(new RegExp(`UDP ${port} of 127.0.0.1 is taken by .+ \\(pid ${process.pid}\\)`));
    await new Promise<void>((resolve) => socket.close(() => resolve()));
    expect(hostChecks("127.0.0.1", port).get("port")).toMatchObject({ result: "ok" });
  });

  it.skipIf(!hasAddon)("an address that no interface has, and an MTU that the device cannot carry", () => {
    expect(hostChecks("192.0.2.77", 4789).get("underlay address")).toMatchObject({ result: "fail" });
    expect(hostChecks("127.0.0.1", 4789).get("underlay MTU")).toMatchObject({ result: "ok" });
  });
});

it("zero checksums over IPv6, which a peer may refuse without our hearing of it, have a line; over IPv4 they are everyone's", () => {
  const linesOf = (address: string, more: string, remote: string) => {
    const tunnels = remote === "" ? "" : `\ntunnels: [{name: gw2, remote: "${remote}"}]`;
    const parsed = parseConfig(`node: a\nunderlay: {address: "${address}"${more}}${tunnels}`, "a.yaml");
    if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
    return checkZeroChecksum(parsed.config);
  };
  const [line, ...rest] = linesOf("2001:db8::1", ", checksum: zero", "2001:db8::2");
  expect(rest).toEqual([]);
  expect(line).toMatchObject({ name: "outer checksum", result: "warn" });
  expect(line!.fix).toMatch(/checksum: auto; .*udp6zerocsumrx.*acceptZeroChecksum/);
  expect(linesOf("2001:db8::1", "", "2001:db8::2")).toEqual([]);
  expect(linesOf("2001:db8::1", ", checksum: zero", "")).toEqual([]);
  expect(linesOf("192.0.2.1", ", checksum: zero", "192.0.2.2")).toEqual([]);
});
