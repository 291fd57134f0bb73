/** What a route becomes: whose it is, behind which VTEP, and what of it is refused. */
import type { Beliefs } from "./beliefs.ts";
import { concerns, floodVtepOf, Importer, type Instance, isHostIp, type Refusal, refusalOf } from "./import.ts";
import type { VrfRoute } from "./ip-vrf.ts";
import { addressOf, type EvpnRoute, type MacRoute, plainOf } from "./route.ts";

/** One place where a route is entered, as far as it is used there. */
export interface Entered {
  readonly instance: Instance;
  readonly vtep: string;
  /** The route as it is used, where that is without its address; null: as it is. */
  readonly asIs: EvpnRoute | null;
}

export interface Use {
  readonly entered: readonly Entered[];
  readonly refused: Refusal | null;
}

export interface Judge {
  readonly importer: Importer;
  readonly vtep: string;
  readonly beliefs: Pick<Beliefs, "isGatewayMac" | "kindOf">;
}

/** Most uses that are kept in one copy. */
const MOST = 65_536;

/**
 * Uses by routes. Hosts of one VTEP have the same, and one copy of it: a route that is looked at again and has the same use
 * is entered already.
 */
export class Uses {
  private judge: Judge;
  private readonly known = new Map<string, Use>();
  private readonly numbers = new WeakMap<Instance, number>();
  private count = 0;

  constructor(beliefs: Judge["beliefs"]) {
    this.judge = { importer: new Importer([]), vtep: "", beliefs };
  }

  /** These import from now on. Uses by those that stay are the same ones. */
  follow(instances: readonly Instance[], vtep: string): void {
    this.judge = { ...this.judge, importer: new Importer(instances), vtep };
  }

  of(route: EvpnRoute): Use {
    return this.one(useOf(route, this.judge));
  }

  /** The copy that serves all that are alike. */
  one(use: Use): Use {
    const { entered, refused } = use;
    let name: string = refused ?? "";
    for (const { instance, vtep, asIs } of entered) {
      if (asIs !== null) return use;
      name += ` ${this.numberOf(instance)} ${vtep}`;
    }
    const known = this.known.get(name);
    if (known !== undefined) return known;
    if (this.known.size >= MOST) this.known.clear();
    this.known.set(name, use);
    return use;
  }

  private numberOf(instance: Instance): number {
    let number = this.numbers.get(instance);
    if (number === undefined) {
      number = this.count++;
      this.numbers.set(instance, number);
    }
    return number;
  }
}

/** Decide about one route. A VSI may use of it what a VRF refuses, and the other way round: the last refusal is told. */
function useOf(route: EvpnRoute, judge: Judge): Use {
  const entered: Entered[] = [];
  let refused: Refusal | null = null;
  let isForVrf = false;
  for (const instance of judge.importer.instancesOf(route.targets)) {
    if (!concerns(route, instance)) {
      isForVrf = true;
      continue;
    }
    const vtep = route.type === 3 ? floodVtepOf(route) : route.nextHop;
    const wrong = vtep === judge.vtep ? "next_hop" : refusalOf(route, instance);
    if (wrong !== null) refused = wrong;
    else if (route.type !== 2 || instance.vrf !== null) entered.push({ instance, vtep, asIs: null });
    else if (judge.beliefs.isGatewayMac(instance.vsi, route.mac)) refused = "gateway_mac";
    else {
      const bad = route.isGateway ? null : badAddress(judge, instance.vsi, route);
      if (bad !== null) refused = bad;
      entered.push({ instance, vtep, asIs: bad === null ? null : { ...(plainOf(route) as MacRoute), ip: null } });
    }
  }
  // Of a VSI's gateways that is so by design; where no VSI has it, a host with that community would be lost without a word.
  if (isForVrf && entered.length === 0 && route.type === 2 && route.isGateway) refused ??= "gateway_address";
  return { entered, refused };
}

/** What is wrong with the address of a host's route; its MAC is used all the same. */
function badAddress({ beliefs }: Judge, vsi: string, route: MacRoute): Refusal | null {
  const ip = addressOf(route);
  if (ip === null) return null;
  if (!isHostIp(ip)) return "address";
  const kind = beliefs.kindOf(vsi, ip);
  return kind === "gateway" ? "address" : kind === "foreign" ? "foreign_subnet" : null;
}

/** Is it one that becomes an entry, beside the tunnel that it needs? */
export function isEntry(route: EvpnRoute): route is VrfRoute {
  return route.type === 2 || route.type === 5;
}

export function isGateway(route: VrfRoute): route is MacRoute & { readonly isGateway: true } {
  return route.type === 2 && route.isGateway;
}
