/**
 * Addresses that hosts make themselves (SLAAC, RFC 4862; temporary ones, RFC 8981) behind ACs with `antiSpoof: strict` and `slaac`: who
 * claims one first has it, as FCFS SAVI does (RFC 6620), in short.
 *
 *   claimed    A worker has dropped a frame from an address that is not bound, and tells of it; of a probe (duplicate address
 *              detection) it tells the target.
 *   tentative  None may send from it while others are asked for it: who is known to have it, or all (§3.2.3: T_WAIT).
 *   bound      No other answered: a binding like another, for LIFETIME_MS. Before it ends its host is asked, and keeps it by an answer.
 *
 * Its MAC must be bound to the AC already, by the configuration or a lease: no MAC is given to who comes first. What is bound to a
 * strict AC that is up, is ours, or is outside the subnets is no candidate. Each AC has so many of them, tentative ones included, so a host
 * that invents addresses makes us ask no more than that, and takes from its own alone.
 */
import { formatMac, type Mac } from "../../wire/ethernet.ts";
import type { Emit } from "../event.ts";
import { type AcPort, type InterfaceObject, type Inventory, isHostAddress, isOwnAddress } from "../inventory.ts";
import { formatIp, type Ip, isOfLink } from "../ip.ts";
import { type Neighbor, type Place, samePlace } from "../neighbor/entry.ts";
import { isKnown } from "../neighbor/nud.ts";
import type { Solicitor } from "../neighbor/solicitor.ts";
import type { Timer, Timers } from "../timers.ts";
import type { Bindings } from "./bindings.ts";
import { senderOf } from "./offenders.ts";
import { isStrict } from "./strict.ts";

/** RFC 6620 §3.2.3, T_WAIT. */
export const WAIT_MS = 500;
/** §4, DEFAULT_LT. */
export const LIFETIME_MS = 300_000;
/** Before the end: the first question, and from one to the next. */
export const ASK_BEFORE_MS = 60_000;
const ASK_AGAIN_MS = 10_000;

export interface FirstComeParts {
  readonly timers: Timers;
  readonly inventory: Inventory;
  readonly bindings: Bindings;
  readonly neighbors: { find(iface: InterfaceObject, ip: Ip): Neighbor | undefined };
  readonly solicitor: Solicitor;
  readonly emit: Emit;
}

interface Claim {
  readonly port: AcPort;
  readonly iface: InterfaceObject;
  readonly mac: Mac;
  readonly ip: Ip;
}

export class FirstCome {
  private readonly parts: FirstComeParts;
  /** By address. */
  private readonly tentative = new Map<string, Claim>();
  /** By address: when its host is asked next. */
  private readonly checks = new Map<string, Timer>();

  constructor(parts: FirstComeParts) {
    this.parts = parts;
  }

  /** The first bytes of a frame that was dropped at bridge port `row`. @returns true: its address is being looked into. */
  claim(row: number, bytes: Uint8Array): boolean {
    const { timers } = this.parts;
    const claim = this.claimOf(row, bytes);
    if (claim === null) return false;
    // It has come meanwhile.
    if (this.parts.bindings.has(claim.port, claim.mac, claim.ip)) return true;
    const key = keyOf(claim);
    const other = this.tentative.get(key);
    if (other !== undefined) return other.port === claim.port && other.mac === claim.mac;
    const why = this.whyRefused(claim);
    if (why !== null) return this.refuse(claim, why);
    const known = this.neighborOf(claim);
    // Not strict until now, or its binding ended although it lives.
    if (known !== null && samePlace(known.place!, placeOf(claim))) return this.bind(claim);
    this.tentative.set(key, claim);
    if (known === null) this.parts.solicitor.everywhere(claim.iface, claim.ip, row, 1, "first come");
    else this.parts.solicitor.alive(claim.iface, claim.ip, known.place!);
    const askedMs = timers.nowMs;
    timers.after(WAIT_MS, () => this.judge(key, claim, askedMs));
    return true;
  }

  /** The configuration is another one: an AC keeps no more than it may have. */
  configure(): void {
    for (const port of this.parts.inventory.acs())
      this.parts.bindings.keepFirstCome(port, isStrict(port) ? port.config.slaac : 0);
  }

  /** null: no address that could be had there. */
  private claimOf(row: number, bytes: Uint8Array): Claim | null {
    const port = this.parts.inventory.ports.get(row);
    if (port?.kind !== "ac" || !isStrict(port) || port.config.slaac === 0) return null;
    const { mac, ip, of } = senderOf(bytes);
    const iface = port.vsi.interface;
    if (iface === null || typeof ip !== "bigint" || of !== mac || isOwnAddress(iface, ip)) return null;
    if (!isHostAddress(iface, ip) && !isOfLink(ip)) return null;
    return this.isOfHost(port, mac) ? { port, iface, mac, ip } : null;
  }

  private whyRefused({ port, mac, ip }: Claim): string | null {
    const { bindings } = this.parts;
    const own = bindings.of(port).find((bound) => bound.ip === ip);
    if (own !== undefined && own.mac !== mac) return `bound to ${formatMac(own.mac)}`;
    const holder = bindings.holder(port, mac, ip);
    if (holder !== null) return `bound at AC ${holder.name}`;
    const { slaac } = port.config;
    const tentative = [...this.tentative.values()].filter((each) => each.port === port).length;
    return bindings.firstComeOf(port) + tentative < slaac
      ? null
      : `AC ${port.name} has ${slaac} addresses of its own making`;
  }

  private judge(key: string, claim: Claim, askedMs: number): void {
    this.tentative.delete(key);
    const { port } = claim;
    if (this.parts.inventory.ports.get(port.row) !== port || !isStrict(port)) return;
    const known = this.neighborOf(claim);
    if (known !== null && known.heardMs >= askedMs && !samePlace(known.place!, placeOf(claim))) {
      this.refuse(
        claim,
        `it is at ${known.place!.port.kind} ${known.place!.port.name}, ${formatMac(known.place!.mac)}`,
      );
      return;
    }
    const why = this.whyRefused(claim);
    if (why === null) this.bind(claim);
    else this.refuse(claim, why);
  }

  private bind(claim: Claim): boolean {
    const { port, mac, ip } = claim;
    if (!this.parts.bindings.lease(port, mac, ip, LIFETIME_MS / 1000, "slaac")) return false;
    this.askIn(LIFETIME_MS - ASK_BEFORE_MS, claim, null);
    return true;
  }

  /** @param sinceMs when it was asked first; null: it is not yet. */
  private askIn(ms: number, claim: Claim, sinceMs: number | null): void {
    const { timers } = this.parts;
    const key = keyOf(claim);
    const before = this.checks.get(key);
    if (before !== undefined) timers.cancel(before);
    const check = () => {
      this.checks.delete(key);
      this.ask(claim, sinceMs ?? timers.nowMs);
    };
    this.checks.set(key, timers.after(ms, check));
  }

  /** Its host is asked, again and again until it has answered or its time is over. */
  private ask(claim: Claim, sinceMs: number): void {
    const { bindings, solicitor } = this.parts;
    const { port, iface, mac, ip } = claim;
    if (!bindings.has(port, mac, ip) || !this.isOfHost(port, mac)) return;
    const known = this.neighborOf(claim);
    if (known !== null && known.heardMs > sinceMs && samePlace(known.place!, placeOf(claim))) {
      this.bind(claim);
      return;
    }
    solicitor.at(iface, ip, placeOf(claim));
    this.askIn(ASK_AGAIN_MS, claim, sinceMs);
  }

  /** Is the MAC bound to the AC by more than its own claims? */
  private isOfHost(port: AcPort, mac: Mac): boolean {
    return this.parts.bindings.of(port).some((bound) => bound.mac === mac && bound.source !== "slaac");
  }

  private neighborOf({ iface, ip }: Claim): Neighbor | null {
    const known = this.parts.neighbors.find(iface, ip);
    return known !== undefined && known.place !== null && isKnown(known.state) ? known : null;
  }

  private refuse({ port, mac, ip }: Claim, reason: string): false {
    const fields = { ac: port.name, vsi: port.vsi.name, mac: formatMac(mac), ip: formatIp(ip), reason };
    this.parts.emit("warn", "binding.refused", fields);
    return false;
  }
}

function placeOf({ port, mac }: Claim): Place {
  return { mac, port, vsi: port.vsi };
}

function keyOf({ iface, ip }: Claim): string {
  return `${iface.row} ${formatIp(ip)}`;
}
