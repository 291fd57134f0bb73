/**
 * Which VSIs a route belongs to, by its targets, and what is refused whatever they say.
 *
 * `auto` takes our VNI with any AS, in both automatic forms, as others do: with eBGP each leaf has an AS of its own, and makes its
 * targets of it. A route that no target of ours matches is somebody else's, and no refusal. Everything here comes from peers:
 * each check is against nonsense that would reach the tables.
 */
import { isGroup } from "../wire/ethernet.ts";
import { isLinkLocal, isLoopback, isMartianSource, parseIpv4 } from "../wire/ipv4.ts";
import { ENCAP_VXLAN, type EvpnRoute, PMSI_INGRESS_REPLICATION, vniOfTarget } from "./route.ts";

/** Why a route is not used; label of `vtep_evpn_refused_total`. */
export const REFUSAL_TEXTS = {
  next_hop: "its next hop is ourselves, or no unicast address",
  encapsulation: "it is for another encapsulation than VXLAN",
  label: "it has no VNI",
  group_mac: "its MAC is zero, or a group's",
  gateway_mac: "its MAC is our own gateway MAC: it is a gateway's, or a host that pretends to be one",
  address: "its address is no host's, or our gateway's own; the MAC is used",
  foreign_subnet: "its address is in no subnet of the VSI-interface; the MAC is used",
  tunnel_type: "its flooding is by another kind of tunnel than ingress replication",
  unsupported: "routes of its type are not used here",
  vni_mismatch: "its VNI is not the VSI's (downstream-assigned VNIs are not supported)",
  vtep: "there is no tunnel to its VTEP (show evpn vteps)",
  routes_limit: "evpn.limits.routes is reached",
  host_routes: "its MAC, or its address, has 1024 routes already",
  table_full: "the MAC or ARP table has no room (limits)",
} as const;
export type Refusal = keyof typeof REFUSAL_TEXTS;
export const REFUSALS = Object.keys(REFUSAL_TEXTS) as Refusal[];

/** A VSI as routes name it. */
export interface Instance {
  readonly vsi: string;
  /** What its addresses are compared with: with another VSI-interface or other subnets it is another instance. */
  readonly subnets: string;
  readonly vni: number;
  readonly rd: string;
  /** Does it take our VNI with any AS? */
  readonly importsAuto: boolean;
  readonly imports: readonly string[];
  readonly exports: readonly string[];
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

/** What is wrong with a route that a VSI of `vni` would import, as far as the route alone tells; null: nothing. */
export function refusalOf(route: EvpnRoute, vni: number): Refusal | null {
  if (!isHostAddress(route.nextHop)) return "next_hop";
  if (route.encap !== null && route.encap !== ENCAP_VXLAN) return "encapsulation";
  switch (route.type) {
    case 2: {
      const label = route.labels[0] ?? 0;
      if (label === 0) return "label";
      if (route.mac === 0 || isGroup(route.mac)) return "group_mac";
      if (route.ip !== null && !route.ip.includes(":") && !isHostAddress(route.ip)) return "address";
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
  const ip = parseIpv4(text);
  if (ip === null) return text.includes(":") && text !== "::" && text !== "::1" && !/^ff/i.test(text);
  return !isMartianSource(ip) && !isLoopback(ip) && !isLinkLocal(ip);
}
