/** GET /v1/doctor: an examination of the gateway, its machine and its peers. It takes as long as a silent peer: a second. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { Diagnosis } from "./schema-doctor.ts";

export interface DoctorSource {
  doctor(): Promise<Diagnosis>;
}

export function addDoctor(app: OpenAPIHono, source: DoctorSource): void {
  const description = "One line for each thing looked at";
  const route = createRoute({
    method: "get",
    path: "/v1/doctor",
    summary: "Examine the gateway, its machine and its peers",
    responses: { 200: { description, content: { "application/json": { schema: Diagnosis } } } },
  });
  app.openapi(route, async (c) => c.json(await source.doctor(), 200));
}
