/**
 * What neighbour discovery claims: an AC with `antiSpoof: strict` speaks for its bindings there too (RFC 7039 §3.2.1).
 *
 * The source of an advertisement is not what it tells of: its target is, and its link-layer option says at which MAC that lives. Who
 * probes for an address (RFC 4862 §5.4) claims it. So a target is a binding, and a MAC told is the frame's own. It is looked for behind
 * extension headers, as hosts do; headers without an end are no honest host's.
 */
import { bindingKey } from "../tables/bindings.ts";
import { u16 } from "../wire/bytes.ts";
import { ICMP6_NEIGHBOR_ADVERTISEMENT, ICMP6_NEIGHBOR_SOLICITATION, ICMP6_ROUTER_SOLICITATION } from "../wire/icmp6.ts";
import { PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import {
  IP6_HOPS,
  IP6_LENGTH,
  IP6_NEXT,
  IP6_SRC,
  IPV6_BYTES,
  LATER_FRAGMENT,
  PROTO_ICMP6,
  UNDETERMINED,
  upperLayer,
} from "../wire/ipv6.ts";
import { ND_HOP_LIMIT, ND_TARGET } from "../wire/nd.ts";
import type { WorkerContext } from "./context.ts";
import type { Frame } from "./frame.ts";

/** From the start of a message to its options: a solicitation or advertisement of a neighbour, a router's solicitation. */
const OPTIONS = 24;
const ROUTER_OPTIONS = 8;
/** No honest message is longer; it bounds the walk over its options. */
const MOST_BYTES = 1500;

/** The IPv6 packet at `l3` of the frame in hand, whose fixed header is there: is all that it claims bound to its AC and MAC? */
export function isClaimBound(worker: WorkerContext, f: Frame, l3: number): boolean {
  const { bytes } = f;
  const next = bytes[l3 + IP6_NEXT]!;
  if (next === PROTO_TCP || next === PROTO_UDP || bytes[l3 + IP6_HOPS] !== ND_HOP_LIMIT) return true;
  const end = Math.min(f.end, l3 + IPV6_BYTES + u16(bytes, l3 + IP6_LENGTH));
  const upper = upperLayer(bytes, l3, end);
  if (upper === LATER_FRAGMENT) return true;
  if (upper === UNDETERMINED) return false;
  if ((upper & 0xff) !== PROTO_ICMP6) return true;
  const l4 = upper >> 8;
  if (l4 >= end) return false;
  switch (bytes[l4]) {
    case ICMP6_ROUTER_SOLICITATION:
      return areOwn(f, l4 + ROUTER_OPTIONS, end);
    case ICMP6_NEIGHBOR_SOLICITATION:
      return areOwn(f, l4 + OPTIONS, end) && (!isProbe(f, l3) || isTargetBound(worker, f, l4 + ND_TARGET));
    case ICMP6_NEIGHBOR_ADVERTISEMENT:
      return areOwn(f, l4 + OPTIONS, end) && isTargetBound(worker, f, l4 + ND_TARGET);
    default:
      return true;
  }
}

/** From ::, duplicate address detection. */
function isProbe({ view }: Frame, l3: number): boolean {
  const at = l3 + IP6_SRC;
  return (view.getInt32(at) | view.getInt32(at + 4) | view.getInt32(at + 8) | view.getInt32(at + 12)) === 0;
}

function isTargetBound(worker: WorkerContext, f: Frame, at: number): boolean {
  const { view } = f;
  const a = view.getInt32(at);
  const b = view.getInt32(at + 4);
  const c = view.getInt32(at + 8);
  return worker.bindings.has(bindingKey(f.port, f.srcHi), f.srcLo, a, b, c, view.getInt32(at + 12));
}

/** Are the options from `at` whole, and each link-layer address among them the frame's own MAC? */
function areOwn(f: Frame, at: number, end: number): boolean {
  const { bytes, view } = f;
  if (at > end || end - f.at > MOST_BYTES) return false;
  let i = at;
  while (i < end) {
    if (i + 8 > end) return false;
    const length = bytes[i + 1]! << 3;
    if (length === 0) return false;
    // Source and target link-layer address (RFC 4861 §4.6.1); of Ethernet it is eight bytes (RFC 2464 §6).
    const isMac = (bytes[i] === 1 || bytes[i] === 2) && length === 8;
    if (isMac && (view.getUint16(i + 2) !== f.srcHi || view.getInt32(i + 4) !== f.srcLo)) return false;
    i += length;
  }
  return i === end;
}
