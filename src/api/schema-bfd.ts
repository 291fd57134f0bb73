/** What the API says about BFD: each session, and what was refused. Rules as in schema.ts. */
import { z } from "@hono/zod-openapi";

const State = z.enum(["adminDown", "down", "init", "up"]);

const BfdDiagnosis = z
  .enum([
    "none",
    "detectionTimeExpired",
    "echoFailed",
    "neighborSignaledDown",
    "forwardingPlaneReset",
    "pathDown",
    "concatenatedPathDown",
    "adminDown",
    "reverseConcatenatedPathDown",
    "reserved",
  ])
  .describe("why the session was last down (RFC 5880 §4.1)");

export const BfdSession = z
  .object({
    tunnel: z.string(),
    remote: z.string(),
    mode: z.enum(["oneHop", "multihop", "vxlan"]),
    intervalMs: z.number().describe("by the configuration"),
    multiplier: z.int().describe("ours: by it the peer waits for us"),
    state: State,
    verdict: z
      .enum(["unknown", "up", "down", "draining"])
      .describe("unknown: the peer has not been up yet, so the tunnel is used; draining: it says that it leaves"),
    diagnosis: BfdDiagnosis,
    transmitMs: z.number().describe("between two of our packets at most, as agreed"),
    detectionMs: z.number().describe("silence until the session is down; 0: nothing was heard yet"),
    discriminator: z.number(),
    peer: z.object({
      state: State,
      diagnosis: BfdDiagnosis,
      discriminator: z.number().describe("0: not known"),
      minRxMs: z.number().describe("least time between packets that it takes"),
      desiredMinTxMs: z.number().describe("least time between packets that it sends"),
      multiplier: z.int().describe("by it we wait for the peer"),
    }),
    received: z.number(),
    sent: z.number(),
    sendError: z.string().nullable().describe("why the last packet did not leave; null: it did"),
    late: z.number().describe("packets that came later than one and a half intervals"),
    longestGapMs: z
      .number()
      .describe("between two packets of a session that was up; begins anew when detectionMs becomes shorter"),
    changes: z.number().describe("of the state, ever"),
    lastChange: z
      .object({ at: z.string(), from: State, to: State, diagnosis: BfdDiagnosis, peerDiagnosis: BfdDiagnosis })
      .nullable(),
  })
  .openapi("BfdSession");

export const Bfd = z
  .object({
    problem: z.string().nullable().describe("why sessions cannot be held; null: they can"),
    sessions: z.array(BfdSession),
    refused: z.array(z.object({ reason: z.string(), count: z.number(), text: z.string() })),
    lastRefused: z
      .object({ reason: z.string(), source: z.string(), hops: z.int(), at: z.string() })
      .nullable()
      .describe("a sample"),
  })
  .openapi("Bfd");

/** What a tunnel says of it. */
export const watched = {
  draining: z.boolean().optional().describe("its peer leaves: nothing is sent to it, and what it sends is taken"),
  lingering: z
    .boolean()
    .optional()
    .describe("no route names it any more: nothing is sent by it, and what its peer still sends is taken for a while"),
  watchedBy: z.enum(["bfd", "keepalive"]).nullable().optional().describe("what says whether its peer is there"),
  bfd: BfdSession.nullable().optional().describe("null: not configured"),
};

export type BfdSession = z.infer<typeof BfdSession>;
export type Bfd = z.infer<typeof Bfd>;
