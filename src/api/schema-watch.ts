/** What `/v1/events` and `/v1/capture` are asked and say: see schema.ts for the rules. */
import { z } from "@hono/zod-openapi";

const names = z
  .string()
  .max(4096)
  .transform((text) => text.split(",").filter((name) => name !== ""))
  .optional();

export const EventQuery = z.object({
  ac: z.string().optional(),
  tunnel: z.string().optional(),
  vsi: z.string().optional(),
  event: z.string().max(64).optional().describe("a name; * stands for any text"),
  drop: z.enum(["0", "1"]).optional().describe("1: drops alone"),
});

export const EventRecord = z
  .object({
    time: z.string().describe("RFC 3339, UTC"),
    level: z.enum(["debug", "info", "warn", "error"]),
    event: z.string().describe("a stable name; drop: a frame; suppressed: lines left out, and how many"),
    step: z.string().nullable().describe("the article's step, where it has one"),
    fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  })
  .openapi("Event");

export const CaptureQuery = z.object({
  ac: names.describe("names, separated by commas"),
  tunnel: names.describe("names, separated by commas"),
  vsi: names.describe("names, separated by commas"),
  drop: z.enum(["0", "1"]).optional().describe("1: dropped frames alone"),
  snaplen: z.coerce.number().int().min(14).max(262_144).default(262_144).describe("bytes of each frame"),
});

const Via = z.object({ kind: z.enum(["ac", "tunnel"]), name: z.string() });

/** One line of the capture stream. */
export const CaptureLine = z
  .discriminatedUnion("kind", [
    z.object({ kind: z.literal("start"), node: z.string(), ports: z.array(Via) }),
    z.object({
      kind: z.literal("frame"),
      at: z.string().describe("nanoseconds since 1970"),
      via: Via.nullable().describe("null: from an unknown sender"),
      vsi: z.string().nullable(),
      direction: z.enum(["in", "out"]),
      length: z.int(),
      summary: z.string().describe("the frame in one line"),
      fate: z.string(),
      reason: z.string().nullable(),
      step: z.string().nullable(),
      data: z.string().describe("base64: the Ethernet frame; of a tunnel the inner one"),
    }),
    z.object({ kind: z.literal("lost"), frames: z.int().describe("that could not be kept, since the last such line") }),
  ])
  .openapi("CaptureLine");

export type EventQuery = z.infer<typeof EventQuery>;
export type EventRecord = z.infer<typeof EventRecord>;
export type CaptureQuery = z.infer<typeof CaptureQuery>;
export type CaptureLine = z.infer<typeof CaptureLine>;
