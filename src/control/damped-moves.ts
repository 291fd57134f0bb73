/** Hosts that move too often to be believed: the last one of each VSI, for people. */
import type { PortObject, VsiObject } from "./inventory.ts";
import type { Timers } from "./timers.ts";

/** A move that was not believed. */
export interface DampedMoveView {
  readonly vsi: string;
  /** "MAC 02:00:00:00:00:01", or an IP. */
  readonly host: string;
  /** Where it stays, and where it was heard. */
  readonly from: { readonly kind: "ac" | "tunnel"; readonly name: string };
  readonly to: { readonly kind: "ac" | "tunnel"; readonly name: string };
  /** Such moves in this VSI so far. */
  readonly times: number;
  readonly secondsAgo: number;
}

type Last = Pick<DampedMoveView, "host" | "from" | "to"> & { readonly atMs: number; readonly times: number };

export class DampedMoves {
  private readonly timers: Timers;
  private readonly last = new Map<VsiObject, Last>();

  constructor(timers: Timers) {
    this.timers = timers;
  }

  /** `host` was heard at `to` and stays at `from`. */
  note(vsi: VsiObject, host: string, from: PortObject, to: PortObject): void {
    const times = (this.last.get(vsi)?.times ?? 0) + 1;
    this.last.set(vsi, { host, from: placeOf(from), to: placeOf(to), atMs: this.timers.nowMs, times });
  }

  forget(vsi: VsiObject): void {
    this.last.delete(vsi);
  }

  list(): DampedMoveView[] {
    const { nowMs } = this.timers;
    return [...this.last].map(([vsi, { atMs, ...last }]) => ({
      ...last,
      vsi: vsi.name,
      secondsAgo: Math.floor((nowMs - atMs) / 1000),
    }));
  }
}

function placeOf({ kind, name }: PortObject) {
  return { kind, name };
}
