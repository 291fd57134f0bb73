/**
 * What-if across gateways: a described packet, followed from tunnel to tunnel (ctl/fleet-trace.ts). Nothing is sent.
 *
 * The request is made anew from the fields named here, each read and bounded; `inject` and raw bytes are not among them, so no
 * page can have a frame sent.
 */
import { z } from "zod";
import { silentText } from "../ctl/fleet.ts";
import { endText, followAll } from "../ctl/fleet-trace.ts";
import { askGateway } from "./answers.ts";
import type { Journey, JourneyAsked } from "./said.ts";

const address = z.union([z.ipv4(), z.ipv6()]);
const port = z.int().min(0).max(65_535);

export const Asked: z.ZodType<JourneyAsked> = z.strictObject({
  gateway: z.string().min(1).max(64).optional(),
  ac: z.string().min(1).max(64),
  protocol: z.enum(["icmp", "tcp", "udp", "arp", "nd"]),
  source: address.optional(),
  destination: address,
  ttl: z.int().min(0).max(255).optional(),
  size: z.int().min(28).max(65_535).optional(),
  df: z.boolean().optional(),
  sourcePort: port.optional(),
  destinationPort: port.optional(),
});
export async function journeyOf(sockets: readonly string[], asked: JourneyAsked): Promise<Journey> {
  const { gateway, ac, protocol, source, destination, ttl, size, df, sourcePort, destinationPort } = asked;
  const described = { ac, protocol, source, destination, ttl, size, df, sourcePort, destinationPort };
  const given = Object.entries(described).filter(([, value]) => value !== undefined);
  const { legs, silent } = await followAll(sockets, Object.fromEntries(given), gateway, askGateway);
  return { legs, silent: silent.map(silentText), end: endText(legs) };
}
