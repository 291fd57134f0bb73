/**
 * BFD inside VXLAN (RFC 8971): frames of the management VNI go to the thread of BFD by a ring of their own, since a main thread that is
 * late must not take a peer for dead. No tenant is in that VNI, so nothing of it is ever forwarded (§4); what is in the frame is
 * that thread's to judge. Each tunnel has a rate of its own, which nothing else of its peer can use up.
 */
import { DROP, PUNT, RX_BYTES, RX_PACKETS } from "../tables/counters.ts";
import { R_ARG, R_ARG2, R_KIND, R_PORT, R_VSI } from "../tables/ring.ts";
import { MOST_BFD_FRAME } from "../wire/bfd-vxlan.ts";
import { copy } from "../wire/bytes.ts";
import type { WorkerContext } from "./context.ts";
import { type Fate, type Frame, PUNTED } from "./frame.ts";

export function toBfd(worker: WorkerContext, f: Frame): Fate {
  if (f.chain !== 0 || f.length > MOST_BFD_FRAME) return DROP.unknown_vni;
  if (!worker.policer.admitBfd(f.port)) return DROP.punt_limited;
  const { bfds, bfdBell } = worker.tables;
  const ring = bfds[worker.index]!;
  const r = ring.reserve(f.length);
  if (r < 0) return DROP.punt_ring_full;
  const w = ring.words;
  w[r + R_KIND] = PUNT.bfd;
  w[r + R_PORT] = f.port;
  w[r + R_VSI] = 0;
  w[r + R_ARG] = 0;
  w[r + R_ARG2] = 0;
  copy(ring.bytes, ring.frameAt(r), f.bytes, f.at, f.length);
  ring.commit();
  Atomics.add(bfdBell, 0, 1);
  Atomics.notify(bfdBell, 0);
  worker.lastPunt = PUNT.bfd;
  const { ports, punted } = worker.counters;
  const p = f.port << 2;
  ports[p + RX_PACKETS]! += f.units;
  ports[p + RX_BYTES]! += f.length;
  punted[PUNT.bfd]! += f.units;
  return PUNTED;
}
