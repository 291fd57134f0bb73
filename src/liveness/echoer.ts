/**
 * The echoer: sends echoes and hears answers by one socket, which is open while something is watched, or somebody has just asked.
 *
 * Without any socket for it (open-echo.ts) there is a problem, told once while it stays the same, and tried again now and then.
 */
import type { Emit } from "../control/event.ts";
import { peerAddress } from "../control/peer-address.ts";
import type { Config } from "../control/plan.ts";
import type { Timers } from "../control/timers.ts";
import { type EchoNews, echoRequest } from "../wire/echo.ts";
import { EchoBook } from "./echo-ledger.ts";
import { type EchoSocket, type EchoSocketRequest, EchoUnavailable } from "./echo-socket.ts";
import type { EchoEnd } from "./tunnel-probe.ts";

const REOPEN_MS = 10_000;
const IDLE_MS = 30_000;

export interface EchoerParts {
  readonly timers: Timers;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly config: () => Config;
  /** Throws EchoUnavailable. */
  readonly openSocket: (request: EchoSocketRequest) => EchoSocket;
  readonly emit: Emit;
  /** Do this at the present time, after all that was due before it. */
  readonly turn: (what: () => void) => void;
  /** News that answer no echo of ours. */
  readonly onNews: (news: Extract<EchoNews, { kind: "datagramTooBig" }>) => void;
  /** There is no socket any more, or none yet; `isNews`: the last time it was for another reason. */
  readonly onFailure: (problem: EchoUnavailable, isNews: boolean) => void;
}

/** Who is asked. */
export interface EchoTarget {
  readonly remote: string;
  readonly address: Uint8Array;
}

export class Echoer {
  private readonly parts: EchoerParts;
  private readonly book: EchoBook;
  private socket: EchoSocket | null = null;
  private triedMs = Number.NEGATIVE_INFINITY;
  private usedMs = 0;
  /** Why there is no socket; null: there is one, or none was wanted. */
  problem: EchoUnavailable | null = null;

  constructor(parts: EchoerParts) {
    this.parts = parts;
    this.book = new EchoBook(parts.timers, parts.now);
  }

  get isOpen(): boolean {
    return this.socket !== null;
  }

  get kind(): EchoSocket["kind"] | null {
    return this.socket?.kind ?? null;
  }

  /** Once a second. `isWanted`: something is watched. */
  follow(isWanted: boolean): void {
    const { nowMs } = this.parts.timers;
    if (!isWanted) {
      if (this.book.isEmpty && nowMs - this.usedMs > IDLE_MS) this.close();
      if (nowMs - this.usedMs > IDLE_MS) this.problem = null;
      return;
    }
    if (this.socket === null && nowMs - this.triedMs >= REOPEN_MS) this.open();
  }

  /** @returns why it cannot be open, or null. */
  open(): EchoUnavailable | null {
    const { timers, openSocket, config, turn } = this.parts;
    this.usedMs = timers.nowMs;
    if (this.socket !== null) return null;
    this.triedMs = timers.nowMs;
    const { family, address: source } = config().underlay;
    try {
      this.socket = openSocket({
        family,
        source,
        onNews: (news, from) => turn(() => this.hear(news, from)),
        onFailure: (message) => turn(() => this.fail(new EchoUnavailable(message, "it is opened again in 10 s"))),
      });
    } catch (error) {
      if (!(error instanceof EchoUnavailable)) throw error;
      this.fail(error);
      return error;
    }
    if (this.problem !== null) this.parts.emit("info", "probing.on", { by: this.socket.kind });
    this.problem = null;
    return null;
  }

  close(): void {
    this.socket?.close();
    this.socket = null;
  }

  /** One echo of `length` bytes; `done` is called once, within `waitMs`. */
  echo({ remote, address }: EchoTarget, length: number, waitMs: number, done: (end: EchoEnd) => void): void {
    const { socket } = this;
    const { timers, now, config, turn } = this.parts;
    if (socket === null) {
      timers.after(waitMs, () => done({ kind: "lost" }));
      return;
    }
    this.usedMs = timers.nowMs;
    const asked = this.book.open(address, waitMs, done);
    const source = peerAddress(config().underlay.address);
    const packet = echoRequest(source, address, socket.identifier, asked.sequence, length);
    socket.send(packet, remote, (end) => {
      asked.sentMs = now();
      // Our own device's MTU. Any other refusal (no route, no buffer) is a loss, when its time is over.
      if (end === "tooBig") turn(() => asked.settle({ kind: "tooBig", mtu: 0 }));
    });
  }

  private fail(problem: EchoUnavailable): void {
    this.socket = null;
    const isNews = this.problem?.message !== problem.message;
    this.problem = problem;
    this.parts.onFailure(problem, isNews);
  }

  /** Anybody's word. */
  private hear(news: EchoNews, source: string): void {
    if (news.kind === "datagramTooBig") this.parts.onNews(news);
    else if (news.identifier === this.socket?.identifier) this.book.answered(news, source);
  }
}
