/**
 * Punt: the way out by the CPU port, to control.
 *
 * Punting is policed per class, per bridge port and in all, then copied into the worker's punt ring; the frame's bytes
 * never leave the arena. Records that are no frames (a MAC to learn, a stale neighbour) use the same ring; a small memory
 * of what was told lately keeps them from filling it. The way back is inject.ts.
 */

import { F_OUTER_SOURCE, F_OUTER_TOS } from "../io/port-io.ts";
import { DROP, PUNT, RECORD_LEARN, RECORD_STALE, RECORD_TOO_BIG, RECORD_UNBOUND } from "../tables/counters.ts";
import { MAC_GATEWAY, macKey } from "../tables/mac.ts";
import {
  R_ARG,
  R_ARG2,
  R_CSUM_OFFSET,
  R_CSUM_START,
  R_FLAGS,
  R_GSO_SIZE,
  R_KIND,
  R_OUTER_SOURCE,
  R_OUTER_TOS,
  R_PORT,
  R_UNITS,
  R_VSI,
  R_WATCH_ID,
} from "../tables/ring.ts";
import { VSI_DHCP_RELAY, VSI_LOCAL_PROXY, VSI_ND, VSI_NO_TUNNEL_LEARN, VSI_SUPPRESS } from "../tables/vsi.ts";
import { ARP_REQUEST } from "../wire/arp.ts";
import { copy, move, u16 } from "../wire/bytes.ts";
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from "../wire/dhcp.ts";
import { ETH_BYTES, isGroupHi, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from "../wire/ethernet.ts";
import { FRAGMENT_OFFSET, headerBytes, IP_FRAGMENT, IP_PROTOCOL, IPV4_BYTES, PROTO_UDP } from "../wire/ipv4.ts";
import { L4_DST_PORT, L4_SRC_PORT } from "../wire/udp-tcp.ts";
import type { WorkerContext } from "./context.ts";
import { isDiscovery } from "./discovery.ts";
import { drop } from "./drop.ts";
import { type Fate, type Frame, GO_ON, PUNTED } from "./frame.ts";

/** ARP leaves by the CPU port, as the VSI's ARP mode says (D14), and clients' DHCP where it is relayed. Control sees ND. */
export function toCpu(worker: WorkerContext, f: Frame): Fate {
  const flags = worker.vsis.flags[f.vsi]!;
  if (f.type !== TYPE_ARP) {
    if ((flags & (VSI_DHCP_RELAY | VSI_ND)) === 0) return GO_ON;
    if (f.type === TYPE_IPV4) return (flags & VSI_DHCP_RELAY) !== 0 ? dhcp(worker, f) : GO_ON;
    return f.type === TYPE_IPV6 && (flags & VSI_ND) !== 0 ? discovery(worker, f) : GO_ON;
  }
  const hasInterface = worker.vsis.interface[f.vsi] !== 0;
  if (!hasInterface && (flags & VSI_SUPPRESS) === 0) return GO_ON;
  const group = isGroupHi(f.dstHi);
  if (!group) {
    const value = worker.macs.get(f.dstLo, macKey(f.vsi, f.dstHi));
    const ours = (value & MAC_GATEWAY) !== 0 && (f.fromTunnel === 0 || (value & 0xffff) === 0);
    if (ours) return punt(worker, f, PUNT.arp, 0, 0);
    // To a third MAC: bridged. With suppression control may learn from it all the same.
    if ((flags & VSI_SUPPRESS) !== 0) puntCopy(worker, f, PUNT.arp);
    return GO_ON;
  }
  if ((flags & VSI_LOCAL_PROXY) !== 0) return punt(worker, f, PUNT.arp, 0, 0);
  if ((flags & VSI_SUPPRESS) !== 0 && isRequest(f)) return punt(worker, f, PUNT.arp, 0, 0);
  puntCopy(worker, f, PUNT.arp);
  return GO_ON;
}

/** Bridged, and control is told. */
function discovery(worker: WorkerContext, f: Frame): Fate {
  if (isDiscovery(f)) puntCopy(worker, f, PUNT.nd);
  return GO_ON;
}

/** A client's broadcast goes to the relay, and no AC speaks as a server (control/dhcp/relay.ts). */
function dhcp(worker: WorkerContext, f: Frame): Fate {
  const ip = f.at + ETH_BYTES;
  if (f.head < ETH_BYTES + IPV4_BYTES || f.bytes[ip + IP_PROTOCOL] !== PROTO_UDP) return GO_ON;
  const header = headerBytes(f.bytes, ip);
  // Ports are in a first fragment alone.
  if (
    header < IPV4_BYTES ||
    f.head < ETH_BYTES + header + 4 ||
    (u16(f.bytes, ip + IP_FRAGMENT) & FRAGMENT_OFFSET) !== 0
  )
    return GO_ON;
  const to = u16(f.bytes, ip + header + L4_DST_PORT);
  if (to === DHCP_SERVER_PORT && isGroupHi(f.dstHi)) return punt(worker, f, PUNT.dhcp, 0, 0);
  const isServers = to === DHCP_CLIENT_PORT && u16(f.bytes, ip + header + L4_SRC_PORT) === DHCP_SERVER_PORT;
  return isServers && f.fromTunnel === 0 ? DROP.dhcp_guard : GO_ON;
}

function isRequest(f: Frame): boolean {
  return f.head >= ETH_BYTES + 8 && u16(f.bytes, f.at + ETH_BYTES + 6) === ARP_REQUEST;
}

/** Send the frame to control. @returns PUNTED, or why it did not get there. `arg`s: see the R_ARG notes of each class. */
export function punt(worker: WorkerContext, f: Frame, kind: number, arg: number, arg2: number): Fate {
  if (!worker.policer.admit(kind, f.port)) return DROP.punt_limited;
  // The payload of a super-frame in slices is gathered behind a copy of its head first.
  let at = f.at;
  if (f.chain !== 0) {
    at = worker.pool.take(f.length);
    if (at < 0) return DROP.pool_exhausted;
    move(f.bytes, at, f.at, f.head);
    worker.io.gather(f.chain, at + f.head);
  }
  const ring = worker.tables.punts[worker.index]!;
  const r = ring.reserve(f.length);
  if (r < 0) return DROP.punt_ring_full;
  const w = ring.words;
  w[r + R_KIND] = kind;
  w[r + R_PORT] = f.port;
  w[r + R_VSI] = f.vsi;
  w[r + R_ARG] = arg;
  w[r + R_ARG2] = arg2;
  w[r + R_FLAGS] = f.flags;
  w[r + R_GSO_SIZE] = f.gsoSize;
  w[r + R_CSUM_START] = f.csumStart;
  w[r + R_CSUM_OFFSET] = f.csumOffset;
  w[r + R_UNITS] = f.units;
  w[r + R_OUTER_SOURCE] = f.received(F_OUTER_SOURCE);
  w[r + R_OUTER_TOS] = f.received(F_OUTER_TOS);
  w[r + R_WATCH_ID] = f.watchId;
  const to = ring.frameAt(r);
  copy(ring.bytes, to, f.bytes, at, f.length);
  ring.commit();
  worker.puntCount++;
  worker.lastPunt = kind;
  worker.counters.punted[kind]! += f.units;
  return PUNTED;
}

/** Punt a copy; the frame goes on. */
function puntCopy(worker: WorkerContext, f: Frame, kind: number): void {
  const fate = punt(worker, f, kind, 0, 0);
  worker.counters.copies[0]! += f.units;
  if (fate <= 0) return;
  drop(worker, f, fate, f.units);
  if (worker.watch !== 0) worker.watcher.drop(worker, f, fate);
}

/** Tell control of a source MAC that is unknown, or seen at another port than the table says. */
export function tellLearn(worker: WorkerContext, f: Frame): void {
  if (f.fromTunnel !== 0 && (worker.vsis.flags[f.vsi]! & VSI_NO_TUNNEL_LEARN) !== 0) return;
  tell(worker, f, RECORD_LEARN, f.srcLo, f.srcHi, f.port);
}

/** Tell control that the neighbour of `adjacency` sent us a packet back that belongs to itself. */
export function tellStale(worker: WorkerContext, f: Frame, adjacency: number): void {
  tell(worker, f, RECORD_STALE, adjacency, 0, f.port);
}

/** Bytes of a frame that say who sent it: Ethernet and an IPv6 header. */
const SENDER_BYTES = 54;

/** Tell control of a frame whose source is no binding of its AC. */
export function tellUnbound(worker: WorkerContext, f: Frame): void {
  if (!worker.told.isNews(RECORD_UNBOUND, f.srcLo, f.srcHi, (f.vsi << 16) | f.port, worker.nowMs)) return;
  if (!worker.policer.admitRecord()) return;
  const ring = worker.tables.punts[worker.index]!;
  const bytes = Math.min(f.head, SENDER_BYTES);
  const r = ring.reserve(bytes);
  if (r < 0) return;
  const w = ring.words;
  w[r + R_KIND] = RECORD_UNBOUND;
  w[r + R_PORT] = f.port;
  w[r + R_VSI] = f.vsi;
  w[r + R_UNITS] = 0;
  copy(ring.bytes, ring.frameAt(r), f.bytes, f.at, bytes);
  ring.commit();
  worker.puntCount++;
}

/** Tell control that a record of `length` bytes was too big for the underlay on the way to tunnel `port`. */
export function tellTooBig(worker: WorkerContext, f: Frame, port: number, length: number): void {
  f.vsi = 0;
  tell(worker, f, RECORD_TOO_BIG, length, 0, port);
}

function tell(worker: WorkerContext, f: Frame, kind: number, arg: number, arg2: number, port: number): void {
  if (!worker.told.isNews(kind, arg, arg2, (f.vsi << 16) | port, worker.nowMs) || !worker.policer.admitRecord()) return;
  const ring = worker.tables.punts[worker.index]!;
  const r = ring.reserve(0);
  if (r < 0) return; // no frame is lost: the next one with this MAC tells again
  const w = ring.words;
  w[r + R_KIND] = kind;
  w[r + R_PORT] = port;
  w[r + R_VSI] = f.vsi;
  w[r + R_ARG] = arg;
  w[r + R_ARG2] = arg2;
  // The EtherType of the frame that made us tell: people ask why a MAC is believed.
  w[r + R_FLAGS] = f.type;
  w[r + R_UNITS] = 0;
  ring.commit();
  worker.puntCount++;
}
