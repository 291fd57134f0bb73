/** What `POST /v1/trace` and `POST /v1/inject` are asked and say: see schema.ts for the rules. */
import { z } from "@hono/zod-openapi";
import { address } from "./address.ts";

const name = z.string().min(1).max(64);
const mac = z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i, "a MAC address: six bytes in hex");
const port = z.int().min(0).max(65_535);

export const TraceRequest = z
  .object({
    ac: name.optional().describe("arrives at this AC"),
    tunnel: name.optional().describe("or by this tunnel, inside VXLAN"),
    peer: address
      .optional()
      .describe("or by the tunnel to the VTEP with this address: `local` of another gateway's `next`"),
    vni: z.int().min(0).max(0xffffff).optional().describe("needs tunnel or peer"),
    vrf: name
      .optional()
      .describe("its VRF: of ac, tunnel or peer it must be; without them it arrives where this VRF knows its source"),
    protocol: z
      .enum(["icmp", "tcp", "udp", "arp", "nd"])
      .default("icmp")
      .describe("of IPv6, icmp is ICMPv6; arp is a request of IPv4, nd a solicitation of IPv6, for the destination"),
    source: address.optional().describe("with nd, :: probes for a duplicate"),
    destination: address.optional().describe("of the source's family"),
    sourceMac: mac.optional().describe("default: of the neighbour with the source address, else one made up"),
    destinationMac: mac
      .optional()
      .describe("default: the gateway MAC of the VSI; of a group or broadcast address its own"),
    ttl: z.int().min(0).max(255).default(64).describe("or hop limit"),
    dscp: z.int().min(0).max(63).default(0),
    size: z.int().min(28).max(65_535).default(84).describe("bytes of the IP packet"),
    df: z.boolean().default(false).describe("of IPv4: packets of IPv6 are never fragmented on the way"),
    sourcePort: port.default(40_000),
    destinationPort: port.default(80),
    vlan: z.int().min(0).max(4094).optional().describe("802.1Q tag; default: what the AC matches"),
    hex: z
      .string()
      .max(60_000)
      .regex(/^([0-9a-f]{2})+$/i, "bytes in hex")
      .optional()
      .describe("the frame itself, from the Ethernet header on, in place of a description"),
    inject: z.boolean().default(false).describe("true is refused: POST /v1/inject sends"),
  })
  .strict()
  .openapi("TraceRequest");

export const InjectRequest = TraceRequest.omit({ inject: true }).strict().openapi("InjectRequest");

export const Trace = z
  .object({
    packet: z.string().describe("the packet, in one line"),
    steps: z.array(z.object({ stage: z.string(), text: z.string(), result: z.string() })),
    fate: z.object({
      kind: z.enum(["sent", "punted", "dropped"]),
      reason: z.string().nullable().describe("the drop reason"),
      class: z.string().nullable().describe("the punt class"),
      text: z.string(),
      next: z.string().nullable().describe("what control would do with it, in words"),
    }),
    sends: z.array(
      z.object({
        via: z.object({ kind: z.enum(["ac", "tunnel"]), name: z.string() }),
        vsi: z.string(),
        vni: z.int().nullable(),
        bytes: z.int(),
        frame: z.string().describe("the (inner) Ethernet frame, in hex"),
      }),
    ),
    next: z
      .array(
        z.object({
          tunnel: z.string(),
          remote: z.string().describe("underlay address of the gateway to ask next"),
          local: z.string().describe("ours: `peer` of that question"),
          vni: z.int(),
          hex: z.string().describe("the inner frame"),
        }),
      )
      .describe("what goes into tunnels, as questions to the gateways at their other ends: {peer: local, vni, hex}"),
    injected: z.boolean().describe("false: what-if, nothing was sent"),
  })
  .openapi("Trace");

export type TraceRequest = z.infer<typeof TraceRequest>;
export type InjectRequest = z.infer<typeof InjectRequest>;
export type Trace = z.infer<typeof Trace>;
