/** The plan's part of BFD. As plan.ts says, plain data. */

/** Over one hop (RFC 5881), over any number of them (RFC 5883), or inside VXLAN (RFC 8971). */
export type BfdMode = "oneHop" | "multihop" | "vxlan";

/** How a tunnel's peer is watched by BFD. */
export interface BfdConfig {
  readonly intervalMs: number;
  readonly multiplier: number;
  readonly mode: BfdMode;
}
