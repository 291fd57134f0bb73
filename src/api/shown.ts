/**
 * What the API shows: control's views with the numbers of the counter blocks beside them, sorted.
 *
 * Everything is computed when it is asked for; nothing is kept. Names sort as people expect (vsi2 before vsi10), addresses
 * by value, rules and flood order stay as they are.
 */
import { getSystemErrorMap } from "node:util";
import type { Agent } from "../control/agent.ts";
import type { Inventory, PortObject, TunnelPort } from "../control/inventory.ts";
import { type Family, type Ip, parseIp } from "../control/ip.ts";
import type { MacLimitView } from "../control/mac/limits.ts";
import type { LoopWatch } from "../control/mac/loops.ts";
import type { NeighborView } from "../control/neighbor/entry.ts";
import type { Config } from "../control/plan.ts";
import type { DuplicateView } from "../control/resolution/duplicates.ts";
import type { BypassedHop, Bypasses } from "../control/routes/bypass.ts";
import type { NextHopStates } from "../control/routes/hop-states.ts";
import type { Routes } from "../control/routes/routes.ts";
import type { NextHopState } from "../control/routes/static.ts";
import { STEP, type Stepwise } from "../control/sorted.ts";
import type { AttachWatch } from "../control/topology/attach-watch.ts";
import type { Topology } from "../control/topology/topology.ts";
import {
  acViews,
  type Counted,
  interfaceViews,
  policyViews,
  type RouteParts,
  type RouteView,
  routeView,
  routeViews,
  TURNED_AWAY,
  tunnelViews,
  vsiViews,
} from "../control/topology/views.ts";
import {
  CONTROL_CONSUMED,
  CONTROL_DRAINED,
  CONTROL_REINJECTED,
  DROPS,
  imbalance,
  RX_BYTES,
  RX_PACKETS,
  sumOf,
  TX_BYTES,
  TX_PACKETS,
  total,
} from "../tables/counters.ts";
import type { Tables } from "../tables/tables.ts";
import { byText } from "./by-text.ts";
import { actionText, matchText } from "./rule-text.ts";
import type * as schema from "./schema.ts";
import type { BfdSession } from "./schema-bfd.ts";

/** The parts of control that can be looked at. */
export interface ShownParts {
  readonly tables: Tables;
  readonly inventory: Inventory;
  readonly topology: Topology;
  readonly routes: Routes;
  readonly agent: Agent;
  readonly bypasses: Bypasses;
  readonly hopStates: NextHopStates;
  readonly attachWatch: AttachWatch;
  readonly loops: LoopWatch;
}

const byName = (a: { readonly name: string }, b: { readonly name: string }) => byText(a.name, b.name);

export class Shown {
  private readonly parts: ShownParts;
  private readonly prober: { view(tunnel: PortObject): schema.Tunnel["probe"] };
  private readonly bfd: { view(tunnel: TunnelPort): BfdSession | null };

  constructor(
    parts: ShownParts,
    prober: { view(tunnel: PortObject): schema.Tunnel["probe"] },
    bfd: { view(tunnel: TunnelPort): BfdSession | null } = { view: () => null },
  ) {
    this.parts = parts;
    this.prober = prober;
    this.bfd = bfd;
  }

  vsis(): schema.Vsi[] {
    const { inventory, topology, agent } = this.parts;
    const counts = agent.macs.counts();
    return vsiViews(inventory, topology.counted)
      .map(({ name, row, countedBefore, vni, interface: iface, arp, acs, tunnels }) => {
        const count = counts.get(name);
        return {
          name,
          vni,
          interface: iface,
          arp: arp as schema.Vsi["arp"],
          acs: [...acs].sort(byText),
          tunnels: [...tunnels].sort(byText),
          macs: count === undefined ? 0 : count.local + count.remote + count.static,
          ...this.traffic("vsis", row, countedBefore),
        };
      })
      .sort(byName);
  }

  acs(): schema.Ac[] {
    const { inventory, topology } = this.parts;
    return acViews(inventory, topology.counted)
      .map(({ name, row, countedBefore, vsi, tap, vlan, mtu, up, linkDown }) => ({
        name,
        vsi,
        device: tap?.device ?? null,
        netns: tap?.netns ?? null,
        vlan,
        mtu,
        up,
        linkDown,
        ...this.traffic("ports", row, countedBefore),
      }))
      .sort(byName);
  }

  tunnels(): schema.Tunnel[] {
    const { inventory, topology } = this.parts;
    return tunnelViews(inventory, topology.counted)
      .map(({ name, row, countedBefore, remote, up, draining, lingering, mtu, vsis }) => {
        const port = inventory.tunnel(name)!;
        const probe = this.prober.view(port);
        const bfd = this.bfd.view(port);
        const watchedBy = watcherOf(probe, bfd);
        return {
          name,
          remote,
          up,
          state: !up ? ("down" as const) : watchedBy === null ? ("unwatched" as const) : ("up" as const),
          draining,
          lingering,
          watchedBy,
          mtu,
          vsis: [...vsis].sort(byText),
          probe,
          bfd,
          turnedAway:
            sumOf(this.parts.tables.counters, (block) => block.turnedAway[row]!) - countedBefore[TURNED_AWAY]!,
          ...this.traffic("ports", row, countedBefore),
        };
      })
      .sort(byName);
  }

  interfaces(): schema.Interface[] {
    const { inventory, topology, agent } = this.parts;
    const policies = new Map(
      topology.policies.list().flatMap(({ name, interfaces }) => interfaces.map((iface) => [iface, name])),
    );
    return interfaceViews(inventory)
      .map(({ name, vsis, addresses, mac, vrf, distributed, mtu }) => ({
        name,
        vsis: [...vsis],
        addresses: [...addresses],
        mac,
        vrf,
        distributed,
        mtu,
        policy: policies.get(name) ?? null,
        neighbors: agent.neighborsOn(inventory.interface(name)!),
      }))
      .sort(byName);
  }

  /** By VSI and MAC; made as they are read. */
  macs(): Stepwise<schema.MacEntry> {
    return this.parts.agent.macs.sorted(byText);
  }

  /** By VSI-interface, VSI and IP; made as they are read. */
  *neighbors(): Stepwise<schema.Neighbor> {
    for (const row of this.parts.agent.arpTable(byText))
      yield row === STEP ? STEP : neighborOf(row, this.parts.inventory);
  }

  /** By VRF and prefix; made as they are read. */
  *routes(): Stepwise<schema.Route> {
    // Thousands of routes have the same next hop.
    const known = new Map<string, string | null>();
    const bypassedBy = (vrf: string, ip: string) => {
      const key = `${vrf} ${ip}`;
      const tunnel = known.has(key) ? known.get(key)! : this.bypassedBy(vrf, ip);
      known.set(key, tunnel);
      return tunnel;
    };
    for (const route of routeViews(this.routeParts(), byText)) yield route === STEP ? STEP : routeOf(route, bypassedBy);
  }

  /** The route that a packet to `ip` takes in VRF `name`; null: none. */
  routeTo(name: string, ip: Ip): schema.Route | null {
    const parts = this.routeParts();
    for (const [row, vrf] of parts.vrfNames) {
      const entry = vrf === name ? parts.routes.match(row, ip) : null;
      if (entry !== null) return routeOf(routeView(parts, entry), (of, hop) => this.bypassedBy(of, hop));
    }
    return null;
  }

  private routeParts(): RouteParts {
    const { tables, inventory, routes, topology } = this.parts;
    return { tables, inventory, routes, hops: topology, vrfNames: topology.interfaces.vrfNames() };
  }

  /** Routes by VRF and origin. */
  routeEntries(): Map<string, Record<string, number>> {
    const { routes, topology } = this.parts;
    const names = topology.interfaces.vrfNames();
    const all = new Map<string, Record<string, number>>();
    for (const [vrf, counts] of routes.countsByOrigin()) all.set(names.get(vrf) ?? String(vrf), counts);
    return all;
  }

  policies(): schema.Policy[] {
    const { tables, topology } = this.parts;
    return policyViews(topology.policies)
      .map(({ name, interfaces, rules }) => ({
        name,
        interfaces: [...interfaces],
        rules: rules.map(({ row, countedBefore, match, action, alive, nextHops }) => ({
          match: matchText(match),
          action: actionText(action),
          alive,
          ...this.hopsOf(this.vrfOf(interfaces), nextHops),
          hits: sumOf(tables.workerCounters, (block) => block.rules[row]!) - countedBefore,
        })),
      }))
      .sort(byName);
  }

  /** Next hops that do not see their packets. */
  bypassed(): readonly BypassedHop[] {
    return this.parts.bypasses.list();
  }

  /** ACs and tunnels that a worker could not attach, and why, in the kernel's words. */
  refusedPorts(): { kind: "ac" | "tunnel"; name: string; worker: number; error: string }[] {
    return this.parts.attachWatch.list().map(([{ kind, name }, { worker, errno }]) => {
      const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, ""];
      return { kind, name, worker, error: text === "" ? code : `${code}, ${text}` };
    });
  }

  /** Prefixes for which the route table has no room. */
  routesWithoutRoom(): number {
    return this.parts.routes.withoutRoom;
  }

  /** Addresses that two hosts have. */
  duplicates(): readonly DuplicateView[] {
    return this.parts.agent.resolutions.duplicates();
  }

  /** MACs that a limit kept from being learned: the last one of each VSI. */
  macLimits(): readonly MacLimitView[] {
    return this.parts.agent.macs.limited.list();
  }

  dampedMoves() {
    return this.parts.agent.dampedMoves();
  }

  /** A rule's next hops, and of them the first that sees none of its packets. */
  private hopsOf(vrf: string, hops: readonly NextHopState[]) {
    const by = ({ ip, tunnel }: NextHopState) => (tunnel === null ? this.bypassedBy(vrf, ip) : null);
    const nextHops = hops.map((hop) => ({ ...hop, bypassedBy: by(hop) }));
    return { nextHops, bypassedBy: nextHops.find(({ bypassedBy }) => bypassedBy !== null)?.bypassedBy ?? null };
  }

  /** For an address of the link ("fe80::2%vsi-interface10") no gateway answers. */
  private bypassedBy(vrf: string, hop: string): string | null {
    const ip = parseIp(hop);
    return ip === null ? null : (this.parts.bypasses.tunnelOf(vrf, ip)?.name ?? null);
  }

  private vrfOf(interfaces: readonly string[]): string {
    return this.parts.inventory.interface(interfaces[0]!)!.vrfName;
  }

  drops(): Omit<schema.DropCount, "last" | "ports">[] {
    const { counters } = this.parts.tables;
    return DROPS.map(([reason, text], i) => ({
      reason,
      count: sumOf(counters, (block) => block.drops[i + 1]! + block.refused[i + 1]!),
      text,
    }));
  }

  config(): Config {
    return this.parts.topology.config;
  }

  counts(): schema.Status["counts"] {
    const { inventory, agent, routes, topology } = this.parts;
    const ports = [...inventory.ports.values()];
    const acs = ports.filter((port) => port.kind === "ac");
    return {
      vsis: inventory.vsis.size,
      acs: acs.length,
      acsUp: acs.filter((port) => port.up).length,
      tunnels: ports.length - acs.length,
      tunnelsUp: ports.filter((port) => port.kind === "tunnel" && port.up).length,
      interfaces: inventory.interfaces.size,
      macs: agent.macs.size,
      neighbors: [...inventory.interfaces.values()].reduce((sum, iface) => sum + agent.neighborsOn(iface), 0),
      routes: routes.size,
      policies: topology.policies.list().length,
    };
  }

  ledger(): schema.Status["ledger"] {
    const { tables, agent } = this.parts;
    const blocks = tables.dataplaneCounters;
    const { control, drops } = tables.controlCounters;
    return {
      dataplane: {
        received: sumOf(blocks, (block) => block.received[0]!),
        injected: sumOf(blocks, (block) => total(block.injected)),
        copies: sumOf(blocks, (block) => block.copies[0]!),
        sent: sumOf(blocks, (block) => block.sent[0]!),
        punted: sumOf(blocks, (block) => total(block.punted)),
        dropped: sumOf(blocks, (block) => total(block.drops)),
        imbalance: imbalance(blocks),
      },
      control: {
        drained: control[CONTROL_DRAINED]!,
        consumed: control[CONTROL_CONSUMED]!,
        reinjected: control[CONTROL_REINJECTED]!,
        dropped: total(drops),
        held: agent.ledger.held,
        imbalance: agent.imbalance(),
      },
    };
  }

  flushMacs(name: string | null): number | null {
    const { inventory, agent } = this.parts;
    const vsi = name === null ? null : inventory.vsi(name);
    return vsi === undefined ? null : agent.macs.flushLearned(vsi);
  }

  /** Learned neighbours and suppressed hosts: of one VSI-interface, of one VSI (suppressed ones alone), or all. */
  flushNeighbors(name: string | null, ip: string | null, vsiName: string | null = null, of: Family | null = null) {
    const { inventory, agent } = this.parts;
    const { neighbors, resolutions } = agent;
    const address = ip === null ? null : parseIp(ip);
    if (vsiName !== null) {
      const only = inventory.vsi(vsiName);
      return only === undefined ? null : resolutions.flushSuppressed((vsi) => vsi === only, address, of);
    }
    if (name === null) return neighbors.flushLearned(null, of) + resolutions.flushSuppressed(() => true, null, of);
    const iface = inventory.interface(name);
    if (iface === undefined) return null;
    const suppressed = resolutions.flushSuppressed((vsi) => vsi.interface === iface, address, of);
    if (address === null) return suppressed + neighbors.flushLearned(iface, of);
    return suppressed + (neighbors.delete(iface, address) ? 1 : 0);
  }

  private traffic(column: "ports" | "vsis", row: number, before: Counted) {
    const { counters } = this.parts.tables;
    const cell = (word: number) => sumOf(counters, (block) => block[column][row * 4 + word]!) - before[word]!;
    return {
      receive: { packets: cell(RX_PACKETS), bytes: cell(RX_BYTES) },
      transmit: { packets: cell(TX_PACKETS), bytes: cell(TX_BYTES) },
    };
  }
}

/** Who says whether a tunnel's peer is there: BFD once it has met it, else the keepalive. */
function watcherOf({ state }: schema.Tunnel["probe"], bfd: BfdSession | null): schema.Tunnel["watchedBy"] {
  if (bfd !== null && bfd.verdict !== "unknown") return "bfd";
  return state === "up" || state === "down" ? "keepalive" : null;
}

function neighborOf(view: NeighborView, inventory: Inventory): schema.Neighbor {
  const { interface: iface, vsi, ip, mac, state, via, ageSeconds, origin } = view;
  const vrf = iface === null ? null : inventory.interface(iface)!.vrfName;
  const kind = kindOf(state, origin);
  return { interface: iface, vsi, vrf, ip, mac, state, kind, via, ageSeconds, from: mac === null ? null : origin };
}

function kindOf(state: NeighborView["state"], origin: NeighborView["origin"]): schema.Neighbor["kind"] {
  if (state === "gateway" || state === "suppressed") return state;
  return origin === "static" ? "static" : "host";
}

function routeOf(
  { vrf, prefix, origin, action, interface: iface, viaVrf, nextHops }: RouteView,
  bypassedBy: (vrf: string, ip: string) => string | null,
): schema.Route {
  const hops = nextHops.map(({ ip, interface: through, alive, weight, priority, track, tunnel }) => ({
    ...{ ip, interface: through, alive, weight, priority, track, tunnel },
    bypassedBy: tunnel === null ? bypassedBy(viaVrf ?? vrf, ip) : null,
  }));
  return { vrf, prefix, origin, action, interface: iface, viaVrf, nextHops: hops };
}
