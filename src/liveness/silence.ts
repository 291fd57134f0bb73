/**
 * How long a tunnel's peer has been silent while we sent to it: what the counters tell where no keepalive asks.
 *
 * A peer's machine may answer every echo while its gateway is dead: then packets go out and none comes back. Counters are
 * compared once a second; nothing is concluded here, for a peer with nothing to say is silent too.
 */
import type { TunnelPort } from "../control/inventory.ts";

/** Packets of a tunnel, ever. */
export interface TunnelTraffic {
  readonly received: number;
  readonly sent: number;
}

export interface Silence {
  /** Since a packet was received, or since the tunnel is there if none ever was; whole seconds. */
  readonly silentSeconds: number;
  /** Packets sent in that time. */
  readonly sentSince: number;
}

interface Heard {
  received: number;
  sentThen: number;
  atMs: number;
}

export class Silences {
  private readonly traffic: (port: TunnelPort) => TunnelTraffic;
  private readonly heard = new Map<TunnelPort, Heard>();

  constructor(traffic: (port: TunnelPort) => TunnelTraffic) {
    this.traffic = traffic;
  }

  /** Compare with the last look; tunnels that are gone are forgotten. */
  look(ports: Iterable<TunnelPort>, nowMs: number): void {
    const present = new Set<TunnelPort>();
    for (const port of ports) {
      present.add(port);
      const { received, sent } = this.traffic(port);
      const heard = this.heard.get(port);
      if (heard === undefined || received !== heard.received)
        this.heard.set(port, { received, sentThen: sent, atMs: nowMs });
    }
    for (const port of this.heard.keys()) if (!present.has(port)) this.heard.delete(port);
  }

  of(port: TunnelPort, nowMs: number): Silence {
    const heard = this.heard.get(port);
    const { received, sent } = this.traffic(port);
    if (heard === undefined || received !== heard.received) return { silentSeconds: 0, sentSince: 0 };
    return { silentSeconds: Math.floor((nowMs - heard.atMs) / 1000), sentSince: sent - heard.sentThen };
  }
}
