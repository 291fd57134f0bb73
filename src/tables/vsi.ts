/**
 * Layer 2 as the workers see it: VSIs, bridge ports, VNIs, flood lists, VSI-interfaces.
 *
 * Writer: control (control/topology/topology.ts). A row is filled while nothing refers to it; then what refers to it (a VNI, an AC match,
 * a flood list) is published with one store. Going away is the same in reverse, and the row number comes back only after
 * the heartbeat has passed.
 *
 * A bridge port is an AC or a tunnel as a VSI sees it. One tunnel is one bridge port in all its VSIs; one TAP is one
 * *io port* but as many bridge ports as it has ACs (VLANs).
 */
import { MAX_PORTS, MAX_VSIS } from "./counters.ts";
import { ExactMatch } from "./exact-match.ts";
import type { Carver } from "./layout.ts";

declare const surname: unique symbol;
/** A VSI's row, 1..MAX_VSIS-1. */
export type Vsi = number & { readonly [surname]?: "vsi" };
/** A bridge port's row, 1..MAX_PORTS-1; 0 is none. */
export type BridgePort = number & { readonly [surname]?: "port" };
/** A VSI-interface's row, 1..MAX_INTERFACES-1; 0 is none. */
export type Interface = number & { readonly [surname]?: "interface" };

export const MAX_INTERFACES = 4096;
export const MAX_VRFS = 256;
/** Most io ports: TAPs and remote VTEPs together. */
export const MAX_IO_PORTS = 4096;

/** Most BFD sessions: slots 1..MAX_BFD_SESSIONS. */
export const MAX_BFD_SESSIONS = 1023;

/** What a BFD session says of its peer. */
export const BFD_UNKNOWN = 0;
export const BFD_UP = 1;
export const BFD_DOWN = 2;
/** It has said that it leaves. */
export const BFD_DRAINING = 3;

/** Bridge port kinds. */
export const KIND_NONE = 0;
export const KIND_AC = 1;
export const KIND_TUNNEL = 2;

/** Port flags. */
export const PORT_UP = 1;
export const PORT_ANTI_SPOOF = 2;
/** An AC behind which no IPv6 router may be. */
export const PORT_RA_GUARD = 4;
/** An AC that sends from its bindings alone. */
export const PORT_STRICT = 8;

/** VSI flags. */
export const VSI_LOCAL_PROXY = 1;
export const VSI_SUPPRESS = 2;
export const VSI_FLOOD_BROADCAST = 4;
export const VSI_FLOOD_UNKNOWN = 8;
export const VSI_FLOOD_MULTICAST = 16;

/** Columns of `PortTable.stormOf`. */
export const STORM_BROADCAST = 0;
export const STORM_UNKNOWN = 1;
export const STORM_MULTICAST = 2;
export const STORM_CLASSES = 3;
/** A frame to a MAC that is flooded by configuration is of no class. */
export const STORM_NONE = -1;
export const VSI_KEEP_INNER_VLAN = 32;
export const VSI_DHCP_RELAY = 64;
export const VSI_DHCP6_RELAY = 1024;
/** Routes say what is behind tunnels (EVPN): their frames teach nothing. */
export const VSI_NO_TUNNEL_LEARN = 128;

/** Its VSI-interface has IPv6, or hosts are answered for: neighbour discovery is control's. */
export const VSI_ND = 256;
/** Its VSI-interface advertises itself: no other router does by way of a tunnel, and who solicits is answered here. */
export const VSI_RA = 512;
/** What is of the link alone is not carried from host to host; where VSI_ND is. */
export const VSI_ISOLATE = 2048;

/** VSI-interface flags. */
export const IF_DISTRIBUTED = 1;
export const IF_MSS_CLAMP = 2;
/** It is a VRF's way to other gateways: what came by it does not leave by it. */
export const IF_L3VNI = 4;
/** It routes IPv6. */
export const IF_IPV6 = 8;

/** Io port kinds. */
export const IO_NONE = 0;
export const IO_TAP = 1;
export const IO_PEER = 2;

/** Most ports in one flood list. */
export const MAX_FLOOD = 1022;
const FLOOD_WORDS = MAX_FLOOD + 2;

export class PortTable {
  readonly kind: Int32Array;
  /** Where its bytes enter and leave. */
  readonly io: Int32Array;
  /** The AC's VSI; 0 for a tunnel. */
  readonly vsi: Int32Array;
  /** The AC's 802.1Q tag to match and strip, 0: untagged. */
  readonly vlan: Int32Array;
  /** The longest inner IP packet the port takes, bytes. */
  readonly mtu: Int32Array;
  readonly flags: Int32Array;
  /** BUM frames per second accepted from the AC, 0: no limit. */
  readonly storm: Int32Array;
  /** The same by class: STORM_BROADCAST, STORM_UNKNOWN and STORM_MULTICAST of each port. */
  readonly stormOf: Int32Array;
  /** Of a tunnel: the slot of its BFD session; 0: none. */
  readonly session: Int32Array;
  /** By slot of a BFD session: what it says of its peer, BFD_*; the BFD thread writes. */
  readonly verdicts: Int32Array;
  /** By io port: IO_TAP or IO_PEER. */
  readonly ioKind: Int32Array;
  /** By io port: the untagged AC of a TAP, or the tunnel of a peer. */
  readonly ofIo: Int32Array;
  /** (TAP's io port, VLAN id) -> AC. */
  readonly ofVlan: ExactMatch;

  constructor(carver: Carver) {
    this.kind = carver.int32(MAX_PORTS);
    this.io = carver.int32(MAX_PORTS);
    this.vsi = carver.int32(MAX_PORTS);
    this.vlan = carver.int32(MAX_PORTS);
    this.mtu = carver.int32(MAX_PORTS);
    this.flags = carver.int32(MAX_PORTS);
    this.storm = carver.int32(MAX_PORTS);
    this.stormOf = carver.int32(MAX_PORTS * STORM_CLASSES);
    this.session = carver.int32(MAX_PORTS);
    this.verdicts = carver.int32(MAX_BFD_SESSIONS + 1);
    this.ioKind = carver.int32(MAX_IO_PORTS);
    this.ofIo = carver.int32(MAX_IO_PORTS);
    this.ofVlan = new ExactMatch(carver, MAX_PORTS);
  }
}

export class VsiTable {
  /** 0: a local VSI. */
  readonly vni: Int32Array;
  readonly flags: Int32Array;
  /** Its VSI-interface, 0: none. */
  readonly interface: Int32Array;
  /** Word offset of the published flood list. */
  readonly floodAt: Int32Array;
  /** Flood lists: two per VSI, [count of ACs, count in all, AC ports…, tunnel ports…]. */
  readonly flood: Int32Array;
  /** (VNI, tunnel's bridge port) -> VSI: one look-up answers "which VSI?" and "is it on this tunnel?". */
  readonly ofVni: ExactMatch;

  /** @param vniLimit most (VNI, tunnel) pairs. */
  constructor(carver: Carver, vniLimit: number) {
    this.vni = carver.int32(MAX_VSIS);
    this.flags = carver.int32(MAX_VSIS);
    this.interface = carver.int32(MAX_VSIS);
    this.floodAt = carver.int32(MAX_VSIS);
    this.flood = carver.int32(MAX_VSIS * 2 * FLOOD_WORDS);
    this.ofVni = new ExactMatch(carver, vniLimit);
  }
}

export class InterfaceTable {
  readonly vrf: Int32Array;
  readonly macHi: Int32Array;
  readonly macLo: Int32Array;
  /** The longest IP packet routed out of it, bytes. */
  readonly mtu: Int32Array;
  readonly flags: Int32Array;
  /** The lower half of its link-local address, two words; 0: it has none. */
  readonly linkLocal: Int32Array;

  constructor(carver: Carver) {
    this.linkLocal = carver.int32(2 * MAX_INTERFACES);
    this.vrf = carver.int32(MAX_INTERFACES);
    this.macHi = carver.int32(MAX_INTERFACES);
    this.macLo = carver.int32(MAX_INTERFACES);
    this.mtu = carver.int32(MAX_INTERFACES);
    this.flags = carver.int32(MAX_INTERFACES);
    this.linkLocal = carver.int32(MAX_INTERFACES * 4);
  }
}

/** Words of a flood list. */
export const FLOOD_ACS = 0;
export const FLOOD_ALL = 1;
export const FLOOD_PORTS = 2;

/**
 * Publish the flood list of `vsi`: ACs first, so that a frame from a tunnel walks only those. Written into the list that
 * is not published; the caller makes sure (heartbeat) that the last change is behind every worker.
 * @returns false when there are more ports than fit.
 */
export function publishFlood(
  table: VsiTable,
  vsi: Vsi,
  acs: readonly BridgePort[],
  tunnels: readonly BridgePort[],
): boolean {
  if (acs.length + tunnels.length > MAX_FLOOD) return false;
  const first = vsi * 2 * FLOOD_WORDS;
  const at = table.floodAt[vsi] === first ? first + FLOOD_WORDS : first;
  let to = at + FLOOD_PORTS;
  for (const port of acs) table.flood[to++] = port;
  for (const port of tunnels) table.flood[to++] = port;
  table.flood[at + FLOOD_ACS] = acs.length;
  table.flood[at + FLOOD_ALL] = acs.length + tunnels.length;
  Atomics.store(table.floodAt, vsi, at);
  return true;
}
