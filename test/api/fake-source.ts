/** What the API answers without a gateway: everything empty, unless a test says otherwise. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { ApiParts } from "../../src/api/api.ts";
import {
  addConfig,
  addEntries,
  addLog,
  addOffloads,
  type ConfigSource,
  type EntrySource,
  type LogSource,
} from "../../src/api/change.ts";
import { addDoctor, type DoctorSource } from "../../src/api/doctor.ts";
import { addProbes, type ProbeSource } from "../../src/api/probe.ts";
import type { CheckReport, Features, Scheduling, Status } from "../../src/api/schema.ts";
import type { Probe } from "../../src/api/schema-probe.ts";
import { addSnapshot } from "../../src/api/snapshot.ts";
import { addTables, type TablesSource } from "../../src/api/tables.ts";
import { addTrace, type TraceSource } from "../../src/api/trace.ts";
import { addWatch, type WatchSource } from "../../src/api/watch.ts";
import { addWhy, type WhySource } from "../../src/api/why.ts";
import { fileForm } from "../../src/config/form.ts";
import { parseConfig } from "../../src/config/load.ts";

/** One thread in a session of its own, as it was started. */
export const SCHEDULING: Scheduling = {
  priority: "auto",
  group: { kind: "session", text: "session (autogroup), nice 0" },
  threads: [{ worker: 0, priority: "nice 0", cpus: "0-1", refused: [], runDelay: 0.02 }],
};

export const STATUS: Status = {
  ready: true,
  missing: [],
  node: "gw1",
  version: "1.2.3",
  nodeVersion: "v20.20.2",
  pid: 1,
  uptimeSeconds: 61,
  bootId: "0123456789abcdef",
  startedAt: "2026-11-28T08:00:00.000Z",
  sockets: [{ name: "control", path: "/run/vtepd/vtepd.sock", group: null, readOnly: false }],
  underlay: { address: "192.0.2.1", port: 4789, mtu: 1500, device: "eth0", problem: null },
  workers: 1,
  stuckWorkers: [],
  counts: { vsis: 0, acs: 0, acsUp: 0, tunnels: 0, interfaces: 0, macs: 0, neighbors: 0, routes: 0, policies: 0 },
  config: { file: "/etc/vtepd.yaml", lastReloadSuccessful: true, needsRestart: [] },
  probing: { state: "unused", watched: 0, by: null, reason: null, fix: null },
  ledger: {
    dataplane: { received: 9, injected: 1, copies: 2, sent: 7, punted: 3, dropped: 2, imbalance: 0 },
    control: { drained: 3, consumed: 2, reinjected: 1, dropped: 0, held: 0, imbalance: 0 },
  },
};

/** A tunnel that is not watched. */
export const UNWATCHED: Probe = {
  silentSeconds: 0,
  sentSince: 0,
  keepalive: null,
  state: "unwatched",
  rttMs: null,
  loss: null,
  answered: 0,
  lost: 0,
  pathMtu: null,
};

export const REPORT: CheckReport = {
  file: "/etc/vtepd.yaml",
  valid: true,
  reason: null,
  errors: [],
  changes: [],
  needsRestart: [],
};

export interface ChangeSource extends ConfigSource, EntrySource, LogSource {
  features(): Features;
}

/** What all routes answer from. */
export interface ApiSource extends TablesSource, DoctorSource, WhySource {
  readonly probe: ProbeSource;
  readonly trace: TraceSource;
  readonly watch: WatchSource;
  readonly change: ChangeSource;
}

export function changeWith(parts: Partial<ChangeSource>): ChangeSource {
  return {
    checkConfig: async () => REPORT,
    reloadConfig: async () => REPORT,
    addMac: () => null,
    removeMac: () => null,
    addNeighbor: () => null,
    logLevel: () => ({ level: "info" }),
    setLogLevel: () => undefined,
    features: () => ({
      offloads: [],
      probes: [],
      fallbacks: [],
      workers: [],
      scheduling: SCHEDULING,
      memory: { resident: 96e6, proportional: null },
    }),
    ...parts,
  };
}

/** All features of the API over one source. */
export function sourceWith(parts: Partial<ApiSource>): ApiParts {
  const source = completed(parts);
  return { version: "1.2.3", features: [{ routes: (app) => addAll(app, source) }] };
}

function addAll(app: OpenAPIHono, source: ApiSource): void {
  addTables(app, source);
  addSnapshot(app, source, source.watch);
  addConfig(app, source.change);
  addEntries(app, source.change);
  addLog(app, source.change);
  addOffloads(app, () => source.change.features());
  addTrace(app, source.trace);
  addWatch(app, source.watch);
  addProbes(app, source.probe);
  addWhy(app, source);
  addDoctor(app, source);
}

function completed(parts: Partial<ApiSource>): ApiSource {
  const parsed = parseConfig("node: gw1\nunderlay: {address: 192.0.2.1}\n", "test.yaml");
  if ("errors" in parsed) throw new Error("the test's configuration is wrong");
  const none = () => [];
  return {
    status: () => STATUS,
    vsis: none,
    hasVsi: () => false,
    hasVrf: () => false,
    vrfs: none,
    acs: none,
    tunnels: none,
    interfaces: none,
    macs: none,
    neighbors: none,
    routes: none,
    policies: none,
    drops: none,
    config: () => fileForm(parsed.config),
    flushMacs: () => 0,
    flushNeighbors: () => 0,
    trace: () => ({ missing: true, message: "there is no AC vm9", hint: "vtepctl show ac lists them" }),
    watch: { bootId: "b0", recent: () => [], follow: () => () => undefined, capture: () => () => undefined },
    change: changeWith({}),
    why: () => null,
    doctor: async () => ({ checks: [] }),
    probe: { ping: () => null, search: () => null, searchOf: () => null, pingHost: () => null },
    ...parts,
  };
}
