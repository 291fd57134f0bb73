/**
 * Flooding: head-end replication over the VSI's flood list (RFC 7348 §4.2, ingress replication).
 *
 * Never back to where it came from; from a tunnel never into a tunnel (split horizon). The list has its ACs first, so
 * that the horizon is just a shorter walk. Copies go first, the original last: the frame has one owner, and giving it
 * away is the last thing done with it.
 */

import { DROP, MTU_FLOODED, PUNT, SCOPE_ACS, SCOPE_TUNNELS } from "../tables/counters.ts";
import { FLOOD_ACS, FLOOD_ALL, FLOOD_PORTS } from "../tables/vsi.ts";
import { ETH_BYTES, isGroupHi, TYPE_IPV4, TYPE_IPV6 } from "../wire/ethernet.ts";
import { FRAGMENT_DF, IP_FRAGMENT, IPV4_BYTES } from "../wire/ipv4.ts";
import { IPV6_LEAST_MTU } from "../wire/ipv6.ts";
import type { WorkerContext } from "./context.ts";
import { drop } from "./drop.ts";
import { egress, egressCopy, exceedsMtu } from "./egress.ts";
import { type Fate, type Frame, SENT } from "./frame.ts";
import { puntCopy } from "./punt.ts";

/** Flood a received frame. `policy`: the VSI flag that must be set for copies into tunnels, 0 when it always may. */
export function flood(worker: WorkerContext, f: Frame, policy: number): Fate {
  let scope = SCOPE_ACS | SCOPE_TUNNELS;
  if (f.fromTunnel !== 0) scope = SCOPE_ACS;
  else if (policy !== 0 && (worker.vsis.flags[f.vsi]! & policy) === 0) scope = SCOPE_ACS;
  return replicate(worker, f, f.port, scope, true);
}

/**
 * Send the frame to each port of its VSI's list that is in `scope`, leaving out `except`. The sender of one that was received is told
 * if it is too long for any of them.
 */
export function replicate(worker: WorkerContext, f: Frame, except: number, scope: number, isReceived: boolean): Fate {
  const vsis = worker.vsis;
  const list = vsis.flood;
  const at = vsis.floodAt[f.vsi]!;
  const acs = list[at + FLOOD_ACS]!;
  const first = (scope & SCOPE_ACS) !== 0 ? 0 : acs;
  const last = (scope & SCOPE_TUNNELS) !== 0 ? list[at + FLOOD_ALL]! : acs;
  let pending = 0;
  let shared = 0;
  let tooBig = 0;
  let leastMtu = 0;
  for (let i = first; i < last; i++) {
    const port = list[at + FLOOD_PORTS + i]!;
    if (port === except) continue;
    if (exceedsMtu(worker, f, port)) {
      const mtu = worker.ports.mtu[port]!;
      if (tooBig === 0 || mtu < leastMtu) leastMtu = mtu;
      tooBig++;
      continue;
    }
    if (pending !== 0) {
      copyTo(worker, f, pending);
      shared = 1;
    }
    pending = port;
  }
  if (tooBig > 0 && isReceived) tellTooLong(worker, f, leastMtu);
  if (pending === 0) return whyNowhere(worker, f, except, scope, tooBig);
  if (tooBig > 0) lose(worker, f, DROP.too_big, tooBig);
  // The records of the copies name these very bytes: a tag pushed here would move the MACs under them.
  return shared === 0 ? egress(worker, f, pending, f.vsi) : egressCopy(worker, f, pending, f.vsi);
}

/**
 * Send a copy to control, which tells the sender that `mtu` bytes are what all ports of the flood carry (RFC 1191, RFC 8201): as of a
 * bridged frame, a sender that never learns it loses every packet to a host which does not speak. The lost copies are `too_big` all the same.
 * By ACs alone, since of what a tunnel brought each site would tell the same; and of each pair of MACs now and then, since
 * a flood is no reason to use up what the port may send to control.
 */
function tellTooLong(worker: WorkerContext, f: Frame, mtu: number): void {
  if (f.fromTunnel !== 0 || worker.vsis.interface[f.vsi] === 0 || !isToldTooLong(f)) return;
  if (!worker.told.isNews(PUNT.mtu, f.srcLo, f.dstLo, (f.vsi << 16) | f.port, worker.nowMs)) return;
  puntCopy(worker, f, PUNT.mtu, mtu, MTU_FLOODED);
}

/**
 * Is an error possible at all? About IPv6 also where it is for a group (RFC 4443 §2.4 e.3); about IPv4 to one host alone (RFC 1122
 * §3.2.2), with Don't Fragment.
 */
function isToldTooLong(f: Frame): boolean {
  if (f.type === TYPE_IPV6) return f.length > ETH_BYTES + IPV6_LEAST_MTU;
  if (f.type !== TYPE_IPV4 || isGroupHi(f.dstHi)) return false;
  const l3 = f.at + ETH_BYTES;
  return f.end >= l3 + IPV4_BYTES && (f.view.getUint16(l3 + IP_FRAGMENT) & FRAGMENT_DF) !== 0;
}

/** The fate of a frame that no port of the list takes; it is too long for `tooBig` of them. */
function whyNowhere(worker: WorkerContext, f: Frame, except: number, scope: number, tooBig: number): Fate {
  if (tooBig > 0) return DROP.too_big;
  return except !== 0 && isOnlyTunnels(worker, f, except, scope) ? DROP.split_horizon : DROP.flood_disabled;
}

/** Was there a tunnel it could have taken, had it not come from one? */
function isOnlyTunnels(worker: WorkerContext, f: Frame, except: number, scope: number): boolean {
  if (f.fromTunnel === 0 || scope !== SCOPE_ACS) return false;
  const at = worker.vsis.floodAt[f.vsi]!;
  const list = worker.vsis.flood;
  for (let i = list[at + FLOOD_ACS]!; i < list[at + FLOOD_ALL]!; i++)
    if (list[at + FLOOD_PORTS + i] !== except) return true;
  return false;
}

function copyTo(worker: WorkerContext, f: Frame, port: number): void {
  const fate = egressCopy(worker, f, port, f.vsi);
  worker.counters.copies[0]! += f.units;
  if (fate === SENT) return;
  drop(worker, f, fate, f.units);
  if (worker.watch !== 0) worker.watcher.drop(worker, f, fate);
}

/** `copies` that were not even made, because they could not have left. */
function lose(worker: WorkerContext, f: Frame, reason: number, copies: number): void {
  worker.counters.copies[0]! += f.units * copies;
  drop(worker, f, reason, f.units * copies);
  if (worker.watch !== 0) worker.watcher.drop(worker, f, reason);
}
