/**
 * MACs that move too often: two hosts with one MAC, or a loop (RFC 7432 §15.1).
 *
 * `moves` within `seconds` freeze it: its place stays as it is, and our route of it is withdrawn and not renewed until
 * `recoverSeconds` later, so a quarrel between two sites does not churn the fabric. With `action: warn` it is only told.
 */
import type { Mac } from "../wire/ethernet.ts";

export interface DuplicateRules {
  readonly moves: number;
  readonly seconds: number;
  readonly action: "freeze" | "warn";
  readonly recoverSeconds: number;
}

export interface DuplicateView {
  readonly mac: Mac;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly moves: number;
}

interface History {
  times: number[];
  /** Frozen, or (`warn`) told, until then. */
  duplicate: { readonly sinceMs: number; readonly untilMs: number; moves: number } | null;
}

/** Histories that are remembered; an attacker with many MACs gets no more. */
const REMEMBERED = 65_536;

export class Duplicates {
  rules: DuplicateRules;
  private readonly histories = new Map<Mac, History>();

  constructor(rules: DuplicateRules) {
    this.rules = rules;
  }

  /** It moved. @returns true when it is a duplicate from now on. */
  moved(mac: Mac, nowMs: number): boolean {
    let history = this.histories.get(mac);
    if (history === undefined) {
      if (this.histories.size >= REMEMBERED) return false;
      history = { times: [], duplicate: null };
      this.histories.set(mac, history);
    }
    const { moves, seconds, recoverSeconds } = this.rules;
    history.times = history.times.filter((time) => nowMs - time < seconds * 1000);
    history.times.push(nowMs);
    if (history.duplicate !== null) {
      history.duplicate.moves++;
      return false;
    }
    if (history.times.length < moves) return false;
    history.duplicate = { sinceMs: nowMs, untilMs: nowMs + recoverSeconds * 1000, moves: history.times.length };
    return true;
  }

  isFrozen(mac: Mac): boolean {
    return this.rules.action === "freeze" && this.histories.get(mac)?.duplicate != null;
  }

  /** Forget what is old. @returns MACs that are no duplicates any more. */
  expire(nowMs: number): Mac[] {
    const over: Mac[] = [];
    for (const [mac, history] of this.histories) {
      const { duplicate, times } = history;
      if (duplicate !== null) {
        if (nowMs < duplicate.untilMs) continue;
        over.push(mac);
        this.histories.delete(mac);
      } else if (nowMs - times.at(-1)! >= this.rules.seconds * 1000) this.histories.delete(mac);
    }
    return over;
  }

  /** Its moves are forgotten too where it is none yet: else its next one could freeze it again. @returns false: it is none. */
  clear(mac: Mac): boolean {
    const isDuplicate = this.histories.get(mac)?.duplicate != null;
    this.histories.delete(mac);
    return isDuplicate;
  }

  /** MACs that moved of late, duplicates or not yet. */
  suspects(): Mac[] {
    return [...this.histories.keys()];
  }

  list(): DuplicateView[] {
    return [...this.histories].flatMap(([mac, { duplicate }]) => (duplicate === null ? [] : [{ mac, ...duplicate }]));
  }

  get size(): number {
    return this.list().length;
  }
}
