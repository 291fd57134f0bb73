/** A frame as a walk sees it, whichever family its packet is of: fields.ts and fields6.ts make it from bytes. */
/** What a walk needs to know of a frame. */
export interface Packet {
  readonly destination: string;
  readonly source: string;
  /** ARP, or a neighbour's solicitation or advertisement (fields6.ts). */
  readonly resolution: {
    readonly isRequest: boolean;
    readonly senderMac: string;
    readonly senderIp: string;
    readonly targetIp: string;
  } | null;
  readonly ip: { readonly source: string; readonly destination: string; readonly ttl: number } | null;
  readonly icmp: { readonly type: number; readonly code: number; readonly what: string; readonly echo: string } | null;
}
