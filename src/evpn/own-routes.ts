/** Routes that we announce: a host, the VSI's part in flooding, a gateway address of its own. */
import type { Mac } from "../wire/ethernet.ts";
import { formatIpv4, type Ipv4 } from "../wire/ipv4.ts";
import type { Instance } from "./import.ts";
import { ENCAP_VXLAN, type MacRoute, type MulticastRoute, PMSI_INGRESS_REPLICATION } from "./route.ts";

export interface OwnHost {
  readonly mac: Mac;
  readonly ip: Ipv4 | null;
  readonly isSticky: boolean;
  readonly sequence: number;
}

function common({ rd, exports }: Instance, vtep: string) {
  return { rd, tag: 0, nextHop: vtep, targets: exports, encap: ENCAP_VXLAN };
}

/** Type 2 of a host at an AC, with its own MAC. The first sequence is 0, which needs no community (RFC 7432 §15). */
export function macRouteOf(instance: Instance, vtep: string, { mac, ip, isSticky, sequence }: OwnHost): MacRoute {
  return {
    ...common(instance, vtep),
    type: 2,
    mac,
    ip: ip === null ? null : formatIpv4(ip),
    labels: [instance.vni],
    segment: null,
    sequence: isSticky || sequence > 0 ? sequence : null,
    isSticky,
    isGateway: false,
    routerMac: null,
  };
}

/** Type 2 of a gateway address that is ours alone (RFC 9135 §4.1). */
export function gatewayRouteOf(instance: Instance, vtep: string, mac: Mac, ip: Ipv4): MacRoute {
  return { ...macRouteOf(instance, vtep, { mac, ip, isSticky: false, sequence: 0 }), isGateway: true };
}

/** Type 3: copies of what is flooded shall come to us (RFC 8365 §9); others make their tunnel of it. */
export function multicastRouteOf(instance: Instance, vtep: string): MulticastRoute {
  const pmsi = { type: PMSI_INGRESS_REPLICATION, label: instance.vni, address: vtep };
  return { ...common(instance, vtep), type: 3, originator: vtep, pmsi };
}
