/** ACs that send from their bindings alone. */
import type { AcPort, VsiObject } from "../inventory.ts";

export function isStrict(port: AcPort): boolean {
  return port.config.antiSpoof === "strict";
}

/** One subnet, one set of addresses. */
export function isSameNetwork(a: VsiObject, b: VsiObject): boolean {
  return a === b || (a.interface !== null && a.interface === b.interface);
}
