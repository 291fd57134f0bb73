/** `POST /v1/trace`: what would happen to this packet. */
import { createRoute, type OpenAPIHono, type z } from "@hono/zod-openapi";
import { Fault } from "./schema.ts";
import { Trace, TraceRequest } from "./schema-trace.ts";

/** The question cannot be answered: nothing of that name (404), or it makes no sense (400). */
export interface TraceRefusal {
  readonly missing: boolean;
  readonly message: string;
  readonly hint: string;
}

export type TraceSource = (request: TraceRequest) => Trace | TraceRefusal;

const json = <T extends z.ZodType>(description: string, schema: T) => ({
  description,
  content: { "application/json": { schema } },
});

export function addTrace(app: OpenAPIHono, trace: TraceSource): void {
  const route = createRoute({
    method: "post",
    path: "/v1/trace",
    summary: "Follow a described packet through the live tables",
    request: { body: { required: true, content: { "application/json": { schema: TraceRequest } } } },
    responses: {
      200: json("Its way and its fate", Trace),
      400: json("The question makes no sense", Fault),
      404: json("There is no such object", Fault),
    },
  });
  app.openapi(route, (c) => {
    const answer = trace(c.req.valid("json"));
    if (!("message" in answer)) return c.json(answer, 200);
    const { missing, message, hint } = answer;
    if (missing) return c.json({ error: { code: "not_found", message, hint } }, 404);
    return c.json({ error: { code: "bad_request", message, hint } }, 400);
  });
}
