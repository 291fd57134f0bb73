/** The routes of what the gateway believes and counts: status, objects, tables (pages.ts), and forgetting what was learned. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Family } from "../control/ip.ts";
import { address } from "./address.ts";
import { fault, json } from "./json-body.ts";
import { addPages, family, familyOf, type PagesSource } from "./pages.ts";
import * as schema from "./schema.ts";

/** What they answer; every list is sorted. */
export interface TablesSource extends PagesSource {
  status(): schema.Status;
  acs(): schema.Ac[];
  tunnels(): schema.Tunnel[];
  interfaces(): schema.Interface[];
  policies(): schema.Policy[];
  drops(): schema.DropCount[];
  /** As the keys of a file. */
  config(): Readonly<Record<string, unknown>>;
  /** Forget learned MACs of one VSI or of all. @returns how many; null: there is no such VSI. */
  flushMacs(vsi: string | null): number | null;
  /** Forget learned neighbours and suppressed hosts of one VSI-interface or VSI, one of them, or all. @returns how many; null: no such VSI-interface. */
  flushNeighbors(iface: string | null, ip: string | null, vsi: string | null, family: Family | null): number | null;
}

const MAC_SCOPE = z.object({ vsi: z.string().optional() });
const NEIGHBOR_SCOPE = z.object({
  interface: z.string().optional(),
  vsi: z.string().optional().describe("hosts that suppression answers for in this VSI"),
  ip: address.optional().describe("needs interface or vsi"),
  family,
});

export function addTables(app: OpenAPIHono, source: TablesSource): void {
  addReads(app, source);
  addPages(app, source);
  addFlushes(app, source);
}

function addReads(app: OpenAPIHono, source: TablesSource): void {
  const read = <T extends z.ZodType>(path: string, summary: string, body: T, answer: () => z.output<T>) => {
    const route = createRoute({ method: "get", path, summary, responses: { 200: json(summary, body) } });
    // The answer's type is checked against the schema here; hono's own check cannot see through a generic route.
    app.openapi(route, (c) => c.json(answer() as never, 200));
  };
  read("/v1/status", "Readiness, sizes and the ledger", schema.Status, () => source.status());
  read("/v1/vsis", "VSIs by name", z.array(schema.Vsi), () => source.vsis());
  read("/v1/acs", "Attachment circuits by name", z.array(schema.Ac), () => source.acs());
  read("/v1/tunnels", "Tunnels by name", z.array(schema.Tunnel), () => source.tunnels());
  read("/v1/interfaces", "VSI-interfaces by name", z.array(schema.Interface), () => source.interfaces());
  read("/v1/policies", "Policies by name, rules in their order", z.array(schema.Policy), () => source.policies());
  read("/v1/drops", "All drop reasons with their counts", z.array(schema.DropCount), () => source.drops());
  read(
    "/v1/config",
    "The configuration in force as the keys of a file, with every default filled in",
    z.looseObject({}),
    () => ({ ...source.config() }),
  );
}

function addFlushes(app: OpenAPIHono, source: TablesSource): void {
  const flush = (path: string, summary: string, query: z.ZodObject) =>
    createRoute({
      method: "delete",
      path,
      summary,
      request: { query },
      responses: {
        200: json("How many were removed", schema.Flushed),
        400: json("The question makes no sense", schema.Fault),
        404: json("There is no such object", schema.Fault),
      },
    });
  app.openapi(flush("/v1/macs", "Forget learned MACs", MAC_SCOPE), (c) => {
    const { vsi } = MAC_SCOPE.parse(c.req.valid("query"));
    const removed = source.flushMacs(vsi ?? null);
    if (removed !== null) return c.json({ removed }, 200);
    return c.json(fault("not_found", `there is no VSI ${vsi}`, "vtepctl show vsi lists them"), 404);
  });
  app.openapi(flush("/v1/neighbors", "Forget learned neighbours", NEIGHBOR_SCOPE), (c) => {
    const { interface: iface, vsi, ip, family: of } = NEIGHBOR_SCOPE.parse(c.req.valid("query"));
    if (ip !== undefined && iface === undefined && vsi === undefined) {
      return c.json(fault("bad_request", "ip needs interface or vsi", "the same IP may be in several VRFs"), 400);
    }
    const removed = source.flushNeighbors(iface ?? null, ip ?? null, vsi ?? null, familyOf(of));
    if (removed !== null) return c.json({ removed }, 200);
    if (vsi !== undefined)
      return c.json(fault("not_found", `there is no VSI ${vsi}`, "vtepctl show vsi lists them"), 404);
    return c.json(fault("not_found", `there is no VSI-interface ${iface}`, "vtepctl show interface lists them"), 404);
  });
}
