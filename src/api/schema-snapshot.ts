/** What `GET /v1/snapshot` is asked and says: see schema.ts for the rules. */
import { z } from "@hono/zod-openapi";
import * as schema from "./schema.ts";
import { PARTS } from "./schema-parts.ts";
import { EventRecord } from "./schema-watch.ts";

export const SnapshotQuery = z.object({
  parts: z
    .string()
    .max(200)
    .default("status,vsis,acs,tunnels,interfaces,drops")
    .transform((text) => text.split(","))
    .pipe(z.array(z.enum(PARTS)))
    .describe(`of ${PARTS.join(", ")}; separated by commas`),
  limit: z.coerce.number().int().min(1).max(10_000).default(1000).describe("rows of macs, neighbors and routes, each"),
});

const rows = <T extends z.ZodType>(row: T) => z.array(row).optional();

export const Snapshot = z
  .object({
    at: z.object({
      mono: z.string().describe("nanoseconds of the machine's monotonic clock"),
      wall: z.string().describe("RFC 3339, UTC"),
    }),
    spreadMs: z.int().describe("macs, neighbors and routes may be so much older than `at`; 0: all was read in one go"),
    bootId: z.string(),
    truncated: z.array(z.enum(PARTS)).describe("tables that have more rows than were asked for"),
    status: schema.Status.optional(),
    vsis: rows(schema.Vsi),
    acs: rows(schema.Ac),
    tunnels: rows(schema.Tunnel),
    interfaces: rows(schema.Interface),
    policies: rows(schema.Policy),
    drops: rows(schema.DropCount),
    events: rows(EventRecord),
    macs: rows(schema.MacEntry),
    neighbors: rows(schema.Neighbor),
    routes: rows(schema.Route),
  })
  .openapi("Snapshot");

export type SnapshotQuery = z.infer<typeof SnapshotQuery>;
export type Snapshot = z.infer<typeof Snapshot>;
