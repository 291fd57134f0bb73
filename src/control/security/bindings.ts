/**
 * Bindings: which MAC and which address live behind an AC, by the configuration (`acs[].bindings`) or by a DHCP lease.
 *
 * They are kept of every AC, so that `antiSpoof: strict` may be switched on under a VM that has its lease already; the workers'
 * table (tables/bindings.ts) has those of the strict ones. There an address is a row, and its MAC two more: the MAC alone, and the
 * link-local address that the MAC gives (RFC 4291 appendix A); one that is made otherwise (RFC 7217) is listed like any other address.
 *
 * A lease is believed because a server that we asked said so, and for as long as it said (RFC 2131 §4.4.5). It binds where the
 * client asked. A MAC or an address that is bound to another AC that is up and strict stays there: a DHCP client is known to its
 * server by a MAC that it chooses itself, and could fetch a neighbour's lease with it. An AC has a limit, and all have one.
 */
import { type BindingRow, type BindingTable, BindingWriter, bindingKey, MAPPED_IPV4 } from "../../tables/bindings.ts";
import type { Tables } from "../../tables/tables.ts";
import { i32 } from "../../wire/bytes.ts";
import { formatMac, hiOf, loOf, type Mac, parseMac } from "../../wire/ethernet.ts";
import { IPV6_ADDRESS_BYTES, readIpv6, writeLinkLocal } from "../../wire/ipv6.ts";
import type { Emit } from "../event.ts";
import type { AcPort, Inventory, VsiObject } from "../inventory.ts";
import { compareIp, formatIp, type Ip } from "../ip.ts";
import { peerAddress } from "../peer-address.ts";
import type { AcConfig } from "../plan.ts";
import type { Timer, Timers } from "../timers.ts";
import { Holders } from "./holders.ts";

/** Leases of one AC, and of all. */
export const MAX_LEASES_OF_AC = 256;
export const MAX_LEASES = 4096;
/** A table that is changing banks is asked again. */
const RETRY_MS = 5;
/** RFC 2131 §3.3: a lease that does not end. */
const INFINITE_SECONDS = 0xffffffff;

export type BindingSource = "static" | "dhcp";

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

interface Bound {
  readonly mac: Mac;
  readonly ip: Ip;
  readonly source: BindingSource;
  /** null: never. */
  readonly endsMs: number | null;
}

interface Lease extends Bound {
  readonly timer: Timer | null;
}

export class Bindings {
  private readonly timers: Timers;
  private readonly inventory: Inventory;
  private readonly emit: Emit;
  private readonly table: BindingTable;
  private readonly writer: BindingWriter;
  /** By AC, then by MAC and address. */
  private readonly leases = new Map<AcPort, Map<string, Lease>>();
  /** What the configuration says, read once for each of its versions. */
  private readonly fixed = new WeakMap<AcConfig, readonly Bound[]>();
  private readonly holders = new Holders();
  /** By AC: the rows that workers see. */
  private readonly published = new Map<AcPort, Map<string, BindingRow>>();
  /** ACs that had bindings once. */
  private readonly known = new Set<AcPort>();
  private leaseCount = 0;
  private retry: Timer | null = null;

  /** @param seed a random int32 for the table's hash. */
  constructor(tables: Tables, timers: Timers, inventory: Inventory, emit: Emit, seed: number) {
    this.timers = timers;
    this.inventory = inventory;
    this.emit = emit;
    this.table = tables.bindings;
    this.writer = new BindingWriter(tables.bindings, tables.heartbeat, seed);
  }

  /** The configuration is another one: its bindings are in force, and ACs that went have none. */
  configure(): void {
    for (const port of this.known) {
      if (this.inventory.ports.get(port.row) === port) continue;
      this.known.delete(port);
      for (const lease of this.leases.get(port)?.values() ?? []) this.drop(port, lease);
      this.holders.set(port, []);
      this.publish(port, new Map());
    }
    for (const port of this.inventory.acs()) this.sync(port);
  }

  /** A server gave `ip` to `mac` behind `port`, for so many seconds. @returns false: it is not believed. */
  lease(port: AcPort, mac: Mac, ip: Ip, seconds: number): boolean {
    const key = keyOf(mac, ip);
    const known = this.leases.get(port)?.get(key);
    const why = this.whyRefused(port, mac, ip, known !== undefined);
    if (why !== null) {
      const fields = { ac: port.name, vsi: port.vsi.name, mac: formatMac(mac), ip: formatIp(ip), reason: why };
      this.emit("warn", "binding.refused", fields);
      return false;
    }
    if (known !== undefined) this.drop(port, known);
    const isEndless = seconds >= INFINITE_SECONDS;
    const lease: Lease = {
      mac,
      ip,
      source: "dhcp",
      endsMs: isEndless ? null : this.timers.nowMs + seconds * 1000,
      timer: isEndless ? null : this.timers.after(seconds * 1000, () => this.end(port, lease, "expired")),
    };
    const ofPort = this.leases.get(port) ?? new Map<string, Lease>();
    this.leases.set(port, ofPort.set(key, lease));
    this.leaseCount++;
    if (known === undefined) this.tell(port, lease, "binding.added", {});
    this.sync(port);
    return true;
  }

  /** The client behind `port` gives its lease back; `ip` null: all of that MAC there. */
  release(port: AcPort, mac: Mac, ip: Ip | null): void {
    for (const lease of [...(this.leases.get(port)?.values() ?? [])])
      if (lease.mac === mac && (ip === null || lease.ip === ip)) this.end(port, lease, "released");
  }

  /** Another AC of the same network, up, to which `mac` is bound, or (`ip` not null) the address; null: none. */
  holder(port: AcPort, mac: Mac, ip: Ip | null = null): AcPort | null {
    for (const other of this.holders.ofMac(mac)) if (isRival(other, port)) return other;
    return ip === null ? null : this.holderOf(port, ip);
  }

  /** Another AC of the same network, up, to which `ip` is bound. */
  holderOf(port: AcPort, ip: Ip): AcPort | null {
    for (const other of this.holders.ofIp(ip)) if (isRival(other, port)) return other;
    return null;
  }

  /** All of an AC, what the configuration says first. */
  of(port: AcPort): readonly Bound[] {
    return [...this.fixedOf(port.config), ...(this.leases.get(port)?.values() ?? [])];
  }

  /** May `mac` behind `port` send from `ip`? Other checks than the workers' ask here (neighbour discovery). */
  has(port: AcPort, mac: Mac, ip: Ip): boolean {
    return this.table.has(...rowOf(port, mac, wordsOf(ip)));
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

  private whyRefused(port: AcPort, mac: Mac, ip: Ip, isRenewal: boolean): string | null {
    const other = this.holder(port, mac, ip);
    if (other !== null) return `bound at AC ${other.name}`;
    if (isRenewal) return null;
    if ((this.leases.get(port)?.size ?? 0) >= MAX_LEASES_OF_AC) return `AC ${port.name} has ${MAX_LEASES_OF_AC} leases`;
    return this.leaseCount >= MAX_LEASES ? `there are ${MAX_LEASES} leases` : null;
  }

  private end(port: AcPort, lease: Lease, why: "expired" | "released"): void {
    this.drop(port, lease);
    this.tell(port, lease, "binding.ended", { reason: why });
    this.sync(port);
  }

  private drop(port: AcPort, lease: Lease): void {
    if (lease.timer !== null) this.timers.cancel(lease.timer);
    const ofPort = this.leases.get(port)!;
    if (!ofPort.delete(keyOf(lease.mac, lease.ip))) return;
    this.leaseCount--;
    if (ofPort.size === 0) this.leases.delete(port);
  }

  /** Workers see what is bound to `port`, if it is strict. */
  private sync(port: AcPort): void {
    const bound = this.of(port);
    if (bound.length > 0) this.known.add(port);
    this.holders.set(port, bound);
    const wanted = new Map<string, BindingRow>();
    const add = (mac: Mac, words: Words) => {
      const row = rowOf(port, mac, words);
      wanted.set(row.join(" "), row);
    };
    if (isStrict(port)) {
      for (const { mac, ip } of bound) {
        add(mac, NO_ADDRESS);
        add(mac, linkLocalOf(mac));
        add(mac, wordsOf(ip));
      }
    }
    this.publish(port, wanted);
  }

  private publish(port: AcPort, wanted: Map<string, BindingRow>): void {
    const known = this.published.get(port);
    for (const [key, row] of known ?? []) if (!wanted.has(key)) this.writer.remove(row);
    for (const [key, row] of wanted) {
      if (known?.has(key) === true) continue;
      const stored = this.writer.add(row);
      if (stored === "stored") continue;
      // Full it cannot be: the limits of leases and of the configuration are less together.
      wanted.delete(key);
      this.retry ??= this.timers.after(RETRY_MS, () => this.again());
    }
    if (wanted.size === 0) this.published.delete(port);
    else this.published.set(port, wanted);
  }

  private again(): void {
    this.retry = null;
    for (const port of this.inventory.acs()) this.sync(port);
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

export function isStrict(port: AcPort): boolean {
  return port.config.antiSpoof === "strict";
}

/** One subnet, one set of addresses. */
function isSameNetwork(a: VsiObject, b: VsiObject): boolean {
  return a === b || (a.interface !== null && a.interface === b.interface);
}

function isRival(other: AcPort, port: AcPort): boolean {
  return other !== port && other.up && isStrict(other) && isSameNetwork(other.vsi, port.vsi);
}

function keyOf(mac: Mac, ip: Ip): string {
  return `${mac} ${formatIp(ip)}`;
}

type Words = readonly [number, number, number, number];
const NO_ADDRESS: Words = [0, 0, 0, 0];

function rowOf(port: AcPort, mac: Mac, words: Words): BindingRow {
  return [bindingKey(port.row, hiOf(mac)), loOf(mac), ...words];
}

function wordsOf(ip: Ip): Words {
  if (typeof ip === "number") return [0, 0, MAPPED_IPV4, ip];
  const word = (shift: bigint) => Number(BigInt.asIntN(32, ip >> shift));
  return [word(96n), word(64n), word(32n), word(0n)];
}

function linkLocalOf(mac: Mac): Words {
  const bytes = new Uint8Array(IPV6_ADDRESS_BYTES);
  writeLinkLocal(bytes, 0, mac);
  return [i32(bytes, 0), i32(bytes, 4), i32(bytes, 8), i32(bytes, 12)];
}

/** Canonical text of either family. */
function ipOf(text: string): Ip {
  const bytes = peerAddress(text);
  return bytes.length === 4 ? i32(bytes, 0) : readIpv6(bytes, 0);
}
