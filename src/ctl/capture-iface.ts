/**
 * `vtepctl capture --iface DEVICE`: what is on a kernel interface, outer headers and all, as a pcap file.
 *
 * It needs no daemon, only the right to capture. The packet library `cap` runs in a child (sniffer.ts), never here: it aborts
 * its process when the device goes down, and its close may hang. So the child's end is the capture's end: an orderly one when
 * we asked for it, an error with its last words when not; a child that does not end in time is killed.
 *
 * libpcap has no filter for VXLAN, so `--vni` becomes arithmetic: behind the UDP header (8 bytes) come the flags (4) and the
 * VNI (24 bits) with a reserved byte (RFC 7348 §5). libpcap's `udp[…]` means IPv4 alone; over IPv6 the same bytes are
 * counted from the IPv6 header, which has no extensions in front of VXLAN.
 *
 * The file is libpcap's classic format with nanoseconds; times are those at which the child read a frame.
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { capIsBuilt, fixForCap } from "../io/how-to-build.ts";
import { EXIT, Refusal } from "./client.ts";

/** The built child, from wherever this file runs: dist, or src in a test. */
const SNIFFER = fileURLToPath(new URL("../../dist/ctl/sniffer.js", import.meta.url));
/** sniffer.ts: length (4 bytes), nanoseconds of the monotonic clock (8), the frame. */
const RECORD_HEAD = 12;
const PCAP_HEAD = 24;
const PCAP_RECORD_HEAD = 16;
const PCAP_NANOSECONDS = 0xa1b23c4d;
const LONGEST = 65_535;
const LINK_ETHERNET = 1;
const END_MS = 1000;

export interface IfaceOptions {
  readonly device: string;
  /** Only VXLAN of this VNI; null: everything. */
  readonly vni: number | null;
  /** UDP port of VXLAN. */
  readonly port: number;
  /** A file, or "-" for stdout. */
  readonly write: string;
  /** End after so many frames, or seconds; null: on a signal. */
  readonly count: number | null;
  readonly seconds: number | null;
}

/** The libpcap expression for one VNI, over IPv4 and IPv6. */
export function vniFilter(vni: number, port: number): string {
  const word = `0x${(vni * 256).toString(16).padStart(8, "0")}`;
  const over4 = `(udp dst port ${port} and udp[12:4] & 0xffffff00 = ${word})`;
  const over6 = `(ip6 and ip6[6] = 17 and ip6[42:2] = ${port} and ip6[52:4] & 0xffffff00 = ${word})`;
  return `${over4} or ${over6}`;
}

/** The head of a capture file. */
export function pcapHead(): Buffer {
  const head = Buffer.alloc(PCAP_HEAD);
  head.writeUInt32LE(PCAP_NANOSECONDS, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(LONGEST, 16);
  head.writeUInt32LE(LINK_ETHERNET, 20);
  return head;
}

/** One frame of it. `at`: nanoseconds since 1970. */
export function pcapRecord(at: bigint, frame: Uint8Array): Buffer {
  const record = Buffer.alloc(PCAP_RECORD_HEAD + frame.length);
  record.writeUInt32LE(Number(at / 1_000_000_000n), 0);
  record.writeUInt32LE(Number(at % 1_000_000_000n), 4);
  record.writeUInt32LE(frame.length, 8);
  record.writeUInt32LE(frame.length, 12);
  record.set(frame, PCAP_RECORD_HEAD);
  return record;
}

/** Hand every whole record in `bytes` to `take` (false: enough). @returns how many bytes were used. */
export function readRecords(bytes: Buffer, take: (monotonicNs: bigint, frame: Buffer) => boolean): number {
  let at = 0;
  while (bytes.length - at >= RECORD_HEAD) {
    const end = at + RECORD_HEAD + bytes.readUInt32BE(at);
    if (end > bytes.length) break;
    const isMore = take(bytes.readBigUInt64BE(at + 4), bytes.subarray(at + RECORD_HEAD, end));
    at = end;
    if (!isMore) break;
  }
  return at;
}

/** Capture until enough, a signal, or the end of the reader. @returns frames written. Throws a Refusal. */
export function captureIface(options: IfaceOptions): Promise<number> {
  const { device, vni, port, count, seconds } = options;
  if (!capIsBuilt())
    throw new Refusal("cap_missing", "the npm package cap is not built here", fixForCap(), EXIT.permission);
  if (!existsSync(`/sys/class/net/${device}`)) {
    throw new Refusal("not_found", `there is no interface ${device}`, "ip link lists them", EXIT.notFound);
  }
  const out = options.write === "-" ? 1 : openSync(options.write, "w", 0o600);
  const wall = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
  return new Promise((resolve, reject) => {
    const filter = vni === null ? "" : vniFilter(vni, port);
    const child = spawn(process.execPath, [SNIFFER, device, filter], { stdio: ["pipe", "pipe", "pipe"] });
    let words = "";
    let rest: Buffer = Buffer.alloc(0);
    let frames = 0;
    let isOver = false;
    let timer: NodeJS.Timeout | undefined;
    const stop = () => {
      if (isOver) return;
      isOver = true;
      child.stdin.end();
      setTimeout(() => child.kill("SIGKILL"), END_MS).unref();
    };
    const store = (bytes: Buffer) => {
      try {
        writeAll(out, bytes);
      } catch (error) {
        // The reader of the pipe has gone: that is an end like any other.
        if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
        stop();
      }
    };
    store(pcapHead());
    child.stdout.on("data", (chunk: Buffer) => {
      if (isOver) return;
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const used = readRecords(rest, (at, frame) => {
        store(pcapRecord(wall + at, frame));
        frames++;
        if (frames === count) stop();
        return !isOver;
      });
      rest = rest.subarray(used);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-2000);
      // The time counts from when a frame could be seen.
      if (seconds !== null && timer === undefined && /^ready$/m.test(words)) timer = setTimeout(stop, seconds * 1000);
    });
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stop);
      if (out !== 1) closeSync(out);
      if (isOver) resolve(frames);
      else reject(endOf(device, code, words));
    });
  });
}

/** The child has ended by itself. */
function endOf(device: string, code: number | null, words: string): Refusal {
  const last = words
    .split("\n")
    .filter((line) => line !== "" && line !== "ready")
    .at(-1);
  if (last !== undefined && /permission|not permitted/i.test(last)) {
    return new Refusal("permission", last, "run as root, or with CAP_NET_RAW", EXIT.permission);
  }
  const why = last ?? (code === null ? "its process was aborted: did the interface go down?" : `code ${code}`);
  return new Refusal("capture", `the capture of ${device} ended: ${why}`, "", EXIT.failure);
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      // A full pipe: the reader is slower than the wire for a moment.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}
