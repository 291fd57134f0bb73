/**
 * Searches: neighbours that are looked for, failed lately or are suspended, and the packets that wait for them.
 *
 * Those of a family are bounded in all by SEARCHES_IN_ALL: the one that failed first, and that no route wants, makes room for a new one.
 */
import { DROP } from "../../tables/counters.ts";
import { type Fate, REINJECTED } from "../fate.ts";
import type { HeldFrame } from "../inject.ts";
import type { InterfaceObject } from "../inventory.ts";
import { type Ip, isSameFamily } from "../ip.ts";
import type { Ledger } from "../ledger.ts";
import type { Neighbor } from "./entry.ts";
import { PendingQueues } from "./pending-queue.ts";
import { type FamilyCensus, SEARCHES_IN_ALL } from "./quota.ts";

export class Searches {
  readonly queues: PendingQueues;
  private readonly ledger: Ledger;
  private readonly census: FamilyCensus;
  /** Those that are not known, oldest first. */
  private readonly entries = new Set<Neighbor>();

  constructor(ledger: Ledger, census: FamilyCensus) {
    this.queues = new PendingQueues(ledger);
    this.ledger = ledger;
    this.census = census;
  }

  /** May no more be looked for of the family of `ip`? */
  isFull(ip: Ip): boolean {
    return this.census.of(ip).searches >= SEARCHES_IN_ALL;
  }

  /** Why none may begin for `ip` on `iface` because of a packet by bridge port `port`; null: it may. A route's next hop is always gleaned. */
  refusal(iface: InterfaceObject, ip: Ip, port: number, isUplink: boolean, isNextHop: boolean): Fate | null {
    if (isUplink && !isNextHop && iface.config.gleanFrom === "overlay") return DROP.not_gleaned;
    return this.census.maySearch(ip, port, isUplink) ? null : DROP.unresolved_queue_full;
  }

  list(): readonly Neighbor[] {
    return [...this.entries];
  }

  /** `entry` is not known, from now on. */
  add(entry: Neighbor): void {
    if (!this.entries.delete(entry)) this.census.of(entry.ip).searches++;
    this.entries.add(entry);
  }

  /** The search for `entry` begins: for a packet that came by bridge port `port`, or (0) for a route. */
  begin(entry: Neighbor, port: number, nowMs: number): void {
    entry.tries = 0;
    entry.searchMs = nowMs;
    entry.searcher = port;
    if (port !== 0) this.census.of(entry.ip).countSearch(port, 1);
  }

  /** The search is over, whatever came of it. */
  end(entry: Neighbor): void {
    if (entry.searcher !== 0) this.census.of(entry.ip).countSearch(entry.searcher, -1);
    entry.searcher = 0;
  }

  /** `entry` is known, or no more. */
  remove(entry: Neighbor): void {
    this.end(entry);
    if (this.entries.delete(entry)) this.census.of(entry.ip).searches--;
  }

  /** The one of the family of `ip` that may be forgotten first, or undefined. */
  oldestIdle(ip: Ip, isHeld: (entry: Neighbor) => boolean): Neighbor | undefined {
    for (const entry of this.entries)
      if (entry.state !== "incomplete" && isSameFamily(entry.ip, ip) && !isHeld(entry)) return entry;
    return undefined;
  }

  /** Every packet that waits for `entry` ends as `end` says. */
  settle(entry: Neighbor, end: (frame: HeldFrame) => Fate): void {
    for (const frame of this.queues.take(entry.key)) {
      const fate = end(frame);
      if (fate > 0) this.ledger.dropped(fate, frame);
      else if (fate === REINJECTED) this.ledger.reinjected(frame.units);
      else this.ledger.consumed(frame.units);
    }
  }

  /** All that waits and came by `port` waits no longer. */
  dropPort(port: { readonly kind: "ac" | "tunnel"; readonly row: number }): void {
    const reason = port.kind === "ac" ? DROP.ac_unbound : DROP.tunnel_down;
    for (const frame of this.queues.takePort(port.row)) this.ledger.dropped(reason, frame);
  }

  /** The same for what came in by VSI `vsi`. */
  dropVsi(vsi: number): void {
    for (const frame of this.queues.takeVsi(vsi)) this.ledger.dropped(DROP.no_route, frame);
  }
}
