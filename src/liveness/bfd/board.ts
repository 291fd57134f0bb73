/**
 * What the BFD thread knows of each session, in memory that main reads: a row of numbers for each slot, and row 0 for the refusals.
 *
 * Writer: the thread. Each number is stored by itself, so a reader may see two of different moments; they are for people and
 * gauges. What is acted upon comes as a message, in order.
 */
import { MAX_BFD_SESSIONS } from "../../tables/vsi.ts";
import { type BfdState, DIAGNOSES, type Diagnosis, STATES } from "../../wire/bfd.ts";
import { type BfdSession, VERDICTS, type Verdict } from "./session.ts";
import { BFD_REFUSALS, type BfdRefusal } from "./speaker.ts";

const WORDS = 20;

/** A session's figures. */
export interface SessionFigures {
  readonly state: BfdState;
  readonly verdict: Verdict;
  readonly diagnosis: Diagnosis;
  readonly discriminator: number;
  readonly transmitMs: number;
  /** 0: nothing was heard. */
  readonly detectionMs: number;
  readonly remote: {
    readonly state: BfdState;
    readonly diagnosis: Diagnosis;
    readonly discriminator: number;
    readonly minRxMs: number;
    readonly desiredMinTxMs: number;
    readonly multiplier: number;
  };
  readonly received: number;
  readonly sent: number;
  readonly late: number;
  readonly changes: number;
  readonly longestGapMs: number;
  /** Of the last packet; 0: none. */
  readonly sendErrno: number;
}

export type Board = Float64Array;

export function createBoard(): Board {
  return new Float64Array(new SharedArrayBuffer((MAX_BFD_SESSIONS + 1) * WORDS * 8));
}

const codeOf = (diagnosis: Diagnosis) => (diagnosis === "reserved" ? DIAGNOSES.length : DIAGNOSES.indexOf(diagnosis));
const diagnosisOf = (code: number): Diagnosis => DIAGNOSES[code] ?? "reserved";

export function writeFigures(board: Board, slot: number, session: BfdSession): void {
  const { remote, counts } = session;
  const at = slot * WORDS;
  board[at] = STATES.indexOf(session.state);
  board[at + 1] = VERDICTS.indexOf(session.verdict);
  board[at + 2] = codeOf(session.diagnosis);
  board[at + 3] = session.discriminator;
  board[at + 4] = session.transmitMs;
  board[at + 5] = session.detectionMs;
  board[at + 6] = STATES.indexOf(remote.state);
  board[at + 7] = codeOf(remote.diagnosis);
  board[at + 8] = remote.discriminator;
  board[at + 9] = remote.minRx / 1000;
  board[at + 10] = remote.desiredMinTx / 1000;
  board[at + 11] = remote.multiplier;
  board[at + 12] = counts.received;
  board[at + 13] = counts.sent;
  board[at + 14] = counts.late;
  board[at + 15] = counts.changes;
  board[at + 16] = counts.longestGapMs;
  board[at + 17] = session.sendErrno;
}

/** null: the thread has not begun it. */
export function readFigures(board: Board, slot: number): SessionFigures | null {
  const word = (n: number) => board[slot * WORDS + n]!;
  if (word(3) === 0) return null;
  return {
    state: STATES[word(0)]!,
    verdict: VERDICTS[word(1)]!,
    diagnosis: diagnosisOf(word(2)),
    discriminator: word(3),
    transmitMs: word(4),
    detectionMs: word(5),
    remote: {
      state: STATES[word(6)]!,
      diagnosis: diagnosisOf(word(7)),
      discriminator: word(8),
      minRxMs: word(9),
      desiredMinTxMs: word(10),
      multiplier: word(11),
    },
    received: word(12),
    sent: word(13),
    late: word(14),
    changes: word(15),
    longestGapMs: word(16),
    sendErrno: word(17),
  };
}

/** The slot is free. */
export function clearFigures(board: Board, slot: number): void {
  board.fill(0, slot * WORDS, (slot + 1) * WORDS);
}

export function writeRefusals(board: Board, refused: Readonly<Record<BfdRefusal, number>>): void {
  BFD_REFUSALS.forEach((reason, n) => {
    board[n] = refused[reason];
  });
}

export function readRefusals(board: Board): Record<BfdRefusal, number> {
  return Object.fromEntries(BFD_REFUSALS.map((reason, n) => [reason, board[n]!])) as Record<BfdRefusal, number>;
}
