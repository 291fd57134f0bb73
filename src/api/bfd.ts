/** /v1/bfd: the sessions with the peers of tunnels. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { json } from "./json-body.ts";
import { Bfd } from "./schema-bfd.ts";

export function addBfd(app: OpenAPIHono, source: () => Bfd): void {
  const summary = "BFD sessions with the peers of tunnels, and datagrams refused";
  const route = createRoute({ method: "get", path: "/v1/bfd", summary, responses: { 200: json(summary, Bfd) } });
  app.openapi(route, (c) => c.json(source(), 200));
}
