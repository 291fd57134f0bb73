/**
 * The HTTP API of the control socket: reads of everything control believes, and a few writes.
 *
 * Each route is declared with its zod schema, from which `/v1/openapi.json` is made; the answers come from an `ApiSource`
 * that `main` puts together. A client that can open the socket is the operator, so there are no users here; what is checked is
 * whether the question makes sense. Errors are always `{"error": {"code", "message", "hint"}}`.
 */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { addChanges, type ChangeSource } from "./change.ts";
import { addDoctor, type DoctorSource } from "./doctor.ts";
import { jsonSlices, type Steps } from "./json-slices.ts";
import type { Fetch } from "./listener.ts";
import { addProbes, type ProbeSource } from "./probe.ts";
import * as schema from "./schema.ts";
import { addTrace, type TraceSource } from "./trace.ts";
import { addWatch, type WatchSource } from "./watch.ts";
import { addWhy, type WhySource } from "./why.ts";

/** What the API shows and does; every list is sorted. */
export interface ApiSource {
  readonly version: string;
  status(): schema.Status;
  vsis(): schema.Vsi[];
  acs(): schema.Ac[];
  tunnels(): schema.Tunnel[];
  interfaces(): schema.Interface[];
  macs(): Steps<schema.MacEntry>;
  neighbors(): Steps<schema.Neighbor>;
  routes(): Steps<schema.Route>;
  policies(): schema.Policy[];
  drops(): schema.DropCount[];
  /** As the keys of a file. */
  config(): Readonly<Record<string, unknown>>;
  /** Forget learned MACs of one VSI or of all. @returns how many; null: there is no such VSI. */
  flushMacs(vsi: string | null): number | null;
  /** Forget learned neighbours and suppressed hosts of one VSI-interface or VSI, one of them, or all. @returns how many; null: no such VSI-interface. */
  flushNeighbors(on: string | null, ip: string | null, vsi: string | null): number | null;
  /** What is wrong, or will be. */
  readonly doctor: DoctorSource["doctor"];
  /** Why we believe what we believe. */
  readonly why: WhySource["why"];
  /** The way to the peers. */
  readonly probe: ProbeSource;
  /** What would happen to a packet. */
  readonly trace: TraceSource;
  /** What happens, as it happens. */
  readonly watch: WatchSource;
  /** What changes a running gateway. */
  readonly change: ChangeSource;
}

/** An answer that is an error. */
function fault(code: string, message: string, hint: string): schema.Fault {
  return { error: { code, message, hint } };
}

const json = <T extends z.ZodType>(description: string, body: T) => ({
  description,
  content: { "application/json": { schema: body } },
});

const MAC_SCOPE = z.object({ vsi: z.string().optional() });
const NEIGHBOR_SCOPE = z.object({
  interface: z.string().optional(),
  vsi: z.string().optional().describe("hosts that ARP suppression answers for in this VSI"),
  ip: z.ipv4().optional().describe("needs interface or vsi"),
});

/** The application; `main` gives its `fetch` to the control socket. */
export function createApi(source: ApiSource): Fetch {
  const app = new OpenAPIHono({
    defaultHook: (result, c) => {
      if (result.success) return undefined;
      const issue = result.error.issues[0]!;
      const message = `${issue.path.join(".")}: ${issue.message}`;
      return c.json(fault("bad_request", message, "see /v1/openapi.json for what may be asked"), 400);
    },
  });
  addReads(app, source);
  addWrites(app, source);
  addChanges(app, source.change);
  addTrace(app, source.trace);
  addWatch(app, source.watch);
  addProbes(app, source.probe);
  addWhy(app, source);
  addDoctor(app, source);
  // Made once: that takes as long as hundreds of answers, and anybody may ask for it again and again.
  let document: string | null = null;
  app.get("/v1/openapi.json", (c) => {
    const info = { title: "vtepd", version: source.version };
    document ??= JSON.stringify(app.getOpenAPI31Document({ openapi: "3.1.0", info }));
    return c.body(document, 200, { "content-type": "application/json" });
  });
  app.notFound((c) =>
    c.json(fault("not_found", `there is no ${c.req.method} ${c.req.path}`, "see /v1/openapi.json"), 404),
  );
  app.onError((error, c) => {
    // What the caller sent could not be read: the caller's mistake, not ours.
    if (error instanceof HTTPException && error.status < 500)
      return c.json(fault("bad_request", error.message, "see /v1/openapi.json for what may be asked"), error.status);
    return c.json(
      fault("internal", error.message, "this is a mistake in vtepd: please report it with the daemon's log"),
      500,
    );
  });
  return (request) => app.fetch(request);
}

function addReads(app: OpenAPIHono, source: ApiSource): void {
  const read = <T extends z.ZodType>(path: string, summary: string, body: T, answer: () => z.output<T>) => {
    const route = createRoute({ method: "get", path, summary, responses: { 200: json(summary, body) } });
    // The answer's type is checked against the schema here; hono's own check cannot see through a generic route.
    app.openapi(route, (c) => c.json(answer() as never, 200));
  };
  /** May be long: made while it is sent. */
  const list = <T extends z.ZodType>(path: string, summary: string, row: T, answer: () => Steps<z.output<T>>) => {
    const route = createRoute({ method: "get", path, summary, responses: { 200: json(summary, z.array(row)) } });
    const head = { "content-type": "application/json" };
    app.openapi(route, () => new Response(jsonSlices(answer()), { headers: head }) as never);
  };
  read("/v1/status", "Readiness, sizes and the ledger", schema.Status, () => source.status());
  read("/v1/vsis", "VSIs by name", z.array(schema.Vsi), () => source.vsis());
  read("/v1/acs", "Attachment circuits by name", z.array(schema.Ac), () => source.acs());
  read("/v1/tunnels", "Tunnels by name", z.array(schema.Tunnel), () => source.tunnels());
  read("/v1/interfaces", "VSI-interfaces by name", z.array(schema.Interface), () => source.interfaces());
  list("/v1/macs", "MAC tables by VSI and MAC", schema.MacEntry, () => source.macs());
  list("/v1/neighbors", "ARP tables by VSI-interface and IP", schema.Neighbor, () => source.neighbors());
  list("/v1/routes", "Routes by VRF and prefix", schema.Route, () => source.routes());
  read("/v1/policies", "Policies by name, rules in their order", z.array(schema.Policy), () => source.policies());
  read("/v1/drops", "All drop reasons with their counts", z.array(schema.DropCount), () => source.drops());
  read(
    "/v1/config",
    "The configuration in force as the keys of a file, with every default filled in",
    z.looseObject({}),
    () => ({ ...source.config() }),
  );
}

function addWrites(app: OpenAPIHono, source: ApiSource): void {
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
    const { interface: on, vsi, ip } = NEIGHBOR_SCOPE.parse(c.req.valid("query"));
    if (ip !== undefined && on === undefined && vsi === undefined) {
      return c.json(fault("bad_request", "ip needs interface or vsi", "the same IP may be in several VRFs"), 400);
    }
    const removed = source.flushNeighbors(on ?? null, ip ?? null, vsi ?? null);
    if (removed !== null) return c.json({ removed }, 200);
    if (vsi !== undefined)
      return c.json(fault("not_found", `there is no VSI ${vsi}`, "vtepctl show vsi lists them"), 404);
    return c.json(fault("not_found", `there is no VSI-interface ${on}`, "vtepctl show interface lists them"), 404);
  });
}
