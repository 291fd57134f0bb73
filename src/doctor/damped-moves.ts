/** The doctor, about hosts that move too often to be believed: two of them have one MAC or one address, or the VSI has a loop. */
import { type Check, ok, warn } from "../api/schema-doctor.ts";
import type { Shown } from "../api/shown.ts";
import { portText } from "../control/event.ts";
import { plural } from "../wire/plural.ts";
import { longAgo, RECENT_SECONDS } from "./drops.ts";

export function checkDampedMoves(move: ReturnType<Shown["dampedMoves"]>[number]): Check {
  const { vsi, host, from, to, times, secondsAgo } = move;
  const name = `moves in ${vsi}`;
  const [stays, heard] = [portText(from), portText(to)];
  const where =
    from.name === to.name ? `it changes its MAC at ${stays}` : `it stays at ${stays}, and was heard at ${heard}`;
  const text = `${plural(times, "move")} not believed, five in 180 s are; the last of ${host}: ${where}`;
  if (secondsAgo > RECENT_SECONDS) return ok(name, `${text}; the last ${longAgo(secondsAgo)} ago`);
  return warn(name, text, `is ${host} at both places? give one host another, or look for a loop between them`);
}
