/**
 * A forwarding thread that waits for its work (worker.ts).
 *
 * Node takes 100 ms to bring a thread to its first line, and main longer to load the configuration's schema and to check
 * the file. So the first thread is made before that, and both are ready at the same time: after a crash, hosts wait for
 * the slower one and not for the sum.
 */
import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import type { ThreadKind } from "../dataplane/worker.ts";

export function forwardingThread(worker = 0): Worker {
  const bundle = createRequire(import.meta.url).resolve("#worker"); // package.json: the same file for sources, dist and bundle
  const workerData: ThreadKind = { forwards: true };
  return new Worker(bundle, { workerData, name: `worker ${worker}` });
}
