/** /v1/tracks: what routes, policies and the drain depend on, and whether it is up. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { json } from "./json-body.ts";
import { Track } from "./schema-tracks.ts";

export function addTracks(app: OpenAPIHono, source: () => readonly Track[]): void {
  const summary = "Tracks: whether they are up, and what depends on them";
  const responses = { 200: json(summary, z.array(Track)) };
  app.openapi(createRoute({ method: "get", path: "/v1/tracks", summary, responses }), (c) =>
    c.json([...source()], 200),
  );
}
