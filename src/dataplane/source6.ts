/** The last IPv6 source of this batch that may be routed, and the port it came by: packets come in runs (route6.ts). */
export class KnownSource6 {
  /** 0: none. */
  port = 0;
  a = 0;
  b = 0;
  c = 0;
  d = 0;
}
