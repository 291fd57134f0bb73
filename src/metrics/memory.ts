/**
 * Memory of the process with its share of what it shares: 48 MB are Node's own text, which all gateways of a machine have once.
 *
 * The resident size counts that whole for each of them (process_resident_memory_bytes); the proportional one, divided by those who
 * share it, can be added up (proc(5), smaps_rollup).
 */
import { readFileSync } from "node:fs";
import type { Row } from "../api/feature.ts";
import type { Features } from "../api/schema.ts";

/** Kilobytes of one line of /proc/PID/smaps_rollup in bytes; undefined: it is not there. */
export function proportionalBytes(rollup: string): number | undefined {
  const found = /^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1];
  return found === undefined ? undefined : Number(found) * 1024;
}

/** That of this process; null before Linux 4.14, which has no such file. */
function ownProportional(): number | null {
  try {
    return proportionalBytes(readFileSync("/proc/self/smaps_rollup", "utf8")) ?? null;
  } catch {
    return null;
  }
}

export const ownMemory = (): Features["memory"] => ({
  resident: process.memoryUsage.rss(),
  proportional: ownProportional(),
});

export const MEMORY_ROW: Row = {
  kind: "gauge",
  name: "vtep_memory_proportional_bytes",
  help: "Resident memory with what is shared divided by those who share it (PSS): of several gateways it adds up",
  labels: [],
  *values() {
    const bytes = ownProportional();
    if (bytes !== null) yield [{}, bytes];
  },
};
