/** What the API tells of VRFs. Rules as in schema.ts. */
import { z } from "@hono/zod-openapi";

export const Vrf = z
  .object({
    name: z.string(),
    state: z
      .enum(["up", "degraded", "down"])
      .describe("degraded: what is here is routed, and its L3VNI is not what it should be; down: it routes nothing"),
    reason: z.string().nullable().describe("why it is not up"),
    interfaces: z.array(z.string()).describe("its VSI-interfaces, but for the L3VNI's own"),
    l3vni: z.int().nullable().describe("VNI that carries its routed packets between gateways; null: none"),
    rd: z.string().nullable().describe("route distinguisher of its prefixes; null: it has no L3VNI"),
    import: z.array(z.string()).describe("route targets that it takes; *:VNI is any AS"),
    export: z.array(z.string()).describe("route targets that it gives"),
    routerMac: z.string().nullable().describe("the MAC to which others send its packets"),
    vteps: z.int().describe("other gateways that its L3VNI reaches"),
    routes: z.record(z.string(), z.int()).describe("routes by origin"),
    neighbors: z.int().describe("entries of the ARP tables of its VSI-interfaces"),
  })
  .openapi("Vrf");

export type Vrf = z.infer<typeof Vrf>;
