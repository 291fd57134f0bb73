/**
 * What the web process tells its page, as types alone: the page knows nothing else of this side.
 *
 * Rules as in api/schema.ts: an absent thing is null, units are in the names. Texts may come from a VM or a peer: the page
 * shows them as text nodes, with control characters spelled out.
 */
import type { Ac, DropCount, Interface, MacEntry, Neighbor, Route, Status, Tunnel, Vsi } from "../api/schema.ts";
import type { Check } from "../api/schema-doctor.ts";
import type { Trace } from "../api/schema-trace.ts";
import type { EventRecord } from "../api/schema-watch.ts";
import type { Family } from "./article.ts";

/** What passes each second; null: not known yet, or the gateway has started again. */
export interface Rate {
  readonly packetsPerSecond: number;
  readonly bitsPerSecond: number;
}

export interface Rates {
  readonly receive: Rate | null;
  readonly transmit: Rate | null;
}

export interface GatewaySaid {
  /** Its name in the configuration; of one that does not answer, the one it had, or its socket's. */
  readonly node: string;
  readonly address: string | null;
  /** Why there is no answer. */
  readonly error: { readonly message: string; readonly hint: string } | null;
  readonly status: Status | null;
  readonly vsis: readonly Vsi[];
  /** At most MOST_ACS; `status.counts.acs` is their number. */
  readonly acs: readonly (Ac & { readonly rates: Rates })[];
  readonly tunnels: readonly (Tunnel & { readonly rates: Rates })[];
  readonly interfaces: readonly Interface[];
  /** Reasons that have been counted. */
  readonly drops: readonly (DropCount & { readonly perSecond: number | null })[];
  readonly dropsPerSecond: number | null;
}

/** A tunnel seen from both ends. A tunnel's name is local: ends are joined by remote address. */
export interface Link {
  readonly a: LinkEnd;
  readonly b: LinkEnd;
  /** VNIs that both ends carry over it. */
  readonly vnis: readonly number[];
  /** VNIs that one end carries over it, and the other does not. */
  readonly oneSided: readonly number[];
}

export interface LinkEnd {
  /** Null: that address is none of the gateways asked. */
  readonly node: string | null;
  readonly address: string;
  /** Null: this end has no such tunnel. */
  readonly tunnel: string | null;
}

export interface Fabric {
  readonly at: string;
  readonly gateways: readonly GatewaySaid[];
  readonly links: readonly Link[];
}

/** What this process can do, told once. */
export interface Session {
  readonly version: string;
  /** Walks that a driver makes; none where a walk is the user's own ping. */
  readonly scenarios: readonly ScenarioSaid[];
  readonly lesson: Lesson | null;
}

/** What a reader can do here with a shell: lines to copy. */
export interface Lesson {
  /** How a ping is made: `docker/lab exec vm1 ping -c 1 20.1.1.12`. */
  readonly ping: string;
  /** Ways to break something, and back. */
  readonly faults: readonly {
    readonly title: string;
    readonly break: string;
    readonly mend: string;
    /** The ping that shows it, watched as one of the reader's own; null: any walk does. */
    readonly ping: string | null;
  }[];
}

export interface ScenarioSaid {
  readonly number: number;
  /** By which it is pinged; a scenario of both stands here twice. */
  readonly family: Family;
  readonly title: string;
  readonly from: string;
  readonly to: string;
}

export interface Examined {
  readonly gateways: readonly { readonly node: string; readonly checks: readonly Check[] }[];
  readonly between: readonly Check[];
}

export interface TablesSaid {
  readonly gateways: readonly {
    readonly node: string;
    readonly error: string | null;
    readonly neighbors: readonly Neighbor[];
    readonly macs: readonly MacEntry[];
    readonly routes: readonly Route[];
    /** Rows that were left out of each; of neighbours at least so many. */
    readonly left: { readonly neighbors: number; readonly macs: number; readonly routes: number };
  }[];
}

/** Rates of one object over time; a null is a gap. */
export interface History {
  /** From the last look: the past is negative. */
  readonly seconds: readonly number[];
  readonly receiveBits: readonly (number | null)[];
  readonly transmitBits: readonly (number | null)[];
}

/** One line of the event stream. */
export type EventSaid =
  | { readonly kind: "event"; readonly node: string; readonly record: EventRecord }
  | { readonly kind: "end"; readonly node: string; readonly message: string };

export interface FaultSaid {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string };
}

/** A described packet: where it comes in, and where it wants to go. */
export interface JourneyAsked {
  readonly gateway?: string | undefined;
  readonly ac: string;
  readonly protocol: "icmp" | "tcp" | "udp" | "arp" | "nd";
  readonly source?: string | undefined;
  readonly destination: string;
  readonly ttl?: number | undefined;
  readonly size?: number | undefined;
  readonly df?: boolean | undefined;
  readonly sourcePort?: number | undefined;
  readonly destinationPort?: number | undefined;
}

/** Gateway after gateway, and where the packet ends. */
export interface Journey {
  readonly legs: readonly {
    readonly node: string;
    /** Index of the leg whose frame this is; null: the first. */
    readonly from: number | null;
    readonly trace: Trace;
    readonly beyond: readonly string[];
  }[];
  /** Gateways that did not answer, each a sentence. */
  readonly silent: readonly string[];
  readonly end: string;
}
