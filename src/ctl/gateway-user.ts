/**
 * Is it the gateway that listens on the attach socket, or somebody who has put a socket of their own in its place?
 *
 * A process that is given the TAP reads and writes all frames of the VM. The kernel says which user called listen(2) on the socket
 * (SO_PEERCRED, unix(7)), and only the owner of a folder is expected to serve in it: a neighbour who can write there (another
 * container with the same volume, a member of the group) is another user. In a folder like /tmp, which is everybody's, the
 * socket must be root's or the caller's own. `--gateway-user` decides where both are wrong.
 */
import { lstatSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { peerOf } from "../io/handover.ts";

const STICKY = 0o1000;

/** Why the process behind the connected socket `fd` is not given anything, in words; null: it is the gateway. */
export function whyNotGateway(fd: number, path: string, gatewayUser: number | null): string | null {
  const { uid, pid } = peerOf(fd);
  const who = `what answers at ${path} runs as user ${uid}${pid > 0 ? ` (pid ${pid})` : ""}`;
  if (gatewayUser !== null) return uid === gatewayUser ? null : `${who}, not as user ${gatewayUser}`;
  const socket = realpathSync(path);
  const folder = statSync(dirname(socket));
  if ((folder.mode & STICKY) === 0)
    return uid === folder.uid ? null : `${who}, and its folder belongs to user ${folder.uid}`;
  const { uid: owner } = lstatSync(socket);
  const isOurs = owner === 0 || owner === process.geteuid!();
  return isOurs && uid === owner ? null : `${who}, in a folder that is everybody's`;
}

/** "4789" or "vtepd" as a user's number; null: there is no such user. */
export function userNumber(text: string): number | null {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name, , uid] = line.split(":");
    if (name === text) return Number(uid);
  }
  return null;
}
