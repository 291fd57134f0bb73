/**
 * One question to the daemon: an HTTP request over its Unix socket.
 *
 * Everything that can go wrong becomes a `Refusal`: what happened, what to do about it, and the exit code it stands for
 * (interfaces: 2 a question that makes no sense, 3 unreachable, 4 not found, 6 permission, 1 anything else).
 */
import { readdirSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import type { Fault } from "../api/schema.ts";

export const DEFAULT_SOCKET = "/run/vtepd/vtepd.sock";
const TIMEOUT_MS = 5000;
/** A daemon with 65,536 neighbours answers with some 15 MB. */
const MOST_BYTES = 256 << 20;

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  configInvalid: 5,
  permission: 6,
  unhealthy: 7,
};

export class Refusal extends Error {
  readonly code: string;
  readonly hint: string;
  readonly exit: number;
  constructor(code: string, message: string, hint: string, exit: number) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.exit = exit;
  }
}

export type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface Question {
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly timeoutMs?: number;
  /** Statuses that are answers too, besides 2xx. */
  readonly also?: readonly number[];
  /** A longer answer is none. */
  readonly mostBytes?: number;
}

/** How a gateway is asked; throws a Refusal. */
export type Ask = <T>(socket: string, path: string, method?: Method, question?: Question) => Promise<T>;

/** Ask the daemon behind `socket`. @returns what it answered, parsed (undefined: 204, nothing); throws a Refusal. */
export function ask<T>(socket: string, path: string, method: Method = "GET", question: Question = {}): Promise<T> {
  const { body, timeoutMs: timeout = TIMEOUT_MS, also = [], mostBytes = MOST_BYTES } = question;
  const bytes = body === undefined ? null : Buffer.from(JSON.stringify(body));
  const headers = bytes === null ? {} : { "content-type": "application/json", "content-length": bytes.length };
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: socket, path, method, headers, timeout, agent: false }, (answer) => {
      const parts: Buffer[] = [];
      let length = 0;
      answer.on("data", (part: Buffer) => {
        length += part.length;
        if (length > mostBytes) outgoing.destroy(new Error("the answer is too long"));
        else parts.push(part);
      });
      answer.on("error", (error) => reject(unreachable(socket, error)));
      answer.on("end", () => {
        try {
          resolve(read<T>(answer.statusCode ?? 0, also, Buffer.concat(parts).toString("utf8"), socket));
        } catch (error) {
          reject(error);
        }
      });
    });
    outgoing.on("timeout", () => outgoing.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })));
    outgoing.on("error", (error) => reject(unreachable(socket, error)));
    outgoing.end(bytes ?? undefined);
  });
}

function read<T>(status: number, also: readonly number[], text: string, socket: string): T {
  // "It is under way" has no body (RFC 9110 §15.3.5).
  if (status === 204) return undefined as T;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw notVtepd(socket);
  }
  if ((status >= 200 && status < 300) || also.includes(status)) return value as T;
  const fault = (value as Partial<Fault>).error;
  throw new Refusal(
    fault?.code ?? "failure",
    fault?.message ?? `HTTP status ${status}`,
    fault?.hint ?? "",
    exitOf(status),
  );
}

const EXITS: Readonly<Record<number, number>> = { 400: EXIT.usage, 403: EXIT.permission, 404: EXIT.notFound };

/** The exit code for an answer of HTTP status `status` that is a refusal. */
export function exitOf(status: number): number {
  return EXITS[status] ?? EXIT.failure;
}

const CAUSES: Readonly<Record<string, readonly [message: string, hint: string]>> = {
  ENOENT: [
    "there is no such socket",
    "is the daemon running? start it with `vtepd run -c FILE`, or name its socket with -s or VTEPD_SOCKET",
  ],
  ECONNREFUSED: ["no process listens", "the daemon is not running: start it with `vtepd run -c FILE`"],
  ENOTSOCK: ["this is no socket", "name the daemon's control socket with -s or VTEPD_SOCKET"],
  ETIMEDOUT: ["no answer in time", "the daemon hangs or is stopped: look at its log, and at `ps -o stat`"],
};

function notVtepd(socket: string): Refusal {
  const text = `what answers on ${socket} is no vtepd`;
  return new Refusal("not_vtepd", text, "name the daemon's socket with -s", EXIT.unreachable);
}

export function unreachable(socket: string, error: NodeJS.ErrnoException): Refusal {
  const code = error.code ?? "";
  // It speaks, and not HTTP/1.1: an EVPN engine, say.
  if (code.startsWith("HPE_")) return notVtepd(socket);
  if (code === "EACCES" || code === "EPERM") {
    const hint = "run as the daemon's user, or as root";
    return new Refusal("permission", `cannot open ${socket}: permission denied`, hint, EXIT.permission);
  }
  const [message, advice] = CAUSES[code] ?? [error.message, "look at the daemon's log"];
  const others = code === "ENOENT" ? socketsBeside(socket) : [];
  const hint = others.length > 0 ? `name the daemon's socket: -s ${others.join(", or -s ")}` : advice;
  return new Refusal("unreachable", `cannot reach vtepd at ${socket}: ${message}`, hint, EXIT.unreachable);
}

/** Sockets that have no API, or less of it than the control socket beside them; an EVPN engine's is called bgp.sock or NODE.bgp.sock. */
const OTHERS = /(^bgp|\.(attach|observe|bgp))\.sock$/;

/** Control sockets in a folder: `*.sock`, but no attach, observe and engine sockets. Throws what reading it does. */
export function socketsIn(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".sock") && !OTHERS.test(name));
  return names.sort().map((name) => join(folder, name));
}

/** Control sockets in the same folder: a gateway whose name was left out is among them. */
function socketsBeside(socket: string): string[] {
  try {
    return socketsIn(dirname(socket));
  } catch {
    return [];
  }
}
