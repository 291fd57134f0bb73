/**
 * By which names the metrics listener may be asked.
 *
 * A web page that an operator looks at can have its own name resolve to 127.0.0.1 (DNS rebinding) and read, through the
 * operator's browser, what only the operator's machine can reach. The page's name then stands in Host, or in a request target
 * that is a whole URL. An address cannot be rebound, and neither can localhost; other names are answered when they are this
 * gateway's or configured.
 */
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { Config } from "../control/plan.ts";

/** Host and optional port (RFC 9110 §7.2), host without its port. */
const HOST = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]*))(?::\d{0,5})?$/;

/** Scheme and authority of a whole URL (RFC 3986 §3). */
const ABSOLUTE = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)/;

/** The host, and optional port, that a request target names itself; null where it is a path. */
export function authorityOf(target: string): string | null {
  return ABSOLUTE.exec(target)?.[1] ?? null;
}

/** May a request that asks this host be answered? @param names lower case, without a dot at the end. */
export function isOurName(host: string, names: ReadonlySet<string>): boolean {
  const [, bracketed, plain = ""] = HOST.exec(host) ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  const name = plainName(plain);
  return isIP(name) === 4 || name === "localhost" || names.has(name);
}

/** The names of this gateway, besides addresses and localhost: the node's, the machine's, those of `metrics.hosts`. */
export function ourNames({ node, metrics }: Pick<Config, "node" | "metrics">): ReadonlySet<string> {
  return new Set([node, hostname(), ...(metrics?.hosts ?? [])].map(plainName));
}

/** As names are compared (RFC 1034 §3.1): case does not count, and the dot of the root is left out. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
