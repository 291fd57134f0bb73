/**
 * Holding an AC: the VM's end of the attach socket, across any number of gateway lives.
 *
 * The TAP's fd is offered; the gateway answers and keeps the connection. When the connection ends the gateway is gone (or
 * restarting): the same fd is offered again, at once and then many times a second, less often after a while, for as long as
 * it takes. The device stays as it is meanwhile and queues what the VM sends, so a short absence costs nothing but time.
 * Only a longer one is shown to the VM, as a lost carrier; the gateway gives it back when it takes the TAP.
 *
 * A refusal is final, but for `busy`, which is tried again. What answers without being the gateway (gateway-user.ts) gets
 * nothing and is asked again in a while: the gateway may come back to its place.
 */
import { createConnection, type Socket } from "node:net";
import { type Answer, type Claim, lineOf, MAX_LINE_BYTES, readAnswer } from "../attach/protocol.ts";
import { fdOf } from "../io/handover.ts";
import { sendFd } from "../io/native.ts";
import { whyNotGateway } from "./gateway-user.ts";

/** While the gateway is away: the first tries come fast, for it may be a restart, and every pause is time without network. */
const FIRST_PAUSE_MS = 20;
const RESTART_PAUSE_MS = 40;
/** Away for long, or there and busy: no hurry. */
const PATIENT_PAUSE_MS = 200;
/** No gateway listens for so long: the VM's carrier goes. */
const CARRIER_AFTER_MS = 5000;
const ANSWER_WITHIN_MS = 5000;

export type Attached = Extract<Answer, { attached: unknown }>["attached"];
export type Refused = Extract<Answer, { refused: unknown }>["refused"];

export interface HoldEvents {
  /** The gateway has taken the TAP (again). */
  attached(answer: Attached): void;
  mtu(mtu: number): void;
  /** No connection, `why` in words: told again for each offer that fails. Offers go on. */
  lost(why: string): void;
  /** The gateway has been away for long. */
  away(): void;
  /** After that: it is here; `attached` follows. Its own signs of it may be older than ours of its absence. */
  back(): void;
  /** What answers is not the gateway, `why` in words; told again for each offer. Offers go on. */
  distrusted(why: string): void;
  /** Nothing more will come. */
  refused(refused: Refused): void;
}

export class Hold {
  private readonly path: string;
  private readonly tap: number;
  private readonly claim: Claim;
  private readonly events: HoldEvents;
  private readonly gatewayUser: number | null;
  private socket: Socket | null = null;
  private retry: NodeJS.Timeout | null = null;
  private away: NodeJS.Timeout | null = null;
  /** It has been told so. */
  private isAway = false;
  private pauseMs = FIRST_PAUSE_MS;
  private ended = false;

  /** @param gatewayUser the user that the gateway must run as; null: see gateway-user.ts */
  constructor(path: string, tap: number, claim: Claim, events: HoldEvents, gatewayUser: number | null = null) {
    this.path = path;
    this.tap = tap;
    this.claim = claim;
    this.events = events;
    this.gatewayUser = gatewayUser;
  }

  offer(): void {
    let text = "";
    let why = "the gateway closed the connection";
    const socket = createConnection(this.path);
    this.socket = socket;
    const late = setTimeout(() => socket.destroy(new Error("no answer in 5 s")), ANSWER_WITHIN_MS);
    socket.setEncoding("utf8");
    socket.on("connect", () => {
      const wrong = this.whyNotGateway(fdOf(socket));
      if (wrong !== null) {
        this.pauseMs = PATIENT_PAUSE_MS;
        this.events.distrusted(wrong);
        return void socket.destroy(new Error(wrong));
      }
      const rc = sendFd(fdOf(socket), this.tap, lineOf(this.claim));
      if (rc < 0) socket.destroy(new Error(`sending the file descriptor failed (errno ${-rc})`));
    });
    socket.on("data", (part) => {
      text += part;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const answer = readAnswer(text.slice(0, end));
        text = text.slice(end + 1);
        if (answer === null) return void socket.destroy(new Error("what answers there is no attach socket"));
        if (this.hear(answer)) clearTimeout(late);
      }
      if (text.length > MAX_LINE_BYTES) socket.destroy(new Error("what answers there is no attach socket"));
    });
    socket.on("error", (error) => {
      why = error.message;
    });
    socket.on("close", () => {
      clearTimeout(late);
      this.lose(why);
    });
  }

  /** Let go; nothing is told any more. */
  end(): void {
    this.ended = true;
    if (this.retry !== null) clearTimeout(this.retry);
    if (this.away !== null) clearTimeout(this.away);
    this.socket?.destroy();
  }

  private whyNotGateway(fd: number): string | null {
    try {
      return whyNotGateway(fd, this.path, this.gatewayUser);
    } catch (error) {
      // The socket, or its folder, has gone while we looked.
      return (error as Error).message;
    }
  }

  /** @returns true if this is the answer to the claim. */
  private hear(answer: Answer): boolean {
    if (this.ended) return true;
    if ("attached" in answer) {
      if (this.away !== null) clearTimeout(this.away);
      this.away = null;
      if (this.isAway) this.events.back();
      this.isAway = false;
      this.pauseMs = FIRST_PAUSE_MS;
      this.events.attached(answer.attached);
      return true;
    }
    if ("mtu" in answer) {
      this.events.mtu(answer.mtu);
      return false;
    }
    if (answer.refused.code === "busy") this.pauseMs = PATIENT_PAUSE_MS;
    else {
      this.end();
      this.events.refused(answer.refused);
    }
    return true;
  }

  private lose(why: string): void {
    if (this.ended) return;
    this.socket = null;
    this.events.lost(why);
    this.away ??= setTimeout(() => {
      this.pauseMs = PATIENT_PAUSE_MS;
      this.isAway = true;
      this.events.away();
    }, CARRIER_AFTER_MS);
    this.retry = setTimeout(() => this.offer(), this.pauseMs);
    this.pauseMs = Math.max(this.pauseMs, RESTART_PAUSE_MS);
  }
}
