/** Mobility sequences that outlive their routes for a while: some speakers ignore a lower one than they knew (FRR before 9). */
import type { Mac } from "../wire/ethernet.ts";

const REMEMBER_MS = 180_000;
const REMEMBERED = 65_536;

export class FormerSequences {
  private readonly ofMac = new Map<Mac, { readonly sequence: number; readonly atMs: number }>();

  of(mac: Mac): number {
    return this.ofMac.get(mac)?.sequence ?? 0;
  }

  note(mac: Mac, sequence: number, nowMs: number): void {
    if (sequence === 0 || this.ofMac.size >= REMEMBERED) return;
    const known = this.of(mac);
    this.ofMac.delete(mac);
    this.ofMac.set(mac, { sequence: Math.max(known, sequence), atMs: nowMs });
  }

  /** The oldest come first. */
  expire(nowMs: number): void {
    for (const [mac, { atMs }] of this.ofMac) {
      if (nowMs - atMs < REMEMBER_MS) return;
      this.ofMac.delete(mac);
    }
  }
}
