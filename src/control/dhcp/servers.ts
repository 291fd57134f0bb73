/** The servers of each relay: what was asked of them, and what they answered. */
import { formatIpv4, type Ipv4 } from "../../wire/ipv4.ts";
import type { InterfaceObject } from "../inventory.ts";

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
  private readonly of = new Map<InterfaceObject, Map<Ipv4, Server>>();

  asked(iface: InterfaceObject, server: Ipv4, nowMs: number): void {
    const known = this.server(iface, server);
    known.requests++;
    known.owesSinceMs ??= nowMs;
  }

  answered(iface: InterfaceObject, server: Ipv4, nowMs: number): void {
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
      (iface.config.dhcpRelay?.servers ?? []).map(({ ip }) => {
        const known = this.of.get(iface)?.get(ip);
        return {
          interface: iface.name,
          server: formatIpv4(ip),
          requests: known?.requests ?? 0,
          replies: known?.replies ?? 0,
          answeredSeconds: seconds(known?.answeredMs ?? null),
          silentSeconds: seconds(known?.owesSinceMs ?? null),
        };
      }),
    );
  }

  private server(iface: InterfaceObject, ip: Ipv4): Server {
    const servers = this.of.get(iface) ?? new Map<Ipv4, Server>();
    this.of.set(iface, servers);
    const server = servers.get(ip) ?? { requests: 0, replies: 0, answeredMs: null, owesSinceMs: null };
    servers.set(ip, server);
    return server;
  }
}
