/**
 * Where HTTP requests come in: the control socket, and the TCP listener for metrics.
 *
 * The control socket can do everything, so it belongs to the daemon's user alone (mode 0600 from its first moment: the
 * umask is narrowed around the bind). The observe socket only reads (observer.ts) and is opened to a group once it has its
 * owner; it has a room of its own, so that those who look on keep no operator out. A socket file that is left over from a crash is removed, but only when it is a socket
 * and no process answers on it: a second daemon must not push the first one aside.
 *
 * The TCP listener is reachable by strangers: a client that sends slowly, much, or on many connections is cut off (admission.ts),
 * a body is not even read, and a name that is not ours is not answered (host-names.ts).
 */
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerOptions } from "node:http";
import { type AddressInfo, createConnection, type Server as NetServer } from "node:net";
import { dirname } from "node:path";
import type { Log } from "../log/log.ts";
import { printable } from "../wire/printable.ts";
import { admit, type Room, turnAway } from "./admission.ts";
import { authorityOf, isOurName } from "./host-names.ts";
import { fault } from "./json-body.ts";

/**
 * A connection could not be taken, mostly for want of file descriptors: the client waits in the queue of the kernel, and the
 * listener goes on. `subject` says which listener.
 */
export type OnFault = (subject: string, error: Error) => void;

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

/** How a listener is shared by those who reach it. */
interface Terms {
  readonly limits: ServerOptions;
  readonly room: Room;
  /** No more than GET and HEAD. */
  readonly readsOnly: boolean;
  /** What a newcomer hears for whom there is no room. */
  readonly busy: string;
}

const LIMITS: ServerOptions = {
  headersTimeout: 1000,
  requestTimeout: 5000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 250,
  // RFC 9110 §7.2 demands Host of HTTP/1.1 alone; `refusal` does the same, and answers HTTP/1.0.
  requireHostHeader: false,
};
/** The operator's own, and streams (observe, capture) last: only what waits is put out. */
const UNIX: Terms = {
  limits: LIMITS,
  room: { connections: 256, answers: null },
  readsOnly: false,
  busy: JSON.stringify(fault("busy", "the control socket has no room", "end an observe or a capture")),
};
const OBSERVE: Terms = {
  ...UNIX,
  busy: JSON.stringify(fault("busy", "the observe socket has no room", "end an observe or a capture")),
};
/** An answer that is not read holds its text: few of them. */
const TCP: Terms = {
  limits: { ...LIMITS, maxHeaderSize: 8192 },
  room: { connections: 256, answers: 32 },
  readsOnly: true,
  busy: "",
};
/** The longest question: a described packet, a rule. */
const MAX_BODY_BYTES = 64 << 10;

/** A listening server. */
export interface Listener {
  /** "address:port" or the path. */
  readonly at: string;
  close(): void;
}

/** Serve the control socket at `path`. Throws ListenError. */
export function listenUnix(fetch: Fetch, path: string, onFault: OnFault = silence): Promise<Listener> {
  return listenPrivately(fetch, path, "control", UNIX, onFault);
}

/** Who may look on: `group` null is the daemon's own. */
export interface ObservePlace {
  readonly socket: string;
  readonly group: string | null;
}

/** Serve the observe socket, mode 0660. Throws ListenError. */
export async function listenObserve(
  fetch: Fetch,
  { socket, group }: ObservePlace,
  onFault: OnFault = silence,
): Promise<Listener> {
  const listener = await listenPrivately(fetch, socket, "control.observe", OBSERVE, onFault);
  try {
    openToGroup(socket, group);
  } catch (error) {
    listener.close();
    throw error;
  }
  return listener;
}

async function listenPrivately(
  fetch: Fetch,
  path: string,
  owner: SocketOwner,
  terms: Terms,
  onFault: OnFault,
): Promise<Listener> {
  await prepareSocket(path, owner);
  const server = await serverOf(fetch, terms, () => true);
  const umask = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(umask);
  }
  await listening(server, `${owner} socket ${path}`, onFault);
  return { at: path, close: () => end(server) };
}

/** Serve `host`:`port`; GET and HEAD only, and for a client that asks by one of `names`. Throws ListenError. */
export async function listenTcp(
  fetch: Fetch,
  { host, port }: { readonly host: string; readonly port: number },
  names: () => ReadonlySet<string>,
  onFault: OnFault = silence,
): Promise<Listener> {
  const server = await serverOf(fetch, TCP, (header) => isOurName(header, names()));
  server.listen(port, host);
  await listening(server, `metrics.listen ${host} port ${port}`, onFault);
  const address = server.address() as AddressInfo;
  const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return { at: `${shown}:${address.port}`, close: () => end(server) };
}

/** Faults as lines of `log`. */
export function faultsTo(log: Pick<Log, "line">): OnFault {
  return (subject, error) => {
    const { code = "", message } = error as NodeJS.ErrnoException;
    const fix =
      code === "EMFILE" || code === "ENFILE" ? "raise LimitNOFILE (ulimit -n), or see who holds connections" : null;
    log.line("warn", "listener.fault", { listener: subject, message, fix });
  };
}

const silence: OnFault = () => undefined;

type IsKnown = (host: string) => boolean;

async function serverOf(fetch: Fetch, { limits, room, readsOnly, busy }: Terms, isKnown: IsKnown): Promise<Server> {
  const { getRequestListener } = await import("@hono/node-server");
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false, hostname: "localhost" });
  const server = createServer(limits, (request, response) => {
    if (request.socket.destroyed) return; // put out by admission.ts; what was read behind it is not answered
    const [status, text] = refusal(request, readsOnly, isKnown) ?? [0, ""];
    if (status === 0) return void answer(request, response);
    response.writeHead(status, {
      allow: "GET, HEAD",
      "content-type": "text/plain; charset=utf-8",
      "content-length": Buffer.byteLength(text),
      connection: "close",
    });
    response.end(text);
  });
  admit(server, room, (socket) => turnAway(socket, busy));
  return server;
}

/** Refuse by the head alone, before a byte of a body is read. @returns status and text, or null. */
function refusal(request: IncomingMessage, readsOnly: boolean, isKnown: IsKnown): [number, string] | null {
  const { method, headers, rawHeaders, httpVersion } = request;
  if (readsOnly && method !== "GET" && method !== "HEAD") return [405, ""];
  // A body must say how long it is: then it cannot be longer.
  if (headers["transfer-encoding"] !== undefined) return [411, ""];
  if (Number(headers["content-length"] ?? 0) > (readsOnly ? 0 : MAX_BODY_BYTES)) return [413, ""];
  // RFC 9112 §3.2: in HTTP/1.1 exactly one.
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "host").length;
  if (hosts > 1 || (hosts === 0 && httpVersion !== "1.0")) return [400, "one Host header is needed\n"];
  // RFC 9112 §3.2.2: a target that is a whole URL names the host, and Host is ignored.
  const name = authorityOf(request.url!) ?? headers.host;
  if (name === undefined || isKnown(name)) return null;
  const host = printable(name.slice(0, 100));
  return [421, `"${host}" is no name of this gateway: ask by address, or add the name to metrics.hosts\n`];
}

function end(server: Server): void {
  server.close();
  server.closeAllConnections();
}

// ---- the socket's place ----------------------------------------------------------------------------------------

/** Whose socket: the key of the configuration. */
export type SocketOwner = "control" | "control.observe" | "attach";

/** Throws ListenError. */
function openToGroup(path: string, group: string | null): void {
  const subject = `control.observe socket ${path}`;
  try {
    if (group !== null) {
      const number = groupNumber(group);
      if (number === null) {
        const fix = `groupadd --system ${group}, or change control.observe.group`;
        throw new ListenError("ENOENT", `${subject}: there is no group ${group}; ${fix}`);
      }
      chownSync(path, lstatSync(path).uid, number);
    }
    chmodSync(path, 0o660);
  } catch (error) {
    if (error instanceof ListenError) throw error;
    const { code = "", message } = error as NodeJS.ErrnoException;
    const fix = `the daemon's user must be in group ${group}: SupplementaryGroups=${group} in its unit, or usermod -aG`;
    throw new ListenError(
      code,
      `${subject}: ${message}; ${code === "EPERM" ? fix : (FIXES[code] ?? "is its folder still there?")}`,
    );
  }
}

/** "vtepd-observe" or "990" as a number, by /etc/group; null: there is no such group. */
function groupNumber(text: string): number | null {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  for (const line of readFileSync("/etc/group", "utf8").split("\n")) {
    const [name, , gid] = line.split(":");
    if (name === text) return Number(gid);
  }
  return null;
}

/** Make the directory of a socket, and remove a socket file on which no process answers. Throws ListenError. */
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

/**
 * Resolves when `server` listens. Throws ListenError, which begins with `subject`. From then on `onFault` hears of each
 * error: one without a listener would end the process.
 */
export function listening(server: NetServer, subject: string, onFault: OnFault): Promise<void> {
  return new Promise((resolve, reject) => {
    const onRefusal = (error: Error) => reject(refused(`${subject}: cannot listen`, error));
    server.once("error", onRefusal);
    server.once("listening", () => {
      server.on("error", (error) => onFault(subject, error));
      server.off("error", onRefusal);
      resolve();
    });
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
