/** Settings that a reload takes over and that the process does not follow: they are told, and their texts say so. */
import { describe, expect, it } from "vitest";
import { jsonSchema } from "../../src/config/json-schema.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/control/plan.ts";
import type { Topology } from "../../src/control/topology/topology.ts";
import { Reloader, type ReloaderParts } from "../../src/daemon/reload.ts";

/** `more` replaces what the file has of the same key. */
function plan(more: object): Config {
  const file = { node: "gw1", underlay: { address: "192.0.2.1", mtu: 1500 }, metrics: {}, ...more };
  const result = parseConfig(JSON.stringify(file), "gw1.yaml");
  if ("errors" in result) throw new Error(JSON.stringify(result.errors));
  return result.config;
}

const underlay = (more: object) => ({ underlay: { address: "192.0.2.1", mtu: 1500, ...more } });

const FIXED: readonly (readonly [string, object, readonly string[]])[] = [
  ["underlay.sourcePorts", underlay({ sourcePorts: { first: 50000 } }), ["underlay.sourcePorts.first"]],
  ["underlay.checksum", underlay({ checksum: "on" }), ["underlay.checksum"]],
  ["underlay.acceptZeroChecksum", underlay({ acceptZeroChecksum: true }), ["underlay.acceptZeroChecksum"]],
  ["underlay.offload", underlay({ offload: { tapTso: false } }), ["underlay.offload.tapTso"]],
  ["workers.priority", { workers: { count: 1, priority: "normal" } }, ["workers.priority"]],
  ["workers.cpus", { workers: { count: 1, cpus: [0] } }, ["workers.cpus"]],
  ["control.socket", { control: { socket: "/run/b.sock" } }, ["control.socket"]],
  ["control.observe", { control: { observe: "/run/b.sock" } }, ["control.observe"]],
  ["attach", { attach: { socket: "/run/b.sock" } }, ["attach"]],
  ["metrics.listen", { metrics: { listen: "127.0.0.1:1" } }, ["metrics.port"]],
  ["log.format", { log: { format: "json" } }, ["log.format"]],
  ["limits.macs", { limits: { macs: 9000 } }, ["limits.macs"]],
  ["limits.neighbors", { limits: { neighbors: 5000, neighbors6: 65536 } }, ["limits.neighbors"]],
  ["limits.routes", { limits: { routes: 5, routes6: 16384 } }, ["limits.routes"]],
  ["limits.neighbors6", { limits: { neighbors6: 5000 } }, ["limits.neighbors6"]],
  ["limits.routes6", { limits: { routes6: 5 } }, ["limits.routes6"]],
];

/** Not taken over at all: a file that changes them is refused. */
const REFUSED = [...["node", "stateDirectory", "underlay.address", "underlay.port", "workers", "workers.count"]];

describe("a setting that needs a restart", () => {
  it.each(FIXED)("%s is told", (_, more, paths) => {
    const topology = { config: plan(more) } as Topology;
    const parts = { file: "gw1.yaml", topology, reader: {} } as unknown as ReloaderParts;
    expect(new Reloader(parts, plan({})).needsRestart).toEqual(paths);
    expect(new Reloader(parts, plan(more)).needsRestart).toEqual([]);
  });

  it("has a text that says so, and no other has", () => {
    const said: string[] = [];
    const walk = (schema: Record<string, unknown>, path: string): void => {
      if (String(schema.description).endsWith("Needs a restart.")) said.push(path);
      const { properties = {}, anyOf = [] } = schema as { properties?: object; anyOf?: Record<string, unknown>[] };
      for (const [key, value] of Object.entries(properties)) walk(value, path === "" ? key : `${path}.${key}`);
      for (const each of anyOf) walk(each, path);
    };
    walk(jsonSchema() as Record<string, unknown>, "");
    expect([...new Set(said)].sort()).toEqual([...FIXED.map(([key]) => key), ...REFUSED].sort());
  });
});
