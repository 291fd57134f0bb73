/** The plan's part of BGP EVPN: the engine and its sessions, VSIs that take part, VRFs with an L3VNI. As plan.ts says, plain data. */

/** Part of the fabric that BGP EVPN describes; null: a gateway without it. */
export interface EvpnConfig {
  /** gobgpd's gRPC socket, and which version of its API it speaks. */
  readonly engine: {
    readonly socket: string;
    readonly api: "auto" | "v3" | "v4";
    /** Where its sessions come from. */
    readonly address: string;
  };
  readonly as: number;
  readonly routerId: string;
  /** null: the engine's own file has its sessions. */
  readonly peers: readonly EvpnPeerConfig[] | null;
  readonly timers: { readonly hold: number; readonly connectRetry: number };
  /** How route targets are made of a VNI: AS:VNI, or as in RFC 8365 §5.1.2.1. */
  readonly targets: "vni" | "rfc8365";
  /** Entries are used so long without an engine, or without any session. */
  readonly staleSeconds: number;
  /** Tunnels come from routes; false: only configured ones are used. */
  readonly discover: boolean;
  readonly duplicates: {
    readonly moves: number;
    readonly seconds: number;
    readonly action: "freeze" | "warn";
    readonly recoverSeconds: number;
  };
  readonly limits: { readonly vteps: number; readonly routes: number; readonly announcePerSecond: number };
}

export interface EvpnPeerConfig {
  readonly address: string;
  readonly as: number;
  /** A file whose first line is the TCP MD5 password; null: none. */
  readonly passwordFile: string | null;
}

/** How a VSI takes part in EVPN. */
export interface VsiEvpnConfig {
  /** Route distinguisher, "192.0.2.1:10". */
  readonly rd: string;
  /** Route targets, "auto" among them: any AS with our VNI in import, ours in export. */
  readonly import: readonly string[];
  readonly export: readonly string[];
  /** What tunnels teach: nothing, or MACs too (migration). */
  readonly learning: "evpn" | "both";
  /** Frames to a MAC that nothing is known of: found by ARP, flooded, or dropped. */
  readonly unknown: "glean" | "flood" | "drop";
}

/** A VRF that other gateways reach through an L3VNI. One that VSI-interfaces alone name is not in the list. */
export interface VrfConfig {
  readonly name: string;
  /** Its VSI and its VSI-interface stand in the lists of those, both as "l3vni:4001". */
  readonly l3vni: number;
  readonly evpn: VrfEvpnConfig;
}

export interface VrfEvpnConfig {
  readonly rd: string;
  /** Route targets, "auto" among them: any AS with the L3VNI in import, ours in export. */
  readonly import: readonly string[];
  readonly export: readonly string[];
  /** "auto", or the MAC itself: `mac` of its VSI-interface. */
  readonly routerMac: string;
  /** What is announced of the VRF. */
  readonly advertise: {
    /** Hosts of its VSI-interfaces: a second label in their type 2. */
    readonly hosts: boolean;
    readonly connected: boolean;
    /** Static routes but the default one. */
    readonly static: boolean;
    /** The default route, whether there is one here or not. */
    readonly default: boolean;
  };
  /** Most next hops of one prefix. */
  readonly ecmp: number;
}
