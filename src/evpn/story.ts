/**
 * EVPN for people: how the engine, the sessions and each VSI stand, what each route has become and why, and the sentences of
 * `vtepctl why`. Plain objects; api/schema-evpn.ts describes them.
 */
import { formatIp, type Ip, parseIp } from "../control/ip.ts";
import { STEP, type Stepwise, sorted } from "../control/sorted.ts";
import { formatMac, type Mac, parseMac } from "../wire/ethernet.ts";
import type { SharedRouterId } from "./distinguishers.ts";
import type { Evpn } from "./evpn.ts";
import type { Instance } from "./import.ts";
import type { VrfRoute } from "./ip-vrf.ts";
import { compareRoutes, type EvpnRoute, type MacRoute, nlriText, preferenceOf, sequenceOf } from "./route.ts";
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
  readonly vrfs: readonly {
    readonly vrf: string;
    readonly l3vni: number;
    readonly rd: string;
    readonly import: readonly string[];
    readonly export: readonly string[];
    readonly routerMac: string;
    readonly vteps: number;
    readonly prefixes: { readonly in: number; readonly out: number };
  }[];
  readonly sharedRouterIds: readonly SharedRouterId[];
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
    vsis: evpn.vrfs.vsis.map((vrf) => {
      const { vsi, vni } = vrf.instance;
      const { macs, ips } = vrf.counts();
      return {
        ...{ vsi, vni, ...targetsOf(vrf.instance) },
        vteps: fabric.countOf(vni),
        macs: { ...macs },
        ips: { ...ips },
        duplicates: vrf.duplicates.size,
        moves: { ...vrf.moves },
      };
    }),
    vrfs: evpn.vrfs.vrfs.map((vrf) => {
      const { vni: l3vni, vsi } = vrf.instance;
      const { name, routerMac } = vrf.instance.vrf!;
      return {
        ...{ vrf: name, l3vni, ...targetsOf(vrf.instance), routerMac: formatMac(routerMac) },
        vteps: fabric.countOf(l3vni),
        prefixes: { in: vrf.size, out: evpn.vrfs.fixedOf(vsi) },
      };
    }),
    sharedRouterIds: evpn.sharedRouterIds(),
  };
}

function targetsOf({ vni, rd, importsAuto, imports, exports }: Instance) {
  return { rd, import: [...(importsAuto ? [`*:${vni}`] : []), ...imports], export: [...exports] };
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
  readonly localPreference: number;
  readonly sequence: number | null;
  readonly sticky: boolean;
  readonly vsi: string | null;
  /** The VRF that imports it by its L3VNI, or announces it. */
  readonly vrf: string | null;
  /** "used", "shadowed", "local", "stale", "refused: REASON", "not imported", "announced". */
  readonly state: string;
  readonly ageSeconds: number | null;
}

/** Routes of others with what has become of them, then ours, each in their order; made as they are read. */
export function* routeViews(evpn: Evpn, nowMs: () => number): Stepwise<RouteView> {
  const { rib, exporter } = evpn;
  for (const held of sorted(rib.routes(), (a, b) => compareRoutes(a.route, b.route))) {
    if (held === STEP) yield STEP;
    // What has gone since is left out.
    else if (rib.find(held.route) === held) yield viewOfRoute(evpn, held, nowMs());
  }
  for (const route of sorted(exporter.routes(), compareRoutes)) yield route === STEP ? STEP : viewOfOwn(evpn, route);
}

function viewOfOwn({ vrfs }: Evpn, route: EvpnRoute): RouteView {
  return {
    ...common(route),
    ...{ peer: null, direction: "out", state: "announced", ageSeconds: null },
    vsi: vrfs.vsis.find(({ instance }) => instance.rd === route.rd)?.instance.vsi ?? null,
    vrf: vrfs.vrfs.find(({ instance }) => instance.rd === route.rd)?.instance.vrf?.name ?? null,
  };
}

function viewOfRoute(evpn: Evpn, held: Held, nowMs: number): RouteView {
  const { route, peer, sinceSeconds, use } = held;
  const isStale = evpn.rib.isStale(held);
  const state = stateOf(evpn, use, route);
  return {
    ...common(route),
    ...{ peer, direction: "in", ageSeconds: seconds(nowMs) - sinceSeconds },
    vsi: use?.entered.find(({ instance }) => instance.vrf === null)?.instance.vsi ?? null,
    vrf: use?.entered.find(({ instance }) => instance.vrf !== null)?.instance.vrf?.name ?? null,
    state: isStale ? `${state}, stale` : state,
  };
}

/** Where both a VSI and a VRF import it, the VSI's is told. */
function stateOf(evpn: Evpn, use: Use | null, route: EvpnRoute): string {
  if (use === null) return "not imported";
  const first = use.entered.find(({ instance }) => instance.vrf === null) ?? use.entered[0];
  if (first === undefined) return `refused: ${use.refused}`;
  const { instance, vtep } = first;
  const asIs = first.asIs ?? route;
  if (!evpn.fabric.has(vtep, instance.vni)) return "refused: vtep";
  const note = use.refused === null ? "" : `, refused in part: ${use.refused}`;
  if (instance.vrf !== null) return `${evpn.vrfs.vrf(instance.vsi)!.useOf(asIs as VrfRoute)}${note}`;
  if (route.type !== 2) return `used${note}`;
  if (route.isGateway) return evpn.vrfs.isNoted(asIs) ? `used${note}` : "refused: gateway_host";
  return `${evpn.vrfs.vsi(instance.vsi)!.useOf(asIs as MacRoute)}${note}`;
}

function common(route: EvpnRoute) {
  const { type, rd, nextHop, targets } = route;
  return {
    ...{ type, route: nlriText(route), rd, nextHop, targets: [...targets] },
    labels: labelsOf(route),
    localPreference: preferenceOf(route),
    sequence: route.type === 2 ? route.sequence : null,
    sticky: route.type === 2 && route.isSticky,
  };
}

function labelsOf(route: EvpnRoute): number[] {
  if (route.type === 2) return [...route.labels];
  if (route.type === 3) return [route.pmsi?.label ?? 0];
  return route.type === 5 ? [route.label] : [];
}

export interface DuplicateView {
  readonly vsi: string;
  readonly mac: string;
  readonly moves: number;
  readonly sinceSeconds: number;
  readonly recoversInSeconds: number;
}

export function duplicateViews(evpn: Evpn, nowMs: number): DuplicateView[] {
  return evpn.vrfs.vsis.flatMap(({ instance: { vsi }, duplicates }) =>
    duplicates.list().map(({ mac, moves, sinceMs, untilMs }) => ({
      ...{ vsi, mac: formatMac(mac), moves },
      sinceSeconds: seconds(nowMs - sinceMs),
      recoversInSeconds: seconds(Math.max(0, untilMs - nowMs)),
    })),
  );
}

/** A VRF, and the VSIs in it. */
export interface Within {
  readonly vrf: string;
  readonly vsis: ReadonlySet<string>;
}

/** Why a MAC, or an address, is where EVPN says: one sentence for each VSI that has a route of it, and for each VRF. */
export function sentencesOf(
  evpn: Evpn,
  subject: { readonly mac: string } | { readonly ip: string },
  nowMs: number,
  within: Within | null = null,
): string[] {
  const inVsis = evpn.vrfs.vsis.flatMap((vrf) => {
    if (within !== null && !within.vsis.has(vrf.instance.vsi)) return [];
    const route = "mac" in subject ? vrf.claimTo(parseMac(subject.mac) as Mac) : vrf.routeTo(parseIp(subject.ip) as Ip);
    if (route === null) return [];
    const sticky = route.isSticky ? ", sticky" : "";
    const said = [
      `${"mac" in subject ? subject.mac : `${subject.ip} with MAC ${formatMac(route.mac)}`} is behind VTEP ${route.nextHop} in VSI ${vrf.instance.vsi}: EVPN type 2 of RD ${route.rd} says so, sequence ${sequenceOf(route)}${sticky}${whence(evpn, route, nowMs)}.`,
    ];
    if (vrf.useOf(route) === "local")
      said.push(`A host at an AC here has that MAC, and is used instead; that one is announced.`);
    return said;
  });
  return "mac" in subject ? inVsis : [...inVsis, ...sentencesOfVrfs(evpn, subject.ip, nowMs, within)];
}

function sentencesOfVrfs(evpn: Evpn, ip: string, nowMs: number, within: Within | null): string[] {
  return evpn.vrfs.vrfs.flatMap((vrf) => {
    const { instance } = vrf;
    if (within !== null && instance.vrf!.name !== within.vrf) return [];
    const found = vrf.match(parseIp(ip)!);
    if (found === null) return [];
    const prefix = `${formatIp(found.network)}/${found.length}`;
    return found.routes.map(
      (route) =>
        `VRF ${instance.vrf!.name} reaches ${prefix} by L3VNI ${instance.vni} at VTEP ${route.nextHop}, router's MAC ${formatMac(route.routerMac!)}: EVPN type ${route.type} of RD ${route.rd} says so${preference(route)}${whence(evpn, route, nowMs)}; what is connected, configured or heard here comes before it.`,
    );
  });
}

/** A LOCAL_PREF that is not everybody's. */
function preference(route: EvpnRoute): string {
  return route.preference === undefined ? "" : `, LOCAL_PREF ${route.preference}`;
}

/** For how long, by whom, and whether it is vouched for. */
function whence(evpn: Evpn, route: EvpnRoute, nowMs: number): string {
  const held = evpn.rib.find(route);
  const by = held?.peer == null ? "" : `, by ${held.peer}`;
  const age = held === undefined ? "" : `, for ${seconds(nowMs) - held.sinceSeconds} s`;
  const stale = held !== undefined && evpn.rib.isStale(held) ? "; it is stale: no session vouches for it now" : "";
  return `${age}${by}${stale}`;
}
