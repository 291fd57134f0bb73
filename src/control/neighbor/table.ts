/**
 * The neighbour table: (VSI-interface, IP) -> where packets to it go, and whether it is still there.
 *
 * The table owns the entries. control/resolution/local-proxy.ts brings what was heard, evidence.ts judges it, nud.ts says what follows and life.ts
 * carries it out: in the data plane (path.ts, the only writer of host routes and rewrite rows), among what is looked
 * for (search.ts), and by asking (solicitor.ts).
 *
 * A next hop that a route holds is kept resolved: once known it is probed although no packet uses it, and once failed it is
 * looked for again and again, ever more slowly. Before the first packet wants it nothing is asked.
 *
 * Packets for an unknown target wait (pending-queue.ts) for three solicitations, one second apart. Then each sender gets one
 * host unreachable; the next packet starts the search anew, at most one solicitation a second.
 */
import { DROP } from "../../tables/counters.ts";
import type { Tables } from "../../tables/tables.ts";
import type { Mac } from "../../wire/ethernet.ts";
import type { Behind } from "../behind.ts";
import { type Fate, HELD } from "../fate.ts";
import type { Feed } from "../feed.ts";
import type { HeldFrame, Injector } from "../inject.ts";
import type { InterfaceObject, PortObject, VsiObject } from "../inventory.ts";
import { type Family, type Ip, isOfFamily } from "../ip.ts";
import { LargeMap } from "../large-map.ts";
import type { Ledger } from "../ledger.ts";
import type { NextHopProbeConfig } from "../plan.ts";
import type { NextHops } from "../routes/next-hops.ts";
import { type EntryKey, entryKey, type NumberOwner } from "./adjacency.ts";
import { NeighborCandidates } from "./candidates.ts";
import { isGiven, type Neighbor, type NeighborChange, type NeighborOrigin, newNeighbor, type Place } from "./entry.ts";
import { type Heard, NeighborEvidence } from "./evidence.ts";
import { NextHopProbes } from "./hop-probe.ts";
import { type LifeParts, NeighborLife, type NeighborOwner } from "./life.ts";
import { isKnown } from "./nud.ts";
import { type HostRoutes, NeighborPaths } from "./path.ts";
import { NeighborPlaces } from "./places.ts";
import { FamilyCensus } from "./quota.ts";
import { NeighborRefusals } from "./refusals.ts";
import { Searches } from "./search.ts";
import { type NeighborStory, storyOfNeighbor } from "./story.ts";
import { type MacTimes, NeighborWatch } from "./watch.ts";

/** What the table needs of the rest of control. */
export interface NeighborContext
  extends Pick<LifeParts, "timers" | "emit" | "random" | "solicitor" | "unreachable" | "onResolved"> {
  readonly tables: Tables;
  readonly injector: Injector;
  readonly ledger: Ledger;
  readonly routes: HostRoutes;
  readonly macs: MacTimes;
  readonly nextHopProbe: NextHopProbeConfig;
}

export class Neighbors implements NextHops, NeighborOwner {
  private readonly context: NeighborContext;
  private readonly entries = new LargeMap<EntryKey, Neighbor>();
  readonly census: FamilyCensus;
  private readonly paths: NeighborPaths;
  private readonly searches: Searches;
  private readonly life: NeighborLife;
  private readonly places: NeighborPlaces;
  private readonly watch: NeighborWatch;
  /** Are next hops of routes and policies alive? */
  readonly probes: NextHopProbes;
  /** What is said from outside, and what is remembered below it. */
  readonly candidates: NeighborCandidates;
  readonly refusals: NeighborRefusals;
  private readonly evidence: NeighborEvidence;

  constructor(context: NeighborContext) {
    const { tables, injector, routes, ledger } = context;
    this.context = context;
    this.refusals = new NeighborRefusals(tables, context.timers, context.emit);
    this.census = new FamilyCensus(tables.sizes.neighbors, tables.sizes.neighbors6);
    this.paths = new NeighborPaths(tables, context.timers, injector, routes, this.census);
    this.searches = new Searches(ledger, this.census);
    this.life = new NeighborLife({ ...context, owner: this, paths: this.paths, searches: this.searches });
    const { entries, life, paths, searches } = this;
    const parts = {
      find: (iface: InterfaceObject, ip: Ip, behind: string | null = null) => this.find(iface, ip, behind) ?? null,
      findOrCreate: (iface: InterfaceObject, ip: Ip) => this.find(iface, ip) ?? this.create(iface, ip),
      accept: (entry: Neighbor, place: Place, how: NeighborOrigin) => this.evidence.accept(entry, place, how),
    };
    this.candidates = new NeighborCandidates({ ...parts, life, timers: context.timers }, tables.sizes);
    const { candidates, refusals, census } = this;
    const create = (iface: InterfaceObject, ip: Ip, behind: string | null) => this.create(iface, ip, behind);
    const { timers } = context;
    this.evidence = new NeighborEvidence({ ...parts, create, life, paths, census, candidates, refusals, timers });
    this.places = new NeighborPlaces({ entries, life, paths, searches, challenged: this.evidence.challenged });
    this.watch = new NeighborWatch({ ...context, entries, life, paths });
    this.probes = new NextHopProbes({ ...context, ...parts, life }, context.nextHopProbe);
  }

  /** Where packets to neighbours go: what becomes of it. */
  get changes(): Feed<NeighborChange> {
    return this.paths.changes;
  }

  /** Neighbour moves by VSI name, ever. */
  get moves(): ReadonlyMap<string, number> {
    return this.evidence.moves;
  }

  /** Known neighbours. */
  get size(): number {
    return this.census.size;
  }

  /** Entries on `iface` in any state, counted without being looked at. */
  countOn(iface: InterfaceObject): number {
    return this.census.entriesOn(iface);
  }

  /** Frames that wait for a next hop. */
  get waiting(): number {
    return this.searches.queues.size;
  }

  /** Frames that found no room to wait, ever. */
  get turnedAway(): number {
    return this.searches.queues.refused;
  }

  // ---- what routes and policies need (control/routes/next-hops.ts) ------------------------------------------------------------
  hold(iface: InterfaceObject, ip: Ip, behind: string | null = null): number {
    const id = this.paths.adjacencies.hold(iface, ip, behind);
    if (id !== 0) this.probes.hold(id, iface, ip, behind);
    return id;
  }

  /** A search that only this route wanted ends with it: a host that nothing wants is not asked for. */
  release(adjacency: number): void {
    const { adjacencies } = this.paths;
    const hop = adjacencies.nextHop(adjacency);
    this.probes.release(adjacency);
    adjacencies.release(adjacency);
    const entry = hop === null ? undefined : this.find(hop.iface, hop.ip, hop.behind);
    if (entry === undefined || this.paths.isHeld(entry)) return;
    const isWanted = isKnown(entry.state) || entry.searcher !== 0 || this.searches.queues.has(entry.key);
    if (entry.behind !== null || !isWanted) this.life.remove(entry);
  }

  isAlive(adjacency: number): boolean {
    return this.paths.adjacencies.isAlive(adjacency);
  }

  onChange(callback: (adjacency: number, alive: boolean) => void): void {
    this.paths.adjacencies.onChange(callback);
  }

  /** Whose number `adjacency` is, as workers name it in what they punt; null: no neighbour's. */
  nextHop(adjacency: number): NumberOwner | null {
    return this.paths.adjacencies.nextHop(adjacency);
  }

  /** The port behind which next hop `adjacency` was last; null: it was never found. */
  lastPort(adjacency: number): PortObject | null {
    const hop = this.nextHop(adjacency);
    return hop === null ? null : (this.find(hop.iface, hop.ip, hop.behind)?.place?.port ?? null);
  }

  // ---- what resolution and the data plane bring ----------------------------------------------------------------------

  find(iface: InterfaceObject, ip: Ip, behind: string | null = null): Neighbor | undefined {
    return this.entries.get(entryKey(iface, ip, behind));
  }

  /** The entry for which what comes by `port` is evidence. */
  findBy(iface: InterfaceObject, ip: Ip, port: PortObject): Neighbor | undefined {
    return this.find(iface, ip, this.paths.adjacencies.behind(iface, ip, port));
  }

  /** Where packets to `ip` go; null while that is not known. */
  placeOf(iface: InterfaceObject, ip: Ip): Place | null {
    const entry = this.find(iface, ip);
    return entry !== undefined && isKnown(entry.state) ? entry.place : null;
  }

  /** ARP from `ip`: it is at `place`, says a request, reply or announcement. `step`: the article's, for those who look on. */
  hear(iface: InterfaceObject, ip: Ip, place: Place, how: NeighborOrigin, step: string | null = null): Heard {
    return this.evidence.hear(iface, ip, place, how, step);
  }

  /** A packet wants next hop `ip` on `iface`, and the data plane has no rewrite for it. `isUplink`: it came by a VSI without a VNI. */
  need(iface: InterfaceObject, ip: Ip, frame: HeldFrame, isUplink = false, behind: string | null = null): Fate {
    const { queues } = this.searches;
    let entry = this.find(iface, ip, behind) ?? null;
    // Resolved while the packet was on its way here.
    if (entry !== null && isKnown(entry.state)) return this.paths.send(entry, frame);
    const isHop = behind !== null || this.isNextHop(iface, ip);
    const refused = this.searches.refusal(iface, ip, frame.port, isUplink, isHop);
    if (entry?.state !== "incomplete" && refused !== null) return refused;
    entry ??= this.create(iface, ip, behind);
    if (entry === null) return DROP.unresolved_queue_full;
    // Also where the packet cannot wait: the next one shall find the way.
    this.life.search(entry, frame.port);
    return queues.push(entry.key, frame) ? HELD : DROP.unresolved_queue_full;
  }

  /** Those whose place on `iface` is known; those too whose port is down and may come back. */
  placedOn(iface: InterfaceObject): Neighbor[] {
    return [...this.entries.values()].filter(
      (entry) => entry.iface === iface && (isKnown(entry.state) || entry.state === "suspended"),
    );
  }

  /** Its gateway has MAC `mac` now: packets go there from now on, and within a second it is asked whether that is right. */
  repoint(entry: Neighbor, mac: Mac): void {
    const { heardMs } = entry;
    this.evidence.note(entry, { ...entry.place!, mac }, entry.origin);
    entry.heardMs = heardMs;
    // One that is suspended is asked when its port is back.
    if (!isKnown(entry.state) || !this.paths.publish(entry)) return;
    this.life.fire(entry, "aged");
    this.life.fire(entry, "expiring");
  }

  /** The neighbour sent us its own packets back through `port`: what we believe of it is out of date. */
  doubt(iface: InterfaceObject, ip: Ip, port: PortObject): void {
    const entry = this.findBy(iface, ip, port);
    if (entry !== undefined && !isGiven(entry) && entry.place?.port === port) this.life.fire(entry, "doubted");
  }

  /** A source MAC is new in `vsi`, behind `port`; `from`: where it was until now, or null. */
  hint(vsi: VsiObject, mac: Mac, port: PortObject, from: PortObject | null): void {
    this.watch.hint(vsi, mac, port, from);
  }

  // ---- what control/topology/topology.ts and people do ----------------------------------------------------------------------------
  /** A configured neighbour; it takes the place of what was learned. @returns false when there is no room for it. */
  addStatic(iface: InterfaceObject, ip: Ip, mac: Mac, port: PortObject, vsi: VsiObject): boolean {
    const entry = this.find(iface, ip) ?? this.create(iface, ip);
    if (entry === null) return false;
    this.candidates.lose(entry);
    this.evidence.accept(entry, { mac, port, vsi }, "static");
    this.paths.adjacencies.setAlive(entry.adjacency, port.up);
    return isKnown(entry.state);
  }

  /** As if it had never been: what else is known of it holds; else a next hop is not known to be dead, and the next packet asks. */
  removeStatic(iface: InterfaceObject, ip: Ip): void {
    const entry = this.find(iface, ip);
    if (entry?.origin !== "static" || this.candidates.fallBack(entry)) return;
    this.life.remove(entry);
    this.paths.adjacencies.setAlive(this.paths.adjacencies.find(iface, ip), true);
  }

  /** Forget one entry that was heard. @returns false if there is none. */
  delete(iface: InterfaceObject, ip: Ip): boolean {
    return this.places.dropWhere((entry) => !isGiven(entry) && entry.iface === iface && entry.ip === ip) > 0;
  }

  /** Forget all entries that were heard: of one VSI-interface, or of all; of a family, or of both. @returns how many. */
  flushLearned(only: InterfaceObject | null, family: Family | null = null): number {
    const isMeant = ({ iface, ip }: Neighbor) => (only === null || iface === only) && isOfFamily(ip, family);
    return this.places.dropWhere((entry) => !isGiven(entry) && isMeant(entry));
  }

  /** See places.ts. */
  forgetBehind(behind: Behind): void {
    const { ports, isGone, has } = behind;
    const isUsed = ports.some((port) => this.isAnyAt(port));
    if (isGone && isUsed) this.candidates.forget((said) => has(said.port, said.vsi));
    this.places.forgetBehind(behind, isUsed);
  }

  suspendPort(port: PortObject): void {
    this.places.suspendPort(port);
  }

  portUp(port: PortObject): void {
    this.candidates.portUp(port);
    this.places.portUp(port, this.isAnyAt(port));
  }

  flushVsi(vsi: VsiObject): void {
    this.refusals.damped.forget(vsi);
    this.candidates.forget((said) => said.vsi === vsi);
    this.places.flushVsi(vsi);
  }

  /** Every entry on `iface` whose address is touched, configured or not, and all that waits for one. */
  flushInterface(iface: InterfaceObject, isTouched: (ip: Ip) => boolean): void {
    const isMeant = (each: { iface: InterfaceObject; ip: Ip }) => each.iface === iface && isTouched(each.ip);
    this.candidates.forget(isMeant);
    for (const entry of [...this.entries.values()]) if (isMeant(entry)) this.life.remove(entry);
    this.refusals.forget(iface);
  }

  /** The gateway MAC of `iface` changed: packets leave with the new one. */
  refreshRewrites(iface: InterfaceObject): void {
    for (const entry of this.entries.values())
      if (entry.iface === iface && isKnown(entry.state)) this.paths.publish(entry);
  }

  /** Unsorted, as they are. */
  all(): Iterable<Neighbor> {
    return this.entries.values();
  }

  /** Is it still in the table? */
  has(entry: Neighbor): boolean {
    return this.entries.get(entry.key) === entry;
  }

  /** Does a route or a policy use it as next hop? */
  isNextHop(iface: InterfaceObject, ip: Ip): boolean {
    return this.paths.isNextHop(iface, ip, this.find(iface, ip));
  }

  /** All that is known of `ip`, on every VSI-interface that knows or looks for it. */
  stories(ip: Ip): NeighborStory[] {
    const nowMs = this.context.timers.nowMs;
    return [...this.entries.values()]
      .filter((entry) => entry.ip === ip)
      .map((entry) => storyOfNeighbor(entry, this.paths.isHeld(entry), nowMs));
  }

  /** NeighborOwner. */
  move(entry: Neighbor, to: Place, origin: NeighborOrigin): void {
    this.evidence.move(entry, to, origin);
  }

  /** Is any known, or said to be, behind `port`? */
  private isAnyAt(port: PortObject): boolean {
    return this.candidates.isAnyAt(port) || this.census.isAnyAt(port);
  }

  /** A new entry of which nothing is known, as if it had failed long ago; null when too many are searched. */
  private create(iface: InterfaceObject, ip: Ip, behind: string | null = null): Neighbor | null {
    if (this.searches.isFull(ip)) {
      const idle = this.searches.oldestIdle(ip, (entry) => this.paths.isHeld(entry));
      if (idle === undefined) return null;
      this.life.remove(idle);
    }
    const entry = newNeighbor(iface, ip, behind, this.context.timers.nowMs);
    this.entries.set(entry.key, entry);
    this.census.of(ip).countEntry(iface, 1);
    this.searches.add(entry);
    return entry;
  }

  /** NeighborOwner. */
  forget(entry: Neighbor): void {
    if (this.entries.delete(entry.key)) this.census.of(entry.ip).countEntry(entry.iface, -1);
  }

  fallBack(entry: Neighbor): boolean {
    return entry.behind === null && this.candidates.fallBack(entry);
  }
}
