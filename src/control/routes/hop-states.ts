/**
 * Next hops of routes and policies as people ask for them: which are dead, since when, and what goes by them.
 *
 * A tunnel that goes down may take thousands with it, so what happened is told at the end of the round, with one walk through
 * routes and rules for all.
 */
import { someNames } from "../../wire/some-names.ts";
import type { Emit } from "../event.ts";
import type { InterfaceObject, PortObject } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import type { Timers } from "../timers.ts";
import { NamedUses } from "../uses.ts";
import type { NextHops } from "./next-hops.ts";
import type { Policies } from "./policies.ts";
import type { StaticRoutes } from "./static.ts";

/** Uses that an event names; of more it tells how many. */
const NAMED = 3;

export interface HopStateParts {
  readonly nextHops: Pick<NextHops, "isAlive" | "onChange">;
  /** The port behind which one was last; null: it was never found. */
  readonly lastPort: (id: number) => PortObject | null;
  /** Next hops that routes and policies hold, by the number of their adjacency. */
  readonly held: () => Iterable<readonly [number, HeldHop]>;
  readonly policies: Pick<Policies, "hops">;
  readonly staticRoutes: Pick<StaticRoutes, "hops">;
  readonly timers: Timers;
  readonly emit: Emit;
}

/** A next hop that routes and policies hold; `behind`: the tunnel behind which it is meant. */
export interface HeldHop {
  readonly iface: InterfaceObject;
  readonly ip: Ip;
  readonly behind?: string | null;
}

/** A next hop as people ask for it. */
export interface HopState {
  readonly ip: string;
  /** The tunnel behind which it is meant, where several gateways have the address. */
  readonly tunnel: string | null;
  readonly interface: string;
  /** "policy p, rule 1", "route 0.0.0.0/0", …: some of them. */
  readonly of: readonly string[];
  /** How many there are. */
  readonly useCount: number;
  /** Not known to be dead. */
  readonly alive: boolean;
  /** It was found once; one that was not used yet is alive, and was not asked for. */
  readonly found: boolean;
  /** What took it away; null: its own silence, or nothing. */
  readonly cause: string | null;
}

/** One that is dead. */
export interface DeadHop extends HopState {
  readonly seconds: number;
}

/** "it has answered no ARP on if10 for 12 s", or what took it away. */
export function deathText({ ip, interface: iface, seconds, cause }: DeadHop): string {
  const question = ip.includes(":") ? "neighbour solicitation" : "ARP";
  return cause === null ? `it has answered no ${question} on ${iface} for ${seconds} s` : `${cause}; for ${seconds} s`;
}

export class NextHopStates {
  private readonly parts: HopStateParts;
  /** Since when each dead one is, and the port that went down with it. */
  private readonly deaths = new Map<number, { readonly ms: number; readonly port: PortObject | null }>();
  private readonly changed = new Map<number, boolean>();

  constructor(parts: HopStateParts) {
    this.parts = parts;
    parts.nextHops.onChange((id, alive) => this.note(id, alive));
  }

  dead(): DeadHop[] {
    const { nextHops, timers } = this.parts;
    const seconds = (id: number) => Math.floor((timers.nowMs - (this.deaths.get(id)?.ms ?? timers.nowMs)) / 1000);
    const isDead = (id: number) => !nextHops.isAlive(id);
    return this.statesOf(isDead).map(([id, state]) => ({ ...state, seconds: seconds(id) }));
  }

  /** All that routes and policies hold. */
  list(): HopState[] {
    return this.statesOf(() => true).map(([, state]) => state);
  }

  private statesOf(isMeant: (id: number) => boolean): [number, HopState][] {
    const found = [...this.parts.held()].filter(([id]) => isMeant(id));
    const uses = this.usesOf(new Set(found.map(([id]) => id)));
    const { nextHops, lastPort } = this.parts;
    return found.map(([id, { iface, ip, behind = null }]) => {
      const { names: of, count: useCount } = uses.get(id)!;
      const alive = nextHops.isAlive(id);
      const state = { alive, found: lastPort(id) !== null, cause: alive ? null : this.causeOf(id) };
      return [id, { ip: formatIp(ip), tunnel: behind, interface: iface.name, of, useCount, ...state }];
    });
  }

  /** The port behind which it was, as long as that is not back: it took the next hop with it. */
  private causeOf(id: number): string | null {
    const port = this.deaths.get(id)?.port;
    if (port == null || port.up) return null;
    if (port.kind === "ac") return `AC ${port.name} is down`;
    return port.draining ? `the gateway behind tunnel ${port.name} leaves` : `tunnel ${port.name} is down`;
  }

  /** Held next hops by VSI-interface. */
  counts(): Map<string, { alive: number; dead: number }> {
    const { nextHops, held } = this.parts;
    const all = new Map<string, { alive: number; dead: number }>();
    for (const [id, { iface }] of held()) {
      let count = all.get(iface.name);
      if (count === undefined) all.set(iface.name, (count = { alive: 0, dead: 0 }));
      count[nextHops.isAlive(id) ? "alive" : "dead"]++;
    }
    return all;
  }

  private note(id: number, alive: boolean): void {
    const { timers } = this.parts;
    if (alive) this.deaths.delete(id);
    else this.deaths.set(id, { ms: timers.nowMs, port: this.parts.lastPort(id) });
    if (this.changed.size === 0) timers.after(0, () => this.tell());
    // Both ways within the round: nothing has changed.
    if (!this.changed.delete(id)) this.changed.set(id, alive);
  }

  private tell(): void {
    const { emit } = this.parts;
    const changed = new Map(this.changed);
    this.changed.clear();
    const uses = this.usesOf(new Set(changed.keys()));
    const hops = new Map(this.parts.held());
    for (const id of this.deaths.keys()) if (!hops.has(id)) this.deaths.delete(id);
    for (const [id, alive] of changed) {
      const hop = hops.get(id);
      if (hop === undefined) continue;
      const { names, count } = uses.get(id)!;
      const { iface, ip, behind } = hop;
      const fields = { interface: iface.name, nextHop: formatIp(ip), ...(behind != null && { tunnel: behind }) };
      const cause = alive ? null : this.causeOf(id);
      emit(alive ? "info" : "warn", alive ? "next-hop.alive" : "next-hop.dead", {
        ...fields,
        of: someNames(names, count, NAMED),
        ...(cause !== null && { cause }),
      });
    }
  }

  private usesOf(wanted: ReadonlySet<number>): Map<number, NamedUses> {
    const uses = new Map([...wanted].map((id) => [id, new NamedUses()]));
    if (wanted.size === 0) return uses;
    for (const { of, adjacency } of this.parts.policies.hops()) {
      const known = uses.get(adjacency);
      if (known?.more() === true) known.names.push(of);
    }
    for (const { prefix, hops } of this.parts.staticRoutes.hops())
      for (const { adjacency } of hops) {
        const known = uses.get(adjacency);
        if (known?.more() === true) known.names.push(`route ${prefix.text}`);
      }
    return uses;
  }
}
