/** /v1/bindings: who may send from behind each AC (`antiSpoof: strict`). */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { json } from "./json-body.ts";

export const Binding = z
  .object({
    ac: z.string(),
    vsi: z.string(),
    mac: z.string(),
    ip: z.string().describe("IPv4 or IPv6"),
    source: z
      .enum(["static", "dhcp", "slaac"])
      .describe("the configuration, a lease that our relay saw, or the AC itself, which claimed the address first"),
    expiresSeconds: z.int().nullable().describe("until it ends, if nothing prolongs it; null: it does not"),
    enforced: z.boolean().describe("the AC has antiSpoof: strict; else it is only known"),
  })
  .openapi("Binding");
export type Binding = z.infer<typeof Binding>;

export function addBindings(app: OpenAPIHono, bindings: () => readonly Binding[]): void {
  const summary = "Bindings: which MAC and address live behind which AC";
  const route = createRoute({
    method: "get",
    path: "/v1/bindings",
    summary,
    responses: { 200: json(summary, z.array(Binding)) },
  });
  app.openapi(route, (c) => c.json([...bindings()], 200));
}
