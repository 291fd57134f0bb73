/** The VSIs and VRFs that take part, each by the name of its VSI: the hosts or prefixes of each, and what of ours is no host's. */
import type { Timers } from "../control/timers.ts";
import type { Mac } from "../wire/ethernet.ts";
import type { Beliefs } from "./beliefs.ts";
import type { DuplicateRules } from "./duplicates.ts";
import type { Exporter } from "./export.ts";
import type { Instance, Refusal } from "./import.ts";
import { IpVrf } from "./ip-vrf.ts";
import { MacVrf, type MacVrfParts } from "./mac-vrf.ts";
import { gatewayRouteOf, multicastRouteOf, prefixRouteOf } from "./own-routes.ts";
import { type EvpnRoute, keyOf } from "./route.ts";
import type { EvpnSettings } from "./settings.ts";
import { isEntry, isGateway } from "./use.ts";

/** A gateway of others. */
interface Gateway {
  readonly vsi: string;
  readonly mac: Mac;
  readonly vtep: string;
  /** Its MAC is a host's. */
  isRefused: boolean;
}

/** Gateways' routes that are told of again, and how many of them in a second, in turn: the tables forget a gateway that is silent for an hour. */
const MOST_GATEWAYS = 4096;
const GATEWAYS_AT_ONCE = 64;

export interface VrfsParts {
  readonly beliefs: Beliefs;
  readonly exporter: Exporter;
  readonly timers: Timers;
  readonly tell: MacVrfParts["tell"];
  /** A route of a VRF found no room. */
  readonly full: () => void;
  readonly refuse: (reason: Refusal, route: EvpnRoute) => void;
}

export class Vrfs {
  private readonly parts: VrfsParts;
  private readonly macVrfs = new Map<string, MacVrf>();
  private readonly ipVrfs = new Map<string, IpVrf>();
  /** Routes of gateways, and where each is. */
  private readonly gateways = new Map<EvpnRoute, Gateway>();
  /** VSIs that leave: they announce nothing any more. */
  private readonly silent = new Set<string>();
  /** Keys of routes of ours that are no host's, by VSI. */
  private readonly fixed = new Map<string, string[]>();

  constructor(parts: VrfsParts) {
    this.parts = parts;
  }

  /** The L2 domains. */
  get vsis(): readonly MacVrf[] {
    return [...this.macVrfs.values()];
  }

  get vrfs(): readonly IpVrf[] {
    return [...this.ipVrfs.values()];
  }

  vsi(name: string): MacVrf | undefined {
    return this.macVrfs.get(name);
  }

  /** The VSI as hosts at its ACs are told to it; undefined: it takes no part, or leaves. */
  hears(name: string): MacVrf | undefined {
    return this.silent.has(name) ? undefined : this.macVrfs.get(name);
  }

  /** @param vsi the VSI of its L3VNI. */
  vrf(vsi: string): IpVrf | undefined {
    return this.ipVrfs.get(vsi);
  }

  /** How many routes of ours a VSI or an L3VNI has that are no host's. */
  fixedOf(vsi: string): number {
    return this.fixed.get(vsi)?.length ?? 0;
  }

  names(): string[] {
    return [...this.macVrfs.keys(), ...this.ipVrfs.keys()];
  }

  find(vsi: string): MacVrf | IpVrf | undefined {
    return this.macVrfs.get(vsi) ?? this.ipVrfs.get(vsi);
  }

  setDuplicateRules(rules: DuplicateRules): void {
    for (const vrf of this.macVrfs.values()) vrf.duplicates.rules = rules;
  }

  add(instance: Instance, vtep: string, rules: DuplicateRules): void {
    const { beliefs, exporter, timers, tell, full } = this.parts;
    if (instance.vrf !== null) {
      this.ipVrfs.set(instance.vsi, new IpVrf({ instance, beliefs, full }));
      return;
    }
    const vrf = new MacVrf({ instance, vtep, beliefs, exporter, rules, tell, nowMs: () => timers.nowMs });
    this.macVrfs.set(instance.vsi, vrf);
    this.relist(instance.vsi);
  }

  /** It is about to leave: all that it announced is taken back. */
  silence(vsi: string): void {
    this.silent.add(vsi);
    this.macVrfs.get(vsi)?.silence();
    this.fix(vsi, []);
  }

  /** All that is at the VSI's ACs now is looked at. */
  relist(vsi: string): void {
    const vrf = this.hears(vsi);
    if (vrf === undefined) return;
    const locals = [...this.parts.beliefs.locals(vsi)];
    vrf.keepOnly(locals);
    for (const { mac, ip, isSticky } of locals) {
      if (ip === null) vrf.macHere(mac, isSticky);
      else vrf.ipHere(ip, mac, isSticky);
    }
  }

  /** Routes that it imports are gone already. */
  remove(vsi: string): void {
    this.find(vsi)?.close();
    this.fix(vsi, []);
    this.fixed.delete(vsi);
    this.silent.delete(vsi);
    this.macVrfs.delete(vsi);
    this.ipVrfs.delete(vsi);
  }

  /** A route that `instance` imports, behind `vtep`. @returns false: there are too many like it. */
  addRoute({ vsi, vrf }: Instance, vtep: string, route: EvpnRoute): boolean {
    if (!isEntry(route)) return true;
    if (vrf !== null) return this.ipVrfs.get(vsi)!.addRoute(route);
    if (isGateway(route)) {
      const gateway = { vsi, mac: route.mac, vtep, isRefused: false };
      if (this.gateways.size < MOST_GATEWAYS) this.gateways.set(route, gateway);
      this.note(route, gateway);
    } else if (route.type === 2) return this.macVrfs.get(vsi)!.addRoute(route);
    return true;
  }

  removeRoute({ vsi, vrf }: Instance, route: EvpnRoute): void {
    if (!isEntry(route)) return;
    if (isGateway(route)) {
      if (this.gateways.get(route)?.vsi === vsi) this.gateways.delete(route);
    } else if (vrf !== null) this.ipVrfs.get(vsi)?.removeRoute(route);
    else if (route.type === 2) this.macVrfs.get(vsi)?.removeRoute(route);
  }

  /** Announce what is no host's: our part in flooding, gateway addresses, prefixes. */
  announce({ instances, gateways, prefixes, vtep }: EvpnSettings): void {
    for (const instance of instances) {
      const { vsi, vrf } = instance;
      if (vrf !== null) {
        const own = prefixes.filter((prefix) => prefix.vrf === vrf.name);
        this.fix(
          vsi,
          own.map(({ network, length }) => prefixRouteOf(instance, vtep, network, length)),
        );
      } else {
        const own = gateways.filter((gateway) => gateway.vsi === vsi);
        const routes = own.map(({ mac, ip }) => gatewayRouteOf(instance, vtep, mac, ip));
        this.fix(vsi, [multicastRouteOf(instance, vtep), ...routes]);
      }
    }
  }

  /** Once a second. */
  tick(): void {
    for (const vrf of this.macVrfs.values()) vrf.tick();
    for (const vrf of this.ipVrfs.values()) vrf.tick();
    let left = Math.min(GATEWAYS_AT_ONCE, this.gateways.size);
    for (const [route, gateway] of this.gateways) {
      if (left-- === 0) break;
      this.gateways.delete(route);
      this.gateways.set(route, gateway);
      this.note(route, gateway);
    }
  }

  /** Does the route of a gateway count? Its MAC may be a host's. */
  isNoted(route: EvpnRoute): boolean {
    return this.gateways.get(route)?.isRefused !== true;
  }

  /** Frames to a gateway's MAC are routed; where a peer says so of a host's MAC, that host would be lost to all here. */
  private note(route: EvpnRoute, gateway: Gateway): void {
    const { vsi, mac, vtep, isRefused } = gateway;
    gateway.isRefused = this.macVrfs.get(vsi)?.isHost(mac) ?? false;
    if (!gateway.isRefused) this.parts.beliefs.noteGateway(vsi, mac, vtep);
    else if (!isRefused) this.parts.refuse("gateway_host", route);
  }

  private fix(vsi: string, routes: readonly EvpnRoute[]): void {
    const { exporter } = this.parts;
    const keys = routes.map(keyOf);
    const kept = new Set(keys);
    for (const key of this.fixed.get(vsi) ?? []) if (!kept.has(key)) exporter.unset(key);
    for (const route of routes) exporter.set(route);
    this.fixed.set(vsi, keys);
  }
}
