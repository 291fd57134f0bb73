/**
 * The part of the API that changes a running gateway: its configuration from the file, single MAC and ARP entries, the
 * log's level. What is refused changes nothing, and the answer says why: 422 for a file, 404 for a name that nothing has,
 * 409 for a thing that is somebody else's (a gateway MAC, an entry of the file).
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { asked, fault, json } from "./json-body.ts";
import * as schema from "./schema.ts";

/** Why a change is not made; `status` of the answer. */
export interface Refused {
  readonly status: 400 | 404 | 409;
  readonly message: string;
  readonly hint: string;
}

export interface ConfigSource {
  /** What would a reload do? `file` null: the daemon's own. */
  checkConfig(file: string | null): Promise<schema.CheckReport>;
  /** Load the daemon's file and apply the difference, or change nothing. */
  reloadConfig(): Promise<schema.CheckReport>;
}

export interface EntrySource {
  addMac(entry: schema.NewMac): Refused | null;
  removeMac(vsi: string, mac: string): Refused | null;
  addNeighbor(entry: schema.NewNeighbor): Refused | null;
}

export interface LogSource {
  logLevel(): schema.LogLevel;
  setLogLevel(level: schema.LogLevel["level"]): void;
}

const CODES = { 400: "bad_request", 404: "not_found", 409: "conflict" } as const;
const faultOf = ({ status, message, hint }: Refused) => fault(CODES[status], message, hint);
const refusals = {
  400: json("The question makes no sense", schema.Fault),
  404: json("There is no such object", schema.Fault),
  409: json("Something else stands in the way", schema.Fault),
};

export function addConfig(app: OpenAPIHono, source: ConfigSource): void {
  const check = createRoute({
    method: "post",
    path: "/v1/config/check",
    summary: "What a reload of a file (default: the daemon's own) would do; changes nothing",
    request: { body: asked(schema.CheckRequest) },
    responses: { 200: json("Valid or not, and what would change", schema.CheckReport) },
  });
  app.openapi(check, async (c) => c.json(await source.checkConfig(c.req.valid("json").file ?? null), 200));
  const reload = createRoute({
    method: "post",
    path: "/v1/config/reload",
    summary: "Apply what changed in the daemon's file, all of it or nothing",
    responses: {
      200: json("Applied", schema.CheckReport),
      422: json("Refused; the running configuration is untouched", schema.CheckReport),
    },
  });
  app.openapi(reload, async (c) => {
    const report = await source.reloadConfig();
    return report.valid ? c.json(report, 200) : c.json(report, 422);
  });
}

export function addEntries(app: OpenAPIHono, source: EntrySource): void {
  const lives = "until it is removed or flushed, its port goes, or the daemon ends";
  const addMac = createRoute({
    method: "post",
    path: "/v1/macs",
    summary: `Pin a MAC to a bridge port: ${lives}`,
    request: { body: asked(schema.NewMac) },
    responses: { 200: json("Added", schema.NewMac), ...refusals },
  });
  app.openapi(addMac, (c) => {
    const entry = c.req.valid("json");
    const refused = source.addMac(entry);
    return refused === null ? c.json(entry, 200) : c.json(faultOf(refused), refused.status);
  });
  const removeMac = createRoute({
    method: "delete",
    path: "/v1/macs/{vsi}/{mac}",
    summary: "Remove one MAC, learned or added",
    request: { params: z.object({ vsi: z.string(), mac: z.string() }) },
    responses: { 200: json("How many were removed", schema.Flushed), ...refusals },
  });
  app.openapi(removeMac, (c) => {
    const { vsi, mac } = c.req.valid("param");
    const refused = source.removeMac(vsi, mac);
    return refused === null ? c.json({ removed: 1 }, 200) : c.json(faultOf(refused), refused.status);
  });
  const addNeighbor = createRoute({
    method: "post",
    path: "/v1/neighbors",
    summary: `Pin an IP to a MAC behind a bridge port: ${lives}`,
    request: { body: asked(schema.NewNeighbor) },
    responses: { 200: json("Added", schema.NewNeighbor), ...refusals },
  });
  app.openapi(addNeighbor, (c) => {
    const entry = c.req.valid("json");
    const refused = source.addNeighbor(entry);
    return refused === null ? c.json(entry, 200) : c.json(faultOf(refused), refused.status);
  });
}

export function addLog(app: OpenAPIHono, source: LogSource): void {
  const level = createRoute({
    method: "get",
    path: "/v1/log",
    summary: "The log's level",
    responses: { 200: json("The level", schema.LogLevel) },
  });
  app.openapi(level, (c) => c.json(source.logLevel(), 200));
  const setLevel = createRoute({
    method: "put",
    path: "/v1/log",
    summary: "Set the log's level, until the next reload or restart",
    request: { body: asked(schema.LogLevel) },
    responses: { 200: json("The level now", schema.LogLevel), 400: refusals[400] },
  });
  app.openapi(setLevel, (c) => {
    source.setLogLevel(c.req.valid("json").level);
    return c.json(source.logLevel(), 200);
  });
}

export function addOffloads(app: OpenAPIHono, offloads: () => schema.Features): void {
  const route = createRoute({
    method: "get",
    path: "/v1/features",
    summary: "What the kernel and the addon give: offloads in use, fallbacks, buffers",
    responses: { 200: json("Features", schema.Features) },
  });
  app.openapi(route, (c) => c.json(offloads(), 200));
}
