/** What the API answers to "why": sentences for people, and the facts that they are made of. Rules as in schema.ts. */
import { z } from "@hono/zod-openapi";
import { Route } from "./schema.ts";

const place = z.object({ mac: z.string(), via: z.string().describe('"ac vm1"'), vsi: z.string() });
const seconds = z.number();

export const Why = z
  .object({
    subject: z.string(),
    kind: z.enum(["ip", "mac"]),
    known: z.boolean(),
    sentences: z.array(z.string()).describe("the story, for people"),
    macs: z.array(
      z.object({
        vsi: z.string(),
        mac: z.string(),
        origin: z.enum(["learned", "static", "gateway", "flood", "evpn"]),
        via: z.object({ kind: z.enum(["ac", "tunnel"]), name: z.string() }).nullable(),
        frame: z.string().nullable().describe("the frame that taught it; null: none did"),
        learnedSeconds: seconds.describe("since it is at its port"),
        heardSeconds: seconds.nullable(),
        previous: z.object({ via: z.string(), secondsAgo: seconds }).nullable(),
      }),
    ),
    neighbors: z.array(
      z.object({
        interface: z.string(),
        ip: z.string(),
        state: z.enum(["incomplete", "reachable", "stale", "delay", "probe", "suspended", "failed"]),
        place: place.nullable(),
        origin: z.enum(["request", "reply", "announcement", "static", "gateway", "evpn", "restored"]),
        learnedSeconds: seconds,
        heardSeconds: seconds,
        stateSeconds: seconds,
        tries: z.int(),
        searchSeconds: seconds.nullable(),
        asked: z.array(z.string()),
        wanted: z.boolean().describe("a route or a policy needs it"),
        previous: place.extend({ secondsAgo: seconds }).nullable(),
        challenger: place.nullable(),
      }),
    ),
    routes: z.array(Route).describe("the longest match in each VRF"),
  })
  .openapi("Why");

/** Lists come from control, read-only. */
type Shared<T> = T extends readonly (infer E)[]
  ? readonly Shared<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Shared<T[K]> }
    : T;
export type Why = Shared<z.infer<typeof Why>>;

/** What is asked: one of the two, and where (by name; null: everywhere). */
export interface Question {
  readonly ip: string | null;
  readonly mac: string | null;
  readonly interface: string | null;
  readonly vsi: string | null;
  readonly vrf: string | null;
}
