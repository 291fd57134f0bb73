/** /v1/ra: what VSI-interfaces advertise to the IPv6 hosts behind their ACs. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { json } from "./json-body.ts";

export const Advertised = z
  .object({
    interface: z.string(),
    vsis: z.array(z.string()),
    source: z.ipv6().describe("the link-local address that hosts have as their router's"),
    mac: z.string(),
    lifetimeSeconds: z.int().describe("as a default router; 0: it is none"),
    preference: z.enum(["high", "medium", "low"]),
    prefixes: z.array(
      z.object({ prefix: z.string(), onLink: z.boolean(), slaac: z.boolean().describe("hosts make addresses of it") }),
    ),
    managed: z.boolean(),
    other: z.boolean(),
    mtu: z.int(),
    dns: z.array(z.ipv6()),
    search: z.array(z.string()),
    sent: z.int().describe("advertisements since the start"),
    solicited: z.int().describe("router solicitations that were answered"),
    saidSeconds: z.int().nullable().describe("since the last one to all hosts; null: none yet"),
    nextSeconds: z.int().describe("until the next one to all hosts"),
  })
  .openapi("Advertised");
export type Advertised = z.infer<typeof Advertised>;

export function addRa(app: OpenAPIHono, list: () => readonly Advertised[]): void {
  const summary = "Router advertisements by VSI-interface";
  const route = createRoute({
    method: "get",
    path: "/v1/ra",
    summary,
    responses: { 200: json(summary, z.array(Advertised)) },
  });
  app.openapi(route, (c) => c.json([...list()], 200));
}
