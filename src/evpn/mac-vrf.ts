/**
 * One VSI's hosts between here and the fabric: what others announce, what is heard at our ACs, and which of the two holds.
 *
 * Of what others announce the best (choice.ts) is handed to the tables, always: there a host at an AC outranks it, and when that
 * one leaves or falls silent the other is in use without a gap. What is at our ACs is announced, each MAC alone and with each of
 * its addresses (RFC 7432 §10), with a sequence:
 *
 *   heard here while others announce it   it moved here: one more than theirs (RFC 7432 §15)
 *   announced by others, higher, or       it moved away: believed at once. Our routes go (no engine takes them back for us), what
 *   equal and from a lower VTEP           was heard is forgotten, the AC is asked once; an answer is a move back
 *   announced by others, lower            they have not heard of ours yet: nothing
 *   one of the two is sticky              that one stays, whatever the other says; told
 *
 * Sequences are remembered for a while after the last route has gone: some speakers ignore a lower one than they knew.
 */
import type { Ip } from "../control/ip.ts";
import type { Mac } from "../wire/ethernet.ts";
import type { Beliefs, LocalHost } from "./beliefs.ts";
import { beats, bestOf, type Claim, claimOf } from "./choice.ts";
import { type DuplicateRules, Duplicates } from "./duplicates.ts";
import type { Exporter } from "./export.ts";
import { FormerSequences } from "./former-sequences.ts";
import {
  type Address,
  added,
  addressesOf,
  type Counts,
  type Host,
  HostTable,
  isSticky,
  type Local,
  NO_IPS,
  NO_KEYS,
  ROUTES_PER_HOST,
  withIp,
  without,
  withoutIp,
} from "./host-table.ts";
import type { Instance } from "./import.ts";
import { macRouteOf } from "./own-routes.ts";
import { addressOf, HIGHEST_SEQUENCE, keyOf, type MacRoute, sequenceAfter, sequenceOf } from "./route.ts";
import { Wishes } from "./wishes.ts";

export type HostEvent = "moved-in" | "moved-out" | "duplicate" | "duplicate-over" | "sticky-conflict" | "full";

export interface MacVrfParts {
  readonly instance: Instance;
  readonly vtep: string;
  readonly beliefs: Beliefs;
  readonly exporter: Exporter;
  readonly rules: DuplicateRules;
  readonly nowMs: () => number;
  readonly tell: (event: HostEvent, vsi: string, mac: Mac, claim: Claim | null) => void;
}

export class MacVrf {
  readonly instance: Instance;
  readonly duplicates: Duplicates;
  readonly moves = { in: 0, out: 0 };
  private readonly parts: MacVrfParts;
  private readonly table = new HostTable();
  private readonly former = new FormerSequences();
  private readonly wishes: Wishes;

  constructor(parts: MacVrfParts) {
    this.parts = parts;
    this.instance = parts.instance;
    this.duplicates = new Duplicates(parts.rules);
    const { instance, beliefs, tell } = parts;
    const { vsi } = instance;
    this.wishes = new Wishes({ vsi, table: this.table, beliefs, full: (mac) => tell("full", vsi, mac, null) });
  }

  // ---- what others announce ------------------------------------------------------------------------------------------

  /**
   * A route that this VSI imports. It is known by identity: one that takes the place of another is added before that one is
   * removed. @returns false: its MAC, or its address, has too many routes already.
   */
  addRoute(route: MacRoute): boolean {
    const ip = addressOf(route);
    const known = ip === null ? 0 : (this.table.find(ip)?.routes.length ?? 0);
    if (known >= ROUTES_PER_HOST || (this.table.hosts.get(route.mac)?.routes.length ?? 0) >= ROUTES_PER_HOST)
      return false;
    const host = this.table.host(route.mac);
    host.routes = added(host.routes, route);
    if (ip !== null) {
      const address = this.table.address(ip);
      address.routes = added(address.routes, route);
    }
    this.settle(host);
    if (ip !== null) this.settleAddress(ip);
    return true;
  }

  removeRoute(route: MacRoute): void {
    const host = this.table.hosts.get(route.mac);
    const ip = addressOf(route);
    const address = ip === null ? undefined : this.table.find(ip);
    if (host === undefined) return;
    const left = without(host.routes, route);
    if (left === host.routes) return;
    host.routes = left;
    if (address !== undefined) address.routes = without(address.routes, route);
    if (left.length === 0) this.former.note(route.mac, sequenceOf(route), this.parts.nowMs());
    this.settle(host);
    if (ip !== null) this.settleAddress(ip);
  }

  /** Is it said to be a host's, or at an AC here? */
  isHost(mac: Mac): boolean {
    const host = this.table.hosts.get(mac);
    return host !== undefined && (host.local !== null || host.routes.length > 0);
  }

  /** The best claim of others to a MAC. */
  claimTo(mac: Mac): MacRoute | null {
    return bestOf(this.table.hosts.get(mac)?.routes ?? []);
  }

  /** The best route of others to an address. */
  routeTo(ip: Ip): MacRoute | null {
    return bestOf(this.table.find(ip)?.routes ?? []);
  }

  // ---- what is heard here ----------------------------------------------------------------------------------------------

  /** A host speaks at an AC (or its MAC is configured there). */
  macHere(mac: Mac, isConfigured: boolean): void {
    const host = this.table.host(mac);
    if (host.local === null) {
      this.arrive(host, isConfigured, []);
      return;
    }
    host.local.isSticky = isConfigured;
    this.settle(host);
  }

  /** It is at no AC any more: all its routes go. Its addresses wait for it there until they are said to be gone. */
  macGone(mac: Mac): void {
    const host = this.table.hosts.get(mac);
    if (host?.local == null) return;
    this.former.note(mac, host.local.sequence, this.parts.nowMs());
    this.table.setLocal(host, null);
    this.settle(host, true);
  }

  /** An address at an AC (or configured there), with its host's own MAC. */
  ipHere(ip: Ip, mac: Mac, isConfigured: boolean): void {
    const address = this.table.address(ip);
    if (address.local !== null && address.local !== mac) this.dropLocalIp(address);
    const host = this.table.host(mac);
    host.stickyIps = isConfigured ? withIp(host.stickyIps, ip) : withoutIp(host.stickyIps, ip);
    if (host.local === null) this.arrive(host, false, [ip]);
    if (host.local !== null) {
      // The same address with another MAC: the host was replaced, and its sequence goes on.
      const claim = bestOf(address.routes);
      if (claim !== null && claim.mac !== mac && !isSticky(host))
        host.local.sequence = Math.max(host.local.sequence, sequenceAfter(claim));
      this.table.setHere(address, mac);
      host.ips = withIp(host.ips, ip);
      this.settle(host);
    }
    this.settleAddress(ip);
  }

  addressesHere(mac: Mac): Iterable<Ip> {
    return this.table.hosts.get(mac)?.ips ?? NO_IPS;
  }

  ipGone(ip: Ip): void {
    const address = this.table.find(ip);
    if (address === undefined || address.local === null) return;
    this.dropLocalIp(address);
    this.settleAddress(ip);
  }

  /** Changes were lost: what is not among `locals` is at no AC any more. */
  keepOnly(locals: readonly LocalHost[]): void {
    const { macs, ips } = this.table.notAmong(locals);
    for (const ip of ips) this.ipGone(ip);
    for (const mac of macs) this.macGone(mac);
  }

  /** The engine knows a higher sequence than we have seen. @returns false: ours is the highest known, there is nothing to mend. */
  bump(mac: Mac): boolean {
    const host = this.table.hosts.get(mac);
    if (host?.local == null) return false;
    const claim = bestOf(host.routes);
    const known = Math.max(host.local.sequence, claim === null ? 0 : sequenceOf(claim));
    host.local.sequence = Math.min(known + 1, HIGHEST_SEQUENCE);
    this.export(host);
    return true;
  }

  // ---- duplicates, time ------------------------------------------------------------------------------------------------

  /** Once a second. */
  tick(): void {
    const nowMs = this.parts.nowMs();
    for (const mac of this.duplicates.expire(nowMs)) this.recover(mac);
    this.former.expire(nowMs);
    this.wishes.tryAgain(
      (host) => this.settle(host),
      (ip) => this.settleAddress(ip),
    );
  }

  /** By hand. @returns false: it is no duplicate. */
  clearDuplicate(mac: Mac): boolean {
    if (!this.duplicates.clear(mac)) return false;
    this.recover(mac);
    return true;
  }

  /** Our routes go; the VSI is about to. */
  silence(): void {
    for (const host of this.table.hosts.values()) {
      this.table.setLocal(host, null);
      this.export(host);
    }
  }

  /** All of it goes: our routes, and what the tables were told. */
  close(): void {
    this.wishes.takeBack();
    this.silence();
    this.table.clear();
  }

  counts(): { readonly macs: Counts; readonly ips: Counts } {
    return this.table.counts();
  }

  /** What is held of a MAC and whether the route is the one in use, for people. */
  useOf(route: MacRoute): "used" | "shadowed" | "local" {
    const ip = addressOf(route);
    if (this.table.hosts.get(route.mac)?.local != null) return "local";
    return (ip === null ? this.claimTo(route.mac) : this.routeTo(ip))?.nextHop === route.nextHop ? "used" : "shadowed";
  }

  // ---- inside ----------------------------------------------------------------------------------------------------------

  /** A host is at an AC and was not; one that is sticky elsewhere stays there, with `ips` that were heard with its MAC. */
  private arrive(host: Host, isConfigured: boolean, ips: readonly Ip[]): void {
    const { mac, routes } = host;
    const claim = bestOf(routes);
    const stays = isConfigured || isSticky(host);
    if (claim?.isSticky && !stays) {
      if (claim.nextHop !== host.conflict) this.conflict(host, claimOf(claim));
      this.parts.beliefs.yieldHost(this.instance.vsi, mac, ips, false);
      return;
    }
    const sequence = claim === null ? this.former.of(mac) : sequenceAfter(claim);
    this.table.setLocal(host, { isSticky: isConfigured, sequence: stays ? 0 : sequence });
    if (claim !== null && !stays) this.count(host, "in", claimOf(claim));
    this.settle(host, true);
  }

  /**
   * Decide about one MAC: who holds it, what the tables are told, what is announced. Its addresses follow where that is news, or
   * (`isNews`) something else about it is.
   */
  private settle(host: Host, isNews = false): void {
    const { used, local } = host;
    const route = bestOf(host.routes);
    const claim = route === null ? null : claimOf(route);
    if (claim !== null && local !== null) this.contest(host, local, claim);
    if (claim === null || !claim.isSticky) host.conflict = null;
    this.wishes.tellMac(host, claim?.vtep ?? null);
    this.export(host);
    if (isNews || host.used !== used || host.local !== local)
      for (const each of addressesOf(host)) this.settleAddress(each);
    this.table.forgetIfUnknown(host);
  }

  /** Others claim a host of ours. */
  private contest(host: Host, local: Local, claim: Claim): void {
    if (isSticky(host) || this.duplicates.isFrozen(host.mac)) {
      if (isSticky(host) && claim.vtep !== host.conflict) this.conflict(host, claim);
      return;
    }
    const ours: Claim = { sequence: local.sequence, isSticky: false, vtep: this.parts.vtep };
    if (!beats(claim, ours)) return;
    if (claim.isSticky) this.conflict(host, claim);
    const ips = [...host.ips];
    this.leave(host, local);
    if (!claim.isSticky) this.count(host, "out", claim);
    this.parts.beliefs.yieldHost(this.instance.vsi, host.mac, ips, !claim.isSticky);
  }

  /** Others have it, with all its addresses. */
  private leave(host: Host, { sequence }: Local): void {
    const { ips } = host;
    this.former.note(host.mac, sequence, this.parts.nowMs());
    this.table.setLocal(host, null);
    host.ips = NO_IPS;
    for (const ip of ips) {
      const address = this.table.find(ip);
      if (address !== undefined) this.table.setHere(address, null);
    }
    this.export(host);
    for (const ip of ips) this.settleAddress(ip);
  }

  private dropLocalIp(address: Address): void {
    const host = this.table.hosts.get(address.local!);
    this.table.setHere(address, null);
    if (host === undefined) return;
    host.ips = withoutIp(host.ips, address.ip);
    host.stickyIps = withoutIp(host.stickyIps, address.ip);
    this.settle(host);
  }

  /** Decide about one address: its MAC is the best route's, its place is where that MAC is. */
  private settleAddress(ip: Ip): void {
    const address = this.table.find(ip);
    if (address === undefined) return;
    const route = bestOf(address.routes);
    if (route !== null && address.local !== null && address.local !== route.mac) this.contestAddress(address, route);
    const host = route === null ? undefined : this.table.hosts.get(route.mac);
    // A host that is here with that MAC is found by asking: the route is about to go.
    const vtep = host === undefined || host.local !== null ? null : host.used;
    this.wishes.tellIp(
      address,
      vtep === null ? null : vtep === route!.nextHop ? route : { mac: route!.mac, nextHop: vtep },
    );
    this.table.forgetIfUnused(address);
  }

  /** Others announce an address of ours with another MAC. */
  private contestAddress(address: Address, route: MacRoute): void {
    const host = this.table.hosts.get(address.local!);
    const local = host?.local;
    if (host === undefined || local == null || isSticky(host) || this.duplicates.isFrozen(host.mac)) return;
    if (!beats(claimOf(route), { sequence: local.sequence, isSticky: false, vtep: this.parts.vtep })) return;
    this.dropLocalIp(address);
    this.count(host, "out", claimOf(route));
    this.parts.beliefs.yieldHost(this.instance.vsi, null, [address.ip], true);
  }

  private count(host: Host, direction: "in" | "out", claim: Claim): void {
    const { tell, nowMs } = this.parts;
    this.moves[direction]++;
    tell(direction === "in" ? "moved-in" : "moved-out", this.instance.vsi, host.mac, claim);
    if (this.duplicates.moved(host.mac, nowMs())) tell("duplicate", this.instance.vsi, host.mac, claim);
  }

  private conflict(host: Host, claim: Claim): void {
    host.conflict = claim.vtep;
    this.parts.tell("sticky-conflict", this.instance.vsi, host.mac, claim);
  }

  private recover(mac: Mac): void {
    this.parts.tell("duplicate-over", this.instance.vsi, mac, null);
    const host = this.table.hosts.get(mac);
    if (host === undefined) return;
    // It is where it is heard: that is one more move.
    const claim = bestOf(host.routes);
    if (host.local !== null && claim !== null)
      host.local.sequence = Math.max(host.local.sequence, sequenceAfter(claim));
    this.settle(host, true);
  }

  private export(host: Host): void {
    const { exporter, vtep } = this.parts;
    const { mac, local } = host;
    if (local === null && host.exported.size === 0) return;
    const keys = new Set<string>();
    if (local !== null && !this.duplicates.isFrozen(mac)) {
      for (const ip of [null, ...host.ips]) {
        const route = macRouteOf(this.instance, vtep, { mac, ip, isSticky: isSticky(host), sequence: local.sequence });
        keys.add(keyOf(route));
        exporter.set(route);
      }
    }
    for (const key of host.exported) if (!keys.has(key)) exporter.unset(key);
    host.exported = keys.size === 0 ? NO_KEYS : keys;
  }
}
