/**
 * Duplicate addresses: one IP that two hosts have, at one site or at two.
 *
 * A host that moved looks the same at first: its address comes from another place. What tells them apart is whether the old
 * place is alive. So when a claim contradicts what is known (an announcement, a request that a peer relayed, a reply, or an
 * address probe for an address in use), both places are asked by unicast a second later, when a move has been believed
 * everywhere and the gateway at the old site does not answer for the host any more. Two answers are a duplicate.
 *
 * An answer from the place that is not believed counts here and goes no further, so that asking moves nothing. The address
 * that all distributed gateways share, as a Border hears it, is no duplicate: none of them answers for it over a tunnel (D15).
 *
 * Bounded: so many addresses are looked at, and of them so many that one AC or tunnel claims, or a tenant could make duplicates
 * until there is no room for a real one; the same address ever more seldom while it turns out to be a move.
 */
import { formatMac } from "../../wire/ethernet.ts";
import { type Emit, portText } from "../event.ts";
import type { InterfaceObject, PortObject } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import { neighborKey } from "../neighbor/adjacency.ts";
import { type Place, samePlace } from "../neighbor/entry.ts";
import type { Timers } from "../timers.ts";
import type { MessageSender } from "./sender.ts";

/** A move is believed within this time, by the gateway at the old place too (§3.11). */
export const ASK_AFTER_MS = 1000;
const ANSWER_MS = 1000;
/** A duplicate is looked at again so often; it is over when it was not one twice. */
export const LOOK_AGAIN_MS = 60_000;
const QUIET_MS = 10_000;
const QUIET_MAX_MS = 600_000;
export const SUSPECTS = 256;
/** Of them claimed by way of one AC, and of one tunnel, which stands for a site. */
export const SUSPECTS_OF = { ac: 16, tunnel: 64 } as const;

interface Suspect {
  readonly key: Ip;
  readonly iface: InterfaceObject;
  readonly ip: Ip;
  /** Where it was known, and where else it is claimed to be. */
  places: readonly [Place, Place];
  /** The second one only asked whether the address is free: it has none to answer for. */
  isProbe: boolean;
  /** Which of them answered, while they are asked. */
  answers: [boolean, boolean] | null;
  /** A question is on its way, or will be. */
  isPending: boolean;
  /** Since when it is a duplicate. */
  confirmedMs: number | null;
  misses: number;
  quietMs: number;
  quietUntilMs: number;
}

/** A duplicate address for people. */
export interface DuplicateView {
  readonly interface: string;
  readonly vsi: string;
  readonly ip: string;
  readonly places: readonly { readonly mac: string; readonly via: string }[];
  readonly isProbe: boolean;
  readonly seconds: number;
}

export class DuplicateAddresses {
  private readonly timers: Timers;
  private readonly sender: MessageSender;
  private readonly emit: Emit;
  private readonly suspects = new Map<Ip, Suspect>();

  constructor(timers: Timers, sender: MessageSender, emit: Emit) {
    this.timers = timers;
    this.sender = sender;
    this.emit = emit;
  }

  /** `ip`, known at `known`, is claimed to be at `claim`, or (`isProbe`) asked for by a host there that would like to have it. */
  suspect(iface: InterfaceObject, ip: Ip, known: Place, claim: Place, isProbe = false): void {
    const key = neighborKey(iface, ip);
    const nowMs = this.timers.nowMs;
    let suspect = this.suspects.get(key);
    if (suspect === undefined) {
      if (!this.makeRoom(claim.port)) return;
      suspect = {
        ...{ key, iface, ip, places: [known, claim], isProbe, answers: null, isPending: false },
        ...{ confirmedMs: null, misses: 0, quietMs: QUIET_MS, quietUntilMs: nowMs },
      };
      this.suspects.set(key, suspect);
    }
    if (suspect.isPending || nowMs < suspect.quietUntilMs) return;
    suspect.places = [known, claim];
    suspect.isProbe = isProbe;
    this.askIn(suspect, ASK_AFTER_MS);
  }

  /** A reply from `ip` came from `place`. @returns true if that answers our question, and `place` is one of the two. */
  answered(iface: InterfaceObject, ip: Ip, place: Place): boolean {
    const suspect = this.suspects.get(neighborKey(iface, ip));
    if (suspect === undefined || suspect.answers === null) return false;
    const i = suspect.places.findIndex((each) => samePlace(each, place));
    if (i < 0) return false;
    suspect.answers[i as 0 | 1] = true;
    return true;
  }

  /** The duplicates of this moment. */
  list(): DuplicateView[] {
    const nowMs = this.timers.nowMs;
    return [...this.suspects.values()]
      .filter(({ confirmedMs }) => confirmedMs !== null)
      .map(({ iface, ip, places, isProbe, confirmedMs }) => ({
        interface: iface.name,
        vsi: places[1].vsi.name,
        ip: formatIp(ip),
        places: places.map(({ mac, port }) => ({ mac: formatMac(mac), via: portText(port) })),
        isProbe,
        seconds: Math.floor((nowMs - confirmedMs!) / 1000),
      }));
  }

  /** A port, a VSI or a VSI-interface is no more, or not what it was. */
  forget(isMeant: (iface: InterfaceObject, place: Place) => boolean): void {
    for (const { key, iface, places } of this.suspects.values())
      if (places.some((place) => isMeant(iface, place))) this.suspects.delete(key);
  }

  private askIn(suspect: Suspect, delayMs: number): void {
    suspect.isPending = true;
    this.timers.after(delayMs, () => {
      if (this.suspects.get(suspect.key) !== suspect) return;
      suspect.answers = [false, suspect.isProbe];
      for (const [i, place] of suspect.places.entries())
        if (place.port.up && !(i === 1 && suspect.isProbe)) this.ask(suspect, place);
      this.timers.after(ANSWER_MS, () => this.judge(suspect));
    });
  }

  private ask({ iface, ip }: Suspect, { vsi, port, mac }: Place): void {
    // A gateway vouches for its hosts for minutes; asked like this, it asks the host first.
    if (port.kind === "tunnel") this.sender.probe(iface, vsi, port, mac, ip);
    else this.sender.ask(iface, vsi, port, mac, ip);
  }

  private judge(suspect: Suspect): void {
    if (this.suspects.get(suspect.key) !== suspect) return;
    const isDuplicate = suspect.answers!.every((each) => each);
    suspect.answers = null;
    suspect.isPending = isDuplicate;
    if (isDuplicate) this.confirm(suspect);
    else if (suspect.confirmedMs !== null) this.miss(suspect);
    else this.calm(suspect);
  }

  private confirm(suspect: Suspect): void {
    suspect.misses = 0;
    if (suspect.confirmedMs === null) {
      suspect.confirmedMs = this.timers.nowMs;
      this.tell("warn", "neighbor.duplicate", suspect);
    }
    // One that only asks and is told that the address is taken looks for another one.
    if (suspect.isProbe)
      this.timers.after(LOOK_AGAIN_MS, () => {
        if (this.suspects.get(suspect.key) === suspect) this.suspects.delete(suspect.key);
      });
    else this.askIn(suspect, LOOK_AGAIN_MS);
  }

  private miss(suspect: Suspect): void {
    if (++suspect.misses < 2) {
      this.askIn(suspect, LOOK_AGAIN_MS / 6);
      return;
    }
    this.suspects.delete(suspect.key);
    this.tell("info", "neighbor.duplicate-over", suspect);
  }

  /** It moved, or is a gateway's: the next claim is looked at later, and forgotten if none comes. */
  private calm(suspect: Suspect): void {
    suspect.quietUntilMs = this.timers.nowMs + suspect.quietMs;
    suspect.quietMs = Math.min(QUIET_MAX_MS, suspect.quietMs * 2);
    // Behind the others: the one that was suspected longest ago makes room.
    this.suspects.delete(suspect.key);
    this.suspects.set(suspect.key, suspect);
  }

  /** Room for one more that is claimed by way of `port`. @returns false: it has its share, and all of that is being looked at. */
  private makeRoom(port: PortObject): boolean {
    let share = 0;
    for (const { places } of this.suspects.values()) if (places[1].port === port) share++;
    if (share >= SUSPECTS_OF[port.kind]) return this.forgetOne(port);
    return this.suspects.size < SUSPECTS || this.forgetOne(null);
  }

  /** Forget the one that is not looked at for the longest; `port`: of those that are claimed by way of it. */
  private forgetOne(port: PortObject | null): boolean {
    for (const { key, isPending, places } of this.suspects.values())
      if (!isPending && (port === null || places[1].port === port)) return this.suspects.delete(key);
    return false;
  }

  private tell(
    level: "info" | "warn",
    event: "neighbor.duplicate" | "neighbor.duplicate-over",
    suspect: Suspect,
  ): void {
    const { iface, ip, places, isProbe } = suspect;
    const [known, claim] = places;
    this.emit(level, event, {
      ...{ interface: iface.name, vsi: claim.vsi.name, ip: formatIp(ip) },
      ...{
        mac: formatMac(known.mac),
        at: portText(known.port),
        other: formatMac(claim.mac),
        otherAt: portText(claim.port),
      },
      ...(isProbe && { why: "address probe" }),
    });
  }
}
