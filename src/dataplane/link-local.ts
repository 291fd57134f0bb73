/** Addresses of a link (RFC 4291 §2.5.6), and which of them is a VSI-interface's own. */
import type { WorkerContext } from "./context.ts";
import type { Frame } from "./frame.ts";

/** fe80::/10, by the first word of an address. */
export function isLinkLocal(first: number): boolean {
  return (first & 0xffc00000) === (0xfe800000 | 0);
}

/** Is the address at `at` the link-local one of this VSI-interface? That of an L3VNI has none, nor has number 0. */
export function isOwnLinkLocal(worker: WorkerContext, f: Frame, at: number, iface: number): boolean {
  const view = f.view;
  const own = worker.interfaces.linkLocal;
  const n = iface << 1;
  if (view.getInt32(at) !== (0xfe800000 | 0) || view.getInt32(at + 4) !== 0) return false;
  if ((own[n]! | own[n + 1]!) === 0) return false;
  return view.getInt32(at + 8) === own[n] && view.getInt32(at + 12) === own[n + 1];
}
