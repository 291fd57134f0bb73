/** The question "why": GET /v1/why?ip=… or ?mac=…, and where. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { fault, json } from "./json-body.ts";
import { Fault } from "./schema.ts";
import { type Question, Why } from "./schema-why.ts";

export interface WhySource {
  /** Null: there is no such VSI-interface or VSI. */
  why(question: Question): Why | null;
}

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;
const QUERY = z.object({
  ip: z.ipv4().optional(),
  mac: z.string().regex(MAC, "write it as 02:00:00:00:01:11").optional(),
  interface: z.string().optional().describe("only on this VSI-interface"),
  vsi: z.string().optional().describe("only in this VSI"),
});

export function addWhy(app: OpenAPIHono, source: WhySource): void {
  const route = createRoute({
    method: "get",
    path: "/v1/why",
    summary: "Why an address or a MAC is where we say it is",
    request: { query: QUERY },
    responses: {
      200: json("The story, and its facts", Why),
      400: json("The question makes no sense", Fault),
      404: json("There is no such object", Fault),
    },
  });
  app.openapi(route, (c) => {
    const { ip = null, mac = null, interface: iface = null, vsi = null } = c.req.valid("query");
    if ((ip === null) === (mac === null)) {
      const error = { code: "bad_request", message: "name an ip or a mac", hint: "GET /v1/why?ip=10.1.1.12" };
      return c.json({ error }, 400);
    }
    const why = source.why({ ip, mac: mac?.toLowerCase() ?? null, interface: iface, vsi });
    // Shared with control, and read-only; the shape is checked against the schema by its type.
    if (why !== null) return c.json(why as z.infer<typeof Why>, 200);
    const what = iface === null ? `VSI ${vsi}` : `VSI-interface ${iface}, or no VSI ${vsi}`;
    const hint = "vtepctl show interface and vtepctl show vsi list them";
    return c.json(fault("not_found", `there is no ${what}`, hint), 404);
  });
}
