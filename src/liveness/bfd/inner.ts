/** Frames of BFD inside VXLAN as the forwarding threads hand them over: one ring of each, and the bell that says so. */
import { R_LENGTH, R_PORT } from "../../tables/ring.ts";
import type { Tables } from "../../tables/tables.ts";
import type { Inner } from "./speaker.ts";

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
