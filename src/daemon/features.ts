/**
 * The list of features: what the gateway is made of, for those who ask. Each brings its routes, its metrics and its examinations
 * (api/feature.ts); adding one is a line in `featuresOf`.
 */
import { addBindings } from "../api/bindings.ts";
import { addConfig, addEntries, addLog, addOffloads } from "../api/change.ts";
import { addDhcp, type DhcpServer } from "../api/dhcp.ts";
import { addDoctor } from "../api/doctor.ts";
import { ManualEntries } from "../api/entries.ts";
import type { EventFeed } from "../api/event-feed.ts";
import { addEvpn } from "../api/evpn.ts";
import type { Feature } from "../api/feature.ts";
import { addLoops } from "../api/loops.ts";
import { addRa } from "../api/ra.ts";
import type { DropCount, LogLevel } from "../api/schema.ts";
import type { Shown } from "../api/shown.ts";
import { addSnapshot } from "../api/snapshot.ts";
import { addTables, type TablesSource } from "../api/tables.ts";
import { VrfViews } from "../api/vrfs.ts";
import { fileForm } from "../config/form.ts";
import { isOwnAddress, primary4, primary6 } from "../control/inventory.ts";
import { parseIp } from "../control/ip.ts";
import { isStrict } from "../control/security/strict.ts";
import { checkDhcp } from "../doctor/dhcp.ts";
import { checkEvpn } from "../doctor/evpn.ts";
import type { RunningGateway } from "../doctor/gateway.ts";
import { checkLoops } from "../doctor/loops.ts";
import { checkLeases, checkSecurity } from "../doctor/security.ts";
import { checkVrfs } from "../doctor/vrfs.ts";
import { insight } from "../insight/feature.ts";
import { lastDropsOf } from "../insight/last-drops.ts";
import { PortDrops } from "../insight/port-drops.ts";
import type { FabricSentences } from "../insight/why.ts";
import { type HopParts, hopSentences } from "../insight/why-hops.ts";
import { securitySentences } from "../insight/why-security.ts";
import { bfd } from "../liveness/bfd/feature.ts";
import type { BfdWatch } from "../liveness/bfd/watch.ts";
import type { Drain } from "../liveness/drain.ts";
import { draining, probing } from "../liveness/feature.ts";
import { nextHops } from "../liveness/next-hops.ts";
import type { Prober } from "../liveness/prober.ts";
import { tracked, tracksOf } from "../liveness/tracks.ts";
import type { Log } from "../log/log.ts";
import { bindingRows } from "../metrics/bindings.ts";
import { dhcpRows } from "../metrics/dhcp.ts";
import { evpnHistograms, evpnRows } from "../metrics/evpn.ts";
import { type FamilySource, familyRows, neighborSizes } from "../metrics/family.ts";
import { loopRows } from "../metrics/loops.ts";
import { MEMORY_ROW, ownMemory } from "../metrics/memory.ts";
import { raRows } from "../metrics/ra.ts";
import { vrfRows } from "../metrics/vrf.ts";
import { scheduled } from "../scheduling/feature.ts";
import type { Scheduling } from "../scheduling/scheduling.ts";
import type { Control } from "./assemble.ts";
import type { EvpnMember } from "./evpn.ts";
import type { LeaseFile } from "./lease-file.ts";
import type { Reloader } from "./reload.ts";
import type { Standing } from "./status.ts";
import { offloadsOf, type Workers } from "./workers.ts";

export interface FeatureParts {
  readonly control: Control;
  readonly shown: Shown;
  readonly standing: Standing;
  readonly workers: Workers;
  readonly scheduling: Scheduling;
  readonly prober: Prober;
  readonly drain: Drain;
  readonly bfd: BfdWatch;
  readonly reloader: Reloader;
  readonly leases: LeaseFile;
  readonly feed: EventFeed;
  readonly log: Log;
  /** null: EVPN was never configured. */
  readonly evpn: () => EvpnMember | null;
  /** Begin a round of control soon: what changes control's tables ends with it. */
  readonly kick: () => void;
}

export function featuresOf(parts: FeatureParts): readonly Feature[] {
  const { control, shown, standing, workers, scheduling, prober, feed, kick } = parts;
  const { agent, injector } = control;
  const { inventory } = control.shown;
  const { node } = standing.first;
  const underlayMtu = () => standing.underlayMtu();
  const portDrops = new PortDrops(control.shown, lastDropsOf(control.shown));
  const drops = () => portDrops.beside(shown.drops());
  const offloads = () => ({
    ...offloadsOf(workers, standing.first),
    scheduling: scheduling.view(),
    memory: ownMemory(),
  });
  const vrfs = new VrfViews(control.shown, () => parts.evpn()?.source()?.view() ?? null);
  const hops = hopPartsOf(parts);
  const fabric: FabricSentences = (subject, within) => [
    ...(parts.evpn()?.sentences(subject, within) ?? []),
    ...securitySentences(agent.security, subject, within),
    ...("ip" in subject ? hopSentences(hops, subject.ip, subject.scope) : []),
  ];
  const features: Feature[] = [
    tables(parts, drops, vrfs),
    vrfFeature(parts, vrfs),
    configuration(parts.reloader),
    logging(parts.log),
    { routes: (app) => addOffloads(app, offloads) },
    scheduled(scheduling),
    { rows: [MEMORY_ROW] },
    bfd(parts.bfd),
    probing({ prober, bfd: parts.bfd, agent, inventory, shown, underlayMtu, kick }),
    nextHops(control.shown.hopStates, agent),
    tracked(
      () => control.tracks.views(),
      () => shown.config(),
    ),
    draining(parts.drain),
    insight({ control: control.shown, shown, injector, feed, node, sourcePorts: workers.sourcePorts(), fabric, kick }),
    evpn(parts),
    dhcp(parts),
    routerAdvertisements(parts),
    { rows: familyRows(familySource(control)) },
    security(parts),
    loopFeature(parts),
  ];
  const status = () => standing.status();
  const checks = features.flatMap((feature) => feature.checks ?? []);
  return [...features, doctor({ status, features: offloads, drops, shown, checks })];
}

/** What `why` tells of next hops, tracks and a drain. */
function hopPartsOf({ control, shown, drain }: FeatureParts): HopParts {
  const { inventory, hopStates } = control.shown;
  return {
    dead: () => hopStates.dead(),
    tracks: () => tracksOf(control.tracks.views(), shown.config()),
    routesTo: (ip, vrfs) => [...vrfs].flatMap((name) => shown.routeTo(name, parseIp(ip)!) ?? []),
    withdrawn: () => control.topology.staticRoutes.withdrawn(),
    draining: () => (drain.isOn ? drain.reason : null),
    isOwn: (ip) => [...inventory.interfaces.values()].some((iface) => isOwnAddress(iface, parseIp(ip)!)),
  };
}

/** What the gateway believes and counts, and entries added and removed by hand. */
function tables(
  { control, shown, standing, feed, kick }: FeatureParts,
  drops: () => DropCount[],
  vrfs: VrfViews,
): Feature {
  const entries = new ManualEntries(control.shown);
  const changed = <T>(result: T): T => {
    kick();
    return result;
  };
  const source: TablesSource = {
    status: () => standing.status(),
    vsis: () => shown.vsis(),
    hasVsi: (name) => control.shown.inventory.vsi(name) !== undefined,
    hasVrf: (name) => vrfs.has(name),
    vrfs: () => vrfs.list(),
    acs: () => shown.acs(),
    tunnels: () => shown.tunnels(),
    interfaces: () => shown.interfaces(),
    macs: () => shown.macs(),
    neighbors: () => shown.neighbors(),
    routes: () => shown.routes(),
    policies: () => shown.policies(),
    drops,
    config: () => fileForm(shown.config()),
    flushMacs: (vsi) => changed(both(shown.flushMacs(vsi), () => entries.flushMacs(vsi))),
    flushNeighbors: (iface, ip, vsi, family) =>
      changed(
        both(shown.flushNeighbors(iface, ip, vsi, family), () =>
          vsi === null ? entries.flushNeighbors(iface, ip, family) : 0,
        ),
      ),
  };
  return {
    routes(app) {
      addTables(app, source);
      addSnapshot(app, source, feed);
      addEntries(app, {
        addMac: (entry) => changed(entries.addMac(entry)),
        removeMac: (vsi, mac) => changed(entries.removeMac(vsi, mac)),
        addNeighbor: (entry) => changed(entries.addNeighbor(entry)),
      });
    },
  };
}

/** Learned entries and added ones; null: there is no such object. */
function both(learned: number | null, added: () => number): number | null {
  return learned === null ? null : learned + added();
}

/** VRFs, as they stand. */
function vrfFeature({ control, shown, evpn: member }: FeatureParts, vrfs: VrfViews): Feature {
  const { agent } = control;
  const fabric = () => {
    const source = member()?.source() ?? null;
    if (source === null) return null;
    const { state, routes } = source.view();
    const mismatches = source.refused().find(({ reason }) => reason === "vni_mismatch")?.count ?? 0;
    return { isSynced: state === "synced", routes: routes.in, mismatches };
  };
  return {
    rows: vrfRows({
      list: () => vrfs.list(),
      neighbors: () => agent.neighborCounts(),
      vrfOf: (vsi) => control.shown.inventory.vsi(vsi)?.interface?.vrfName ?? null,
    }),
    checks: [
      () => checkVrfs({ vrfs: vrfs.list(), fabric: fabric(), overlaps: [...vrfs.overlaps()], config: shown.config() }),
    ],
  };
}

/** The fabric: its routes, and how they stand. */
function evpn({ evpn: member, shown }: FeatureParts): Feature {
  return {
    routes: (app) => addEvpn(app, () => member()?.source() ?? null),
    rows: evpnRows(() => member()?.metrics() ?? null),
    histograms: evpnHistograms(() => member()?.applied() ?? []),
    conditions: () => member()?.conditions() ?? [],
    checks: [() => checkEvpn(member()?.source()?.view() ?? null, shown.config(), member()?.problems())],
    close: () => member()?.close(),
  };
}

/** The relay of clients' DHCP: its servers, and whether they answer. */
function dhcp({ control }: FeatureParts): Feature {
  const { agent } = control;
  const { interfaces } = control.shown.inventory;
  const servers = () => agent.dhcp.servers.list(interfaces.values(), agent.nowMs);
  const sourceOf = ({ interface: name, server }: DhcpServer) => {
    const config = control.shown.inventory.interface(name)?.config;
    if (config === undefined) return "the relay";
    const is6 = server.includes(":");
    const source = is6 ? (config.icmpSource6 ?? primary6(config)) : (config.icmpSource ?? primary4(config));
    return source?.text ?? "the relay";
  };
  return {
    routes: (app) => addDhcp(app, servers),
    rows: dhcpRows(
      () => agent.dhcp.counts.byName,
      () => agent.dhcp.counts6.byName,
      servers,
    ),
    checks: [() => checkDhcp(servers(), sourceOf)],
  };
}

/** Port security: bindings, and who sends from something else. */
function security({ control, leases }: FeatureParts): Feature {
  const { inventory } = control.shown;
  const { bindings, offenders } = control.agent.security;
  const list = () => bindings.list();
  const strict = () => [...inventory.acs()].filter(isStrict).map(({ name }) => name);
  return {
    routes: (app) => addBindings(app, list),
    rows: bindingRows(list),
    checks: [
      () => checkSecurity(strict(), list(), offenders.list()),
      () => checkLeases(leases.path, leases.failed, strict(), list()),
    ],
    everySecond: () => void leases.save(),
    close: () => leases.close(),
  };
}

/** What VSI-interfaces tell IPv6 hosts of themselves. */
function routerAdvertisements({ control }: FeatureParts): Feature {
  const { advertiser } = control.agent;
  const list = () =>
    advertiser.list().map(({ vsis, prefixes, dns, search, ...rest }) => ({
      ...{ ...rest, vsis: [...vsis], prefixes: [...prefixes], dns: [...dns], search: [...search] },
    }));
  return { routes: (app) => addRa(app, list), rows: raRows(() => advertiser.counts.byName) };
}

function familySource({ agent, shown }: Control): FamilySource {
  return {
    neighbors: neighborSizes(agent.neighbors),
    routes: () => shown.routes.sizes,
    icmp6: () => agent.icmp6.sent,
  };
}

/** ACs that are bridged together behind us. */
function loopFeature({ control }: FeatureParts): Feature {
  const list = () => control.shown.loops.list();
  return { routes: (app) => addLoops(app, list), rows: loopRows(list), checks: [() => checkLoops(list())] };
}

function configuration(reloader: Reloader): Feature {
  return {
    routes: (app) =>
      addConfig(app, { checkConfig: (file) => reloader.check(file), reloadConfig: () => reloader.reload() }),
    rows: [
      {
        kind: "gauge",
        name: "vtep_config_last_reload_successful",
        help: "1 if the last configuration that was offered is in force",
        labels: [],
        values: () => [[{}, reloader.last.successful ? 1 : 0]],
      },
      {
        kind: "gauge",
        name: "vtep_config_last_reload_success_timestamp_seconds",
        help: "When the configuration in force was loaded",
        labels: [],
        values: () => [[{}, reloader.last.successUnixSeconds]],
      },
    ],
  };
}

function logging(log: Log): Feature {
  const source = {
    logLevel: () => ({ level: log.level as LogLevel["level"] }),
    setLogLevel: (level: LogLevel["level"]) => log.setLevel(level),
  };
  return {
    routes: (app) => addLog(app, source),
    rows: [
      {
        kind: "counter",
        name: "vtep_log_lost_total",
        help: "Log lines that stderr did not take: its reader is stopped or gone, or its disk is full",
        labels: [],
        values: () => [[{}, log.lost]],
      },
    ],
  };
}

/** The examination of all of it; its code is loaded when one is asked for. */
const doctor = (gateway: RunningGateway): Feature => ({
  routes: (app) => addDoctor(app, { doctor: async () => (await import("../doctor/gateway.ts")).diagnose(gateway) }),
});
