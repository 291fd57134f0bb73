/**
 * Layer 2: where a frame came from, and where it goes.
 *
 * Learning is not done here: an unknown or moved source becomes a LEARN record, control decides and writes the table
 * (VPP's split of l2_learn and l2_fwd). A known source only gets its hit byte set. Ageing is by source alone.
 */

import { DROP, MTU_BRIDGED, PUNT } from "../tables/counters.ts";
import { MAC_FLOOD, MAC_GATEWAY, MAC_PORT_MASK, MAC_STATIC, macKey } from "../tables/mac.ts";
import {
  KIND_TUNNEL,
  STORM_BROADCAST,
  STORM_MULTICAST,
  STORM_NONE,
  STORM_UNKNOWN,
  VSI_FLOOD_BROADCAST,
  VSI_FLOOD_MULTICAST,
  VSI_FLOOD_UNKNOWN,
} from "../tables/vsi.ts";
import { ETH_BYTES, isBroadcast, isGroupHi, isReserved, TYPE_IPV4, TYPE_IPV6 } from "../wire/ethernet.ts";
import { IP6_NEXT, IPV6_BYTES, PROTO_ICMP6 } from "../wire/ipv6.ts";
import { isNdType } from "../wire/nd.ts";
import type { WorkerContext } from "./context.ts";
import { egress, exceedsMtu } from "./egress.ts";
import { flood } from "./flood.ts";
import { type Fate, type Frame, GO_ON } from "./frame.ts";
import { remember } from "./like-last.ts";
import { punt, tellLearn, tellOwn } from "./punt.ts";
import { route } from "./route.ts";
import { route6 } from "./route6.ts";

/** The source MAC: refuse what cannot be one, mark what is known, tell control of the rest. */
export function source(worker: WorkerContext, f: Frame): Fate {
  if (isGroupHi(f.srcHi) || (f.srcHi === 0 && f.srcLo === 0)) return DROP.bad_src_mac;
  const macs = worker.macs;
  const row = macs.find(f.srcLo, macKey(f.vsi, f.srcHi));
  const value = row < 0 ? 0 : macs.valueAt(row);
  if ((value & MAC_PORT_MASK) === f.port) {
    macs.hit(row);
    f.sourceKnown = 1;
    return GO_ON;
  }
  if ((value & MAC_GATEWAY) !== 0) {
    // From a tunnel this is a peer with the same shared gateway MAC (D1), or one that moved: nothing to learn.
    if (f.fromTunnel === 0) {
      tellOwn(worker, f);
      return DROP.own_mac_local;
    }
    f.sourceKnown = 1;
    return GO_ON;
  }
  if ((value & MAC_STATIC) === 0) tellLearn(worker, f);
  return GO_ON;
}

/** The destination MAC decides: up to the VSI-interface, out of one port, or flooded. */
export function destination(worker: WorkerContext, f: Frame): Fate {
  if (isGroupHi(f.dstHi)) {
    if (isReserved(f.dstHi, f.dstLo)) return DROP.reserved_mac;
    return bum(worker, f, isBroadcast(f.dstHi, f.dstLo) || isDiscovery(f) ? VSI_FLOOD_BROADCAST : VSI_FLOOD_MULTICAST);
  }
  const value = worker.macs.get(f.dstLo, macKey(f.vsi, f.dstHi));
  if (value === 0) return bum(worker, f, VSI_FLOOD_UNKNOWN);
  remember(worker, f, value);
  return onward(worker, f, value);
}

/**
 * Is it neighbour discovery to a group (RFC 4861)? It is what ARP's broadcasts are to IPv4, and goes where those go: without it no host
 * finds another one. MLD is multicast.
 */
function isDiscovery(f: Frame): boolean {
  const l3 = f.at + ETH_BYTES;
  if (f.type !== TYPE_IPV6 || f.end <= l3 + IPV6_BYTES || f.bytes[l3 + IP6_NEXT] !== PROTO_ICMP6) return false;
  return isNdType(f.bytes[l3 + IPV6_BYTES]!);
}

/** Do what the MAC table says of the destination. */
export function onward(worker: WorkerContext, f: Frame, value: number): Fate {
  const port = value & MAC_PORT_MASK;
  // Our own gateway MAC has no port. A peer's is ours too when an AC uses it: the VM brought it along (D1).
  if ((value & MAC_GATEWAY) !== 0 && (port === 0 || f.fromTunnel === 0))
    return f.type === TYPE_IPV6 ? route6(worker, f) : route(worker, f);
  if ((value & MAC_FLOOD) !== 0) return bum(worker, f, 0);
  return bridgeTo(worker, f, port);
}

function bridgeTo(worker: WorkerContext, f: Frame, port: number): Fate {
  if (port === f.port) return DROP.same_port;
  if (f.fromTunnel && worker.ports.kind[port] === KIND_TUNNEL) return DROP.split_horizon;
  if (exceedsMtu(worker, f, port)) return bridgedTooBig(worker, f, port);
  return egress(worker, f, port, f.vsi);
}

/** RFC 1191 and 8201 are for routers, but a bridge that encapsulates has made the MTU smaller: where there is a gateway, it tells. */
function bridgedTooBig(worker: WorkerContext, f: Frame, port: number): Fate {
  const isIp = f.type === TYPE_IPV4 || f.type === TYPE_IPV6;
  if (!isIp || worker.vsis.interface[f.vsi] === 0) return DROP.too_big;
  return punt(worker, f, PUNT.mtu, worker.ports.mtu[port]!, MTU_BRIDGED);
}

function bum(worker: WorkerContext, f: Frame, policy: number): Fate {
  if (f.fromTunnel === 0 && !worker.policer.admitStorm(f.port, f.units, stormClass(policy))) return DROP.storm_limited;
  return flood(worker, f, policy);
}

/** The class of a flooded frame, by the switch that it is flooded by. */
function stormClass(policy: number): number {
  if (policy === VSI_FLOOD_UNKNOWN) return STORM_UNKNOWN;
  if (policy === VSI_FLOOD_BROADCAST) return STORM_BROADCAST;
  return policy === VSI_FLOOD_MULTICAST ? STORM_MULTICAST : STORM_NONE;
}
