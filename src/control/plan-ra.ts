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
