/** trace, ping and capture of IPv6 on whole gateways in memory: what is told is what happens. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EventFeed, filterOf } from "../../src/api/event-feed.ts";
import type { HostPing } from "../../src/api/schema-probe.ts";
import type { Trace, TraceRequest } from "../../src/api/schema-trace.ts";
import type { CaptureLine, CaptureQuery } from "../../src/api/schema-watch.ts";
import { ECHO_WAIT_MS } from "../../src/control/icmp/ping.ts";
import { Tracer } from "../../src/insight/trace.ts";
import { WatchHub } from "../../src/insight/watch.ts";
import { pingHost } from "../../src/liveness/host-ping.ts";
import { ETH_BYTES, readMac, writeMac } from "../../src/wire/ethernet.ts";
import { ICMP6_ECHO_REPLY, ICMP6_ECHO_REQUEST, sealIcmp6 } from "../../src/wire/icmp6.ts";
import { formatIpv6, IP6_DST, IP6_HOPS, IP6_NEXT, IP6_SRC, readIpv6, writeIpv6 } from "../../src/wire/ipv6.ts";
import { toHex } from "../wire/hex.ts";
import { type Host6, LINK, NET, Sites6, site6 } from "./host6.ts";

const L4 = ETH_BYTES + 40;
const VM1 = "2001:db8:10::11";
const VM4 = "2001:db8:10::12";
const REQUEST: TraceRequest = {
  ...{ protocol: "icmp", ttl: 64, dscp: 0, size: 84, df: false },
  ...{ sourcePort: 40_000, destinationPort: 80, inject: false },
};

/** It answers echo requests, too. @returns all of them, as they came. */
function answering(host: Host6): Uint8Array[] {
  const echoes: Uint8Array[] = [];
  const receive = host.tap.receive!;
  host.tap.receive = (frame) => {
    receive(frame);
    if (frame[12] !== 0x86 || frame[ETH_BYTES + IP6_NEXT] !== 58 || frame[L4] !== ICMP6_ECHO_REQUEST) return;
    echoes.push(frame.slice());
    const reply = frame.slice();
    writeMac(reply, 0, readMac(frame, 6));
    writeMac(reply, 6, host.mac);
    writeIpv6(reply, ETH_BYTES + IP6_SRC, readIpv6(frame, ETH_BYTES + IP6_DST));
    writeIpv6(reply, ETH_BYTES + IP6_DST, readIpv6(frame, ETH_BYTES + IP6_SRC));
    reply[L4] = ICMP6_ECHO_REPLY;
    sealIcmp6(reply, ETH_BYTES, reply.length - L4);
    host.tap.send(reply);
  };
  return echoes;
}

describe("trace", () => {
  const ask = (sites: Sites6, request: Partial<TraceRequest>) => {
    const { shown, injector } = sites.gw1.control;
    return new Tracer(shown, injector).trace({ ...REQUEST, ...request }, () => undefined);
  };
  const traced = (sites: Sites6, request: Partial<TraceRequest>): Trace => {
    const answer = ask(sites, request);
    if ("message" in answer) throw new Error(answer.message);
    return answer;
  };
  const toVm4 = { ac: "vm1", source: VM1, destination: VM4 };

  it("of a packet that no router forwards names the end that is of the link", () => {
    const sites = new Sites6();
    const why = (source: string, destination: string) => {
      const { steps } = traced(sites, { ac: "vm1", source, destination });
      return steps.find(({ stage }) => stage === "route")!;
    };
    const dropped = { result: "drop not_forwarded" };
    expect(why("fe80::11", VM4)).toEqual({
      ...{ stage: "route", text: "what comes from fe80::11 is not routed: it is of the link" },
      ...dropped,
    });
    expect(why(VM1, "fe80::12")).toEqual({ stage: "route", text: "fe80::12 is not routed", ...dropped });
    const anycast = traced(sites, { ac: "vm1", source: VM1, destination: "2001:db8:10::" });
    expect(anycast.steps.at(-1)).toMatchObject({ stage: "fib", text: "2001:db8:10::/128 anycast of all routers" });
  });

  it("says what becomes of a packet before and after its neighbour is known, and by its source where it arrives", () => {
    const sites = new Sites6();
    const before = traced(sites, toVm4);
    expect(before.packet).toMatch(/^icmp6 echo-request 2001:db8:10::11 > 2001:db8:10::12 hops 64, 84 bytes \(/);
    expect(before.fate).toMatchObject({ kind: "punted", class: "unresolved" });
    expect(before.fate.next).toBe(`waits for neighbour discovery of ${VM4} on if10, which is asked for in vsi10`);
    sites.vm1.ask(NET | 0x12n);
    sites.world.settle();
    const after = traced(sites, { source: VM1, destination: "2001:DB8:10::12" });
    expect(after.fate).toMatchObject({ kind: "sent", text: "sent to tunnel gw2", next: null });
    expect(after.steps.map(({ stage, text, result }) => `${stage}: ${text}: ${result}`)).toEqual([
      "ingress: ac vm1, untagged: vsi vsi10",
      "bridge: destination is the gateway MAC: route",
      `fib: ${VM4}/128 host on if10: host ${VM4} is resolved`,
      expect.stringMatching(/^rewrite: hop limit 64->63, /),
      "egress: tunnel gw2, vni 10: 134 of 1500 bytes",
    ]);
  });

  it("--inject: the very bytes that were foretold leave", () => {
    const sites = new Sites6();
    sites.vm1.ask(NET | 0x12n);
    sites.world.settle();
    sites.clear();
    const foretold = traced(sites, { ...toVm4, protocol: "udp", dscp: 10, inject: true });
    sites.world.settle();
    const first = sites.world.seen.find(({ where }) => where === "underlay")!;
    expect(toHex(first.bytes.slice(8))).toBe(foretold.sends[0]!.frame);
    expect(sites.vm4.frames.some((frame) => frame[ETH_BYTES + IP6_NEXT] === 17)).toBe(true);
  });

  it("of neighbour discovery, of an echo to the gateway, a hop limit that ends, and what is too long", () => {
    const sites = new Sites6();
    const next = (request: Partial<TraceRequest>) => traced(sites, { ...toVm4, ...request }).fate.next;
    const nd = traced(sites, { ...toVm4, protocol: "nd" });
    expect(nd.packet).toMatch(/^nd who has 2001:db8:10::12 tell 2001:db8:10::11/);
    expect(nd.steps.at(-1)).toEqual({ stage: "cpu", text: "neighbour discovery", result: "to control" });
    expect(nd.fate.next).toBe(`local proxy answers with the gateway MAC (S1.2) and asks all sites for ${VM4} (S1.4)`);
    expect(next({ protocol: "nd", destination: "fe80::1" })).toBe("if10 answers with its gateway MAC (S2.2/S3.2)");
    expect(traced(sites, { ...toVm4, protocol: "nd", source: "::" }).packet).toMatch(/^nd has anyone 2001:db8:10::12/);
    expect(next({ destination: "2001:db8:10::1" })).toBe("the gateway answers the echo request");
    expect(next({ ttl: 1 })).toMatch(/^ICMPv6 time exceeded from 2001:db8:10::1 to 2001:db8:10::11/);
    expect(next({ destination: "2001:db8:99::1" })).toMatch(/^ICMPv6 unreachable \(no route\) from/);
    sites.vm1.ask(NET | 0x12n);
    sites.world.settle();
    expect(next({ size: 1451 })).toMatch(/^ICMPv6 packet too big, MTU 1450, from/);
    // To all nodes a host sends by the group's MAC.
    expect(traced(sites, { ...toVm4, destination: "ff02::1" }).packet).toContain("> 33:33:00:00:00:01)");
  });

  it("refuses what no packet is", () => {
    const sites = new Sites6();
    const message = (request: Partial<TraceRequest>) =>
      (ask(sites, { ...toVm4, ...request }) as { message: string }).message;
    expect(message({ destination: "10.1.1.12" })).toBe("source and destination are of different families");
    expect(message({ protocol: "arp" })).toBe("IPv6 has no ARP");
    expect(message({ protocol: "nd", source: "10.1.1.11", destination: "10.1.1.12" })).toBe("nd is IPv6's");
    const fromLink = ask(sites, { source: "fe80::11", destination: VM4 });
    expect(fromLink).toMatchObject({ message: "fe80::11 is of a link: say where it arrives" });
  });
});

describe("ping of a host", () => {
  const ask = (sites: Sites6, ip: string, length = 84) => {
    const { agent, shown } = sites.gw1.control;
    const parts = { agent, inventory: shown.inventory, now: () => sites.world.net.nowMs, kick: () => {} };
    return pingHost(parts, "if10", ip, length);
  };
  const ping = async (sites: Sites6, ip: string, length = 84): Promise<HostPing> => {
    const result = ask(sites, ip, length);
    if (result === null || typeof result === "string") throw new Error(String(result));
    sites.world.settle();
    sites.world.advance(ECHO_WAIT_MS + 100);
    return await result;
  };

  it("of this site is answered, found by neighbour discovery first", async () => {
    const sites = new Sites6();
    const echoes = answering(sites.vm1);
    expect(await ping(sites, VM1)).toEqual({
      ...{ kind: "reply", source: "2001:db8:10::1", length: 84, rttMs: 0, ttl: 64 },
      ...{ via: { kind: "ac", name: "vm1" }, note: null },
    });
    expect(echoes.map((frame) => [frame.length, frame[ETH_BYTES + IP6_HOPS]])).toEqual([[ETH_BYTES + 84, 64]]);
    expect(formatIpv6(readIpv6(echoes[0]!, ETH_BYTES + IP6_SRC))).toBe("2001:db8:10::1");
  });

  it("is measured to the fraction of a millisecond", async () => {
    const sites = new Sites6();
    answering(sites.vm1);
    await ping(sites, VM1);
    sites.world.net.nowMs += 0.9;
    sites.world.settle();
    const asked = ask(sites, VM1);
    sites.world.net.nowMs += 0.4;
    sites.world.settle();
    expect(await asked).toMatchObject({ kind: "reply", rttMs: expect.closeTo(0.4, 6) });
  });

  it("of another site is answered here where the VSI-interface has an address of its own, else its loss is explained", async () => {
    const shared = new Sites6();
    answering(shared.vm4);
    const lost = await ping(shared, VM4);
    expect(lost).toMatchObject({ kind: "lost", via: { kind: "tunnel", name: "gw2" } });
    expect(lost.note).toMatch(/^2001:db8:10::1 is an address of every distributed gateway/);
    const own = new Sites6();
    own.gw1.reload(site6(1, { iface: `, icmpSource: "2001:db8:10::fb"` }));
    own.world.settle();
    answering(own.vm4);
    expect(await ping(own, VM4)).toMatchObject({ kind: "reply", source: "2001:db8:10::fb", ttl: 63 });
  });

  it("that is not there, and what cannot be asked", async () => {
    const sites = new Sites6();
    expect(await ping(sites, "2001:db8:10::99")).toMatchObject({
      kind: "unresolved",
      note: "2001:db8:10::99 answers no neighbour solicitation",
    });
    expect(ask(sites, "2001:db8:10::1")).toBe("2001:db8:10::1 is an address of if10 itself");
    expect(ask(sites, "fe80::11")).toMatch(/^fe80::11 is of the link/);
    expect(ask(sites, VM1, 40)).toBe("an echo of IPv6 has 48 bytes at least");
    const only4 = new Sites6({ addresses: "10.1.1.1/24" });
    expect(ask(only4, VM1)).toBe("if10 has no IPv6 address to ask with");
  });

  it("longer than the MTU goes in fragments", async () => {
    const sites = new Sites6();
    await ping(sites, VM1);
    sites.clear();
    await ping(sites, VM1, 4000);
    const pieces = sites.vm1.frames.filter((frame) => frame[ETH_BYTES + IP6_NEXT] === 44);
    expect(pieces).toHaveLength(3);
    expect(pieces.reduce((sum, frame) => sum + frame.length - ETH_BYTES - 48, 0)).toBe(4000 - 40);
    for (const { length } of pieces) expect(length).toBeLessThanOrEqual(ETH_BYTES + 1450);
  });
});

describe("capture and observe", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function captured(sites: Sites6, query: Partial<CaptureQuery>, act: () => void) {
    const lines: CaptureLine[] = [];
    const hub = new WatchHub(sites.gw1.control.shown, new EventFeed(() => 0), "gw1");
    const end = hub.capture({ snaplen: 1000, ...query }, (line) => lines.push(line) > 0);
    if (typeof end !== "function") throw new Error("no capture");
    act();
    sites.world.settle();
    vi.advanceTimersByTime(50);
    end();
    return lines.filter((line) => line.kind === "frame");
  }

  it("shows the steps of scenario 1 in the words of neighbour discovery", () => {
    const sites = new Sites6();
    const seen = captured(sites, { host: [VM4] }, () => sites.vm1.ask(NET | 0x12n));
    expect(seen.map(({ direction, via, step, summary }) => `${step} ${direction} ${via!.name}: ${summary}`)).toEqual([
      `S1.1 in vm1: nd who has ${VM4} tell ${VM1} (02:00:00:00:01:11)`,
      expect.stringMatching(`^S1.2 out vm1: nd ${VM4} is at `),
      expect.stringMatching(`^S1.4 out vm3: nd who has ${VM4} tell ${VM1} `),
      expect.stringMatching(`^S1.4 out gw2: nd who has ${VM4} tell ${VM1} `),
      expect.stringMatching(`^S1.7 in gw2: nd ${VM4} is at `),
    ]);
  });

  it("keeps what names the host and is of the protocol, and nothing else", () => {
    const sites = new Sites6();
    const act = () => {
      sites.vm1.ask(NET | 1n);
      sites.vm3.ask(NET | 1n);
      sites.vm1.ask(LINK | 1n);
    };
    const of = (query: Partial<CaptureQuery>) =>
      captured(sites, query, act).map(({ via, direction }) => `${direction} ${via!.name}`);
    expect(new Set(of({ host: ["2001:db8:10::13"] }))).toEqual(new Set(["in vm3", "out vm3"]));
    expect(of({ host: ["2001:db8:10::13", "10.1.1.1"], protocol: ["icmp"] })).toEqual([]);
    expect(of({ protocol: ["nd"] }).length).toBe(of({ protocol: ["ipv6"] }).length);
    expect(of({ host: ["10.1.1.13"] })).toEqual([]);
  });

  it("observe --host names an IPv6 address as a whole, however it is written; --protocol nd", () => {
    const record = (event: string, fields: Record<string, string>) => ({
      ...{ time: "", level: "info" as const, event, step: null, fields },
    });
    const names = filterOf({ host: "2001:DB8:10:0::1" });
    for (const text of [
      "2001:db8:10::1",
      "nd who has 2001:db8:10::1 tell 2001:db8:10::11 (02:00:00:00:01:11)",
      "tcp [2001:db8:10::1]:80 > [2001:db8:10::12]:7",
      "2001:db8:10::1, and more",
      "2001:db8:10::1: no answer",
    ])
      expect(names(record("x", { text })), text).toBe(true);
    for (const text of ["2001:db8:10::11", "2001:db8:10::1:2", "2001:db8:10::1::", "1:2001:db8:10::1", "10.1.1.1"])
      expect(names(record("x", { text })), text).toBe(false);
    expect(filterOf({ protocol: "nd" })(record("nd.proxy-reply", {}))).toBe(true);
    expect(filterOf({ protocol: "icmp" })(record("drop", { frame: "icmp6 echo-request a > b" }))).toBe(true);
    expect(filterOf({ protocol: "nd" })(record("drop", { frame: "icmp6 echo-request a > b" }))).toBe(false);
  });
});
