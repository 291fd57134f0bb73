/**
 * What the kernel and the addon give this gateway: wanted and used offloads, how often one was given up, buffers.
 *
 * An offload that is wanted and not in use is no fault: the same work is done in software, and its probe or its fallback
 * says why.
 */

import type { Features } from "../api/schema.ts";
import type { Config } from "../control/plan.ts";
import type { Workers } from "./workers.ts";

export function featuresOf(workers: Workers, config: Config): Features {
  const drops = workers.receiveDrops();
  return {
    offloads: Object.entries(config.underlay.offload).map(([name, wanted]) => ({
      name,
      wanted,
      inUse: workers.features.every(({ offload }) => offload[name as keyof typeof offload]),
    })),
    probes: workers.probed.probes.map((probe) => ({ ...probe })),
    fallbacks: Array.from(workers.fallbacks(), ([cause, count]) => ({ cause, count })),
    workers: workers.receiveBuffers.map((receiveBuffer, worker) => ({
      worker,
      receiveBuffer,
      receiveDrops: drops[worker] ?? 0,
    })),
  };
}
