/** A stream of numbered packets from vm1 to far, and what became of it: for how long a flow was without, and how much was lost. */
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { namespaceOf } from "../bed.ts";
import { until } from "../deadline.ts";
import { followIn } from "../namespace.ts";
import type { LabState } from "../state.ts";
import { FAR, VM } from "./plan.ts";
import type { Heard, Sent } from "./traffic.ts";

const TRAFFIC = fileURLToPath(new URL("../../../dist/lab/borders/traffic.js", import.meta.url));
const EVERY_MS = 10;
const START_MS = 15_000;
/** What is on its way when the sender ends. */
const DRAIN_MS = 300;

export interface Loss {
  readonly flows: number;
  readonly sent: number;
  readonly perSecond: number;
  readonly lost: number;
  /** Flows that lost something. */
  readonly hurt: number;
  /** The longest that any flow was without, ms. */
  readonly gapMs: number;
  /** Of the lost ones: what the receiver's own buffers had no room for. */
  readonly refused: number;
}

type Child = ReturnType<typeof followIn>;

function talker(state: LabState, node: string, ...args: readonly string[]): { child: Child; words: () => string } {
  const child = followIn(namespaceOf(state, node), process.execPath, [TRAFFIC, ...args]);
  let words = "";
  child.stdout!.on("data", (part: Buffer) => (words += part.toString()));
  child.stderr!.on("data", (part: Buffer) => (words += part.toString()));
  return { child, words: () => words };
}

/** Its last line, once it has ended. */
async function lastOf<T>({ child, words }: ReturnType<typeof talker>): Promise<T> {
  const isOver = once(child, "close");
  child.stdin.end();
  await isOver;
  return JSON.parse(words().trimEnd().split("\n").at(-1)!) as T;
}

/** Run `flows` flows, a packet each 10 ms, from a while before `event` until `afterMs` behind its end. */
export async function streamDuring(
  state: LabState,
  flows: number,
  event: () => Promise<unknown>,
  afterMs: number,
): Promise<Loss> {
  const receiver = talker(state, FAR.name, "receive");
  await until("the receiver", START_MS, () => receiver.words().includes("listening"));
  const sender = talker(state, VM.name, "send", FAR.address, String(flows), String(EVERY_MS));
  await pause(1500);
  await event();
  await pause(afterMs);
  const sent = await lastOf<Sent>(sender);
  await pause(DRAIN_MS);
  return lossOf(sent, await lastOf<Heard>(receiver));
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export function lossOf({ each, seconds }: Sent, { flows, refused }: Heard): Loss {
  const heard = new Map(flows.map((flow) => [flow.flow, flow]));
  let lost = 0;
  let hurt = 0;
  let run = 0;
  for (const [flow, sent] of each.entries()) {
    const { count = 0, highest = -1, run: longest = 0 } = heard.get(flow) ?? {};
    lost += sent - count;
    if (sent > count) hurt++;
    run = Math.max(run, longest, sent - 1 - highest);
  }
  const sent = each.reduce((sum, count) => sum + count, 0);
  const perSecond = Math.round(sent / seconds);
  // By the pace that was kept, not the one that was wanted.
  const everyMs = (seconds * 1000 * each.length) / Math.max(1, sent);
  return { flows: each.length, sent, perSecond, lost, hurt, gapMs: Math.round(run * everyMs), refused };
}
