/** The servers of each relay: what was asked of them, and what they answered. */
import type { InterfaceObject } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";

/** A server, as one VSI-interface knows it. */
export interface ServerView {
  readonly interface: string;
  readonly server: string;
  readonly requests: number;
  readonly replies: number;
  /** Since it last answered; null: it never did. */
  readonly answeredSeconds: number | null;
  /** Since the first request that it has not answered; null: it owes none. */
  readonly silentSeconds: number | null;
}

interface Server {
  requests: number;
  replies: number;
  answeredMs: number | null;
  owesSinceMs: number | null;
}

export class DhcpServers {
  private readonly of = new Map<InterfaceObject, Map<Ip, Server>>();

  asked(iface: InterfaceObject, server: Ip, isOwed: boolean, nowMs: number): void {
    const known = this.server(iface, server);
    known.requests++;
    if (isOwed) known.owesSinceMs ??= nowMs;
  }

  answered(iface: InterfaceObject, server: Ip, nowMs: number): void {
    const known = this.server(iface, server);
    known.replies++;
    known.answeredMs = nowMs;
    known.owesSinceMs = null;
  }

  forget(iface: InterfaceObject): void {
    this.of.delete(iface);
  }

  /** Those of the configuration in force, in its order. */
  list(interfaces: Iterable<InterfaceObject>, nowMs: number): ServerView[] {
    const seconds = (ms: number | null) => (ms === null ? null : Math.floor((nowMs - ms) / 1000));
    return [...interfaces].flatMap((iface) =>
      serversOf(iface).map(({ ip }) => {
        const known = this.of.get(iface)?.get(ip);
        return {
          interface: iface.name,
          server: formatIp(ip),
          requests: known?.requests ?? 0,
          replies: known?.replies ?? 0,
          answeredSeconds: seconds(known?.answeredMs ?? null),
          silentSeconds: seconds(known?.owesSinceMs ?? null),
        };
      }),
    );
  }

  private server(iface: InterfaceObject, ip: Ip): Server {
    const servers = this.of.get(iface) ?? new Map<Ip, Server>();
    this.of.set(iface, servers);
    const server = servers.get(ip) ?? { requests: 0, replies: 0, answeredMs: null, owesSinceMs: null };
    servers.set(ip, server);
    return server;
  }
}

/** Of both families. */
function serversOf({ config: { dhcpRelay, dhcpRelay6 } }: InterfaceObject): readonly { readonly ip: Ip }[] {
  return [...(dhcpRelay?.servers ?? []), ...(dhcpRelay6?.servers ?? [])];
}
