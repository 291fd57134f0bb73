/** The plan's part of tracks. As plan.ts says, plain data. */
import type { Ip } from "./ip.ts";

/** An address, as `Address` of plan.ts; a link-local one of `via` has its VSI-interface in its text. */
interface TrackAddress {
  readonly text: string;
  readonly ip: Ip;
}

/** Something that is up or down, on which routes, policies and the drain depend (control/tracks/tracks.ts). */
export interface TrackConfig {
  readonly name: string;
  readonly target: /** The AC is there, and its link is up. */
    | { readonly kind: "ac"; readonly ac: string }
    /** A host that answers echoes of VSI-interface `interface`, by its table, or through its neighbour `via` whatever that says. */
    | {
        readonly kind: "overlay";
        readonly address: TrackAddress;
        readonly interface: string;
        readonly via: TrackAddress | null;
        readonly pace: TrackPace;
      }
    /** A host of the underlay that answers echoes of the VTEP; canonical text. */
    | { readonly kind: "underlay"; readonly address: string; readonly pace: TrackPace };
}

export interface TrackPace {
  readonly intervalMs: number;
  /** So many intervals without an answer, and it is down. */
  readonly multiplier: number;
}
