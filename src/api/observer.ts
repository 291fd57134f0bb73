/**
 * What the observe socket answers: reads, and what-if traces. Everything else is refused before a route is looked for, so
 * that a route that is added changes nothing for observers unless it is a read.
 */
import type { Fetch } from "./listener.ts";

const READS = new Set(["GET", "HEAD"]);
/** A question whose body is too long for a URL; it changes nothing. */
const WHAT_IF = "/v1/trace";

/** `fetch` for those who only look. `control`: the socket that does the rest. */
export function forObservers(fetch: Fetch, control: string): Fetch {
  return (request) => {
    const { method, url } = request;
    const { pathname } = new URL(url);
    if (READS.has(method) || (method === "POST" && pathname === WHAT_IF)) return fetch(request);
    const message = `${method} ${pathname.slice(0, 200)} is refused here: this socket is for reads and what-if traces`;
    const hint = `ask ${control}, as the daemon's user or as root`;
    return Response.json({ error: { code: "read_only", message, hint } }, { status: 403 });
  };
}
