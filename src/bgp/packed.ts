/**
 * Rows as they cross from the thread to main: columns of numbers, and each set of attributes once. As objects, a batch is a copy of
 * 256 routes with all their texts, made on one thread and unmade on the other, where ARP waits for it.
 *
 * Hosts are packed, and MACs alone; what is not of their shape goes beside them as it is.
 */
import { type HostAttributes, HostRoute } from "../evpn/route.ts";
import type { RouteRow } from "./engine.ts";

const HAS_ADDRESS = 1;
const IS_WITHDRAWN = 2;
/** Its row is in `others`. */
const IS_OTHER = 4;
/** Its address is in `addresses6`. */
const IS_IPV6 = 8;

export interface PackedRows {
  readonly sets: readonly HostAttributes[];
  readonly peers: readonly (string | null)[];
  readonly addresses6: readonly bigint[];
  /** By row: flags, its set, its peer, its MAC, its address, or the number of that. */
  readonly flags: Uint8Array;
  readonly set: Uint32Array;
  readonly peer: Uint32Array;
  readonly mac: Float64Array;
  readonly address: Int32Array;
  readonly others: ReadonlyMap<number, RouteRow>;
}

export function pack(rows: readonly RouteRow[]): PackedRows {
  const count = rows.length;
  const sets = new Map<HostAttributes, number>();
  const peers = new Map<string | null, number>();
  const others = new Map<number, RouteRow>();
  const flags = new Uint8Array(count);
  const [set, peer] = [new Uint32Array(count), new Uint32Array(count)];
  const [mac, address] = [new Float64Array(count), new Int32Array(count)];
  const addresses6: bigint[] = [];
  for (const [n, row] of rows.entries()) {
    const { route } = row;
    if (!(route instanceof HostRoute)) {
      flags[n] = IS_OTHER;
      others.set(n, row);
      continue;
    }
    const { host } = route;
    const kind = host === null ? 0 : typeof host === "bigint" ? HAS_ADDRESS | IS_IPV6 : HAS_ADDRESS;
    flags[n] = kind | (row.isWithdrawn ? IS_WITHDRAWN : 0);
    set[n] = numberOf(sets, route.attributes);
    peer[n] = numberOf(peers, row.peer);
    mac[n] = route.mac;
    address[n] = typeof host === "bigint" ? addresses6.push(host) - 1 : (host ?? 0);
  }
  return { sets: [...sets.keys()], peers: [...peers.keys()], addresses6, flags, set, peer, mac, address, others };
}

export function countOf({ flags }: PackedRows): number {
  return flags.length;
}

/** Rows from..to-1 of them, or fewer where they end. */
export function unpack(packed: PackedRows, from: number, to: number): RouteRow[] {
  const { sets, peers, addresses6, flags, set, peer, mac, address, others } = packed;
  const rows: RouteRow[] = [];
  for (let n = from; n < Math.min(to, flags.length); n++) {
    const flag = flags[n]!;
    if ((flag & IS_OTHER) !== 0) {
      rows.push(others.get(n)!);
      continue;
    }
    const found = (flag & IS_IPV6) === 0 ? address[n]! : addresses6[address[n]!]!;
    const route = new HostRoute(sets[set[n]!]!, mac[n]!, (flag & HAS_ADDRESS) === 0 ? null : found);
    rows.push({ route, isWithdrawn: (flag & IS_WITHDRAWN) !== 0, peer: peers[peer[n]!]! });
  }
  return rows;
}

function numberOf<T>(all: Map<T, number>, one: T): number {
  let number = all.get(one);
  if (number === undefined) {
    number = all.size;
    all.set(one, number);
  }
  return number;
}
