/** What the first frame of a run found out, for the frames behind it with the same layer-2 bytes: like-last.ts reads and writes it. */

/** Nothing is remembered. */
export const NOBODY = -1;

export class LikeLast {
  /** Io port it came by, or NOBODY: 0 will not do, that is a sender we do not know. */
  source = NOBODY;
  fromTunnel = 0;
  /** The VXLAN header's second word. */
  vni = 0;
  /** The two MACs as three words, and the type. */
  a = 0;
  b = 0;
  c = 0;
  type = 0;
  port = 0;
  vsi = 0;
  /** What the MAC table says of the destination. */
  value = 0;
}
