/** Whether a frame is for the gateway itself, by its destination MAC. */
import { MAC_GATEWAY, macKey } from "../tables/mac.ts";
import type { WorkerContext } from "./context.ts";
import type { Frame } from "./frame.ts";

/** Is the frame for our gateway MAC? From a tunnel, for ours alone and not for a peer's. */
export function isToGateway(worker: WorkerContext, f: Frame): boolean {
  const value = worker.macs.get(f.dstLo, macKey(f.vsi, f.dstHi));
  return (value & MAC_GATEWAY) !== 0 && (f.fromTunnel === 0 || (value & 0xffff) === 0);
}
