/**
 * The tables that may be long (MACs, neighbours, routes, VRFs; VTEPs are in evpn.ts), whole or a page at a time.
 *
 * Whole, a table is made while it is sent (json-slices.ts). A page is gathered first, so its head can say where the next one
 * begins (`vtepd-next`, to be given as `after`) and whether anything but ages has changed (ETag). A cursor names the last row
 * by its key, and a page goes on behind the place where that row is or was: rows that come and go meanwhile move no other.
 */
import { createHash } from "node:crypto";
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { compareIp, type Family, type Ip, parseIp } from "../control/ip.ts";
import { STEP } from "../control/sorted.ts";
import { byText } from "./by-text.ts";
import { fault, json } from "./json-body.ts";
import { jsonSlices, type Steps } from "./json-slices.ts";
import * as schema from "./schema.ts";
import { Vrf } from "./schema-vrf.ts";
import { gather } from "./turns.ts";

export interface PagesSource {
  vsis(): schema.Vsi[];
  hasVsi(name: string): boolean;
  hasVrf(name: string): boolean;
  macs(): Steps<schema.MacEntry>;
  neighbors(): Steps<schema.Neighbor>;
  routes(): Steps<schema.Route>;
  vrfs(): Steps<Vrf>;
}

/** Rows of the longest page. */
export const MOST_ROWS = 10_000;
export const NEXT = "vtepd-next";

const LIMIT = z.coerce.number().int().min(1).max(MOST_ROWS).optional();
export const PAGE = z.object({
  limit: LIMIT.describe("at most so many rows; the header vtepd-next, if there are more, is the next `after`"),
  after: z.string().max(256).optional().describe("only rows behind this one: what vtepd-next said"),
});
const OF_VSI = { vsi: z.string().max(64).optional().describe("only of this VSI") };
const OF_VRF = { vrf: z.string().max(64).optional().describe("only of this VRF") };
/** Rows of one family of addresses. */
export const family = z.enum(["4", "6"]).optional().describe("only of this family of addresses: 4 or 6");
const SCOPED = PAGE.extend({ ...OF_VSI, ...OF_VRF, family });

export function familyOf(text: z.infer<typeof family>): Family | null {
  return text === undefined ? null : text === "4" ? 4 : 6;
}

type Query = z.infer<typeof SCOPED>;

/** A kind of rows: its key as text, and how a key is behind another one's. */
interface Table<T> {
  readonly path: string;
  readonly summary: string;
  readonly row: z.ZodType<T>;
  readonly query: z.ZodObject;
  readonly rows: (source: PagesSource) => Steps<T>;
  readonly keyOf: (row: T) => readonly string[];
  /** For a key: is a row behind it? Rows come in their order. Null: it is no key. */
  readonly behind: (key: readonly string[]) => ((row: T) => boolean) | null;
}

const MACS: Table<schema.MacEntry> = {
  path: "/v1/macs",
  summary: "MAC tables by VSI and MAC",
  row: schema.MacEntry,
  query: PAGE.extend(OF_VSI),
  rows: (source) => source.macs(),
  keyOf: ({ vsi, mac }) => [vsi, mac],
  behind: ([vsi, mac]) => {
    if (vsi === undefined || mac === undefined) return null;
    return (row) => (byText(row.vsi, vsi) || (row.mac < mac ? -1 : row.mac > mac ? 1 : 0)) > 0;
  },
};

const NEIGHBORS: Table<schema.Neighbor> = {
  path: "/v1/neighbors",
  summary: "Neighbour tables, of ARP and ND, by VSI-interface, VSI and IP",
  row: schema.Neighbor,
  query: SCOPED,
  rows: (source) => source.neighbors(),
  keyOf: ({ interface: iface, vsi, ip }) => [iface ?? "", vsi ?? "", ip],
  behind: ([iface, vsi, text]) => {
    const ip = parseIp(text ?? "");
    if (iface === undefined || vsi === undefined || ip === null) return null;
    return (row) =>
      (byText(row.interface ?? "", iface) || byText(row.vsi ?? "", vsi) || compareIp(parseIp(row.ip)!, ip)) > 0;
  },
};

const ROUTES: Table<schema.Route> = {
  path: "/v1/routes",
  summary: "Routes by VRF and prefix",
  row: schema.Route,
  query: PAGE.extend({ ...OF_VRF, family }),
  rows: (source) => source.routes(),
  keyOf: ({ vrf, prefix }) => [vrf, prefix],
  behind: ([vrf, text]) => {
    const key = prefixOrder(text ?? "");
    if (vrf === undefined || key === null) return null;
    return (row) => {
      const [network, length] = prefixOrder(row.prefix)!;
      return (byText(row.vrf, vrf) || compareIp(network, key[0]) || length - key[1]) > 0;
    };
  },
};

const VRFS: Table<Vrf> = {
  path: "/v1/vrfs",
  summary: "VRFs by name; the default one is always there",
  row: Vrf,
  query: PAGE,
  rows: (source) => source.vrfs(),
  keyOf: ({ name }) => [name],
  behind:
    ([name]) =>
    (row) =>
      byText(row.name, name!) > 0,
};

function prefixOrder(text: string): readonly [network: Ip, length: number] | null {
  const [address, length] = text.split("/");
  const network = parseIp(address ?? "");
  return network === null || !/^\d{1,3}$/.test(length ?? "") ? null : [network, Number(length)];
}

export function addPages(app: OpenAPIHono, source: PagesSource): void {
  addTable(app, source, MACS);
  addTable(app, source, NEIGHBORS);
  addTable(app, source, ROUTES);
  addTable(app, source, VRFS);
}

/** Of a page. */
export const PAGE_HEADERS = z.object({
  [NEXT]: z.string().optional().describe("there is more: the next `after`"),
  etag: z.string().optional().describe("of a page: If-None-Match spares one in which only ages have changed"),
});

function addTable<T extends object>(app: OpenAPIHono, source: PagesSource, table: Table<T>): void {
  const route = createRoute({
    method: "get",
    path: table.path,
    summary: table.summary,
    request: { query: table.query },
    responses: {
      200: { ...json(table.summary, z.array(table.row)), headers: PAGE_HEADERS },
      304: { description: "The page that If-None-Match names" },
      400: json("`after` is no row's key", schema.Fault),
      404: json("There is no such VSI or VRF", schema.Fault),
    },
  });
  app.openapi(route, async (c) => {
    const { limit, after, vsi, vrf, family: of } = c.req.valid("query") as Query;
    if (vsi !== undefined && !source.hasVsi(vsi))
      return c.json(fault("not_found", `there is no VSI ${vsi}`, "vtepctl show vsi lists them"), 404) as never;
    if (vrf !== undefined && !source.hasVrf(vrf))
      return c.json(fault("not_found", `there is no VRF ${vrf}`, "vtepctl show vrf lists them"), 404) as never;
    const behind = after === undefined ? () => true : table.behind(after.split(","));
    if (behind === null)
      return c.json(fault("bad_request", `after: "${after}" is no row's key`, `give what ${NEXT} said`), 400) as never;
    const isIn = (row: T & { readonly [key in "vsi" | "vrf" | "ip" | "prefix"]?: unknown }) =>
      (vsi === undefined || row.vsi === vsi) &&
      (vrf === undefined || row.vrf === vrf) &&
      (of === undefined || String(row.ip ?? row.prefix).includes(":") === (of === "6"));
    const isMeant = (row: T) => behind(row) && isIn(row);
    const all = table.rows(source);
    const asked = { limit, known: c.req.header("if-none-match"), keyOf: (row: T) => table.keyOf(row).join(",") };
    return (await answerOf(all, (after ?? vsi ?? vrf ?? of) === undefined ? null : isMeant, asked)) as never;
  });
}

/** The rows that are meant (null: all), whole without `limit`, else a page of them. `known`: If-None-Match. */
export async function answerOf<T>(
  all: Steps<T>,
  isMeant: ((row: T) => boolean) | null,
  {
    limit,
    known,
    keyOf,
  }: {
    readonly limit: number | undefined;
    readonly known: string | undefined;
    readonly keyOf: (row: T) => string;
  },
): Promise<Response> {
  if (limit === undefined)
    return new Response(jsonSlices(isMeant === null ? all : filtered(all, isMeant)), {
      headers: { "content-type": "application/json" },
    });
  const { rows, isCut } = await gather(all, limit, isMeant ?? undefined);
  return pageOf(rows, isCut ? keyOf(rows.at(-1)!) : null, known);
}

function* filtered<T>(items: Steps<T>, isMeant: (row: T) => boolean): Generator<T | typeof STEP> {
  for (const item of items) yield item === STEP || isMeant(item) ? item : STEP;
}

function pageOf(rows: readonly unknown[], next: string | null, known: string | undefined): Response {
  const lasting = JSON.stringify([next, rows], (key, value) => (key === "ageSeconds" ? undefined : value));
  const etag = `W/"${createHash("sha256").update(lasting).digest("base64url").slice(0, 22)}"`;
  const head = { etag, ...(next === null ? {} : { [NEXT]: next }) };
  if (known?.split(",").some((each) => each.trim() === etag)) return new Response(null, { status: 304, headers: head });
  return new Response(JSON.stringify(rows), { headers: { ...head, "content-type": "application/json" } });
}
