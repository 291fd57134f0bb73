/** What the API tells of BGP EVPN. Rules as in schema.ts. */
import { z } from "@hono/zod-openapi";

const counts = z.object({
  used: z.int().describe("entries that routes of others give"),
  shadowed: z.int().describe("of these, ones that a host at an AC here outranks"),
  out: z.int().describe("hosts at ACs here, which we announce"),
});

export const Evpn = z
  .object({
    engine: z.object({
      socket: z.string(),
      up: z.boolean(),
      api: z.string().nullable().describe("version of gobgpd's API"),
      problem: z.string().nullable().describe("why it is not up"),
    }),
    as: z.int(),
    routerId: z.string(),
    vtep: z.string(),
    state: z
      .enum(["away", "listing", "settling", "synced", "deaf", "stale"])
      .describe("deaf: no session is up; stale: the engine is gone; entries are used meanwhile"),
    stateSeconds: z.number(),
    backlog: z.int().describe("routes that wait to be applied"),
    routes: z.object({
      in: z.int(),
      out: z.int(),
      stale: z.int(),
      pending: z.int().describe("changes of ours that wait for the rate, or for the engine"),
    }),
    peers: z.array(
      z.object({
        address: z.string(),
        as: z.int(),
        state: z.string(),
        upSince: z.number().nullable().describe("seconds since the epoch"),
        complete: z.boolean().describe("it has sent End-of-RIB"),
        routes: z.int().describe("whose best route came from it"),
      }),
    ),
    vsis: z.array(
      z.object({
        vsi: z.string(),
        vni: z.int(),
        rd: z.string(),
        import: z.array(z.string()),
        export: z.array(z.string()),
        vteps: z.int(),
        macs: counts,
        ips: counts,
        duplicates: z.int(),
        moves: z.object({ in: z.int(), out: z.int() }),
      }),
    ),
    vrfs: z
      .array(
        z.object({
          vrf: z.string(),
          l3vni: z.int(),
          rd: z.string(),
          import: z.array(z.string()),
          export: z.array(z.string()),
          routerMac: z.string().describe("the MAC to which others send packets of the VRF"),
          vteps: z.int(),
          prefixes: z.object({
            in: z.int().describe("prefixes and hosts that routes of others give"),
            out: z.int().describe("prefixes of ours that we announce; hosts are their VSI's"),
          }),
        }),
      )
      .describe("VRFs with an L3VNI"),
    sharedRouterIds: z
      .array(
        z.object({
          routerId: z.string(),
          isOurs: z.boolean().describe("it is this gateway's too"),
          vteps: z.array(z.string()).describe("of others, the first few"),
        }),
      )
      .optional()
      .describe("router ids that several gateways have, as distinguishers of their routes tell"),
  })
  .openapi("Evpn");

export const EvpnRoute = z
  .object({
    type: z.int().describe("2: MAC, and IP; 3: flooding; 5: prefix; 0: one that is not read"),
    route: z.string(),
    rd: z.string(),
    nextHop: z.string(),
    peer: z.string().nullable().describe("null: ours"),
    direction: z.enum(["in", "out"]),
    targets: z.array(z.string()),
    labels: z.array(z.int()),
    localPreference: z.int().describe("LOCAL_PREF; of prefixes the highest is used"),
    sequence: z.int().nullable(),
    sticky: z.boolean(),
    vsi: z.string().nullable().describe("null: no VSI imports it"),
    vrf: z.string().nullable().describe("null: no VRF imports it by its L3VNI"),
    state: z.string().describe("what has become of it, and why not more"),
    ageSeconds: z.number().nullable(),
  })
  .openapi("EvpnRoute");

export const EvpnVtep = z
  .object({
    vtep: z.string(),
    tunnel: z.string().nullable(),
    vnis: z.array(z.int()),
    routes: z.int(),
    refused: z.string().nullable().describe("why there is no tunnel"),
    lingering: z.boolean().optional().describe("its last route has gone, and what it still sends is taken for a while"),
  })
  .openapi("EvpnVtep");

export const EvpnDuplicate = z
  .object({
    vsi: z.string(),
    mac: z.string(),
    moves: z.int(),
    sinceSeconds: z.number(),
    recoversInSeconds: z.number(),
  })
  .openapi("EvpnDuplicate");

export const EvpnRefused = z
  .object({
    reason: z.string(),
    count: z.int().describe("ever"),
    text: z.string(),
  })
  .openapi("EvpnRefused");

export type Evpn = z.infer<typeof Evpn>;
export type EvpnRoute = z.infer<typeof EvpnRoute>;
export type EvpnVtep = z.infer<typeof EvpnVtep>;
export type EvpnDuplicate = z.infer<typeof EvpnDuplicate>;
export type EvpnRefused = z.infer<typeof EvpnRefused>;
