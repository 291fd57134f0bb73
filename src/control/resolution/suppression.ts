/**
 * Suppression: (VSI, IP) -> the host's own MAC, learned by listening (D14, mode `suppress`).
 *
 * A request that we can answer for its owner is not flooded to every site. Nothing is routed by this table and no host is
 * probed. An entry is used while its MAC sends, ARP or anything else, at the place we know; after 30 s of silence the
 * question is flooded instead, so a host that was made again with another MAC answers for itself. Not heard for five minutes
 * it is forgotten.
 *
 * Where routes say what is behind tunnels (EVPN), what is heard from one does not take a host away from its AC.
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { Behind } from "../behind.ts";
import { bump } from "../bump.ts";
import { Feed } from "../feed.ts";
import type { PortObject, VsiObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import { LargeMap } from "../large-map.ts";
import { mapKey } from "../map-key.ts";
import type { NeighborOrigin } from "../neighbor/entry.ts";
import type { MacTimes } from "../neighbor/watch.ts";
import type { Timers } from "../timers.ts";

export const SUPPRESSION_MS = 300_000;
/** Silent for so long, a host is not answered for. */
export const SUPPRESSION_QUIET_MS = 30_000;
export const SUPPRESSION_PER_VSI = 4096;
export const SUPPRESSION_PER_AC = 256;
const SWEEP_MS = 10_000;

interface Host {
  mac: Mac;
  port: PortObject;
  /** It said so (RFC 4861 §4.4). */
  isRouter: boolean;
  heardMs: number;
  origin: NeighborOrigin;
}

/** What became of an address that is heard of. */
export interface SuppressionChange {
  readonly vsi: VsiObject;
  readonly ip: Ip;
  readonly was: HostPlace | null;
  readonly is: HostPlace | null;
}

interface HostPlace {
  readonly mac: Mac;
  readonly port: PortObject;
  readonly isRouter: boolean;
}

/** A host that is answered for, for people. */
export interface SuppressedHost extends Readonly<Host> {
  readonly vsi: VsiObject;
  readonly ip: Ip;
  readonly isUsed: boolean;
}

export class SuppressionTable {
  readonly changes = new Feed<SuppressionChange>();
  private readonly timers: Timers;
  private readonly macs: MacTimes;
  private readonly hosts = new Map<VsiObject, Map<Ip, Host>>();
  private readonly ofPort = new Map<PortObject, number>();
  /** What is said from outside (EVPN), by mapKey: it does not age, and is used where no host at an AC is known with the address. */
  private readonly said = new Map<VsiObject, LargeMap<Ip, HostPlace>>();

  constructor(timers: Timers, macs: MacTimes) {
    this.timers = timers;
    this.macs = macs;
    timers.every(SWEEP_MS, () => this.keep((host) => timers.nowMs - host.heardMs < SUPPRESSION_MS));
  }

  /**
   * `ip` was heard; `isRouter` undefined: it did not say. Over a limit nothing is learned, what was known is void, and requests
   * for it are flooded.
   */
  heard(
    vsi: VsiObject,
    ip: Ip,
    { mac, port, isRouter }: { mac: Mac; port: PortObject; isRouter: boolean | undefined },
    origin: NeighborOrigin,
  ): void {
    let hosts = this.hosts.get(vsi);
    if (hosts === undefined) {
      hosts = new Map();
      this.hosts.set(vsi, hosts);
    }
    const host = hosts.get(ip);
    const isByRoutes = port.kind === "tunnel" && vsi.config.evpn?.learning === "evpn";
    if (isByRoutes && host?.port.kind === "ac") return;
    const isFull = host?.port !== port && port.kind === "ac" && (this.ofPort.get(port) ?? 0) >= SUPPRESSION_PER_AC;
    if (host !== undefined) {
      this.tally(host.port, -1);
      hosts.delete(ip);
    }
    const said = isRouter ?? (host?.mac === mac && host.isRouter);
    const fresh: Host = { mac, port, isRouter: said, heardMs: this.timers.nowMs, origin };
    const is = isFull || hosts.size >= SUPPRESSION_PER_VSI ? null : fresh;
    if (is !== null) {
      hosts.set(ip, is);
      this.tally(port, 1);
    }
    if (host?.mac !== is?.mac || host?.port !== is?.port) this.tell(vsi, ip, host ?? null, is);
  }

  /** The owner of `ip`, if it is certainly alive. */
  find(vsi: VsiObject, ip: Ip): HostPlace | undefined {
    const host = this.hosts.get(vsi)?.get(ip);
    const heard = host !== undefined && this.isLive(vsi, host) ? host : undefined;
    if (heard?.port.kind === "ac") return heard;
    const said = this.said.get(vsi)?.get(mapKey(ip));
    return said?.port.up ? said : heard;
  }

  /** It is said from outside that `ip` is the host at `place`, behind a tunnel; kept as it is. */
  want(vsi: VsiObject, ip: Ip, place: HostPlace): void {
    const said = this.said.get(vsi) ?? new LargeMap<Ip, HostPlace>();
    this.said.set(vsi, said);
    said.set(mapKey(ip), place);
  }

  /** It is not said any more. */
  unwant(vsi: VsiObject, ip: Ip): void {
    const said = this.said.get(vsi);
    if (said?.delete(mapKey(ip)) && said.size === 0) this.said.delete(vsi);
  }

  /** What was heard of `ip` at an AC is forgotten: others have it. */
  forgetHere(vsi: VsiObject, ip: Ip): void {
    const hosts = this.hosts.get(vsi);
    const host = hosts?.get(ip);
    if (host?.port.kind === "ac") this.forget(vsi, hosts!, ip, host);
  }

  /** What is known of `ip`, in every VSI that knows it; `isUsed`: is it answered for? */
  *of(ip: Ip): Generator<SuppressedHost> {
    for (const [vsi, hosts] of this.hosts) {
      const host = hosts.get(ip);
      if (host !== undefined) yield { ...host, vsi, ip, isUsed: this.isLive(vsi, host) };
    }
  }

  /** Those of one VSI, or of all. */
  *list(only: VsiObject | null = null): Generator<SuppressedHost> {
    for (const [vsi, hosts] of this.hosts) {
      if (only !== null && vsi !== only) continue;
      for (const [ip, host] of hosts) yield { ...host, vsi, ip, isUsed: this.isLive(vsi, host) };
    }
  }

  /** Hosts by VSI name. */
  counts(): Map<string, number> {
    return new Map([...this.hosts].map(([vsi, hosts]) => [vsi.name, hosts.size]));
  }

  /** Forget hosts: of the VSIs meant, one address of them or (null) all. @returns how many. */
  flush(isMeant: (vsi: VsiObject) => boolean, only: Ip | null): number {
    let flushed = 0;
    for (const [vsi, hosts] of this.hosts) {
      if (!isMeant(vsi)) continue;
      for (const [ip, host] of hosts) {
        if (only !== null && ip !== only) continue;
        this.forget(vsi, hosts, ip, host);
        flushed++;
      }
    }
    return flushed;
  }

  forgetBehind({ ports, has }: Behind): void {
    if (ports.some((port) => this.ofPort.has(port))) this.keep(({ port }, vsi) => !has(port, vsi));
  }

  flushVsi(vsi: VsiObject): void {
    this.said.delete(vsi);
    const hosts = this.hosts.get(vsi);
    if (hosts !== undefined) for (const [ip, host] of hosts) this.forget(vsi, hosts, ip, host);
    this.hosts.delete(vsi);
  }

  private isLive(vsi: VsiObject, { mac, port, heardMs }: Host): boolean {
    const sinceMs = this.timers.nowMs - SUPPRESSION_QUIET_MS;
    return heardMs > sinceMs || (this.macs.heardAt(vsi, mac, port) ?? Number.NEGATIVE_INFINITY) > sinceMs;
  }

  private keep(isKept: (host: Host, vsi: VsiObject) => boolean): void {
    for (const [vsi, hosts] of this.hosts) {
      for (const [ip, host] of hosts) {
        if (!isKept(host, vsi)) this.forget(vsi, hosts, ip, host);
      }
    }
  }

  private forget(vsi: VsiObject, hosts: Map<Ip, Host>, ip: Ip, host: Host): void {
    hosts.delete(ip);
    this.tally(host.port, -1);
    this.tell(vsi, ip, host, null);
  }

  private tell(vsi: VsiObject, ip: Ip, was: HostPlace | null, is: HostPlace | null): void {
    if (this.changes.isFollowed) this.changes.tell({ vsi, ip, was, is });
  }

  private tally(port: PortObject, step: 1 | -1): void {
    bump(this.ofPort, port, step);
  }
}
