/**
 * TAPs that come from elsewhere: what both sides of the attach socket need of sockets and file descriptors.
 *
 * A message is one sendmsg: a text, and at most one fd (native.ts `sendFd`, `receiveFd`). Node itself must not read the
 * gateway's side of such a socket, since its read(2) throws the fds away; so connections are taken with
 * `pauseOnConnect`, watched with `watchReadable`, and read with `receiveFd`.
 *
 * An fd from another process is a claim until the kernel has said what it is: `whyNoTap`. It also stays the other's as
 * much as ours (dup(2)): the flags of the open file are shared.
 */
import type { Socket } from "node:net";
import { addon, fail } from "./addon.ts";
import { type TapInfo, tapInfo } from "./tap.ts";

/** linux/if_tun.h */
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;

/** The file descriptor under a connected socket of Node, which has no public name; -1 once it is closed. */
export function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
}

/**
 * Call `readable` whenever `fd` can be read or its other side is gone, until the returned function is called. Nothing else
 * in this process may watch the fd meanwhile. Throws IoError.
 */
export function watchReadable(fd: number, readable: () => void): () => void {
  const stop = addon().watchReadable(fd, readable, false);
  if (typeof stop === "number") fail(`fd ${fd}`, stop, "watch it", {});
  return stop;
}

/** The process at the other end of a connected Unix socket, as the kernel says: who connected, or who called listen(2). */
export interface PeerProcess {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Throws IoError. */
export function peerOf(socketFd: number): PeerProcess {
  const out = addon().peerOf(socketFd);
  if (out[0] < 0) fail("attach socket", out[0], String(out[1]), {});
  const [pid, uid, gid] = out as [number, number, number];
  return { pid, uid, gid };
}

/** Why `fd` cannot be the TAP of an AC, in words; null if it can. */
export function whyNoTap(fd: number): string | null {
  let flags: number;
  let vnetHdrBytes: number;
  try {
    ({ flags, vnetHdrBytes } = tapInfo(fd));
  } catch {
    return "this file descriptor is no TAP device";
  }
  if ((flags & IFF_TAP) === 0) return "this is a TUN device: it carries IP packets, a TAP carries frames";
  if ((flags & IFF_NO_PI) === 0) return "the TAP must be opened with IFF_NO_PI";
  if ((flags & IFF_VNET_HDR) === 0) return "the TAP must be opened with IFF_VNET_HDR: it carries the offloads";
  if (vnetHdrBytes !== 10 && vnetHdrBytes !== 12)
    return `the TAP's virtio header must be 10 or 12 bytes, not ${vnetHdrBytes}`;
  return null;
}

/** Does the device behind `fd` still exist? It goes with its namespace, or by `ip link del`, while fds stay open. */
export function isTapThere(fd: number): boolean {
  return tapOrNull(fd) !== null;
}

/** The device behind `fd`; null when it exists no more. */
export function tapOrNull(fd: number): TapInfo | null {
  try {
    return tapInfo(fd);
  } catch {
    return null;
  }
}
