/**
 * The addon as JavaScript sees it, and errno as words.
 *
 * Loaded at first use, so that everything which only names these types works without it. A set-up call of the addon
 * answers `[value, …]` or `[negative errno, step]`; `fail` makes an error of the latter that says what failed, where,
 * and what to do. The numbers of the contract are compared once: an addon built for other numbers is refused.
 */
import { createRequire } from "node:module";
import { getSystemErrorMap, getSystemErrorName } from "node:util";
import { buildOf } from "./how-to-build.ts";
import * as contract from "./port-io.ts";

// ---- errors ----------------------------------------------------------------------------------------------------

/** A set-up call failed. `code` is the errno's name, `errno` its negative value, `step` what the addon was doing. */
export class IoError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly step: string;
  constructor(code: string, errno: number, step: string, message: string) {
    super(message);
    this.name = "IoError";
    this.code = code;
    this.errno = errno;
    this.step = step;
  }
}

/** "ENODEV (no such device)" for -19. */
export function errnoText(errno: number): string {
  const known = getSystemErrorMap().get(errno);
  return known === undefined ? `errno ${-errno}` : `${known[0]} (${known[1]})`;
}

/** Throw the IoError of a failed set-up call; `fixes` says what to do, by errno name. */
export function fail(subject: string, errno: number, step: string, fixes: Record<string, string>): never {
  const name = getSystemErrorMap().has(errno) ? getSystemErrorName(errno) : `E${-errno}`;
  const fix = fixes[name];
  throw new IoError(name, errno, step, `${subject}: cannot ${step}: ${errnoText(errno)}${fix ? `; ${fix}` : ""}`);
}

// ---- the addon -------------------------------------------------------------------------------------------------

export type Outcome = [number, ...(number | string)[]];

export interface NativeIo {
  exchange(sendCount: number, timeoutMs: number): number;
  attachTap(port: number, fd: number): number;
  attachTapToWrite(port: number, fd: number): number;
  attachPeer(port: number, at: number, addressLength: number, udpPort: number): number;
  detach(port: number): void;
  gather(chain: number, at: number): number;
  portError(port: number): number;
  setInnerMtu(mtu: number): void;
  features(): number[];
  destroy(): void;
}

export interface Addon {
  contract: Record<string, number>;
  openTap(device: string, netnsPath: string, persist: number, queues: number): Outcome;
  setTap(fd: number, mtu: number, txQueueLength: number, up: number, carrier: number, persist: number): Outcome;
  setTapOffload(fd: number, flags: number): number;
  tapInfo(fd: number): Outcome;
  openUnderlay(
    address: string,
    port: number,
    first: number,
    count: number,
    receiveBuffer: number,
    sendBuffer: number,
    zeroChecksum: boolean,
    acceptsZero: boolean,
    shared: boolean,
    like: Int32Array,
  ): Outcome;
  deviceMtuFor(address: string): Outcome;
  pathMtu(local: string, remote: string): number;
  socketDrops(fd: number): number;
  /** [most datagrams, errno that more met] or [errno, step]. */
  probeSegments(): Outcome;
  /** [in a namespace of its own, errno of TCP over IPv4, of TCP over IPv6, of UDP] or [errno, step]. */
  probeTap(): Outcome;
  openDoorbell(): number;
  ring(fd: number): number;
  closeFd(fd: number): number;
  sendFd(socketFd: number, fd: number, text: string): number;
  receiveFd(socketFd: number): Outcome;
  peerOf(socketFd: number): Outcome;
  /** `urgent`: also when something lies in its error queue. */
  watchReadable(fd: number, readable: () => void, urgent: boolean): (() => void) | number;
  /** [fd, identifier] or [errno, step]. */
  openEcho(address: string): Outcome;
  sendEcho(fd: number, target: string, icmp: Uint8Array): number;
  /** Sequence, MTU or -1, source; sequence, …. */
  receiveEchoes(fd: number): (number | string)[];
  /** [fd] or [errno, step]. */
  openHopUdp(address: string, port: number): Outcome;
  sendHopUdp(fd: number, target: string, port: number, bytes: Uint8Array): number;
  /** @returns how many records were filled. */
  receiveHopUdp(fd: number, records: Uint8Array): number;
  notify(socketPath: string, text: string): number;
  /** [tid, errno of the priority, errno of the processors]; policy 0: leave it, 1: nice, 2: FIFO. */
  scheduleThread(policy: number, value: number, cpus: Int32Array): [number, number, number];
  threadWaits(): number;
  trimFrom(bytes: number): void;
  pageSkew(view: Uint8Array): number;
  exitNow(code: number): never;
  createIo(
    arena: Uint8Array,
    scratchAt: number,
    frames: Int32Array,
    sends: Int32Array,
    status: Int32Array,
    underlayFd: number,
    txFds: Int32Array,
    doorbellFd: number,
    innerMtu: number,
    features: number,
    segmentCap: number,
    tapRefuses: number,
  ): NativeIo | number;
}

let loaded: Addon | undefined;

/** Where it may be, by names of package.json: compiled here, or brought by a release for this kind of machine. */
function places(): readonly string[] {
  const named = process.env.VTEPD_ADDON;
  return named === undefined ? ["#addon", `#prebuilt/linux-${process.arch}-glibc`] : [named];
}

/** The first that loads, and why those before it do not. */
function load(): { readonly found: Addon; readonly path: string } {
  const require = createRequire(import.meta.url);
  const reasons: string[] = [];
  for (const path of places())
    try {
      return { found: require(path) as Addon, path };
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const isThere = code !== "MODULE_NOT_FOUND";
      // In a source tree nothing is prebuilt, and that says nothing.
      if (isThere || reasons.length === 0) reasons.push(`${path}: ${message.split("\n")[0]}`);
    }
  const text = `cannot load the native addon ${reasons.join("; ")}; run: ${buildOf("addon")}`;
  throw new IoError("ERR_ADDON", 0, "load the addon", text);
}

/** The addon, loaded at first use. Throws IoError ERR_ADDON when it is not built, or was built for another contract. */
export function addon(): Addon {
  if (loaded !== undefined) return loaded;
  const { found, path } = load();
  const ours = contract as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(found.contract)) {
    if (ours[name] === value) continue;
    const text = `the native addon ${path} was built for another version (${name}); run: ${buildOf("addon")}`;
    throw new IoError("ERR_ADDON", 0, "compare the contract", text);
  }
  loaded = found;
  return found;
}
