/** The doctor about loops: ACs of one VSI that are bridged together behind our back. */
import type { Loop } from "../api/loops.ts";
import { type Check, warn } from "../api/schema-doctor.ts";
import { longAgo } from "./drops.ts";

export function checkLoops(loops: readonly Loop[]): Check[] {
  return loops.map(({ vsi, acs: [ac, other], sinceSeconds }) => {
    const where = ac === other ? `behind AC ${ac}, which sends back what it gets` : `between AC ${ac} and AC ${other}`;
    const text = `a loop ${where}, for ${longAgo(sinceSeconds)}; what they flood is limited, and they teach no MAC of others`;
    const one = ac === other ? "the AC's interface" : "one of the two";
    return warn(
      `loop in ${vsi}`,
      text,
      `take ${one} out of the bridge in the VM, or one AC out of ${vsi}, or run STP there`,
    );
  });
}
