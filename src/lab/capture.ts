/**
 * Captures: every frame of a device, with the moment it was seen.
 *
 * The packet library `cap` runs in a child of its own, one per device, inside the device's namespace (ctl/sniffer.ts): it
 * aborts its process when the device goes down and cannot be reopened safely, so it must never live with anything
 * that matters. Where `cap` is not installed tcpdump takes its place, and the report says so.
 *
 * A capture is ready when the kernel's socket is open, not when the child was started; nothing sent after `open`
 * resolves can be missed. The end is a quiet spell, not a fixed time: see `untilQuiet`.
 */
import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { pause, until, within } from "./deadline.ts";
import type { Captured } from "./frame.ts";
import { inside } from "./namespace.ts";
import { follow } from "./process.ts";
import { isInRoom } from "./state.ts";

/** The built child, from wherever this file runs: dist, or src in a test. */
const SNIFFER = fileURLToPath(new URL("../../dist/ctl/sniffer.js", import.meta.url));

/** tcpdump becomes user tcpdump, who does not exist in a user namespace. */
const AS_ROOT = isInRoom ? ["-Z", "root"] : [];

export type Tool = "cap" | "tcpdump";

/** `cap` when its native part loads here, else tcpdump when present; an error when neither is there. */
export function captureTool(): Tool {
  const require = createRequire(import.meta.url);
  try {
    const script = require.resolve("cap");
    if (existsSync(script.replace(/lib\/Cap\.js$/, "build/Release/cap.node"))) return "cap";
  } catch {
    // an optional dependency
  }
  if ((process.env.PATH ?? "").split(":").some((folder) => existsSync(`${folder}/tcpdump`))) return "tcpdump";
  throw new Error("neither the npm package cap (needs libpcap-dev) nor tcpdump is installed: nothing can be captured");
}

export interface Capture {
  readonly namespace: string;
  readonly device: string;
  readonly frames: Captured[];
  /** Stop and wait for the child's end. */
  stop(): Promise<void>;
  /** Why it ended by itself; undefined while it runs or after `stop`. */
  failure(): string | undefined;
}

/** Start capturing and wait until the first frame could be seen. */
export async function openCapture(
  namespace: string,
  device: string,
  tool: Tool,
  onFrame: (frame: Captured) => void = () => {},
): Promise<Capture> {
  const [program, args] =
    tool === "cap"
      ? inside(namespace, process.execPath, [SNIFFER, device])
      : inside(namespace, "tcpdump", [...AS_ROOT, "-i", device, "-n", "-U", "-s", "0", "--immediate-mode", "-w", "-"]);
  const child = follow(program, args);
  const frames: Captured[] = [];
  const take = (frame: Captured) => {
    frames.push(frame);
    onFrame(frame);
  };
  const read = tool === "cap" ? recordReader(take) : pcapReader(take);
  let words = "";
  let isReady = false;
  let isStopping = false;
  let failure: string | undefined;
  child.stdout!.on("data", (chunk: Buffer) => read(chunk));
  child.stderr!.on("data", (chunk: Buffer) => {
    words += chunk.toString();
    if (/^(ready|.*listening on)/m.test(words)) isReady = true;
  });
  const ended = new Promise<void>((resolve) => {
    child.on("close", (status) => {
      if (!isStopping) failure = `capture of ${device} in ${namespace} ended (${status}): ${words.trim().slice(-300)}`;
      resolve();
    });
    child.on("error", (error) => {
      failure = error.message;
      resolve();
    });
  });
  await until(`capture of ${device} in ${namespace}`, 10_000, () => isReady || failure !== undefined, 5);
  if (failure !== undefined) throw new Error(failure);
  return {
    namespace,
    device,
    frames,
    failure: () => failure,
    async stop() {
      isStopping = true;
      child.stdin.end();
      if (tool === "tcpdump") child.kill("SIGTERM");
      try {
        await within("end of capture", 2000, ended);
      } catch {
        child.kill("SIGKILL"); // cap's close can hang
        await ended;
      }
    },
  };
}

/** Wait until no capture has seen a frame for `quietMs`, at most `deadlineMs`. */
export async function untilQuiet(captures: readonly Capture[], quietMs: number, deadlineMs: number): Promise<void> {
  const end = performance.now() + deadlineMs;
  const count = () => captures.reduce((sum, capture) => sum + capture.frames.length, 0);
  let last = count();
  let since = performance.now();
  while (performance.now() < end && performance.now() - since < quietMs) {
    await pause(20);
    const now = count();
    if (now !== last) {
      last = now;
      since = performance.now();
    }
  }
}

/** Bytes from a pipe come in any portions; `take` gets as many whole items as there are and returns the bytes it used. */
function reader(take: (bytes: Buffer) => number): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const used = take(rest);
      if (used === 0) return;
      rest = rest.subarray(used);
    }
  };
}

/** ctl/sniffer.ts writes records: length (4 bytes), nanoseconds of the monotonic clock (8), the frame. */
export const RECORD_HEAD = 12;

function recordReader(onFrame: (frame: Captured) => void): (chunk: Buffer) => void {
  return reader((bytes) => {
    if (bytes.length < RECORD_HEAD) return 0;
    const end = RECORD_HEAD + bytes.readUInt32BE(0);
    if (bytes.length < end) return 0;
    onFrame({ atMs: Number(bytes.readBigUInt64BE(4)) / 1e6, bytes: Uint8Array.from(bytes.subarray(RECORD_HEAD, end)) });
    return end;
  });
}

const PCAP_HEAD = 24;
const PCAP_RECORD_HEAD = 16;
const PCAP_MAGIC = 0xa1b2c3d4;

/** tcpdump's stream: libpcap's classic format in this machine's byte order, wall-clock microseconds. */
function pcapReader(onFrame: (frame: Captured) => void): (chunk: Buffer) => void {
  let isHeadRead = false;
  return reader((bytes) => {
    if (!isHeadRead) {
      if (bytes.length < PCAP_HEAD) return 0;
      if (bytes.readUInt32LE(0) !== PCAP_MAGIC) throw new Error("tcpdump wrote something else than a pcap stream");
      isHeadRead = true;
      return PCAP_HEAD;
    }
    if (bytes.length < PCAP_RECORD_HEAD) return 0;
    const end = PCAP_RECORD_HEAD + bytes.readUInt32LE(8);
    if (bytes.length < end) return 0;
    const wallMs = bytes.readUInt32LE(0) * 1000 + bytes.readUInt32LE(4) / 1000;
    onFrame({ atMs: wallMs - wallOffsetMs(), bytes: Uint8Array.from(bytes.subarray(PCAP_RECORD_HEAD, end)) });
    return end;
  });
}

/** Wall clock minus the monotonic clock of `process.hrtime`. */
export function wallOffsetMs(): number {
  return Date.now() - Number(process.hrtime.bigint()) / 1e6;
}

/** A capture file for Wireshark: libpcap's classic format, Ethernet. */
export function pcapBytes(frames: readonly Captured[]): Buffer {
  const head = Buffer.alloc(PCAP_HEAD);
  head.writeUInt32LE(PCAP_MAGIC, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65_535, 16);
  head.writeUInt32LE(1, 20);
  const offset = wallOffsetMs();
  const parts = [head];
  for (const frame of frames) {
    const record = Buffer.alloc(PCAP_RECORD_HEAD);
    const wallMs = frame.atMs + offset;
    record.writeUInt32LE(Math.floor(wallMs / 1000), 0);
    record.writeUInt32LE(Math.floor((wallMs % 1000) * 1000), 4);
    record.writeUInt32LE(frame.bytes.length, 8);
    record.writeUInt32LE(frame.bytes.length, 12);
    parts.push(record, Buffer.from(frame.bytes));
  }
  return Buffer.concat(parts);
}

export function writePcap(file: string, frames: readonly Captured[]): void {
  writeFileSync(file, pcapBytes(frames), { mode: 0o600 });
}
