/**
 * Which VSIs and VRFs a route belongs to, by its targets, and what is refused whatever they say.
 *
 * `auto` takes our VNI with any AS, in both automatic forms, as others do: with eBGP each leaf has an AS of its own, and makes its
 * targets of it. A route that no target of ours matches is somebody else's, and no refusal. Everything here comes from peers:
 * each check is against nonsense that would reach the tables.
 */
import { type Ip, isWithin, parseIp } from "../control/ip.ts";
import { isGroup, type Mac } from "../wire/ethernet.ts";
import { isLinkLocal, isLoopback, isMartianSource } from "../wire/ipv4.ts";
import { type Ipv6, isMulticast6 } from "../wire/ipv6.ts";
import { addressOf, ENCAP_VXLAN, type EvpnRoute, ipOf, PMSI_INGRESS_REPLICATION, vniOfTarget } from "./route.ts";

/** Why a route is not used; label of `vtep_evpn_refused_total`. */
export const REFUSAL_TEXTS = {
  next_hop: "its next hop is ourselves, or no unicast address",
  encapsulation: "it is for another encapsulation than VXLAN",
  label: "it has no VNI",
  group_mac: "its MAC is zero, or a group's",
  gateway_mac: "its MAC is our own gateway MAC: it is a gateway's, or a host that pretends to be one",
  gateway_host: "it says of a host's MAC that it is a gateway's (default-gateway community): the host is used",
  gateway_address: "it is a gateway's own address (default-gateway community), of which a VRF makes no host route",
  address: "its address is no host's, or our gateway's own; the MAC is used",
  foreign_subnet: "its address is in no subnet of the VSI-interface; the MAC is used",
  tunnel_type: "its flooding is by another kind of tunnel than ingress replication",
  unsupported: "routes of its type are not used here",
  vni_mismatch: "its VNI is not the VSI's or VRF's (downstream-assigned VNIs are not supported)",
  router_mac: "it has no router's MAC, or a wrong one: the VRF cannot use it, the VSI can",
  overlay_index: "its prefix is behind a gateway address or a segment, which are not resolved here",
  prefix: "its prefix is none that is routed",
  vtep: "there is no tunnel to its VTEP (show evpn vteps)",
  routes_limit: "evpn.limits.routes is reached; all are asked for again when there is room",
  targets: "it has more than 64 route targets",
  table_full: "the MAC, ARP or route table has no room (limits)",
  host_routes: "its MAC, its address or its prefix has 1024 routes already",
} as const;
export type Refusal = keyof typeof REFUSAL_TEXTS;
export const REFUSALS = Object.keys(REFUSAL_TEXTS) as Refusal[];

/** A VSI as routes name it, or a VRF by its L3VNI. */
export interface Instance {
  readonly vsi: string;
  /** The VRF whose L3VNI it is, our router's MAC in it, and the most next hops of one prefix; null: an L2 domain. */
  readonly vrf: { readonly name: string; readonly routerMac: Mac; readonly ecmp: number } | null;
  /** What its addresses are compared with: with another VSI-interface, VRF or subnets it is another instance. */
  readonly subnets: string;
  readonly vni: number;
  readonly rd: string;
  /** Does it take our VNI with any AS? */
  readonly importsAuto: boolean;
  readonly imports: readonly string[];
  readonly exports: readonly string[];
  /** A VSI's: how its hosts are announced to those who have only its VRF (RFC 9135 §5.1); null: they are not. */
  readonly irb: { readonly vni: number; readonly exports: readonly string[]; readonly routerMac: Mac } | null;
}

export class Importer {
  private readonly ofVni = new Map<number, Instance>();
  private readonly ofTarget = new Map<string, Instance[]>();
  /** Many routes have one list of targets (interned.ts). */
  private readonly known = new WeakMap<readonly string[], readonly Instance[]>();

  constructor(instances: Iterable<Instance>) {
    for (const instance of instances) {
      if (instance.importsAuto) this.ofVni.set(instance.vni, instance);
      for (const target of instance.imports) {
        const list = this.ofTarget.get(target) ?? [];
        list.push(instance);
        this.ofTarget.set(target, list);
      }
    }
  }

  /** The VSIs that import a route with these targets. */
  instancesOf(targets: readonly string[]): readonly Instance[] {
    let instances = this.known.get(targets);
    if (instances === undefined) {
      instances = [...this.find(targets)];
      this.known.set(targets, instances);
    }
    return instances;
  }

  private find(targets: readonly string[]): Set<Instance> {
    const found = new Set<Instance>();
    for (const target of targets) {
      const vni = vniOfTarget(target);
      const auto = vni === null ? undefined : this.ofVni.get(vni);
      if (auto !== undefined) found.add(auto);
      for (const instance of this.ofTarget.get(target) ?? []) found.add(instance);
    }
    return found;
  }
}

/** Does the route speak of what `instance` is made of? Of a VRF that is prefixes, and hosts with addresses but no gateways. */
export function concerns(route: EvpnRoute, { vrf }: Instance): boolean {
  if (vrf === null || route.type !== 2) return true;
  return addressOf(route) !== null && !route.isGateway;
}

/** What is wrong with a route that `instance` would import, as far as the route alone tells; null: nothing. */
export function refusalOf(route: EvpnRoute, instance: Instance): Refusal | null {
  if (!isHostAddress(route.nextHop)) return "next_hop";
  if (route.encap !== null && route.encap !== ENCAP_VXLAN) return "encapsulation";
  return instance.vrf === null
    ? refusalInVsi(route, instance.vni)
    : refusalInVrf(route, instance.vni, instance.vrf.routerMac);
}

function refusalInVrf(route: EvpnRoute, vni: number, routerMac: Mac): Refusal | null {
  if (route.type !== 2 && route.type !== 5) return "unsupported";
  const label = route.type === 2 ? (route.labels[1] ?? 0) : route.label;
  if (label === 0) return "label";
  if (label !== vni) return "vni_mismatch";
  if (route.type === 5) {
    // RFC 9136 §3.2: one of several things that the prefix is behind, and that are resolved by other routes.
    if (route.gateway !== null || route.segment !== null) return "overlay_index";
    if (!isRoutable(route.network, route.length)) return "prefix";
  } else if (!isHostIp(ipOf(route)!)) return "address";
  const { routerMac: theirs } = route;
  if (theirs === null || theirs === 0 || isGroup(theirs)) return "router_mac";
  return theirs === routerMac ? "gateway_mac" : null;
}

/** What no router forwards to (RFC 1122 §3.2.1.3, RFC 3927, RFC 4291 §2.4, §2.5.5). */
const RESERVED = [
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32"],
  ...["::/96", "::ffff:0:0/96", "fe80::/10", "ff00::/8"],
].map((text) => {
  const [network, length] = text.split("/");
  return { network: parseIp(network!)!, length: Number(length) };
});

/** A default route and half of one hold reserved addresses beside others, and lead to the others (RFC 9136 §3.1: any length). */
function isRoutable(network: Ip, length: number): boolean {
  return !RESERVED.some((block) => length >= block.length && isWithin(network, block.network, block.length));
}

function refusalInVsi(route: EvpnRoute, vni: number): Refusal | null {
  switch (route.type) {
    case 2: {
      const label = route.labels[0] ?? 0;
      if (label === 0) return "label";
      if (route.mac === 0 || isGroup(route.mac)) return "group_mac";
      // A label of the other side's choice would need a VNI for each adjacency.
      return label === vni ? null : "vni_mismatch";
    }
    case 3:
      // Some relays lose the label of the tunnel attribute, so it is not compared (FRR before 7.0).
      if (route.pmsi !== null && route.pmsi.type !== PMSI_INGRESS_REPLICATION) return "tunnel_type";
      return null;
    default:
      return "unsupported";
  }
}

/** The VTEP that takes part in flooding: the tunnel's end, else the next hop. */
export function floodVtepOf(route: EvpnRoute): string {
  const address = route.type === 3 ? (route.pmsi?.address ?? null) : null;
  return address !== null && isHostAddress(address) ? address : route.nextHop;
}

function isHostAddress(text: string): boolean {
  const ip = parseIp(text);
  return ip !== null && isHostIp(ip);
}

/** Can a host have it? Link-local addresses of IPv6 all hosts have. */
export function isHostIp(ip: Ip): boolean {
  if (typeof ip === "bigint") return !isReserved6(ip) && !isMulticast6(ip);
  return !isMartianSource(ip) && !isLoopback(ip) && !isLinkLocal(ip);
}

/** ::/96 and ::ffff:0:0/96: no address, loopback, IPv4 in another form (RFC 4291 §2.5). */
function isReserved6(ip: Ipv6): boolean {
  const high = ip >> 32n;
  return high === 0n || high === 0xffffn;
}
