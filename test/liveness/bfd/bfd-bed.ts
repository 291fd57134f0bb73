/** BFD speakers in virtual time, over a network that a test delays, cuts or forges. */

import { peerAddress } from "../../../src/control/peer-address.ts";
import type { BfdMode } from "../../../src/control/plan-bfd.ts";
import { type Board, clearFigures, createBoard, writeFigures, writeRefusals } from "../../../src/liveness/bfd/board.ts";
import { countSent, receiveInner } from "../../../src/liveness/bfd/inner.ts";
import type { BfdLink, LinkReport } from "../../../src/liveness/bfd/link.ts";
import { ChangeReports } from "../../../src/liveness/bfd/reports.ts";
import { type BfdSession, type Change, VERDICTS } from "../../../src/liveness/bfd/session.ts";
import { BfdSpeaker, type SessionRequest, type SpeakerHandlers } from "../../../src/liveness/bfd/speaker.ts";
import type { Tables } from "../../../src/tables/tables.ts";
import { BFD_BYTES, type BfdPacket, readBfd, writeBfd } from "../../../src/wire/bfd.ts";
import { bfdDatagram } from "../../../src/wire/bfd-vxlan.ts";

export interface SentPacket {
  readonly atMs: number;
  readonly from: string;
  readonly packet: BfdPacket;
}

interface Station {
  readonly speaker: BfdSpeaker;
  /** Does nothing and hears nothing for now, as a stopped process: what comes waits. */
  isStopped: boolean;
  dueMs: number;
  /** What main reads of it. */
  board: Board | null;
  /** Of a whole gateway. */
  tables: Tables | undefined;
  reports: ChangeReports | null;
}

export class BfdNet {
  nowMs = 0;
  delayMs = 2;
  readonly sent: SentPacket[] = [];
  readonly changes: { readonly atMs: number; readonly at: string; readonly slot: number; readonly change: Change }[] =
    [];
  readonly gone: string[] = [];
  /** `a>b` is cut. */
  readonly cut = new Set<string>();
  private readonly stations = new Map<string, Station>();
  private inFlight: { dueMs: number; from: string; to: string; hops: number; mode: BfdMode; bytes: Uint8Array }[] = [];
  private seed = 1;

  /** Carries what is inside VXLAN: whole gateways receive it (`inner`). */
  carryVxlan: (from: string, to: string, bytes: Uint8Array) => void = () => undefined;

  add(address: string, more: Partial<SpeakerHandlers> = {}): BfdSpeaker {
    const speaker = new BfdSpeaker(address, {
      noted: () => undefined,
      ...more,
      send: (request, packet) => {
        const { remote, mode, vni = 0, slot } = request;
        this.sent.push({ atMs: this.nowMs, from: address, packet });
        if (mode === "vxlan") {
          const outer = { vni, source: peerAddress(address), sourcePort: 49152 + slot };
          const bytes = bfdDatagram(outer, packet);
          const tables = this.stations.get(address)?.tables;
          if (tables !== undefined) countSent(tables, request, bytes.length);
          this.carryVxlan(address, remote, bytes);
          return bytes.length;
        }
        const bytes = new Uint8Array(BFD_BYTES);
        writeBfd(packet, bytes, 0);
        this.carry(address, remote, bytes, mode, 255);
        return bytes.length;
      },
      told: (slot, change) => {
        this.changes.push({ atMs: this.nowMs, at: address, slot, change });
        more.told?.(slot, change);
      },
      gone: (slot) => {
        this.gone.push(`${address} ${slot}`);
        more.gone?.(slot);
      },
      random: () => this.random(),
    });
    const station = { speaker, isStopped: false, dueMs: 0, board: null, tables: undefined, reports: null };
    this.stations.set(address, station);
    return speaker;
  }

  /** What stands in place of the thread of the gateway at `address`. */
  link(address: string, tables: Tables, onReport: (report: LinkReport) => void): BfdLink {
    const { verdicts } = tables.ports;
    const board = createBoard();
    const reports = new ChangeReports((slot, change) => onReport({ kind: "change", slot, change }));
    const speaker = this.add(address, {
      told: (slot, change) => {
        verdicts[slot] = VERDICTS.indexOf(change.verdict);
        reports.note(slot, change, this.nowMs);
      },
      noted: (slot, session) => writeFigures(board, slot, session),
      gone: (slot) => {
        reports.forget(slot);
        verdicts[slot] = 0;
        clearFigures(board, slot);
        onReport({ kind: "gone", slot });
      },
    });
    Object.assign(this.stations.get(address)!, { board, tables, reports });
    return {
      board,
      setSessions: (requests) => speaker.configure(requests, this.nowMs),
      drain: (isDraining) => speaker.drain(isDraining, this.nowMs),
      close: () => speaker.drain(true, this.nowMs),
    };
  }

  /** A session each way, in slot 1. */
  pair(a: Partial<SessionRequest> = {}, b: Partial<SessionRequest> = a): { a: BfdSpeaker; b: BfdSpeaker } {
    const common = { slot: 1, mode: "oneHop", intervalMs: 50, multiplier: 3 } as const;
    const [first, second] = [this.add("192.0.2.1"), this.add("192.0.2.2")];
    first.configure([{ ...common, remote: "192.0.2.2", ...a }], 0);
    second.configure([{ ...common, remote: "192.0.2.1", ...b }], 0);
    return { a: first, b: second };
  }

  /** The thread at `address` reads what its forwarding threads have received. */
  inner(address: string, tables: Tables): void {
    const { speaker, board } = this.stations.get(address)!;
    receiveInner(tables, (inner) => speaker.receiveInner(inner, this.nowMs));
    if (board !== null) writeRefusals(board, speaker.refused);
  }

  stop(address: string, isStopped: boolean): void {
    this.stations.get(address)!.isStopped = isStopped;
  }

  /** Put a datagram on the way. */
  carry(from: string, to: string, bytes: Uint8Array, mode: BfdMode = "oneHop", hops = 255): void {
    if (this.cut.has(`${from}>${to}`)) return;
    this.inFlight.push({ dueMs: this.nowMs + this.delayMs, from, to, hops, mode, bytes });
  }

  pass(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; this.nowMs++) {
      for (const [address, station] of this.stations) if (!station.isStopped) this.turn(address, station);
    }
  }

  /** As the thread: what has come first, then what is due. */
  private turn(address: string, { speaker, reports }: Station): void {
    const mine = this.inFlight.filter(({ to, dueMs }) => to === address && dueMs <= this.nowMs);
    if (mine.length > 0) this.inFlight = this.inFlight.filter((each) => !mine.includes(each));
    for (const { from, mode, hops, bytes } of mine)
      speaker.receive({ mode, source: peerAddress(from), hops }, bytes, 0, bytes.length, this.nowMs);
    speaker.run(this.nowMs);
    reports?.run(this.nowMs);
  }

  /** The same numbers in each run. */
  private random(): number {
    this.seed = (this.seed * 48271) % 2147483647;
    return this.seed / 2147483647;
  }
}

export const stateOf = (speaker: BfdSpeaker, slot = 1): BfdSession["state"] | undefined => speaker.session(slot)?.state;
export const verdictOf = (speaker: BfdSpeaker, slot = 1) => speaker.session(slot)?.verdict;

/** A packet as a test wants it. */
export function bytesOf(packet: Partial<BfdPacket>): Uint8Array {
  const bytes = new Uint8Array(BFD_BYTES);
  const common = { diagnosis: "none", state: "down", poll: false, final: false, demand: false, multiplier: 3 } as const;
  const times = { mine: 77, yours: 0, desiredMinTx: 1_000_000, requiredMinRx: 50_000, requiredMinEchoRx: 0 };
  writeBfd({ ...common, ...times, ...packet }, bytes, 0);
  if (typeof readBfd(bytes, 0, bytes.length) === "string") throw new Error("a packet that nothing would take");
  return bytes;
}
