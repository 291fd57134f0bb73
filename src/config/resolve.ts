/**
 * A checked file becomes the plan: defaults that depend on other keys are filled in, alternatives ("vsi" or "vsis",
 * one address or a list, six ways to write an action) become one form, absent things become null.
 *
 * Runs only after every rule has been satisfied, so nothing is checked here and nothing can fail.
 */
import { parseIp } from "../control/ip.ts";
import type {
  AcConfig,
  Address,
  Address4,
  Address6,
  Config,
  InterfaceConfig,
  LimitsConfig,
  NextHopConfig,
  PolicyConfig,
  Prefix,
  RouteConfig,
  RuleAction,
  RuleConfig,
  StaticNeighbor,
  VsiConfig,
} from "../control/plan.ts";
import type { EvpnConfig, VrfConfig, VsiEvpnConfig } from "../control/plan-evpn.ts";
import type { TrackConfig } from "../control/plan-tracks.ts";
import { overheadOf } from "./rules-l2.ts";
import type { FileConfig } from "./schema.ts";
import { bfdOf } from "./schema-bfd.ts";
import { sourcePortsOf } from "./schema-workers.ts";
import { addressesOf, type FileInterface, icmpSourcesOf, linkLocalOf, neighborsOf, vsisOf } from "./subnets.ts";

export function resolve(file: FileConfig): Config {
  const { address, offload, ...underlay } = file.underlay;
  const { first, count = sourcePortsOf(file.workers) } = underlay.sourcePorts;
  const allTunnels = file.tunnels.map((tunnel) => tunnel.name);
  const gateways = new Map<string, FileInterface>();
  for (const each of file.interfaces) for (const vsi of vsisOf(each)) gateways.set(vsi, each);
  const inEvpn = new Set(file.vsis.filter((vsi) => vsi.evpn !== undefined).map(({ name }) => name));
  // An uplink (no VNI) is another network's LAN, with its own routers.
  const guarded = new Set(
    file.vsis.flatMap(({ name, vni }) => (vni !== undefined && gateways.has(name) ? [name] : [])),
  );
  const homes = new Map(file.acs.map((ac) => [ac.name, ac.vsi]));
  return {
    node: file.node,
    underlay: {
      ...underlay,
      address: address.text,
      family: address.family,
      overhead: overheadOf(address.family),
      sourcePorts: { first, count },
      acceptZeroChecksum: underlay.acceptZeroChecksum ?? underlay.checksum === "zero",
      offload: { ...offload, udpGso: offload.udpGso ?? underlay.checksum !== "zero" },
    },
    tunnels: file.tunnels.map(({ name, remote, keepalive, bfd }) => ({
      name,
      remote: remote.text,
      keepalive: keepalive ?? null,
      bfd: bfdOf(bfd, file.bfd),
    })),
    vsis: [
      ...file.vsis.map((vsi) => resolveVsi(vsi, allTunnels, gateways.get(vsi.name) ?? null, file.limits.macs)),
      ...file.vrfs.map(l3VsiOf),
    ],
    interfaces: [
      ...file.interfaces.map((each) =>
        resolveInterface(
          each,
          homes,
          file.limits.neighbors,
          vsisOf(each).some((vsi) => inEvpn.has(vsi)),
        ),
      ),
      ...file.vrfs.map((vrf) => l3InterfaceOf(vrf, file.limits.neighbors)),
    ],
    vrfs: file.vrfs,
    acs: file.acs.map((ac) => resolveAc(ac, guarded)),
    routes: file.routes.map(resolveRoute),
    policies: file.policies.map(resolvePolicy),
    nextHopProbe: file.nextHopProbe,
    tracks: file.tracks.map(resolveTrack),
    drain: { ...file.drain, track: file.drain.track ?? null },
    bfd: file.bfd ?? null,
    limits: resolveLimits(file.limits),
    evpn: resolveEvpn(file),
    workers: resolveWorkers(file.workers),
    control: { socket: file.control.socket, observe: resolveObserve(file.control.observe) },
    attach: file.attach ?? null,
    metrics: file.metrics === undefined ? null : { ...file.metrics.listen, hosts: file.metrics.hosts },
    stateDirectory: file.stateDirectory ?? null,
    log: file.log,
  };
}

function resolveLimits(limits: FileConfig["limits"]): LimitsConfig {
  const { macs, neighbors, routes, acMacs, neighbors6, routes6 } = limits;
  return {
    ...limits,
    acMacs: acMacs ?? Math.min(1024, macs),
    neighbors6: neighbors6 ?? neighbors,
    routes6: routes6 ?? routes,
  };
}

function resolveObserve(observe: FileConfig["control"]["observe"]): Config["control"]["observe"] {
  if (observe === undefined) return null;
  return typeof observe === "string" ? { socket: observe, group: null } : { ...observe, group: observe.group ?? null };
}

function resolveEvpn({ evpn, underlay }: FileConfig): EvpnConfig | null {
  if (evpn === undefined) return null;
  const peers = evpn.peers?.map(({ address, as, password }) => ({
    address: address.text,
    as,
    passwordFile: password?.file ?? null,
  }));
  const own = underlay.address.text;
  const engine = { ...evpn.engine, address: evpn.engine.address?.text ?? own };
  return { ...evpn, engine, routerId: evpn.routerId?.text ?? own, peers: peers ?? null };
}

function resolveWorkers(workers: FileConfig["workers"]): Config["workers"] {
  if (typeof workers === "number") return { count: workers, priority: "auto", cpus: null };
  return { ...workers, cpus: workers.cpus ?? null };
}

type Entry = { readonly ac?: string | undefined; readonly tunnel?: string | undefined };

function portOf({ ac, tunnel }: Entry) {
  return ac !== undefined ? ({ kind: "ac", name: ac } as const) : ({ kind: "tunnel", name: tunnel! } as const);
}

type FileVsiEvpn = NonNullable<FileConfig["vsis"][number]["evpn"]>;

/** A peer without EVPN has hosts that no route tells of: one that a table has forgotten is reached by flooding alone. */
function resolveVsiEvpn({ unknown, ...rest }: FileVsiEvpn): VsiEvpnConfig {
  return { ...rest, unknown: unknown ?? (rest.learning === "both" ? "flood" : "glean") };
}

function resolveVsi(
  vsi: FileConfig["vsis"][number],
  allTunnels: readonly string[],
  gateway: FileInterface | null,
  macs: number,
): VsiConfig {
  const evpn = vsi.evpn === undefined ? undefined : resolveVsiEvpn(vsi.evpn);
  // A tunnel of the configuration beside those that routes bring is a peer that speaks no EVPN: only a migration has such.
  const hasNoTunnels = vsi.vni === undefined || evpn?.learning === "evpn";
  // An uplink (no VNI) is somebody else's LAN: a proxy there would answer for all its hosts.
  const arp = evpn !== undefined ? "suppress" : gateway === null || vsi.vni === undefined ? "flood" : "localProxy";
  // Everything that speaks has a route, and what is silent is found by ARP.
  const isFlooded = evpn === undefined || evpn.unknown === "flood";
  return {
    name: vsi.name,
    vni: vsi.vni ?? null,
    tunnels: vsi.tunnels ?? (hasNoTunnels ? [] : allTunnels),
    interface: gateway?.name ?? null,
    arp: vsi.arp ?? arp,
    proxyArp: vsi.proxyArp,
    relay: vsi.relay,
    flood: { ...vsi.flood, unknownUnicast: vsi.flood.unknownUnicast && isFlooded },
    linkLocal: vsi.linkLocal,
    innerVlan: vsi.innerVlan,
    mac: {
      ageSeconds: vsi.mac.ageSeconds,
      limit: vsi.mac.limit ?? Math.min(8192, macs),
      static: vsi.mac.static.map((entry) => ({ mac: entry.mac, port: portOf(entry) })),
    },
    isRelayed: gateway !== null && relay4Of(gateway) !== null,
    isRelayed6: gateway !== null && relay6Of(gateway) !== null,
    evpn: evpn ?? null,
    l3vrf: null,
  };
}

/** What a VRF's VSI and VSI-interface are called; no name of a file has a colon. */
function l3Name({ l3vni }: VrfConfig): string {
  return `l3vni:${l3vni}`;
}

/** The VSI of an L3VNI: no ACs, nothing is flooded or learned in it, its tunnels come from routes. */
function l3VsiOf(vrf: VrfConfig): VsiConfig {
  const { rd, import: imports, export: exports } = vrf.evpn;
  return {
    name: l3Name(vrf),
    vni: vrf.l3vni,
    tunnels: [],
    interface: l3Name(vrf),
    arp: "flood",
    proxyArp: "immediate",
    relay: "auto",
    flood: { broadcast: false, unknownUnicast: false, multicast: false, selective: [] },
    linkLocal: "bridge",
    innerVlan: "drop",
    mac: { ageSeconds: 300, limit: 1, static: [] },
    evpn: { rd, import: imports, export: exports, learning: "evpn", unknown: "drop" },
    isRelayed: false,
    isRelayed6: false,
    l3vrf: vrf.name,
  };
}

/** The VSI-interface of an L3VNI: unnumbered, its MAC is the router's MAC. */
function l3InterfaceOf(vrf: VrfConfig, neighbors: number): InterfaceConfig {
  return {
    name: l3Name(vrf),
    vsis: [l3Name(vrf)],
    addresses: [],
    linkLocal: null,
    naSource: "gateway",
    gleanFrom: "any",
    mac: vrf.evpn.routerMac,
    distributed: true,
    vrf: vrf.name,
    mtu: "auto",
    arp: { ageSeconds: 1200, limit: Math.min(4096, neighbors), static: [] },
    icmpSource: null,
    icmpSource6: null,
    dhcpRelay: null,
    dhcpRelay6: null,
    routerAdvertisement: null,
    mssClamp: true,
  };
}

function resolveInterface(
  each: FileInterface,
  homes: ReadonlyMap<string, string>,
  neighbors: number,
  isInEvpn: boolean,
): InterfaceConfig {
  const vsis = vsisOf(each);
  const table = neighborsOf(each);
  const neighbor = (entry: (typeof table)["static"][number]): StaticNeighbor => ({
    ...entry.ip,
    mac: entry.mac,
    vsi: entry.vsi ?? (entry.ac === undefined ? vsis[0]! : homes.get(entry.ac)!),
    port: portOf(entry),
  });
  return {
    name: each.name,
    vsis,
    addresses: addressesOf(each),
    linkLocal: linkLocalOf(each),
    naSource: each.naSource,
    gleanFrom: each.gleanFrom,
    // One gateway IP with many MACs would look like a host that moves all the time.
    mac: each.mac ?? (isInEvpn ? "shared" : "auto"),
    distributed: each.distributed,
    vrf: each.vrf,
    mtu: each.mtu,
    arp: {
      ageSeconds: table.ageSeconds,
      limit: table.limit ?? Math.min(4096, neighbors),
      static: table.static.map(neighbor),
    },
    icmpSource: icmpSourcesOf(each).find((own): own is Address4 => typeof own.ip === "number") ?? null,
    icmpSource6: icmpSourcesOf(each).find((own): own is Address6 => typeof own.ip === "bigint") ?? null,
    dhcpRelay: relay4Of(each),
    dhcpRelay6: relay6Of(each),
    routerAdvertisement: each.routerAdvertisement ?? null,
    mssClamp: each.mssClamp,
  };
}

/** Each family has its own servers; where there are none, it is not relayed. */
function relay4Of({ dhcpRelay }: FileInterface): InterfaceConfig["dhcpRelay"] {
  const servers = dhcpRelay?.servers.filter((server): server is Address4 => typeof server.ip === "number") ?? [];
  return servers.length === 0 ? null : { servers, option82: dhcpRelay!.option82 };
}

function relay6Of({ dhcpRelay }: FileInterface): InterfaceConfig["dhcpRelay6"] {
  const servers = dhcpRelay?.servers.filter((server): server is Address6 => typeof server.ip === "bigint") ?? [];
  return servers.length === 0 ? null : { servers };
}

/** @param guarded the VSIs that have a gateway of ours, and where no host is a router unless its AC says so. */
function resolveAc(ac: FileConfig["acs"][number], guarded: ReadonlySet<string>): AcConfig {
  return {
    name: ac.name,
    vsi: ac.vsi,
    tap: ac.tap === undefined ? null : { ...ac.tap, netns: ac.tap.netns ?? null },
    handover: ac.handover ?? false,
    vlan: ac.vlan === "untagged" ? null : ac.vlan,
    antiSpoof: ac.antiSpoof,
    bindings: ac.bindings,
    slaac: ac.slaac,
    routerAdvertisements: ac.routerAdvertisements ?? (guarded.has(ac.vsi) ? "deny" : "allow"),
    stormPerSecond: ac.stormPerSecond,
    storm: ac.storm,
  };
}

function resolveRoute(route: FileConfig["routes"][number]): RouteConfig {
  const { vrf, prefix, nextHop, viaVrf, action, track, ...way } = route;
  if (action !== undefined) return { vrf, prefix, target: { kind: action } };
  const nextHops = tracked(way.nextHops ?? (nextHop === undefined ? [] : [alone(nextHop)]), track);
  if (viaVrf !== undefined) return { vrf, prefix, target: { kind: "vrf", vrf: viaVrf, nextHops } };
  return { vrf, prefix, target: { kind: "nextHops", nextHops } };
}

function alone(address: Address): NextHopConfig {
  return { ...address, weight: 1, priority: 1, track: null, tunnel: null };
}

/** Those that name no track of their own have the one of the route or rule. */
function tracked(hops: readonly NextHopConfig[], track: string | undefined): NextHopConfig[] {
  return hops.map((hop) => ({ ...hop, track: hop.track ?? track ?? null }));
}

function resolveTrack(track: FileConfig["tracks"][number]): TrackConfig {
  const { name, icmp, ac, interface: iface, via, intervalMs = 500, multiplier = 3 } = track;
  if (icmp === undefined) return { name, target: { kind: "ac", ac: ac! } };
  const pace = { intervalMs, multiplier };
  if (iface === undefined) return { name, target: { kind: "underlay", address: icmp.text, pace } };
  const address = { text: icmp.text, ip: parseIp(icmp.text)! };
  return { name, target: { kind: "overlay", address, interface: iface, via: via ?? null, pace } };
}

function resolvePolicy({ name, interfaces, rules }: FileConfig["policies"][number]): PolicyConfig {
  return { name, interfaces, rules: rules.map(resolveRule) };
}

const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;

function resolveRule(rule: FileConfig["policies"][number]["rules"][number]): RuleConfig {
  const { source, destination, protocol, sourcePorts, destinationPorts } = rule.match;
  return {
    match: {
      sources: listOf<Prefix>(source),
      destinations: listOf<Prefix>(destination),
      protocol: protocol === undefined ? null : typeof protocol === "number" ? protocol : PROTOCOLS[protocol],
      sourcePorts: listOf(sourcePorts),
      destinationPorts: listOf(destinationPorts),
    },
    action: actionOf(rule),
  };
}

function actionOf(rule: FileConfig["policies"][number]["rules"][number]): RuleAction {
  const onDead = rule.onDead ?? "fallThrough";
  const first = rule.nextHops ?? (rule.nextHop === undefined ? undefined : [alone(rule.nextHop)]);
  if (first !== undefined) return { kind: "nextHop", nextHops: tracked(first, rule.track), onDead };
  const second = rule.defaultNextHops ?? (rule.defaultNextHop === undefined ? undefined : [alone(rule.defaultNextHop)]);
  if (second !== undefined) return { kind: "defaultNextHop", nextHops: tracked(second, rule.track), onDead };
  return { kind: rule.drop === true || rule.action === "drop" ? "drop" : "permit" };
}

function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value as T];
}
