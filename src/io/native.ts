/**
 * The real input and output: gives the functions of the addon typed names (addon.ts loads it).
 *
 * The addon has hands and no opinions. Set-up calls (`openTap`, `openUnderlay`, …) are made by the main thread, throw
 * an `IoError` that says what failed, where, and what to do; the file descriptors they return are plain numbers that
 * work in any thread of the process. `createPortIo` is called by the worker that will use it; nothing it returns ever
 * throws again: a negative number is an errno.
 *
 * Memory: the arena and the int32 columns are allocated here, once, and passed once; the addon keeps references to
 * them until `destroy()`. The arena starts on a page boundary, so that "64-byte aligned" is true of addresses, not
 * only of offsets. It is laid out as
 *
 *     [ datagram slots, one per message of a recvmmsg | TAP frames, packed densely | scratch: the data plane's own ]
 *
 * A slot holds the largest datagram (kernel VXLAN peers and UDP_GRO deliver 64 KB); the stride between slots is an odd
 * number of cache lines, so that the headers of 64 small datagrams do not fall into the same cache sets.
 *
 * Who may call what: an fd belongs to one worker once attached, but for the one fd of a TAP with one queue, which one worker
 * reads and all write (the kernel takes a frame whole). The owner of `openTap`'s fd closes it, after `detach`.
 */
import { release } from "node:os";
import { addon, fail } from "./addon.ts";
import { type Offload, refusedByKernel } from "./offload.ts";
import type { PortIo } from "./port-io.ts";
import * as contract from "./port-io.ts";
import { SAFE_SEGMENT_CAP } from "./probe.ts";

/** End the process at once; unlike `process.exit` it joins no thread, and a stuck one would keep that waiting for ever. */
export function exitNow(code: number): never {
  return addon().exitNow(code);
}

/** Send `text` to the service manager that listens on `socketPath` (sd_notify). 0, or a negative errno. */
export function notify(socketPath: string, text: string): number {
  return addon().notify(socketPath, text);
}

/** An eventfd that wakes a worker out of its wait. Throws IoError. */
export function openDoorbell(): number {
  const fd = addon().openDoorbell();
  if (fd < 0) fail("doorbell", fd, "open an eventfd", {});
  return fd;
}

/** Wake the thread that waits on this doorbell. Any thread; 0 or a negative errno. */
export function ring(fd: number): number {
  return addon().ring(fd);
}

/** close(2). 0 or a negative errno. */
export function closeFd(fd: number): number {
  return addon().closeFd(fd);
}

/**
 * Send a file descriptor and a text (at most 4 KB) over a connected Unix socket. 0, or a negative errno. The sender
 * keeps its own copy of the fd.
 */
export function sendFd(socketFd: number, fd: number, text: string): number {
  return addon().sendFd(socketFd, fd, text);
}

export interface ReceivedFd {
  /** Who connected, as the kernel says. */
  pid: number;
  uid: number;
  gid: number;
  /** -1 if the message brought none; else the receiver's to close. */
  fd: number;
  /** Empty: the other side closed the connection. */
  text: string;
}

/**
 * Take one message from a Unix socket that Node does not read (`pauseOnConnect`). Undefined while nothing is there; throws
 * IoError when the connection broke or the message brings more than one fd.
 */
export function receiveFd(socketFd: number): ReceivedFd | undefined {
  const out = addon().receiveFd(socketFd);
  if (out[0] === -11) return undefined;
  if (out[0] < 0) fail("attach socket", out[0], String(out[1]), { EPROTO: "send one file descriptor in one message" });
  const [pid, uid, gid, fd, text] = out as [number, number, number, number, string];
  return { pid, uid, gid, fd, text };
}

// ---- a worker's io ---------------------------------------------------------------------------------------------

/** Bit of each switch in the addon, see exchange.h. */
const OFFLOAD_BITS: Record<keyof Offload, number> = { tapTso: 1, tapUso: 2, coalesce: 4, udpGso: 8, udpGro: 16 };

/** Why an offload was given up, or a send done again; in the order of the addon's counters (exchange.h), then ours. */
export const FALLBACK_CAUSES = [
  "tap_uso_refused",
  "tap_tso_refused",
  "tap_gso_einval",
  "udp_gso_eio",
  "udp_gso_einval",
  "udp_gso_emsgsize",
  "udp_gso_refused",
  "udp_gro_refused",
  "send_retry",
  "udp_gro_doubt",
  "kernel_denied",
  "udp_gso_probe",
  "tap_gso_probe",
] as const;
export type FallbackCause = (typeof FALLBACK_CAUSES)[number];

export interface Features {
  /** What is in use now. */
  offload: Offload;
  /** Counters since creation. */
  fallbacks: Record<FallbackCause, number>;
}

export interface PortIoRequest {
  /** Absent: no tunnels (tests, and a gateway with local VSIs only). */
  underlay?: { fd: number; txFds: readonly number[] };
  doorbell: number;
  /** Largest inner IP packet that fits the underlay (its MTU - 50, or - 70 over IPv6); longer ones must be TSO frames. */
  innerMtu: number;
  /** Absent switches are off. */
  offload?: Partial<Offload>;
  /** What the start-up probes found (probe.ts); absent: what every kernel takes. */
  segmentCap?: number;
  tapRefuses?: number;
  /** Use offloads that this kernel release is known to break. */
  trustKernel?: boolean;
  arenaBytes?: number;
  scratchBytes?: number;
}

export interface NativePortIo extends PortIo {
  /** 0, or the negative errno at which a port's fd stopped working (-EBADFD: the TAP was deleted). */
  portError(port: number): number;
  setInnerMtu(mtu: number): void;
  /** Offloads in use and fallback counters; cheap, but allocates: for metrics, not for each batch. */
  features(): Features;
  /** Forget all ports and release the memory. fds stay open; later calls do nothing. */
  destroy(): void;
}

const ARENA_BYTES = 8 << 20;
const SCRATCH_BYTES = 1 << 20;
const PAGE = 4096;

/** Make a worker's io, in the worker's own thread. Throws IoError when the kernel refuses. */
export function createPortIo(request: PortIoRequest): NativePortIo {
  const arenaBytes = request.arenaBytes ?? ARENA_BYTES;
  const scratchAt = arenaBytes - (request.scratchBytes ?? SCRATCH_BYTES);
  const memory = new ArrayBuffer(arenaBytes + PAGE);
  const arena = new Uint8Array(memory, addon().pageSkew(new Uint8Array(memory)), arenaBytes);
  const frames = new Int32Array(contract.MAX_FRAMES * contract.FRAME_WORDS);
  const sends = new Int32Array(contract.MAX_SENDS * contract.SEND_WORDS);
  const status = new Int32Array(contract.STATUS_WORDS);
  const { fd, txFds } = request.underlay ?? { fd: -1, txFds: [] };
  const tx = Int32Array.from(txFds);
  const { doorbell, innerMtu } = request;
  const { segmentCap = SAFE_SEGMENT_CAP, tapRefuses = 0 } = request;
  const wanted = request.offload ?? {};
  const denied = request.trustKernel ? [] : refusedByKernel(release()).filter((name) => wanted[name]);
  const noGso = wanted.udpGso === true && segmentCap < 2;
  // A TAP that takes no super-frame at all makes joining them pointless.
  const noJoining = wanted.coalesce === true && tapRefuses === 3;
  const given: Partial<Offload> = { ...wanted };
  for (const name of denied) given[name] = false;
  if (noGso) given.udpGso = false;
  if (noJoining) given.coalesce = false;
  const bits = offloadBits(given);
  const io = addon().createIo(
    ...([arena, scratchAt, frames, sends, status, fd, tx, doorbell, innerMtu, bits, segmentCap, tapRefuses] as const),
  );
  if (typeof io === "number") fail("worker io", io, "set up the wait", { EINVAL: "the arena is too small" });
  const { exchange, attachTap, attachTapToWrite, attachPeer, detach, gather, portError, setInnerMtu, destroy } = io;
  const attaching = { attachTap, attachTapToWrite, attachPeer, detach };
  const calls = { exchange, ...attaching, gather, portError, setInnerMtu, destroy };
  return {
    arena,
    scratchAt,
    frames,
    sends,
    status,
    ...calls,
    features: () => describeFeatures([...io.features(), denied.length, noGso ? 1 : 0, tapRefuses === 0 ? 0 : 1]),
  };
}

function offloadBits(offload: Partial<Offload>): number {
  let bits = 0;
  for (const [name, bit] of Object.entries(OFFLOAD_BITS)) {
    if (offload[name as keyof Offload]) bits |= bit;
  }
  return bits;
}

function describeFeatures(words: number[]): Features {
  const bits = words[0]!;
  const on = Object.entries(OFFLOAD_BITS).map(([name, bit]) => [name, bits > 0 && (bits & bit) !== 0]);
  const counts = FALLBACK_CAUSES.map((cause, i) => [cause, words[i + 1] ?? 0]);
  return { offload: Object.fromEntries(on) as Offload, fallbacks: Object.fromEntries(counts) as Features["fallbacks"] };
}
