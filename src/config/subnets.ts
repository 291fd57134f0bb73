/**
 * The connected subnets of all VSI-interfaces, by VRF: who owns an address, which subnets overlap.
 *
 * Subnets of different VSI-interfaces must not overlap within a VRF: two gateways for one address would make the
 * answer to "where is this host" depend on the order of the file. The rules ask this table once per next hop, and a
 * file may hold thousands, so a look-up costs at most one hash probe for each prefix length in use (≤ 32).
 */
import { bitsOf, type Ip, networkOf } from "../control/ip.ts";
import type { Address, Address6, InterfaceAddress, InterfaceConfig, Prefix } from "../control/plan.ts";
import { parseMac } from "../wire/ethernet.ts";
import { linkLocalOfMac } from "../wire/ipv6.ts";
import { contains } from "./address.ts";
import { type FileConfig, NEIGHBOR_TABLE } from "./schema.ts";

export type FileInterface = FileConfig["interfaces"][number];

export interface Subnet {
  readonly prefix: Prefix;
  /** Index of the VSI-interface in the file. */
  readonly owner: number;
  readonly ownerName: string;
}

export class Subnets {
  /** VRF → prefix length → network → the subnets there: more than one only where the file is wrong. */
  private readonly vrfs = new Map<string, Map<number, Map<Ip, Subnet[]>>>();
  private readonly own = new Map<string, Map<Ip, string>>();
  /** VRF → VSI-interfaces with IPv6: each has a link-local subnet, and an address there, where the file says which (null: of its MAC). */
  private readonly zones = new Map<string, Map<string, Ip | null>>();

  constructor(interfaces: readonly FileInterface[]) {
    for (const [owner, each] of interfaces.entries()) {
      const lengths = entry(this.vrfs, each.vrf, () => new Map<number, Map<Ip, Subnet[]>>());
      const own = entry(this.own, each.vrf, () => new Map<Ip, string>());
      for (const { ip, prefix } of addressesOf(each)) {
        own.set(ip, each.name);
        const networks = entry(lengths, prefix.length, () => new Map<Ip, Subnet[]>());
        entry(networks, prefix.network, () => []).push({ prefix, owner, ownerName: each.name });
      }
      for (const { ip } of icmpSourcesOf(each)) own.set(ip, each.name);
      const linkLocal = linkLocalOf(each);
      if (linkLocal !== null)
        entry(this.zones, each.vrf, () => new Map<string, Ip | null>()).set(each.name, ownOf(linkLocal, each.mac));
    }
  }

  hasVrf(vrf: string): boolean {
    return this.vrfs.has(vrf);
  }

  /** Is `name` a VSI-interface of `vrf` with IPv6? */
  hasZone(vrf: string, name: string): boolean {
    return this.zones.get(vrf)?.has(name) ?? false;
  }

  /** Is `ip` the link-local address of that VSI-interface itself? */
  isOwnOfZone(vrf: string, name: string, ip: Ip): boolean {
    return this.zones.get(vrf)?.get(name) === ip;
  }

  vrfNames(): Iterable<string> {
    return this.vrfs.keys();
  }

  /** The longest connected subnet that holds an address, or null. */
  find(vrf: string, ip: Ip): Subnet | null {
    let best: Subnet | null = null;
    for (const [length, networks] of this.vrfs.get(vrf) ?? []) {
      if (length > bitsOf(ip)) continue;
      const hit = networks.get(networkOf(ip, length))?.[0];
      if (hit !== undefined && (best === null || length > best.prefix.length)) best = hit;
    }
    return best;
  }

  /** The VSI-interface whose own address this is, or null. */
  ownerOf(vrf: string, ip: Ip): string | null {
    return this.own.get(vrf)?.get(ip) ?? null;
  }

  /** Whether a prefix is exactly a connected one. */
  connected(vrf: string, prefix: Prefix): Subnet | null {
    return this.vrfs.get(vrf)?.get(prefix.length)?.get(prefix.network)?.[0] ?? null;
  }

  /** An earlier subnet that the given one runs into: of another VSI-interface, or of its own with another length. */
  clash(vrf: string, owner: number, prefix: Prefix): Subnet | null {
    for (const [length, networks] of this.vrfs.get(vrf) ?? []) {
      if (length > prefix.length) continue;
      for (const other of networks.get(networkOf(prefix.network, length)) ?? []) {
        if (other.owner === owner && length === prefix.length) continue;
        // Two equal subnets are seen from both sides: the later one is the mistake.
        if (length === prefix.length && other.owner > owner) continue;
        if (contains(other.prefix, prefix.network)) return other;
      }
    }
    return null;
  }
}

/** The addresses of a VSI-interface as a list. */
export function addressesOf({ address }: FileInterface): readonly InterfaceAddress[] {
  return Array.isArray(address) ? address : [address];
}

/** Its own addresses for ICMP as a list. */
export function icmpSourcesOf({ icmpSource }: FileInterface): readonly Address[] {
  return icmpSource === undefined ? [] : Array.isArray(icmpSource) ? icmpSource : [icmpSource];
}

/** Has it IPv6? */
export function hasIpv6(each: FileInterface): boolean {
  return addressesOf(each).some(({ ip }) => typeof ip === "bigint");
}

/** What all gateways of a subnet have in common. */
const SHARED_LINK_LOCAL: Address6 = { text: "fe80::1", ip: (0xfe80n << 112n) | 1n };

/** A gateway that is not distributed is one of several in its subnet, and needs one of its own. */
export function linkLocalOf(each: FileInterface): InterfaceConfig["linkLocal"] {
  if (!hasIpv6(each)) return null;
  return each.linkLocal ?? (each.distributed ? SHARED_LINK_LOCAL : "eui64");
}

/** How it keeps its neighbours, and under which name the file says so. */
export function neighborsOf(each: FileInterface): typeof NEIGHBOR_TABLE & { readonly key: "neighbors" | "arp" } {
  if (each.arp !== undefined && each.neighbors === undefined) return { ...each.arp, key: "arp" };
  return { ...(each.neighbors ?? NEIGHBOR_TABLE), key: "neighbors" };
}

/** The VSIs of a VSI-interface as a list. */
export function vsisOf(each: FileInterface): string[] {
  return each.vsis ?? (each.vsi === undefined ? [] : [each.vsi]);
}

/** null: of a MAC that the file does not name. */
function ownOf(linkLocal: Address6 | "eui64", text: string | undefined): Ip | null {
  if (linkLocal !== "eui64") return linkLocal.ip;
  const mac = parseMac(text ?? "");
  return mac === null ? null : linkLocalOfMac(mac);
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
