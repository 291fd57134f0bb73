/** Keys of router advertisements: what a VSI-interface tells the hosts behind its ACs. */
import { z } from "zod";
import { readHost6 } from "./address.ts";
import { flag, int, matching, read } from "./field.ts";

const SEARCH_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*$/i;

export const routerAdvertisement = z
  .strictObject({
    onLink: flag(true).describe("hosts of a prefix ask for each other; false: they send everything to the gateway"),
    slaac: flag(true).describe("hosts make addresses of their own from prefixes of length 64 (RFC 4862)"),
    managed: flag(false).describe("addresses come from DHCPv6"),
    other: flag(false).describe("everything but addresses comes from DHCPv6"),
    lifetimeSeconds: int(0, 65535).default(1800).describe("how long the gateway is a default router; 0: it is none"),
    intervalSeconds: int(4, 1800)
      .default(200)
      .describe("seconds from one advertisement to the next, a quarter more or less"),
    dns: z.array(read(readHost6)).max(4).default([]).describe("DNS servers (RFC 8106)"),
    search: z
      .array(matching(SEARCH_NAME, "is no domain name", "write it as lab.example"))
      .max(4)
      .default([])
      .describe("domains in which hosts look for short names"),
    preference: z.enum(["high", "medium", "low"]).default("medium").describe("beside other routers (RFC 4191)"),
  })
  .describe("tell the hosts behind the ACs of IPv6 that this is their router, and of its prefixes; absent: nothing");
