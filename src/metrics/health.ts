/**
 * What the TCP listener serves: /metrics, /livez and /readyz, and nothing else.
 *
 * Live: the main thread still answers, and every worker makes progress. Ready: configuration applied, underlay socket bound, ACs attached, and not about
 * to stop; an orchestrator sends traffic only then. The answers say in a word what is missing, so that `curl` is enough.
 */
import { Hono } from "hono";
import type { Condition } from "../api/feature.ts";
import type { Fetch } from "../api/listener.ts";
import type { Exposition } from "./exposition.ts";

export interface HealthSource {
  readonly registry: Exposition;
  /** Empty: live. Otherwise what is stuck, in words. */
  stuck(): readonly string[];
  /** Empty: ready. Otherwise what is missing, in words. */
  unready(): readonly string[];
  /** Everything that is looked at. */
  conditions(): readonly Condition[];
}

/** As Kubernetes writes it: [+] is well, [-] is not; what is not required is in brackets. */
function lineOf({ what, isMet, isRequired, text }: Condition): string {
  return `[${isMet ? "+" : "-"}] ${what}: ${text}${isRequired || isMet ? "" : " (not required)"}\n`;
}

export function createHealth({ registry, stuck, unready, conditions }: HealthSource): Fetch {
  const app = new Hono();
  app.get("/livez", (c) => {
    const dead = stuck();
    return dead.length === 0 ? c.text("ok\n") : c.text(`not live: ${dead.join("; ")}\n`, 503);
  });
  app.get("/readyz", (c) => {
    const missing = unready();
    const status = missing.length === 0 ? 200 : 503;
    const short = missing.length === 0 ? "ok\n" : `not ready: ${missing.join("; ")}\n`;
    if (c.req.query("verbose") === undefined) return c.text(short, status);
    return c.text(`${conditions().map(lineOf).join("")}${short}`, status);
  });
  app.get("/metrics", async (c) => c.body(await registry.metrics(), 200, { "content-type": registry.contentType }));
  app.notFound((c) => c.text("there are /metrics, /livez and /readyz\n", 404));
  app.onError((error, c) => c.text(`${error.message}\n`, 500));
  return (request) => app.fetch(request);
}
