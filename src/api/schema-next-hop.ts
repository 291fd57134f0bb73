/** A next hop of a route or of a policy's rule, as the API tells it. */
import { z } from "@hono/zod-openapi";

export const bypassedBy = z
  .string()
  .nullable()
  .describe("the tunnel whose gateway answers for the next hop and routes by destination, so that it sees no packet");

export const nextHop = z.object({
  ip: z.string(),
  interface: z.string(),
  alive: z.boolean().describe("not known to be dead"),
  weight: z.int().optional().describe("its share of the flows"),
  priority: z.int().optional().describe("those of the least priority that has a living one are used"),
  track: z.string().nullable().optional().describe("out of use while this track is down"),
  bypassedBy,
});
