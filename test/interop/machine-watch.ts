/**
 * Whose fault was it? What a test saw on the wire beside what the machine did meanwhile: a thread that was ready and waited for a
 * processor, and a bare timer that came late. What is left of a gap when both are taken off is the fault of who was to send.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { Bed } from "../netns/bed.ts";

/** Later than that the bare timer says so. */
const LATE_MS = 20;
const TICK_MS = 10;
const LOOK_MS = 100;

/** In which nothing was sent; milliseconds since the epoch. */
export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A thread's wait for a processor, ever, at a time. */
export interface Look {
  readonly atMs: number;
  readonly waitedMs: number;
}

/** The bare timer came so late, at a time. */
export interface Late {
  readonly atMs: number;
  readonly lateMs: number;
}

/** Those of at least `limitMs` between neighbours of `times`. */
export function gapsOf(times: readonly number[], limitMs: number): Gap[] {
  return times.flatMap((toMs, n) => {
    const fromMs = times[n - 1];
    return fromMs !== undefined && toMs - fromMs >= limitMs ? [{ fromMs, toMs }] : [];
  });
}

/** What of a gap the machine is not to blame for. */
export function ownShareMs({ fromMs, toMs }: Gap, looks: readonly Look[], lates: readonly Late[]): number {
  const before = looks.findLast(({ atMs }) => atMs <= fromMs) ?? looks[0];
  const after = looks.find(({ atMs }) => atMs >= toMs) ?? looks.at(-1);
  const waited = before === undefined || after === undefined ? 0 : after.waitedMs - before.waitedMs;
  // A timer that came late just behind the gap was late in it.
  const late = lates
    .filter(({ atMs, lateMs }) => atMs >= fromMs && atMs - lateMs <= toMs)
    .reduce((sum, { lateMs }) => sum + lateMs, 0);
  return toMs - fromMs - waited - late;
}

/** Of `requests`, those whose answer was not there within `withinMs`. Key: what an answer has in common with its question. */
export function unanswered(
  requests: readonly (readonly [key: string, atMs: number])[],
  answers: readonly (readonly [key: string, atMs: number])[],
  withinMs: number,
): number[] {
  const answeredAt = new Map(answers);
  return requests.flatMap(([key, atMs]) => {
    const answeredMs = answeredAt.get(key);
    return answeredMs !== undefined && answeredMs - atMs <= withinMs ? [] : [atMs];
  });
}

/** A thread of `pid` by its nice value, as its /proc has it. */
export function threadWithNice(pid: number, nice: number): number | undefined {
  const fieldsOf = (tid: string) => readFileSync(`/proc/${pid}/task/${tid}/stat`, "utf8").split(") ")[1]!.split(" ");
  // proc(5): nice is field 19, and the two before this split are gone.
  const found = readdirSync(`/proc/${pid}/task`).find((tid) => Number(fieldsOf(tid)[16]) === nice);
  return found === undefined ? undefined : Number(found);
}

export interface MachineWatch {
  readonly looks: readonly Look[];
  readonly lates: readonly Late[];
  stop(): void;
}

/** Watch thread `tid` of `pid`, and the machine by a process in `namespace` that does nothing but wait. */
export function watchMachine(bed: Bed, namespace: string, pid: number, tid: number): MachineWatch {
  const looks: Look[] = [];
  const lates: Late[] = [];
  const file = `/proc/${pid}/task/${tid}/schedstat`;
  const look = () => {
    // The end of a test that failed takes the thread with it.
    if (!existsSync(file)) return;
    const [, waited] = readFileSync(file, "utf8").split(" ");
    looks.push({ atMs: Date.now(), waitedMs: Number(waited) / 1e6 });
  };
  look();
  const timer = setInterval(look, LOOK_MS);
  const bare = `let due=performance.now()+${TICK_MS};setInterval(()=>{const late=performance.now()-due;due=performance.now()+${TICK_MS};
    if(late>${LATE_MS})console.log(Date.now(),late.toFixed(1))},${TICK_MS})`;
  const child = bed.follow(namespace, process.execPath, ["-e", bare]);
  let rest = "";
  child.stdout!.on("data", (chunk: Buffer) => {
    const lines = `${rest}${chunk.toString()}`.split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const [atMs, lateMs] = line.split(" ").map(Number);
      lates.push({ atMs: atMs!, lateMs: lateMs! });
    }
  });
  return {
    looks,
    lates,
    stop() {
      clearInterval(timer);
      look();
      child.kill("SIGKILL");
    },
  };
}
