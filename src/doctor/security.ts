/** The doctor about port security: which AC sends from an address that is not bound to it, and which AC cannot send yet. */
import type { Binding } from "../api/bindings.ts";
import { type Check, ok, warn } from "../api/schema-doctor.ts";
import type { OffenderView } from "../control/security/offenders.ts";
import { plural } from "../wire/plural.ts";
import { longAgo, RECENT_SECONDS } from "./drops.ts";

/** @param strict names of the ACs with antiSpoof: strict. */
export function checkSecurity(
  strict: readonly string[],
  bindings: readonly Binding[],
  offenders: readonly OffenderView[],
): Check[] {
  if (strict.length === 0) return [];
  const bound = new Set(bindings.map(({ ac }) => ac));
  const silent = strict.filter((ac) => !bound.has(ac));
  const yet = silent.length === 0 ? "" : `; ${silent.join(", ")} can send DHCP alone: no lease yet`;
  const enforced = bindings.filter((binding) => binding.enforced).length;
  const checks = [ok("port security", `${plural(enforced, "binding")} at ${plural(strict.length, "strict AC")}${yet}`)];
  for (const { ac, mac, ip, why, secondsAgo } of offenders) {
    const as = ip === null ? mac : `${ip} (${mac})`;
    const text = `a frame as ${as}, dropped: ${why}; ${longAgo(secondsAgo)} ago`;
    const entry = `{mac: "${mac}", ip: ${ip ?? "ADDRESS"}}`;
    const fix = `is it right? then add ${entry} to bindings of AC ${ac}; else see what runs in that VM`;
    checks.push(secondsAgo > RECENT_SECONDS ? ok(`port security ${ac}`, text) : warn(`port security ${ac}`, text, fix));
  }
  return checks;
}
