/** The metrics over real tables: every value from its cell, every label bounded, the text well-formed. */
import { spawnSync } from "node:child_process";
import { beforeEach, describe, expect, it } from "vitest";
import { Inventory } from "../../src/control/inventory.ts";
import { RESOLUTION_RESULTS } from "../../src/control/resolution/counts.ts";
import { CountedBefore } from "../../src/control/topology/views.ts";
import { probingRows } from "../../src/liveness/feature.ts";
import type { SlicedExposition } from "../../src/metrics/exposition.ts";
import { Tally } from "../../src/metrics/histogram.ts";
import { watchLoop } from "../../src/metrics/loop-lag.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import type { MetricsSource } from "../../src/metrics/row.ts";
import {
  DROP,
  DROPS,
  INJECT,
  MISC_ARENA_SCRATCH,
  MISC_BATCHES,
  MISC_BUCKETS,
  MISC_FRAMES,
  MISC_PAUSES,
  MISC_SENDS_EXHAUSTED,
  MISC_SUPER_RECEIVE,
  MISC_SUPER_TRANSMIT,
  NO_FRAMES,
  PUNT,
  SUPER_GRO,
  SUPER_USO,
} from "../../src/tables/counters.ts";
import { createTables, type Tables } from "../../src/tables/tables.ts";
import { UNWATCHED } from "../api/fake-source.ts";
import { portOf, vsiOf } from "./objects.ts";

let tables: Tables;
let inventory: Inventory;
let source: MetricsSource;

beforeEach(() => {
  tables = createTables({ workers: 2, macs: 64, neighbors: 64, routes: 64 }).tables;
  inventory = new Inventory();
  const vsi10 = vsiOf(1, "vsi10");
  inventory.addVsi(vsi10);
  inventory.addPort(portOf(3, "vm1", vsi10));
  inventory.addPort(portOf(4, "gw2", null));
  source = {
    version: "1.2.3",
    tables,
    inventory,
    counted: new CountedBefore(tables),
    macEntries: () => new Map([["vsi10", { local: 2, remote: 3, static: 0 }]]),
    neighborEntries: () => new Map([["vsi10", { local: 1, remote: 0, static: 0 }]]),
    routeEntries: () => new Map([["main", { own: 1, connected: 1 }]]),
    arpResults: () => new Map(),
    ndResults: () => new Map(),
    macMoves: () => new Map([["vsi10", 4]]),
    neighborMoves: () => new Map(),
    duplicates: () => [],
    resolutions: new Tally("result", ["resolved", "failed"], [0.01, 1]),
    stores: () => [
      { pool: "unresolved", inUse: 3, exhausted: 8 },
      { pool: "inject", inUse: null, exhausted: 1 },
    ],
    fallbacks: () => new Map([["udp_gso_eio", 2]]),
    receiveDrops: () => [0, 9],
    workersStill: () => [0.25, 3],
    loopLag: watchLoop(),
    underlay: () => ({ device: "eth0", problem: null }),
  };
});

/** With the rows of a feature. */
function registryOf(source: MetricsSource): SlicedExposition {
  const view = () => ({ ...UNWATCHED, rttMs: 1.5, answered: 7, lost: 2 });
  return createMetrics(
    source,
    probingRows(inventory, { view }, () => false),
  );
}

/** The exposition as (name with labels) -> value. */
async function scrape(): Promise<Map<string, number>> {
  const text = await registryOf(source).metrics();
  return new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

describe("values", () => {
  it("of traffic are sums over all threads, by object", async () => {
    tables.counters[0]!.ports[3 * 4 + 0] = 5;
    tables.counters[1]!.ports[3 * 4 + 0] = 7;
    tables.counters[1]!.ports[4 * 4 + 3] = 999;
    tables.counters[0]!.vsis[1 * 4 + 1] = 77;
    tables.counters[0]!.turnedAway[4] = 6;
    const all = await scrape();
    expect(all.get('vtep_ac_receive_packets_total{vsi="vsi10",ac="vm1"}')).toBe(12);
    expect(all.get('vtep_ac_transmit_packets_total{vsi="vsi10",ac="vm1"}')).toBe(0);
    expect(all.get('vtep_tunnel_transmit_bytes_total{tunnel="gw2"}')).toBe(999);
    expect(all.get('vtep_vsi_receive_bytes_total{vsi="vsi10"}')).toBe(77);
    expect(all.get('vtep_tunnel_turned_away_packets_total{tunnel="gw2"}')).toBe(6);
  });

  it("do not begin with what a former owner of the row counted", async () => {
    tables.counters[0]!.ports[3 * 4 + 0] = 1000;
    const counted = new CountedBefore(tables);
    counted.note(inventory.ac("vm1")!, "ports", 3);
    tables.counters[0]!.ports[3 * 4 + 0]! += 5;
    source = { ...source, counted };
    expect((await scrape()).get('vtep_ac_receive_packets_total{vsi="vsi10",ac="vm1"}')).toBe(5);
  });

  it("of drops are there for every reason from the start, control's included", async () => {
    tables.counters[0]!.drops[DROP.no_route] = 3;
    tables.controlCounters.drops[DROP.no_route] = 4;
    const all = await scrape();
    expect(all.get('vtep_drop_packets_total{reason="no_route"}')).toBe(7);
    for (const [reason] of DROPS) {
      const isFrame = !NO_FRAMES.has(reason);
      expect(all.has(`vtep_drop_packets_total{reason="${reason}"}`), reason).toBe(isFrame);
      expect(all.has(`vtep_learning_refused_total{reason="${reason}"}`), reason).toBe(!isFrame);
    }
  });

  it("of addresses that two hosts have are by VSI, and there while there is none", async () => {
    const name = 'vtep_duplicate_addresses{vsi="vsi10"}';
    expect((await scrape()).get(name)).toBe(0);
    source = { ...source, duplicates: () => [{ vsi: "vsi10" }, { vsi: "vsi10" }, { vsi: "gone" }] };
    const all = await scrape();
    expect(all.get(name)).toBe(2);
    expect(all.has('vtep_duplicate_addresses{vsi="gone"}')).toBe(false);
  });

  it("of punted and injected packets are by class", async () => {
    tables.counters[1]!.punted[PUNT.arp] = 2;
    tables.counters[0]!.injected[INJECT.flood] = 6;
    const all = await scrape();
    expect(all.get('vtep_punt_packets_total{class="arp"}')).toBe(2);
    expect(all.get('vtep_inject_packets_total{class="flood"}')).toBe(6);
    expect(all.get('vtep_inject_packets_total{class="port"}')).toBe(0);
  });

  it("of stuck workers are there", async () => {
    const all = await scrape();
    expect(all.get('vtep_worker_still_seconds{worker="1"}')).toBe(3);
  });

  it("of ARP are there for every result of every VSI", async () => {
    const all = await scrape();
    for (const result of RESOLUTION_RESULTS) expect(all.get(`vtep_arp_total{vsi="vsi10",result="${result}"}`)).toBe(0);
  });

  it("of the batch histogram are cumulative and end in the count", async () => {
    const { misc } = tables.counters[0]!;
    misc.set([3, 2, 0, 1, 0, 0], MISC_BUCKETS);
    misc[MISC_BATCHES] = 6;
    misc[MISC_FRAMES] = 60;
    const all = await scrape();
    const bucket = (le: string) => all.get(`vtep_batch_frames_bucket{worker="0",le="${le}"}`);
    expect([bucket("1"), bucket("4"), bucket("16"), bucket("64"), bucket("256"), bucket("+Inf")]).toEqual([
      3, 5, 5, 6, 6, 6,
    ]);
    expect(all.get('vtep_batch_frames_sum{worker="0"}')).toBe(60);
    expect(all.get('vtep_batch_frames_count{worker="0"}')).toBe(6);
  });

  it("of super-frames and their segments are sums over workers, by direction and kind", async () => {
    for (const [k, { misc }] of tables.workerCounters.entries()) {
      misc.set([2, 90 + k], MISC_SUPER_RECEIVE + SUPER_GRO);
      misc.set([1, 7], MISC_SUPER_TRANSMIT + SUPER_USO);
    }
    const all = await scrape();
    for (const direction of ["receive", "transmit"]) {
      for (const kind of ["tso", "uso", "gro"]) {
        const of = (name: string) => all.get(`vtep_${name}_total{direction="${direction}",kind="${kind}"}`);
        const is = `${direction} ${kind}`;
        const want = is === "receive gro" ? [4, 181] : is === "transmit uso" ? [2, 14] : [0, 0];
        expect([is, of("superframes"), of("segments")]).toEqual([is, ...want]);
      }
    }
  });

  it("of pools are by worker and pool, those of control's stores by pool alone", async () => {
    tables.workerCounters[1]!.misc[MISC_SENDS_EXHAUSTED] = 5;
    tables.workerCounters[1]!.misc[MISC_PAUSES] = 7;
    tables.workerCounters[0]!.misc[MISC_ARENA_SCRATCH] = 4096;
    const all = await scrape();
    expect(all.get('vtep_pool_exhausted_total{worker="1",pool="sends"}')).toBe(5);
    expect(all.get('vtep_pool_exhausted_total{worker="0",pool="scratch"}')).toBe(0);
    expect(all.get('vtep_pool_exhausted_total{pool="unresolved"}')).toBe(8);
    expect(all.get('vtep_pool_exhausted_total{pool="inject"}')).toBe(1);
    expect(all.get('vtep_pool_slots_in_use{pool="unresolved"}')).toBe(3);
    expect(all.has('vtep_pool_slots_in_use{pool="inject"}')).toBe(false);
    expect(all.get('vtep_arena_bytes{worker="0",pool="scratch"}')).toBe(4096);
    expect(all.get('vtep_arena_bytes{worker="1",pool="received"}')).toBe(0);
  });

  it("follow at the next scrape: counters up, a removed object away", async () => {
    const registry = registryOf(source);
    tables.counters[0]!.ports[3 * 4] = 1;
    expect(await registry.metrics()).toContain('vtep_ac_receive_packets_total{vsi="vsi10",ac="vm1"} 1\n');
    tables.counters[0]!.ports[3 * 4] = 2;
    expect(await registry.metrics()).toContain('vtep_ac_receive_packets_total{vsi="vsi10",ac="vm1"} 2\n');
    inventory.removePort(inventory.ac("vm1")!);
    expect(await registry.metrics()).not.toContain('ac="vm1"');
  });
});

describe("the text", () => {
  it("is well-formed: HELP and TYPE before the samples, no sample twice, names as Prometheus wants them", async () => {
    const text = await registryOf(source).metrics();
    const seen = new Set<string>();
    const types = new Map<string, string>();
    for (const line of text.split("\n")) {
      if (line === "") continue;
      const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line);
      if (type !== null) {
        expect(types.has(type[1]!), line).toBe(false);
        types.set(type[1]!, type[2]!);
        continue;
      }
      if (line.startsWith("# HELP ")) {
        expect(line).toMatch(/^# HELP \S+ \S/);
        continue;
      }
      const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[^{}]*\})? (-?[0-9.e+-]+|Nan|\+Inf|-Inf)$/.exec(line);
      expect(sample, line).not.toBeNull();
      const family = types.has(sample![1]!) ? sample![1]! : sample![1]!.replace(/_(bucket|sum|count)$/, "");
      expect(types.has(family), line).toBe(true);
      const key = line.slice(0, line.lastIndexOf(" "));
      expect(seen.has(key), line).toBe(false);
      seen.add(key);
    }
    // What promtool's linter asks: counters end in _total, and nothing else does.
    for (const [name, type] of types) expect(name.endsWith("_total"), name).toBe(type === "counter");
  });

  it.skipIf(spawnSync("promtool", ["--version"]).error !== undefined)("passes promtool", async () => {
    const input = await registryOf(source).metrics();
    const { stdout, stderr } = spawnSync("promtool", ["check", "metrics"], { input, encoding: "utf8" });
    // It takes "bits" for a unit; in reserved_bits they are header bits, and the name is a contract.
    const known = /^vtep_received_reserved_bits_total use base unit "bytes" instead of "bits"$/;
    expect(`${stdout}${stderr}`.split("\n").filter((line) => line !== "" && !known.test(line))).toEqual([]);
  });

  it("never has an address as a label, and no label that grows", async () => {
    const allowed =
      /^(vsi|ac|tunnel|reason|cause|class|result|vrf|origin|worker|pool|direction|kind|version|node_version|le)$/;
    for (const key of (await scrape()).keys()) {
      if (!key.startsWith("vtep_")) continue;
      for (const [, label] of key.matchAll(/[{,]([a-z_]+)="/g)) expect(label, key).toMatch(allowed);
      expect(key).not.toMatch(/\d+\.\d+\.\d+\.\d+"|(?:[0-9a-f]{2}:){5}/);
    }
  });

  it("has Node's own metrics beside ours", async () => {
    const names = [...(await scrape()).keys()];
    expect(names).toContain("process_resident_memory_bytes");
    expect(names).toContain("nodejs_heap_size_used_bytes");
  });
});
