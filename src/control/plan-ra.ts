/** The plan of router advertisements; plan.ts has the rest. */

/** What hosts behind its ACs are told (RFC 4861 §6.2.1, RFC 8106, RFC 4191). */
export interface RouterAdvertisementConfig {
  /** L of its prefixes: hosts ask for each other; false: they send everything to the gateway. */
  readonly onLink: boolean;
  /** A of those of length 64. */
  readonly slaac: boolean;
  readonly managed: boolean;
  readonly other: boolean;
  /** 0: no default router. */
  readonly lifetimeSeconds: number;
  readonly intervalSeconds: number;
  readonly dns: readonly { readonly text: string; readonly ip: bigint }[];
  readonly search: readonly string[];
  readonly preference: "high" | "medium" | "low";
}

/** What hosts hear of a router is in one packet of the least MTU. */
export const RA_MOST_BYTES = 1280;
const PREFIX_BYTES = 32;
const RA_FIXED_BYTES = 40 + 16 + 8 + 8 + 8 + 24;

/** Bytes of an advertisement of so many prefixes. */
export function bytesOfRa(
  { dns, search }: Pick<RouterAdvertisementConfig, "dns" | "search">,
  prefixes: number,
): number {
  return (
    RA_FIXED_BYTES + PREFIX_BYTES * prefixes + 16 * dns.length + search.reduce((sum, name) => sum + name.length + 2, 0)
  );
}

/** How many more prefixes one of so many has room for. */
export function roomForPrefixes(said: Pick<RouterAdvertisementConfig, "dns" | "search">, prefixes: number): number {
  return Math.max(0, Math.floor((RA_MOST_BYTES - bytesOfRa(said, prefixes)) / PREFIX_BYTES));
}
