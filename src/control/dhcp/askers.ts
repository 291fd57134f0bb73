/**
 * Questions of clients that a server may still answer: bounded, the oldest goes first.
 *
 * The transaction's number is chosen by the client and sent to the servers alone (RFC 2131 §4.4.1, RFC 8415 §8): an answer that has it comes from one that
 * got the question. Without it a VM that sends as a server could bind what it likes to any AC.
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { AcPort, InterfaceObject, PortObject } from "../inventory.ts";

const MOST = 4096;
/** A client asks again after 64 seconds at most (RFC 2131 §4.1), one of DHCPv6 more often when it is new (RFC 8415 §18.2.1). */
const LASTS_MS = 64_000;

/** Who asked, and where. */
export interface Asker {
  readonly port: AcPort;
  readonly mac: Mac;
}

export class Askers {
  private readonly of = new Map<string, Asker & { readonly atMs: number }>();

  /** @param question what the client is known by, and its number of the transaction; it is the client's choice. */
  asked(iface: InterfaceObject, question: string, { port, mac }: Asker, nowMs: number): void {
    const key = `${iface.row} ${question}`;
    this.of.delete(key);
    this.of.set(key, { port, mac, atMs: nowMs });
    if (this.of.size > MOST) this.of.delete(this.of.keys().next().value!);
  }

  /** null: that was not asked lately. */
  find(iface: InterfaceObject, question: string, nowMs: number): Asker | null {
    const asker = this.of.get(`${iface.row} ${question}`);
    return asker !== undefined && nowMs - asker.atMs < LASTS_MS ? asker : null;
  }

  forget(port: PortObject): void {
    for (const [key, asker] of this.of) if (asker.port === port) this.of.delete(key);
  }
}
