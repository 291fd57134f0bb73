/** /v1/loops: ACs of one VSI that are bridged together behind our back. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { json } from "./json-body.ts";

export const Loop = z
  .object({
    vsi: z.string(),
    acs: z.tuple([z.string(), z.string()]).describe("the two ACs; twice the same: it sends back what it gets"),
    sinceSeconds: z.int(),
  })
  .openapi("Loop");
export type Loop = Readonly<Omit<z.infer<typeof Loop>, "acs">> & { readonly acs: readonly [string, string] };

export function addLoops(app: OpenAPIHono, loops: () => readonly Loop[]): void {
  const summary = "Loops: two ACs of a VSI that are bridged together behind them";
  const route = createRoute({
    method: "get",
    path: "/v1/loops",
    summary,
    responses: { 200: json(summary, z.array(Loop)) },
  });
  app.openapi(route, (c) =>
    c.json(
      [...loops()].map((loop) => ({ ...loop, acs: [...loop.acs] as [string, string] })),
      200,
    ),
  );
}
