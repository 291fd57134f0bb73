/**
 * Control and the engine's thread in a process of their own, over an engine of tests, without sockets of the underlay:
 *
 *     node evpn-child.js SOCKET     a line {"addedMb": …, "seconds": …}: all routes are there; and a second one: again
 *
 * Tables are those of the default limits. CPU time is that of the process, and of main alone; `longestMs` is main's longest go, and
 * `longestCpuMs` the most processor time that one took: on a busy machine the other one is mostly a wait for a processor. The kernel tells
 * it to a tick (4 ms or less).
 */
import { readFileSync } from "node:fs";
import { parseConfig } from "../../src/config/load.ts";
import { assemble } from "../../src/daemon/assemble.ts";
import { ControlLoop } from "../../src/daemon/control-loop.ts";
import { EvpnMember } from "../../src/daemon/evpn.ts";
import { giveBackFreed } from "../../src/io/malloc.ts";
import { keepYoungGenerationSmall } from "../../src/io/young-generation.ts";
import { pause, until } from "../../src/lab/deadline.ts";
import { createTables } from "../../src/tables/tables.ts";
import { processUsage } from "./usage.ts";

// As the daemon's main thread (src/main.ts).
keepYoungGenerationSmall();
giveBackFreed();
const [socket = ""] = process.argv.slice(2);
const PATIENCE_MS = 120_000;
/** What V8 has to clear up is cleared up. */
const CALM_MS = 10_000;
const MTU = 1600;

const parsed = parseConfig(
  JSON.stringify({
    ...{ node: "gw1", underlay: { address: "192.0.2.1", mtu: MTU } },
    evpn: { engine: { socket }, as: 65000 },
    vsis: [{ name: "vsi10", vni: 10, evpn: {} }],
    interfaces: [{ name: "if10", vsi: "vsi10", address: "10.255.0.1/8" }],
  }),
  "bench.yaml",
);
if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
const { config } = parsed;
const { tables } = createTables({ workers: 1, ...config.limits });
const control = assemble({
  ...{ tables, config, underlayMtu: MTU, nowMs: performance.now() },
  emit: () => undefined,
  opener: {
    openTap: () => ({ fds: [], ifindex: 1 }),
    keepTap: () => undefined,
    changeTap: () => undefined,
    closeTap: () => undefined,
  },
  wake: () => undefined,
  pathMtu: () => -1,
  onResolved: () => undefined,
});
const applied = control.topology.apply(config);
if (!applied.ok) throw new Error(JSON.stringify(applied));

let longestMs = 0;
let longestCpuMs = 0;
let lastSeconds = mainSeconds();
const member = new EvpnMember({ control, kick: () => loop.kick(), isStart: false });
const loop: ControlLoop = new ControlLoop(
  {
    poll: (nowMs) => {
      const began = performance.now();
      member.turn();
      const due = control.agent.poll(nowMs);
      longestMs = Math.max(longestMs, performance.now() - began);
      const seconds = mainSeconds();
      longestCpuMs = Math.max(longestCpuMs, (seconds - lastSeconds) * 1000);
      lastSeconds = seconds;
      return due;
    },
    more: () => control.agent.more() || member.more(),
  },
  tables.doorbell,
  () => performance.now(),
);
const addedSince = (mb: number) => processUsage(process.pid).residentMb - mb;

/** Processor seconds of main so far. */
function mainSeconds(): number {
  const ran = readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[0];
  return Number(ran) / 1e9;
}

const isInSync = () => member.conditions().some(({ isMet }) => isMet);

async function measured(begin: () => void): Promise<void> {
  longestMs = 0;
  longestCpuMs = 0;
  const [beganMs, cpu, main] = [performance.now(), processUsage(process.pid).cpuSeconds, mainSeconds()];
  begin();
  await until("the list", PATIENCE_MS, () => !isInSync(), 1);
  await until("all routes", PATIENCE_MS, isInSync);
  const seconds = (performance.now() - beganMs) / 1000;
  const used = { cpu: processUsage(process.pid).cpuSeconds - cpu, main: mainSeconds() - main };
  const longest = { longestMs, longestCpuMs };
  await pause(CALM_MS);
  console.log(JSON.stringify({ addedMb: addedSince(empty), seconds, ...used, ...longest }));
}

void loop.run();
// The first list has nothing in it: the thread and its packages are there before what they bring is measured.
member.apply(config);
await until("the engine", PATIENCE_MS, isInSync);
await pause(CALM_MS);
const empty = processUsage(process.pid).residentMb;
for (let times = 0; times < 2; times++) await measured(() => member.source()!.resync());
process.exit(0);
