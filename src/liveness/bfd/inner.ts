/**
 * Frames of BFD inside VXLAN: those that the forwarding threads hand over, by one ring of each, and the count of those that leave.
 */
import { INJECT, TX_BYTES, TX_PACKETS } from "../../tables/counters.ts";
import { R_LENGTH, R_PORT } from "../../tables/ring.ts";
import type { Tables } from "../../tables/tables.ts";
import { VXLAN_HEADER_BYTES } from "../../wire/vxlan.ts";
import type { Inner, SessionRequest } from "./speaker.ts";

/** Of one ring at a time: a flood must not keep what is due waiting. */
const MOST_READ = 128;

/** Take what is there. @returns whether more is. */
export function receiveInner({ bfds, ports }: Tables, take: (inner: Inner) => void): boolean {
  let isMore = false;
  for (const ring of bfds) {
    for (let n = 0; n < MOST_READ; n++) {
      const record = ring.peek();
      if (record < 0) break;
      const at = ring.frameAt(record);
      const slot = ports.session[ring.words[record + R_PORT]!]!;
      take({ bytes: ring.bytes, at, end: at + ring.words[record + R_LENGTH]!, slot });
      ring.release(record);
    }
    isMore ||= !ring.isEmpty;
  }
  return isMore;
}

/**
 * A datagram of `bytes` has left for the session, by no forwarding thread: it is the tunnel's all the same, injected and sent at once. What
 * a session says that its tunnel has left counts for none: the row may be another tunnel's soon.
 */
export function countSent({ bfdCounters, ports }: Tables, { slot, port = 0 }: SessionRequest, bytes: number): void {
  if (port === 0 || ports.session[port] !== slot) return;
  bfdCounters.injected[INJECT.bfd]!++;
  bfdCounters.sent[0]!++;
  bfdCounters.ports[port * 4 + TX_PACKETS]!++;
  bfdCounters.ports[port * 4 + TX_BYTES]! += bytes - VXLAN_HEADER_BYTES;
}
