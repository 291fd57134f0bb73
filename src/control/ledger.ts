/**
 * Control's page of the ledger: what became of each punted frame.
 *
 *   drained = consumed + reinjected + dropped + held
 *
 * Writer: control alone (its counter block). Units are wire packets, as everywhere.
 */
import {
  CONTROL_CONSUMED,
  CONTROL_DRAINED,
  CONTROL_REINJECTED,
  type CounterBlock,
  DROP_REASONS,
  type Drop,
  total,
} from "../tables/counters.ts";
import { type DropExamples, X_PORT, X_REASON, X_VNI, X_VSI } from "../tables/drop-example.ts";

/** A frame that control drops, as its story needs it; its bytes are the caller's again afterwards. */
export interface Lost {
  readonly bytes: Uint8Array;
  readonly units: number;
  /** Bridge port and VSI it came in by, as rows; 0: not known. */
  readonly port: number;
  readonly vsi: number;
  /** Its number for those who watch; 0: unwatched. */
  readonly watchId: number;
}

/** Where the last frame dropped for each reason is kept, and by which clock. */
export interface LedgerStory {
  readonly examples: DropExamples;
  readonly timers: { readonly nowMs: number };
}

export class Ledger {
  private readonly block: CounterBlock;
  private readonly story: LedgerStory | null;
  /** Told of each drop, for watchers. */
  onDrop: ((reason: Drop, lost: Lost) => void) | null = null;
  /** Wire packets waiting for a neighbour or for their other fragments. */
  held = 0;

  constructor(block: CounterBlock, story: LedgerStory | null = null) {
    this.block = block;
    this.story = story;
  }

  drained(units: number): void {
    this.block.control[CONTROL_DRAINED]! += units;
  }

  /** It told us what it had to tell: an ARP message, an echo request we answered. */
  consumed(units: number): void {
    this.block.control[CONTROL_CONSUMED]! += units;
  }

  /** It went back to the data plane. */
  reinjected(units: number): void {
    this.block.control[CONTROL_REINJECTED]! += units;
  }

  dropped(reason: Drop, lost: Lost): void {
    this.block.drops[reason]! += lost.units;
    this.block.portDrops[lost.port * DROP_REASONS + reason]! += lost.units;
    if (lost.units === 0) return;
    this.keep(reason, lost);
    this.onDrop?.(reason, lost);
  }

  private keep(reason: Drop, { bytes, port, vsi }: Lost): void {
    if (this.story === null) return;
    const { examples, timers } = this.story;
    for (const row of [reason, ...(port === 0 ? [] : [examples.rowAt(reason, port)])]) {
      const r = examples.begin(row, Math.trunc(timers.nowMs) | 0);
      examples.words[r + X_PORT] = port;
      examples.words[r + X_VSI] = vsi;
      examples.words[r + X_REASON] = reason;
      examples.words[r + X_VNI] = -1;
      examples.end(r, bytes, 0, bytes.length, bytes.length);
    }
  }

  /** drained - consumed - reinjected - dropped - held: 0 between punts. */
  imbalance(): number {
    const c = this.block.control;
    return c[CONTROL_DRAINED]! - c[CONTROL_CONSUMED]! - c[CONTROL_REINJECTED]! - total(this.block.drops) - this.held;
  }
}
