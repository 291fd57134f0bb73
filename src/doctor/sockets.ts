/**
 * The doctor, about the sockets' folders: a member of a group that may write there can remove a socket and bind one of their
 * own in its place, and then hears what was meant for the gateway. `vtepctl attach` does not fall for it (ctl/gateway-user.ts);
 * its VM is cut off all the same.
 */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { Check } from "../api/schema-doctor.ts";
import type { Config } from "../control/plan.ts";
import { ok, warn } from "./check.ts";

const STICKY = 0o1000;
const OTHERS_WRITE = 0o022;

/** One line for each socket of the configuration whose folder is there. */
export function checkSockets({ control, attach }: Pick<Config, "control" | "attach">): Check[] {
  const sockets = [["control", control.socket] as const, ["attach", attach?.socket] as const];
  return sockets.flatMap(([name, path]) => (path === undefined ? [] : checkFolder(`${name} socket`, dirname(path))));
}

function checkFolder(name: string, folder: string): Check[] {
  let mode: number;
  try {
    ({ mode } = statSync(folder));
  } catch {
    return []; // the daemon makes it
  }
  const shown = (mode & 0o7777).toString(8);
  if ((mode & STICKY) !== 0 || (mode & OTHERS_WRITE) === 0)
    return [ok(name, `${folder} (mode ${shown}) is its owner's`)];
  const text = `${folder} has mode ${shown}: others than its owner can put a socket of their own in place of ours`;
  return [warn(name, text, `chmod go-w ${folder}`)];
}
