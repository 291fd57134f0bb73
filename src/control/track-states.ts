/**
 * Tracks as those see them who do something else while one is down: routes, policies, EVPN, the drain. control/tracks/tracks.ts has
 * them.
 */
import type { Inventory } from "./inventory.ts";
import type { TrackConfig } from "./plan-tracks.ts";

export interface TrackStates {
  /** One that has not been asked for long enough is up; so is `null`, which is none. */
  isUp(name: string | null): boolean;
  /** Be told when one goes up or down. */
  onChange(callback: (name: string, isUp: boolean) => void): void;
}

export interface FollowedTracks extends TrackStates {
  /** Make `wanted` the tracks; what they need is in `inventory`. */
  apply(wanted: readonly TrackConfig[], inventory: Inventory): void;
}

export const NO_TRACKS: FollowedTracks = { isUp: () => true, onChange: () => undefined, apply: () => undefined };
