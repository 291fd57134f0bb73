/**
 * Settling accounts: what became of the send records of the last exchange.
 *
 * A frame counts as sent only when the io says so; what the kernel refused is dropped by name. Done in one pass behind
 * the exchange, so that counters never go back.
 */

import { S_DONE, S_ERROR, S_LENGTH, S_UNITS, SEND_WORDS, STATUS_FAILED } from "../io/port-io.ts";
import { DROP, TX_BYTES, TX_PACKETS } from "../tables/counters.ts";
import { KIND_TUNNEL } from "../tables/vsi.ts";
import type { WorkerContext } from "./context.ts";
import { dropSent } from "./drop.ts";
import { tellTooBig } from "./punt.ts";
import { OWN_BYTES, OWN_PORT, OWN_VSI } from "./send-words.ts";

const EAGAIN = -11;
const EMSGSIZE = -90;
const ENOBUFS = -105;

/** Count the outcome of the `count` send records of the exchange that has just returned. */
export function settle(worker: WorkerContext, count: number): void {
  const s = worker.io.sends;
  const { ports, vsis, sent } = worker.counters;
  let left = 0;
  for (let i = 0; i < count * SEND_WORDS; i += SEND_WORDS) {
    const done = s[i + S_DONE]!;
    const units = s[i + S_UNITS]!;
    const all = s[i + OWN_BYTES]!;
    // A super-frame that left in part counts its bytes in proportion.
    const bytes = done === units ? all : Math.floor((all / units) * done);
    const p = s[i + OWN_PORT]! << 2;
    ports[p + TX_PACKETS]! += done;
    ports[p + TX_BYTES]! += bytes;
    const v = s[i + OWN_VSI]! << 2;
    vsis[v + TX_PACKETS]! += done;
    vsis[v + TX_BYTES]! += bytes;
    left += done;
  }
  sent[0]! += left;
  if (worker.io.status[STATUS_FAILED] !== 0) blame(worker, count);
}

/** The records that failed, each with its reason. */
function blame(worker: WorkerContext, count: number): void {
  const f = worker.frame;
  const s = worker.io.sends;
  for (let i = 0; i < count * SEND_WORDS; i += SEND_WORDS) {
    const missing = s[i + S_UNITS]! - s[i + S_DONE]!;
    if (missing === 0) continue;
    const errno = s[i + S_ERROR]!;
    const port = s[i + OWN_PORT]!;
    const tunnel = worker.tables.ports.kind[port] === KIND_TUNNEL;
    const reason = reasonOf(errno, tunnel);
    dropSent(worker, f, reason, missing, port, s[i + OWN_VSI]!, s[i + S_LENGTH]!);
    if (worker.watch !== 0) worker.watcher.refused(worker, f, reason, port, s[i + OWN_VSI]!, s[i + S_LENGTH]!);
    if (tunnel && errno === EMSGSIZE) tellTooBig(worker, f, port, s[i + S_LENGTH]!);
  }
}

function reasonOf(errno: number, tunnel: boolean): number {
  const full = errno === EAGAIN || errno === ENOBUFS;
  if (!tunnel) return full ? DROP.tap_full : DROP.tap_error;
  if (errno === EMSGSIZE) return DROP.too_big;
  return full ? DROP.tx_again : DROP.tx_error;
}
