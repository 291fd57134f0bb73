/** `POST /v1/drain` and `POST /v1/undrain`: peers leave this gateway as their next hop, or may come back. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { json } from "./json-body.ts";

export const Draining = z.object({ draining: z.boolean(), changed: z.boolean() }).openapi("Draining");
export type Draining = z.infer<typeof Draining>;

export interface DrainSource {
  readonly isOn: boolean;
  begin(): boolean;
  end(): boolean;
}

export function addDrain(app: OpenAPIHono, source: DrainSource): void {
  const responses = { 200: json("How it stands now", Draining) };
  const drain = createRoute({
    method: "post",
    path: "/v1/drain",
    summary: "Ask peers to leave this gateway as their next hop; it goes on forwarding",
    responses,
  });
  app.openapi(drain, (c) => c.json({ changed: source.begin(), draining: source.isOn }, 200));
  const undrain = createRoute({
    method: "post",
    path: "/v1/undrain",
    summary: "Be a next hop again",
    responses,
  });
  app.openapi(undrain, (c) => c.json({ changed: source.end(), draining: source.isOn }, 200));
}
