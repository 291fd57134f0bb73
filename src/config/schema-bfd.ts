/** Keys of BFD: for all tunnels, and for each. */
import { z } from "zod";
import { int } from "./field.ts";

const intervalMs = () => int(20, 60000);
const multiplier = () => int(2, 20);
const mode = () => z.enum(["oneHop", "multihop", "vxlan"]);

const DEFAULTS = { intervalMs: 1000, multiplier: 3, mode: "oneHop" } as const;

export const bfd = z
  .strictObject({
    intervalMs: intervalMs().default(DEFAULTS.intervalMs).describe("milliseconds between control packets, both ways"),
    multiplier: multiplier()
      .default(DEFAULTS.multiplier)
      .describe(
        "intervals of our silence until the peer takes us for dead; of its silence it is the peer's that counts (RFC 5880 §6.8.4)",
      ),
    mode: mode()
      .default(DEFAULTS.mode)
      .describe(
        "oneHop (RFC 5881, UDP 3784), multihop where routers are between (RFC 5883, UDP 4784), or vxlan (RFC 8971, in underlay.managementVni); same at both ends",
      ),
  })
  .describe("BFD with the peer of every tunnel, also of those that evpn finds; absent: where a tunnel says so");

export const tunnelBfd = z
  .union([
    z.boolean(),
    z.strictObject({
      intervalMs: intervalMs().optional().describe("as in bfd"),
      multiplier: multiplier().optional().describe("as in bfd"),
      mode: mode().optional().describe("as in bfd"),
    }),
  ])
  .describe("BFD with this peer: true, false, or what differs from bfd (or from its defaults)");

type FileBfd = z.output<typeof bfd>;

/** What a tunnel gets: its own words before those for all. */
export function bfdOf(own: z.output<typeof tunnelBfd> | undefined, all: FileBfd | undefined): FileBfd | null {
  if (own === false || (own === undefined && all === undefined)) return null;
  const { intervalMs: interval, multiplier: times, mode: way } = typeof own === "object" ? own : {};
  const rest = { ...DEFAULTS, ...all };
  return { intervalMs: interval ?? rest.intervalMs, multiplier: times ?? rest.multiplier, mode: way ?? rest.mode };
}
