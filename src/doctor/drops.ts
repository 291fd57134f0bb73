/**
 * The doctor, about dropped frames: each reason that means a mistake in somebody's configuration, with the last culprit and
 * what to do about it.
 *
 * Counters go back to the start of the process; a mistake that was mended should not be a warning for ever. So a reason is
 * one only while its last frame is recent; after that it is told as what it is, the past.
 */
import type { DropCount, Interface, Tunnel, Vsi } from "../api/schema.ts";
import { type Check, ok, warn } from "../api/schema-doctor.ts";
import type { DropName } from "../tables/counters.ts";
import { plural } from "../wire/plural.ts";

export type LastDrop = NonNullable<DropCount["last"]>;
/** A reason that has its last frame. */
export type DropFact = Pick<DropCount, "reason" | "count"> & { readonly last: LastDrop };

/** What the sentences compare a culprit with. */
export interface DropContext {
  readonly vsis: readonly Pick<Vsi, "name" | "vni" | "tunnels">[];
  readonly interfaces: readonly Pick<Interface, "name" | "vsis" | "addresses">[];
  readonly tunnels: readonly Pick<Tunnel, "remote">[];
  /** Tunnels are found by routes. */
  readonly hasEvpn: boolean;
}

/** A warning is about the last quarter of an hour. */
export const RECENT_SECONDS = 900;

interface Mistake {
  /** The name of the check. */
  readonly name: string;
  readonly text: (fact: DropFact, context: DropContext) => string;
  readonly fix: (fact: DropFact, context: DropContext) => string;
  /** The configuration in force would take the last such frame: somebody has mended it since. */
  readonly isMended?: (fact: DropFact, context: DropContext) => boolean;
  /** What to say of it then. */
  readonly mended?: (fact: DropFact) => string;
}

const hex = (byte: number | null) => `0x${(byte ?? 0).toString(16).padStart(2, "0")}`;
const placeOf = ({ via, taps, outer, outerPort }: LastDrop) => {
  if (via !== null) return via.kind === "tunnel" ? via.name : `AC ${via.name}`;
  return taps.length > 0
    ? `the TAP of ${taps.join(", ")}`
    : `${outer ?? "a VTEP"}${outerPort === null ? "" : `, UDP port ${outerPort}`}`;
};
/** "6 frames, the last from gw1" or "1 frame from gw1". */
const frames = ({ count, last }: DropFact, what = "frame") =>
  count === 1
    ? `${plural(count, what)} from ${placeOf(last)}`
    : `${plural(count, what)}, the last from ${placeOf(last)},`;
const addressesOf = ({ last }: DropFact, { interfaces }: DropContext) =>
  interfaces.find(({ vsis }) => last.vsi !== null && vsis.includes(last.vsi));

/** By reason: what it means that such frames come. */
export const MISTAKES: Partial<Record<DropName, Mistake>> = {
  unknown_vtep: {
    name: "strangers",
    text: ({ count, last }) => {
      const vni = last.vni === null ? "" : `, with VNI ${last.vni}`;
      if (count === 1) return `1 packet from a VTEP that is no tunnel of ours: ${placeOf(last)}${vni}`;
      return `${count} packets from VTEPs that are no tunnel of ours, the last from ${placeOf(last)}${vni}`;
    },
    fix: ({ last }, { hasEvpn }) =>
      hasEvpn
        ? `is it a peer? vtepctl show evpn vteps has it once its routes are here, and then a tunnel follows; else filter ${last.outer ?? "it"}`
        : `is it a peer? then add {name: …, remote: ${last.outer ?? "ADDRESS"}} to tunnels; else filter it`,
    isMended: ({ last }, { tunnels }) => tunnels.some(({ remote }) => remote === last.outer),
    mended: ({ count, last }) =>
      `${plural(count, "packet")} came from VTEPs that were no tunnel of ours; the last was ${last.outer}, which is one now`,
  },
  unknown_vni: {
    name: "drops unknown_vni",
    text: (fact, { vsis }) => {
      const { vni, via } = fact.last;
      const has = vsis.find((vsi) => vsi.vni === vni);
      const here = vsis.flatMap((vsi) => (vsi.vni === null ? [] : [vsi.vni])).sort((a, b) => a - b);
      const carry = `${frames(fact)} ${fact.count === 1 ? "carries" : "carry"} VNI ${vni}`;
      if (has === undefined) return `${carry}, which no VSI here has; VSIs here: ${here.join(", ") || "none"}`;
      if (via === null) return `${carry}: ${has.name} has it; the tunnel they came by is gone`;
      return `${carry}: ${has.name} has it, but not on tunnel ${via.name}`;
    },
    fix: ({ last }, { vsis }) => {
      const has = vsis.find((vsi) => vsi.vni === last.vni);
      if (has === undefined)
        return `give a VSI here vni: ${last.vni} and this tunnel, or correct the vni on ${placeOf(last)}`;
      if (last.via === null) return `is it a peer? then add {name: …, remote: ${last.outer ?? "ADDRESS"}} to tunnels`;
      return `add ${last.via.name} to tunnels of ${has.name}, or take us out of that VSI's tunnels there`;
    },
    isMended: ({ last }, { vsis }) =>
      last.via !== null && vsis.some(({ vni, tunnels }) => vni === last.vni && tunnels.includes(last.via!.name)),
    mended: (fact) => `${frames(fact)} came with VNI ${fact.last.vni} before this configuration, which takes it`,
  },
  bad_flags: {
    name: "drops bad_flags",
    text: (fact) =>
      `${frames(fact, "datagram")} without a valid VNI (VXLAN flags ${hex(fact.last.flags)}, I flag clear, VNI field ${fact.last.vni})`,
    fix: () => "let it send plain VXLAN (RFC 7348) to this port: no Geneve, no GPE, no other program on UDP 4789",
  },
  reserved_bits: {
    name: "drops reserved_bits",
    text: (fact) =>
      `${frames(fact, "datagram")} with reserved VXLAN bits (flags ${hex(fact.last.flags)}), which underlay.strictReserved refuses`,
    fix: () => "underlay.strictReserved: false, or switch the extension (GBP, GPE) off at the sender",
  },
  inner_vlan: {
    name: "drops inner_vlan",
    text: (fact) =>
      `${frames(fact)} with an 802.1Q tag inside VXLAN, in ${fact.last.vsi ?? "its VSI"}: ${fact.last.frame}`,
    fix: ({ last }) =>
      `innerVlan: keep in ${last.vsi ?? "its VSI"} here and at all peers, or take the tag off where the frame enters`,
  },
  ac_unbound: {
    name: "drops ac_unbound",
    text: (fact) => `${frames(fact)} with a VLAN tag (or without one) that no AC matches: ${fact.last.frame}`,
    fix: () => "add an AC with that vlan on this TAP, or correct the VLAN in the VM",
  },
  own_mac_local: {
    name: "drops own_mac_local",
    text: (fact) => `${frames(fact)} with a gateway MAC as source: ${fact.last.frame}`,
    fix: () => "is there a loop between two ACs of this VSI? has a VM been given the gateway's MAC?",
  },
  too_big: {
    name: "drops too_big",
    text: (fact) => `${frames(fact)} too long for the way out, and not to be fragmented: ${fact.last.frame}`,
    fix: () =>
      "lower the MTU of the hosts to that of the VSI-interface (vtepctl show interface), or raise underlay.mtu",
  },
  arp_not_local: {
    name: "drops arp_not_local",
    text: (fact, context) => {
      const iface = addressesOf(fact, context);
      const where = iface === undefined ? "" : `; ${iface.name} has ${iface.addresses.join(", ")}`;
      return `${frames(fact)} with ARP outside the subnets of its VSI-interface: ${fact.last.frame}${where}`;
    },
    fix: ({ last }) =>
      last.via?.kind === "tunnel"
        ? "do both gateways have the same subnet in this VXLAN?"
        : "correct the address or the netmask in the VM, or add its subnet to the VSI-interface",
  },
  arp_src_mismatch: {
    name: "drops arp_src_mismatch",
    text: (fact) => `${frames(fact)} with ARP for another MAC than it is sent from: ${fact.last.frame}`,
    fix: () => "a bridge or bond in the VM that rewrites MACs? give it one MAC for both",
  },
  arp_gw_spoof: {
    name: "drops arp_gw_spoof",
    text: (fact) => `${frames(fact)} claims a gateway address or a static one: ${fact.last.frame}`,
    fix: () => "give that host another address",
  },
  nd_src_mismatch: {
    name: "drops nd_src_mismatch",
    text: (fact) => `${frames(fact)} with neighbour discovery for another MAC than it is sent from: ${fact.last.frame}`,
    fix: () => "a bridge or bond in the VM that rewrites MACs? give it one MAC for both",
  },
  nd_not_local: {
    name: "drops nd_not_local",
    text: (fact) =>
      `${frames(fact)} with neighbour discovery outside the subnets of its VSI-interface: ${fact.last.frame}`,
    fix: () => "correct the address or the prefix in the VM, or add its subnet to the VSI-interface",
  },
  nd_gw_spoof: {
    name: "drops nd_gw_spoof",
    text: (fact) =>
      `${frames(fact)} claims an IPv6 address of the gateway (fe80::1?) or a static one: ${fact.last.frame}`,
    fix: () => "give that host another address; or the gateway another linkLocal, at all sites",
  },
  arp_limit: {
    name: "drops arp_limit",
    text: (fact) => `${frames(fact)} with a neighbour for which there was no room: ${fact.last.frame}`,
    fix: () => "raise limits.neighbors or arp.limit of the VSI-interface, or see who scans",
  },
  anti_spoof: {
    name: "drops anti_spoof",
    text: (fact) => `${frames(fact)} with a source that is not the host's there: ${fact.last.frame}`,
    fix: () => "correct the address in the VM, or antiSpoof: false on that AC",
  },
  nd_ra_guard: {
    name: "drops nd_ra_guard",
    text: (fact) => `${frames(fact)} that would make it every VM's IPv6 router: ${fact.last.frame}`,
    fix: () =>
      "is it a router of yours? then routerAdvertisements: allow on that AC; else stop what advertises in that VM (radvd, a hotspot, dnsmasq)",
  },
  dhcp_guard: {
    name: "drops dhcp_guard",
    text: (fact) => `${frames(fact)} with the word of a DHCP server that is not believed: ${fact.last.frame}`,
    fix: ({ last: { via } }) =>
      via?.kind === "ac"
        ? "does a DHCP server run in that VM? stop it; a VM that asks has its servers in dhcpRelay"
        : "a server with several addresses may answer from another one: dhcpRelay.servers names the one that it answers from",
  },
  nd_undetermined: {
    name: "drops nd_undetermined",
    text: (fact) =>
      `${frames(fact)} with headers that hide whether it speaks as a router or for a neighbour: ${fact.last.frame}`,
    fix: () => "no honest host sends that: see what runs in that VM",
  },
  storm_limited: {
    name: "drops storm_limited",
    text: (fact) => `${frames(fact)} over the AC's stormPerSecond or storm: ${fact.last.frame}`,
    fix: () => "is there a loop behind that AC? else raise stormPerSecond, or the class in storm",
  },
};

/** A line for each mistake that shows in the drops; one that says there is none. */
export function checkDrops(drops: readonly Omit<DropCount, "text" | "ports">[], context: DropContext): Check[] {
  const facts = drops.filter((drop): drop is DropFact => drop.last !== null);
  const checks = facts.flatMap((fact) => {
    const mistake = MISTAKES[fact.reason as DropName];
    if (mistake === undefined) return [];
    const { secondsAgo } = fact.last;
    if (mistake.isMended?.(fact, context) === true) return [ok(mistake.name, mistake.mended!(fact))];
    const text = `${mistake.text(fact, context)}; ${fact.count === 1 ? "" : "the last "}${longAgo(secondsAgo)} ago`;
    if (secondsAgo > RECENT_SECONDS) return [ok(mistake.name, text)];
    return [warn(mistake.name, text, mistake.fix(fact, context))];
  });
  if (!facts.some(({ reason }) => reason === "unknown_vtep"))
    checks.unshift(ok("strangers", "all VXLAN that arrives comes from configured tunnels"));
  if (checks.length === 1) checks.push(ok("drops", "none that means a mistake in a configuration"));
  return checks;
}

/** A time that passed, as exact as it matters. */
export function longAgo(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} days`;
}
