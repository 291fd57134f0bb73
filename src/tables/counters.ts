/**
 * Every way a frame can end has a name here, and only here: the enum, the counter, the Prometheus label, the CLI text
 * and the table of docs/drops.md are all made from these lists.
 *
 * Writers: block k is worker k's; the two last ones are control's and that of the thread of BFD, which sends inside VXLAN by itself.
 * A frame's ledger has two pages, and both balance always:
 *   data plane:  received + injected + copies = sent + punted + dropped      (+ what is in this very batch)
 *   control:     punted = consumed + reinjected + dropped + held             (+ what is still in the ring)
 * "dropped" of a page is the sum of that page's block. Packets are wire packets: a super-frame counts as its segments.
 */
import type { Carver } from "./layout.ts";

/** Drop reasons: name, the plane that counts it, and the sentence a person reads. */
export const DROPS = [
  ["runt", "shorter than an Ethernet header"],
  ["too_big", "longer than the MTU of where it had to go: a flooded copy, or not a packet we could fragment or answer"],
  ["inner_vlan", "an 802.1Q tag inside VXLAN, where the VSI says innerVlan: drop"],
  ["ac_unbound", "from a TAP with a VLAN tag (or without one) that no AC matches"],
  ["reserved_mac", "to 01:80:c2:00:00:0x, which a bridge never forwards"],
  ["bad_src_mac", "source MAC is a group address or zero"],
  ["own_mac_local", "from an AC, with a gateway MAC as source: a loop or a spoof"],
  ["unknown_vtep", "outer source address is no configured tunnel"],
  ["unknown_vni", "the VNI has no VSI here, or that VSI is not on this tunnel"],
  ["bad_flags", "VXLAN I flag clear: no valid VNI"],
  ["reserved_bits", "reserved VXLAN bits set, with underlay.strictReserved"],
  ["ecn", "outer header says congestion experienced, inner packet cannot carry it (RFC 6040)"],
  ["vxlan_truncated", "datagram too short for VXLAN and Ethernet, or longer than its receive slot"],
  ["same_port", "destination lives behind the port it came from"],
  ["split_horizon", "from a tunnel, and could only leave by a tunnel"],
  ["flood_disabled", "nowhere to flood to: switched off by the flood policy, or no other port"],
  ["arp_malformed", "not an IPv4-over-Ethernet ARP request or reply"],
  ["arp_not_local", "ARP sender, or the address it asks for, outside the subnets of the VSI-interface"],
  ["arp_src_mismatch", "Ethernet source is not the ARP sender MAC"],
  ["arp_martian", "ARP sender is loopback, multicast, broadcast, or 0.0.0.0 in a reply"],
  ["arp_gw_spoof", "a host claims a gateway or static address"],
  ["ip_malformed", "IP version, header length or total length is wrong"],
  ["ip_checksum", "IPv4 header checksum is wrong"],
  ["ip_martian", "IP source or destination that no forwarder may accept"],
  ["ip_options", "source-routed, or options that do not parse"],
  ["ttl_exceeded", "TTL or hop limit ended here"],
  ["no_route", "no route to the destination, or a route that says unreachable or prohibit"],
  ["discard_route", "a discard route"],
  ["policy_drop", "a policy rule says drop"],
  ["policy_next_hop_dead", "all next hops of a policy rule are dead, and it says onDead: drop"],
  ["unresolved_queue_full", "too many packets already wait for this neighbour"],
  ["unresolved_timeout", "the neighbour did not answer"],
  ["l3_loop", "came by a tunnel and would leave by the same one, or cross a second one it may not"],
  [
    "storm_limited",
    "more broadcast, unknown or multicast frames than the AC's stormPerSecond or storm, or than an AC in a loop may flood",
  ],
  ["looped", "ARP that came back through a loop between two ACs: its sender lives elsewhere"],
  ["punt_limited", "more frames for control than the policer lets through"],
  ["punt_ring_full", "control does not keep up"],
  ["icmp_limited", "its ICMP error or echo reply was over the rate limit"],
  ["mac_limit", "MAC not learned: a limit is reached (no frame is lost: it is flooded)"],
  ["arp_limit", "neighbour not learned: a limit is reached"],
  ["move_damped", "a host moves too often; its entry stays where it was (no frame is lost)"],
  ["gso_bad", "super-frame, or unfinished checksum, whose metadata contradicts its bytes"],
  ["csum_bad", "inner checksum is wrong"],
  ["pool_exhausted", "no room left in the batch's send records or scratch bytes"],
  ["tap_full", "the TAP's queue is full: the VM does not keep up"],
  ["tap_error", "writing to the TAP failed"],
  ["tx_again", "the underlay socket's queue is full"],
  ["tx_error", "sending to the underlay failed"],
  ["tunnel_down", "the tunnel is down"],
  ["overlay_to_underlay", "a tenant's packet to a VTEP's own VXLAN port"],
  ["port_security", "a source MAC or address that is no binding of its AC, with antiSpoof: strict"],
  ["anti_spoof", "IP source outside the subnets of the AC's VSI-interface, with antiSpoof"],
  ["nd_malformed", "neighbour discovery that a receiver must not take: hop limit, checksum, lengths (RFC 4861 §7.1)"],
  ["nd_not_local", "its sender, or the address it asks for, outside the subnets of the VSI-interface"],
  ["nd_src_mismatch", "Ethernet source is not the MAC that neighbour discovery tells of"],
  ["nd_martian", "neighbour discovery of a loopback, multicast or mapped address, or of a subnet's routers"],
  ["nd_gw_spoof", "a host claims a gateway or static IPv6 address"],
  ["nd_ra_guard", "a router advertisement or redirect from an AC with routerAdvertisements: deny"],
  ["nd_undetermined", "headers that hide whether it is neighbour discovery, or a router's message from such an AC"],
  ["link_isolated", "IPv6 of the link alone from host to host, in a VSI with linkLocal: isolate"],
  ["not_gleaned", "to a host that has not spoken yet, from an uplink, where the VSI-interface says gleanFrom: overlay"],
  [
    "not_forwarded",
    "a protocol or address that is not routed: directed broadcast, link-local, class E, what is no IP or a family that the gateway does not route",
  ],
  ["shutting_down", "the gateway was stopping"],
  ["dhcp_malformed", "to the DHCP or DHCPv6 server port of a VSI-interface with dhcpRelay, and no such message"],
  [
    "dhcp_untrusted",
    "from an AC, a DHCP request with a relay's address, hops or option 82 (RFC 3046 §2.1), or DHCPv6 that no client says",
  ],
  [
    "dhcp_guard",
    "a DHCP or DHCPv6 reply from an AC, from none of dhcpRelay.servers, of no client here, or with a lease that binds nothing, to a strict AC",
  ],
] as const;

export type DropName = (typeof DROPS)[number][0];
/** A drop reason: its place in DROPS plus one, so that 0 is "no reason". */
export type Drop = number;

/**
 * Reasons that end no frame: something about a host was not believed, and the frame that told of it went on. They are counted
 * in `refused`, are in no ledger, and have a metric of their own (vtep_learning_refused_total).
 */
export const NO_FRAMES: ReadonlySet<DropName> = new Set(["mac_limit", "move_damped"]);

/** DROP.runt and so on. */
export const DROP = Object.freeze(Object.fromEntries(DROPS.map(([name], i) => [name, i + 1]))) as Readonly<
  Record<DropName, Drop>
>;

/** Why a frame goes to control. Each class has a policer. */
export const PUNTS = [
  ["arp", "ARP for the gateway, its hosts, or to be relayed"],
  ["unresolved", "its next hop is not resolved yet"],
  ["local", "IP to one of our addresses"],
  ["ttl", "its TTL or hop limit ended: time exceeded is due"],
  ["unreachable", "no route, or a route that is answered: unreachable is due"],
  ["mtu", "too long for the way out: fragmentation, or 'too big', is due"],
  ["dhcp", "a client's DHCP or DHCPv6, in a VSI whose VSI-interface relays it"],
  ["nd", "IPv6 neighbour discovery, in a VSI whose VSI-interface has IPv6"],
  ["bfd", "BFD inside VXLAN, in the management VNI: to the thread of BFD, not to the main thread"],
] as const;

export type PuntName = (typeof PUNTS)[number][0];
export const PUNT = Object.freeze(Object.fromEntries(PUNTS.map(([name], i) => [name, i + 1]))) as Readonly<
  Record<PuntName, number>
>;
/** A LEARN record travels in the punt ring too, but is no frame. */
export const RECORD_LEARN = PUNTS.length + 1;
/** A frame left through a port and the io said -EMSGSIZE: a path-MTU event, no frame. */
export const RECORD_TOO_BIG = PUNTS.length + 2;

/** A frame from a tunnel was routed back into a tunnel it must not take: that neighbour entry is stale. R_ARG: its adjacency. */
export const RECORD_STALE = PUNTS.length + 3;
/** A frame was dropped as `port_security`: its first bytes are with the record, so that it can be said who sent what. */
export const RECORD_UNBOUND = PUNTS.length + 4;
/** A frame was dropped as `own_mac_local`: an AC sent what we had sent. Its first bytes are with the record. */
export const RECORD_OWN = PUNTS.length + 5;

/** What control can make a worker do, and what the thread of BFD does itself; all of these carry a frame and count as injected. */
export const INJECTS = [
  ["port", "send out of one bridge port"],
  ["flood", "flood in a VSI"],
  ["adjacency", "a frame that waited for its neighbour: rewrite and send"],
  ["route", "a packet of our own (an ICMP error): routed by its destination"],
  ["arrival", "a packet of `trace --inject`: forwarded as if it had arrived at an io port"],
  ["bfd", "BFD inside VXLAN: the thread of BFD sends it by itself, through no ring"],
] as const;
export const INJECT = Object.freeze(Object.fromEntries(INJECTS.map(([name], i) => [name, i + 1]))) as Readonly<
  Record<(typeof INJECTS)[number][0], number>
>;

/** Records in the inject ring that carry no frame but tell the worker's io what to hold. */
export const COMMAND_ATTACH_TAP = INJECTS.length + 1;
export const COMMAND_ATTACH_PEER = INJECTS.length + 2;
export const COMMAND_DETACH = INJECTS.length + 3;
/** As ATTACH_TAP, for a TAP that another worker reads. */
export const COMMAND_WRITE_TAP = INJECTS.length + 4;

/** R_ARG2 of a frame that is too long (PUNT.mtu), beside its adjacency: bridged, and a copy of one whose own fates are counted already. */
export const MTU_BRIDGED = 0;
export const MTU_FLOODED = -1;

/** Where an injected flood may go (R_ARG). */
export const SCOPE_ACS = 1;
export const SCOPE_TUNNELS = 2;
/** R_ARG2 of an injected adjacency frame: its TTL has been taken already. */
export const TTL_TAKEN = 1;

export const MAX_PORTS = 4096;
export const MAX_VSIS = 4096;
export const MAX_RULES = 4096;

/** Totals of the ledger. */
export const TOTALS = ["received", "injected", "copies", "sent", "punted", "dropped"] as const;
/** Batches by size: at most so many frames. */
export const BATCH_BUCKETS = [1, 4, 16, 64, 256, 1024] as const;

const SMALL = 128;
/** Drop reasons are numbers below this: reason `r` of bridge port `p` is cell `p * DROP_REASONS + r` of `portDrops`. */
export const DROP_REASONS = SMALL;

/** One writer's counters. Plain float64 increments; sums over blocks may lag, but never go back. */
export class CounterBlock {
  readonly received: Float64Array;
  /** By INJECT class. */
  readonly injected: Float64Array;
  readonly copies: Float64Array;
  readonly sent: Float64Array;
  /** By PUNT class. */
  readonly punted: Float64Array;
  /** By drop reason. */
  readonly drops: Float64Array;
  /** The same by bridge port and reason: DROP_REASONS for each port; row 0 is of no port. */
  readonly portDrops: Float64Array;
  /** Control's page only, by the reasons in NO_FRAMES: what was not believed. */
  readonly refused: Float64Array;
  /** MISC_*: what fits no other column. */
  readonly misc: Float64Array;
  /** Four per bridge port: receive packets, bytes, transmit packets, bytes. */
  readonly ports: Float64Array;
  /** Per bridge port: packets that came in by it and were dropped before they were in a VSI, so never received. */
  readonly turnedAway: Float64Array;
  /** The same four as of ports, per VSI. */
  readonly vsis: Float64Array;
  /** Hits of each policy rule, by its number. */
  readonly rules: Float64Array;
  /** Control's page only: [0] drained, [1] consumed, [2] reinjected. */
  readonly control: Float64Array;

  constructor(carver: Carver) {
    this.received = carver.float64(1);
    this.injected = carver.float64(8);
    this.copies = carver.float64(1);
    this.sent = carver.float64(1);
    this.punted = carver.float64(16);
    this.drops = carver.float64(SMALL);
    this.portDrops = carver.float64(MAX_PORTS * DROP_REASONS);
    this.refused = carver.float64(SMALL);
    this.misc = carver.float64(SMALL);
    this.control = carver.float64(8);
    this.ports = carver.float64(MAX_PORTS * 4);
    this.turnedAway = carver.float64(MAX_PORTS);
    this.vsis = carver.float64(MAX_VSIS * 4);
    this.rules = carver.float64(MAX_RULES);
  }
}

export const MISC_RESERVED_BITS = 0;
export const MISC_FRAMES = 1;
export const MISC_BATCHES = 2;
/** Times the scratch part of the arena, or the send records, had no room for one more. */
export const MISC_SCRATCH_EXHAUSTED = 3;
/** Times the io let a moment pass, so that small frames come in larger batches. */
export const MISC_PAUSES = 4;
export const MISC_SENDS_EXHAUSTED = 5;
/** No counts: bytes of the arena that the largest of the last batches took, received and scratch. */
export const MISC_ARENA_RECEIVED = 6;
export const MISC_ARENA_SCRATCH = 7;
export const MISC_BUCKETS = 8;
/**
 * Super-frames and, behind them, the segments they stand for: a pair of words for each direction and kind. The kind says
 * how it came to be: a guest's TCP (tso) or UDP (uso), or joined from what came by a tunnel (gro), also when it leaves.
 */
export const MISC_SUPER_RECEIVE = 16;
export const MISC_SUPER_TRANSMIT = 22;
export const SUPER_TSO = 0;
export const SUPER_USO = 2;
export const SUPER_GRO = 4;
export const RX_PACKETS = 0;
export const RX_BYTES = 1;
export const TX_PACKETS = 2;
export const TX_BYTES = 3;
export const CONTROL_DRAINED = 0;
export const CONTROL_CONSUMED = 1;
export const CONTROL_REINJECTED = 2;

/** Sum of one counter over blocks. */
export function sumOf(blocks: readonly CounterBlock[], read: (block: CounterBlock) => number): number {
  let sum = 0;
  for (const block of blocks) sum += read(block);
  return sum;
}

/** Sum of a column. */
export function total(column: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < column.length; i++) sum += column[i]!;
  return sum;
}

/** received + injected + copies - sent - punted - dropped of the workers' blocks: 0 between batches. */
export function imbalance(workers: readonly CounterBlock[]): number {
  return sumOf(
    workers,
    (b) => b.received[0]! + total(b.injected) + b.copies[0]! - b.sent[0]! - total(b.punted) - total(b.drops),
  );
}
