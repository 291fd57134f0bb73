/**
 * Frames for `forward()`, in process: 64 different ones in a rig's arena, put back before each round, because the last
 * one left them rewritten.
 */
import { destination, source } from "../../src/dataplane/bridge.ts";
import type { WorkerContext } from "../../src/dataplane/context.ts";
import type { Frame } from "../../src/dataplane/frame.ts";
import { ingress, parse } from "../../src/dataplane/ingress.ts";
import { forward } from "../../src/dataplane/pipeline.ts";
import { toCpu } from "../../src/dataplane/to-cpu.ts";
import { F_AT, F_HEAD, F_LENGTH, F_SOURCE, F_UNITS, FRAME_WORDS } from "../../src/io/port-io.ts";
import { ROUTE_ADJACENCY } from "../../src/tables/fib.ts";
import { IO_PEER, KIND_TUNNEL, PORT_RA_GUARD, PORT_UP, publishFlood } from "../../src/tables/vsi.ts";
import { type Mac, parseMac } from "../../src/wire/ethernet.ts";
import { ipv6Frame, udpFrame, vxlan } from "../dataplane/packets.ts";
import { udp6 } from "../dataplane/packets6.ts";
import { G10, G20, ip, M1, P20, Rig } from "../dataplane/rig.ts";
import { Rig6 } from "../dataplane/rig6.ts";

const STRIDE = 192;
export const FRAMES = 64;

const macOf = (kind: number, n: number): Mac =>
  parseMac(`02:${[kind, 0, n >> 16, (n >> 8) & 255, n & 255].map((b) => b.toString(16).padStart(2, "0")).join(":")}`)!;

export interface Scenario {
  readonly rig: Rig;
  /** Frame `i` as it arrives, and the io port it comes by. */
  readonly frame: (i: number) => readonly [Uint8Array, number];
  /** Before each batch. */
  readonly before?: () => void;
}

/** Within a VSI, from its AC to hosts behind a tunnel. */
export function bridged(others = 0): Scenario {
  const rig = new Rig(Math.max(1024, others + 128));
  rig.mac(1, M1, 1);
  for (let i = 0; i < FRAMES; i++) rig.mac(1, macOf(1, i), 3);
  for (let i = 0; i < others; i++) rig.mac(1, macOf(9, i), 4);
  const frame = (i: number) => udpFrame({ dst: macOf(1, i), src: M1, from: ip("10.1.1.11"), to: ip("10.1.1.12") });
  return { rig, frame: (i) => [frame(i), 1] };
}

/** The same with IPv6 packets. */
export function bridged6(): Scenario {
  const { rig } = bridged();
  rig.tables.ports.flags[1]! |= PORT_RA_GUARD;
  const frame = (i: number) => {
    const bytes = ipv6Frame({ dst: macOf(1, i), src: M1, trafficClass: 0 });
    // Another host each, as the MACs say.
    bytes[53] = i;
    return bytes;
  };
  return { rig, frame: (i) => [frame(i), 1] };
}

/** From an AC by its gateway to hosts of another VSI behind a tunnel. */
export function routed(): Scenario {
  const rig = new Rig();
  rig.mac(1, M1, 1);
  for (let i = 0; i < FRAMES; i++) rig.neighbor(`20.1.1.${i + 12}`, 2, P20, 3);
  const frame = (i: number) =>
    udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip(`20.1.1.${i + 12}`), sport: 1000 + i });
  return { rig, frame: (i) => [frame(i), 1] };
}

/** The same of IPv6; `lengths` other prefix lengths exist, all longer than the one that is found (0: the hosts' own routes are). */
export function routed6(lengths = 0): Scenario {
  const rig = new Rig6();
  const to = (i: number) => (lengths === 0 ? `2001:db8:20::${(i + 0x100).toString(16)}` : `2001:db8:99::${i + 1}`);
  if (lengths === 0) for (let i = 0; i < FRAMES; i++) rig.host(to(i), 2, P20, 3);
  else rig.add("2001:db8:99::", 48, ROUTE_ADJACENCY, rig.host("2001:db8:20::99", 2, P20, 3));
  for (let n = 1; n < lengths; n++) rig.add("2001:db8:77::", 64 + n, ROUTE_ADJACENCY, 1);
  const frame = (i: number) => udp6({ dst: G10, src: M1, from: "2001:db8:10::11", to: to(i), sport: 1000 + i });
  return { rig, frame: (i) => [frame(i), 1] };
}

/** The same, with none of the destinations known: control has just written a route. */
export function renewed6(lengths: number): Scenario {
  const { rig, frame } = routed6(lengths);
  return { rig, frame, before: () => (rig as Rig6).routes6.renew() };
}

/** From a tunnel by the gateway to hosts of this site. */
export function decapsulated(vnis = 0): Scenario {
  const rig = new Rig();
  rig.mac(2, P20, 3);
  for (let n = 0; n < vnis; n++) rig.vnis.set(1000 + n, 3, 1);
  for (let i = 0; i < FRAMES; i++) rig.neighbor(`10.1.1.${i + 12}`, 1, macOf(3, i), 1);
  const frame = (i: number) =>
    udpFrame({ dst: G20, src: P20, from: ip("20.1.1.12"), to: ip(`10.1.1.${i + 12}`), ttl: 63, sport: 1000 + i });
  return { rig, frame: (i) => [vxlan(20, frame(i)), 3] };
}

/** Broadcast from an AC to `tunnels` tunnels. */
export function flooded(tunnels: number): Scenario {
  const rig = new Rig();
  rig.mac(1, M1, 1);
  const t = rig.tables;
  const list = Array.from({ length: tunnels }, (_, i) => i + 3);
  for (const port of list) {
    t.ports.kind[port] = KIND_TUNNEL;
    t.ports.io[port] = port;
    t.ports.mtu[port] = 1450;
    t.ports.flags[port] = PORT_UP;
    t.ports.ioKind[port] = IO_PEER;
  }
  publishFlood(t.vsis, 1, [1], list);
  const dst = parseMac("ff:ff:ff:ff:ff:ff")!;
  const frame = (i: number) => udpFrame({ dst, src: M1, from: ip("10.1.1.11"), to: ip("10.1.1.255"), sport: 1000 + i });
  return { rig, frame: (i) => [frame(i), 1] };
}

/** The pipeline up to and with a stage; the difference of two is the cost of one. */
export const UP_TO: Readonly<Record<string, (worker: WorkerContext, f: Frame) => void>> = {
  load: () => undefined,
  parse: (worker, f) => {
    parse(worker, f);
  },
  ingress: (worker, f) => {
    if (parse(worker, f) === 0) ingress(worker, f);
  },
  source: (worker, f) => {
    if (parse(worker, f) === 0 && ingress(worker, f) === 0) source(worker, f);
  },
  toCpu: (worker, f) => {
    if (parse(worker, f) === 0 && ingress(worker, f) === 0 && source(worker, f) === 0) toCpu(worker, f);
  },
  destination: (worker, f) => {
    if (parse(worker, f) === 0 && ingress(worker, f) === 0 && source(worker, f) === 0 && toCpu(worker, f) === 0)
      destination(worker, f);
  },
  forward,
};

export interface Rounds {
  /** Put the frames back, and one batch of them all through the step. */
  readonly round: () => void;
  readonly putBack: () => void;
}

/** One batch of FRAMES frames through `step`. */
export function rounds(
  { rig, frame, before = () => undefined }: Scenario,
  step: (worker: WorkerContext, f: Frame) => void,
): Rounds {
  const { io } = rig;
  const first = 64;
  const spare = io.scratchAt >> 1;
  for (let i = 0; i < FRAMES; i++) {
    const [bytes, port] = frame(i);
    // Descriptors name the Ethernet frame 64-byte aligned, as the io does: a VXLAN header lies right before.
    const at = first + i * STRIDE + (port === 3 ? 64 - 8 : 0);
    io.arena.set(bytes, at);
    const d = i * FRAME_WORDS;
    io.frames.fill(0, d, d + FRAME_WORDS);
    io.frames[d + F_AT] = at;
    io.frames[d + F_LENGTH] = bytes.length;
    io.frames[d + F_HEAD] = bytes.length;
    io.frames[d + F_SOURCE] = port;
    io.frames[d + F_UNITS] = 1;
  }
  rig.plane.worker.pool.poison = false;
  io.arena.copyWithin(spare, first, first + FRAMES * STRIDE);
  const { worker } = rig.plane;
  const f = worker.frame;
  const putBack = () => {
    io.arena.copyWithin(first, spare, spare + FRAMES * STRIDE);
  };
  const round = () => {
    putBack();
    before();
    worker.begin();
    for (let i = 0; i < FRAMES; i++) {
      f.load(i);
      step(worker, f);
    }
    worker.finish();
  };
  return { round, putBack };
}
