/** The doctor, about the forwarding threads: does each make progress? */

import type { Status } from "../api/schema.ts";
import type { Check } from "../api/schema-doctor.ts";
import { fail, ok } from "./check.ts";

export function checkWorkers({ workers, stuckWorkers }: Status): Check {
  if (stuckWorkers.length === 0) return ok("workers", `${workers} of ${workers} make progress`);
  const text = stuckWorkers
    .map(({ worker, seconds }) => `worker ${worker} forwards nothing for ${seconds} s`)
    .join("; ");
  const fix = "after 10 s the process ends and its supervisor starts a new one; report it with `vtepctl bugreport`";
  return fail("workers", text, fix);
}
