/**
 * What the gateways know of EVPN: engine, sessions, VSIs and VTEPs, and their routes joined with the entries that each made.
 *
 * A gateway without `evpn` in its configuration answers that there is none of it, which is no fault. Routes carry no pointer to
 * an entry: what a route says (a MAC, an address, a VTEP) is looked up in the tables of the same moment.
 */
import type { MacEntry, Neighbor } from "../api/schema.ts";
import type { Evpn, EvpnDuplicate, EvpnRefused, EvpnRoute, EvpnVtep } from "../api/schema-evpn.ts";
import type { Snapshot } from "../api/schema-snapshot.ts";
import { Refusal } from "../ctl/client.ts";
import { ENGINE_STATES } from "../ctl/evpn-words.ts";
import { askGateway, MOST_ROWS } from "./answers.ts";
import type { EvpnGateway, EvpnRoutesSaid, EvpnSaid, RouteSaid } from "./said-evpn.ts";

const NOTHING = { evpn: null, vteps: [], duplicates: [], refused: [] };

/** @param nodeOf the name of the gateway behind a socket. */
export async function evpnOf(sockets: readonly string[], nodeOf: (socket: string) => string): Promise<EvpnSaid> {
  const gateways = sockets.map(async (socket): Promise<EvpnGateway> => {
    const node = nodeOf(socket);
    try {
      const evpn = await askGateway<Evpn>(socket, "/v1/evpn");
      const [vteps, duplicates, refused] = await Promise.all([
        askGateway<EvpnVtep[]>(socket, "/v1/evpn/vteps"),
        askGateway<EvpnDuplicate[]>(socket, "/v1/evpn/duplicates"),
        askGateway<EvpnRefused[]>(socket, "/v1/evpn/refused"),
      ]);
      const stateText = ENGINE_STATES[evpn.state] ?? evpn.state;
      return { node, error: null, evpn: { ...evpn, stateText }, vteps, duplicates, refused };
    } catch (error) {
      return { node, error: faultIn(error), ...NOTHING };
    }
  });
  return { gateways: await Promise.all(gateways) };
}

export async function evpnRoutesOf(
  sockets: readonly string[],
  nodeOf: (socket: string) => string,
): Promise<EvpnRoutesSaid> {
  const gateways = sockets.map(async (socket) => {
    const node = nodeOf(socket);
    try {
      const [{ vsis }, routes, vteps, tables] = await Promise.all([
        askGateway<Evpn>(socket, "/v1/evpn"),
        askGateway<EvpnRoute[]>(socket, "/v1/evpn/routes"),
        askGateway<EvpnVtep[]>(socket, "/v1/evpn/vteps"),
        askGateway<Snapshot>(socket, `/v1/snapshot?parts=macs,neighbors&limit=${MOST_ROWS}`),
      ]);
      const vniOf = new Map(vsis.map(({ vsi, vni }) => [vsi, vni]));
      const known = knownOf(vteps, tables.macs ?? [], tables.neighbors ?? []);
      const shown = routes.slice(0, MOST_ROWS).map((route): RouteSaid => {
        const { rd, direction, nextHop, vsi, state, sequence, sticky } = route;
        const entries = entriesOf(route, known);
        const vni = vsi === null ? null : (vniOf.get(vsi) ?? null);
        return { route: route.route, rd, direction, nextHop, vsi, vni, state, sequence, sticky, entries };
      });
      return { node, error: null, routes: shown, left: routes.length - shown.length };
    } catch (error) {
      return { node, error: faultIn(error), routes: [], left: 0 };
    }
  });
  return { gateways: await Promise.all(gateways) };
}

/** Null: it takes no part in EVPN. */
function faultIn(error: unknown): string | null {
  if (!(error instanceof Refusal)) throw error;
  return error.code === "not_found" ? null : error.message;
}

interface Known {
  readonly vteps: readonly EvpnVtep[];
  /** By VSI and MAC; neighbours by VSI, address and MAC. */
  readonly macs: ReadonlyMap<string, MacEntry>;
  readonly neighbors: ReadonlyMap<string, Neighbor>;
}

/** Tables of ten thousand rows, for as many routes. */
function knownOf(vteps: readonly EvpnVtep[], macs: readonly MacEntry[], neighbors: readonly Neighbor[]): Known {
  const known = { vteps, macs: new Map<string, MacEntry>(), neighbors: new Map<string, Neighbor>() };
  for (const row of macs) known.macs.set(`${row.vsi} ${row.mac}`, row);
  for (const row of neighbors) {
    const key = `${row.vsi} ${row.ip} ${row.mac}`;
    if (!known.neighbors.has(key)) known.neighbors.set(key, row);
  }
  return known;
}

/** "[2]:[0]:[48]:[02:00:00:00:01:11]:[32]:[10.1.1.11]", the last two where it has an address. */
const HOST = /^\[2\]:\[\d+\]:\[48\]:\[([0-9a-f:]{17})\](?::\[\d+\]:\[([^\]]+)\])?$/;

function entriesOf(route: EvpnRoute, { vteps, macs, neighbors }: Known): string[] {
  const { vsi, direction, type, nextHop, state } = route;
  if (direction === "in" && type === 3) {
    const tunnel = vteps.find(({ vtep }) => vtep === nextHop)?.tunnel ?? null;
    return tunnel !== null && state.startsWith("used") ? [`flooding → tunnel ${tunnel}`] : [];
  }
  const host = HOST.exec(route.route);
  if (host === null || vsi === null) return [];
  const [, mac, ip] = host;
  const isOurs = direction === "out";
  const entry = macs.get(`${vsi} ${mac}`);
  const neighbor = ip === undefined ? undefined : neighbors.get(`${vsi} ${ip} ${mac}`);
  return [
    ...(entry === undefined || !(isOurs || entry.origin === "evpn") ? [] : [`MAC ${placeText(entry.via)}`]),
    ...(neighbor === undefined ? [] : [`${ip!.includes(":") ? "ND" : "ARP"} ${ip} ${placeText(neighbor.via)}`]),
  ];
}

const placeText = (via: MacEntry["via"]): string =>
  via === null ? "nowhere" : `${via.kind === "ac" ? "at" : "→"} ${via.kind} ${via.name}`;
