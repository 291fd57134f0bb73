/**
 * `npm run bench`: vtepd against the kernel's vxlan and OVS userspace, on one machine, in interleaved rounds.
 *
 * No measurement here passes or fails: figures depend on the machine and on who else is using it. What can fail is the
 * measuring itself, and that is said; the exit status is 1 when something that should have been measured was not.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { abandonChildren } from "../../src/lab/process.ts";
import { whyNoBed } from "../netns/bed.ts";
import { evpnRounds } from "./evpn-rounds.ts";
import { asJson, type Figures, unsteadyRows } from "./figures.ts";
import { forwardRounds, tableRounds } from "./in-process.ts";
import { requestRounds, roundTrips } from "./latency-rounds.ts";
import { type Options, parseOptions } from "./options.ts";
import { ROOT } from "./peer.ts";
import { machine, noiseText, tables, writePage } from "./report.ts";
import {
  closePeers,
  fullRounds,
  type Ground,
  openPeers,
  restingRounds,
  tcpRounds,
  udpRounds,
  warmUp,
} from "./rounds.ts";
import { print, say } from "./screen.ts";
import { noiseNow } from "./usage.ts";

async function main(options: Options): Promise<number> {
  const figures: Figures = new Map();
  const missing: string[] = [];
  const { only } = options;
  const before = noiseNow();
  const startLoad = before.load;
  say(`${machine()}; load ${startLoad.toFixed(1)}; ${options.rounds} rounds`);
  if (startLoad > 1) say("the machine is busy with other things: believe ratios, not figures");
  if (only.has("forward")) await forwardRounds(options, figures);
  if (only.has("tables")) await tableRounds(options, figures);
  if (only.has("evpn")) await evpnRounds(options, figures, missing);
  const needRoot = (["tcp", "udp", "ping", "requests", "memory"] as const).filter((part) => only.has(part));
  const reason = whyNoBed();
  if (needRoot.length > 0 && reason !== undefined) missing.push(`${needRoot.join(", ")}: ${reason}`);
  else if (needRoot.length > 0) await onNetwork(options, figures, missing);
  const after = noiseNow();
  const noise = {
    startLoad,
    endLoad: after.load,
    stealSeconds: after.stealSeconds - before.stealSeconds,
    unsteady: unsteadyRows(figures),
  };
  print(`\n${tables(figures)}\n`);
  print(noiseText(noise));
  for (const what of missing) print(`missing: ${what}`);
  const file = options.json ?? join(ROOT, ".set-up/bench.json");
  mkdirSync(dirname(file), { recursive: true });
  const head = { machine: machine(), against: options.against ?? null, ...noise, at: new Date().toISOString() };
  const { rounds, seconds, isQuick } = options;
  writeFileSync(
    file,
    `${JSON.stringify({ ...head, rounds, seconds, isQuick, missing, metrics: asJson(figures) }, null, 2)}\n`,
  );
  say(`figures in ${file}`);
  if (options.readme) {
    // Figures of a busy machine say so.
    const busy = startLoad > 1 ? `, busy with other things too (load ${startLoad.toFixed(0)} at the start)` : "";
    writePage(figures, `${rounds} interleaved rounds of ${seconds} s on ${machine()}${busy}`, missing);
    say("docs/performance.md has the table");
  }
  return missing.length === 0 ? 0 : 1;
}

let ground: Ground | undefined;

async function onNetwork(options: Options, figures: Figures, missing: string[]): Promise<void> {
  ground = { peers: [], missing: [] };
  try {
    await openPeers(ground, options.against);
    if (options.only.has("memory")) await restingRounds(options, ground, figures);
    say("warming up");
    await warmUp(ground.peers, options.seconds);
    if (options.only.has("tcp")) await tcpRounds(options, ground, figures);
    if (options.only.has("udp")) await udpRounds(options, ground, figures);
    if (options.only.has("ping")) await roundTrips(options, ground, figures);
    if (options.only.has("requests")) await requestRounds(options, ground, figures);
    if (options.only.has("memory")) await fullRounds(options, ground, figures);
  } finally {
    await closePeers(ground);
    missing.push(...ground.missing);
    ground = undefined;
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    say(`${signal}: clearing up`);
    abandonChildren();
    const clear = ground === undefined ? Promise.resolve() : closePeers(ground);
    void clear.finally(() => process.exit(130));
  });
}

try {
  process.exitCode = await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
