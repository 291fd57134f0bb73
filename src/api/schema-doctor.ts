/** What an examination says: one line for each thing looked at, and how checks make it. Rules as in schema.ts. */
import { z } from "@hono/zod-openapi";

export const Check = z
  .object({
    name: z.string().describe("what was looked at: a stable key"),
    result: z.enum(["ok", "warn", "fail"]),
    text: z.string(),
    fix: z.string().nullable().describe("what to do; null where nothing is to be done"),
  })
  .openapi("Check");

export const Diagnosis = z.object({ checks: z.array(Check) }).openapi("Diagnosis");

export type Check = z.infer<typeof Check>;
export type Diagnosis = z.infer<typeof Diagnosis>;

/** @param name what was looked at: a stable key. */
export const ok = (name: string, text: string): Check => ({ name, result: "ok", text, fix: null });
/** It works, and not as it should. */
export const warn = (name: string, text: string, fix: string): Check => ({ name, result: "warn", text, fix });
/** It does not work: the exit code is 7. */
export const fail = (name: string, text: string, fix: string): Check => ({ name, result: "fail", text, fix });
