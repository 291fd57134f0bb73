/**
 * Evidence of where neighbours are, and how it is judged:
 *
 *   - evidence from an AC is believed at once; evidence from a tunnel about a host we hold on an AC makes us ask that AC
 *     once, and is believed when half a second has passed in silence (behaviour.md §3.11: converges within a second);
 *   - a next hop of routes is asked three times where it is known before an AC that claims it is believed: by one word a VM would
 *     have all that other VMs, of other VXLANs too, send by that hop;
 *   - five moves in 180 seconds are believed, further ones are not (move-history.ts);
 *   - an announcement from a tunnel updates what is known or looked for, and creates nothing (§3.4);
 *   - what is configured static is never learned over and never ages (candidates.ts ranks what is given and what is heard);
 *   - a next hop that is meant behind a tunnel (an address that several Borders have) is an entry of its own beside that of the
 *     address: what comes by its tunnel is evidence for it, and moves no other.
 */
import type { InterfaceObject, PortObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import { MoveHistory } from "../move-history.ts";
import type { Timers } from "../timers.ts";
import type { NeighborCandidates } from "./candidates.ts";
import { isGiven, type Neighbor, type NeighborOrigin, type Place, samePlace } from "./entry.ts";
import type { NeighborLife } from "./life.ts";
import { isKnown } from "./nud.ts";
import type { NeighborPaths } from "./path.ts";
import type { FamilyCensus } from "./quota.ts";
import type { NeighborRefusals } from "./refusals.ts";

/** What `hear` made of it. */
export type Heard = "new" | "same" | "moved" | "challenged" | "damped" | "full" | "static" | "ignored";

/** With so many they are looked through for those that are over. */
const FEW_CHALLENGED = 256;

export interface EvidenceParts {
  readonly find: (iface: InterfaceObject, ip: Ip, behind: string | null) => Neighbor | null;
  /** null: too many are searched. */
  readonly create: (iface: InterfaceObject, ip: Ip, behind: string | null) => Neighbor | null;
  readonly life: NeighborLife;
  readonly paths: NeighborPaths;
  readonly census: FamilyCensus;
  readonly candidates: NeighborCandidates;
  readonly refusals: NeighborRefusals;
  readonly timers: Timers;
}

export class NeighborEvidence {
  /** Neighbour moves by VSI name, ever. */
  readonly moves = new Map<string, number>();
  /** Entries with a challenger; some that have none any more. */
  readonly challenged = new Set<Neighbor>();
  private readonly parts: EvidenceParts;

  constructor(parts: EvidenceParts) {
    this.parts = parts;
  }

  /** ARP from `ip`: it is at `place`, says a request, reply or announcement. `step`: the article's, for those who look on. */
  hear(iface: InterfaceObject, ip: Ip, place: Place, how: NeighborOrigin, step: string | null): Heard {
    const behind = this.parts.paths.adjacencies.behind(iface, ip, place.port);
    if (behind === null) return this.hearOf(iface, ip, null, place, how, step);
    const heard = this.hearOf(iface, ip, behind, place, how, step);
    // The address itself stays with the first of its gateways that was heard, for as long as that one lives.
    const own = this.parts.find(iface, ip, null);
    if (own === null || !this.isWithOther(own, place.port)) this.hearOf(iface, ip, null, place, how, null);
    return heard;
  }

  /** Is the address known behind the tunnel of another of its gateways, which lives? */
  private isWithOther({ iface, ip, state, place }: Neighbor, port: PortObject): boolean {
    if (!isKnown(state) || place!.port === port) return false;
    const behind = this.parts.paths.adjacencies.behind(iface, ip, place!.port);
    const other = behind === null ? null : this.parts.find(iface, ip, behind);
    return other !== null && isKnown(other.state);
  }

  private hearOf(
    iface: InterfaceObject,
    ip: Ip,
    behind: string | null,
    place: Place,
    how: NeighborOrigin,
    step: string | null,
  ): Heard {
    const { life, candidates, refusals, timers } = this.parts;
    const census = this.parts.census.of(ip);
    const entry = this.parts.find(iface, ip, behind);
    if (entry?.origin === "static") return "static";
    const isSaid = entry?.origin === "evpn" && isKnown(entry.state);
    if (isSaid && place.port.kind === "tunnel") return candidates.outrank(entry, place, how);
    if (entry === null || !isKnown(entry.state)) {
      if (entry === null && how === "announcement" && place.port.kind === "tunnel") return "ignored";
      const found = census.hasRoom(iface, place.port) ? (entry ?? this.parts.create(iface, ip, behind)) : null;
      if (found === null) return refusals.refuse(iface, ip, place);
      this.accept(found, place, how, step);
      return "new";
    }
    const known = entry.place!;
    if (samePlace(known, place)) {
      entry.heardMs = timers.nowMs;
      entry.challenger = null;
      life.fire(entry, "heard");
      return "same";
    }
    if (entry.moves?.isDamped(timers.nowMs)) return refusals.damp(entry, place, how);
    if (this.isDoubtful(entry, known, place)) {
      entry.challenger ??= place;
      this.noteChallenged(entry);
      life.fire(entry, "doubted");
      return "challenged";
    }
    const hasRoom = entry.origin === "evpn" ? census.hasRoom(iface, place.port) : census.hasRoomBehind(place.port);
    if (place.port !== known.port && !hasRoom) return refusals.refuse(iface, ip, place);
    this.move(entry, place, how);
    return "moved";
  }

  /** Is a claim by way of `place` believed only when the place that is known is silent? */
  private isDoubtful(entry: Neighbor, known: Place, place: Place): boolean {
    if (place.port.kind === "tunnel") return known.port.kind === "ac";
    return place.port !== known.port && this.parts.paths.isHeld(entry);
  }

  /** It was known elsewhere, and is now at `place`; what is said from outside outranks other tunnels. */
  move(entry: Neighbor, to: Place, origin: NeighborOrigin): void {
    const { candidates, life, timers } = this.parts;
    const said = to.port.kind === "tunnel" && entry.behind === null ? candidates.saidOf(entry.iface, entry.ip) : null;
    const [place, how] = said === null ? [to, origin] : [said, "evpn" as const];
    const from = entry.place!;
    entry.moves ??= new MoveHistory();
    entry.moves.add(timers.nowMs);
    this.moves.set(place.vsi.name, (this.moves.get(place.vsi.name) ?? 0) + 1);
    this.note(entry, place, how);
    life.fire(entry, "heard");
    life.tell("info", "neighbor.moved", entry, { was: `${from.port.kind} ${from.port.name}`, from: how });
  }

  private noteChallenged(entry: Neighbor): void {
    if (this.challenged.size >= FEW_CHALLENGED)
      for (const each of this.challenged) if (each.challenger === null) this.challenged.delete(each);
    this.challenged.add(entry);
  }

  /** It was not known, and now is: at `place`. */
  accept(entry: Neighbor, place: Place, how: NeighborOrigin, step: string | null = null): void {
    this.note(entry, place, how);
    this.parts.life.fire(entry, "heard");
    this.parts.life.tell("debug", "neighbor.learned", entry, { from: how, ...(step !== null && { step }) });
  }

  /** Without a word, and without a change in the data plane. */
  note(entry: Neighbor, place: Place, how: NeighborOrigin): void {
    const nowMs = this.parts.timers.nowMs;
    const { place: before } = entry;
    if (before !== null && (before.port !== place.port || before.mac !== place.mac))
      entry.previous = { place: before, atMs: nowMs };
    entry.place = place;
    entry.origin = how;
    if (!isGiven(entry)) entry.loser = null;
    entry.heardMs = nowMs;
    entry.learnedMs = nowMs;
    entry.challenger = null;
  }
}
