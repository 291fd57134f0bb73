/**
 * The plan: what the operator wants, resolved, as plain data.
 *
 * `config/load.ts` turns YAML into a `Config`; control applies it. Everything here is JSON (no Map, no undefined: an
 * absent thing is `null`, a list is never null; an IPv6 address is a bigint), read-only and complete: every default is filled in, every name that
 * refers to another object exists, every number is in range, so control asks nothing twice. Control itself must not
 * know YAML, zod or files, hence these declarations live here and contain no code.
 *
 * Notation:
 * - `Ip4` is an IPv4 address as int32, the big-endian value (10.1.1.1 is 0x0a010101, 192.0.2.1 is negative), the same
 *   as in tables and frames. Where people read it, the dotted text stands beside it.
 * - A MAC is lower-case text with colons: "02:00:5e:00:00:0a". A static or configured MAC is never zero and never a
 *   group address (except in `FloodPolicy.selective`).
 * - Names are unique within their kind; lists stand in the order of the file, and that order means nothing except for
 *   the rules of a policy.
 * - Units are in the names: `...Seconds`, `...Ms`, `...PerSecond`; an `mtu` is the longest IP packet in bytes.
 */

import type { Ip } from "./ip.ts";
import type { BfdConfig } from "./plan-bfd.ts";
import type { DhcpRelay6Config, DhcpRelayConfig } from "./plan-dhcp.ts";
import type { EvpnConfig, VrfConfig, VsiEvpnConfig } from "./plan-evpn.ts";
import type { RouterAdvertisementConfig } from "./plan-ra.ts";
import type { StormConfig } from "./plan-storm.ts";
import type { TrackConfig } from "./plan-tracks.ts";

/** An IPv4 address as int32. */
export type Ip4 = number;

/** An address, for people and for tables. */
export interface Address<A extends Ip = Ip> {
  readonly text: string;
  readonly ip: A;
}
export type Address4 = Address<Ip4>;
export type Address6 = Address<bigint>;

/** A CIDR prefix; no host bits are set. `text` is canonical: "10.1.1.0/24", "2001:db8:10::/64". */
export interface Prefix<A extends Ip = Ip> {
  readonly text: string;
  readonly network: A;
  /** 0..32, or 0..128 */
  readonly length: number;
}
export type Prefix4 = Prefix<Ip4>;

/** The forwarding threads. */
export interface WorkersConfig {
  /** ≥ 1 */
  readonly count: number;
  /** `auto`: the nice value that helps, where it is granted. */
  readonly priority: "auto" | "normal" | { readonly nice: number } | { readonly fifo: number };
  /** The processor of each; null: wherever the kernel puts them. */
  readonly cpus: readonly number[] | null;
}

/** The whole configuration of one gateway. */
export interface Config {
  /** Seeds the derived gateway MACs (D1). */
  readonly node: string;
  readonly underlay: UnderlayConfig;
  readonly tunnels: readonly TunnelConfig[];
  readonly vsis: readonly VsiConfig[];
  readonly interfaces: readonly InterfaceConfig[];
  readonly vrfs: readonly VrfConfig[];
  readonly acs: readonly AcConfig[];
  readonly routes: readonly RouteConfig[];
  readonly policies: readonly PolicyConfig[];
  readonly nextHopProbe: NextHopProbeConfig;
  readonly tracks: readonly TrackConfig[];
  /** `seconds`: most that a stop waits for peers to leave us; 0: it does not. While `track` is down they shall leave us as well. */
  readonly drain: { readonly seconds: number; readonly track: string | null };
  /** For tunnels that the configuration does not name, and what a tunnel's own `bfd` leaves out; null: none. */
  readonly bfd: BfdConfig | null;
  readonly limits: LimitsConfig;
  readonly evpn: EvpnConfig | null;
  readonly workers: WorkersConfig;
  /** `observe`: a socket that only reads; null: none. Its `group` null: the daemon's own. */
  readonly control: {
    readonly socket: string;
    readonly observe: { readonly socket: string; readonly group: string | null } | null;
  };
  /** Where TAP file descriptors are handed over; null: nowhere. */
  readonly attach: { readonly socket: string } | null;
  /** TCP listener for /metrics; null: none. `host` is an IP address, port 0 asks the kernel for one; `hosts` are names for it. */
  readonly metrics: { readonly host: string; readonly port: number; readonly hosts: readonly string[] } | null;
  /** Where leases are kept; null: where systemd says, else nowhere. */
  readonly stateDirectory: string | null;
  readonly log: LogConfig;
}

/** The outside of every tunnel. */
export interface UnderlayConfig {
  /** VTEP address in canonical text; the sockets are bound to it. */
  readonly address: string;
  readonly family: 4 | 6;
  /** UDP port we listen on and send to (RFC 7348: 4789). */
  readonly port: number;
  /** Underlay IP MTU; "auto": read the egress device. */
  readonly mtu: number | "auto";
  /** What encapsulation takes from the underlay MTU: 50 over IPv4, 70 over IPv6. Overlay IP MTU = mtu - this. */
  readonly overhead: 50 | 70;
  /** Outer UDP source ports first .. first+count-1, one socket each, all in 49152..65535. */
  readonly sourcePorts: { readonly first: number; readonly count: number };
  readonly checksum: "auto" | "on" | "zero";
  /** Over IPv6: take datagrams whose outer UDP checksum is zero. */
  readonly acceptZeroChecksum: boolean;
  /** Outer DSCP: the inner one, or a fixed 0..63. */
  readonly dscp: "copy" | number;
  /** true: a datagram with reserved bits set is dropped `reserved_bits`; false: counted and accepted (RFC 7348 §5). */
  readonly strictReserved: boolean;
  /** VNI of BFD inside VXLAN; no VSI has it while a session is in it. */
  readonly managementVni: number;
  readonly offload: OffloadConfig;
}

export interface OffloadConfig {
  readonly tapTso: boolean;
  readonly tapUso: boolean;
  readonly coalesce: boolean;
  /** Always false where `checksum` is "zero". */
  readonly udpGso: boolean;
  readonly udpGro: boolean;
}

/** How next hops of routes and policies are asked whether they live; intervalMs 0: they are not. */
export interface NextHopProbeConfig {
  readonly intervalMs: number;
  readonly multiplier: number;
}

/** A VXLAN path to one remote VTEP. */
export interface TunnelConfig {
  readonly name: string;
  /** Canonical text, of the family of `underlay.address`, never that address itself, unique among the tunnels. */
  readonly remote: string;
  readonly keepalive: { readonly intervalMs: number; readonly multiplier: number } | null;
  /** null: no BFD session with its peer. */
  readonly bfd: BfdConfig | null;
}

/** How ARP requests that arrive on an AC are treated (D14). */
export type ArpMode = "localProxy" | "suppress" | "flood";

export interface VsiConfig {
  readonly name: string;
  /** 1..16777215, unique; null: a local VSI (an uplink), whose `tunnels` is empty. */
  readonly vni: number | null;
  /** Names of tunnels. */
  readonly tunnels: readonly string[];
  /** The VSI-interface bound to it, or null: a plain L2 VSI. */
  readonly interface: string | null;
  /** "localProxy" only where `interface` is not null. */
  readonly arp: ArpMode;
  /** D2: answer at once, or only once the target is resolved. */
  readonly proxyArp: "immediate" | "verified";
  /** D7: "always" relays a request from a tunnel even when the host is known and fresh. */
  readonly relay: "auto" | "always";
  readonly flood: FloodPolicy;
  /** IPv6 of the link alone from host to host; "isolate" only where `interface` has IPv6. */
  readonly linkLocal: "bridge" | "isolate";
  /** An 802.1Q tag inside VXLAN: drop the frame `inner_vlan`, or forward it as it is (RFC 7348 §6.1). */
  readonly innerVlan: "drop" | "keep";
  readonly mac: MacTableConfig;
  /** Its VSI-interface relays DHCP, and DHCPv6. */
  readonly isRelayed: boolean;
  readonly isRelayed6: boolean;
  /** null: it takes no part in EVPN. */
  readonly evpn: VsiEvpnConfig | null;
  /** The VRF whose L3VNI it is: it has no ACs, and was made of `vrfs`. null: an L2 domain. */
  readonly l3vrf: string | null;
}

/** Which classes of BUM frames are flooded; frames to a MAC in `selective` always are. */
export interface FloodPolicy {
  readonly broadcast: boolean;
  readonly unknownUnicast: boolean;
  readonly multicast: boolean;
  readonly selective: readonly string[];
}

export interface MacTableConfig {
  readonly ageSeconds: number;
  /** Most entries of this VSI, static ones included; ≤ limits.macs. */
  readonly limit: number;
  /** The port is an AC of this VSI or one of its tunnels; a MAC stands here once. */
  readonly static: readonly { readonly mac: string; readonly port: BridgePortName }[];
}

export interface BridgePortName {
  readonly kind: "ac" | "tunnel";
  readonly name: string;
}

/** A VSI-interface: the IP gateway of one or several VSIs. */
export interface InterfaceConfig {
  readonly name: string;
  /** One or more; a VSI is bound to one VSI-interface at most. */
  readonly vsis: readonly string[];
  /** The first of a family is its primary one; none at an L3VNI. Subnets of different VSI-interfaces of a VRF never overlap. */
  readonly addresses: readonly InterfaceAddress[];
  /** "eui64": made of its MAC; null: it has no IPv6 address. */
  readonly linkLocal: Address6 | "eui64" | null;
  /** Whose address is the IPv6 source of an advertisement for a host: ours, or the host's. */
  readonly naSource: "gateway" | "target";
  /** Whose packets may have us look for a host that is not known: all, or not those that an uplink brings. */
  readonly gleanFrom: "any" | "overlay";
  /** "auto": derived from node and VNI; "shared": from the VNI alone; else the MAC itself (D1). */
  readonly mac: string;
  /** false: a central gateway or Border, which also answers ARP for its address over tunnels (D15). */
  readonly distributed: boolean;
  readonly vrf: string;
  /** "auto": what the underlay leaves, or 1500 where all its VSIs are local. */
  readonly mtu: number | "auto";
  readonly arp: {
    readonly ageSeconds: number;
    /** Most neighbours on this VSI-interface; ≤ limits.neighbors. */
    readonly limit: number;
    readonly static: readonly StaticNeighbor[];
  };
  /** null: DHCP is flooded like any broadcast. */
  readonly dhcpRelay: DhcpRelayConfig | null;
  /** The same of DHCPv6. */
  readonly dhcpRelay6: DhcpRelay6Config | null;
  /** Source of ICMP errors and of traffic of our own; null: the primary address. Lies in one of the subnets. */
  readonly icmpSource: Address4 | null;
  /** The same of IPv6. */
  readonly icmpSource6: Address6 | null;
  /** null: hosts are told nothing. */
  readonly routerAdvertisement: RouterAdvertisementConfig | null;
  /** Lower the MSS of TCP SYNs that cross this VSI-interface to what the MTU allows. */
  readonly mssClamp: boolean;
}

/** A gateway address with its subnet: `text` 10.1.1.1, `prefix.text` 10.1.1.0/24. */
export interface InterfaceAddress<A extends Ip = Ip> extends Address<A> {
  readonly prefix: Prefix<A>;
}

export interface StaticNeighbor extends Address {
  readonly mac: string;
  /** The VSI (one of the VSI-interface's) in which the neighbour lives, and the port behind which it does. */
  readonly vsi: string;
  readonly port: BridgePortName;
}

/** An attachment circuit: a TAP, or one VLAN of it, bound to a VSI. */
export interface AcConfig {
  readonly name: string;
  readonly vsi: string;
  /** null: the TAP is handed over (`handover`). (device, netns, vlan) is unique; ACs that share a TAP agree on the rest. */
  readonly tap: TapConfig | null;
  readonly handover: boolean;
  /** The 802.1Q tag to match and strip, 1..4094; null: untagged frames. */
  readonly vlan: number | null;
  /**
   * true: drop IPv4 whose source lies outside the VSI-interface's subnets; only where there is a VSI-interface. "strict": drop
   * what is not sent from a binding.
   */
  readonly antiSpoof: boolean | "strict";
  /** Who lives behind it; what DHCP gives comes to that. `ip` is canonical text of either family. */
  readonly bindings: readonly { readonly mac: string; readonly ip: string }[];
  /** So many IPv6 addresses that its hosts make themselves are bound to it, who claims one first; 0: none. */
  readonly slaac: number;
  /** IPv6 router advertisements and redirects from it. */
  readonly routerAdvertisements: "allow" | "deny";
  /** BUM frames per second accepted from this AC, in all and of each class; 0: no limit. */
  readonly stormPerSecond: number;
  readonly storm: StormConfig;
}

export interface TapConfig {
  /** Linux device name, 1..15 bytes. */
  readonly device: string;
  /** Network namespace: a name under /run/netns, or an absolute path; null: the daemon's own. */
  readonly netns: string | null;
  /** "auto": the MTU of the VSI (its VSI-interface's where it has one). */
  readonly mtu: number | "auto";
  /** true: the device outlives the daemon. */
  readonly persist: boolean;
}

/**
 * A next hop of several: those of the least priority that has a living one are used, in proportion to their weights. The text
 * of a link-local one names its VSI-interface: "fe80::2%vsi-interface10".
 */
export interface NextHopConfig extends Address {
  /** 1..16 */
  readonly weight: number;
  /** 1..255 */
  readonly priority: number;
  /** While this one is down it is out of use. */
  readonly track: string | null;
  /** Behind this tunnel alone: several gateways have the address. */
  readonly tunnel: string | null;
}

/** A static route. (vrf, prefix) is unique and is no connected prefix. */
export interface RouteConfig {
  readonly vrf: string;
  readonly prefix: Prefix;
  readonly target: /** 1..8 addresses in connected subnets of the VRF, none of them ours; several are ECMP. */
    | { readonly kind: "nextHops"; readonly nextHops: readonly NextHopConfig[] }
    /** Into another VRF: to 1..8 next hops in its subnets, or where its table says (none). */
    | { readonly kind: "vrf"; readonly vrf: string; readonly nextHops: readonly NextHopConfig[] }
    /** ICMP 3/1, ICMP 3/13, silence (behaviour.md §5). */
    | { readonly kind: "unreachable" | "prohibit" | "discard" };
}

/** Policy routing on packets that arrive from these VSI-interfaces. The first rule that matches decides. */
export interface PolicyConfig {
  readonly name: string;
  /** One or more; a VSI-interface has one policy at most. */
  readonly interfaces: readonly string[];
  readonly rules: readonly RuleConfig[];
}

export interface RuleConfig {
  readonly match: RuleMatch;
  readonly action: RuleAction;
}

/** All conditions must hold; an empty list or null matches everything; within a list one is enough. */
export interface RuleMatch {
  readonly sources: readonly Prefix[];
  readonly destinations: readonly Prefix[];
  /** IP protocol number 0..255. */
  readonly protocol: number | null;
  /** Only with protocol 6 or 17. */
  readonly sourcePorts: readonly PortRange[];
  readonly destinationPorts: readonly PortRange[];
}

/** Inclusive, 0..65535. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export type RuleAction =
  /** nextHop: before the table. defaultNextHop: where the table has nothing but a default route (D11). */
  | {
      readonly kind: "nextHop" | "defaultNextHop";
      /** 1..8; several are a group, as of a route. */
      readonly nextHops: readonly NextHopConfig[];
      /** All of them are dead: the next rule and then the table decide, or the packet is dropped. */
      readonly onDead: "fallThrough" | "drop";
    }
  /** permit: route by the table, no further rules. */
  | { readonly kind: "drop" | "permit" };

export interface LimitsConfig {
  readonly macs: number;
  readonly neighbors: number;
  readonly routes: number;
  /** The same of IPv6. */
  readonly neighbors6: number;
  readonly routes6: number;
  /** Learned MACs per AC. */
  readonly acMacs: number;
  /** Hosts of a family looked for at once for one AC of a VSI without a VNI. */
  readonly searchesOfUplink: number;
  readonly puntPerSecond: number;
  readonly puntPerAcPerSecond: number;
  readonly icmpPerSecond: number;
  readonly icmpPerAcPerSecond: number;
}

export interface LogConfig {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  /** "auto": pretty on a terminal, else JSON lines. */
  readonly format: "auto" | "json" | "pretty";
}

/** What changed from one Config to the next; objects are matched by name (routes by VRF and prefix). */
export interface ConfigDiff {
  readonly tunnels: ListDiff<TunnelConfig>;
  readonly vsis: ListDiff<VsiConfig>;
  readonly interfaces: ListDiff<InterfaceConfig>;
  readonly vrfs: ListDiff<VrfConfig>;
  readonly acs: ListDiff<AcConfig>;
  readonly routes: ListDiff<RouteConfig>;
  readonly policies: ListDiff<PolicyConfig>;
  readonly tracks: ListDiff<TrackConfig>;
  /** Dotted paths of changed single values: "underlay.dscp", "limits.macs", "log.level". */
  readonly settings: readonly string[];
  /** Those of them that a running daemon cannot take over: node, underlay.address, underlay.port, workers.count. */
  readonly needsRestart: readonly string[];
  /** Nothing changed at all. */
  readonly empty: boolean;
}

export interface ListDiff<T> {
  readonly added: readonly T[];
  readonly removed: readonly T[];
  readonly changed: readonly { readonly from: T; readonly to: T }[];
}
