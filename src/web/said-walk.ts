/** A walk as the page is told it: one ping, hop by hop, with what each frame carried, changed and taught. Rules as in said.ts. */

/** A field of a frame, and where it lies in it. */
export interface Field {
  readonly layer: "Ethernet" | "ARP" | "IPv4" | "ICMP" | "IPv6" | "ND" | "ICMPv6" | "ports";
  readonly name: string;
  readonly text: string;
  readonly at: number;
  readonly length: number;
}

/** A column of the ladder: a gateway, what hangs on it, or the far end of a tunnel that is none of the gateways asked. */
export interface Actor {
  readonly id: string;
  readonly label: string;
  readonly kind: "machine" | "gateway" | "stranger";
  /** Of a machine: its gateway. */
  readonly behind: string | null;
  readonly address: string | null;
}

export interface Reason {
  readonly name: string;
  readonly text: string;
}

/** What the article demands, and what was seen. */
export interface Row {
  readonly row: string;
  readonly expected: string;
  readonly observed: string | null;
  readonly holds: boolean;
  readonly note: string | null;
}

/** An entry of a neighbour table (ARP's or ND's) that a frame has brought. */
export interface Learned {
  readonly table: string;
  readonly ip: string;
  readonly mac: string;
  readonly via: string | null;
  /** Read from the gateway's table, or what a machine must have made of the frame. */
  readonly isRead: boolean;
}

export interface Hop {
  /** Since the first frame. */
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly kind: "request" | "reply" | "ip" | "other";
  /**
   * passed: seen at both ends, or taken by a machine. dropped: the receiver ended it. lost: it left, and never came. missing: the
   * article has it, and it was not sent.
   */
  readonly state: "passed" | "dropped" | "lost" | "missing";
  readonly text: string;
  readonly tunnel: {
    readonly vni: number | null;
    readonly source: string | null;
    readonly destination: string | null;
    readonly sourcePort: number | null;
  } | null;
  readonly length: number;
  readonly hex: string;
  readonly fields: readonly Field[];
  /** The hop this one follows from: its frame changed, or an answer to it. */
  readonly parent: number | null;
  /** The article's step. */
  readonly step: number | null;
  /** What the receiver did with it. */
  readonly fate: string | null;
  readonly reason: Reason | null;
  /** It was ended later, when it had waited for too long. */
  readonly isLate: boolean;
  readonly rows: readonly Row[];
  readonly learned: readonly Learned[];
}

export interface Trouble {
  /** The first hop at which it goes wrong. */
  readonly hop: number;
  readonly text: string;
  /** What the gateways' configurations say against each other. */
  readonly causes: readonly string[];
}

export interface Walk {
  readonly id: string;
  readonly at: string;
  /** When the first frame was seen: nanoseconds since 1970. */
  readonly beganNs: string;
  readonly title: string;
  /** Of the article; null: another ping. */
  readonly scenario: number | null;
  readonly scheme: "distributed" | "centralized";
  /** Who pinged what, by address; null: no ping was seen. */
  readonly pair: readonly [source: string, destination: string] | null;
  readonly actors: readonly Actor[];
  readonly hops: readonly Hop[];
  readonly steps: readonly { readonly step: number; readonly text: string; readonly holds: boolean | null }[];
  /** Entries that the article demands. */
  readonly entries: readonly (Row & { readonly table: string; readonly step: number | null })[];
  /** Symbols of MAC addresses. */
  readonly names: Readonly<Record<string, string>>;
  /** Did the answer come back? */
  readonly arrived: boolean;
  readonly isJudged: boolean;
  readonly trouble: Trouble | null;
  /** Frames that a gateway's capture could not keep. */
  readonly lost: number;
}

/** One line while a walk is made. */
export type WalkLine =
  | { readonly kind: "progress"; readonly text: string }
  | { readonly kind: "armed"; readonly seconds: number }
  | { readonly kind: "walk"; readonly walk: Walk }
  | { readonly kind: "fault"; readonly message: string; readonly hint: string };
