/**
 * The policer in front of the punt ring, and the storm limit of ACs: token buckets on the batch's clock.
 *
 * A frame for control needs a token of its bridge port, one of its class and one of the whole worker. A bucket holds a quarter of a
 * second. Units are thousandths of a token, so that a millisecond adds `rate` of them and everything stays int32.
 *
 * That bounds what control has to do, and keeps no share: a tunnel stands for a site, whose one host could use up its
 * tokens by packets of hop limit 2, and so end ARP between two sites; two ACs that flood ARP could use up its class, and four ACs the
 * whole. So each class of each port has a share (a sixteenth of the port's rate), and what is within it may take the last token there is;
 * what is beyond leaves some of each bucket. A copy of a frame that goes on anyway is always beyond where it only informs control.
 *
 * The configured rates are the gateway's. With several workers each has its part of every one of them, so that together
 * they never let through more; what arrives at one worker alone (one flow, a TAP with one queue) has only that part. The
 * other way, buckets that all workers share, would cost every flooded frame a contended cache line. The rate of BFD is each
 * worker's: a session is one flow.
 */
import { MAX_PORTS, PUNTS } from "../tables/counters.ts";
import { SET_PUNT_AC, SET_PUNT_TOTAL, type Tables } from "../tables/tables.ts";
import { KIND_AC, STORM_CLASSES, STORM_NONE } from "../tables/vsi.ts";

const TOKEN = 1000;
const BURST_MS = 250;
/** What a bucket can hold: a quarter of a second of 8.6 million a second. */
const MOST_UNITS = 0x7fffffff;
/** A class's share of a port's rate. */
const SHARE_SHIFT = 4;
/** What is beyond its share leaves so much: an eighth of a port's bucket, a quarter of a class's and of the worker's, which many ports use. */
const PORT_LEFT_SHIFT = 3;
const LEFT_SHIFT = 2;
/** Of shares, a port. */
const KINDS = PUNTS.length + 1;
/** Of one tunnel, in each worker: three times what a session of 20 ms sends. */
const BFD_PER_SECOND = 200;

export class Policer {
  private readonly t: Tables;
  private readonly worker: number;
  private readonly workers: number;
  private readonly portTokens = new Int32Array(MAX_PORTS);
  private readonly portAt = new Int32Array(MAX_PORTS);
  /** Of all classes by port, then of each by port and class. */
  private readonly stormTokens = new Int32Array(MAX_PORTS * (1 + STORM_CLASSES));
  private readonly stormAt = new Int32Array(MAX_PORTS * (1 + STORM_CLASSES));
  /** By port and class. */
  private readonly shareTokens = new Int32Array(MAX_PORTS * KINDS);
  private readonly shareAt = new Int32Array(MAX_PORTS * KINDS);
  private readonly classTokens = new Int32Array(PUNTS.length + 2);
  private readonly classAt = new Int32Array(PUNTS.length + 2);
  private nowMs = 0;
  private started = false;

  constructor(tables: Tables, worker: number) {
    this.t = tables;
    this.worker = worker;
    this.workers = tables.sizes.workers;
  }

  begin(nowMs: number): void {
    this.nowMs = nowMs;
    if (this.started) return;
    // Buckets start full.
    this.started = true;
    const past = (nowMs - BURST_MS) | 0;
    this.portAt.fill(past);
    this.shareAt.fill(past);
    this.stormAt.fill(past);
    this.classAt.fill(past);
  }

  /** May a frame of punt class `kind` from bridge port `port` go to control, or (`isCopy`) a copy of it? Takes a token of each bucket, or of none. */
  admit(kind: number, port: number, isCopy = false): boolean {
    const total = this.t.settings[SET_PUNT_TOTAL]!;
    // A tunnel stands for many hosts, but half of a class must be left for the others all the same.
    const portRate = this.t.ports.kind[port] === KIND_AC ? this.t.settings[SET_PUNT_AC]! : total >> 2;
    const share = port * KINDS + kind;
    const ofPort = this.fill(this.portTokens, this.portAt, port, this.part(portRate));
    const ofClass = this.fill(this.classTokens, this.classAt, kind, this.part(total >> 1));
    const ofAll = this.fill(this.classTokens, this.classAt, 0, this.part(total));
    this.fill(this.shareTokens, this.shareAt, share, this.part(portRate >> SHARE_SHIFT));
    const isWithin = !isCopy && this.shareTokens[share]! >= TOKEN;
    if (
      this.portTokens[port]! < needed(ofPort, isWithin, PORT_LEFT_SHIFT) ||
      this.classTokens[kind]! < needed(ofClass, isWithin, LEFT_SHIFT) ||
      this.classTokens[0]! < needed(ofAll, isWithin, LEFT_SHIFT)
    )
      return false;
    this.portTokens[port]! -= TOKEN;
    this.classTokens[kind]! -= TOKEN;
    this.classTokens[0]! -= TOKEN;
    if (isWithin) this.shareTokens[share]! -= TOKEN;
    return true;
  }

  /** May one more frame of BFD from tunnel `port` go to its thread? Tunnels have no storm limit: that bucket is free for it. */
  admitBfd(port: number): boolean {
    this.fill(this.stormTokens, this.stormAt, port, BFD_PER_SECOND);
    if (this.stormTokens[port]! < TOKEN) return false;
    this.stormTokens[port]! -= TOKEN;
    return true;
  }

  /** May one more LEARN record be told? They share no bucket with frames: they are small, and losing one only delays learning. */
  admitRecord(): boolean {
    const kind = PUNTS.length + 1;
    this.fill(this.classTokens, this.classAt, kind, this.part(this.t.settings[SET_PUNT_TOTAL]!) * 4);
    if (this.classTokens[kind]! < TOKEN) return false;
    this.classTokens[kind]! -= TOKEN;
    return true;
  }

  /** May `units` more BUM frames of class `kind` (STORM_*) from AC `port` be flooded? Takes tokens of both buckets, or of none. */
  admitStorm(port: number, units: number, kind: number): boolean {
    const limit = this.t.ports.storm[port]!;
    const at = port * STORM_CLASSES + kind;
    const ofClass = kind === STORM_NONE ? 0 : this.t.ports.stormOf[at]!;
    if ((limit | ofClass) === 0) return true;
    const cost = units * TOKEN;
    // A super-frame may cost more than the bucket ever holds: it goes on credit, and the next ones wait.
    const least = Math.min(cost, TOKEN);
    if (limit !== 0 && this.stormBucket(port, limit) < least) return false;
    if (ofClass !== 0 && this.stormBucket(MAX_PORTS + at, ofClass) < least) return false;
    if (limit !== 0) this.stormTokens[port]! -= cost;
    if (ofClass !== 0) this.stormTokens[MAX_PORTS + at]! -= cost;
    return true;
  }

  /** What storm bucket `i` holds now. */
  private stormBucket(i: number, limit: number): number {
    this.fill(this.stormTokens, this.stormAt, i, this.part(limit));
    return this.stormTokens[i]!;
  }

  /** Of `rate`, what is this worker's. All parts add up to it; but none is zero, so a rate below one each is exceeded. */
  private part(rate: number): number {
    if (this.workers === 1) return rate;
    const part = ((rate + this.worker) / this.workers) | 0;
    return part === 0 && rate > 0 ? 1 : part;
  }

  /** Fill bucket `i` for the time that has passed. @returns the most that it holds. */
  private fill(tokens: Int32Array, at: Int32Array, i: number, rate: number): number {
    // At least one whole token fits, or a rate below four a second would never let anything through; and no more than int32 holds.
    const most = Math.min(Math.max(rate * BURST_MS, TOKEN), MOST_UNITS);
    const passed = (this.nowMs - at[i]!) | 0;
    if (passed === 0) return most;
    at[i] = this.nowMs;
    // The clock never goes back: a negative difference is a port that was quiet for more than 2^31 ms.
    const filled = passed < 0 || passed >= 10000 ? most : tokens[i]! + passed * rate;
    tokens[i] = Math.min(filled, most);
    return most;
  }
}

/** What a bucket of `most` must hold for a frame. A small one, of a token or a few, has nothing to leave. */
function needed(most: number, isWithin: boolean, leftShift: number): number {
  const left = most >> leftShift;
  return isWithin || left < TOKEN ? TOKEN : TOKEN + left;
}
