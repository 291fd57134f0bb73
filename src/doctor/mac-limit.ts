/** The doctor, about MACs that a limit kept from being learned: what is sent to them is flooded for as long as that lasts. */
import type { Check } from "../api/schema-doctor.ts";
import type { Shown } from "../api/shown.ts";
import { plural } from "../wire/plural.ts";
import { ok, warn } from "./check.ts";
import { longAgo, RECENT_SECONDS } from "./drops.ts";

export function checkMacLimit(limit: ReturnType<Shown["macLimits"]>[number]): Check {
  const { vsi, mac, via, key, most, times, secondsAgo } = limit;
  const name = `MACs of ${vsi}`;
  const place = via.kind === "ac" ? `AC ${via.name}` : `tunnel ${via.name}`;
  const known = `${key} (${most}) is reached`;
  const text = `${plural(times, "time")} a MAC was not learned, the last ${mac} at ${place}: ${known}`;
  if (secondsAgo > RECENT_SECONDS) return ok(name, `${text}; the last ${longAgo(secondsAgo)} ago`);
  const where = key === "mac.limit" ? `mac.limit of ${vsi}` : key;
  return warn(
    name,
    `${text}; frames to it are flooded`,
    `raise ${where}, or see what sends from so many MACs at ${place}`,
  );
}
