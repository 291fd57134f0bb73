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
  tunnel: z
    .string()
    .nullable()
    .optional()
    .describe("the tunnel behind which it is meant, where several Borders have the address"),
  bypassedBy,
});

/** One that routes and policies hold. */
export const HeldHop = z
  .object({
    ip: z.string(),
    tunnel: z.string().nullable().describe("the tunnel behind which it is meant; null: wherever it is"),
    interface: z.string(),
    alive: z.boolean().describe("not known to be dead; one that was never used is alive"),
    found: z.boolean().describe("false: it was never found, and is not asked; one that was not used yet is alive"),
    deadSeconds: z.int().nullable().describe("since it is dead; null: it is not"),
    cause: z.string().nullable().describe("what took it away; null: its own silence, or it is not dead"),
    uses: z.array(z.string()).describe("routes and rules that it is a next hop of: the first eight"),
    useCount: z.int().describe("how many there are"),
  })
  .openapi("HeldHop");
export type HeldHop = z.infer<typeof HeldHop>;

/** What routes and policies lead to, and the tracks that they depend on: how many, and how many are gone. */
export const wayCounts = {
  nextHops: z.int().optional().describe("of routes and policies"),
  nextHopsDead: z.int().optional(),
  tracks: z.int().optional(),
  tracksDown: z.int().optional(),
};
