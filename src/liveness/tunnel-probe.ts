/**
 * One tunnel under watch: is its peer alive, how far away is it, and how long a packet fits on the way.
 *
 *   liveness   a small echo every `intervalMs`; no answer for `multiplier` intervals: the tunnel is down (the detection time
 *              of RFC 5880 §6.8.4). One answer: it is up again. While it is down we ask at least twice a second.
 *   path MTU   a search (mtu-search.ts) when we begin, when something says "too big", when packets of the path MTU get lost
 *              while small ones do not (a black hole, RFC 8899 §4.3), and every ten minutes, for paths grow too
 *              (PMTU_RAISE_TIMER, §5.1.1). That timer runs as well for what a person had searched on a tunnel that nothing
 *              watches: ten minutes later the search is repeated, and where it cannot be, or there is no answer any more, the
 *              result is forgotten (RFC 1191 §6.3).
 *
 * A peer that answers no echo at all says nothing about lengths: then the path MTU stays what it was. A try that is lost is
 * repeated before it counts as "too long". Nothing below the floor is believed.
 *
 * Sockets, packets and addresses are prober.ts's; here is `Echo`, a question with one answer, and timers.
 */

import type { Timer, Timers } from "../control/timers.ts";
import { MtuSearch } from "./mtu-search.ts";

/** What became of an echo. `tooBig`: `mtu` is what a router said, 0: nothing, or our own kernel refused. */
export type EchoEnd =
  | { readonly kind: "reply"; readonly rttMs: number }
  | { readonly kind: "lost" }
  | { readonly kind: "tooBig"; readonly mtu: number };

/** Send an echo of `length` bytes; `done` is called once, at most `waitMs` later. */
export type Echo = (length: number, waitMs: number, done: (end: EchoEnd) => void) => void;

export interface ProbeHandlers {
  readonly timers: Timers;
  readonly echo: Echo;
  /** Can echoes be sent now? What they need is opened if need be. */
  readonly isReady: () => boolean;
  /** Least and most that the path may be found to carry: IP packets of the underlay, bytes. */
  readonly floor: number;
  /** Up or down, by the keepalive. */
  onLiveness(up: boolean): void;
  /** A search is over. `mtu`: of the path; null: what was found once is forgotten. */
  onPathMtu(mtu: number | null): void;
}

/** One length of the last search, and what became of it. */
export interface Try {
  readonly length: number;
  readonly passed: boolean;
  /** What a router said, 0: nothing. */
  readonly hint: number;
}

export type Keepalive = { readonly intervalMs: number; readonly multiplier: number };

/** The shortest echo used: headers and 28 bytes, over IPv4. */
export const SMALL_BYTES = 64;
/**
 * Probes go out a little faster than the interval, as RFC 5880 §6.8.7 does it: the last of `multiplier` probes must have the time
 * to be answered before the detection time is over.
 */
const SHARE = 0.85;
const FASTER_MS = 500;
const HISTORY = 100;
const TRIES = 3;
const CONFIRM_MS = 10_000;
const RAISE_MS = 600_000;
const LEAST_WAIT_MS = 200;
const MOST_WAIT_MS = 1000;

export class TunnelProbe {
  private readonly h: ProbeHandlers;
  private keepalive: Keepalive | null = null;
  private ceiling: number;
  private readonly armed = new Map<"echo" | "deadline" | "confirm" | "raise", Timer>();
  private heardMs = Number.NEGATIVE_INFINITY;
  private readonly history: boolean[] = [];
  private search: MtuSearch | null = null;
  private path: number | null = null;
  private isStopped = false;
  /** Answers and losses of the keepalive, ever. */
  answered = 0;
  lost = 0;
  /** By the keepalive. */
  isUp = true;
  /** Smoothed (RFC 6298 §2: one eighth of each sample); null: never answered. */
  rttMs: number | null = null;
  lastRttMs: number | null = null;
  /** The last search, or the one that runs. */
  tries: Try[] = [];
  /** Did the last search end without any answer? */
  isSilent = false;
  searchedMs = Number.NEGATIVE_INFINITY;

  constructor(handlers: ProbeHandlers, ceiling: number) {
    this.h = handlers;
    this.ceiling = ceiling;
  }

  get isSearching(): boolean {
    return this.search !== null;
  }

  /** What the path carries, as far as a search has told; null: none has. */
  get pathMtu(): number | null {
    return this.path;
  }

  /** Share of the last hundred keepalive probes that got no answer, 0..1; null: none was sent. */
  get loss(): number | null {
    return this.history.length === 0 ? null : this.history.filter((ok) => !ok).length / this.history.length;
  }

  /** Watch it by these rules from now on; null: only when asked. */
  setKeepalive(keepalive: Keepalive | null): void {
    if (JSON.stringify(keepalive) === JSON.stringify(this.keepalive)) return;
    const begins = this.keepalive === null;
    this.keepalive = keepalive;
    for (const what of ["echo", "deadline", "confirm", "raise"] as const) this.disarm(what);
    this.setUp(true);
    this.history.length = 0;
    if (keepalive === null) {
      this.armRaise();
      return;
    }
    this.heardMs = this.h.timers.nowMs;
    this.watch();
    this.expectAnswer();
    this.arm("confirm", CONFIRM_MS, () => this.confirm());
    this.armRaise();
    if (begins) this.startSearch();
  }

  /** The underlay's own MTU is another one. */
  setCeiling(ceiling: number): void {
    if (ceiling === this.ceiling) return;
    const before = this.ceiling;
    this.ceiling = ceiling;
    if (this.keepalive !== null) this.startSearch();
    // It was as wide as our own device: nothing is known of more, and less is the device's to say.
    else if (this.path !== null && (this.path >= before || this.path >= ceiling)) this.forget();
  }

  /** Nothing more is asked or told. */
  stop(): void {
    this.isStopped = true;
    for (const timer of this.armed.values()) this.h.timers.cancel(timer);
    this.armed.clear();
    this.search = null;
  }

  /** Search for the path MTU, unless that is being done. `hint`: what a router or the kernel says it is, 0: no hint. */
  startSearch(hint = 0): void {
    if (this.search !== null || this.isStopped) return;
    const search = new MtuSearch(this.h.floor, this.ceiling, hint);
    this.search = search;
    this.searchedMs = this.h.timers.nowMs;
    this.tries = [];
    // A path that carries nothing at all must not look like a narrow one.
    this.tryLength(SMALL_BYTES, TRIES, (end) => {
      if (end.kind === "reply") this.isSilent = false;
      else return this.giveUp();
      this.step(search);
    });
  }

  private step(search: MtuSearch): void {
    const length = search.next();
    if (length === null) {
      this.finish(search);
      return;
    }
    this.tryLength(length, TRIES, (end) => {
      const hint = end.kind === "tooBig" ? end.mtu : 0;
      this.tries.push({ length, passed: end.kind === "reply", hint });
      if (end.kind === "reply") search.passed(length);
      else search.failed(length, hint);
      this.step(search);
    });
  }

  private finish(search: MtuSearch): void {
    this.search = null;
    this.path = search.found;
    this.h.onPathMtu(search.found);
    if (this.keepalive === null) this.armRaise();
  }

  private giveUp(): void {
    this.search = null;
    this.isSilent = true;
    // The repeated search of a tunnel that nothing watches: nothing will correct what the first one found.
    if (this.keepalive === null && !this.armed.has("raise")) this.forget();
  }

  private forget(): void {
    this.disarm("raise");
    if (this.path === null) return;
    this.path = null;
    this.h.onPathMtu(null);
  }

  /** Ask up to `tries` times; a loss is repeated, an answer or a refusal is not. */
  private tryLength(length: number, tries: number, done: (end: EchoEnd) => void): void {
    this.h.echo(length, this.waitMs(), (end) => {
      if (this.isStopped) return;
      if (end.kind === "reply") this.heard(end.rttMs);
      if (end.kind === "lost" && tries > 1) this.tryLength(length, tries - 1, done);
      else done(end);
    });
  }

  private waitMs(): number {
    const wait = this.rttMs === null ? MOST_WAIT_MS : this.rttMs * 4;
    return Math.min(MOST_WAIT_MS, Math.max(LEAST_WAIT_MS, wait));
  }

  private watch(): void {
    const { intervalMs, multiplier } = this.keepalive!;
    const keepalive = this.keepalive;
    const nextMs = Math.min(intervalMs * SHARE, this.isUp ? intervalMs : FASTER_MS);
    this.arm("echo", nextMs, () => this.watch());
    this.h.echo(SMALL_BYTES, intervalMs * multiplier, (end) => {
      if (this.isStopped || this.keepalive !== keepalive) return;
      this.history.push(end.kind === "reply");
      if (this.history.length > HISTORY) this.history.shift();
      if (end.kind === "reply") this.answered++;
      else this.lost++;
      if (end.kind !== "reply") return;
      this.heard(end.rttMs);
      this.setUp(true);
    });
  }

  private heard(rttMs: number): void {
    this.heardMs = this.h.timers.nowMs;
    this.lastRttMs = rttMs;
    this.rttMs = this.rttMs === null ? rttMs : this.rttMs + (rttMs - this.rttMs) / 8;
  }

  /** Down when nothing is heard for the detection time; looks again when something was. */
  private expectAnswer(): void {
    const { intervalMs, multiplier } = this.keepalive!;
    const leftMs = this.heardMs + intervalMs * multiplier - this.h.timers.nowMs;
    if (leftMs <= 0) this.setUp(false);
    this.arm("deadline", leftMs > 0 ? leftMs : FASTER_MS, () => this.expectAnswer());
  }

  /** Do packets of the path MTU still pass? */
  private confirm(): void {
    this.arm("confirm", CONFIRM_MS, () => this.confirm());
    if (!this.isUp || this.search !== null || this.path === null) return;
    this.tryLength(this.path, TRIES, (end) => {
      if (end.kind !== "reply" && this.isUp) this.startSearch(end.kind === "tooBig" ? end.mtu : 0);
    });
  }

  private raise(): void {
    this.disarm("raise");
    if (this.keepalive !== null) this.armRaise();
    if (this.keepalive !== null || this.h.isReady()) this.startSearch();
    else this.forget();
  }

  /** In ten minutes the path may be wider; where nothing watches, only if something is known that may be too small. */
  private armRaise(): void {
    if (this.keepalive !== null || (this.path !== null && this.path < this.ceiling))
      this.arm("raise", RAISE_MS, () => this.raise());
    else this.disarm("raise");
  }

  private setUp(up: boolean): void {
    if (this.isUp === up) return;
    this.isUp = up;
    this.h.onLiveness(up);
    if (!up || this.keepalive === null) return;
    // The way back may be another one.
    this.startSearch();
  }

  private arm(what: "echo" | "deadline" | "confirm" | "raise", delayMs: number, run: () => void): void {
    this.disarm(what);
    this.armed.set(what, this.h.timers.after(delayMs, run));
  }

  private disarm(what: "echo" | "deadline" | "confirm" | "raise"): void {
    const timer = this.armed.get(what);
    if (timer !== undefined) this.h.timers.cancel(timer);
    this.armed.delete(what);
  }
}
