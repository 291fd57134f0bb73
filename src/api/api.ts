/**
 * The HTTP API: the routes of all features, and what is the same for all of them.
 *
 * Each route is declared with its zod schema, from which `/v1/openapi.json` is made. A client that can open the socket is the
 * operator, so there are no users here; what is checked is whether the question makes sense. Errors are always
 * `{"error": {"code", "message", "hint"}}`.
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import type { Feature } from "./feature.ts";
import { fault } from "./json-body.ts";
import type { Fetch } from "./listener.ts";

export interface ApiParts {
  readonly version: string;
  readonly features: readonly Pick<Feature, "routes">[];
}

/** The application; `main` gives its `fetch` to the control socket. */
export function createApi({ version, features }: ApiParts): Fetch {
  const app = new OpenAPIHono({
    defaultHook: (result, c) => {
      if (result.success) return undefined;
      const issue = result.error.issues[0]!;
      const message = `${issue.path.join(".")}: ${issue.message}`;
      return c.json(fault("bad_request", message, "see /v1/openapi.json for what may be asked"), 400);
    },
  });
  for (const { routes } of features) routes?.(app);
  // Made once: that takes as long as hundreds of answers, and anybody may ask for it again and again.
  let document: string | null = null;
  app.get("/v1/openapi.json", (c) => {
    const info = { title: "vtepd", version };
    document ??= JSON.stringify(app.getOpenAPI31Document({ openapi: "3.1.0", info }));
    return c.body(document, 200, { "content-type": "application/json" });
  });
  app.notFound((c) =>
    c.json(fault("not_found", `there is no ${c.req.method} ${c.req.path}`, "see /v1/openapi.json"), 404),
  );
  app.onError((error, c) => {
    // What the caller sent could not be read: the caller's mistake, not ours.
    if (error instanceof HTTPException && error.status < 500)
      return c.json(fault("bad_request", error.message, "see /v1/openapi.json for what may be asked"), error.status);
    return c.json(
      fault("internal", error.message, "this is a mistake in vtepd: please report it with the daemon's log"),
      500,
    );
  });
  return async (request) => {
    if (request.method !== "HEAD") return app.fetch(request);
    // As GET, without the body; one that would be a stream hears that no client reads it (hono alone drops it unheard).
    const { url, headers } = request;
    const answer = await app.fetch(new Request(url, { headers }));
    await answer.body?.cancel();
    return new Response(null, answer);
  };
}
