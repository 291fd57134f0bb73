/**
 * Who may ask: every request passes here before anything is looked at.
 *
 * A page of another site runs in the same browser, a name may be made to point at 127.0.0.1 (DNS rebinding), and other
 * users of the machine reach the port as well. So the Host must be one of ours, character by character; a request that a
 * foreign page caused is refused by what the browser says of it (Origin, Sec-Fetch-Site); and whatever holds data wants the
 * token, which no cookie carries: a browser would send that to every other port of the host. Pure: headers in, a refusal or null out.
 */
import { timingSafeEqual } from "node:crypto";

export interface Asked {
  readonly method: string;
  /** As it was sent, with its query. */
  readonly target: string;
  readonly header: (name: string) => string | undefined;
}

export interface Terms {
  /** `127.0.0.1:8080` and its like. */
  readonly hosts: readonly string[];
  readonly token: string;
  /** May a walk be started? Else a page only looks on. */
  readonly walks: boolean;
}

export interface Refused {
  readonly status: 400 | 401 | 403 | 404 | 405 | 411 | 413 | 414 | 415 | 421 | 503;
  readonly message: string;
}

/** All there is: what is not listed is not there. `open` holds no data and needs no token. */
const ROUTES: Readonly<Record<string, "open" | "GET" | "POST" | "walk">> = {
  "/": "open",
  "/page.js": "open",
  "/style.css": "open",
  "/icon.svg": "open",
  "/api/session": "GET",
  "/api/fabric": "GET",
  "/api/history": "GET",
  "/api/doctor": "GET",
  "/api/tables": "GET",
  "/api/evpn": "GET",
  "/api/evpn-routes": "GET",
  "/api/redundancy": "GET",
  "/api/events": "GET",
  "/api/export": "GET",
  "/api/walks": "GET",
  "/api/trace": "POST",
  "/api/watch": "POST",
  "/api/walk": "walk",
};

const LONGEST_TARGET = 512;
/** A described packet. */
export const LONGEST_BODY = 4096;

/** @returns null: it may be answered. */
export function refusalOf({ method, target, header }: Asked, terms: Terms): Refused | null {
  if (target.length > LONGEST_TARGET) return { status: 414, message: "the address is too long" };
  const host = header("host");
  if (host === undefined || !terms.hosts.includes(host.toLowerCase()))
    return { status: 421, message: "this server does not answer by that name; it says its address when it starts" };
  const origin = header("origin");
  if (origin !== undefined && origin !== `http://${host.toLowerCase()}`)
    return { status: 403, message: "asked for by another site" };
  const site = header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none")
    return { status: 403, message: "asked for by another site" };
  const kind = Object.hasOwn(ROUTES, pathOf(target)) ? ROUTES[pathOf(target)] : undefined;
  if (kind === undefined) return { status: 404, message: "there is no such page" };
  const wanted = kind === "POST" || kind === "walk" ? "POST" : "GET";
  if (method !== wanted) return { status: 405, message: `only ${wanted} is answered here` };
  if (kind === "open") return null;
  if (!isToken(header("authorization"), terms.token))
    return { status: 401, message: "the token is missing or wrong: open the address that vtepctl web printed" };
  if (kind === "walk" && !terms.walks) return { status: 403, message: "walks are started by the lab alone" };
  return wanted === "POST" ? bodyRefusal(header) : hasBody(header) ? { status: 400, message: "GET has no body" } : null;
}

const pathOf = (target: string): string => target.split("?", 1)[0]!;

const hasBody = (header: Asked["header"]): boolean =>
  header("transfer-encoding") !== undefined || (header("content-length") ?? "0") !== "0";

function bodyRefusal(header: Asked["header"]): Refused | null {
  // A form of another site can send text/plain, but no JSON.
  if (!/^application\/json(;\s*charset=utf-8)?$/i.test(header("content-type") ?? ""))
    return { status: 415, message: "the body must be application/json" };
  const length = header("content-length");
  if (length === undefined || !/^\d{1,9}$/.test(length) || header("transfer-encoding") !== undefined)
    return { status: 411, message: "the length of the body must be said" };
  return Number(length) > LONGEST_BODY ? { status: 413, message: "the body is too long" } : null;
}

/** Compared in a time that tells nothing about the token. */
function isToken(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** Of every answer. The page is a file of ours, and asks no server but this one. */
export const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};
