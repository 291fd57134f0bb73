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

/** Do leases of strict ACs outlive the process? `path` null: nowhere; `failed`: why they could not be written. */
export function checkLeases(
  path: string | null,
  failed: string | null,
  strict: readonly string[],
  bindings: readonly Binding[],
): Check[] {
  const isStrict = new Set(strict);
  const leases = bindings.filter(({ source, ac }) => source === "dhcp" && isStrict.has(ac)).length;
  if (failed !== null && path !== null)
    return [warn("leases", `${path} could not be written: ${failed}`, "make the folder writable for vtepd")];
  if (leases === 0) return [];
  if (path !== null) return [ok("leases", `${plural(leases, "lease")} of strict ACs, kept in ${path}`)];
  const text = `${plural(leases, "lease")} of strict ACs, kept in memory alone: a restart forgets them until their owners speak`;
  return [warn("leases", text, "add stateDirectory, a folder that vtepd may write")];
}
