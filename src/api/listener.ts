/**
 * Where HTTP requests come in: the control socket, and the TCP listener for metrics.
 *
 * The control socket can do everything, so it belongs to the daemon's user alone (mode 0600 from its first moment: the
 * umask is narrowed around the bind). A socket file that is left over from a crash is removed, but only when it is a socket
 * and nobody answers on it: a second daemon must not push the first one aside.
 *
 * The TCP listener is reachable by strangers: whoever sends slowly, much, or on many connections is cut off, and a body is
 * not even read.
 */
import { lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerOptions } from "node:http";
import { type AddressInfo, createConnection, type Server as NetServer } from "node:net";
import { dirname } from "node:path";

/** An HTTP application: hono's `app.fetch`. */
export type Fetch = (request: Request) => Response | Promise<Response>;

/** Could not listen; the message says where, why and what to do. */
export class ListenError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "ListenError";
    this.code = code;
  }
}

const UNIX_LIMITS: ServerOptions = {
  headersTimeout: 5000,
  requestTimeout: 5000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
};
const UNIX_CONNECTIONS = 64;
const TCP_LIMITS: ServerOptions = {
  headersTimeout: 3000,
  requestTimeout: 5000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
  maxHeaderSize: 8192,
};
const TCP_CONNECTIONS = 32;
/** The longest question: a described packet, a rule. */
const MAX_BODY_BYTES = 64 << 10;

/** A listening server. */
export interface Listener {
  /** "address:port" or the path. */
  readonly at: string;
  close(): void;
}

/** Serve the control socket at `path`. Throws ListenError. */
export async function listenUnix(fetch: Fetch, path: string): Promise<Listener> {
  await prepareSocket(path, "control");
  const server = await serverOf(fetch, UNIX_LIMITS, UNIX_CONNECTIONS);
  const umask = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(umask);
  }
  await listening(server, `control socket ${path}`);
  return { at: path, close: () => end(server) };
}

/** Serve `host`:`port`; GET and HEAD only. Throws ListenError. */
export async function listenTcp(fetch: Fetch, host: string, port: number): Promise<Listener> {
  const server = await serverOf(fetch, TCP_LIMITS, TCP_CONNECTIONS, true);
  server.listen(port, host);
  await listening(server, `metrics.listen ${host} port ${port}`);
  const address = server.address() as AddressInfo;
  const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return { at: `${shown}:${address.port}`, close: () => end(server) };
}

async function serverOf(fetch: Fetch, limits: ServerOptions, connections: number, readsOnly = false): Promise<Server> {
  const { getRequestListener } = await import("@hono/node-server");
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false });
  const server = createServer(limits, (request, response) => {
    const refusal = whyNot(request, readsOnly);
    if (refusal === null) return void answer(request, response);
    response.writeHead(refusal, { allow: "GET, HEAD", connection: "close" });
    response.end();
  });
  server.maxConnections = connections;
  return server;
}

/** Refuse by the head alone, before a byte of a body is read. @returns the status, or null. */
function whyNot({ method, headers }: IncomingMessage, readsOnly: boolean): number | null {
  if (readsOnly && method !== "GET" && method !== "HEAD") return 405;
  // A body must say how long it is: then it cannot be longer.
  if (headers["transfer-encoding"] !== undefined) return 411;
  return Number(headers["content-length"] ?? 0) > (readsOnly ? 0 : MAX_BODY_BYTES) ? 413 : null;
}

function end(server: Server): void {
  server.close();
  server.closeAllConnections();
}

// ---- the socket's place ----------------------------------------------------------------------------------------

/** Whose socket: the key of the configuration. */
export type SocketOwner = "control" | "attach";

/** Make the directory of a socket, and remove a socket file that nobody answers on. Throws ListenError. */
export async function prepareSocket(path: string, owner: SocketOwner): Promise<void> {
  const subject = `${owner} socket ${path}`;
  const change = `change ${owner}.socket`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  } catch (error) {
    throw refused(`${subject}: cannot make its directory`, error);
  }
  let isSocket: boolean;
  try {
    isSocket = lstatSync(path).isSocket();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw refused(`${subject}: cannot look at it`, error);
  }
  if (!isSocket) {
    throw new ListenError("EEXIST", `${subject}: a file that is no socket is in its place; remove it, or ${change}`);
  }
  if (await answers(path)) {
    throw new ListenError("EADDRINUSE", `${subject}: another vtepd answers on it; stop that one, or ${change}`);
  }
  try {
    unlinkSync(path);
  } catch (error) {
    throw refused(`${subject}: cannot remove the old one`, error);
  }
}

/** Does somebody listen there? Only a refused connection is a clear no. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(path);
    const settle = (answer: boolean) => {
      connection.destroy();
      resolve(answer);
    };
    connection.on("connect", () => settle(true));
    connection.on("error", (error: NodeJS.ErrnoException) => settle(error.code !== "ECONNREFUSED"));
  });
}

/** Resolves when `server` listens. Throws ListenError, which begins with `subject`. */
export function listening(server: NetServer, subject: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("listening", resolve);
    server.once("error", (error) => reject(refused(`${subject}: cannot listen`, error)));
  });
}

const FIXES: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there: find it with `ss -tlpn`, or change the address in the configuration",
  EADDRNOTAVAIL: "no interface has this address: change it in the configuration",
  EACCES: "the daemon's user may not write there: change the place in the configuration, or its owner",
  EROFS: "the file system is read-only: change the place in the configuration",
};

function refused(what: string, error: unknown): ListenError {
  const { code = "", message } = error as NodeJS.ErrnoException;
  const fix = FIXES[code];
  return new ListenError(code, `${what}: ${message}${fix === undefined ? "" : `; ${fix}`}`);
}
