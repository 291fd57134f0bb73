/** What the API says about the way to a tunnel's peer: liveness, round trip, path MTU. Rules as in schema.ts. */
import { z } from "@hono/zod-openapi";

export const Probe = z
  .object({
    keepalive: z.object({ intervalMs: z.int(), multiplier: z.int() }).nullable().describe("null: not watched"),
    state: z
      .enum(["up", "down", "unwatched", "impossible"])
      .describe("by the keepalive; impossible: configured, but probing is off (see status)"),
    rttMs: z.number().nullable().describe("smoothed round-trip time; null: never answered"),
    loss: z.number().nullable().describe("share of the last 100 keepalive probes without an answer, 0..1"),
    answered: z.int(),
    lost: z.int(),
    pathMtu: z.int().nullable().describe("IP packets of the underlay that the path carries; null: not searched"),
    silentSeconds: z.int().describe("since a VXLAN packet was received, or since the tunnel is there"),
    sentSince: z.int().describe("VXLAN packets sent in that time"),
  })
  .openapi("Probe");

export const PathSearch = z
  .object({
    tunnel: z.string(),
    searching: z.boolean(),
    silent: z.boolean().describe("the last search ended because the peer answers no echo"),
    pathMtu: z.int().nullable().describe("what the search found, IP packets of the underlay; null: nothing yet"),
    usedMtu: z.int().describe("what is in force: no more than our own kernel lets out"),
    innerMtu: z.int().describe("the longest inner IP packet that the tunnel takes now"),
    tries: z
      .array(z.object({ length: z.int(), passed: z.boolean(), hint: z.int().describe("a router's word; 0: none") }))
      .describe("in their order"),
  })
  .openapi("PathSearch");

export const Probing = z
  .object({
    state: z.enum(["on", "unused", "off"]).describe("unused: no tunnel has a keepalive; off: see reason"),
    watched: z.int().describe("tunnels with a keepalive that are being watched"),
    by: z
      .enum(["raw", "datagram"])
      .nullable()
      .describe("raw: a raw ICMP socket; datagram: the kernel's, which needs no capability; null: none is open"),
    reason: z.string().nullable(),
    fix: z.string().nullable(),
  })
  .openapi("Probing");

export const PingResult = z
  .object({
    kind: z.enum(["reply", "lost", "tooBig", "off"]),
    length: z.int().describe("of the whole IP packet"),
    rttMs: z.number().nullable(),
    mtu: z.int().nullable().describe("what a router said would pass, where it was too long"),
    reason: z.string().nullable().describe("why probing is off"),
    fix: z.string().nullable(),
  })
  .openapi("PingResult");

export const HostPing = z
  .object({
    kind: z.enum(["reply", "lost", "unresolved", "busy"]).describe("busy: too many echoes wait already"),
    source: z.string().describe("the address the echo spoke with"),
    length: z.int().describe("of the whole IP packet"),
    rttMs: z.number().nullable(),
    ttl: z.int().nullable().describe("of the reply, as it arrived"),
    via: z
      .object({ kind: z.enum(["ac", "tunnel"]), name: z.string() })
      .nullable()
      .describe("where the host is, if it is a neighbour; null: not known"),
    note: z.string().nullable().describe("of a loss: what is likely, and what to do"),
  })
  .openapi("HostPing");

export type HostPing = z.infer<typeof HostPing>;
export type Probe = z.infer<typeof Probe>;
export type PathSearch = z.infer<typeof PathSearch>;
export type Probing = z.infer<typeof Probing>;
export type PingResult = z.infer<typeof PingResult>;
