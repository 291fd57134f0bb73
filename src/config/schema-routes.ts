/** Keys of routing: static routes, policies, and whether their next hops are asked for. */
import { z } from "zod";
import { DEFAULT_VRF } from "../control/inventory.ts";
import { readPortRange } from "./address.ts";
import { hop, int, MAX_NEXT_HOPS, name, prefix, read } from "./field.ts";

/** A next hop of several, in the form of `control/plan.ts`. */
const nextHopOf = () =>
  z.union([
    hop().transform((address) => ({ ...address, weight: 1, priority: 1, track: null, tunnel: null })),
    z
      .strictObject({
        ip: hop().describe("its address"),
        weight: int(1, 16).default(1).describe("its share of the flows, beside the weights of the others"),
        priority: int(1, 255).default(1).describe("those of the least priority that has a living one are used"),
        track: name().optional().describe("out of use while this track is down"),
        tunnel: name().optional().describe("behind this tunnel: an address that several Borders have (anycast)"),
      })
      .transform(({ ip, track = null, tunnel = null, ...rest }) => ({ ...ip, ...rest, track, tunnel })),
  ]);
const nextHopsOf = () => z.array(nextHopOf()).min(1).max(MAX_NEXT_HOPS);

export const route = z
  .strictObject({
    prefix: prefix().describe("destination; a bare address is a /32 or /128"),
    nextHop: hop()
      .optional()
      .describe("address of the next hop; a link-local one with its VSI-interface: fe80::2%vsi-interface10"),
    nextHops: nextHopsOf()
      .optional()
      .describe("several next hops, addresses or objects: flows are spread (ECMP), or one stands by for another"),
    action: z
      .enum(["unreachable", "prohibit", "discard"])
      .optional()
      .describe("instead of a next hop: ICMP host unreachable, ICMP prohibited, or silence"),
    viaVrf: name()
      .optional()
      .describe("another VRF: where the next hops are; without any, its table says where the packet goes"),
    vrf: name().default(DEFAULT_VRF).describe("routing instance"),
    track: name()
      .optional()
      .describe("track of its next hops that name none; with those of all of them down the route is withdrawn"),
  })
  .describe("a static route");

const prefixes = () => z.union([prefix(), z.array(prefix()).min(1).max(256)]);
const port = () =>
  z.union([int(0, 65535).transform((number) => ({ first: number, last: number })), read(readPortRange)]);
const ports = () => z.union([port(), z.array(port()).min(1).max(256)]);

const rule = z
  .strictObject({
    match: z
      .strictObject({
        source: prefixes().optional().describe("source prefix, or a list"),
        destination: prefixes().optional().describe("destination prefix, or a list"),
        protocol: z
          .union([z.enum(["tcp", "udp", "icmp", "icmp6"]), int(0, 255)])
          .optional()
          .describe("IP protocol: tcp, udp, icmp, icmp6 or a number"),
        sourcePorts: ports().optional().describe('port, range such as "1000-2000", or a list; needs tcp or udp'),
        destinationPorts: ports().optional().describe('port, range such as "1000-2000", or a list; needs tcp or udp'),
      })
      .prefault({})
      .describe("conditions that must all hold; {} matches everything"),
    nextHop: hop().optional().describe("send there, whatever the table says"),
    nextHops: nextHopsOf().optional().describe("or to several, as of a route"),
    defaultNextHop: hop().optional().describe("send there where the table has nothing but a default route"),
    defaultNextHops: nextHopsOf().optional().describe("or to several, as of a route"),
    onDead: z
      .enum(["fallThrough", "drop"])
      .optional()
      .describe("all its next hops are dead: the next rule and then the table decide (default), or drop"),
    track: name().optional().describe("track of its next hops that name none; one whose track is down is out of use"),
    drop: z.literal(true).optional().describe("drop"),
    permit: z.literal(true).optional().describe("route by the table, no further rules"),
    action: z.enum(["drop", "permit"]).optional().describe("another way to write drop and permit"),
  })
  .describe("one rule; exactly one action");

export const policy = z
  .strictObject({
    name: name().describe("name of the policy"),
    interfaces: z.array(name()).min(1).max(4096).describe("VSI-interfaces whose arriving packets it sees"),
    rules: z.array(rule).min(1).max(4096).describe("the first rule that matches decides"),
  })
  .describe("policy routing");

export const nextHopProbe = z
  .strictObject({
    intervalMs: z
      .union([z.literal(0), int(100, 60000)])
      .default(1000)
      .describe("milliseconds in which each next hop is asked once or more; 0: it is not asked"),
    multiplier: int(2, 20).default(3).describe("so many intervals of silence, and it is dead"),
  })
  .describe(
    "are next hops of routes and policies alive: asked by ARP or neighbour discovery where they are, once they are known",
  );

export const drain = z
  .strictObject({
    seconds: int(0, 60)
      .default(4)
      .describe("most that a stop waits until peers have left this gateway as their next hop; 0: it stops at once"),
    track: name()
      .optional()
      .describe("while this track is down peers are asked to leave it as well: a Border's uplink"),
  })
  .prefault({})
  .describe("leaving: of gateways with addresses that no other one has (`distributed: false`)");
