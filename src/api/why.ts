/** The question "why": GET /v1/why?ip=… or ?mac=…, and where. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { address } from "./address.ts";
import { fault, json } from "./json-body.ts";
import { Fault } from "./schema.ts";
import { type Question, Why } from "./schema-why.ts";

/** The address is in these VRFs, another host in each. */
export interface Ambiguous {
  readonly vrfs: readonly string[];
}

export interface WhySource {
  /** Null: there is no such VSI-interface, VSI or VRF. */
  why(question: Question): Why | Ambiguous | null;
}

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;
const QUERY = z.object({
  ip: address.optional(),
  mac: z.string().regex(MAC, "write it as 02:00:00:00:01:11").optional(),
  interface: z.string().optional().describe("only on this VSI-interface"),
  vsi: z.string().optional().describe("only in this VSI"),
  vrf: z.string().optional().describe("only in this VRF; needed where several have the address"),
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
    const { ip = null, mac = null, interface: iface = null, vsi = null, vrf = null } = c.req.valid("query");
    if ((ip === null) === (mac === null)) {
      const error = { code: "bad_request", message: "name an ip or a mac", hint: "GET /v1/why?ip=10.1.1.12" };
      return c.json({ error }, 400);
    }
    const why = source.why({ ip, mac: mac?.toLowerCase() ?? null, interface: iface, vsi, vrf });
    if (why !== null && "vrfs" in why) return c.json(ambiguous(ip!, why.vrfs), 400);
    // Shared with control, and read-only; the shape is checked against the schema by its type.
    if (why !== null) return c.json(why as z.infer<typeof Why>, 200);
    const asked = { "VSI-interface": iface, VSI: vsi, VRF: vrf };
    const what = Object.entries(asked).flatMap(([kind, name]) => (name === null ? [] : [`no ${kind} ${name}`]));
    const hint = "vtepctl show interface, vtepctl show vsi and vtepctl show vrf list them";
    return c.json(fault("not_found", `there is ${what.join(", or ")}`, hint), 404);
  });
}

/** An address that is more than one host's. */
export function ambiguous(ip: string, vrfs: readonly string[]): Fault {
  const hint = `say which: ${vrfs.map((vrf) => `--vrf ${vrf}`).join(" or ")}`;
  return fault("ambiguous", `${ip} is an address in VRFs ${listOf(vrfs)}`, hint);
}

/** "main and red". */
function listOf(names: readonly string[]): string {
  return [names.slice(0, -1).join(", "), names.at(-1)].join(" and ");
}
