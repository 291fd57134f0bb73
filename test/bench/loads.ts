/**
 * The loads, each one measurement of one peer: bulk TCP (iperf3), small UDP (packets.c), round trips (ping).
 */
import { readFileSync } from "node:fs";
import { until, within } from "../../src/lab/deadline.ts";
import { quantile } from "./figures.ts";
import { ANSWER_PORT, B, IPERF_PORT, PACKETS, type Peer, SINK_PORT } from "./peer.ts";

// ---- TCP ---------------------------------------------------------------------------------------------------------

export interface TcpResult {
  readonly gigabitsPerSecond: number;
  readonly gigabits: number;
  readonly retransmits: number;
}

interface Answer {
  readonly error?: string;
  readonly end?: {
    readonly sum_received?: { bytes: number; bits_per_second: number };
    readonly sum_sent?: { retransmits?: number };
  };
}

/** From a to b, or back. What the receiver got counts. `control`: the congestion control, by default the machine's. */
export async function tcp(
  peer: Peer,
  streams: number,
  isReverse: boolean,
  seconds: number,
  control?: string,
): Promise<TcpResult> {
  const how = control === undefined ? [] : ["-C", control];
  const args = ["-c", B, "-p", String(IPERF_PORT), "-J", "-t", String(seconds), "-P", String(streams), ...how];
  // The server may still be putting away the last transfer: "busy".
  const { error, end } = await until("iperf3", 5000, async () => {
    const outcome = await peer.bed.run("a", "iperf3", isReverse ? [...args, "-R"] : args, 20_000 + seconds * 1000);
    const answer = JSON.parse(outcome.stdout) as Answer;
    return !answer.error?.includes("busy") && answer;
  });
  if (error !== undefined || end?.sum_received === undefined) throw new Error(`iperf3: ${error ?? "no result"}`);
  return {
    gigabitsPerSecond: end.sum_received.bits_per_second / 1e9,
    gigabits: (end.sum_received.bytes * 8) / 1e9,
    retransmits: end.sum_sent?.retransmits ?? 0,
  };
}

// ---- small UDP ---------------------------------------------------------------------------------------------------

export interface UdpResult {
  /** Packets per second: sent, and received over the same time. */
  readonly offered: number;
  readonly delivered: number;
  readonly loss: number;
  readonly reordered: number;
}

export interface Sink {
  ask(line: string): Promise<Record<string, number>>;
  close(): void;
}

export async function openSink(peer: Peer): Promise<Sink> {
  const child = peer.bed.follow("b", PACKETS, ["sink", B, String(SINK_PORT)]);
  let rest = "";
  let waiting: ((line: string) => void) | undefined;
  let complaint = "";
  child.stderr!.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  child.stdout!.on("data", (chunk: Buffer) => {
    rest += chunk.toString();
    const newline = rest.indexOf("\n");
    if (newline < 0 || waiting === undefined) return;
    waiting(rest.slice(0, newline));
    rest = rest.slice(newline + 1);
  });
  const line = () =>
    within(`the sink of ${peer.name} ${complaint}`, 5000, new Promise<string>((resolve) => (waiting = resolve)));
  await line();
  return {
    async ask(words) {
      const answer = line();
      child.stdin.write(`${words}\n`);
      return JSON.parse(await answer) as Record<string, number>;
    },
    close: () => child.stdin.end(),
  };
}

let run = 1;
/** Packets still on their way when the generator ends. */
const TAIL_MS = 60;

/** One run of the generator; `rate` 0: as fast as it can. */
export async function udp(
  peer: Peer,
  sink: Sink,
  payload: number,
  flows: number,
  rate: number,
  seconds: number,
): Promise<UdpResult> {
  await sink.ask(`begin ${++run}`);
  const args = ["send", B, SINK_PORT, run, payload, flows, Math.round(rate), seconds].map(String);
  const sent = JSON.parse(await peer.bed.must("a", PACKETS, args, 20_000)) as { sent: number; seconds: number };
  await new Promise((resolve) => setTimeout(resolve, TAIL_MS));
  const { received = 0, reordered = 0, doubled = 0 } = await sink.ask("report");
  if (doubled > 0) throw new Error(`${peer.name}: ${doubled} packets of ${sent.sent} came twice`);
  return {
    offered: sent.sent / sent.seconds,
    delivered: received / sent.seconds,
    loss: sent.sent === 0 ? 1 : 1 - received / sent.sent,
    reordered,
  };
}

const MOST_LOSS = 0.01;

/** The highest delivered rate at which at most 1 % is lost: down from what overload delivers until it is so, then closer. */
export async function bestUdp(
  peer: Peer,
  sink: Sink,
  payload: number,
  flows: number,
  overload: UdpResult,
  probes: number,
  seconds: number,
): Promise<UdpResult | undefined> {
  let best = overload.loss <= MOST_LOSS ? overload : undefined;
  let good = 0;
  let bad = Math.max(overload.offered, overload.delivered * 2);
  let rate = overload.delivered * 0.8;
  for (let i = 0; i < probes; i++) {
    const result = await udp(peer, sink, payload, flows, rate, seconds);
    if (result.loss <= MOST_LOSS) {
      good = Math.max(good, rate);
      if (best === undefined || result.delivered > best.delivered) best = result;
      // The generator itself is at its end: no use asking for more.
      if (result.offered < rate * 0.9) break;
    } else bad = Math.min(bad, rate);
    rate = good === 0 ? bad * 0.6 : Math.min((good + bad) / 2, good * 1.5);
  }
  return best;
}

// ---- round trips -------------------------------------------------------------------------------------------------

export interface PingResult {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly lost: number;
}

/** Round trips from a to `target` in microseconds, 100 a second. */
export async function ping(peer: Peer, target: string, seconds: number): Promise<PingResult> {
  const count = Math.max(20, Math.round(seconds * 100));
  const outcome = await peer.bed.run("a", "ping", ["-n", "-i", "0.01", "-c", String(count), "-W", "1", target], 60_000);
  const times = [...outcome.stdout.matchAll(/time[=<]([\d.]+) ms/g)].map(([, ms]) => Number(ms) * 1000);
  if (times.length === 0) throw new Error(`${peer.name}: no answer from ${target}: ${outcome.stderr}`);
  return {
    p50: quantile(times, 0.5)!,
    p99: quantile(times, 0.99)!,
    p999: quantile(times, 0.999)!,
    lost: count - times.length,
  };
}

/** Requests a second of one TCP connection, a byte each way: the next is sent when the answer is there. */
export async function requests(peer: Peer, seconds: number): Promise<number> {
  const args = ["-c", "0", PACKETS, "ask", B, String(ANSWER_PORT), String(seconds)];
  const told = JSON.parse(await peer.bed.must("a", "taskset", args, 20_000)) as {
    transactions: number;
    seconds: number;
  };
  return told.transactions / told.seconds;
}

/** Of those that the measurement names, what this kernel has. */
export function congestionControls(): string[] {
  const there = readFileSync("/proc/sys/net/ipv4/tcp_available_congestion_control", "utf8").trim().split(" ");
  return ["cubic", "bbr"].filter((name) => there.includes(name));
}

export const OTHER_MACHINE = B;
export const OWN_GATEWAY = "10.1.1.1";
