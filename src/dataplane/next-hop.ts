/**
 * What both families ask of a route, and of its next hop: whether it leads anywhere, which member of a group, may the frame go there,
 * how long may it be. Addresses are each family's own (route.ts, route6.ts); behind the table a packet has none.
 */
import { DROP, PUNT } from "../tables/counters.ts";
import {
  GROUP_WORDS,
  ROUTE_ARG_MASK,
  ROUTE_BROADCAST,
  ROUTE_DISCARD,
  ROUTE_GLEAN,
  ROUTE_HOST,
  ROUTE_KIND_SHIFT,
  ROUTE_PROHIBIT,
  ROUTE_UNDERLAY,
  ROUTE_UNREACHABLE,
} from "../tables/fib.ts";
import { BFD_DOWN, IF_DISTRIBUTED, IF_L3VNI, IF_MSS_CLAMP } from "../tables/vsi.ts";
import { CODE_HOST_UNREACHABLE, CODE_NET_UNREACHABLE, CODE_PROHIBITED } from "../wire/icmp.ts";
import type { WorkerContext } from "./context.ts";
import { entropy } from "./egress.ts";
import type { Fate, Frame } from "./frame.ts";
import { punt } from "./punt.ts";

/** The route of an address itself, 0 for one that only guards a VTEP's: there the next shorter prefix holds. */
export function beyondGuard(own: number): number {
  return own >> ROUTE_KIND_SHIFT === ROUTE_UNDERLAY ? 0 : own;
}

/** The VSI-interface on whose link an address is, by its longest match; 0: on none. What a static route leads to is not on its next hop's link: only the next hop itself is. */
export function homeOf(worker: WorkerContext, found: number): number {
  const arg = found & ROUTE_ARG_MASK;
  const kind = found >> ROUTE_KIND_SHIFT;
  if (kind === ROUTE_GLEAN) return arg;
  return kind === ROUTE_HOST ? worker.fib.adjacencyInterface[arg]! : 0;
}

/** The end of a packet whose route has no next hop; 0: there is none. */
export function deadEnd(worker: WorkerContext, f: Frame, found: number, arrival: number): Fate {
  switch (found >> ROUTE_KIND_SHIFT) {
    case ROUTE_DISCARD:
      return DROP.discard_route;
    case ROUTE_UNREACHABLE:
      return punt(worker, f, PUNT.unreachable, CODE_HOST_UNREACHABLE, arrival);
    case ROUTE_PROHIBIT:
      return punt(worker, f, PUNT.unreachable, CODE_PROHIBITED, arrival);
    case ROUTE_BROADCAST:
      return DROP.not_forwarded;
    default:
      return punt(worker, f, PUNT.unreachable, CODE_NET_UNREACHABLE, arrival);
  }
}

/**
 * ECMP: a flow (fragments included) always takes the same next hop while the set is the same (RFC 2992).
 *
 * One behind a tunnel whose BFD session has ended is passed over at once: control, which may be busy, deals its places out anew
 * when it comes to it. Where all are behind such tunnels the flow's own is taken, and control answers for it.
 */
export function memberOf(worker: WorkerContext, f: Frame, group: number): number {
  const groups = worker.fib.groups;
  const at = group * GROUP_WORDS;
  // The high bits: the low ones choose the outer source port, and each next hop shall see all of those.
  const place = (entropy(f) >> 16) & (GROUP_WORDS - 1);
  const own = groups[at + place]!;
  if (!isCutOff(worker, own)) return own;
  for (let n = 1; n < GROUP_WORDS; n++) {
    const other = groups[at + ((place + n) & (GROUP_WORDS - 1))]!;
    if (!isCutOff(worker, other)) return other;
  }
  return own;
}

/** Is the next hop behind a tunnel whose peer is gone, or leaves, by the word of its BFD session? */
function isCutOff(worker: WorkerContext, adjacency: number): boolean {
  const fib = worker.fib;
  const ports = worker.ports;
  return ports.verdicts[ports.session[fib.rewritePort[fib.rewrite[adjacency]!]!]!]! >= BFD_DOWN;
}

/**
 * Back into the tunnel it came by? A distributed gateway never does that: its peer believes we have the host, we believe
 * the peer has it. A central gateway does, between two VSIs: that is what it is for. What came by an L3VNI never leaves
 * by it: each gateway knows all others itself, and two that each believe the other one nearer would pass it on for ever.
 */
export function isLoop(worker: WorkerContext, f: Frame, out: number, port: number, vsi: number): boolean {
  const flags = worker.interfaces.flags[out]!;
  if (port !== f.port) return vsi === f.vsi && (flags & IF_L3VNI) !== 0;
  return vsi === f.vsi || (flags & IF_DISTRIBUTED) !== 0;
}

/** The longest IP packet that leaves by VSI-interface `out` and bridge port `port`. */
export function mtuOf(worker: WorkerContext, out: number, port: number): number {
  const a = worker.interfaces.mtu[out]!;
  const b = worker.ports.mtu[port]!;
  return Math.min(a, b);
}

/**
 * The longest packet of the TCP connection of the frame in hand, which leaves by `out` with `mtu`: the way back, which is the one it came by,
 * counts too, also when it has waited for its next hop. 0: its MSS is let be.
 */
export function clampTo(worker: WorkerContext, f: Frame, out: number, mtu: number): number {
  const arrival = worker.vsis.interface[f.vsi]!;
  const flags = worker.interfaces.flags;
  if (((flags[out]! | flags[arrival]!) & IF_MSS_CLAMP) === 0) return 0;
  // Of our own packets nothing arrived.
  return arrival === 0 ? mtu : Math.min(mtu, mtuOf(worker, arrival, f.port));
}
