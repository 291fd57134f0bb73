/** Routes that we announce: a host, the VSI's part in flooding, a gateway address of its own, a prefix of a VRF. */
import { formatIp, type Ip } from "../control/ip.ts";
import type { Mac } from "../wire/ethernet.ts";
import type { Instance } from "./import.ts";
import {
  ENCAP_VXLAN,
  type MacRoute,
  type MulticastRoute,
  PMSI_INGRESS_REPLICATION,
  type PrefixRoute,
} from "./route.ts";

export interface OwnHost {
  readonly mac: Mac;
  readonly ip: Ip | null;
  readonly isSticky: boolean;
  readonly sequence: number;
}

function common({ rd, exports }: Instance, vtep: string) {
  return { rd, tag: 0, nextHop: vtep, targets: exports, encap: ENCAP_VXLAN };
}

/**
 * Type 2 of a host at an AC, with its own MAC. The first sequence is 0, which needs no community (RFC 7432 §15). With its address it
 * has a second label, the VRF's targets and our router's MAC where the VRF has an L3VNI (RFC 9135 §5.1).
 */
export function macRouteOf(instance: Instance, vtep: string, { mac, ip, isSticky, sequence }: OwnHost): MacRoute {
  const { vni, exports } = instance;
  const irb = ip === null ? null : instance.irb;
  return {
    ...common(instance, vtep),
    targets: irb === null ? exports : [...new Set([...exports, ...irb.exports])],
    type: 2,
    mac,
    ip: ip === null ? null : formatIp(ip),
    labels: irb === null ? [vni] : [vni, irb.vni],
    segment: null,
    sequence: isSticky || sequence > 0 ? sequence : null,
    isSticky,
    isGateway: false,
    routerMac: irb?.routerMac ?? null,
  };
}

/** Type 5 of a prefix of a VRF, behind us (RFC 9136 §4.4.1: the interface-less model). */
export function prefixRouteOf(instance: Instance, vtep: string, network: Ip, length: number): PrefixRoute {
  const { vni: label, vrf } = instance;
  const routerMac = vrf!.routerMac;
  return { ...common(instance, vtep), type: 5, network, length, label, gateway: null, segment: null, routerMac };
}

/** Type 2 of a gateway address that is ours alone (RFC 9135 §4.1): of the L2 domain, as the VRF's routers need none. */
export function gatewayRouteOf(instance: Instance, vtep: string, mac: Mac, ip: Ip): MacRoute {
  const host = { mac, ip, isSticky: false, sequence: 0 };
  return { ...macRouteOf({ ...instance, irb: null }, vtep, host), isGateway: true };
}

/** Type 3: copies of what is flooded shall come to us (RFC 8365 §9); others make their tunnel of it. */
export function multicastRouteOf(instance: Instance, vtep: string): MulticastRoute {
  const pmsi = { type: PMSI_INGRESS_REPLICATION, label: instance.vni, address: vtep };
  return { ...common(instance, vtep), type: 3, originator: vtep, pmsi };
}
