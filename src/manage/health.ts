/**
 * What the TCP listener serves: /metrics, /livez and /readyz, and nothing else.
 *
 * Live: the main thread still answers. Ready: configuration applied, underlay socket bound, ACs attached, and not about
 * to stop; an orchestrator sends traffic only then. The answers say in a word what is missing, so that `curl` is enough.
 */
import { Hono } from "hono";
import type { Registry } from "prom-client";
import type { Fetch } from "./listener.ts";

export interface HealthSource {
  readonly registry: Registry;
  /** Empty: ready. Otherwise what is missing, in words. */
  unready(): readonly string[];
}

export function createHealth({ registry, unready }: HealthSource): Fetch {
  const app = new Hono();
  app.get("/livez", (c) => c.text("ok\n"));
  app.get("/readyz", (c) => {
    const missing = unready();
    return missing.length === 0 ? c.text("ok\n") : c.text(`not ready: ${missing.join("; ")}\n`, 503);
  });
  app.get("/metrics", async (c) => c.body(await registry.metrics(), 200, { "content-type": registry.contentType }));
  app.notFound((c) => c.text("there are /metrics, /livez and /readyz\n", 404));
  app.onError((error, c) => c.text(`${error.message}\n`, 500));
  return (request) => app.fetch(request);
}
