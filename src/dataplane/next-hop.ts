/** What both families ask of a next hop: which member of a group, may the frame go there, how long may it be. */
import { GROUP_WORDS } from "../tables/fib.ts";
import { BFD_DOWN, IF_DISTRIBUTED, IF_L3VNI } from "../tables/vsi.ts";
import type { WorkerContext } from "./context.ts";
import { entropy } from "./egress.ts";
import type { Frame } from "./frame.ts";

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
