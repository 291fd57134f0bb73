/**
 * The doctor, about the sockets' folders: a member of a group that may write there can remove a socket and bind one of their
 * own in its place, and then hears what was meant for the gateway. `vtepctl attach` does not fall for it (ctl/gateway-user.ts);
 * its VM is cut off all the same.
 */
import { lstatSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Status } from "../api/schema.ts";
import { type Check, fail, ok, warn } from "../api/schema-doctor.ts";
import type { Config } from "../control/plan.ts";

const STICKY = 0o1000;
const OTHERS_WRITE = 0o022;

/** One line for each socket of the configuration whose folder is there. */
export function checkSockets({ control, attach }: Pick<Config, "control" | "attach">): Check[] {
  const sockets = [
    ["control", control.socket] as const,
    ["observe", control.observe?.socket] as const,
    ["attach", attach?.socket] as const,
  ];
  return sockets.flatMap(([name, path]) => (path === undefined ? [] : checkFolder(`${name} socket`, dirname(path))));
}

/** Which sockets are open, and are they still there as they were made? */
export function checkOpen(sockets: Status["sockets"]): Check[] {
  const found = sockets.flatMap(({ name, path, readOnly }) => {
    const wanted = name === "control" ? 0o600 : 0o660;
    const mode = modeOf(path);
    const key = `${name} socket`;
    if (mode === null) return [fail(key, `${path} is gone: clients get no answer there`, "restart vtepd")];
    if ((mode & ~wanted) === 0) return readOnly ? checkReach(key, path) : [];
    const text = `${path} has mode ${mode.toString(8)}, wider than it was made`;
    return [warn(key, text, `chmod ${wanted.toString(8)} ${path}`)];
  });
  const open = sockets.map(({ name, path, group, readOnly }) =>
    readOnly ? `${name} ${path} (reads, for group ${group ?? "of the daemon"})` : `${name} ${path}`,
  );
  return found.length > 0 ? found : [ok("sockets", `open: ${open.join(", ")}`)];
}

/** Those who may look must be able to walk to the socket. */
function checkReach(key: string, path: string): Check[] {
  const folder = dirname(path);
  const { mode, gid } = statSync(folder);
  const { gid: group } = lstatSync(path);
  if ((mode & 0o001) !== 0 || (gid === group && (mode & 0o010) !== 0)) return [];
  const text = `${folder} (mode ${(mode & 0o7777).toString(8)}) keeps the socket's group ${group} out`;
  return [warn(key, text, `chmod o+x ${folder}, or give control.observe a folder that this group can enter`)];
}

function modeOf(path: string): number | null {
  try {
    const stat = lstatSync(path);
    return stat.isSocket() ? stat.mode & 0o777 : null;
  } catch {
    return null;
  }
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
