/**
 * What the prober asks by: a socket that sends whole ICMP echo requests and tells what comes back about them.
 *
 * There are two. The raw one (raw-echo.ts) needs CAP_NET_RAW and hears more; the kernel's ICMP datagram socket
 * (datagram-echo.ts) needs no right but a group that net.ipv4.ping_group_range names, as in containers.
 */
import type { EchoNews } from "../wire/echo.ts";

/** Why there is no socket, and what would help. */
export class EchoUnavailable extends Error {
  readonly fix: string;
  constructor(message: string, fix: string) {
    super(message);
    this.name = "EchoUnavailable";
    this.fix = fix;
  }
}

/** How a send ended: null, or what was wrong. */
export type SendEnd = null | "tooBig" | "failed";

export interface EchoSocket {
  readonly kind: "raw" | "datagram";
  /** In every echo of this socket, 0..65535. */
  readonly identifier: number;
  /** Send a whole IP packet with an echo request of `identifier`; `done` is called once, later. */
  send(packet: Uint8Array, target: string, done: (end: SendEnd) => void): void;
  close(): void;
}

export interface EchoSocketRequest {
  readonly family: 4 | 6;
  /** The VTEP's own address. */
  readonly source: string;
  /** Something came from `source`: anybody's word. */
  onNews(news: EchoNews, source: string): void;
  /** The socket has closed itself. */
  onFailure(message: string): void;
}
