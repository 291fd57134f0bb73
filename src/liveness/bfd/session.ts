/**
 * One BFD session (RFC 5880 §6.8), in asynchronous mode, in the active role, without echo and authentication.
 *
 * Time is an argument: the owner calls `run` at `dueMs`, and `hear` for each packet of this session. What it wants to say goes out
 * by `send`, and each change by `told`. Echoes are never asked for and none are accepted (Required Min Echo RX 0); a peer in demand
 * mode gets what §6.8.7 grants it, and is never asked for it.
 *
 * The verdict is what the tunnel's user needs: `unknown` until the session was up once, since a peer that does not speak BFD (yet)
 * is not dead; `draining` when the peer itself took the session out of service (AdminDown): it leaves, and nothing has failed.
 */
import type { BfdPacket, BfdState, Diagnosis } from "../../wire/bfd.ts";
import { type BfdEvent, MOVES } from "./state-table.ts";

/** By number, as in the tables (BFD_*). */
export const VERDICTS = ["unknown", "up", "down", "draining"] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface BfdTiming {
  readonly intervalMs: number;
  readonly multiplier: number;
}

export interface Change {
  readonly from: BfdState;
  readonly to: BfdState;
  readonly verdict: Verdict;
  /** Ours: why. */
  readonly diagnosis: Diagnosis;
  /** The peer's, in its last packet. */
  readonly remoteDiagnosis: Diagnosis;
}

export interface SessionHandlers {
  /** @returns more than 0: it has left; a negative errno; 0: there is nothing to send by. */
  send(packet: BfdPacket): number;
  told(change: Change): void;
  /** 0 <= x < 1. */
  random(): number;
}

/** §6.8.3: not less than a second while the session is not up, so that peers that are not there cost little. Microseconds. */
const SLOW_US = 1_000_000;
/** A packet later than that many intervals comes near the end of the detection time. */
const LATE = 1.5;
/** Of a peer's detection time: so long it is told that a session is gone. */
const LEAVING_MS = 60_000;
const DUE_NEVER = Number.POSITIVE_INFINITY;

export class BfdSession {
  private readonly handlers: SessionHandlers;
  readonly discriminator: number;
  private timing: BfdTiming;
  state: BfdState = "down";
  verdict: Verdict = "unknown";
  diagnosis: Diagnosis = "none";
  /** What the peer's packets said last. Microseconds; §6.8.1 has the first values. */
  readonly remote = {
    state: "down" as BfdState,
    diagnosis: "none" as Diagnosis,
    discriminator: 0,
    demand: false,
    minRx: 1,
    desiredMinTx: 0,
    multiplier: 0,
  };
  /** Negative, the errno of the last packet that we sent; 0: none. */
  sendErrno = 0;
  readonly counts = { received: 0, sent: 0, late: 0, changes: 0, longestGapMs: 0 };
  /** In force: what is announced may wait for the end of a poll (§6.8.3). Microseconds. */
  private txUs = SLOW_US;
  private rxUs: number;
  private isPolling = false;
  private mustPollAgain = false;
  private heardMs: number | null = null;
  private nextMs: number;
  private leaveMs: number | null = null;

  constructor(discriminator: number, timing: BfdTiming, handlers: SessionHandlers, nowMs: number) {
    this.discriminator = discriminator;
    this.timing = timing;
    this.handlers = handlers;
    this.rxUs = timing.intervalMs * 1000;
    // Many sessions that begin together shall not go on together.
    this.nextMs = nowMs + handlers.random() * (SLOW_US / 1000);
  }

  /** When `run` is wanted. */
  get dueMs(): number {
    return Math.min(this.nextMs, this.heardMs === null ? DUE_NEVER : this.heardMs + this.detectionMs);
  }

  /** It was taken away, and the peer is being told so. */
  get isLeaving(): boolean {
    return this.leaveMs !== null;
  }

  /** It was taken away, and the peer has been told so. */
  isOver(nowMs: number): boolean {
    return this.leaveMs !== null && nowMs >= this.leaveMs;
  }

  /** The peer's multiplier by the slower of what it sends and what we take (§6.8.4); 0: nothing was heard. Milliseconds. */
  get detectionMs(): number {
    return (this.remote.multiplier * Math.max(this.rxUs, this.remote.desiredMinTx)) / 1000;
  }

  /** The longest time between two of our packets, milliseconds. */
  get transmitMs(): number {
    return Math.max(this.txUs, this.remote.minRx) / 1000;
  }

  /** Other intervals: they hold when the peer has confirmed them (§6.8.3). */
  configure(timing: BfdTiming, nowMs: number): void {
    this.timing = timing;
    if (this.state === "up") this.announceTiming(nowMs);
    else this.rxUs = timing.intervalMs * 1000;
  }

  /** Out of service, so that the peer leaves us; `last`: for good. */
  disable(last: boolean, nowMs: number): void {
    const ownMs = this.timing.intervalMs * this.timing.multiplier;
    // §6.8.16: told for a detection time at least; but a peer's may be days, and a slot would be taken as long.
    const toldMs = Math.max(ownMs, Math.min(this.detectionMs, LEAVING_MS));
    if (last && this.leaveMs === null) this.leaveMs = nowMs + toldMs;
    this.happen("disable", nowMs);
  }

  enable(nowMs: number): void {
    this.happen("enable", nowMs);
  }

  /** Do what is due: the detection time first. */
  run(nowMs: number): void {
    if (this.heardMs !== null && nowMs >= this.heardMs + this.detectionMs) {
      this.heardMs = null;
      this.forgetPeer(nowMs);
    }
    if (nowMs >= this.nextMs) this.periodic(nowMs);
  }

  /** A packet of this session that the codec took. */
  hear(packet: BfdPacket, nowMs: number): void {
    this.counts.received++;
    this.measureGap(nowMs);
    const { remote, transmitMs, detectionMs } = this;
    remote.discriminator = packet.mine;
    remote.state = packet.state;
    remote.diagnosis = packet.diagnosis;
    remote.demand = packet.demand;
    remote.minRx = packet.requiredMinRx;
    remote.desiredMinTx = packet.desiredMinTx;
    remote.multiplier = packet.multiplier;
    if (this.isPolling && packet.final) this.endPoll();
    // A gap that was in time is not near the end of a shorter time.
    if (this.detectionMs < detectionMs) this.counts.longestGapMs = 0;
    this.heardMs = nowMs;
    // A peer that takes packets faster than before: not after the old interval only.
    if (this.transmitMs < transmitMs) this.arm(nowMs, this.nextMs);
    this.happen(packet.state, nowMs);
    if (this.state === "adminDown" && packet.state !== "adminDown") this.speaksAgain();
    if (packet.poll && this.state !== "adminDown") this.send({ isFinal: true });
  }

  // ---- state ------------------------------------------------------------------------------------------------------

  private happen(event: BfdEvent, nowMs: number): void {
    const move = MOVES[this.state][event];
    if (move === undefined) return;
    const from = this.state;
    const [to, diagnosis] = move;
    this.state = to;
    if (diagnosis !== null) this.diagnosis = diagnosis;
    this.verdict = this.judge(from);
    this.counts.changes++;
    this.setPace(from);
    this.handlers.told(this.changeFrom(from));
    this.announce(nowMs);
  }

  private judge(from: BfdState): Verdict {
    if (this.state === "up") return "up";
    // Our own withdrawal says nothing of the peer: one that is dead, or has left, is so still.
    if (this.state === "adminDown") return this.verdict === "up" || this.isLeaving ? "unknown" : this.verdict;
    if (from !== "up") return this.verdict;
    return this.remote.state === "adminDown" && this.diagnosis === "neighborSignaledDown" ? "draining" : "down";
  }

  private changeFrom(from: BfdState): Change {
    const { state: to, verdict, diagnosis, remote } = this;
    return { from, to, verdict, diagnosis, remoteDiagnosis: remote.diagnosis };
  }

  /** Nothing was heard for the detection time: what was learned of the peer's session is void (§6.8.1, bfd.RemoteDiscr). */
  private forgetPeer(nowMs: number): void {
    const { remote } = this;
    remote.discriminator = 0;
    remote.minRx = 1;
    remote.demand = false;
    const before = this.verdict;
    this.happen("expired", nowMs);
    // One that left for good says no more that it leaves.
    remote.state = "down";
    remote.diagnosis = "none";
    // It had announced that it leaves, and has left.
    if (before !== "draining") return;
    this.verdict = "down";
    this.handlers.told(this.changeFrom(this.state));
  }

  /** Out of service we cannot tell whether a peer that was dead, or had left, is up; but it is there. */
  private speaksAgain(): void {
    if (this.verdict === "unknown") return;
    this.verdict = "unknown";
    this.handlers.told(this.changeFrom(this.state));
  }

  // ---- intervals --------------------------------------------------------------------------------------------------

  private get wantedTxUs(): number {
    return this.state === "up" ? this.timing.intervalMs * 1000 : Math.max(SLOW_US, this.timing.intervalMs * 1000);
  }

  /** Up: fast, and the peer is asked to confirm it. Otherwise slow at once. */
  private setPace(from: BfdState): void {
    if ((this.state === "up") === (from === "up")) return;
    this.txUs = this.wantedTxUs;
    this.rxUs = this.timing.intervalMs * 1000;
    this.isPolling = this.state === "up";
    this.mustPollAgain = false;
  }

  private announceTiming(nowMs: number): void {
    const [tx, rx] = [this.wantedTxUs, this.timing.intervalMs * 1000];
    // Slower sending and stricter listening wait for the peer's word; the reverse harms nothing.
    this.txUs = Math.min(this.txUs, tx);
    this.rxUs = Math.max(this.rxUs, rx);
    if (this.isPolling) this.mustPollAgain = true;
    else this.isPolling = true;
    this.announce(nowMs);
  }

  private endPoll(): void {
    this.isPolling = this.mustPollAgain;
    this.mustPollAgain = false;
    if (this.isPolling) return;
    this.txUs = this.wantedTxUs;
    this.rxUs = this.timing.intervalMs * 1000;
  }

  private measureGap(nowMs: number): void {
    if (this.state !== "up" || this.heardMs === null) return;
    const gapMs = nowMs - this.heardMs;
    if (gapMs > this.counts.longestGapMs) this.counts.longestGapMs = gapMs;
    if (gapMs > (LATE * this.detectionMs) / this.remote.multiplier) this.counts.late++;
  }

  // ---- sending ----------------------------------------------------------------------------------------------------

  private periodic(nowMs: number): void {
    if (this.maySend) this.send({ isFinal: false });
    this.arm(nowMs, DUE_NEVER);
  }

  /** Something of what we say is another: now, and not when the old interval is over (§6.8.7). */
  private announce(nowMs: number): void {
    if (this.remote.minRx !== 0) this.send({ isFinal: false });
    this.arm(nowMs, DUE_NEVER);
  }

  /** §6.8.7: not to a peer that takes none, and not to one in demand mode unless it is polled. */
  private get maySend(): boolean {
    const { minRx, demand, state } = this.remote;
    if (minRx === 0) return false;
    return !(demand && this.state === "up" && state === "up" && !this.isPolling);
  }

  /** Next time: earlier than the interval by up to a quarter, so that senders do not fall into step (§6.8.7). */
  private arm(nowMs: number, atMost: number): void {
    // A peer that shall leave us is told in the rhythm in which it listened.
    const isLeaving = this.isLeaving && this.timing.intervalMs < SLOW_US / 1000;
    const intervalMs = isLeaving ? Math.max(this.timing.intervalMs, this.remote.minRx / 1000) : this.transmitMs;
    const [least, most] = this.timing.multiplier === 1 ? [0.75, 0.9] : [0.75, 1];
    this.nextMs = Math.min(atMost, nowMs + intervalMs * (least + (most - least) * this.handlers.random()));
  }

  private send({ isFinal }: { readonly isFinal: boolean }): void {
    const result = this.handlers.send({
      diagnosis: this.diagnosis,
      state: this.state,
      poll: this.isPolling && !isFinal,
      final: isFinal,
      demand: false,
      multiplier: this.timing.multiplier,
      mine: this.discriminator,
      yours: this.remote.discriminator,
      desiredMinTx: this.wantedTxUs,
      requiredMinRx: this.timing.intervalMs * 1000,
      requiredMinEchoRx: 0,
    });
    if (result > 0) this.counts.sent++;
    this.sendErrno = Math.min(result, 0);
  }
}
