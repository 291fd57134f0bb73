/**
 * What would happen to this packet: the real stages, over the live tables, in a sandbox.
 *
 * `Explainer.explain` runs the very functions that forward frames (stages.ts) on a frame that exists nowhere else
 * (sandbox.ts), so what it says was decided by the code that decides. The story beside it is read off from the
 * evidence each stage left: the frame's fields, its send records, its punt record, the private counters and hit bytes. A
 * story may be incomplete; the fate, the bytes and the ports cannot be wrong while the tables stay as they are.
 *
 * Not in the path of frames: it may allocate. Rows are told as rows; `Names` makes them readable.
 */

import type { WorkerContext } from "../dataplane/context.ts";
import { type Fate, GO_ON } from "../dataplane/frame.ts";
import { OWN_PORT, OWN_VSI } from "../dataplane/send-words.ts";
import { STAGES } from "../dataplane/stages.ts";
import * as contract from "../io/port-io.ts";
import { RECORD_LEARN } from "../tables/counters.ts";
import { R_ARG, R_ARG2, R_KIND, R_PORT, R_VSI } from "../tables/ring.ts";
import type { Tables } from "../tables/tables.ts";
import { Sandbox } from "./sandbox.ts";
import type { Names, Step, WouldPunt, WouldSend } from "./step.ts";
import { Story } from "./steps-l2.ts";

export interface Explained {
  readonly steps: readonly Step[];
  /** A drop reason, SENT or PUNTED. */
  readonly fate: Fate;
  readonly sends: readonly WouldSend[];
  /** Frames for control: the frame itself, or copies of it. */
  readonly punts: readonly WouldPunt[];
  /** Records for control that are no frames. */
  readonly notes: readonly WouldPunt[];
  /** Copies that would be dropped, by reason. */
  readonly lostCopies: ReadonlyMap<number, number>;
}

export class Explainer {
  private readonly sandbox: Sandbox;
  private readonly names: Names;

  constructor(tables: Tables, names: Names) {
    this.sandbox = new Sandbox(tables);
    this.names = names;
  }

  /** Follow `bytes` as if they had arrived at io port `source`: a frame at a TAP, a VXLAN header and a frame from a peer. */
  explain(source: number, bytes: Uint8Array, outerTos = 0): Explained {
    const worker = this.take(source, bytes, outerTos);
    const story = new Story(worker, this.names, bytes);
    let fate: Fate = GO_ON;
    for (const [name, stage] of STAGES) {
      fate = stage(worker, worker.frame);
      story.after(name, fate, this.records());
      if (fate !== GO_ON) break;
    }
    const sends = this.sends(worker);
    const records = this.records();
    const lostCopies = this.lostCopies(worker);
    story.end(fate, sends, lostCopies);
    // `countReceived` has added up a frame that was not received.
    worker.finish();
    const isNote = (record: WouldPunt) => record.kind >= RECORD_LEARN;
    return {
      steps: story.steps,
      fate,
      sends,
      punts: records.filter((record) => !isNote(record)),
      notes: records.filter(isNote),
      lostCopies,
    };
  }

  private take(source: number, bytes: Uint8Array, outerTos: number): WorkerContext {
    const { io } = this.sandbox;
    const worker = this.sandbox.begin();
    io.arena.set(bytes, contract.HEADROOM);
    io.frames.fill(0);
    io.frames[contract.F_AT] = contract.HEADROOM;
    io.frames[contract.F_LENGTH] = bytes.length;
    io.frames[contract.F_HEAD] = bytes.length;
    io.frames[contract.F_SOURCE] = source;
    io.frames[contract.F_UNITS] = 1;
    io.frames[contract.F_OUTER_TOS] = outerTos;
    worker.frame.load(0);
    return worker;
  }

  private sends(worker: WorkerContext): WouldSend[] {
    return Array.from({ length: worker.sendCount }, (_, n) => {
      const s = n * contract.SEND_WORDS;
      const at = worker.sends[s + contract.S_AT]!;
      return {
        port: worker.sends[s + OWN_PORT]!,
        vsi: worker.sends[s + OWN_VSI]!,
        bytes: worker.frame.bytes.slice(at, at + worker.sends[s + contract.S_LENGTH]!),
        tos: worker.sends[s + contract.S_TOS]!,
        entropy: worker.sends[s + contract.S_ENTROPY]!,
      };
    });
  }

  private records(): WouldPunt[] {
    return this.sandbox.records().map(({ words: w, bytes }) => ({
      kind: w[R_KIND]!,
      port: w[R_PORT]!,
      vsi: w[R_VSI]!,
      arg: w[R_ARG]!,
      arg2: w[R_ARG2]!,
      bytes,
    }));
  }

  /** The frame's own fate is not counted here: what the counters show are its copies'. */
  private lostCopies(worker: WorkerContext): Map<number, number> {
    const lost = new Map<number, number>();
    worker.counters.drops.forEach((count, reason) => {
      if (count > 0) lost.set(reason, count);
    });
    return lost;
  }
}
