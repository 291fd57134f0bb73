/**
 * GET /v1/snapshot: several answers of one moment, by one clock.
 *
 * All but the tables is read in one go. The tables are gathered before, a bounded number of rows each, while others have their
 * turns: on a gateway that is not full all of it is one go as well, and `spreadMs` is 0.
 */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { PARTS, type Part } from "./schema-parts.ts";
import { Snapshot, SnapshotQuery } from "./schema-snapshot.ts";
import type { TablesSource } from "./tables.ts";
import { gather } from "./turns.ts";
import type { WatchSource } from "./watch.ts";

/** The last events, and the boot in which they are numbered. */
export type SnappedEvents = Pick<WatchSource, "recent" | "bootId">;

export type Snapped = Pick<
  TablesSource,
  "status" | "vsis" | "acs" | "tunnels" | "interfaces" | "policies" | "drops" | "macs" | "neighbors" | "routes"
>;

const TABLES = ["macs", "neighbors", "routes"] as const;
type Table = (typeof TABLES)[number];

export function addSnapshot(app: OpenAPIHono, source: Snapped, events: SnappedEvents): void {
  const description = "The parts that were asked for, and when";
  const route = createRoute({
    method: "get",
    path: "/v1/snapshot",
    summary: "Several answers of one moment",
    request: { query: SnapshotQuery },
    responses: { 200: { description, content: { "application/json": { schema: Snapshot } } } },
  });
  app.openapi(route, async (c) => c.json(await snapshotOf(source, events, c.req.valid("query")), 200));
}

async function snapshotOf(source: Snapped, feed: SnappedEvents, { parts, limit }: SnapshotQuery): Promise<Snapshot> {
  const beganMs = performance.now();
  let isSpread = false;
  const found: Partial<Record<Part, unknown>> = {};
  const truncated: Part[] = [];
  for (const table of TABLES) {
    if (!parts.includes(table)) continue;
    const { rows, isCut, turns } = await gather<unknown>(source[table](), limit);
    found[table] = rows;
    if (isCut) truncated.push(table);
    isSpread ||= turns > 0;
  }
  const read: Readonly<Record<Exclude<Part, Table>, () => unknown>> = {
    status: () => source.status(),
    vsis: () => source.vsis(),
    acs: () => source.acs(),
    tunnels: () => source.tunnels(),
    interfaces: () => source.interfaces(),
    policies: () => source.policies(),
    drops: () => source.drops(),
    events: () => feed.recent({}),
  };
  const mono = process.hrtime.bigint();
  const wall = new Date().toISOString();
  const spreadMs = isSpread ? Math.ceil(performance.now() - beganMs) : 0;
  for (const part of PARTS) if (parts.includes(part) && part in read) found[part] = read[part as keyof typeof read]();
  const ordered = Object.fromEntries(PARTS.flatMap((part) => (part in found ? [[part, found[part]]] : [])));
  return { at: { mono: String(mono), wall }, spreadMs, bootId: feed.bootId, truncated, ...ordered };
}
