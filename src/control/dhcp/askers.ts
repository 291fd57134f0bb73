/**
 * Questions of clients that a server may still answer: bounded, the oldest goes first.
 *
 * The transaction's number is chosen by the client and sent to the servers alone (RFC 2131 §4.4.1): an answer that has it comes from one that
 * got the question. Without it a VM that sends as a server could bind what it likes to any AC.
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { AcPort, InterfaceObject, PortObject } from "../inventory.ts";

const MOST = 4096;
/** A client asks again after 64 seconds at most (RFC 2131 §4.1). */
const LASTS_MS = 64_000;

/** Whose question: the client's MAC and its number of the transaction (xid), behind a VSI-interface. */
interface Question {
  readonly chaddr: Mac;
  readonly xid: number;
}

export class Askers {
  private readonly of = new Map<string, { readonly port: AcPort; readonly atMs: number }>();

  asked(iface: InterfaceObject, question: Question, port: AcPort, nowMs: number): void {
    const key = keyOf(iface, question);
    this.of.delete(key);
    this.of.set(key, { port, atMs: nowMs });
    if (this.of.size > MOST) this.of.delete(this.of.keys().next().value!);
  }

  /** The AC by which it came; null: that was not asked lately. */
  find(iface: InterfaceObject, question: Question, nowMs: number): AcPort | null {
    const asker = this.of.get(keyOf(iface, question));
    return asker !== undefined && nowMs - asker.atMs < LASTS_MS ? asker.port : null;
  }

  forget(port: PortObject): void {
    for (const [key, asker] of this.of) if (asker.port === port) this.of.delete(key);
  }
}

function keyOf(iface: InterfaceObject, { chaddr, xid }: Question): string {
  return `${iface.row} ${chaddr} ${xid}`;
}
