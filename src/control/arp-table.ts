/**
 * The ARP tables as people see them, in one order: neighbours, peer gateways (D4) and the hosts that ARP suppression answers
 * for (D14), by VSI-interface, VSI and IP.
 *
 * Grouped by names first, each a step at a time: names are compared once a group and not once a row.
 */

import { compareIp } from "./ip.ts";
import { type Neighbor, type NeighborView, viewOf, viewOfSuppressed } from "./neighbor/entry.ts";
import { type PeerGateway, viewOfPeer } from "./resolution/peer-gateway.ts";
import type { SuppressedHost } from "./resolution/suppression.ts";
import { RUN, STEP, type Stepwise, sorted } from "./sorted.ts";

type Row = Neighbor | PeerGateway | SuppressedHost;

interface Group {
  readonly iface: string;
  readonly vsi: string;
  readonly rows: Row[];
}

/** Made as they are read. `isGone`: a neighbour that is in the table no more is left out. */
export function* arpTable(
  tables: readonly Iterable<Row>[],
  compare: (a: string, b: string) => number,
  isGone: (entry: Neighbor) => boolean,
  now: () => number,
): Stepwise<NeighborView> {
  const groups = new Map<string, Group>();
  let looked = 0;
  for (const table of tables)
    for (const row of table) {
      const [iface, vsi] = namesOf(row);
      const key = `${iface} ${vsi}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { iface, vsi, rows: [row] });
      else group.rows.push(row);
      if (++looked % RUN === 0) yield STEP;
    }
  for (const group of sorted(groups.values(), (a, b) => compare(a.iface, b.iface) || compare(a.vsi, b.vsi))) {
    yield STEP;
    if (group === STEP) continue;
    for (const row of sorted(group.rows, (a, b) => compareIp(a.ip, b.ip))) {
      if (row === STEP) yield STEP;
      else if (!("state" in row && isGone(row))) yield viewOfRow(row, now());
    }
  }
}

/** Of its VSI-interface and VSI, "" where it has none. */
function namesOf(row: Row): [string, string] {
  if ("state" in row) return [row.iface.name, row.place?.vsi.name ?? ""];
  return ["iface" in row ? row.iface.name : (row.vsi.interface?.name ?? ""), row.vsi.name];
}

function viewOfRow(row: Row, nowMs: number): NeighborView {
  if ("state" in row) return viewOf(row, nowMs);
  return "tunnel" in row ? viewOfPeer(row, nowMs) : viewOfSuppressed(row, nowMs);
}
