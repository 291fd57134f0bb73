/**
 * Packets that wait for their next hop: order kept, and bounded in six ways.
 *
 * Per target, so that one dead host cannot take all; per ingress port, so that one VM's address scan leaves room for the
 * others; in all; and in bytes, because a super-frame is 64 KB: all that waits fits into one inject ring at once, and a quarter
 * of it is the most that came by one port. A quarter of all is for ports by which few wait, however many others scan. What does not fit is refused, never what already waits: the first packets of a connection are worth more than its retransmissions.
 *
 * A held frame is `held` in the ledger from `push` until `take`, `takePort` or `takeAll` hands it back.
 */
import type { HeldFrame } from "../inject.ts";
import type { Ledger } from "../ledger.ts";
import type { EntryKey } from "./adjacency.ts";

export const PENDING_PER_TARGET = 16;
export const PENDING_PER_PORT = 256;
export const PENDING_IN_ALL = 1024;
export const PENDING_BYTES = 3 << 20;
export const PENDING_BYTES_PER_PORT = PENDING_BYTES >> 2;
/** By a quiet port fewer wait. */
export const PENDING_OF_QUIET_PORT = PENDING_PER_TARGET;

export class PendingQueues {
  private readonly ledger: Ledger;
  private readonly queues = new Map<EntryKey, HeldFrame[]>();
  private readonly ofPort = new Map<number, { frames: number; bytes: number }>();
  private count = 0;
  private bytes = 0;
  /** Frames that did not fit, ever. */
  refused = 0;

  constructor(ledger: Ledger) {
    this.ledger = ledger;
  }

  /** Frames waiting, for all targets. */
  get size(): number {
    return this.count;
  }

  /** Keep a copy of `frame` for `target` (a neighbour key). @returns false when a bound is reached. */
  push(target: EntryKey, frame: HeldFrame): boolean {
    const queue = this.queues.get(target);
    const fromPort = this.ofPort.get(frame.port) ?? { frames: 0, bytes: 0 };
    // The last quarter is for quiet ports.
    const parts = fromPort.frames < PENDING_OF_QUIET_PORT ? 4 : 3;
    const isFull =
      (queue !== undefined && queue.length >= PENDING_PER_TARGET) ||
      fromPort.frames >= PENDING_PER_PORT ||
      fromPort.bytes + frame.bytes.length > PENDING_BYTES_PER_PORT ||
      this.count >= (PENDING_IN_ALL >> 2) * parts ||
      this.bytes + frame.bytes.length > (PENDING_BYTES >> 2) * parts;
    if (isFull) {
      this.refused++;
      return false;
    }
    const copy: HeldFrame = { ...frame, bytes: frame.bytes.slice() };
    if (queue === undefined) this.queues.set(target, [copy]);
    else queue.push(copy);
    fromPort.frames++;
    fromPort.bytes += copy.bytes.length;
    this.ofPort.set(frame.port, fromPort);
    this.count++;
    this.bytes += copy.bytes.length;
    this.ledger.held += copy.units;
    return true;
  }

  /** Does anything wait for `target`? */
  has(target: EntryKey): boolean {
    return this.queues.has(target);
  }

  /** All that waits for `target`, oldest first; it waits no longer. */
  take(target: EntryKey): readonly HeldFrame[] {
    const queue = this.queues.get(target);
    if (queue === undefined) return [];
    this.queues.delete(target);
    for (const frame of queue) this.forget(frame);
    return queue;
  }

  /** All that came by bridge port `port`, whose row is about to belong to somebody else. */
  takePort(port: number): readonly HeldFrame[] {
    return this.takeWhere((frame) => frame.port === port);
  }

  /** All that came in by VSI `vsi`. */
  takeVsi(vsi: number): readonly HeldFrame[] {
    return this.takeWhere((frame) => frame.vsi === vsi);
  }

  private takeWhere(isMeant: (frame: HeldFrame) => boolean): readonly HeldFrame[] {
    const taken: HeldFrame[] = [];
    for (const [target, queue] of this.queues) {
      const rest = queue.filter((frame) => !isMeant(frame));
      if (rest.length === queue.length) continue;
      for (const frame of queue) if (isMeant(frame)) taken.push(frame);
      if (rest.length === 0) this.queues.delete(target);
      else this.queues.set(target, rest);
    }
    for (const frame of taken) this.forget(frame);
    return taken;
  }

  private forget(frame: HeldFrame): void {
    const left = this.ofPort.get(frame.port)!;
    left.frames--;
    left.bytes -= frame.bytes.length;
    if (left.frames === 0) this.ofPort.delete(frame.port);
    this.count--;
    this.bytes -= frame.bytes.length;
    this.ledger.held -= frame.units;
  }
}
