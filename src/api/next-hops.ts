/** /v1/next-hops: what routes and policies send to, and whether it lives. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { json } from "./json-body.ts";
import { HeldHop } from "./schema-next-hop.ts";

const query = z.object({
  dead: z.enum(["true", "false"]).optional().openapi({ description: "true: only those that are dead" }),
});

/** @param source `isDead`: only those that are. */
export function addNextHops(app: OpenAPIHono, source: (isDead: boolean) => readonly HeldHop[]): void {
  const summary = "Next hops of routes and policies: whether they live, and what goes by them";
  const responses = { 200: json(summary, z.array(HeldHop)) };
  app.openapi(createRoute({ method: "get", path: "/v1/next-hops", summary, request: { query }, responses }), (c) =>
    c.json([...source(c.req.valid("query").dead === "true")], 200),
  );
}
