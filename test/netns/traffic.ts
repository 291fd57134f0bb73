/**
 * Traffic between the machines of a bed, by programs that are not ours: ping for reachability, TTL and ICMP errors; a
 * TCP stream with a hash on both ends; tcpdump's files read by tshark, whose idea of a header is independent of ours.
 */
import type { ChildProcess } from "node:child_process";
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { pause, until, within } from "../../src/lab/deadline.ts";
import { must, run } from "../../src/lab/process.ts";
import type { Bed } from "./bed.ts";

const TCP_HASH = fileURLToPath(new URL("tcp-hash.mjs", import.meta.url));

// ---- ping --------------------------------------------------------------------------------------------------------

export interface PingOptions {
  readonly count?: number;
  /** IP packet length, headers included; ping's default is 84. */
  readonly length?: number;
  /** `do`: DF set; `dont`: DF clear; default: what the kernel likes. */
  readonly df?: "do" | "dont";
  readonly ttl?: number;
  readonly intervalSeconds?: number;
  /**
   * Send `count`, not more, and give up soon after the last: for when no answer is expected. Otherwise every one of the
   * first `count` is waited for, and while one is missing ping goes on sending. Default: when there is a `waitSeconds`.
   */
  readonly isExact?: boolean;
  /** How long ping waits when nothing at all is answered. */
  readonly waitSeconds?: number;
}

export interface Pinged {
  readonly sent: number;
  /** TTL of each answer, in their order. */
  readonly ttls: readonly number[];
  readonly rttsMs: readonly number[];
  /** ICMP errors and local complaints: "From 10.1.1.1 icmp_seq=1 Time to live exceeded" without the sequence. */
  readonly errors: readonly string[];
  readonly text: string;
}

const IP_AND_ICMP_BYTES = 28;

export async function ping(bed: Bed, from: string, target: string, options: PingOptions = {}): Promise<Pinged> {
  const { count = 3, length, df, ttl, intervalSeconds = 0.1, waitSeconds } = options;
  const { isExact = count === 1 || waitSeconds !== undefined } = options;
  const args = ["-n", "-c", String(count), "-i", String(intervalSeconds)];
  // With -W ping leaves two round trips after the last echo, which on a busy machine is before the answer; with -w it stays
  // until `count` are answered, but ends at the first error.
  args.push(...(isExact ? ["-W", String(waitSeconds ?? 2)] : ["-w", String(Math.ceil(count * intervalSeconds) + 4)]));
  if (length !== undefined) args.push("-s", String(length - IP_AND_ICMP_BYTES));
  if (df !== undefined) args.push("-M", df);
  if (ttl !== undefined) args.push("-t", String(ttl));
  const { stdout, stderr } = await bed.run(from, "ping", [...args, target], 15_000 + count * 1000 * intervalSeconds);
  const text = `${stdout}${stderr}`;
  const all = [...text.matchAll(/icmp_seq=(\d+) ttl=(\d+) time[=<]([\d.]+) ms(.*)/g)];
  const foul = all.find(([, , , , rest]) => rest !== "");
  if (foul !== undefined) throw new Error(`ping ${target} in ${from}: ${foul[0]}`); // "(DUP!)", "(BAD CHECKSUM)"
  const answers = all.filter(([, sequence]) => Number(sequence) <= count);
  return {
    sent: Number(/(\d+) packets transmitted/.exec(text)?.[1] ?? 0),
    ttls: answers.map(([, , ttl]) => Number(ttl)),
    rttsMs: answers.map(([, , , rtt]) => Number(rtt)),
    errors: text
      .split("\n")
      .filter((line) => /^From |^ping: (local|sendmsg|send)/.test(line))
      .map((line) => line.replace(/icmp_seq=\d+ /, "").trim()),
    text,
  };
}

// ---- TCP ---------------------------------------------------------------------------------------------------------

export interface Hashed {
  readonly bytes: number;
  readonly sha256: string;
}

export interface Stream {
  /** Say end-of-stream to a paced sender. */
  finish(): void;
  /** Give up: both ends are killed. */
  abort(): void;
  /** Bytes that have arrived so far, to a quarter of a megabyte. */
  arrived(): number;
  /** What was sent and what arrived, once both have ended. */
  readonly result: Promise<{ readonly sent: Hashed; readonly got: Hashed }>;
}

let nextPort = 20_000;

/** One TCP stream from a machine to an address of another; `amount` in bytes, or "paced": about 3 MB/s until `finish`. */
export async function openStream(
  bed: Bed,
  from: string,
  to: string,
  address: string,
  amount: number | "paced",
): Promise<Stream> {
  const port = String(nextPort++);
  const server = bed.follow(to, process.execPath, [TCP_HASH, "serve", address, port]);
  const served = collect(`TCP server in ${to}`, server);
  await until(`TCP server in ${to}`, 20_000, () => served.text().includes("listening\n") || server.exitCode !== null);
  const client = bed.follow(from, process.execPath, [TCP_HASH, "send", address, port, String(amount)]);
  const sent = collect(`TCP sender in ${from}`, client);
  const abort = () => {
    client.kill("SIGKILL");
    server.kill("SIGKILL");
  };
  const result = (async () => {
    try {
      return { sent: await sent.result, got: await served.result };
    } finally {
      abort();
    }
  })();
  result.catch(() => {}); // the caller that asks for it gets the error
  return {
    finish: () => client.stdin.end(),
    abort,
    arrived: () => Number([...served.text().matchAll(/^at (\d+)$/gm)].at(-1)?.[1] ?? 0),
    result,
  };
}

function collect(what: string, child: ChildProcess) {
  let text = "";
  let complaint = "";
  child.stdout!.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr!.on("data", (chunk: Buffer) => (complaint += chunk.toString()));
  const result = new Promise<Hashed>((resolve, reject) => {
    child.on("close", (code) => {
      const report = /^\{.*\}$/m.exec(text);
      if (code === 0 && report !== null) resolve(JSON.parse(report[0]) as Hashed);
      else reject(new Error(`${what} ended with ${code}: ${complaint.trim()}`));
    });
  });
  result.catch(() => {});
  return { text: () => text, result };
}

/** `bytes` over TCP; an error when it takes longer than `deadlineMs` or an end complains. */
export async function transfer(
  bed: Bed,
  from: string,
  to: string,
  address: string,
  bytes: number,
  deadlineMs = 20_000,
): Promise<{ readonly sent: Hashed; readonly got: Hashed }> {
  const stream = await openStream(bed, from, to, address, bytes);
  try {
    return await within(`${bytes} bytes from ${from} to ${to}`, deadlineMs, stream.result);
  } finally {
    stream.abort();
  }
}

// ---- captures, read by strangers ---------------------------------------------------------------------------------

export interface Dump {
  readonly file: string;
  /** Stop writing; every frame seen is in the file. */
  stop(): Promise<void>;
}

const QUIET_LOOK_MS = 30;
const QUIET_LOOKS = 4;

/** tcpdump of a device into a file of the bed. Resolves when the kernel hands frames to it. */
export async function openDump(
  bed: Bed,
  namespace: string,
  device: string,
  filter = "",
  direction: "in" | "inout" = "inout",
): Promise<Dump> {
  const file = `${bed.folder}/${namespace}-${device}-${nextPort++}.pcap`;
  // -Z root: the folder is ours alone. -B: a TCP transfer must not overrun the capture; -s: nor waste its ring.
  const args = [
    "-i",
    device,
    "-Q",
    direction,
    "-n",
    "-U",
    "-s",
    "2000",
    "-B",
    "32768",
    "-Z",
    "root",
    "--immediate-mode",
    "-w",
    file,
  ];
  const child = bed.follow(namespace, "tcpdump", [...args, ...(filter === "" ? [] : [filter])]);
  let words = "";
  child.stderr!.on("data", (chunk: Buffer) => (words += chunk.toString()));
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
  await until(`tcpdump on ${device} in ${namespace}`, 5000, () => {
    if (child.exitCode !== null) throw new Error(words);
    return words.includes("listening on");
  });
  return {
    file,
    async stop() {
      // A frame that is seen may still wait to be written: the end of the capture is when its file has stopped growing.
      for (let size = -1, same = 0; same < QUIET_LOOKS; await pause(QUIET_LOOK_MS)) {
        const now = statSync(file).size;
        same = now === size ? same + 1 : 0;
        size = now;
      }
      child.kill("SIGINT");
      await within("end of tcpdump", 5000, closed);
      const lost = /(\d+) packets dropped by kernel/.exec(words);
      if (lost !== null && lost[1] !== "0") throw new Error(`tcpdump on ${device} in ${namespace}: ${lost[0]}`);
    },
  };
}

/** How many frames of a capture fit a BPF expression. */
export async function countFrames(file: string, bpf: string): Promise<number> {
  const text = await must("tcpdump", ["-n", "-r", file, "--count", bpf]);
  return Number(/^(\d+) packet/m.exec(text)![1]);
}

/** Read a capture with tshark, all checksums verified: one row per frame that fits the display filter. */
export async function dissect(
  file: string,
  filter: string,
  fields: readonly string[],
): Promise<Record<string, readonly string[]>[]> {
  const checks = ["ip", "udp", "tcp"].flatMap((protocol) => ["-o", `${protocol}.check_checksum:TRUE`]);
  const args = [
    "-n",
    "-r",
    file,
    "-d",
    "udp.port==4789,vxlan",
    ...checks,
    "-Y",
    filter,
    "-T",
    "fields",
    "-E",
    "occurrence=a",
    "-E",
    "aggregator=|",
  ];
  // -2 and reassembly would blame a frame for its neighbours.
  const off = ["-o", "ip.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"];
  const outcome = await run("tshark", [...args, ...off, ...fields.flatMap((field) => ["-e", field])], 30_000);
  if (outcome.status !== 0) throw new Error(`tshark: ${outcome.stderr}`);
  return outcome.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const cells = line.split("\t");
      return Object.fromEntries(
        fields.map((field, i) => [field, (cells[i] ?? "").split("|").filter((cell) => cell !== "")]),
      );
    });
}
