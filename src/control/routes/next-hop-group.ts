/**
 * Next-hop groups: routes with several next hops (ECMP).
 *
 * A worker takes the place that the flow's hash names, and the next hop that has it; places.ts deals them out, so that a flow
 * whose next hop lives keeps it, whichever other one dies or comes back (RFC 2992 §2.2 calls that disruption; here it is none).
 * When all are dead all stay: the packets then make control ask again, and answer with ICMP. When the tracks of all are down the
 * set is of no use, and its users are told so.
 *
 * A published row never changes. A change fills a new row, the routes are stored with its number, and the old row comes
 * back when the workers have passed. Some rows are kept free for that, hence MAX_SHARED_GROUPS.
 */
import { GROUP_WORDS, MAX_GROUPS } from "../../tables/fib.ts";
import { RowPool } from "../../tables/heartbeat.ts";
import type { Tables } from "../../tables/tables.ts";
import type { Timers } from "../timers.ts";
import { NO_TRACKS, type TrackStates } from "../track-states.ts";
import type { NextHops } from "./next-hops.ts";
import { type GroupMember, placesOf } from "./places.ts";

/** Most different sets of next hops. */
export const MAX_SHARED_GROUPS = MAX_GROUPS - 64;
const RETRY_MS = 1;

/** One set of next hops, shared by all routes that have it. */
export interface NextHopGroup {
  readonly key: string;
  readonly members: readonly GroupMember[];
  /** The published row. */
  row: number;
  /** Called with the new row; with 0 while the tracks of all its members are down. */
  readonly users: Set<(row: number) => void>;
}

export class NextHopGroups {
  private readonly groupsColumn: Int32Array;
  private readonly pool: RowPool;
  private readonly timers: Timers;
  private readonly nextHops: NextHops;
  readonly tracks: TrackStates;
  private readonly groups = new Map<string, NextHopGroup>();
  private readonly late = new Set<NextHopGroup>();
  private retrying = false;

  constructor(tables: Tables, timers: Timers, nextHops: NextHops, tracks: TrackStates = NO_TRACKS) {
    this.groupsColumn = tables.fib.groups;
    this.pool = new RowPool(tables.heartbeat, MAX_GROUPS);
    this.timers = timers;
    this.nextHops = nextHops;
    this.tracks = tracks;
    nextHops.onChange((adjacency) => this.republishThose((member) => member.adjacency === adjacency));
    tracks.onChange((track) => this.republishThose((member) => member.track === track));
  }

  get size(): number {
    return this.groups.size;
  }

  /** How many more there could be this moment; a row that went comes back when the workers have passed. */
  get room(): number {
    return this.pool.room;
  }

  /** Is there one of `members`, which one more user costs nothing? */
  has(members: readonly GroupMember[]): boolean {
    return this.groups.has(keyOf(members));
  }

  /** Use the group of `members`. `user` is told of each row, the first one included. */
  join(members: readonly GroupMember[], user: (row: number) => void): NextHopGroup {
    const key = keyOf(members);
    let group = this.groups.get(key);
    if (group === undefined) {
      const row = this.pool.take();
      if (row === 0) throw new Error("no next-hop group left, although the plan was checked");
      group = { key, members, row, users: new Set() };
      this.groups.set(key, group);
      this.fill(group);
    }
    group.users.add(user);
    user(this.rowOf(group));
    return group;
  }

  /** `user`'s route has another value now. */
  leave(group: NextHopGroup, user: (row: number) => void): void {
    group.users.delete(user);
    if (group.users.size > 0) return;
    this.groups.delete(group.key);
    this.late.delete(group);
    this.pool.retire(group.row);
  }

  private republishThose(isChanged: (member: GroupMember) => boolean): void {
    for (const group of this.groups.values()) if (group.members.some(isChanged)) this.republish(group);
  }

  private rowOf({ members, row }: NextHopGroup): number {
    return members.some(({ track }) => this.tracks.isUp(track ?? null)) ? row : 0;
  }

  private republish(group: NextHopGroup): void {
    const row = this.pool.take();
    if (row === 0) {
      this.late.add(group);
      this.retryLater();
      return;
    }
    this.late.delete(group);
    const old = group.row;
    group.row = row;
    this.fill(group);
    for (const user of group.users) user(this.rowOf(group));
    this.pool.retire(old);
  }

  /** All rows are taken until the workers leave their batches. */
  private retryLater(): void {
    if (this.retrying) return;
    this.retrying = true;
    this.timers.after(RETRY_MS, () => {
      this.retrying = false;
      for (const group of [...this.late]) this.republish(group);
    });
  }

  private fill({ members, row }: NextHopGroup): void {
    const { nextHops, tracks } = this;
    const places = placesOf(
      members,
      (adjacency) => nextHops.isAlive(adjacency),
      (track) => tracks.isUp(track),
    );
    this.groupsColumn.set(places, row * GROUP_WORDS);
  }
}

function keyOf(members: readonly GroupMember[]): string {
  return members
    .map(({ adjacency, weight, priority, track }) => `${adjacency}*${weight}@${priority} ${track ?? ""}`)
    .join(", ");
}
