/**
 * Former gateway MACs: what a VSI's gateway MAC was until a reload changed it.
 *
 * Hosts keep a gateway MAC in their ARP caches for as long as they like (Linux about half a minute, BSD twenty minutes), and
 * they keep it for every address we stand for. Frames to a MAC that is not in the table any more would be flooded, to other
 * hosts and into tunnels, and arrive nowhere. So a former MAC stays a gateway MAC, which is routed, for FORMER_MAC_MS; a host
 * that asks it by unicast whether it is still there (§3.5) is answered with the one in force.
 *
 * By VSI, not by VSI-interface: the interface may have been renamed or moved into another VRF, the hosts did not notice.
 * A VSI that has no VSI-interface any more keeps none: there the MAC may be a central gateway's from now on.
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { Inventory, VsiObject } from "../inventory.ts";
import type { Timers } from "../timers.ts";

export const FORMER_MAC_MS = 1_200_000;
/** Per VSI; the oldest goes first. */
export const FORMER_MACS = 4;

export interface FormerMac {
  readonly mac: Mac;
  /** When it was replaced. */
  readonly sinceMs: number;
}

/** The gateway MAC of a VSI changed. */
export interface MacChange {
  readonly vsi: VsiObject;
  readonly was: Mac;
}

export class FormerMacs {
  private readonly timers: Timers;
  private readonly onEnd: () => void;
  private readonly inForce = new Map<VsiObject, Mac>();
  private readonly former = new Map<VsiObject, FormerMac[]>();

  /** @param onEnd called when the time of one is over. */
  constructor(timers: Timers, onEnd: () => void) {
    this.timers = timers;
    this.onEnd = onEnd;
  }

  /** Newest last. */
  of(vsi: VsiObject): readonly FormerMac[] {
    return this.former.get(vsi) ?? [];
  }

  /** The inventory is another one now. @returns whose gateway MAC changed. */
  update({ vsis }: Inventory): MacChange[] {
    for (const vsi of [...this.inForce.keys()])
      if (vsis.get(vsi.row) !== vsi || vsi.interface === null) this.forget(vsi);
    const changes: MacChange[] = [];
    for (const vsi of vsis.values()) {
      const mac = vsi.interface?.mac;
      if (mac === undefined) continue;
      const was = this.inForce.get(vsi);
      this.inForce.set(vsi, mac);
      if (was === undefined || was === mac) continue;
      this.replace(vsi, was, mac);
      changes.push({ vsi, was });
    }
    return changes;
  }

  private replace(vsi: VsiObject, was: Mac, mac: Mac): void {
    const sinceMs = this.timers.nowMs;
    const kept = this.of(vsi).filter((each) => each.mac !== was && each.mac !== mac);
    this.former.set(vsi, [...kept, { mac: was, sinceMs }].slice(-FORMER_MACS));
    this.timers.after(FORMER_MAC_MS, () => this.end());
  }

  private end(): void {
    const nowMs = this.timers.nowMs;
    for (const [vsi, all] of this.former) {
      const kept = all.filter((each) => nowMs - each.sinceMs < FORMER_MAC_MS);
      if (kept.length === 0) this.former.delete(vsi);
      else this.former.set(vsi, kept);
    }
    this.onEnd();
  }

  private forget(vsi: VsiObject): void {
    this.inForce.delete(vsi);
    this.former.delete(vsi);
  }
}
