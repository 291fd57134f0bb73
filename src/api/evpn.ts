/** /v1/evpn: how the gateway stands in its BGP EVPN fabric, route by route; without `evpn` in the configuration there is none of it. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { compareIp, parseIp } from "../control/ip.ts";
import { fault, json } from "./json-body.ts";
import { jsonSlices, type Steps } from "./json-slices.ts";
import { answerOf, NEXT, PAGE, PAGE_HEADERS } from "./pages.ts";
import { Fault, Flushed } from "./schema.ts";
import { Evpn, EvpnDuplicate, EvpnRefused, EvpnRoute, EvpnVtep } from "./schema-evpn.ts";

export interface EvpnSource {
  view(): Evpn;
  /** There may be a hundred thousand. */
  routes(): Steps<EvpnRoute>;
  /** By address (`compareIp`); a peer may name as many as it has routes. */
  vteps(): Steps<EvpnVtep>;
  duplicates(): EvpnDuplicate[];
  refused(): EvpnRefused[];
  /** Ask the engine for everything once more. */
  resync(): void;
  /** @returns how many were duplicates. */
  clearDuplicates(vsi: string | null, mac: string | null): number;
}

const NONE = fault(
  "not_found",
  "this gateway takes no part in EVPN",
  "its configuration has no evpn section (docs/evpn.md)",
);
const absent = { 404: json("The configuration has no evpn section", Fault) };

/** @param source null while the configuration has no `evpn`. */
export function addEvpn(app: OpenAPIHono, source: () => EvpnSource | null): void {
  const read = <T extends z.ZodType>(
    path: string,
    summary: string,
    body: T,
    answer: (evpn: EvpnSource) => z.output<T>,
  ) => {
    const route = createRoute({ method: "get", path, summary, responses: { 200: json(summary, body), ...absent } });
    app.openapi(route, (c) => {
      const evpn = source();
      return (evpn === null ? c.json(NONE, 404) : c.json(answer(evpn) as never, 200)) as never;
    });
  };
  read("/v1/evpn", "Engine, sessions and VSIs of BGP EVPN", Evpn, (evpn) => evpn.view());
  read("/v1/evpn/duplicates", "MACs that move too often", z.array(EvpnDuplicate), (evpn) => evpn.duplicates());
  read("/v1/evpn/refused", "Routes not used, by reason", z.array(EvpnRefused), (evpn) => evpn.refused());
  const routes = createRoute({
    method: "get",
    path: "/v1/evpn/routes",
    summary: "EVPN routes, and what became of each",
    responses: { 200: json("EVPN routes, and what became of each", z.array(EvpnRoute)), ...absent },
  });
  app.openapi(routes, (c) => {
    const evpn = source();
    if (evpn === null) return c.json(NONE, 404) as never;
    return new Response(jsonSlices(evpn.routes()), { headers: { "content-type": "application/json" } }) as never;
  });
  const vteps = createRoute({
    method: "get",
    path: "/v1/evpn/vteps",
    summary: "VTEPs that routes name, by address",
    request: { query: PAGE },
    responses: {
      200: { ...json("VTEPs that routes name, by address", z.array(EvpnVtep)), headers: PAGE_HEADERS },
      304: { description: "The page that If-None-Match names" },
      400: json("`after` is no VTEP", Fault),
      ...absent,
    },
  });
  app.openapi(vteps, async (c) => {
    const evpn = source();
    if (evpn === null) return c.json(NONE, 404) as never;
    const { limit, after } = c.req.valid("query");
    const last = after === undefined ? null : parseIp(after);
    if (after !== undefined && last === null)
      return c.json(fault("bad_request", `after: "${after}" is no VTEP`, `give what ${NEXT} said`), 400) as never;
    const isMeant = last === null ? null : (row: EvpnVtep) => compareIp(parseIp(row.vtep)!, last) > 0;
    const known = c.req.header("if-none-match");
    return (await answerOf(evpn.vteps(), isMeant, { limit, known, keyOf: ({ vtep }) => vtep })) as never;
  });
  const resync = createRoute({
    method: "post",
    path: "/v1/evpn/resync",
    summary: "Ask the engine for all routes once more",
    responses: { 204: { description: "It is under way" }, ...absent },
  });
  app.openapi(resync, (c) => {
    const evpn = source();
    if (evpn === null) return c.json(NONE, 404);
    evpn.resync();
    return c.body(null, 204);
  });
  const scope = z.object({ vsi: z.string().optional(), mac: z.string().optional() });
  const clear = createRoute({
    method: "delete",
    path: "/v1/evpn/duplicates",
    summary: "Believe MACs again that moved too often",
    request: { query: scope },
    responses: { 200: json("How many there were", Flushed), ...absent },
  });
  app.openapi(clear, (c) => {
    const evpn = source();
    if (evpn === null) return c.json(NONE, 404);
    const { vsi = null, mac = null } = c.req.valid("query");
    return c.json({ removed: evpn.clearDuplicates(vsi, mac) }, 200);
  });
}
