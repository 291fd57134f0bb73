/** `POST /v1/trace`: what would happen to this packet; nothing is sent. `POST /v1/inject`: it happens, too. */
import { createRoute, type OpenAPIHono, type z } from "@hono/zod-openapi";
import { json } from "./json-body.ts";
import { Fault } from "./schema.ts";
import { InjectRequest, Trace, TraceRequest } from "./schema-trace.ts";

/** The question cannot be answered: nothing of that name (404), or it makes no sense (400). */
export interface TraceRefusal {
  readonly missing: boolean;
  readonly message: string;
  readonly hint: string;
}

/** With `inject` the packet is sent, too. */
export type TraceSource = (request: TraceRequest) => Trace | TraceRefusal;

export function addTrace(app: OpenAPIHono, trace: TraceSource): void {
  const routeOf = <T extends z.ZodType>(path: string, summary: string, schema: T) =>
    createRoute({
      method: "post",
      path,
      summary,
      request: { body: { required: true, content: { "application/json": { schema } } } },
      responses: {
        200: json("Its way and its fate", Trace),
        400: json("The question makes no sense", Fault),
        404: json("There is no such object", Fault),
      },
    });
  const followed = routeOf("/v1/trace", "Follow a described packet through the live tables", TraceRequest);
  app.openapi(followed, (c) => {
    const request = c.req.valid("json") as TraceRequest;
    const hint = "POST /v1/inject, with the same body but for `inject`";
    if (request.inject) return c.json(told({ missing: false, message: "a trace sends nothing", hint }), 400);
    const answer = trace(request);
    if (!("message" in answer)) return c.json(answer, 200);
    return answer.missing ? c.json(told(answer), 404) : c.json(told(answer), 400);
  });
  const sent = routeOf("/v1/inject", "Send a described packet as if it had arrived, and follow it", InjectRequest);
  app.openapi(sent, (c) => {
    const answer = trace({ ...(c.req.valid("json") as InjectRequest), inject: true });
    if (!("message" in answer)) return c.json(answer, 200);
    return answer.missing ? c.json(told(answer), 404) : c.json(told(answer), 400);
  });
}

const told = ({ missing, message, hint }: TraceRefusal): Fault => ({
  error: { code: missing ? "not_found" : "bad_request", message, hint },
});
