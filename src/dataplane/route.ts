/**
 * Layer 3: a frame that came to a gateway MAC is a packet to route (RFC 1812 §5).
 *
 *   header checks -> martians -> ours? -> TTL -> policy -> FIB -> adjacency -> horizon, MTU -> rewrite -> next VSI
 *
 * The order is RFC 1812's with one exception: policy stands before the table, and after "is it for us?", so that no
 * policy can take the gateway's own addresses away. Everything that wants a conversation (ARP, ICMP, fragments) is
 * punted; what can be decided from the tables is decided here.
 */

import { FLAG_NEEDS_CSUM, GSO_MASK } from "../io/port-io.ts";
import { DROP, PUNT } from "../tables/counters.ts";
import {
  ANY_PREFIX,
  GROUP_WORDS,
  HOST_LENGTH,
  LONGEST_PREFIX,
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
  routeKey,
} from "../tables/fib.ts";
import { SET_VXLAN_PORT } from "../tables/tables.ts";
import { PORT_ANTI_SPOOF } from "../tables/vsi.ts";
import { u16 } from "../wire/bytes.ts";
import { ETH_BYTES, TYPE_IPV4 } from "../wire/ethernet.ts";
import { CODE_HOST_UNREACHABLE } from "../wire/icmp.ts";
import {
  checkIpv4,
  decrementTtl,
  FRAGMENT_MF,
  FRAGMENT_OFFSET,
  hasForbiddenOptions,
  headerBytes,
  IP_DST,
  IP_FRAGMENT,
  IP_LENGTH,
  IP_PROTOCOL,
  IP_SRC,
  IP_TTL,
  IPV4_BAD_CHECKSUM,
  IPV4_OK,
  isLinkLocal,
  isLoopback,
  isMartianSource,
  isThisNetwork,
  maskOf,
  PROTO_TCP,
  PROTO_UDP,
} from "../wire/ipv4.ts";
import { clampMss, L4_DST_PORT } from "../wire/udp-tcp.ts";
import type { WorkerContext } from "./context.ts";
import { egress } from "./egress.ts";
import { type Fate, type Frame, GO_ON } from "./frame.ts";
import { beyondGuard, clampTo, deadEnd, homeOf, isLoop, memberOf, mtuOf } from "./next-hop.ts";
import {
  NO_RULE,
  POLICY_DEAD,
  POLICY_DEFAULT,
  POLICY_DEFAULTS,
  POLICY_DROP,
  POLICY_NEXT_HOP,
  POLICY_NEXT_HOPS,
  policy,
} from "./policy.ts";
import { punt, tellStale } from "./punt.ts";

/** The adjacency of a packet whose next hop is its own destination, which has none yet. */
const DESTINATION = 0;
/** `rewriteWords` are words of this machine; a DataView has to be told which kind that is. */
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Route the packet in hand: it was sent to the gateway MAC of its VSI. */
export function route(worker: WorkerContext, f: Frame): Fate {
  if (f.type !== TYPE_IPV4) return DROP.not_forwarded;
  const arrival = worker.vsis.interface[f.vsi]!;
  if (arrival === 0) return DROP.not_forwarded;
  const l3 = f.at + ETH_BYTES;
  const fate = checkPacket(f, l3);
  if (fate !== GO_ON) return fate;
  const vrf = worker.interfaces.vrf[arrival]!;
  const bad = checkSource(worker, f, l3, arrival, vrf);
  if (bad !== GO_ON) return bad;

  const destination = f.view.getInt32(l3 + IP_DST);
  const own = worker.fib.routes.get(destination, routeKey(vrf, HOST_LENGTH));
  const kind = own >> ROUTE_KIND_SHIFT;
  if (kind === ROUTE_LOCAL) return punt(worker, f, PUNT.local, own & ROUTE_ARG_MASK, 0);
  // Before policy too: no rule may carry a tenant's VXLAN to a VTEP.
  if (kind === ROUTE_UNDERLAY && isVxlan(worker, f, l3)) return DROP.overlay_to_underlay;
  if (f.bytes[l3 + IP_TTL]! <= 1) return punt(worker, f, PUNT.ttl, arrival, 0);

  const host = beyondGuard(own);
  const rule = worker.fib.policyCount[worker.policyBank + arrival] === 0 ? NO_RULE : policy(worker, f, l3, arrival);
  const way = rule >> 8;
  switch (rule & 0xff) {
    case POLICY_DROP:
      return DROP.policy_drop;
    case POLICY_DEAD:
      return DROP.policy_next_hop_dead;
    case POLICY_NEXT_HOP:
      return viaAdjacency(worker, f, l3, way);
    case POLICY_NEXT_HOPS:
      return viaAdjacency(worker, f, l3, memberOf(worker, f, way));
    case POLICY_DEFAULT:
    case POLICY_DEFAULTS: {
      // D11: only where the table has nothing more specific than a default route.
      const found = host !== 0 ? host : lookup(worker, destination, vrf, LONGEST_PREFIX, NO_DEFAULT);
      if (found !== 0) return follow(worker, f, l3, found, arrival);
      const hop = (rule & 0xff) === POLICY_DEFAULTS ? memberOf(worker, f, way) : way;
      return viaAdjacency(worker, f, l3, hop);
    }
    default: // no rule, or permit: the table decides
      return byTable(worker, f, l3, host, vrf, arrival);
  }
}

/** Route a packet of our own in `vrf`: by its destination alone, policies are for what arrives. */
export function routeOwn(worker: WorkerContext, f: Frame, l3: number, vrf: number): Fate {
  const own = worker.fib.routes.get(f.view.getInt32(l3 + IP_DST), routeKey(vrf, HOST_LENGTH));
  if (own >> ROUTE_KIND_SHIFT === ROUTE_LOCAL) return DROP.not_forwarded;
  return byTable(worker, f, l3, beyondGuard(own), vrf, 0);
}

/** `host`: what the table says of the destination itself, 0: nothing. */
function byTable(worker: WorkerContext, f: Frame, l3: number, host: number, vrf: number, arrival: number): Fate {
  if (host !== 0) return follow(worker, f, l3, host, arrival);
  const destination = f.view.getInt32(l3 + IP_DST);
  return follow(worker, f, l3, lookup(worker, destination, vrf, LONGEST_PREFIX, ANY_PREFIX), arrival);
}

/** RFC 1812 §5.2.2, §5.3.7 and §4.2.2.11: a well-formed packet between addresses that may be routed. */
function checkPacket(f: Frame, l3: number): Fate {
  const status = checkIpv4(f.view, l3, l3 + f.length - ETH_BYTES);
  if (status !== IPV4_OK) return status === IPV4_BAD_CHECKSUM ? DROP.ip_checksum : DROP.ip_malformed;
  const view = f.view;
  // Padding behind the packet ends here; nothing after this line can see it.
  const bytes = ETH_BYTES + view.getUint16(l3 + IP_LENGTH);
  if (bytes !== f.length) f.trim(bytes);
  const first = view.getUint8(l3);
  if (l3 + ((first & 15) << 2) > f.end) return DROP.ip_malformed;
  const source = view.getInt32(l3 + IP_SRC);
  const destination = view.getInt32(l3 + IP_DST);
  const isSpecial = (SPECIAL[source >>> 24]! | SPECIAL[destination >>> 24]!) !== 0;
  if ((isSpecial && isMartian(source, destination)) || source === destination) return DROP.ip_martian;
  if (first !== 0x45 && hasForbiddenOptions(f.bytes, l3)) return DROP.ip_options;
  return isSpecial && isUnroutable(source, destination) ? DROP.not_forwarded : GO_ON;
}

/** 1 for a first octet of which some or all addresses are not routed: most packets have none, and are asked no more. */
const SPECIAL = new Uint8Array(256).fill(1, 224);
for (const octet of [0, 127, 169]) SPECIAL[octet] = 1;

function isMartian(source: number, destination: number): boolean {
  return isMartianSource(source) || isThisNetwork(destination) || isLoopback(destination);
}

/** 224/3: groups, class E and the limited broadcast are not routed here, whatever MAC they came to. */
function isUnroutable(source: number, destination: number): boolean {
  return (destination & 0xe0000000) === (0xe0000000 | 0) || isLinkLocal(destination) || isLinkLocal(source);
}

/** What an AC may not claim: one of our addresses; with antiSpoof, any address of another VSI-interface. */
function checkSource(worker: WorkerContext, f: Frame, l3: number, arrival: number, vrf: number): Fate {
  if (f.fromTunnel !== 0) return GO_ON;
  const source = f.view.getInt32(l3 + IP_SRC);
  if (source === worker.knownFrom && f.port === worker.knownFromPort) return GO_ON;
  let found = worker.fib.routes.get(source, routeKey(vrf, HOST_LENGTH));
  if (found >> ROUTE_KIND_SHIFT === ROUTE_LOCAL) return DROP.ip_martian;
  if ((worker.ports.flags[f.port]! & PORT_ANTI_SPOOF) !== 0) {
    if (found === 0) found = lookup(worker, source, vrf, LONGEST_PREFIX, ANY_PREFIX);
    if (homeOf(worker, found) !== arrival) return DROP.anti_spoof;
  }
  worker.knownFrom = source;
  worker.knownFromPort = f.port;
  return GO_ON;
}

/** Longest match among prefixes of length `from` down to `to`; 0 when there is none. */
export function lookup(worker: WorkerContext, destination: number, vrf: number, from: number, to: number): number {
  const fib = worker.fib;
  // A shift by 32 is none: all 32 bits are for the longest.
  let lengths = fib.lengths[vrf]! & (from === LONGEST_PREFIX ? -1 : (1 << (from + 1)) - 1);
  while (lengths !== 0) {
    const length = 31 - Math.clz32(lengths);
    if (length < to) return 0;
    const found = fib.routes.get(destination & maskOf(length), routeKey(vrf, length));
    if (found !== 0) return found;
    lengths &= ~(1 << length);
  }
  return 0;
}

/** Do what a route says; 0: there is none. */
function follow(worker: WorkerContext, f: Frame, l3: number, found: number, arrival: number): Fate {
  const arg = found & ROUTE_ARG_MASK;
  switch (found >> ROUTE_KIND_SHIFT) {
    case ROUTE_HOST:
    case ROUTE_ADJACENCY:
      return viaAdjacency(worker, f, l3, arg);
    case ROUTE_GLEAN:
      return punt(worker, f, PUNT.unresolved, arg, DESTINATION);
    case ROUTE_GROUP:
      return worker.fib.groups[arg * GROUP_WORDS] === 0
        ? punt(worker, f, PUNT.unreachable, CODE_HOST_UNREACHABLE, arrival)
        : viaAdjacency(worker, f, l3, memberOf(worker, f, arg));
    case ROUTE_VRF:
      return byOtherVrf(worker, f, l3, arg, arrival);
    default:
      return deadEnd(worker, f, found, arrival);
  }
}

/**
 * The table of `vrf` decides, as if the packet had arrived there: its own addresses answer, its hosts are asked for. A route of it
 * that leads to a further VRF is none, so no packet goes round between two, whatever their tables say.
 */
function byOtherVrf(worker: WorkerContext, f: Frame, l3: number, vrf: number, arrival: number): Fate {
  const destination = f.view.getInt32(l3 + IP_DST);
  const own = worker.fib.routes.get(destination, routeKey(vrf, HOST_LENGTH));
  if (own >> ROUTE_KIND_SHIFT === ROUTE_LOCAL)
    return arrival === 0 ? DROP.not_forwarded : punt(worker, f, PUNT.local, own & ROUTE_ARG_MASK, 0);
  const host = beyondGuard(own);
  const found = host !== 0 ? host : lookup(worker, destination, vrf, LONGEST_PREFIX, ANY_PREFIX);
  return follow(worker, f, l3, found >> ROUTE_KIND_SHIFT === ROUTE_VRF ? 0 : found, arrival);
}

function isVxlan(worker: WorkerContext, f: Frame, l3: number): boolean {
  const l4 = l3 + headerBytes(f.bytes, l3);
  if (f.bytes[l3 + IP_PROTOCOL] !== PROTO_UDP) return false;
  // A non-first fragment has no port, but nothing useful either: the VTEP would have to reassemble it. It goes as well.
  if ((u16(f.bytes, l3 + IP_FRAGMENT) & FRAGMENT_OFFSET) !== 0) return true;
  return l4 + 4 <= f.end && u16(f.bytes, l4 + L4_DST_PORT) === worker.settings[SET_VXLAN_PORT];
}

/** The last steps: resolved? may it go there? does it fit? Then rewrite and send. */
export function viaAdjacency(worker: WorkerContext, f: Frame, l3: number, adjacency: number): Fate {
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
  if (f.bytes[l3 + IP_PROTOCOL] === PROTO_TCP) clamp(worker, f, l3, out, mtu);
  rewrite(worker, f, l3, row);
  return egress(worker, f, port, vsi);
}

/** Bytes of the IP packet as it will be on the wire: one segment of a super-frame. */
function packetBytes(f: Frame, l3: number): number {
  if ((f.flags & GSO_MASK) !== 0) return f.superHeaderBytes() - ETH_BYTES + f.gsoSize;
  return f.view.getUint16(l3 + IP_LENGTH);
}

function clamp(worker: WorkerContext, f: Frame, l3: number, out: number, mtu: number): void {
  const most = clampTo(worker, f, out, mtu);
  if (most === 0 || (u16(f.bytes, l3 + IP_FRAGMENT) & (FRAGMENT_OFFSET | FRAGMENT_MF)) !== 0) return;
  clampMss(f.bytes, l3 + headerBytes(f.bytes, l3), f.end, most - 40, (f.flags & FLAG_NEEDS_CSUM) !== 0);
}

/** TTL, and both MACs from the ready row. */
function rewrite(worker: WorkerContext, f: Frame, l3: number, row: number): void {
  const view = f.view;
  decrementTtl(view, l3);
  const words = worker.fib.rewriteWords;
  const from = row << 2;
  const at = f.at;
  view.setInt32(at, words[from]!, LITTLE_ENDIAN);
  view.setInt32(at + 4, words[from + 1]!, LITTLE_ENDIAN);
  view.setInt32(at + 8, words[from + 2]!, LITTLE_ENDIAN);
}
