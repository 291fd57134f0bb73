/** Trace, observe and capture on whole gateways in memory: what is told is what happens. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EventFeed } from "../../src/api/event-feed.ts";
import type { Trace, TraceRequest } from "../../src/api/schema-trace.ts";
import type { CaptureLine, EventRecord } from "../../src/api/schema-watch.ts";
import { Shown } from "../../src/api/shown.ts";
import { LastDrops } from "../../src/insight/last-drops.ts";
import { RowNames } from "../../src/insight/row-names.ts";
import { Tracer } from "../../src/insight/trace.ts";
import { WatchHub } from "../../src/insight/watch.ts";
import { DROP, INJECT } from "../../src/tables/counters.ts";
import { SET_WATCH } from "../../src/tables/tables.ts";
import { ARP_REQUEST } from "../../src/wire/arp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { toHex } from "../wire/hex.ts";
import { article } from "./article.ts";
import type { World } from "./world.ts";

const REQUEST: TraceRequest = {
  protocol: "icmp",
  ttl: 64,
  dscp: 0,
  size: 84,
  df: false,
  sourcePort: 40_000,
  destinationPort: 80,
  inject: false,
};

let world: World;
beforeEach(() => {
  world = article();
});

const gw1 = () => world.gateways.get("gw1")!;

function ask(request: Partial<TraceRequest>) {
  const { shown, injector } = gw1().control;
  return new Tracer(shown, injector).trace({ ...REQUEST, ...request }, () => undefined);
}

const addressOf = (gateway: ReturnType<typeof gw1>) => gateway.control.topology.config.underlay.address;

function traced(request: Partial<TraceRequest>): Trace {
  const answer = ask(request);
  if ("message" in answer) throw new Error(answer.message);
  return answer;
}

const toVm5 = { ac: "vm1", source: "10.1.1.11", destination: "20.1.1.12" };

describe("trace", () => {
  it("says what becomes of a packet before and after its neighbour is known", () => {
    const before = traced(toVm5);
    expect(before.fate).toMatchObject({ kind: "punted", class: "unresolved", reason: null });
    expect(before.fate.next).toBe("waits for ARP of 20.1.1.12 on vsi-interface20, which is asked for in vsi20");
    expect(before.sends).toEqual([]);
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    const after = traced(toVm5);
    expect(after.fate).toMatchObject({ kind: "sent", text: "sent to tunnel gw2", next: null });
    expect(after.steps.map(({ stage, result }) => `${stage} ${result}`)).toEqual([
      "ingress vsi vsi10",
      "bridge route",
      "fib host 20.1.1.12 is resolved",
      "rewrite vsi vsi20",
      "egress 134 of 1500 bytes",
    ]);
    expect(after.packet).toContain("(02:00:00:00:01:11 > ");
    expect(after.sends).toMatchObject([{ via: { kind: "tunnel", name: "gw2" }, vsi: "vsi20", vni: 20, bytes: 98 }]);
  });

  it("`next` is the question to the next gateway: a walk across the fabric is a loop", () => {
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    const byAddress = new Map([...world.gateways.values()].map((each) => [addressOf(each), each]));
    const walk: string[] = [];
    let at = gw1();
    let request: Partial<TraceRequest> = toVm5;
    for (;;) {
      const { shown, injector } = at.control;
      const trace = new Tracer(shown, injector).trace({ ...REQUEST, ...request }, () => undefined);
      if ("message" in trace) throw new Error(trace.message);
      walk.push(trace.fate.text);
      const [next] = trace.next;
      if (next === undefined) break;
      expect(trace.next).toHaveLength(trace.sends.length);
      at = byAddress.get(next.remote)!;
      request = { peer: next.local, vni: next.vni, hex: next.hex };
    }
    expect(walk).toEqual(["sent to tunnel gw2", "sent to ac vm5"]);
    expect(ask({ peer: "192.0.2.99", vni: 10, hex: "00" })).toMatchObject({ missing: true });
    expect(ask({ peer: "192.0.2.2", tunnel: "gw2", vni: 10, hex: "00" })).toMatchObject({ missing: false });
  });

  it("--inject: the very bytes that were foretold leave, counted as injected, and the ledger balances", () => {
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    world.clear();
    const foretold = traced({ ...toVm5, protocol: "udp", sourcePort: 7, destinationPort: 9, dscp: 10, inject: true });
    expect(foretold.injected).toBe(true);
    world.settle();
    const first = world.seen.find((seen) => seen.where === "underlay")!;
    expect(toHex(first.bytes.slice(8))).toBe(foretold.sends[0]!.frame);
    const [block] = gw1().tables.workerCounters;
    expect(block!.injected[INJECT.arrival]).toBe(1);
    // By tunnel as well, header and all: VM1 gets it.
    world.clear();
    traced({ tunnel: "gw2", vni: 10, source: "10.1.1.12", destination: "10.1.1.11", inject: true });
    world.settle();
    expect(world.seen.some((seen) => seen.where === "vm1")).toBe(true);
  });

  it("tells what control would do with ARP, echo, TTL and what is too long", () => {
    const next = (request: Partial<TraceRequest>) => traced({ ...toVm5, ...request }).fate.next;
    const arp = { protocol: "arp", source: "10.1.1.11" } as const;
    expect(next({ ...arp, destination: "10.1.1.1" })).toBe("vsi-interface10 answers with its gateway MAC (S2.2/S3.2)");
    expect(next({ ...arp, destination: "10.1.1.12" })).toBe(
      "local proxy ARP answers with the gateway MAC (S1.2) and asks all sites for 10.1.1.12 (S1.4)",
    );
    expect(next({ ...arp, source: "10.1.1.1", destination: "10.1.1.12" })).toContain("refused: 10.1.1.1 is an address");
    expect(next({ ...arp, source: "99.1.1.1", destination: "10.1.1.12" })).toContain(
      "dropped: ARP sender, or the address it asks for, outside",
    );
    expect(next({ destination: "10.1.1.1" })).toBe("the gateway answers the echo request");
    expect(next({ ttl: 1 })).toBe("ICMP time exceeded from 10.1.1.1 to 10.1.1.11, back where the packet came from");
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    expect(next({ size: 1500, df: true })).toBe(
      "ICMP fragmentation needed, MTU 1450, from 10.1.1.1 to 10.1.1.11, routed by vsi-interface10",
    );
    expect(next({ size: 1500 })).toBe("fragmented to 1450 bytes and sent on");
  });

  it("to a group, or to all of a subnet, by the MAC that a host sends to", () => {
    const to = (source: string, destination: string) => traced({ ac: "vm1", protocol: "udp", source, destination });
    for (const [source, destination, mac] of [
      ["10.1.1.11", "224.0.0.5", "01:00:5e:00:00:05"],
      ["10.1.1.11", "239.129.2.3", "01:00:5e:01:02:03"],
      ["0.0.0.0", "255.255.255.255", "ff:ff:ff:ff:ff:ff"],
      ["10.1.1.11", "10.1.1.255", "ff:ff:ff:ff:ff:ff"],
    ] as const) {
      const { packet, fate } = to(source, destination);
      expect(packet).toContain(`> ${mac})`);
      expect(fate, destination).toMatchObject({ kind: "sent", reason: null });
    }
    expect(to("10.1.1.11", "20.1.1.255").packet).not.toContain("ff:ff:ff:ff:ff:ff");
    expect(to("10.1.1.11", "10.1.1.0").packet).not.toContain("ff:ff:ff:ff:ff:ff");
  });

  it("raw bytes, tags, and questions that make no sense", () => {
    expect(traced({ ac: "vm1", hex: "00" }).fate).toMatchObject({ kind: "dropped", reason: "runt" });
    expect(traced({ ...toVm5, vlan: 99 }).fate.reason).toBe("ac_unbound");
    expect(
      traced({ ...toVm5, ac: undefined, tunnel: "gw2", vni: 77, destinationMac: "02:00:00:00:00:01" } as never).fate
        .reason,
    ).toBe("unknown_vni");
    expect(ask({ ...toVm5, ac: "vm9" })).toMatchObject({ missing: true, message: "there is no AC vm9" });
    expect(ask({ ac: "vm1" })).toMatchObject({ missing: false, message: "source and destination are missing" });
    expect(ask({ hex: "00" })).toMatchObject({ message: "say where it arrives" });
    expect(ask({ tunnel: "gw2", hex: "00" })).toMatchObject({ message: "a tunnel needs a VNI" });
  });
});

describe("watching", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const namesOf = () => new RowNames(gw1().control.shown);
  const hubOf = (feed = new EventFeed(() => Date.now())) => {
    const { shown } = gw1().control;
    return new WatchHub(shown, feed, "gw1");
  };
  const frames = (lines: readonly CaptureLine[]) => lines.filter((line) => line.kind === "frame");

  it("scenario 2 in a capture of gw1: each frame once in and once out, with step and fate", () => {
    const lines: CaptureLine[] = [];
    const end = hubOf().capture({ snaplen: 1000 }, (line) => lines.push(line) > 0);
    if (typeof end !== "function") throw new Error(JSON.stringify(end));
    world.get("vm1").ping("20.1.1.12");
    world.settle();
    vi.advanceTimersByTime(50);
    const told = frames(lines).map(
      ({ direction, via, step, fate }) =>
        `${step ?? "-"} ${direction} ${via!.kind} ${via!.name}: ${fate.split(",")[0]}`,
    );
    expect(lines[0]).toMatchObject({ kind: "start", node: "gw1" });
    expect(told).toEqual([
      "S2.1/S3.1 in ac vm1: punted: arp",
      "S2.2/S3.2 out ac vm1: sent to ac vm1",
      "S2.3 in ac vm1: punted: unresolved",
      "S2.4 out ac vm2: sent to ac vm2",
      "S2.4 out tunnel gw2: sent to tunnel gw2",
      "S2.4 out tunnel border: sent to tunnel border",
      "S2.7 in tunnel gw2: punted: arp",
      "S2.9 out tunnel gw2: sent to tunnel gw2",
      "S2.4 in tunnel gw2: punted: arp",
      "S2.7 out tunnel gw2: sent to tunnel gw2",
      "S2.9 in tunnel gw2: sent to ac vm1",
      "S2.9 out ac vm1: sent to ac vm1",
    ]);
    end();
    expect(gw1().tables.settings[SET_WATCH]).toBe(0);
    world.get("vm1").ping("20.1.1.12", { sequence: 2 });
    world.settle();
    expect(gw1().tables.watch.rings[0]!.isEmpty).toBe(true);
  });

  it("control's own events carry the article's steps: the three scenarios, as gw1 lives them", () => {
    const steps = (act: () => void) => {
      gw1().events.length = 0;
      act();
      world.advance(3000);
      const told = gw1().events.filter(({ fields }) => fields.step !== undefined);
      return [...new Set(told.map(({ event, fields }) => `${fields.step} ${event}`))];
    };
    vi.useRealTimers();
    expect(steps(() => world.get("vm1").ping("10.1.1.12"))).toEqual([
      "S1.2 neighbor.learned",
      "S1.2 arp.proxy-reply",
      "S1.4 arp.relay-request",
      "S1.8 neighbor.learned",
    ]);
    expect(steps(() => world.get("vm2").ping("30.1.1.12"))).toEqual(
      expect.arrayContaining([
        "S2.2/S3.2 neighbor.learned",
        "S2.2/S3.2 arp.gateway-reply",
        "S2.4 arp.solicit",
        "S2.8 neighbor.learned",
      ]),
    );
    world = article();
    expect(steps(() => world.get("vm1").ping("50.1.1.1"))).toEqual(
      expect.arrayContaining(["S3.4 arp.solicit", "S3.6 neighbor.learned"]),
    );
  });

  it("filters by port, VSI and fate; the bytes are the frame's, cut at snaplen", () => {
    const hub = hubOf();
    const kept = (query: Parameters<WatchHub["capture"]>[0]) => {
      const lines: CaptureLine[] = [];
      if (typeof hub.capture(query, (line) => lines.push(line) > 0) === "string") throw new Error("no capture");
      return () => frames(lines);
    };
    const [vm2, vsi20, dropped, all] = [
      kept({ ac: ["vm2"], snaplen: 1000 }),
      kept({ vsi: ["vsi20"], snaplen: 1000 }),
      kept({ drop: "1", snaplen: 1000 }),
      kept({ snaplen: 20 }),
    ];
    world.get("vm1").ping("20.1.1.12");
    world.get("vm1").tap.send(Uint8Array.from([2, 0, 0, 0, 1, 0x11, 2, 0, 0, 0, 1, 0x11]));
    world.settle();
    vi.advanceTimersByTime(50);
    expect(vm2().map(({ via }) => via!.name)).toEqual(["vm2"]);
    expect(new Set(vsi20().map(({ vsi }) => vsi))).toEqual(new Set(["vsi20"]));
    expect(dropped().map(({ reason, length }) => [reason, length])).toEqual([["runt", 12]]);
    expect(all().length).toBeGreaterThan(vm2().length + vsi20().length);
    const lengths = all().map(({ data, length }) => [Buffer.from(data, "base64").length, length]);
    for (const [bytes, length] of lengths) expect(bytes).toBe(Math.min(length!, 20));
    expect(hub.capture({ ac: ["vm9"], snaplen: 20 }, () => true)).toBe("there is no AC vm9");
    expect(hub.capture({ vsi: ["vsi9"], snaplen: 20 }, () => true)).toBe("there is no VSI vsi9");
  });

  it("drops are told with reason, place and the frame in a line; 1,000 a second at most, the rest as a number", () => {
    const records: EventRecord[] = [];
    const feed = new EventFeed(() => Date.now());
    const end = hubOf(feed).follow({ drop: "1" }, (record) => records.push(record) > 0);
    const vm1 = world.get("vm1");
    const martian = (n: number) => {
      const frame = Uint8Array.from({ length: 60 }, (_, i) => (i < 6 ? 1 : i === 11 ? n : 0));
      frame.set([0x01, 0x80, 0xc2, 0, 0, 0], 0);
      frame[6] = 2;
      return frame;
    };
    for (let n = 0; n < 1500; n++) vm1.tap.send(martian(n & 255));
    world.settle();
    vi.advanceTimersByTime(1100);
    expect(records[0]).toMatchObject({ event: "drop", fields: { reason: "reserved_mac", ac: "vm1", vsi: "vsi10" } });
    expect(records[0]!.fields.frame).toMatch(/^type 0x0000 02:00:00:00:00:00 > 01:80:c2:00:00:00, 60 bytes$/);
    const drops = records.filter(({ event }) => event === "drop").length;
    const left = records
      .filter(({ event }) => event === "suppressed")
      .reduce((sum, r) => sum + Number(r.fields.count), 0);
    expect(drops).toBeLessThanOrEqual(100);
    expect(drops + left).toBe(1500);
    end();
    expect(gw1().tables.settings[SET_WATCH]).toBe(0);
  });

  it("a datagram in no VSI is told with outer address, VNI and flags; and kept for the doctor without any watcher", () => {
    const last = new LastDrops(gw1().tables, gw1().control.shown.inventory, namesOf(), {
      workersMs: () => world.net.nowMs + 4000,
      controlMs: () => 0,
    });
    expect(last.of("unknown_vni")).toBeNull();
    const send = () => {
      const datagram = { from: "192.0.2.2", to: "192.0.2.1", tos: 0, entropy: 0, bytes: new Uint8Array(68) };
      datagram.bytes.set([8, 0, 0, 0, 0, 0, 77, 0, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9]);
      world.net.inbox("192.0.2.1").push(datagram);
      world.settle();
    };
    send();
    const shown = new Shown(gw1().control.shown, { view: () => ({ state: "unwatched" }) as never });
    expect(shown.tunnels().map(({ name, turnedAway }) => [name, turnedAway])).toEqual([
      ["border", 0],
      ["gw2", 1],
    ]);
    expect(last.of("unknown_vni")).toEqual({
      secondsAgo: 4,
      via: { kind: "tunnel", name: "gw2" },
      vsi: null,
      taps: [],
      outer: "192.0.2.2",
      outerPort: null,
      flags: 8,
      vni: 77,
      frame: "type 0x0000 02:00:00:00:00:09 > ff:ff:ff:ff:ff:ff, 60 bytes",
    });
    const records: EventRecord[] = [];
    const end = hubOf().follow({ drop: "1" }, (record) => records.push(record) > 0);
    send();
    vi.advanceTimersByTime(50);
    expect(records[0]!.fields).toMatchObject({ tunnel: "gw2", outer: "192.0.2.2", vni: 77, flags: "0x08" });
    end();
    const unknown = { from: "2001:db8::9:1", to: "192.0.2.1", tos: 0, entropy: 77, bytes: new Uint8Array(68) };
    unknown.bytes.set([8, 0, 0, 0, 0, 0, 77, 0]);
    world.net.inbox("192.0.2.1").push(unknown);
    world.settle();
    expect(last.of("unknown_vtep")).toMatchObject({ outer: "2001:db8::9:1", outerPort: 49229, via: null, vni: 77 });
    const stranger = { op: ARP_REQUEST, senderIp: parseIpv4("99.1.1.1")!, targetIp: parseIpv4("10.1.1.1")! };
    world.get("vm1").sendArp(stranger);
    world.settle();
    expect(last.of("arp_not_local")).toMatchObject({
      via: { kind: "ac", name: "vm1" },
      vsi: "vsi10",
      frame: expect.stringContaining("99.1.1.1"),
    });
  });

  it("control's drops are told as well, with reason and place, and are kept for those who come late", () => {
    const feed = new EventFeed(() => Date.now());
    const hub = hubOf(feed);
    const { ledger } = gw1().control.agent;
    ledger.onDrop = (reason, lost) => hub.droppedByControl(reason, lost);
    const vm1 = world.get("vm1");
    vm1.ping("20.1.1.77");
    world.advance(1000);
    // Without a watcher: the workers tell nothing, control does.
    expect(gw1().tables.settings[SET_WATCH]).toBe(0);
    for (let n = 0; n < 40; n++) vm1.ping("20.1.1.77");
    world.advance(5000);
    vi.advanceTimersByTime(2000);
    const kept = feed.recent({ drop: "1" });
    const of = (reason: string) => kept.filter(({ fields }) => fields.reason === reason);
    expect(of("unresolved_timeout")[0]).toMatchObject({
      event: "drop",
      fields: { by: "control", ac: "vm1", vsi: "vsi10", text: "the neighbour did not answer" },
    });
    expect(of("unresolved_timeout")[0]!.fields.frame).toMatch(/^icmp echo-request 10\.1\.1\.11 > 20\.1\.1\.77 /);
    // Sampled, and every drop accounted for: told ones and numbers make the counter.
    for (const reason of ["unresolved_timeout", "unresolved_queue_full"] as const) {
      const told = of(reason).filter(({ event }) => event === "drop");
      const left = of(reason).filter(({ event }) => event === "suppressed");
      expect(told.length).toBeGreaterThan(0);
      expect(left.length).toBeGreaterThan(0);
      const count = left.reduce((sum, { fields }) => sum + Number(fields.count), told.length);
      expect(count, reason).toBe(gw1().tables.controlCounters.drops[DROP[reason]]);
    }
    const lines: CaptureLine[] = [];
    if (typeof hub.capture({ drop: "1", snaplen: 1000 }, (line) => lines.push(line) > 0) === "string")
      throw new Error("no capture");
    world.get("vm1").sendArp({ op: ARP_REQUEST, senderIp: parseIpv4("99.1.1.1")!, targetIp: parseIpv4("10.1.1.1")! });
    world.settle();
    vi.advanceTimersByTime(50);
    expect(frames(lines).map(({ reason, fate, via }) => [reason, fate.slice(-34), via?.name])).toEqual([
      ["arp_not_local", "(by control, after it was punted)".padStart(34), "vm1"],
    ]);
  });
});
