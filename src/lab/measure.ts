/**
 * Measuring between machines: ping (answers, TTL, round trip) and TCP throughput.
 *
 * The well-known programs are used where they are installed, so that our own need not be trusted; else the built-in
 * ones, children inside the machine's namespace like them: an ICMP prober on the `raw-socket` library (prober.ts) and
 * a TCP meter (tcp-meter.ts). The report says which it was.
 */
import { accessSync, constants } from "node:fs";
import { fileURLToPath } from "node:url";
import { until } from "./deadline.ts";
import { followIn, runIn } from "./namespace.ts";

export interface Echo {
  readonly sequence: number;
  readonly ttl: number;
  readonly rttMs: number;
}

export interface PingResult {
  readonly tool: "ping" | "built-in";
  readonly sent: number;
  readonly echoes: readonly Echo[];
  /** What the tool said, when an answer is missing. */
  readonly complaint: string;
}

export interface ThroughputResult {
  readonly tool: "iperf3" | "built-in";
  readonly bytes: number;
  readonly seconds: number;
  readonly megabitsPerSecond: number;
}

function has(program: string): boolean {
  return (process.env.PATH ?? "").split(":").some((folder) => {
    try {
      accessSync(`${folder}/${program}`, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const childScript = (name: string) => fileURLToPath(new URL(`../../dist/lab/${name}.js`, import.meta.url));

/** Ping `target` from a namespace `count` times; every echo is waited for at most two seconds. */
export async function ping(
  namespace: string,
  target: string,
  count: number,
  tool: PingResult["tool"] = has("ping") ? "ping" : "built-in",
): Promise<PingResult> {
  const deadlineMs = 5000 + count * 2000;
  if (tool === "built-in") {
    const args = [childScript("prober"), target, String(count)];
    const outcome = await runIn(namespace, process.execPath, args, deadlineMs);
    const echoes = outcome.stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Echo);
    return { tool, sent: count, echoes, complaint: outcome.stderr.trim() };
  }
  const args = ["-n", "-c", String(count), "-i", "0.2", "-W", "2", target];
  const outcome = await runIn(namespace, "ping", args, deadlineMs);
  const complaint = outcome.stdout.split("\n").filter((line) => /^From /.test(line));
  return {
    tool,
    sent: count,
    echoes: echoesOf(outcome.stdout),
    complaint: complaint.join("; ") || outcome.stderr.trim(),
  };
}

/** "64 bytes from 10.1.1.12: icmp_seq=1 ttl=62 time=0.412 ms" */
function echoesOf(text: string): Echo[] {
  const lines = text.matchAll(/icmp_seq=(\d+) ttl=(\d+) time[=<]([\d.]+) ms/g);
  return [...lines].map(([, sequence, ttl, rtt]) => ({
    sequence: Number(sequence),
    ttl: Number(ttl),
    rttMs: Number(rtt),
  }));
}

/** How much a transfer carries: for so long, or so much. */
export type Amount = { readonly seconds: number } | { readonly bytes: number };

const PORT = 5201;

/** One TCP connection from `client` to `address`, which `server` has; bytes flow from client to server, or back if `isReverse`. */
export async function throughput(
  client: string,
  server: string,
  address: string,
  amount: Amount,
  isReverse = false,
  tool: ThroughputResult["tool"] = has("iperf3") ? "iperf3" : "built-in",
): Promise<ThroughputResult> {
  const isBuiltIn = tool === "built-in";
  const child = isBuiltIn
    ? followIn(server, process.execPath, [childScript("tcp-meter"), "serve", address, String(PORT)])
    : followIn(server, "iperf3", ["-s", "-1", "--forceflush", "-B", address, "-p", String(PORT)]);
  let words = "";
  const listen = (chunk: Buffer) => {
    words += chunk.toString();
  };
  child.stdout!.on("data", listen);
  child.stderr!.on("data", listen);
  try {
    await until(`TCP server on ${address}`, 5000, () => {
      if (child.exitCode !== null) throw new Error(words.trim());
      return /listening/i.test(words);
    });
    const limit = "seconds" in amount ? amount.seconds : undefined;
    const deadlineMs = 20_000 + (limit ?? 20) * 1000;
    const direction = isReverse ? "receive" : "send";
    const outcome = isBuiltIn
      ? await runIn(
          client,
          process.execPath,
          [childScript("tcp-meter"), direction, address, String(PORT), JSON.stringify(amount)],
          deadlineMs,
        )
      : await runIn(
          client,
          "iperf3",
          [
            ...["-c", address, "-p", String(PORT), "-J", "--connect-timeout", "5000"],
            ...(limit === undefined ? ["-n", String((amount as { bytes: number }).bytes)] : ["-t", String(limit)]),
            ...(isReverse ? ["-R"] : []),
          ],
          deadlineMs,
        );
    return { tool, ...(isBuiltIn ? meterReading(outcome.stdout, outcome.stderr) : iperfReading(outcome.stdout)) };
  } finally {
    child.kill("SIGKILL");
  }
}

interface Reading {
  readonly bytes: number;
  readonly seconds: number;
  readonly megabitsPerSecond: number;
}

function reading(bytes: number, seconds: number): Reading {
  return { bytes, seconds, megabitsPerSecond: seconds > 0 ? (bytes * 8) / seconds / 1e6 : 0 };
}

function iperfReading(text: string): Reading {
  const result = JSON.parse(text) as {
    error?: string;
    end?: { sum_received?: { bytes: number; seconds: number } };
  };
  const sum = result.end?.sum_received;
  if (result.error !== undefined || sum === undefined) throw new Error(`iperf3: ${result.error ?? "no result"}`);
  return reading(sum.bytes, sum.seconds);
}

function meterReading(text: string, complaint: string): Reading {
  if (text.trim() === "") throw new Error(`TCP meter: ${complaint.trim() || "no result"}`);
  const { bytes, seconds } = JSON.parse(text) as { bytes: number; seconds: number };
  return reading(bytes, seconds);
}
