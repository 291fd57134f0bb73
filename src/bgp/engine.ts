/**
 * The contract between the EVPN control plane and a BGP speaker: routes of ours out, routes of others in.
 *
 * The engine has sessions and a table of routes, and no opinion of them. It may be away: whatever is asked meanwhile is void,
 * and when it is back (`ready`) it is told again what shall stand. Routes come as rows, at most ROWS_PER_BATCH at a time, in the
 * order of the engine; between `snapshot` and `complete` all it has come once more, so that what did not come is gone. Own
 * routes come back like any others.
 *
 * gobgp.ts is the real one, in a thread of its own; memory.ts connects several gateways in one process, for tests.
 */
import type { EvpnRoute } from "../evpn/route.ts";

/** Most rows of one message: as many as a round of control takes punted records. */
export const ROWS_PER_BATCH = 256;

/** Most rows that wait anywhere; with more, all are dropped and asked for once more. */
export const MOST_WAITING = 200_000;

/** A route that stands or (`isWithdrawn`) does no more. */
export interface RouteRow {
  readonly route: EvpnRoute;
  readonly isWithdrawn: boolean;
  /** The session it came by; null: announced by ourselves. */
  readonly peer: string | null;
}

export interface PeerView {
  readonly address: string;
  readonly as: number;
  /** As BGP names them: idle, connect, active, opensent, openconfirm, established. */
  readonly state: string;
  /** Seconds since the epoch when the session came up, or null. */
  readonly upSince: number | null;
}

export type EngineEvent =
  /** It answers: its version as it tells it ("" where its API has none), its AS and router id. */
  | { readonly kind: "ready"; readonly api: string; readonly as: number; readonly routerId: string }
  | { readonly kind: "lost"; readonly reason: string }
  /** Every session, whenever one changes. */
  | { readonly kind: "peers"; readonly peers: readonly PeerView[] }
  | { readonly kind: "snapshot" }
  | { readonly kind: "rows"; readonly rows: readonly RouteRow[] }
  | { readonly kind: "complete" }
  /** A peer has sent all it had when the session came up (End-of-RIB, RFC 4724 §2). */
  | { readonly kind: "endOfRib"; readonly peer: string }
  /** A route of ours was not taken. */
  | { readonly kind: "refused"; readonly key: string; readonly reason: string };

export interface PeerConfig {
  readonly address: string;
  readonly as: number;
  readonly password: string | null;
}

/** What the engine shall be set up with. */
export interface EngineRequest {
  readonly socket: string;
  readonly api: "auto" | "v3" | "v4";
  readonly as: number;
  readonly routerId: string;
  /** Our end of the sessions. */
  readonly localAddress: string;
  /** null: the engine has its own file. */
  readonly peers: readonly PeerConfig[] | null;
  readonly holdSeconds: number;
  readonly connectRetrySeconds: number;
  /** One before has told of routes, which are kept: a thread that follows another. */
  readonly isAgain?: boolean;
}

export interface Engine {
  /** Announce `routes`; one that stands already is replaced. */
  announce(routes: readonly EvpnRoute[]): void;
  withdraw(routes: readonly EvpnRoute[]): void;
  /** Bring all routes once more: `snapshot`, rows, `complete`. */
  resync(): void;
  /** Other sessions are wanted from now on. */
  setPeers(request: EngineRequest): void;
  /** Nothing more is told. Routes that were announced stay where they are. */
  close(): void;
}
