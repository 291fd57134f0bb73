/**
 * The way out: one send record per copy.
 *
 * To an AC: the AC's tag goes back in. To a tunnel: eight bytes of VXLAN header into the headroom, the outer TOS and a
 * number that chooses the outer source port; the kernel does UDP and IP. The caller has checked MTU and horizon.
 * After a record exists the bytes are the io's: writing a record is the last thing done with a frame.
 */

import {
  GSO_MASK,
  MAX_SENDS,
  S_AT,
  S_CHAIN,
  S_CSUM_OFFSET,
  S_CSUM_START,
  S_ENTROPY,
  S_FLAGS,
  S_GSO_SIZE,
  S_LENGTH,
  S_PORT,
  S_TOS,
  S_UNITS,
  SEND_WORDS,
  VXLAN_BYTES,
} from "../io/port-io.ts";
import { DROP, MISC_SENDS_EXHAUSTED, MISC_SUPER_TRANSMIT } from "../tables/counters.ts";
import { SET_DSCP } from "../tables/tables.ts";
import { KIND_TUNNEL } from "../tables/vsi.ts";
import { move, setI32 } from "../wire/bytes.ts";
import { ETH_BYTES, ETH_TYPE, TYPE_IPV4, TYPE_IPV6, TYPE_VLAN, VLAN_TAG_BYTES } from "../wire/ethernet.ts";
import {
  FRAGMENT_MF,
  FRAGMENT_OFFSET,
  IP_DST,
  IP_FRAGMENT,
  IP_PROTOCOL,
  IP_SRC,
  IP_TOS,
  IPV4_BYTES,
  PROTO_TCP,
  PROTO_UDP,
} from "../wire/ipv4.ts";
import { emitVxlan } from "../wire/vxlan.ts";
import type { WorkerContext } from "./context.ts";
import { type Fate, type Frame, SENT } from "./frame.ts";
import { OWN_BYTES, OWN_PORT, OWN_VSI } from "./send-words.ts";

/** Send the frame in hand out of `port`, in `vsi`. The frame is given away. */
export function egress(worker: WorkerContext, f: Frame, port: number, vsi: number): Fate {
  if (worker.ports.kind[port] === KIND_TUNNEL) return toTunnel(worker, f, port, vsi);
  const vlan = worker.ports.vlan[port]!;
  if (vlan !== 0) pushTag(f, vlan);
  return record(worker, f, port, vsi, f.at, f.length, 0, 0);
}

/** Send a copy; the frame stays in hand. */
export function egressCopy(worker: WorkerContext, f: Frame, port: number, vsi: number): Fate {
  if (worker.ports.kind[port] === KIND_TUNNEL) return toTunnel(worker, f, port, vsi);
  const vlan = worker.ports.vlan[port]!;
  if (vlan === 0) return record(worker, f, port, vsi, f.at, f.length, 0, 0);
  // The tag would move the MACs under the other copies: this one gets a head of its own. Payload slices are shared.
  const at = f.at;
  const head = f.head;
  const copy = worker.pool.take(head);
  if (copy < 0) return DROP.pool_exhausted;
  move(f.bytes, copy, at, head);
  f.at = copy;
  pushTag(f, vlan);
  const fate = record(worker, f, port, vsi, f.at, f.length, 0, 0);
  f.at = at;
  f.head = head;
  f.length -= VLAN_TAG_BYTES;
  if (f.flags !== 0) {
    f.csumStart -= VLAN_TAG_BYTES;
    f.csumOffset -= VLAN_TAG_BYTES;
  }
  return fate;
}

/** IEEE 802.1Q §9.6: the tag goes between the source MAC and the type; the MACs move into the headroom. */
function pushTag(f: Frame, vlan: number): void {
  f.at -= VLAN_TAG_BYTES;
  move(f.bytes, f.at, f.at + VLAN_TAG_BYTES, ETH_TYPE);
  setI32(f.bytes, f.at + ETH_TYPE, (TYPE_VLAN << 16) | vlan);
  f.length += VLAN_TAG_BYTES;
  f.head += VLAN_TAG_BYTES;
  if (f.flags !== 0) {
    f.csumStart += VLAN_TAG_BYTES;
    f.csumOffset += VLAN_TAG_BYTES;
  }
}

function toTunnel(worker: WorkerContext, f: Frame, port: number, vsi: number): Fate {
  const at = f.at - VXLAN_BYTES;
  emitVxlan(f.view, at, worker.vsis.vni[vsi]!);
  return record(worker, f, port, vsi, at, f.length + VXLAN_BYTES, outerTos(worker, f), entropy(f));
}

function record(
  worker: WorkerContext,
  f: Frame,
  port: number,
  vsi: number,
  at: number,
  length: number,
  tos: number,
  hash: number,
): Fate {
  if (worker.sendCount >= MAX_SENDS) {
    worker.counters.misc[MISC_SENDS_EXHAUSTED]!++;
    return DROP.pool_exhausted;
  }
  const s = worker.sends;
  // Below the limit already; with its bounds in sight, V8 checks no addition below for overflow.
  const i = (worker.sendCount & (MAX_SENDS - 1)) * SEND_WORDS;
  worker.sendCount++;
  s[i + S_AT] = at;
  s[i + S_LENGTH] = length;
  s[i + S_PORT] = worker.ports.io[port]!;
  s[i + S_TOS] = tos;
  s[i + S_ENTROPY] = hash;
  s[i + OWN_PORT] = port;
  s[i + OWN_VSI] = vsi;
  s[i + S_FLAGS] = f.flags;
  s[i + S_CHAIN] = f.chain;
  s[i + S_UNITS] = f.units;
  if (f.flags === 0) s[i + OWN_BYTES] = f.length;
  else {
    // The io looks at these only when the flags say so.
    s[i + S_GSO_SIZE] = f.gsoSize;
    s[i + S_CSUM_START] = f.csumStart;
    s[i + S_CSUM_OFFSET] = f.csumOffset;
    s[i + OWN_BYTES] = f.wireBytes();
    if ((f.flags & GSO_MASK) !== 0) worker.countSuper(f, MISC_SUPER_TRANSMIT, f.fromTunnel);
  }
  return SENT;
}

/** Is a frame whose IP packet is `ipBytes` long (each segment of a super-frame) too long for `port`? */
export function exceedsMtu(worker: WorkerContext, f: Frame, port: number): boolean {
  const mtu = worker.ports.mtu[port]!;
  if ((f.flags & GSO_MASK) !== 0) return f.superHeaderBytes() - ETH_BYTES + f.gsoSize > mtu;
  return f.length - ETH_BYTES > mtu;
}

/** Outer TOS: DSCP as configured, ECN always the inner one's (RFC 6040 §4.1, normal mode). */
function outerTos(worker: WorkerContext, f: Frame): number {
  let inner = 0;
  const l3 = f.at + ETH_BYTES;
  if (f.type === TYPE_IPV4 && f.end >= l3 + IPV4_BYTES) inner = f.view.getUint8(l3 + IP_TOS);
  else if (f.type === TYPE_IPV6 && f.end >= l3 + 40) inner = (f.view.getUint16(l3) >> 4) & 0xff;
  const dscp = worker.settings[SET_DSCP]!;
  return dscp < 0 ? inner : (dscp << 2) | (inner & 3);
}

/**
 * A number ≥ 0 from the inner flow alone: addresses, protocol, and ports where the packet certainly has them (padding
 * behind the packet is not one of those places). All fragments of a packet, the first included, give the same number:
 * ports are left out for every fragment. IPv6 without ports behind its fixed header has a flow label instead (RFC 6438 §3),
 * which the fragments of a packet share.
 */
export function entropy(f: Frame): number {
  const view = f.view;
  const l3 = f.at + ETH_BYTES;
  let h = 0;
  if (f.type === TYPE_IPV4 && f.end >= l3 + IPV4_BYTES) {
    const protocol = view.getUint8(l3 + IP_PROTOCOL);
    // Three products that do not wait for each other, folded once: this runs for every encapsulated packet.
    h = Math.imul(view.getInt32(l3 + IP_SRC), 0x9e3779b1);
    h = (h + Math.imul(view.getInt32(l3 + IP_DST) ^ protocol, 0xc2b2ae35)) | 0;
    const fragment = view.getUint16(l3 + IP_FRAGMENT) & (FRAGMENT_MF | FRAGMENT_OFFSET);
    const first = view.getInt32(l3);
    const header = (first >> 22) & 0x3c;
    const hasPorts = fragment === 0 && (protocol === PROTO_TCP || protocol === PROTO_UDP);
    if (hasPorts && header + 4 <= (first & 0xffff) && l3 + header + 4 <= f.end)
      h = (h + Math.imul(view.getInt32(l3 + header), 0x27d4eb2f)) | 0;
    h = fold(h);
  } else if (f.type === TYPE_IPV6 && f.end >= l3 + 40) {
    const lengthAndNext = view.getInt32(l3 + 4);
    const next = (lengthAndNext >> 8) & 0xff;
    h = Math.imul(view.getInt32(l3 + 8), 0x9e3779b1) + Math.imul(view.getInt32(l3 + 12), 0xc2b2ae35);
    h = (h + Math.imul(view.getInt32(l3 + 16), 0x85ebca77) + Math.imul(view.getInt32(l3 + 20), 0x165667b1)) | 0;
    h = (h + Math.imul(view.getInt32(l3 + 24), 0x2545f491) + Math.imul(view.getInt32(l3 + 28), 0x7feb352d)) | 0;
    h = (h + Math.imul(view.getInt32(l3 + 32), 0x846ca68b) + Math.imul(view.getInt32(l3 + 36) ^ next, 0x68bc21eb)) | 0;
    const hasPorts = (next === PROTO_TCP || next === PROTO_UDP) && lengthAndNext >>> 16 >= 4 && l3 + 44 <= f.end;
    h = (h + Math.imul(hasPorts ? view.getInt32(l3 + 40) : view.getInt32(l3) & 0xfffff, 0x27d4eb2f)) | 0;
    h = fold(h);
  } else h = mix(f.srcLo ^ f.dstHi, f.dstLo ^ f.srcHi);
  return h & 0x7fffffff;
}

function mix(a: number, b: number): number {
  return fold(Math.imul(a, 0x9e3779b1) ^ b);
}

/** The high bits of a product are the good ones: bring them down, twice. */
function fold(h: number): number {
  const g = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return g ^ (g >>> 13);
}
