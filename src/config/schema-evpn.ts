/** Keys of BGP EVPN: the engine and its sessions, and how each VSI and each VRF takes part. */
import { z } from "zod";
import { readHost, readHost4 } from "./address.ts";
import { distinguisher, target } from "./administered.ts";
import { flag, hostMac, int, MAX_NEXT_HOPS, name, read, socketPath } from "./field.ts";

/** RFC 6793; 0 and the last one are reserved. */
const asNumber = () => int(1, 4294967294);

const peer = z
  .strictObject({
    address: read(readHost).describe("address of the BGP peer, usually a route reflector"),
    as: asNumber().describe("its AS"),
    password: z
      .strictObject({ file: socketPath().describe("file whose first line is the password") })
      .optional()
      .describe("TCP MD5 password (RFC 2385)"),
  })
  .describe("a BGP session that carries EVPN alone");

export const evpn = z
  .strictObject({
    engine: z
      .strictObject({
        socket: socketPath().describe("Unix socket of gobgpd's gRPC API (gobgpd --api-hosts unix://PATH)"),
        api: z.enum(["auto", "v3", "v4"]).default("auto").describe("version of its API; auto asks"),
        address: read(readHost)
          .optional()
          .describe(
            "address that it speaks BGP from; default: underlay.address. Another one: gobgpd in a container of its own",
          ),
      })
      .describe("the BGP speaker beside this gateway"),
    as: asNumber().describe("our AS"),
    routerId: read(readHost4)
      .optional()
      .describe("BGP identifier (RFC 6286), and first half of rd: auto; default: underlay.address"),
    peers: z
      .array(peer)
      .min(1)
      .max(64)
      .optional()
      .describe("sessions; absent: gobgpd's own file has them, and the gateway only announces and listens"),
    timers: z
      .strictObject({
        hold: int(3, 65535).default(9).describe("seconds until a silent session is down"),
        connectRetry: int(1, 65535).default(1).describe("seconds between attempts to connect"),
      })
      .prefault({})
      .describe("of the sessions"),
    targets: z
      .enum(["vni", "rfc8365"])
      .default("vni")
      .describe("how auto makes route targets: AS:VNI, or AS:(0x10000000 + VNI) as in RFC 8365"),
    staleSeconds: int(1, 86400)
      .default(180)
      .describe("seconds that entries are used without the engine, or without any session"),
    discover: flag(true).describe("tunnels come from routes; false: configured ones alone are used"),
    duplicates: z
      .strictObject({
        moves: int(2, 1000).default(5).describe("moves of a MAC that make it a duplicate"),
        seconds: int(1, 86400).default(180).describe("within so many seconds"),
        action: z
          .enum(["freeze", "warn"])
          .default("freeze")
          .describe("freeze: its place stays and we do not announce it"),
        recoverSeconds: int(1, 86400).default(600).describe("seconds until it is tried again"),
      })
      .prefault({})
      .describe("MACs that two sites fight for (RFC 7432 §15.1)"),
    limits: z
      .strictObject({
        vteps: int(1, 1024).default(1000).describe("VTEPs that routes may name"),
        routes: int(1, 1048576).default(200000).describe("routes of others"),
        announcePerSecond: int(1, 100000).default(1000).describe("changes that we announce"),
      })
      .prefault({})
      .describe("what peers may cost"),
  })
  .describe("BGP EVPN through gobgpd (docs/evpn.md)");

export const vsiEvpn = z
  .strictObject({
    rd: distinguisher().default("auto").describe("route distinguisher; auto: routerId:(VNI & 65535)"),
    import: z
      .array(target())
      .min(1)
      .max(64)
      .default(["auto"])
      .describe("route targets to take; auto: our VNI with any AS, in both forms"),
    export: z.array(target()).min(1).max(64).default(["auto"]).describe("route targets to give; auto: AS:VNI"),
    learning: z
      .enum(["evpn", "both"])
      .default("evpn")
      .describe("both: tunnels teach MACs as well, for a migration from static tunnels"),
    unknown: z
      .enum(["glean", "flood", "drop"])
      .optional()
      .describe(
        "unknown hosts: found by ARP everywhere, flooded too, or looked for at ACs alone; default glean, flood with learning: both",
      ),
  })
  .describe("this VSI takes part in EVPN; {} for defaults");

export const vrf = z
  .strictObject({
    name: name().describe("name of the VRF, as VSI-interfaces and routes write it"),
    l3vni: int(1, 16777215).describe("VNI that carries routed packets of the VRF between gateways; no VSI has it"),
    evpn: z
      .strictObject({
        rd: distinguisher().default("auto").describe("route distinguisher; auto: routerId:(L3VNI & 65535)"),
        import: z
          .array(target())
          .min(1)
          .max(64)
          .default(["auto"])
          .describe("route targets to take; auto: the L3VNI with any AS, in both forms"),
        export: z.array(target()).min(1).max(64).default(["auto"]).describe("route targets to give; auto: AS:L3VNI"),
        routerMac: z
          .union([z.literal("auto"), hostMac()])
          .default("auto")
          .describe(
            "MAC to which other gateways send packets of the VRF, of this gateway alone; auto: from node and L3VNI",
          ),
        advertise: z
          .strictObject({
            hosts: flag(true).describe("hosts of its VSI-interfaces, by the L3VNI too (symmetric IRB)"),
            connected: flag(true).describe("its subnets"),
            static: flag(true).describe("its static routes but the default one"),
            default: flag(false).describe(
              "the default route, whether there is one here or not; of IPv6 too where the VRF has an IPv6 address here",
            ),
          })
          .prefault({})
          .describe("what others hear of the VRF"),
        ecmp: int(1, MAX_NEXT_HOPS).default(MAX_NEXT_HOPS).describe("most gateways among which one prefix is spread"),
      })
      .prefault({})
      .describe("how it takes part in EVPN"),
  })
  .describe("a VRF that other gateways reach through an L3VNI; one that only separates needs no entry");
