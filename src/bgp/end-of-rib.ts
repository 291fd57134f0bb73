/**
 * When a peer has sent all that it had as its session came up.
 *
 * It says so (End-of-RIB, RFC 4724 §2) where graceful restart was negotiated. Sessions that are made here do not ask for it, since a reflector
 * drops a dead peer's routes all the same, so FRR and gobgpd send no mark on them: there it has sent all when no route came for `quietMs`
 * after its first one, or none at all for `firstMs`. FRR holds its first update back for ten seconds at most (1 s, and 50 ms for each peer
 * that it has). Some fabrics are never quiet: it is over `longestMs` after the session came up.
 *
 * To be early takes away routes of before that are still to come; to be late keeps those that are gone so much longer. Before any session
 * was lost there are none of before, and late is merely late: a peer without a route in `quietMs` is not waited for.
 */

export interface EndOfRibTimes {
  readonly quietMs: number;
  readonly firstMs: number;
  readonly longestMs: number;
}

export const END_OF_RIB_TIMES: EndOfRibTimes = { quietMs: 2000, firstMs: 12_000, longestMs: 60_000 };

interface Waiting {
  readonly sinceMs: number;
  timer: NodeJS.Timeout;
}

export class EndOfRib {
  private readonly times: EndOfRibTimes;
  private readonly tell: (peer: string) => void;
  private readonly waiting = new Map<string, Waiting>();
  /** Peers that have sent a mark, also to an engine of before: of them it is waited for. */
  private readonly marking = new Set<string>();
  private readonly up = new Set<string>();
  private hasLost: boolean;

  /** @param hasLost there may be routes of sessions before. */
  constructor(times: EndOfRibTimes, tell: (peer: string) => void, hasLost = false) {
    this.times = times;
    this.tell = tell;
    this.hasLost = hasLost;
  }

  /** Its session is up, as far as is known for `ageMs`. */
  begin(peer: string, ageMs: number): void {
    this.stop(peer);
    this.up.add(peer);
    const { quietMs, firstMs, longestMs } = this.times;
    const mostMs = this.marking.has(peer) ? longestMs : this.hasLost ? firstMs : quietMs;
    this.waiting.set(peer, {
      sinceMs: performance.now() - ageMs,
      timer: this.after(peer, Math.max(quietMs, mostMs - ageMs)),
    });
  }

  /** That is how long its session is up. */
  age(peer: string, ageMs: number): void {
    if (this.waiting.has(peer)) this.begin(peer, ageMs);
  }

  /** A route came from it. */
  busy(peer: string): void {
    const waiting = this.waiting.get(peer);
    if (waiting === undefined || this.marking.has(peer)) return;
    const { quietMs, longestMs } = this.times;
    clearTimeout(waiting.timer);
    const leftMs = waiting.sinceMs + longestMs - performance.now();
    waiting.timer = this.after(peer, Math.max(0, Math.min(quietMs, leftMs)));
  }

  mark(peer: string): void {
    this.marking.add(peer);
    this.end(peer);
  }

  /** Its session is no more. */
  forget(peer: string): void {
    this.stop(peer);
    if (this.up.delete(peer)) this.hasLost = true;
  }

  /** All sessions are no more, or cannot be seen. */
  clear(): void {
    for (const peer of [...this.up]) this.forget(peer);
  }

  private stop(peer: string): void {
    clearTimeout(this.waiting.get(peer)?.timer);
    this.waiting.delete(peer);
  }

  private after(peer: string, ms: number): NodeJS.Timeout {
    return setTimeout(() => this.end(peer), ms);
  }

  private end(peer: string): void {
    this.stop(peer);
    this.tell(peer);
  }
}
