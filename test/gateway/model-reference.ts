/**
 * The reference model: what an ideal gateway network would do, with maps and no timers.
 *
 * It knows who is where, which gateways run and which paths are cut, and from that alone predicts who must reach whom, how
 * soon, and who may own an address. It knows nothing of ARP, MACs or tables. Three answers are possible:
 *
 *   never    another VRF, or no host has the address: no packet may arrive
 *   soon     everything is up and everybody knew of the last change: within three seconds of traffic
 *   late     the last change was silent or happened behind a cut: within the life of an ARP entry
 *   maybe    a path is cut or a gateway is down: nothing is promised but isolation
 */

export type Host = {
  readonly name: string;
  /** 0: behind the Border, in no VXLAN. */
  readonly vni: number;
  readonly vrf: string;
  readonly ip: string;
  readonly mac: string;
};

export type Verdict = "never" | "soon" | "late" | "maybe";

/** A silent move is noticed when the entry is no longer fresh (half its age), probed three times and searched anew. */
export const LATE_MS = 24_000;
/** Duplicate detection believes five moves in this time (behaviour.md §3.11). */
const MOVE_WINDOW_MS = 180_000;
const MOVES_PROMISED = 3;
/** A gateway that holds a host asks for it before it believes that it moved (behaviour.md §3.11). */
const MOVE_MS = 1500;

export class Reference {
  nowMs = 0;
  readonly hosts: ReadonlyMap<string, Host>;
  /** Site of each AC. */
  private readonly sites: ReadonlyMap<string, string>;
  private readonly places = new Map<string, string>();
  private readonly rumours = new Map<string, number>();
  private readonly changes = new Map<string, number[]>();
  private readonly down = new Set<string>();
  private readonly cuts = new Set<string>();
  /** Tunnels that liveness probes have taken out of service, by both ends. */
  private readonly out = new Set<string>();
  /** ACs that the configuration of their site leaves out. */
  private readonly missing = new Set<string>();

  constructor(hosts: readonly Host[], sites: ReadonlyMap<string, string>) {
    this.hosts = new Map(hosts.map((host) => [host.name, host]));
    this.sites = sites;
  }

  placeOf(host: string): string | null {
    return this.places.get(host) ?? null;
  }

  occupant(ac: string): string | null {
    for (const [host, place] of this.places) if (place === ac) return host;
    return null;
  }

  siteOf(host: string): string | null {
    const place = this.places.get(host);
    return place === undefined ? null : this.sites.get(place)!;
  }

  isDown(gateway: string): boolean {
    return this.down.has(gateway);
  }

  isMissing(ac: string): boolean {
    return this.missing.has(ac);
  }

  /** May it still move without being taken for a restless host? */
  mayMove(host: string): boolean {
    const times = (this.changes.get(host) ?? []).filter((time) => this.nowMs - time < MOVE_WINDOW_MS);
    return times.length < MOVES_PROMISED;
  }

  /** `host` is at `ac` from now on, or nowhere (null). Everybody hears of it at once if it `announces` and nothing is cut. */
  put(host: string, ac: string | null, announces: boolean): void {
    const isMove = this.changes.has(host) && ac !== null;
    if (ac === null) this.places.delete(host);
    else {
      this.places.set(host, ac);
      this.changes.set(host, [...(this.changes.get(host) ?? []), this.nowMs]);
    }
    if (isMove && !(announces && this.isCalm()))
      this.rumours.set(host, this.isCalm() ? this.nowMs + LATE_MS : Infinity);
  }

  crash(gateway: string): void {
    this.down.add(gateway);
    this.unsettle(gateway);
  }

  restart(gateway: string): void {
    this.down.delete(gateway);
    for (const ac of [...this.missing]) if (this.sites.get(ac) === gateway) this.missing.delete(ac);
    this.calm();
  }

  cut(from: string, to: string): void {
    this.cuts.add(`${from}>${to}`);
    this.unsettle(from);
    this.unsettle(to);
  }

  heal(): void {
    this.cuts.clear();
    this.calm();
  }

  setMissing(ac: string, isMissing: boolean): void {
    if (isMissing) this.missing.add(ac);
    else this.missing.delete(ac);
  }

  isCalm(): boolean {
    return this.down.size === 0 && this.cuts.size === 0;
  }

  /** Do both ends of a tunnel run, with nothing cut between them? */
  isOpen(a: string, b: string): boolean {
    return !this.down.has(a) && !this.down.has(b) && !this.cuts.has(`${a}>${b}`) && !this.cuts.has(`${b}>${a}`);
  }

  /** The gateway at `a` knows now whether its tunnel to `b` works. @returns whether it does. */
  notice(a: string, b: string): boolean {
    const isOpen = this.isOpen(a, b);
    if (isOpen) this.out.delete(`${a}>${b}`);
    else this.out.add(`${a}>${b}`);
    return isOpen;
  }

  /** Must a packet from `from` reach `to`? */
  verdict(from: string, to: string): Verdict {
    const [a, b] = [this.hosts.get(from)!, this.hosts.get(to)!];
    if (a.vrf !== b.vrf) return "never";
    const [at, bt] = [this.siteOf(from), this.siteOf(to)];
    if (at === null || bt === null) return "never";
    if (this.missing.has(this.places.get(from)!) || this.missing.has(this.places.get(to)!)) return "never";
    if (this.down.has(at)) return "never";
    if (!this.isOpen(at, bt)) return "maybe";
    // A host that is silent about a move may be looked for where it was: there the path may be cut as well.
    if (!this.mayTrust(from) || !this.mayTrust(to)) return "maybe";
    const until = Math.max(this.rumours.get(from) ?? 0, this.rumours.get(to) ?? 0);
    if (until === Infinity) return "maybe";
    return until > this.nowMs ? "late" : "soon";
  }

  /** ACs that must get exactly one copy of a broadcast that `host` sends. */
  floodTargets(host: string): string[] {
    const { vni } = this.hosts.get(host)!;
    const from = this.siteOf(host)!;
    const own = this.places.get(host)!;
    if (this.down.has(from) || this.missing.has(own)) return [];
    const targets: string[] = [];
    for (const [ac, site] of this.sites) {
      if (ac === own || this.missing.has(ac) || vniOf(ac) !== vni) continue;
      const path = `${from}>${site}`;
      if (site !== from && (this.down.has(site) || this.cuts.has(path) || this.out.has(path))) continue;
      targets.push(ac);
    }
    return targets;
  }

  /** Who moved to `site` just now, and announced it: the news that are being looked into go with the tunnel that brought them. */
  private unsettle(site: string): void {
    for (const [host, times] of this.changes)
      if (this.siteOf(host) === site && this.nowMs - times.at(-1)! < MOVE_MS && times.length > 1)
        this.rumours.set(host, Number.POSITIVE_INFINITY);
  }

  /** More moves than are believed: nothing is promised until the oldest is forgotten. */
  private mayTrust(host: string): boolean {
    const times = (this.changes.get(host) ?? []).filter((time) => this.nowMs - time < MOVE_WINDOW_MS);
    return times.length <= MOVES_PROMISED + 1;
  }

  /** The last cut is mended: what happened meanwhile gets around. */
  private calm(): void {
    if (!this.isCalm()) return;
    for (const [host, until] of this.rumours) if (until === Infinity) this.rumours.set(host, this.nowMs + LATE_MS);
  }
}

/** ACs are named site-vni-letter. */
export function vniOf(ac: string): number {
  return Number(ac.split("-")[1]);
}
