/** JSON bodies: in a route's description what it answers and what it is asked, and the answer that is an error. */
import type { z } from "@hono/zod-openapi";
import type { Fault } from "./schema.ts";

/** An answer that is an error. `hint` is the fix. */
export const fault = (code: string, message: string, hint: string): Fault => ({ error: { code, message, hint } });

/** An answer. `description` is its sentence in openapi.json. */
export const json = <T extends z.ZodType>(description: string, body: T) => ({
  description,
  content: { "application/json": { schema: body } },
});

/** A body that a request must have. */
export const asked = <T extends z.ZodType>(body: T) => ({
  content: { "application/json": { schema: body } },
  required: true,
});
