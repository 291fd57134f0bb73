/**
 * The hot-path buffer pool: one arena, two bump cursors, reset at every batch.
 *
 * The io fills the first part of the arena with received frames; from `scratchAt` on it belongs to the data plane, which
 * takes room for what never arrived: injected frames, and copies that must differ from their original (another VLAN
 * tag). Taking is one addition, giving back is one store for the whole batch, so nothing can leak or be freed twice; a
 * frame that must outlive its batch is copied out (to the punt ring). What does not fit is dropped `pool_exhausted`.
 *
 * Poison: tests set `poison`, and every reset overwrites what the last batch used, so a late reader is caught.
 */
import { HEADROOM, type PortIo } from "./port-io.ts";

export class Pool {
  private readonly arena: Uint8Array;
  private readonly first: number;
  private readonly end: number;
  private cursor: number;
  /** Most scratch bytes ever used in one batch. */
  highWater = 0;
  /** How often there was no room. */
  exhausted = 0;
  poison = false;

  constructor(io: PortIo) {
    this.arena = io.arena;
    this.first = io.scratchAt;
    this.end = io.arena.length;
    this.cursor = this.first;
  }

  /** Scratch bytes in use. */
  get used(): number {
    return this.cursor - this.first;
  }

  get size(): number {
    return this.end - this.first;
  }

  /** Room for a frame of `length` bytes with HEADROOM before it, 64-byte aligned. @returns its offset, or -1. */
  take(length: number): number {
    const at = (this.cursor + HEADROOM + 63) & ~63;
    if (at + length > this.end) {
      this.exhausted++;
      return -1;
    }
    this.cursor = at + length;
    return at;
  }

  /** The batch is over: everything taken is free again. */
  reset(): void {
    if (this.cursor - this.first > this.highWater) this.highWater = this.cursor - this.first;
    if (this.poison) this.arena.fill(0xa5, this.first, this.cursor);
    this.cursor = this.first;
  }
}
