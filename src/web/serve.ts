/**
 * The server behind the page: what gate.ts lets through is answered from the gateways, everything else is refused.
 *
 * Read-only by construction. Requests to a gateway are made here, from a fixed list of paths; nothing of what a page sends is passed
 * on as it is. The page and what it loads are files of ours, read when the server starts.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Server as NetServer } from "node:net";
import { fileURLToPath } from "node:url";
import { getRequestListener } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { admit, type Room, turnAway } from "../api/admission.ts";
import { EXIT, Refusal } from "../ctl/client.ts";
import { WalkDesk } from "./desk.ts";
import type { Driver } from "./driver.ts";
import { exportHtml } from "./export.ts";
import { Fleet } from "./fleet.ts";
import { HEADERS, LONGEST_BODY, refusalOf } from "./gate.ts";
import { journeyOf, Asked as PacketAsked } from "./journey.ts";
import { mergedEvents } from "./merge.ts";
import type { FaultSaid, Lesson, Session } from "./said.ts";
import { SILENCE_MS, Streams } from "./streams.ts";
import { walkPcapng } from "./walk-pcapng.ts";

/** A browser opens six for a page. Streams last: only what waits is put out, and what moves nothing any more (SILENCE_MS). */
const ROOM: Room = { connections: 128, answers: null };
const STATUS: Readonly<Record<number, 400 | 403 | 404 | 502>> = {
  [EXIT.usage]: 400,
  [EXIT.permission]: 403,
  [EXIT.notFound]: 404,
};

export interface WebOptions {
  /** Asked again and again: gateways come and go. */
  readonly sockets: () => readonly string[];
  /** `from`: it is bound already, by somebody of another network. */
  readonly listen: { readonly host: string; readonly port: number; readonly from?: NetServer };
  /** Another name under which a browser reaches the server: "127.0.0.1:8080" in front of a container. */
  readonly publicHost?: string;
  /** Made at random when it is not given. */
  readonly token?: string;
  readonly driver?: Driver;
  /** Where there is no driver: what a reader can do here. */
  readonly lesson?: Lesson;
  readonly version: string;
}

export interface Web {
  /** With the token behind the #, which no log and no other server gets to see. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** The built page, from wherever this file runs: dist, or src in a test. */
const ASSETS = fileURLToPath(new URL("../../dist/web/page/", import.meta.url));
const FILES = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/page.js": ["page.js", "text/javascript; charset=utf-8"],
  "/style.css": ["style.css", "text/css; charset=utf-8"],
  "/icon.svg": ["icon.svg", "image/svg+xml"],
} as const;

/** Rejects with the error of `listen`. */
export async function serveWeb(options: WebOptions): Promise<Web> {
  const { listen, publicHost, driver } = options;
  const token = options.token ?? randomBytes(16).toString("base64url");
  const hosts: string[] = [];
  const app = routesOf(options);
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const terms = { hosts, token, walks: driver !== undefined };
  const streams = new Streams();
  const server = createServer(
    { headersTimeout: 2000, requestTimeout: 10_000, keepAliveTimeout: 5000, maxHeaderSize: 8192 },
    (incoming, outgoing) => {
      if (incoming.socket.destroyed) return; // put out by admission.ts; what was read behind it is not answered
      for (const [name, value] of Object.entries(HEADERS)) outgoing.setHeader(name, value);
      const refused = refusalOf(askedBy(incoming), terms) ?? streams.admit(incoming.url!, outgoing);
      if (refused === null) return void listener(incoming, outgoing);
      // What was sent after the headers is not read.
      outgoing.shouldKeepAlive = false;
      outgoing.writeHead(refused.status, { "content-type": "application/json" });
      outgoing.end(JSON.stringify(fault("refused", refused.message, "")));
    },
  );
  server.setTimeout(SILENCE_MS);
  admit(server, ROOM, (socket) => turnAway(socket, JSON.stringify(BUSY)));
  await listening(server, listen);
  const { port } = server.address() as AddressInfo;
  const own = listen.host === "0.0.0.0" || listen.host === "::" ? [] : [bracketed(listen.host)];
  for (const name of new Set(["127.0.0.1", "localhost", "[::1]", ...own])) hosts.push(`${name}:${port}`);
  if (publicHost !== undefined) hosts.push(publicHost.toLowerCase());
  const shown = publicHost ?? `${own[0] ?? "127.0.0.1"}:${port}`;
  return {
    url: `http://${shown}/#t=${token}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** A header that stands twice is refused like a wrong one: which of the two would count? */
function askedBy(incoming: IncomingMessage) {
  const given = new Map<string, string>();
  for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
    const name = incoming.rawHeaders[i]!.toLowerCase();
    const value = incoming.rawHeaders[i + 1]!;
    given.set(name, given.has(name) ? `${given.get(name)}, ${value}` : value);
  }
  return { method: incoming.method ?? "", target: incoming.url ?? "", header: (name: string) => given.get(name) };
}

function listening(server: Server, { host, port, from }: WebOptions["listen"]): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    if (from === undefined) server.listen(port, host);
    else server.listen(from);
  });
}

function fault(code: string, message: string, hint: string): FaultSaid {
  return { error: { code, message, hint } };
}
const BUSY = fault("busy", "too many connections are open", "close a page");

const NAME = z.string().min(1).max(64);
const HistoryAsked = z.strictObject({ node: NAME, kind: z.enum(["ac", "tunnel", "gateway"]), name: NAME });

const ExportAsked = z.strictObject({
  id: z.string().regex(/^\d{1,9}$/),
  as: z.enum(["html", "pcapng"]).default("html"),
});
const WalkAsked = z.strictObject({
  scenario: z.int().min(1).max(3),
  family: z.union([z.literal(4), z.literal(6)]).default(4),
  scheme: z.enum(["distributed", "centralized"]).default("distributed"),
});

/** The question, read by its schema; another one is answered 400. */
function read<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new Refusal("bad_request", `${issue.path.join(".")}: ${issue.message}`.replace(/^: /, ""), "", EXIT.usage);
}

async function bodyOf(c: Context): Promise<unknown> {
  const text = await c.req.text();
  if (text.length > LONGEST_BODY) throw new Refusal("bad_request", "the body is too long", "", EXIT.usage);
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal("bad_request", "the body is no JSON", "", EXIT.usage);
  }
}

function routesOf({ sockets, driver, lesson, version }: WebOptions): Hono {
  const app = new Hono();
  const fleet = new Fleet(sockets, () => performance.now());
  const desk = new WalkDesk(fleet, driver ?? null);
  const files = new Map(Object.values(FILES).map(([name]) => [name as string, readFileSync(`${ASSETS}${name}`)]));
  for (const [path, [name, type]] of Object.entries(FILES))
    app.get(path, (c) => c.body(new Uint8Array(files.get(name)!), 200, { "content-type": type }));
  app.get("/api/session", (c) => {
    const scenarios = (driver?.scenarios ?? []).map(({ number, family, title, from, to }) => {
      return { number, family, title, from, to };
    });
    const session: Session = {
      version,
      scenarios,
      lesson: driver?.lesson ?? lesson ?? null,
    };
    return c.json(session);
  });
  app.get("/api/fabric", async (c) => c.json(await fleet.fabric()));
  app.get("/api/doctor", async (c) => c.json(await fleet.doctor()));
  app.get("/api/tables", async (c) => c.json(await fleet.tables()));
  app.get("/api/evpn", async (c) => c.json(await fleet.evpn()));
  app.get("/api/evpn-routes", async (c) => c.json(await fleet.evpnRoutes()));
  app.get("/api/redundancy", async (c) => c.json(await fleet.redundancy()));
  app.get("/api/history", (c) => {
    const { node, kind, name } = read(HistoryAsked, c.req.query());
    return c.json(fleet.history(node, kind, name));
  });
  app.post("/api/trace", async (c) => c.json(await journeyOf(sockets(), read(PacketAsked, await bodyOf(c)))));
  const asLines = { "content-type": "application/x-ndjson" };
  app.get("/api/events", (c) => c.body(mergedEvents(sockets()), 200, asLines));
  app.get("/api/walks", (c) => c.json(desk.kept));
  app.post("/api/watch", (c) => c.body(desk.watched(), 200, asLines));
  app.post("/api/walk", async (c) => {
    const { scenario, family, scheme } = read(WalkAsked, await bodyOf(c));
    return c.body(desk.driven(scenario, family, scheme), 200, asLines);
  });
  app.get("/api/export", (c) => {
    const { id, as } = read(ExportAsked, c.req.query());
    const walk = desk.kept.find((each) => each.id === id);
    if (walk === undefined) throw new Refusal("not_found", "that walk is not kept any more", "", EXIT.notFound);
    const head = { "content-type": "application/octet-stream" };
    if (as === "pcapng") return c.body(new Uint8Array(walkPcapng(walk, version)), 200, head);
    const assets = { script: files.get("page.js")!.toString(), style: files.get("style.css")!.toString() };
    return c.body(exportHtml(walk, assets), 200, head);
  });
  app.notFound((c) => c.json(fault("not_found", "there is no such page", ""), 404));
  app.onError((error, c) => {
    if (error instanceof Refusal) {
      return c.json(fault(error.code, error.message, error.hint), STATUS[error.exit] ?? 502);
    }
    if (error instanceof HTTPException) return c.json(fault("bad_request", error.message, ""), error.status);
    return c.json(fault("internal", error.message, "this is a mistake in vtepctl web: please report it"), 500);
  });
  return app;
}
