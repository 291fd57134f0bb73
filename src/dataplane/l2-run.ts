/** What the first frame of a run found out, for the frames behind it with the same layer-2 bytes: like-last.ts reads and writes it. */

/** Nothing is remembered. */
export const NO_SOURCE = -1;

export class LikeLast {
  /** Io port it came by, or NO_SOURCE: 0 will not do, that is a sender we do not know. */
  source = NO_SOURCE;
  fromTunnel = 0;
  /** The VXLAN header's second word. */
  vni = 0;
  /** The two MACs as three words, and the type. */
  a = 0;
  b = 0;
  c = 0;
  type = 0;
  /** IPv6's next header, which must be the same; -1: it does not matter. */
  next = -1;
  port = 0;
  vsi = 0;
  /** What the MAC table says of the destination. */
  value = 0;
}
