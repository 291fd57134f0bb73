/**
 * EVPN for people: how the engine, the sessions and each VSI stand, what each route has become and why, and the sentences of
 * `vtepctl why`. Plain objects; api/schema-evpn.ts describes them.
 */
import { formatMac, type Mac, parseMac } from "../wire/ethernet.ts";
import { type Ipv4, parseIpv4 } from "../wire/ipv4.ts";
import type { Evpn } from "./evpn.ts";
import { type EvpnRoute, type MacRoute, nlriText, sequenceOf } from "./route.ts";
import type { Held } from "./sync.ts";
import type { Use } from "./use.ts";

const seconds = (ms: number) => Math.floor(ms / 1000);

export interface EvpnView {
  readonly engine: { readonly up: boolean; readonly api: string | null; readonly problem: string | null };
  readonly state: string;
  readonly stateSeconds: number;
  readonly routes: { readonly in: number; readonly out: number; readonly stale: number; readonly pending: number };
  readonly peers: readonly {
    readonly address: string;
    readonly as: number;
    readonly state: string;
    readonly upSince: number | null;
    readonly complete: boolean;
    readonly routes: number;
  }[];
  readonly vsis: readonly {
    readonly vsi: string;
    readonly vni: number;
    readonly rd: string;
    readonly import: readonly string[];
    readonly export: readonly string[];
    readonly vteps: number;
    readonly macs: { readonly used: number; readonly shadowed: number; readonly out: number };
    readonly ips: { readonly used: number; readonly shadowed: number; readonly out: number };
    readonly duplicates: number;
    readonly moves: { readonly in: number; readonly out: number };
  }[];
}

export function viewOf(evpn: Evpn): EvpnView {
  const { rib, engine, exporter, fabric } = evpn;
  return {
    engine: { up: engine !== null, api: engine?.api ?? null, problem: engine === null ? evpn.lastLoss : null },
    state: rib.state,
    stateSeconds: seconds(rib.stateMs),
    routes: { in: rib.size, out: exporter.size, stale: rib.stale, pending: exporter.backlog },
    peers: rib.sessions.map(({ address, as, state, upSince, isComplete }) => ({
      ...{ address, as, state, upSince, complete: isComplete },
      routes: rib.countBy(address),
    })),
    vsis: evpn.instances.map((instance) => {
      const { vsi, vni, rd, importsAuto, imports, exports } = instance;
      const vrf = evpn.vrf(vsi)!;
      const { macs, ips } = vrf.counts();
      return {
        ...{ vsi, vni, rd, import: [...(importsAuto ? [`*:${vni}`] : []), ...imports], export: [...exports] },
        vteps: fabric.countOf(vni),
        macs: { ...macs },
        ips: { ...ips },
        duplicates: vrf.duplicates.size,
        moves: { ...vrf.moves },
      };
    }),
  };
}

export interface RouteView {
  readonly type: number;
  readonly route: string;
  readonly rd: string;
  readonly nextHop: string;
  readonly peer: string | null;
  readonly direction: "in" | "out";
  readonly targets: readonly string[];
  readonly labels: readonly number[];
  readonly sequence: number | null;
  readonly sticky: boolean;
  readonly vsi: string | null;
  /** "used", "shadowed", "local", "stale", "refused: REASON", "not imported", "announced". */
  readonly state: string;
  readonly ageSeconds: number | null;
}

/** Routes of others with what has become of them, and ours. */
export function* routeViews(evpn: Evpn, nowMs: number): Generator<RouteView> {
  for (const held of evpn.rib.routes()) yield viewOfRoute(evpn, held, nowMs);
  for (const route of evpn.exporter.routes())
    yield {
      ...common(route),
      ...{ peer: null, direction: "out", state: "announced", ageSeconds: null },
      vsi: evpn.instances.find(({ rd }) => rd === route.rd)?.vsi ?? null,
    };
}

function viewOfRoute(evpn: Evpn, held: Held, nowMs: number): RouteView {
  const { route, peer, sinceMs, use } = held;
  const isStale = evpn.rib.isStale(held);
  const state = stateOf(evpn, use, route);
  return {
    ...common(route),
    ...{ peer, direction: "in", ageSeconds: seconds(nowMs - sinceMs) },
    vsi: use?.entered[0]?.instance.vsi ?? null,
    state: isStale ? `${state}, stale` : state,
  };
}

function stateOf(evpn: Evpn, use: Use | null, route: EvpnRoute): string {
  if (use === null) return "not imported";
  const [first] = use.entered;
  if (first === undefined) return `refused: ${use.refused}`;
  if (!evpn.fabric.has(first.vtep, first.instance.vni)) return "refused: vtep";
  const note = use.refused === null ? "" : `, address refused: ${use.refused}`;
  if (route.type !== 2 || route.isGateway) return `used${note}`;
  return `${evpn.vrf(first.instance.vsi)!.useOf(first.asIs as MacRoute)}${note}`;
}

function common(route: EvpnRoute) {
  const { type, rd, nextHop, targets } = route;
  return {
    ...{ type, route: nlriText(route), rd, nextHop, targets: [...targets] },
    labels: route.type === 2 ? [...route.labels] : route.type === 3 ? [route.pmsi?.label ?? 0] : [],
    sequence: route.type === 2 ? route.sequence : null,
    sticky: route.type === 2 && route.isSticky,
  };
}

export interface DuplicateView {
  readonly vsi: string;
  readonly mac: string;
  readonly moves: number;
  readonly sinceSeconds: number;
  readonly recoversInSeconds: number;
}

export function duplicateViews(evpn: Evpn, nowMs: number): DuplicateView[] {
  return evpn.instances.flatMap(({ vsi }) =>
    evpn
      .vrf(vsi)!
      .duplicates.list()
      .map(({ mac, moves, sinceMs, untilMs }) => ({
        ...{ vsi, mac: formatMac(mac), moves },
        sinceSeconds: seconds(nowMs - sinceMs),
        recoversInSeconds: seconds(Math.max(0, untilMs - nowMs)),
      })),
  );
}

/** Why a MAC, or an address, is where EVPN says: one sentence for each VSI that has a route of it. */
export function sentencesOf(
  evpn: Evpn,
  subject: { readonly mac: string } | { readonly ip: string },
  nowMs: number,
): string[] {
  return evpn.instances.flatMap(({ vsi }) => {
    const vrf = evpn.vrf(vsi)!;
    const route =
      "mac" in subject ? vrf.claimTo(parseMac(subject.mac) as Mac) : vrf.routeTo(parseIpv4(subject.ip) as Ipv4);
    if (route === null) return [];
    const held = evpn.rib.find(route);
    const by = held?.peer == null ? "" : `, by ${held.peer}`;
    const age = held === undefined ? "" : `, for ${seconds(nowMs - held.sinceMs)} s`;
    const sticky = route.isSticky ? ", sticky" : "";
    const stale = held !== undefined && evpn.rib.isStale(held) ? "; it is stale: no session vouches for it now" : "";
    const said = [
      `${"mac" in subject ? subject.mac : `${subject.ip} with MAC ${formatMac(route.mac)}`} is behind VTEP ${route.nextHop} in VSI ${vsi}: EVPN type 2 of RD ${route.rd} says so, sequence ${sequenceOf(route)}${sticky}${age}${by}${stale}.`,
    ];
    if (vrf.useOf(route) === "local")
      said.push(`A host at an AC here has that MAC, and is used instead; that one is announced.`);
    return said;
  });
}
