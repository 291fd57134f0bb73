/**
 * Questions about the way to a tunnel's peer (one echo, the search for its path MTU) and to a host of the overlay.
 *
 * An echo is one request and one answer, a second later at most; a search is started and then looked at, so that no request
 * is open for long. A program that wants ten echoes asks ten times.
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { address } from "./address.ts";
import { json } from "./json-body.ts";
import { Fault } from "./schema.ts";
import { HostPing, PathSearch, PingResult } from "./schema-probe.ts";

export interface ProbeSource {
  /** One echo of `length` bytes to a tunnel's peer. Null: there is no such tunnel. */
  ping(tunnel: string, length: number): Promise<PingResult> | null;
  /** Begin a search. Null: there is no such tunnel; a text: probing is off, and why. */
  search(tunnel: string): PathSearch | null | { readonly reason: string; readonly fix: string };
  searchOf(tunnel: string): PathSearch | null;
  /** One echo of `length` bytes from a VSI-interface to a host. Null: there is no such VSI-interface; a text: it cannot be asked. */
  pingHost(iface: string, ip: string, length: number): Promise<HostPing> | null | string;
}

const LENGTH = z.coerce.number().int().min(28).max(65_535).default(64);
/** A reply of a longer one would not be put together again. */
const HOST_LENGTH = z.coerce.number().int().min(28).max(8028).default(84);
const PARAMS = z.object({ name: z.string() });
const noTunnel = (name: string): Fault => ({
  error: { code: "not_found", message: `there is no tunnel ${name}`, hint: "vtepctl show tunnel lists them" },
});

export function addProbes(app: OpenAPIHono, source: ProbeSource): void {
  addTunnelProbes(app, source);
  const route = createRoute({
    method: "post",
    path: "/v1/interfaces/{name}/echo",
    summary: "Send one ICMP echo from a VSI-interface to a host",
    request: {
      params: PARAMS,
      query: z.object({ ip: address, length: HOST_LENGTH.describe("of the whole IP packet, bytes") }),
    },
    responses: {
      200: json("What became of it", HostPing),
      400: json("It cannot be asked", Fault),
      404: json("There is no such VSI-interface", Fault),
    },
  });
  app.openapi(route, async (c) => {
    const { name } = c.req.valid("param");
    const { ip, length } = c.req.valid("query");
    const result = source.pingHost(name, ip, length);
    if (typeof result === "string")
      return c.json({ error: { code: "bad_request", message: result, hint: "name a host" } }, 400);
    if (result !== null) return c.json(await result, 200);
    const hint = "vtepctl show interface lists them";
    return c.json({ error: { code: "not_found", message: `there is no VSI-interface ${name}`, hint } }, 404);
  });
}

function addTunnelProbes(app: OpenAPIHono, source: ProbeSource): void {
  const echo = createRoute({
    method: "post",
    path: "/v1/tunnels/{name}/echo",
    summary: "Send one ICMP echo with DF to the tunnel's peer",
    request: { params: PARAMS, query: z.object({ length: LENGTH.describe("of the whole IP packet, bytes") }) },
    responses: { 200: json("What became of it", PingResult), 404: json("There is no such tunnel", Fault) },
  });
  app.openapi(echo, async (c) => {
    const { name } = c.req.valid("param");
    const result = source.ping(name, c.req.valid("query").length);
    return result === null ? c.json(noTunnel(name), 404) : c.json(await result, 200);
  });
  const begin = createRoute({
    method: "post",
    path: "/v1/tunnels/{name}/path-mtu",
    summary: "Begin a search for the path MTU of the tunnel",
    request: { params: PARAMS },
    responses: {
      200: json("The search", PathSearch),
      404: json("There is no such tunnel", Fault),
      503: json("Probing is off", Fault),
    },
  });
  app.openapi(begin, (c) => {
    const { name } = c.req.valid("param");
    const result = source.search(name);
    if (result === null) return c.json(noTunnel(name), 404);
    if ("tunnel" in result) return c.json(result, 200);
    return c.json(
      { error: { code: "probing_off", message: `probing is off: ${result.reason}`, hint: result.fix } },
      503,
    );
  });
  const look = createRoute({
    method: "get",
    path: "/v1/tunnels/{name}/path-mtu",
    summary: "The last search for the path MTU of the tunnel, or the one that runs",
    request: { params: PARAMS },
    responses: { 200: json("The search", PathSearch), 404: json("There is no such tunnel", Fault) },
  });
  app.openapi(look, (c) => {
    const { name } = c.req.valid("param");
    const search = source.searchOf(name);
    return search === null ? c.json(noTunnel(name), 404) : c.json(search, 200);
  });
}
