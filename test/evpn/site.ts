/**
 * A gateway of a fabric in memory: the real EVPN over a fake engine, and beneath it the plainest table there can be: what is heard
 * at an AC comes before what is said from outside. A `World` has several of them, hosts that are somewhere, and one clock.
 */

import { type MemoryEngine, MemoryFabric } from "../../src/bgp/memory.ts";
import { formatIp, type Ip } from "../../src/control/ip.ts";
import { Timers } from "../../src/control/timers.ts";
import { deliver } from "../../src/daemon/evpn.ts";
import type { Beliefs, LocalHost } from "../../src/evpn/beliefs.ts";
import { Evpn } from "../../src/evpn/evpn.ts";
import type { MacRoute } from "../../src/evpn/route.ts";
import type { EvpnSettings } from "../../src/evpn/settings.ts";
import type { Mac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";

export const VSI = "vsi10";
export const VNI = 10;
export const L3VNI = 4001;
export const AS = 65000;
/** By which routes come that no Site of the World announces. */
export const REFLECTOR = "192.0.2.251";
const GATEWAY_MAC = 0x02005e00000a;
const ANSWER_MS = 3;

/** MAC n of a gateway that is no Site. */
export const routeOf = (n: number, fields: Partial<MacRoute> = {}): MacRoute => ({
  ...{ type: 2, rd: "192.0.2.9:10", tag: 0, nextHop: "192.0.2.9", targets: ["65000:10"], encap: 8 },
  ...{ mac: 0x020000010000 + n, ip: null, labels: [10], segment: null, sequence: null },
  ...{ isSticky: false, isGateway: false, routerMac: null, ...fields },
});

export interface Host {
  readonly mac: Mac;
  readonly ip: Ip;
  at: Site | null;
}

export class Site {
  readonly vtep: string;
  readonly engine: MemoryEngine;
  readonly heard = new Map<Mac, { ips: Set<Ip>; isSticky: boolean }>();
  readonly said = new Map<Mac, string>();
  readonly saidIps = new Map<Ip, { mac: Mac; vtep: string }>();
  /** Of the VRF. */
  readonly saidHops = new Map<string, Mac>();
  readonly saidPrefixes = new Map<string, readonly string[]>();
  mostPrefixes = Number.POSITIVE_INFINITY;
  readonly tunnels = new Map<string, number>();
  readonly gateways: [Mac, string][] = [];
  /** Addresses that were to be forgotten at an AC. */
  readonly yielded: Ip[] = [];
  readonly events: { event: string; fields: Readonly<Record<string, unknown>> }[] = [];
  readonly settings: EvpnSettings;
  evpn!: Evpn;
  /** Room in the tunnel table. */
  most = Number.POSITIVE_INFINITY;
  /** Room in the MAC table, and in that of neighbours. */
  mostMacs = Number.POSITIVE_INFINITY;
  mostIps = Number.POSITIVE_INFINITY;
  private readonly world: World;
  private life = 0;

  constructor(world: World, vtep: string, change: Partial<EvpnSettings> = {}) {
    this.world = world;
    this.vtep = vtep;
    this.settings = { ...settingsFor(vtep), ...change };
    this.engine = world.fabric.join(this.settings.routerId, AS, (event) => deliver(this.evpn, event));
    this.start();
  }

  /** The gateway's process starts (again): what it had heard is forgotten, its engine stays as it is. */
  start(): void {
    this.life++;
    const { life } = this;
    this.heard.clear();
    this.said.clear();
    this.saidIps.clear();
    this.saidHops.clear();
    this.saidPrefixes.clear();
    this.tunnels.clear();
    const { timers } = this.world;
    const emit = (_level: string, event: string, fields: Readonly<Record<string, unknown>>) =>
      void (this.life === life && this.events.push({ event, fields }));
    this.evpn?.rib.lost();
    this.evpn = new Evpn({ beliefs: this.beliefs(life), timers, emit, seed: 12345 }, this.settings);
    const { engine } = this;
    const mine = () => this.life === life;
    this.evpn.connect({
      announce: (routes) => mine() && engine.announce(routes),
      withdraw: (routes) => mine() && engine.withdraw(routes),
      resync: () => mine() && engine.resync(),
    });
  }

  /** Where this gateway would send a frame to `mac`: "here", a VTEP, or null. */
  placeOf(mac: Mac): string | null {
    return this.heard.has(mac) ? "here" : (this.said.get(mac) ?? null);
  }

  /** A host speaks at an AC here. */
  speak({ mac, ip }: Host): void {
    this.put(mac, ip, false);
  }

  put(mac: Mac, ip: Ip | null, isSticky: boolean): void {
    const known = this.heard.get(mac) ?? { ips: new Set<Ip>(), isSticky };
    this.heard.set(mac, known);
    this.evpn.macHere(VSI, mac, isSticky);
    if (ip === null || !this.heard.has(mac)) return;
    known.ips.add(ip);
    this.evpn.ipHere(VSI, ip, mac, isSticky);
  }

  /** It aged, or its AC went down. */
  age(mac: Mac): void {
    const known = this.heard.get(mac);
    if (known === undefined) return;
    this.heard.delete(mac);
    for (const ip of known.ips) this.evpn.ipGone(VSI, ip);
    this.evpn.macGone(VSI, mac);
  }

  private *locals(): Generator<LocalHost> {
    for (const [mac, { ips, isSticky }] of this.heard) {
      yield { mac, ip: null, isSticky };
      for (const ip of ips) yield { mac, ip, isSticky };
    }
  }

  countOf(event: string): number {
    return this.events.filter((each) => each.event === event).length;
  }

  private beliefs(life: number): Beliefs {
    const isMine = () => this.life === life;
    return {
      acquire: (vtep, vni) => {
        if (this.tunnels.size >= this.most) return "no bridge port is free";
        const key = `${vtep} ${vni}`;
        if (this.tunnels.has(key)) throw new Error(`${key} is acquired twice`);
        this.tunnels.set(key, 1);
        return null;
      },
      release: (vtep, vni) => {
        if (isMine() && !this.tunnels.delete(`${vtep} ${vni}`)) throw new Error(`${vtep} ${vni} was not held`);
      },
      wantMac: (_vsi, mac, vtep) => {
        if (!this.tunnels.has(`${vtep} ${VNI}`)) throw new Error(`a MAC behind ${vtep}, which has no tunnel`);
        if (!this.said.has(mac) && this.said.size >= this.mostMacs) return false;
        this.said.set(mac, vtep);
        return true;
      },
      unwantMac: (_vsi, mac) => void (isMine() && this.said.delete(mac)),
      wantIp: (_vsi, ip, mac, vtep) => {
        if (!this.saidIps.has(ip) && this.saidIps.size >= this.mostIps) return false;
        this.saidIps.set(ip, { mac, vtep });
        return true;
      },
      unwantIp: (_vsi, ip) => void (isMine() && this.saidIps.delete(ip)),
      noteGateway: (_vsi, mac, vtep) => void this.gateways.push([mac, vtep]),
      yieldHost: (_vsi, mac, ips, ask) => {
        this.yielded.push(...ips);
        if (mac === null) return;
        this.heard.delete(mac);
        if (!ask) return;
        this.world.timers.after(ANSWER_MS, () => {
          const host = this.world.hosts.find((each) => each.mac === mac);
          if (isMine() && host?.at === this) this.speak(host);
        });
      },
      kindOf: (_vsi, ip) => kindOf(ip),
      isGatewayMac: (_vsi, mac) => mac === GATEWAY_MAC,
      wantHop: (_vsi, vtep, mac) => {
        if (!this.tunnels.has(`${vtep} ${L3VNI}`)) throw new Error(`a next hop behind ${vtep}, which has no tunnel`);
        this.saidHops.set(vtep, mac);
        return true;
      },
      unwantHop: (_vsi, vtep, mac) => {
        if (!isMine()) return;
        if (this.saidHops.get(vtep) !== mac) throw new Error(`${vtep} has not that router's MAC`);
        this.saidHops.delete(vtep);
      },
      wantPrefix: (_vsi, network, length, vteps) => {
        for (const vtep of vteps) if (!this.saidHops.has(vtep)) throw new Error(`a prefix behind ${vtep}, no next hop`);
        if (this.saidPrefixes.size >= this.mostPrefixes) return false;
        this.saidPrefixes.set(`${formatIp(network)}/${length}`, vteps);
        return true;
      },
      unwantPrefix: (_vsi, network, length) =>
        void (isMine() && this.saidPrefixes.delete(`${formatIp(network)}/${length}`)),
      isUp: (vtep) => [...this.tunnels.keys()].some((key) => key.startsWith(`${vtep} `)),
      leads: () => null,
      locals: () => this.locals(),
    };
  }
}

/** Of a VSI-interface with 10.1.1.1/24 and 2001:db8:10::1/64. */
function kindOf(ip: Ip): "host" | "gateway" | "foreign" {
  if (ip === parseIpv4("10.1.1.1") || ip === parseIpv6("2001:db8:10::1")) return "gateway";
  const isInside =
    typeof ip === "number" ? (ip & 0xffffff00) === parseIpv4("10.1.1.0") : ip >> 64n === 0x20010db800100000n;
  return isInside ? "host" : "foreign";
}

export function settingsFor(vtep: string): EvpnSettings {
  return {
    vtep,
    routerId: vtep,
    staleSeconds: 180,
    duplicates: { moves: 5, seconds: 180, action: "freeze", recoverSeconds: 600 },
    limits: { vteps: 1000, routes: 200_000, announcePerSecond: 1000 },
    instances: [
      {
        vsi: VSI,
        vrf: null,
        subnets: "",
        vni: VNI,
        rd: `${vtep}:${VNI}`,
        importsAuto: true,
        imports: [],
        exports: [`${AS}:${VNI}`],
        irb: null,
      },
    ],
    gateways: [],
    prefixes: [],
  };
}

export class World {
  readonly fabric = new MemoryFabric();
  readonly timers = new Timers(0);
  readonly sites: Site[] = [];
  readonly hosts: Host[] = [];

  site(change: Partial<EvpnSettings> = {}): Site {
    const site = new Site(this, `192.0.2.${this.sites.length + 1}`, change);
    this.sites.push(site);
    return site;
  }

  host(n: number): Host {
    const host = { mac: 0x020000000100 + n, ip: parseIpv4(`10.1.1.${10 + n}`)!, at: null };
    this.hosts.push(host);
    return host;
  }

  /** Time passes, and what engines have to tell is told. */
  pass(ms: number): void {
    const until = this.timers.nowMs + ms;
    for (;;) {
      this.fabric.run();
      const now = this.timers.nowMs;
      if (now >= until) return;
      this.timers.run(Math.min(until, Math.max(now + 1, this.timers.nextDue() ?? until)));
    }
  }
}
