/**
 * Layer 3 of IPv6 (RFC 8200): route.ts's twin.
 *
 *   length -> martians -> ours? -> hop limit -> policy -> FIB -> adjacency -> horizon, MTU -> rewrite -> next VSI
 *
 * Only the fixed header is looked at: extension headers are the end hosts', hop-by-hop options are forwarded as they are and never punted
 * (RFC 8200 §4: a router may pass over them), and nothing is fragmented on the way (§5): what is too long is told.
 * There is no header checksum. Link-local addresses are not routed (RFC 4291 §2.5.6): such packets end here, or are ours.
 */

import { FLAG_NEEDS_CSUM, GSO_MASK } from "../io/port-io.ts";
import { DROP, PUNT } from "../tables/counters.ts";
import {
  ANY_PREFIX,
  GROUP_WORDS,
  HOST_LENGTH6,
  LENGTHS6_WORDS,
  NO_DEFAULT,
  ROUTE_ADJACENCY,
  ROUTE_ARG_MASK,
  ROUTE_GLEAN,
  ROUTE_GROUP,
  ROUTE_HOST,
  ROUTE_KIND_SHIFT,
  ROUTE_LOCAL,
  ROUTE_UNDERLAY,
  ROUTE_VRF,
  routeKey6,
} from "../tables/fib.ts";
import { SET_VXLAN_PORT } from "../tables/tables.ts";
import { IF_IPV6, PORT_ANTI_SPOOF } from "../tables/vsi.ts";
import { u16 } from "../wire/bytes.ts";
import { ETH_BYTES } from "../wire/ethernet.ts";
import { CODE_HOST_UNREACHABLE } from "../wire/icmp.ts";
import { PROTO_TCP, PROTO_UDP } from "../wire/ipv4.ts";
import { IP6_DST, IP6_HOPS, IP6_LENGTH, IP6_NEXT, IP6_SRC, IPV6_BYTES, upperLayer } from "../wire/ipv6.ts";
import { clampMss, L4_DST_PORT } from "../wire/udp-tcp.ts";
import type { WorkerContext } from "./context.ts";
import { egress } from "./egress.ts";
import { type Fate, type Frame, GO_ON } from "./frame.ts";
import { KNOWN_MATCH, KNOWN_OWN, KNOWN_SPECIFIC, NOT_ASKED } from "./known6.ts";
import { isLinkLocal, isOwnLinkLocal } from "./link-local.ts";
import { beyondGuard, clampTo, deadEnd, homeOf, isLoop, memberOf, mtuOf } from "./next-hop.ts";
import {
  NO_RULE,
  POLICY_DEAD,
  POLICY_DEFAULT,
  POLICY_DEFAULTS,
  POLICY_DROP,
  POLICY_NEXT_HOP,
  POLICY_NEXT_HOPS,
} from "./policy.ts";
import { policy6 } from "./policy6.ts";
import { punt, tellStale } from "./punt.ts";

/** The adjacency of a packet whose next hop is its own destination, which has none yet. */
const DESTINATION = 0;
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
/** Fixed header and a TCP header without options: an MSS is what is left (RFC 8200 §8.3). */
const HEADERS = 60;

/** Route the packet in hand: it was sent to the gateway MAC of its VSI. */
export function route6(worker: WorkerContext, f: Frame): Fate {
  const arrival = worker.vsis.interface[f.vsi]!;
  if ((worker.interfaces.flags[arrival]! & IF_IPV6) === 0) return DROP.not_forwarded;
  const l3 = f.at + ETH_BYTES;
  const fate = checkPacket(f, l3);
  if (fate !== GO_ON) return fate;
  const vrf = worker.interfaces.vrf[arrival]!;
  const bad = checkSource(worker, f, l3, arrival, vrf);
  if (bad !== GO_ON) return bad;
  const view = f.view;
  if (isLinkLocal(view.getInt32(l3 + IP6_DST)))
    return isOwnLinkLocal(worker, f, l3 + IP6_DST, arrival)
      ? punt(worker, f, PUNT.local, arrival, 0)
      : DROP.not_forwarded;

  const to = destinationOf(worker, f, l3, vrf);
  const own = worker.knownTo6.words[to + KNOWN_OWN]!;
  const kind = own >> ROUTE_KIND_SHIFT;
  if (kind === ROUTE_LOCAL) return punt(worker, f, PUNT.local, own & ROUTE_ARG_MASK, 0);
  if (isLinkLocal(view.getInt32(l3 + IP6_SRC))) return DROP.not_forwarded;
  // Before policy too: no rule may carry a tenant's VXLAN to a VTEP.
  if (kind === ROUTE_UNDERLAY && isVxlan(worker, f, l3)) return DROP.overlay_to_underlay;
  if (f.bytes[l3 + IP6_HOPS]! <= 1) return punt(worker, f, PUNT.ttl, arrival, 0);

  const host = beyondGuard(own);
  const rule = worker.fib.policyCount6[worker.policyBank + arrival] === 0 ? NO_RULE : policy6(worker, f, l3, arrival);
  const way = rule >> 8;
  switch (rule & 0xff) {
    case POLICY_DROP:
      return DROP.policy_drop;
    case POLICY_DEAD:
      return DROP.policy_next_hop_dead;
    case POLICY_NEXT_HOP:
      return viaAdjacency6(worker, f, l3, way);
    case POLICY_NEXT_HOPS:
      return viaAdjacency6(worker, f, l3, memberOf(worker, f, way));
    case POLICY_DEFAULT:
    case POLICY_DEFAULTS: {
      // D11: only where the table has nothing more specific than a default route.
      const found = host !== 0 ? host : matchOf(worker, f, l3, vrf, to, KNOWN_SPECIFIC);
      if (found !== 0) return follow(worker, f, l3, found, arrival);
      const hop = (rule & 0xff) === POLICY_DEFAULTS ? memberOf(worker, f, way) : way;
      return viaAdjacency6(worker, f, l3, hop);
    }
    default: // no rule, or permit: the table decides
      return follow(worker, f, l3, host !== 0 ? host : matchOf(worker, f, l3, vrf, to, KNOWN_MATCH), arrival);
  }
}

/** Route a packet of our own in `vrf`: by its destination alone. One of a link goes nowhere, for it does not say of which. */
export function routeOwn6(worker: WorkerContext, f: Frame, l3: number, vrf: number): Fate {
  if (isLinkLocal(f.view.getInt32(l3 + IP6_DST))) return DROP.not_forwarded;
  const to = destinationOf(worker, f, l3, vrf);
  const own = worker.knownTo6.words[to + KNOWN_OWN]!;
  if (own >> ROUTE_KIND_SHIFT === ROUTE_LOCAL) return DROP.not_forwarded;
  const host = beyondGuard(own);
  return follow(worker, f, l3, host !== 0 ? host : matchOf(worker, f, l3, vrf, to, KNOWN_MATCH), 0);
}

/** Where `knownTo6` says what the table of `vrf` has for the packet's destination. */
function destinationOf(worker: WorkerContext, f: Frame, l3: number, vrf: number): number {
  const view = f.view;
  const known = worker.knownTo6;
  const a = view.getInt32(l3 + IP6_DST);
  const b = view.getInt32(l3 + IP6_DST + 4);
  const c = view.getInt32(l3 + IP6_DST + 8);
  const d = view.getInt32(l3 + IP6_DST + 12);
  const at = known.find(a, b, c, d, vrf);
  if (at >= 0) return at;
  known.take(~at, a, b, c, d, vrf, worker.fib.routes6.get(a, b, c, d, routeKey6(vrf, HOST_LENGTH6)));
  return ~at;
}

/**
 * The longest match of the packet's destination, which is known at `to`, but for its own route; `word`: KNOWN_MATCH, or KNOWN_SPECIFIC,
 * without a default route (D11).
 */
function matchOf(worker: WorkerContext, f: Frame, l3: number, vrf: number, to: number, word: number): number {
  const { words } = worker.knownTo6;
  const known = words[to + word]!;
  if (known !== NOT_ASKED) return known;
  const found = lookup6(worker, f, l3 + IP6_DST, vrf, word === KNOWN_MATCH ? ANY_PREFIX : NO_DEFAULT);
  words[to + word] = found;
  return found;
}

/** RFC 8200 §3, RFC 4291 §2.5 and §2.7: a well-formed packet between addresses that a router may see. */
function checkPacket(f: Frame, l3: number): Fate {
  if (f.end < l3 + IPV6_BYTES) return DROP.ip_malformed;
  const view = f.view;
  const length = view.getUint16(l3 + IP6_LENGTH);
  // A length of 0 in front of hop-by-hop options is a jumbogram's (RFC 2675), which no link here carries.
  if (view.getUint8(l3) >> 4 !== 6 || (length === 0 && view.getUint8(l3 + IP6_NEXT) === 0)) return DROP.ip_malformed;
  const bytes = ETH_BYTES + IPV6_BYTES + length;
  if (bytes > f.length) return DROP.ip_malformed;
  // Padding behind the packet ends here.
  if (bytes !== f.length) f.trim(bytes);
  const from = view.getInt32(l3 + IP6_SRC);
  const to = view.getInt32(l3 + IP6_DST);
  if (from >>> 24 === 0xff || (from === 0 && isMartian(view, l3 + IP6_SRC))) return DROP.ip_martian;
  if (to === 0 && isMartian(view, l3 + IP6_DST)) return DROP.ip_martian;
  // Groups are not routed here, whatever MAC they came to.
  if (to >>> 24 === 0xff) return DROP.not_forwarded;
  return from === to && isSame(view, l3) ? DROP.ip_martian : GO_ON;
}

/** ::/96 (no address, loopback, and what was once IPv4's) and ::ffff:0:0/96: of no packet on a wire. The first word is 0. */
function isMartian(view: DataView, at: number): boolean {
  const third = view.getInt32(at + 8);
  return view.getInt32(at + 4) === 0 && (third === 0 || third === 0xffff);
}

function isSame(view: DataView, l3: number): boolean {
  for (let i = 4; i < 16; i += 4) if (view.getInt32(l3 + IP6_SRC + i) !== view.getInt32(l3 + IP6_DST + i)) return false;
  return true;
}

/** What an AC may not claim: one of our addresses; with antiSpoof, any address of another VSI-interface. */
function checkSource(worker: WorkerContext, f: Frame, l3: number, arrival: number, vrf: number): Fate {
  if (f.fromTunnel !== 0) return GO_ON;
  const view = f.view;
  const at = l3 + IP6_SRC;
  const a = view.getInt32(at);
  const b = view.getInt32(at + 4);
  const c = view.getInt32(at + 8);
  const d = view.getInt32(at + 12);
  const known = worker.knownFrom6;
  if (f.port === known.port && d === known.d && c === known.c && b === known.b && a === known.a) return GO_ON;
  if (isLinkLocal(a)) return isOwnLinkLocal(worker, f, at, arrival) ? DROP.ip_martian : GO_ON;
  let found = worker.fib.routes6.get(a, b, c, d, routeKey6(vrf, HOST_LENGTH6));
  if (found >> ROUTE_KIND_SHIFT === ROUTE_LOCAL) return DROP.ip_martian;
  if ((worker.ports.flags[f.port]! & PORT_ANTI_SPOOF) !== 0) {
    if (found === 0) found = lookup6(worker, f, at, vrf, ANY_PREFIX);
    if (homeOf(worker, found) !== arrival) return DROP.anti_spoof;
  }
  known.port = f.port;
  known.a = a;
  known.b = b;
  known.c = c;
  known.d = d;
  return GO_ON;
}

/** Longest match for the address at `at` among prefixes of 127 bits down to `to`; 0 when there is none. */
export function lookup6(worker: WorkerContext, f: Frame, at: number, vrf: number, to: number): number {
  const fib = worker.fib;
  const view = f.view;
  const a = view.getInt32(at);
  const b = view.getInt32(at + 4);
  const c = view.getInt32(at + 8);
  const d = view.getInt32(at + 12);
  for (let word = LENGTHS6_WORDS - 1; word >= 0; word--) {
    let lengths = fib.lengths6[vrf * LENGTHS6_WORDS + word]!;
    while (lengths !== 0) {
      const bits = 31 - Math.clz32(lengths);
      const length = (word << 5) | bits;
      if (length < to) return 0;
      // A shift by 32 is none, so the mask of no bits is a case of its own.
      const mask = bits === 0 ? 0 : -1 << (32 - bits);
      const found = fib.routes6.get(
        word === 0 ? a & mask : a,
        word === 1 ? b & mask : word === 0 ? 0 : b,
        word === 2 ? c & mask : word < 2 ? 0 : c,
        word === 3 ? d & mask : 0,
        routeKey6(vrf, length),
      );
      if (found !== 0) return found;
      lengths &= ~(1 << bits);
    }
  }
  return 0;
}

/** Do what a route says; 0: there is none. */
function follow(worker: WorkerContext, f: Frame, l3: number, found: number, arrival: number): Fate {
  const arg = found & ROUTE_ARG_MASK;
  switch (found >> ROUTE_KIND_SHIFT) {
    case ROUTE_HOST:
    case ROUTE_ADJACENCY:
      return viaAdjacency6(worker, f, l3, arg);
    case ROUTE_GLEAN:
      return punt(worker, f, PUNT.unresolved, arg, DESTINATION);
    case ROUTE_GROUP:
      return worker.fib.groups[arg * GROUP_WORDS] === 0
        ? punt(worker, f, PUNT.unreachable, CODE_HOST_UNREACHABLE, arrival)
        : viaAdjacency6(worker, f, l3, memberOf(worker, f, arg));
    case ROUTE_VRF:
      return byOtherVrf(worker, f, l3, arg, arrival);
    default:
      return deadEnd(worker, f, found, arrival);
  }
}

/** The table of `vrf` decides, as in route.ts: a route of it that leads to a further VRF is none. */
function byOtherVrf(worker: WorkerContext, f: Frame, l3: number, vrf: number, arrival: number): Fate {
  const to = destinationOf(worker, f, l3, vrf);
  const own = worker.knownTo6.words[to + KNOWN_OWN]!;
  if (own >> ROUTE_KIND_SHIFT === ROUTE_LOCAL)
    return arrival === 0 ? DROP.not_forwarded : punt(worker, f, PUNT.local, own & ROUTE_ARG_MASK, 0);
  const host = beyondGuard(own);
  const found = host !== 0 ? host : matchOf(worker, f, l3, vrf, to, KNOWN_MATCH);
  return follow(worker, f, l3, found >> ROUTE_KIND_SHIFT === ROUTE_VRF ? 0 : found, arrival);
}

/** UDP to the VXLAN port, whatever stands in front of it; so is what hides its end, and a later fragment. */
function isVxlan(worker: WorkerContext, f: Frame, l3: number): boolean {
  const upper = upperLayer(f.bytes, l3, f.end);
  if (upper < 0) return true;
  const l4 = upper >> 8;
  return (
    (upper & 0xff) === PROTO_UDP &&
    l4 + 4 <= f.end &&
    u16(f.bytes, l4 + L4_DST_PORT) === worker.settings[SET_VXLAN_PORT]
  );
}

/** The last steps: resolved? may it go there? does it fit? Then rewrite and send. */
export function viaAdjacency6(worker: WorkerContext, f: Frame, l3: number, adjacency: number): Fate {
  const fib = worker.fib;
  const row = fib.rewrite[adjacency]!;
  const out = fib.adjacencyInterface[adjacency]!;
  if (row === 0) return punt(worker, f, PUNT.unresolved, out, adjacency);
  fib.adjacencyHit[adjacency] = 1;
  const port = fib.rewritePort[row]!;
  const vsi = fib.rewriteVsi[row]!;
  if (f.fromTunnel !== 0 && isLoop(worker, f, out, port, vsi)) {
    tellStale(worker, f, adjacency);
    return DROP.l3_loop;
  }
  const mtu = mtuOf(worker, out, port);
  if (packetBytes(f, l3) > mtu) return punt(worker, f, PUNT.mtu, mtu, adjacency);
  if (f.bytes[l3 + IP6_NEXT] === PROTO_TCP) clamp(worker, f, l3, out, mtu);
  rewrite(worker, f, l3, row);
  return egress(worker, f, port, vsi);
}

/** Bytes of the packet as it will be on the wire: one segment of a super-frame. */
function packetBytes(f: Frame, l3: number): number {
  if ((f.flags & GSO_MASK) !== 0) return f.superHeaderBytes() - ETH_BYTES + f.gsoSize;
  return IPV6_BYTES + f.view.getUint16(l3 + IP6_LENGTH);
}

function clamp(worker: WorkerContext, f: Frame, l3: number, out: number, mtu: number): void {
  const most = clampTo(worker, f, out, mtu);
  if (most !== 0) clampMss(f.bytes, l3 + IPV6_BYTES, f.end, most - HEADERS, (f.flags & FLAG_NEEDS_CSUM) !== 0);
}

/** Hop limit, and both MACs from the ready row. */
function rewrite(worker: WorkerContext, f: Frame, l3: number, row: number): void {
  const view = f.view;
  f.bytes[l3 + IP6_HOPS]!--;
  const words = worker.fib.rewriteWords;
  const from = row << 2;
  const at = f.at;
  view.setInt32(at, words[from]!, LITTLE_ENDIAN);
  view.setInt32(at + 4, words[from + 1]!, LITTLE_ENDIAN);
  view.setInt32(at + 8, words[from + 2]!, LITTLE_ENDIAN);
}
