/**
 * Full tables: 150,000 MACs, 65,536 neighbours, their host routes and 8,000 static ones, read through the API, scraped, and
 * written to the log.
 *
 * How long the event loop is held is measured in work, not in time: entries read from a table and numbers sorted between
 * two looks at the clock, for a machine's speed is not the code's.
 */
import { beforeAll, expect, it } from "vitest";
import { jsonSlices, SLICE_MS } from "../../src/api/json-slices.ts";
import type { Shown } from "../../src/api/shown.ts";
import type { Control } from "../../src/daemon/assemble.ts";
import { metricsSource } from "../../src/daemon/metrics-source.ts";
import { StateDump } from "../../src/daemon/state-dump.ts";
import type { WorkerWatch } from "../../src/daemon/worker-watch.ts";
import type { Workers } from "../../src/daemon/workers.ts";
import { Tally } from "../../src/metrics/histogram.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { assembled } from "../control/assembled.ts";
import { STATUS } from "./fake-source.ts";

const MACS = 150_000;
const NEIGHBORS = 65_536;
const STATICS = 8000;
/** Entries read, or numbers sorted, between two looks at the clock. */
const MOST_WORK = 4096;
/** Entries read where nothing but counts is asked for: there are a handful of objects. */
const COUNT_WORK = 200;

const HOPS = Array.from({ length: STATICS }, (_, i) => {
  // Backwards, so that the order is not that of the file.
  const n = STATICS - 1 - i;
  return `  - {prefix: 60.${n >> 8}.${n & 255}.0/24, nextHop: 10.0.0.${2 + (n % 8)}}`;
});
const TEXT = `
node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
limits: {macs: 262144, neighbors: ${NEIGHBORS + 64}, routes: 65536}
tunnels: [{name: gw2, remote: 192.0.2.2}]
vsis: [{name: vsi10, vni: 10, mac: {limit: 262144}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.0.0.1/15}]
routes:
${HOPS.join("\n")}
`;

let control: Control;
let shown: Shown;

/** Scrambles 0..2^17-1, each once. */
const scrambled = (i: number): number => (i * 40_503) & 0x1ffff;

beforeAll(() => {
  ({ control, shown } = assembled(TEXT, { macs: 262_144, neighbors: NEIGHBORS + 64, routes: 65_536 }));
  const { inventory, agent } = control.shown;
  const [on, vsi, port] = [inventory.interface("if10")!, inventory.vsi("vsi10")!, inventory.tunnel("gw2")!];
  for (let i = 0; i < MACS; i++) agent.macs.learn(vsi.row, port.row, scrambled(i) + ((i >> 17) << 17), 0x0200);
  for (let i = 0; i < NEIGHBORS; i++) {
    const ip = (0x0a000000 + scrambled(i * 2 + 2)) | 0;
    agent.neighbors.addStatic(on, ip, 0x02_00_00_00_00_01 + i, port, vsi);
  }
});

/** Entries that were read from any Map, and elements that were sorted. */
let work = 0;

/** Counts the work of `run`. */
async function counted<T>(run: () => Promise<T>): Promise<T> {
  const { values, keys, entries } = Map.prototype;
  const iterator = Map.prototype[Symbol.iterator];
  const { sort } = Array.prototype;
  const numbers = Object.getPrototypeOf(Float64Array.prototype);
  const sortNumbers = numbers.sort;
  const counting = <A extends unknown[], R>(make: (this: Map<unknown, unknown>, ...of: A) => MapIterator<R>) =>
    function (this: Map<unknown, unknown>, ...of: A) {
      const inner = make.apply(this, of);
      const next = inner.next.bind(inner);
      inner.next = () => {
        work++;
        return next();
      };
      return inner;
    };
  Object.assign(Map.prototype, { values: counting(values), keys: counting(keys), entries: counting(entries) });
  Map.prototype[Symbol.iterator] = counting(iterator);
  Array.prototype.sort = function (compare) {
    work += this.length;
    return sort.call(this, compare);
  };
  numbers.sort = function (compare?: (a: number, b: number) => number) {
    work += this.length;
    return sortNumbers.call(this, compare);
  };
  try {
    return await run();
  } finally {
    Object.assign(Map.prototype, { values, keys, entries, [Symbol.iterator]: iterator });
    Array.prototype.sort = sort;
    numbers.sort = sortNumbers;
  }
}

/** A clock that finds each slice over; it notes the most work, and CPU time, between two looks. */
function watchedClock() {
  const seen = { most: 0, longestMs: 0 };
  let [last, now, cpu] = [0, 0, process.cpuUsage()];
  work = 0;
  const clock = () => {
    seen.most = Math.max(seen.most, work - last);
    last = work;
    const { user, system } = process.cpuUsage(cpu);
    seen.longestMs = Math.max(seen.longestMs, (user + system) / 1000);
    cpu = process.cpuUsage();
    now += SLICE_MS;
    return now;
  };
  return { seen, clock };
}

async function textOf(answer: string | ReadableStream<Uint8Array>): Promise<string> {
  return typeof answer === "string" ? answer : await new Response(answer).text();
}

const LISTS = {
  macs: () => shown.macs(),
  neighbors: () => shown.neighbors(),
  routes: () => shown.routes(),
};

for (const name of ["macs", "neighbors", "routes"] as const) {
  it(`${name}: every row once and in order, and others have their turn after ${MOST_WORK} units of work`, async () => {
    const { seen, clock } = watchedClock();
    const text = await counted(() => textOf(jsonSlices(LISTS[name](), clock)));
    console.log(`${name}: at most ${seen.most} units of work in one go, ${seen.longestMs.toFixed(1)} ms of CPU time`);
    expect(seen.most).toBeGreaterThan(0);
    expect(seen.most).toBeLessThanOrEqual(MOST_WORK);
    const rows = JSON.parse(text) as { mac: string; ip: string; prefix: string }[];
    const keys = rows.map(({ mac, ip, prefix }) => {
      if (name === "macs") return Number.parseInt(mac.replaceAll(":", ""), 16);
      const [a, b, c, d, length] = (name === "routes" ? prefix : ip).split(/[./]/).map(Number);
      return (((a! * 256 + b!) * 256 + c!) * 256 + d!) * 64 + (length ?? 0);
    });
    expect(keys.every((key, i) => i === 0 || key > keys[i - 1]!)).toBe(true);
    const { macs, neighbors, routes } = shown.counts();
    expect(rows).toHaveLength({ macs, neighbors, routes }[name]);
    expect(rows.length).toBeGreaterThanOrEqual({ macs: MACS, neighbors: NEIGHBORS, routes: NEIGHBORS + STATICS }[name]);
  });
}

const noWorkers = { fallbacks: () => new Map(), receiveDrops: () => [] };
const scraped = () =>
  metricsSource({
    version: "1",
    control,
    shown,
    workers: noWorkers as unknown as Workers,
    workerWatch: { still: () => [] } as unknown as WorkerWatch,
    standing: { underlay: () => ({ device: "lo", mtu: 1500, problem: null }) },
    resolutions: new Tally("result", ["resolved"], [1]),
  });

const COUNTED = {
  "/v1/vsis": () => shown.vsis(),
  "/v1/interfaces": () => shown.interfaces(),
  "/v1/status": () => shown.counts(),
  "a scrape": async () => await createMetrics(scraped(), []).metrics(),
};

it.each(Object.entries(COUNTED))("%s counts every row and looks at none", async (_, read) => {
  work = 0;
  const told = JSON.stringify(await counted(async () => await read()));
  expect(work).toBeLessThanOrEqual(COUNT_WORK);
  for (const count of told.matchAll(/"(macs|neighbors)":(\d+)/g))
    expect(Number(count[2])).toBe({ macs: MACS + 1, neighbors: NEIGHBORS }[count[1]!]);
});

it("a scrape counts what is there", async () => {
  const text = await createMetrics(scraped(), []).metrics();
  const values = new Map(text.split("\n").map((line) => line.split(" ") as [string, string]));
  expect(values.get('vtep_mac_entries{vsi="vsi10",origin="remote"}')).toBe(String(MACS));
  expect(values.get('vtep_neighbor_entries{vsi="vsi10",origin="static"}')).toBe(String(NEIGHBORS));
  // One neighbour has the subnet's broadcast address, which outranks it.
  expect(values.get('vtep_route_entries{vrf="main",origin="host"}')).toBe(String(NEIGHBORS - 1));
  expect(values.get('vtep_route_entries{vrf="main",origin="static"}')).toBe(String(STATICS));
});

it(`SIGUSR2's dump: others have their turn after ${MOST_WORK} units of work, and two that meet are one`, async () => {
  const lines: { reason?: unknown; value?: unknown }[] = [];
  const { seen, clock } = watchedClock();
  const log = { line: (_level: string, _event: string, fields = {}) => void lines.push(fields) };
  const dump = new StateDump({ log, shown, status: () => STATUS, now: clock });
  await counted(() => Promise.all([dump.write(), dump.write()]));
  console.log(`dump: at most ${seen.most} units of work in one go, ${seen.longestMs.toFixed(1)} ms of CPU time`);
  expect(seen.most).toBeGreaterThan(0);
  expect(seen.most).toBeLessThanOrEqual(MOST_WORK);
  const kinds = "status vsis acs tunnels interfaces macs neighbors routes drops";
  expect(lines.map(({ reason }) => reason).join(" ")).toBe(kinds);
  expect(JSON.parse(String(lines[5]!.value))).toHaveLength(1000);
  await dump.write();
  expect(lines).toHaveLength(18);
});

it("a dump that cannot be told is told as an error", async () => {
  const lines: unknown[] = [];
  const status = () => {
    throw new Error("no status");
  };
  await new StateDump({ log: { line: (...line) => void lines.push(line) }, shown, status }).write();
  expect(lines).toEqual([["error", "state.dump", { reason: "Error: no status" }]]);
});
