/**
 * Bindings: which MAC and which address live behind an AC, by the configuration (`acs[].bindings`), by a DHCP lease, or because it claimed
 * the address first (first-come.ts).
 *
 * They are kept of every AC, so that `antiSpoof: strict` may be switched on under a VM that has its lease already; the workers'
 * table has those of the strict ones (binding-rows.ts).
 *
 * A lease is believed because a server that we asked said so, and for as long as it said (RFC 2131 §4.4.5, RFC 8415 §7.7). It binds
 * where the client asked. A MAC or an address that is bound to another AC that is strict stays there: a DHCP client is known to its
 * server by a MAC or an identifier that it chooses itself, and could fetch a neighbour's lease with it. What the configuration binds stays for
 * good; a lease stays while its AC is up, and for a minute more, for a VM that starts again must not find its address taken. After that
 * it goes where the server gives it, and is the old AC's no more. An AC has a limit, and all have one (leases.ts).
 *
 * Leases outlive the process, where it has a folder to keep them in (daemon/lease-file.ts). Those of before have the same minute
 * although their AC is not up yet: its VM comes back after its gateway, and a neighbour must not be quicker.
 */
import type { Tables } from "../../tables/tables.ts";
import { i32 } from "../../wire/bytes.ts";
import { formatMac, type Mac, parseMac } from "../../wire/ethernet.ts";
import { readIpv6 } from "../../wire/ipv6.ts";
import type { Emit } from "../event.ts";
import { type AcPort, type Inventory, isHostAddress, isOwnAddress, type PortObject, subnetOf } from "../inventory.ts";
import { compareIp, formatIp, type Ip, isOfLink } from "../ip.ts";
import { peerAddress } from "../peer-address.ts";
import type { AcConfig } from "../plan.ts";
import type { Timers } from "../timers.ts";
import { BindingRows, type Pair } from "./binding-rows.ts";
import { Holders } from "./holders.ts";
import { type Lease, type LeaseSource, Leases } from "./leases.ts";
import { isSameNetwork, isStrict } from "./strict.ts";

/** RFC 2131 §3.3, RFC 8415 §7.7: a lease that does not end. */
const INFINITE_SECONDS = 0xffffffff;
/** Of ACs that have gone down, and at the start: a VM's TAP is handed over again within seconds. */
export const AWAITED_MS = 60_000;

export type BindingSource = "static" | LeaseSource;

export interface BindingView {
  readonly ac: string;
  readonly vsi: string;
  readonly mac: string;
  readonly ip: string;
  readonly source: BindingSource;
  /** Until the lease ends; null: it does not. */
  readonly expiresSeconds: number | null;
  /** Frames are compared with it: the AC has antiSpoof: strict. */
  readonly enforced: boolean;
}

/** A lease as it is kept; `endsMs` by the clock of `timers`. */
export interface KeptLease extends Pair {
  readonly ac: string;
  readonly vsi: string;
  readonly endsMs: number | null;
}

interface Bound extends Pair {
  readonly source: BindingSource;
  /** null: never. */
  readonly endsMs: number | null;
}

export class Bindings {
  private readonly timers: Timers;
  private readonly inventory: Inventory;
  private readonly emit: Emit;
  readonly rows: BindingRows;
  private readonly leases = new Leases();
  /** What the configuration says, read once for each of its versions. */
  private readonly fixed = new WeakMap<AcConfig, readonly Bound[]>();
  private readonly holders = new Holders();
  /** ACs that had bindings once. */
  private readonly known = new Set<AcPort>();
  /** ACs that are not up and are awaited, and until when. */
  private readonly awaited = new Map<AcPort, number>();
  /** Leases that came and went, and that were renewed, ever. */
  changes = 0;
  renewals = 0;

  /** @param seed a random int32 for the table's hash. */
  constructor(tables: Tables, timers: Timers, inventory: Inventory, emit: Emit, seed: number) {
    this.timers = timers;
    this.inventory = inventory;
    this.emit = emit;
    this.rows = new BindingRows(tables, timers, seed);
  }

  /** The configuration is another one: its bindings are in force, and ACs that went have none. */
  configure(): void {
    for (const port of this.known) {
      if (this.inventory.ports.get(port.row) === port) continue;
      this.known.delete(port);
      this.awaited.delete(port);
      for (const lease of this.leases.ofPort(port)) this.drop(port, lease);
      this.holders.set(port, []);
      this.rows.set(port, []);
    }
    for (const port of this.inventory.acs()) {
      const bound = this.of(port);
      if (bound.length > 0) this.known.add(port);
      this.holders.set(port, this.fixedOf(port.config));
      this.rows.set(port, isStrict(port) ? bound : []);
    }
  }

  /** A server gave `ip` to `mac` behind `port`, for so many seconds, or it came first. @returns false: it is not believed. */
  lease(port: AcPort, mac: Mac, ip: Ip, seconds: number, source: LeaseSource = "dhcp"): boolean {
    const known = this.leases.find(port, { mac, ip });
    const why = this.whyRefused(port, mac, ip, known !== undefined);
    if (why !== null) {
      const fields = { ac: port.name, vsi: port.vsi.name, mac: formatMac(mac), ip: formatIp(ip), reason: why };
      this.emit("warn", "binding.refused", fields);
      return false;
    }
    // What a server says outranks who came first, and not the other way round.
    if (source === "slaac" && known?.source === "dhcp") return true;
    const lease: Lease = known ?? { mac, ip, source, endsMs: null, timer: null };
    lease.source = source;
    if (lease.timer !== null) this.timers.cancel(lease.timer);
    const isEndless = seconds >= INFINITE_SECONDS;
    lease.endsMs = isEndless ? null : this.timers.nowMs + seconds * 1000;
    lease.timer = isEndless ? null : this.timers.after(seconds * 1000, () => this.end(port, lease, "expired"));
    // A renewal changes nothing but its end.
    if (known === undefined) this.add(port, lease);
    else this.renewals++;
    this.takeAway(port, mac, ip);
    return true;
  }

  /** An AC went down: its VM may be back soon. */
  portDown(port: PortObject): void {
    if (port.kind === "ac" && this.known.has(port)) this.awaited.set(port, this.timers.nowMs + AWAITED_MS);
  }

  /** The same of an address that speaks for several leases: it stays for the longest of them. */
  extend(port: AcPort, mac: Mac, ip: Ip, seconds: number): boolean {
    const endsMs = this.leases.find(port, { mac, ip })?.endsMs;
    const isLonger = endsMs === undefined || (endsMs !== null && endsMs < this.timers.nowMs + seconds * 1000);
    return !isLonger || this.lease(port, mac, ip, seconds);
  }

  /** Addresses that `port` has because it came first. */
  firstComeOf(port: AcPort): number {
    return this.firstCome(port).length;
  }

  /** It keeps so many of them, those that it has had longest. */
  keepFirstCome(port: AcPort, most: number): void {
    for (const lease of this.firstCome(port).slice(most)) this.end(port, lease, "released");
  }

  /** The client behind `port` gives its lease back; `ip` null: all IPv4 ones of that MAC there. */
  release(port: AcPort, mac: Mac, ip: Ip | null): void {
    for (const lease of this.leases.ofPort(port))
      if (
        lease.mac === mac &&
        lease.source === "dhcp" &&
        (ip === null ? typeof lease.ip === "number" : lease.ip === ip)
      )
        this.end(port, lease, "released");
  }

  /** Another strict AC of the same network to which `mac` is bound, or (`ip` not null) the address; null: none. */
  holder(port: AcPort, mac: Mac, ip: Ip | null = null): AcPort | null {
    const isOf = (bound: Bound) => bound.mac === mac;
    for (const other of this.holders.ofMac(mac)) if (this.isRival(other, port, isOf)) return other;
    return ip === null ? null : this.holderOf(port, ip);
  }

  /** Another strict AC of the same network to which `ip` is bound. */
  holderOf(port: AcPort, ip: Ip): AcPort | null {
    const isOf = (bound: Bound) => bound.ip === ip;
    for (const other of this.holders.ofIp(ip)) if (this.isRival(other, port, isOf)) return other;
    return null;
  }

  /** All of an AC, what the configuration says first. */
  of(port: AcPort): readonly Bound[] {
    return [...this.fixedOf(port.config), ...this.leases.ofPort(port)];
  }

  /** May `mac` behind `port` send from `ip`? Other checks than the workers' ask here (neighbour discovery). */
  has(port: AcPort, mac: Mac, ip: Ip): boolean {
    return this.rows.has(port, mac, ip);
  }

  list(): BindingView[] {
    const { nowMs } = this.timers;
    return [...this.inventory.acs()].flatMap((port) =>
      [...this.of(port)]
        .sort((a, b) => a.mac - b.mac || compareIp(a.ip, b.ip))
        .map(({ mac, ip, source, endsMs }) => ({
          ac: port.name,
          vsi: port.vsi.name,
          mac: formatMac(mac),
          ip: formatIp(ip),
          source,
          expiresSeconds: endsMs === null ? null : Math.max(0, Math.ceil((endsMs - nowMs) / 1000)),
          enforced: isStrict(port),
        })),
    );
  }

  /** What is worth keeping for the next process. Who came first claims again, by its next packet. */
  kept(): KeptLease[] {
    return [...this.leases.all()]
      .filter(([, { source }]) => source === "dhcp")
      .map(([port, { mac, ip, endsMs }]) => ({ ac: port.name, vsi: port.vsi.name, mac, ip, endsMs }));
  }

  /** Leases of the process before. @returns how many bind again: of ACs that still are there, of addresses that can be theirs. */
  restore(kept: readonly KeptLease[]): number {
    let count = 0;
    for (const { ac, vsi, mac, ip, endsMs } of kept) {
      const port = this.inventory.ac(ac);
      const iface = port?.vsi.interface;
      if (port === undefined || port.vsi.name !== vsi || iface == null) continue;
      if (isOwnAddress(iface, ip) || !(isHostAddress(iface, ip) || isOfLink(ip))) continue;
      const seconds = endsMs === null ? INFINITE_SECONDS : (endsMs - this.timers.nowMs) / 1000;
      if (seconds <= 0 || !this.lease(port, mac, ip, seconds)) continue;
      this.awaited.set(port, this.timers.nowMs + AWAITED_MS);
      count++;
    }
    return count;
  }

  private firstCome(port: AcPort): Lease[] {
    return this.leases.ofPort(port).filter(({ source }) => source === "slaac");
  }

  private whyRefused(port: AcPort, mac: Mac, ip: Ip, isRenewal: boolean): string | null {
    const iface = port.vsi.interface;
    if (iface !== null && isOwnAddress(iface, ip)) return `an address of ${iface.name} itself`;
    if (iface !== null && subnetOf(iface, ip) !== null && !isHostAddress(iface, ip)) return "no host's address";
    const other = this.holder(port, mac, ip);
    if (other !== null) return `bound at AC ${other.name}`;
    return isRenewal ? null : this.leases.whyFull(port);
  }

  private add(port: AcPort, lease: Lease): void {
    const victim = this.leases.victimFor(port);
    if (victim !== null) this.end(victim.port, victim.lease, "displaced");
    this.changes++;
    this.known.add(port);
    this.leases.add(port, lease);
    this.holders.add(port, lease);
    if (isStrict(port)) this.rows.add(port, lease);
    this.tell(port, lease, "binding.added", {});
  }

  /** Leased to `port` now: an AC whose VM has left keeps no lease of the same MAC or address, or its next VM could live by it. */
  private takeAway(port: AcPort, mac: Mac, ip: Ip): void {
    for (const other of new Set([...this.holders.ofMac(mac), ...this.holders.ofIp(ip)])) {
      if (other === port || this.isThere(other) || !isSameNetwork(other.vsi, port.vsi)) continue;
      for (const lease of this.leases.ofPort(other))
        if (lease.mac === mac || lease.ip === ip) this.end(other, lease, "moved");
    }
  }

  private end(port: AcPort, lease: Lease, why: "expired" | "released" | "displaced" | "moved"): void {
    if (!this.drop(port, lease)) return;
    if (isStrict(port)) this.rows.remove(port, lease);
    this.tell(port, lease, "binding.ended", { reason: why });
    // A link-local address that asked for others goes with the last of them.
    if (lease.source !== "dhcp" || typeof lease.ip === "number" || isOfLink(lease.ip)) return;
    const isLike = ({ mac, ip, source }: Lease) => mac === lease.mac && source === "dhcp" && typeof ip === "bigint";
    const left = this.leases.ofPort(port).filter(isLike);
    if (left.every(({ ip }) => isOfLink(ip))) for (const each of left) this.end(port, each, why);
  }

  private drop(port: AcPort, lease: Lease): boolean {
    if (lease.timer !== null) this.timers.cancel(lease.timer);
    if (!this.leases.remove(port, lease)) return false;
    this.changes++;
    this.holders.remove(port, lease);
    return true;
  }

  /** `isOf`: what is bound to `other` of what `port` wants. */
  private isRival(other: AcPort, port: AcPort, isOf: (bound: Bound) => boolean): boolean {
    if (other === port || !isStrict(other) || !isSameNetwork(other.vsi, port.vsi)) return false;
    if (this.isThere(other)) return true;
    // The configuration may name both: then it is where it is up.
    return this.fixedOf(other.config).some(isOf) && !this.fixedOf(port.config).some(isOf);
  }

  /** Is it up, or may it be soon? */
  private isThere(port: AcPort): boolean {
    return port.up || (this.awaited.get(port) ?? 0) > this.timers.nowMs;
  }

  private fixedOf(config: AcConfig): readonly Bound[] {
    const known = this.fixed.get(config);
    if (known !== undefined) return known;
    const read = config.bindings.map(
      ({ mac, ip }): Bound => ({ mac: parseMac(mac)!, ip: ipOf(ip), source: "static", endsMs: null }),
    );
    this.fixed.set(config, read);
    return read;
  }

  private tell(port: AcPort, { mac, ip }: Bound, event: "binding.added" | "binding.ended", more: object): void {
    this.emit("debug", event, { ac: port.name, vsi: port.vsi.name, mac: formatMac(mac), ip: formatIp(ip), ...more });
  }
}

/** Canonical text of either family. */
function ipOf(text: string): Ip {
  const bytes = peerAddress(text);
  return bytes.length === 4 ? i32(bytes, 0) : readIpv6(bytes, 0);
}
