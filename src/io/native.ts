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
import type { PortIo } from "./port-io.ts";
import * as contract from "./port-io.ts";
import { SAFE_SEGMENT_CAP } from "./probe.ts";

export { errnoText, IoError } from "./addon.ts";

/** End the process at once; unlike `process.exit` it joins no thread, and a stuck one would keep that waiting for ever. */
export function exitNow(code: number): never {
  return addon().exitNow(code);
}

/** Send `text` to the service manager that listens on `socketPath` (sd_notify). 0, or a negative errno. */
export function notify(socketPath: string, text: string): number {
  return addon().notify(socketPath, text);
}

// ---- TAPs ------------------------------------------------------------------------------------------------------

export interface TapRequest {
  device: string;
  /** A name under /run/netns, or a path such as /proc/PID/ns/net. Absent: the daemon's own namespace. */
  netns?: string;
  /** The device outlives the process (and a kill -9); reopening it by name takes it over again. */
  persist?: boolean;
  /**
   * Open a multi-queue device with so many fds, one per worker. Absent: one queue, one fd. A persistent device that was
   * made with one queue stays so: then there is one fd.
   */
  queues?: number;
}

export interface Tap {
  fds: number[];
  ifindex: number;
}

const TAP_FIXES: Record<string, string> = {
  EPERM: "run with CAP_NET_ADMIN (and CAP_SYS_ADMIN to enter another namespace), or hand the TAP over by its fd",
  EACCES: "run with CAP_NET_ADMIN, and check the owner of /dev/net/tun",
  EBUSY: "another process has the device open: stop it, or give the device another name",
  EINVAL: "the name is too long, or a device of another kind has it: delete it with `ip link del`",
  ENODEV: "load the tun module: modprobe tun",
  ENXIO: "load the tun module: modprobe tun",
  EXDEV: "the device was moved to another namespace: delete it there, or name that namespace",
  EBADFD: "the device was deleted: open it again",
};

function tapFixes(request: TapRequest, step: string): Record<string, string> {
  if (step === "open network namespace") return { ENOENT: `create it with: ip netns add ${request.netns}` };
  if (step === "open /dev/net/tun") {
    return { ...TAP_FIXES, ENOENT: "make the device: mkdir -p /dev/net && mknod /dev/net/tun c 10 200" };
  }
  return TAP_FIXES;
}

function netnsPath(netns: string | undefined): string {
  if (netns === undefined || netns === "") return "";
  return netns.includes("/") ? netns : `/run/netns/${netns}`;
}

/** Create or take over a TAP. Throws IoError. The fds are non-blocking and the caller's to close. */
export function openTap(request: TapRequest): Tap {
  const persist = request.persist ?? false;
  const out = addon().openTap(request.device, netnsPath(request.netns), persist, request.queues ?? 0);
  if (out[0] < 0) {
    const step = String(out[1]);
    const where = request.netns ? ` in namespace ${request.netns}` : "";
    fail(`TAP ${request.device}${where}`, out[0], step, tapFixes(request, step));
  }
  return { ifindex: out[0], fds: out.slice(1) as number[] };
}

export interface TapSettings {
  mtu?: number;
  /** Frames the kernel queues toward us; at least 1000, because the ring drops instead of pushing back. */
  txQueueLength?: number;
  up?: boolean;
  carrier?: boolean;
}

/** Set properties of the device behind `fd`, in whatever namespace it is. Throws IoError. */
export function setTap(fd: number, settings: TapSettings): void {
  const flag = (value: boolean | undefined): number => (value === undefined ? -1 : value ? 1 : 0);
  const { mtu = -1, txQueueLength = -1 } = settings;
  const out = addon().setTap(fd, mtu, txQueueLength, flag(settings.up), flag(settings.carrier));
  if (out[0] < 0) fail(`TAP fd ${fd}`, out[0], String(out[1]), TAP_FIXES);
}

/** Bits of TUNSETOFFLOAD; old kernel headers lack the USO ones. */
export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
export const TUN_F_TSO_ECN = 0x08;
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

/** Tell the kernel what we can take from this TAP. 0, or a negative errno. */
export function setTapOffload(fd: number, flags: number): number {
  return addon().setTapOffload(fd, flags);
}

export interface TapInfo {
  device: string;
  /** IFF_* flags of TUNGETIFF. */
  flags: number;
  /** Bytes of the virtio header, 0 without one. */
  vnetHdrBytes: number;
  /** Is the interface up (IFF_UP), in whatever namespace it is? Before Linux 5.2 always true. */
  up: boolean;
}

/** Which device is behind `fd` (for fds handed over by others). Throws IoError. */
export function tapInfo(fd: number): TapInfo {
  const out = addon().tapInfo(fd);
  if (out[0] < 0) fail(`TAP fd ${fd}`, out[0], "ask the TAP device", TAP_FIXES);
  return { flags: out[0], vnetHdrBytes: out[1] as number, device: out[2] as string, up: out[3] === 1 };
}

// ---- the underlay ----------------------------------------------------------------------------------------------

export interface UnderlayRequest {
  address: string;
  port: number;
  sourcePorts: { first: number; count: number };
  receiveBuffer?: number;
  sendBuffer?: number;
  /** Send outer UDP checksum zero (excludes UDP GSO). */
  zeroChecksum?: boolean;
  /** Others will be opened `beside` this one. */
  isShared?: boolean;
  /** Another worker's, opened with `isShared`: receive on its port too, send from the same source ports. */
  beside?: Underlay;
}

export interface Underlay {
  fd: number;
  txFds: number[];
  /** What the kernel granted, in bytes. */
  receiveBuffer: number;
  sendBuffer: number;
}

const UNDERLAY_FIXES: Record<string, string> = {
  EADDRINUSE:
    "another process (or a kernel vxlan device) has the port: find it with `ss -ulpn`, or change underlay.port",
  EADDRNOTAVAIL: "no interface has this address: add it, or change underlay.address",
  EACCES: "the port is privileged: use CAP_NET_BIND_SERVICE, or a port above 1023",
  EINVAL: "underlay.address must be an IPv4 or IPv6 address, and sourcePorts.count 1 to 64",
};

/** Open the receive socket and the pool of sending sockets. Throws IoError. */
export function openUnderlay(request: UnderlayRequest): Underlay {
  const { address, port, sourcePorts, receiveBuffer = 8 << 20, sendBuffer = 4 << 20 } = request;
  const { zeroChecksum = false, beside } = request;
  const isShared = beside !== undefined || request.isShared === true;
  const { first, count } = sourcePorts;
  const like = Int32Array.from(beside?.txFds ?? []);
  const buffers = [receiveBuffer, sendBuffer] as const;
  const out = addon().openUnderlay(address, port, first, count, ...buffers, zeroChecksum, isShared, like);
  if (out[0] < 0) fail(`underlay ${address} port ${port}`, out[0], String(out[1]), UNDERLAY_FIXES);
  const [fd, granted, sending, ...txFds] = out as number[];
  return { fd: fd!, receiveBuffer: granted!, sendBuffer: sending!, txFds };
}

/** The interface that owns a local address, and its MTU. Throws IoError. */
export function deviceMtuFor(address: string): { device: string; ifindex: number; mtu: number } {
  const out = addon().deviceMtuFor(address);
  if (out[0] < 0) fail(`underlay ${address}`, out[0], "find its interface", UNDERLAY_FIXES);
  return { ifindex: out[0], mtu: out[1] as number, device: out[2] as string };
}

/** The path MTU the kernel believes in (ask after an -EMSGSIZE). Positive, or a negative errno. */
export function pathMtu(local: string, remote: string): number {
  return addon().pathMtu(local, remote);
}

/** Datagrams the kernel dropped at a socket because its buffer was full. */
export function socketDrops(fd: number): number {
  return addon().socketDrops(fd);
}

/** An eventfd that wakes a worker out of its wait. Throws IoError. */
export function openDoorbell(): number {
  const fd = addon().openDoorbell();
  if (fd < 0) fail("doorbell", fd, "open an eventfd", {});
  return fd;
}

/** Wake whoever waits on this doorbell. Any thread; 0 or a negative errno. */
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
 * Take one message from a Unix socket that nobody reads (`pauseOnConnect`). Undefined while nothing is there; throws
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

/** What the operator allows (configuration `underlay.offload`); what the kernel refuses is switched off and counted. */
export interface Offload {
  /** Take TSO super-frames from TAPs. */
  tapTso: boolean;
  /** Take USO super-frames from TAPs, and give them joined UDP (Linux ≥ 6.2). */
  tapUso: boolean;
  /** Join received inner segments to super-frames. */
  coalesce: boolean;
  /** Send many datagrams with one call (UDP_SEGMENT; needs outer checksums). */
  udpGso: boolean;
  /** Receive many datagrams as one (UDP_GRO). */
  udpGro: boolean;
}

/**
 * Switches that this kernel must not be trusted with, by its release ("6.18.4-generic").
 *  - Linux 7.0.0 to 7.1.4 corrupts UDP headers of UDP_SEGMENT sends, which nothing at run time can tell (datapath T4).
 *  - Before 5.12 UDP_GRO could hand over datagrams of a tunnel merged wrongly (datapath §8).
 */
export function refusedByKernel(release: string): (keyof Offload)[] {
  const [major = 0, minor = 0, patch = 0] = release.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0);
  const version = (major << 16) | (minor << 8) | Math.min(patch, 255);
  const refused: (keyof Offload)[] = [];
  if (version >= 0x070000 && version <= 0x070104) refused.push("udpGso");
  if (version < 0x050c00) refused.push("udpGro");
  return refused;
}

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
