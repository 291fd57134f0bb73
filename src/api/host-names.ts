/**
 * By which names the metrics listener may be asked.
 *
 * A web page that an operator looks at can have its own name resolve to 127.0.0.1 (DNS rebinding) and read, through the
 * operator's browser, what only the operator's machine can reach. The browser then says the page's name in Host. An address
 * cannot be rebound, and neither can localhost; other names are answered when they are this gateway's or configured.
 */
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { Config } from "../control/plan.ts";

/** Host and optional port (RFC 9110 §7.2), host without its port. */
const HOST = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]*))(?::\d{0,5})?$/;

/** May a request with this Host header be answered? @param names lower case, without a dot at the end. */
export function isOurName(header: string, names: ReadonlySet<string>): boolean {
  const [, bracketed, plain = ""] = HOST.exec(header) ?? [];
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
