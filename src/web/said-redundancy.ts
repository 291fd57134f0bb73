/** What the gateways lean on, as the page is told it: tracks, next hops that are dead, BFD sessions, who leaves. Rules as in said.ts. */
import type { BfdSession } from "../api/schema-bfd.ts";
import type { HeldHop } from "../api/schema-next-hop.ts";
import type { Track } from "../api/schema-tracks.ts";

type Session = Pick<
  BfdSession,
  "tunnel" | "remote" | "mode" | "state" | "verdict" | "diagnosis" | "transmitMs" | "detectionMs" | "longestGapMs"
> & { readonly peer: Pick<BfdSession["peer"], "state" | "diagnosis"> };

type Uses = "uses" | "useCount";

export interface RedundancyGateway {
  readonly node: string;
  /** Why there is no answer. */
  readonly error: string | null;
  /** Why it asks its peers to leave it; null: it does not. */
  readonly draining: string | null;
  readonly tracks: readonly Pick<Track, "name" | "target" | "state" | "blind" | "seconds" | "rttMs" | Uses>[];
  /** Next hops that are dead. */
  readonly dead: readonly Pick<HeldHop, "ip" | "tunnel" | "interface" | "deadSeconds" | Uses>[];
  /** Why BFD sessions cannot be held. */
  readonly problem: string | null;
  readonly sessions: readonly Session[];
}

export interface RedundancySaid {
  readonly gateways: readonly RedundancyGateway[];
}
