/**
 * Frames that run while something happens: ping, a hundred a second, and what became of each.
 *
 * Which way a frame was lost is read from the kernel at the far end, which counts the echo requests that arrive (SNMP's InEchos): one
 * stream has a target of its own.
 */
import { namespaceOf } from "../bed.ts";
import { until } from "../deadline.ts";
import { followIn, mustIn } from "../namespace.ts";
import type { LabState } from "../state.ts";
import { hostOf } from "./fabric.ts";

const GAP_MS = 10;
const START_MS = 15_000;
const END_MS = 5000;

export interface Lost {
  readonly from: string;
  readonly to: string;
  readonly sent: number;
  /** On the way there, on the way back. */
  readonly there: number;
  readonly back: number;
  /** The longest time without an answer. */
  readonly silentMs: number;
}

export interface Stream {
  readonly from: string;
  readonly to: string;
  /** Is the last answer younger than that? */
  isFlowing(ms: number): boolean;
  end(): Promise<Lost>;
}

/** InEchos of `node`'s kernel. */
async function arrivedAt(state: LabState, node: string): Promise<number> {
  const text = await mustIn(namespaceOf(state, node), "cat", ["/proc/net/snmp"]);
  const [names, values] = text
    .split("\n")
    .filter((line) => line.startsWith("Icmp: "))
    .map((line) => line.split(" "));
  return Number(values![names!.indexOf("InEchos")]);
}

/** Resolves when the first answers are there. */
export async function startStream(state: LabState, from: string, to: string): Promise<Stream> {
  const before = await arrivedAt(state, to);
  const child = followIn(namespaceOf(state, from), "ping", ["-n", "-i", String(GAP_MS / 1000), hostOf(to).address]);
  const answered = new Set<number>();
  let words = "";
  let rest = "";
  let lastMs = 0;
  child.stdout!.on("data", (part: Buffer) => {
    words += part.toString();
    const lines = (rest + part.toString()).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const sequence = /icmp_seq=(\d+) ttl=/.exec(line)?.[1];
      if (sequence === undefined) continue;
      answered.add(Number(sequence));
      lastMs = performance.now();
    }
  });
  const isOver = new Promise<void>((resolve) => void child.once("close", () => resolve()));
  await until(`answers of ${to} to ${from}`, START_MS, () => answered.size >= 10);
  return {
    from,
    to,
    isFlowing: (ms) => performance.now() - lastMs < ms,
    async end() {
      child.kill("SIGINT");
      const late = setTimeout(() => child.kill("SIGKILL"), END_MS);
      await isOver;
      clearTimeout(late);
      const transmitted = Number(/(\d+) packets transmitted/.exec(words)?.[1] ?? 0);
      const arrived = (await arrivedAt(state, to)) - before;
      return countLost({ from, to, transmitted, arrived, answered });
    },
  };
}

/** The last one may still have been on its way when we ended: it is not counted. */
export function countLost({
  from,
  to,
  transmitted,
  arrived,
  answered,
}: {
  readonly from: string;
  readonly to: string;
  readonly transmitted: number;
  readonly arrived: number;
  readonly answered: ReadonlySet<number>;
}): Lost {
  const sent = answered.has(transmitted) ? transmitted : transmitted - 1;
  let lost = 0;
  let run = 0;
  let longest = 0;
  for (let sequence = 1; sequence <= sent; sequence++) {
    run = answered.has(sequence) ? 0 : run + 1;
    if (run > 0) lost++;
    longest = Math.max(longest, run);
  }
  const there = Math.min(lost, Math.max(0, transmitted - arrived));
  return { from, to, sent, there, back: lost - there, silentMs: longest * GAP_MS };
}
