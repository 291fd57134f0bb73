/** What `/v1/events` and `/v1/capture` are asked and say: see schema.ts for the rules. */
import { z } from "@hono/zod-openapi";
import { address } from "./address.ts";

const names = z
  .string()
  .max(4096)
  .transform((text) => text.split(",").filter((name) => name !== ""))
  .optional();

/** As many as a worker compares with (tables/watch-filter.ts). */
const MOST_HOSTS = 16;
const hosts = z
  .string()
  .max(MOST_HOSTS * 46)
  .transform((text) => text.split(",").filter((host) => host !== ""))
  .pipe(z.array(address).min(1).max(MOST_HOSTS))
  .optional();
const protocols = z
  .string()
  .max(64)
  .transform((text) => text.split(","))
  .pipe(z.array(z.enum(["arp", "nd", "icmp", "tcp", "udp", "ipv6", "other"])))
  .optional();

/** Boot and number, or the number alone: of this boot. */
export const SINCE = /^(?:([0-9a-f]{1,32})-)?(\d{1,15})$/;

export const EventQuery = z.object({
  ac: z.string().optional(),
  tunnel: z.string().optional(),
  vsi: z.string().optional(),
  event: z.string().max(64).optional().describe("a name; * stands for any text"),
  drop: z.enum(["0", "1"]).optional().describe("1: drops alone"),
  host: address.optional().describe("only what names this address"),
  protocol: z
    .enum(["arp", "nd", "icmp", "tcp", "udp"])
    .optional()
    .describe("only its events, and dropped frames of it; icmp, tcp and udp of both families"),
  since: z
    .string()
    .regex(SINCE, "a number, or BOOT-NUMBER as the id of a server-sent event is")
    .optional()
    .describe("only what came after this one: first what is kept, and how much is not, then the rest"),
});

export const EventRecord = z
  .object({
    seq: z.int().describe("counted from 1 at each start; of `suppressed`, that of the last one before"),
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
  host: hosts.describe(
    "addresses of either family, separated by commas: packets from or to one of them, and ARP and ND about one",
  ),
  protocol: protocols.describe(
    "arp, nd, icmp, tcp, udp (the last three of both families), ipv6, other; separated by commas",
  ),
  count: z.coerce.number().int().min(1).max(1_000_000_000).optional().describe("end after so many frames"),
  seconds: z.coerce.number().int().min(1).max(2_000_000).optional().describe("end after so long"),
  snaplen: z.coerce.number().int().min(14).max(262_144).default(262_144).describe("bytes of each frame"),
});

const number = z.int().nullable();
const underlayAddress = z.string().nullable();

const Via = z.object({ kind: z.enum(["ac", "tunnel"]), name: z.string() });

/** One line of the capture stream. */
export const CaptureLine = z
  .discriminatedUnion("kind", [
    z.object({ kind: z.literal("start"), node: z.string(), ports: z.array(Via) }),
    z.object({
      kind: z.literal("frame"),
      id: z.int().describe("its number on this gateway; numbers come again after millions of frames"),
      parent: number.describe("of one that goes out: the frame that came in, of which it is a copy"),
      cause: number.describe("the punted frame because of which control sent, or dropped, this one; null: none"),
      at: z.string().describe("nanoseconds since 1970"),
      via: Via.nullable().describe("null: from an unknown sender"),
      vsi: z.string().nullable(),
      direction: z.enum(["in", "out"]),
      length: z.int(),
      summary: z.string().describe("the frame in one line"),
      fate: z.string(),
      reason: z.string().nullable(),
      step: z.string().nullable(),
      outer: z
        .object({ source: underlayAddress, destination: underlayAddress, sourcePort: number, vni: number })
        .nullable()
        .describe("around a frame in a tunnel; the source port of one that comes in is known of strangers alone"),
      data: z.string().describe("base64: the Ethernet frame; of a tunnel the inner one"),
    }),
    z.object({ kind: z.literal("lost"), frames: z.int().describe("that could not be kept, since the last such line") }),
    z.object({
      kind: z.literal("end"),
      reason: z.enum(["count", "seconds"]),
      frames: z.int().describe("that were told"),
      lost: z.int().describe("that could not be kept, in all"),
    }),
  ])
  .openapi("CaptureLine");

export type EventQuery = z.infer<typeof EventQuery>;
export type EventRecord = z.infer<typeof EventRecord>;
export type CaptureQuery = z.infer<typeof CaptureQuery>;
export type CaptureLine = z.infer<typeof CaptureLine>;
