/**
 * One in-process measurement in a process of its own, so that each has the optimiser to itself, as a worker's loop has:
 *
 *     node --trace-gc forward-child.js time SCENARIO STAGE        {"ns": 41.3}: the best of many runs
 *     node --trace-gc forward-child.js collect SCENARIO           10 M frames between two marks; collections in between
 *     node forward-child.js lookup ENTRIES                        {"hit": 9.1, "miss": 8.2}
 *
 * CPU time of the best run, not the clock's median: what else is on the machine can only make it longer.
 */
import { writeSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { V8_FLAGS } from "../../src/daemon/workers.ts";
import { forward } from "../../src/dataplane/pipeline.ts";
import { ExactMatchWriter } from "../../src/tables/exact-match.ts";
import { createTables } from "../../src/tables/tables.ts";
import {
  bridged,
  bridged6,
  decapsulated,
  FRAMES,
  flooded,
  type Rounds,
  renewed6,
  rounds,
  routed,
  routed6,
  type Scenario,
  UP_TO,
} from "./stages.ts";

// As the daemon's workers run (daemon/workers.ts).
for (const flag of V8_FLAGS) setFlagsFromString(flag);

export const COLLECT_FRAMES = 10_000_000;

/** Many short runs: the shorter, the likelier is one that was not disturbed. */
const RUNS = 400;
const LOOKUP_RUNS = 40;
const ROUNDS_PER_RUN = 150;

function scenario(name: string): Scenario {
  const [kind, size = "0"] = name.split(":");
  if (kind === "bridged") return bridged(Number(size));
  if (kind === "bridged6") return bridged6();
  if (kind === "routed") return routed();
  if (kind === "routed6") return routed6(Number(size));
  if (kind === "renewed6") return renewed6(Number(size));
  if (kind === "decapsulated") return decapsulated(Number(size));
  if (kind === "flooded") return flooded(Number(size));
  throw new Error(`no scenario ${name}`);
}

/** Best CPU time of one `turn` in ns. */
function best(turn: () => void, turns: number, runs = RUNS): number {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run++) {
    const from = process.cpuUsage();
    for (let i = 0; i < turns; i++) turn();
    const used = process.cpuUsage(from);
    least = Math.min(least, ((used.user + used.system) * 1000) / turns);
  }
  return least;
}

function roundOf(name: string, stage: string): Rounds {
  return rounds(scenario(name), UP_TO[stage] ?? forward);
}

/** What the frames themselves take: putting them back before each round, measured alone, is not theirs. */
function time(name: string, stage: string): void {
  const turns = name.startsWith("flooded") ? 20 : ROUNDS_PER_RUN;
  const { round, putBack } = roundOf(name, stage);
  const all = best(round, turns);
  print({ ns: (all - best(putBack, turns)) / FRAMES });
}

function collect(name: string): void {
  const { round } = roundOf(name, "forward");
  for (let i = 0; i < 20_000; i++) round();
  writeSync(1, "begin\n");
  for (let i = 0; i < COLLECT_FRAMES / FRAMES; i++) round();
  writeSync(1, "end\n");
}

/** Keys in a random-looking order, so that a table larger than the caches pays for it. */
function lookup(entries: number): void {
  const { tables } = createTables({ workers: 1, macs: entries, neighbors: 16, routes: 16 });
  const writer = new ExactMatchWriter(tables.macs, tables.heartbeat, 12345);
  for (let i = 1; i <= entries; i++) writer.set(Math.imul(i, 0x9e3779b1), i & 0xffff, 1);
  const table = tables.macs;
  table.refresh();
  const probes = 65_536;
  const picks = new Int32Array(probes);
  for (let i = 0, x = 88172645; i < probes; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    picks[i] = 1 + ((x >>> 0) % entries);
  }
  let sum = 0;
  const hit = best(
    () => {
      for (let i = 0; i < probes; i++) sum += table.get(Math.imul(picks[i]!, 0x9e3779b1), picks[i]! & 0xffff);
    },
    4,
    LOOKUP_RUNS,
  );
  const miss = best(
    () => {
      for (let i = 0; i < probes; i++)
        sum += table.get(Math.imul(picks[i]!, 0x9e3779b1), (picks[i]! & 0xffff) | 0x10000);
    },
    4,
    LOOKUP_RUNS,
  );
  if (sum !== probes * 4 * LOOKUP_RUNS) throw new Error(`look-ups found ${sum} of ${probes * 4 * LOOKUP_RUNS}`);
  print({ hit: hit / probes, miss: miss / probes });
}

function print(result: Record<string, number>): void {
  writeSync(1, `${JSON.stringify(result)}\n`);
}

const [verb, first = "", second = "forward"] = process.argv.slice(2);
if (verb === "time") time(first, second);
else if (verb === "collect") collect(first);
else if (verb === "lookup") lookup(Number(first));
