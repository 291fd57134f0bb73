/**
 * The ageing of MACs, by source alone: workers set a row's hit byte when they see the MAC as source, a sweep reads and clears it.
 *
 * A row not hit for the VSI's `ageSeconds` goes. Those of ACs are told of before (`ageing`): where others know of a host only while
 * we do, one that lives and is silent is asked. What is only said from outside does not age.
 *
 * A sweep goes on a part at a time: fifty thousand rows, each of which lies elsewhere in the table of the workers, hold the thread
 * for 35 ms.
 */
import { MAC_GATEWAY } from "../../tables/mac.ts";
import { formatMac, type Mac } from "../../wire/ethernet.ts";
import { type Emit, portField } from "../event.ts";
import { Feed } from "../feed.ts";
import type { AcPort, VsiObject } from "../inventory.ts";
import type { Timers } from "../timers.ts";
import type { Candidates } from "./candidates.ts";
import type { MacRows } from "./rows.ts";

const SWEEP_MS = 1000;
/** Rows that are looked at in one go: half a millisecond's work. One that goes counts as so many. */
const LOOKED = 512;
const GONE = 16;
/** The last part of its age, in which a row is told of as ageing: two or three sweeps. */
const AGEING_SHARE = 0.3;
/** Peers speak at least when their entries are probed. */
const PEER_GATEWAY_AGE_MS = 3600_000;

/** A MAC that was not seen at its AC for long, and is about to go. */
export interface AgeingMac {
  readonly vsi: VsiObject;
  readonly mac: Mac;
  readonly port: AcPort;
}

export class MacSweep {
  readonly ageing = new Feed<AgeingMac>();
  private readonly rows: MacRows;
  private readonly timers: Timers;
  private readonly emit: Emit;
  private readonly due = new Map<VsiObject, number>();

  constructor(rows: MacRows, timers: Timers, emit: Emit) {
    this.rows = rows;
    this.timers = timers;
    this.emit = emit;
    timers.everyInParts(SWEEP_MS, () => this.parts());
  }

  forget(vsi: VsiObject): void {
    this.due.delete(vsi);
  }

  /** The VSIs whose turn it is; a tenth of the age is precise enough. */
  private *parts(): Generator<void, void, undefined> {
    let left = LOOKED;
    for (const [vsi, rows] of this.rows.ofVsi) {
      const { nowMs } = this.timers;
      if (nowMs < (this.due.get(vsi) ?? 0)) continue;
      this.due.set(vsi, nowMs + Math.min(30_000, Math.max(SWEEP_MS, vsi.config.mac.ageSeconds * 100)));
      for (const all of rows.values()) {
        const isOnlySaid = all.heard === null && all.pin === null;
        left -= !isOnlySaid && this.look(vsi, all) ? GONE : 1;
        if (left > 0) continue;
        yield;
        left = LOOKED;
      }
    }
  }

  /** @returns whether anything of it was too old, and went. */
  private look(vsi: VsiObject, all: Candidates): boolean {
    const { nowMs } = this.timers;
    const { mac, published, heard, pin } = all;
    const ageMs = vsi.config.mac.ageSeconds * 1000;
    const isHit = published !== null && this.rows.takeHit(vsi, mac);
    let isGone = false;
    for (const row of [heard, pin]) {
      if (row?.port == null || (row.source === "pin" && row.flags !== MAC_GATEWAY)) continue;
      if (isHit && row.port === published.port) row.heardMs = nowMs;
      else if (nowMs - row.heardMs >= (row.source === "heard" ? ageMs : PEER_GATEWAY_AGE_MS)) {
        isGone = this.rows.clear(vsi, all, row.source);
        this.emit("debug", "mac.aged", { vsi: vsi.name, mac: formatMac(mac), ...portField(row.port) });
      } else if (row.port.kind === "ac" && nowMs - row.heardMs >= ageMs * (1 - AGEING_SHARE))
        this.ageing.tell({ vsi, mac, port: row.port });
    }
    return isGone;
  }
}
