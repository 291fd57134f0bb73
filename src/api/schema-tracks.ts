/** What the API says about tracks. Rules as in schema.ts. */
import { z } from "@hono/zod-openapi";

export const Track = z
  .object({
    name: z.string(),
    kind: z.enum(["ac", "overlay", "underlay"]),
    target: z.string().describe("what is asked, and by which way"),
    state: z
      .enum(["starting", "up", "down"])
      .describe("starting: not asked for long enough yet, and used as if it were up"),
    blind: z.string().nullable().describe("why it cannot be asked, which makes it down; null: it can"),
    seconds: z.int().describe("since its state is what it is"),
    rttMs: z.number().nullable().describe("of the last answer; null: none yet"),
    answered: z.int(),
    missed: z.int().describe("echoes that were not answered before the next one"),
    uses: z.array(z.string()).describe("what depends on it: the first eight"),
    useCount: z.int().describe("how many there are"),
  })
  .openapi("Track");
export type Track = z.infer<typeof Track>;
