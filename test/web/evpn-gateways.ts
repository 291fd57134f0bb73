/**
 * Two whole gateways of an EVPN fabric in memory (real planes, real tables, engines in memory), each behind its real API on a socket
 * of its own: what the page and `vtepctl` are told is what the gateways believe.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApi } from "../../src/api/api.ts";
import { addEvpn, type EvpnSource } from "../../src/api/evpn.ts";
import { type Listener, listenUnix } from "../../src/api/listener.ts";
import { Shown } from "../../src/api/shown.ts";
import { MemoryFabric } from "../../src/bgp/memory.ts";
import type { Emit } from "../../src/control/event.ts";
import { rowsOf } from "../../src/control/sorted.ts";
import { deliver } from "../../src/daemon/evpn.ts";
import { Entries } from "../../src/evpn/entries.ts";
import { Evpn } from "../../src/evpn/evpn.ts";
import { REFUSAL_TEXTS } from "../../src/evpn/import.ts";
import { settingsOf } from "../../src/evpn/settings.ts";
import { duplicateViews, routeViews, viewOf } from "../../src/evpn/story.ts";
import { STATUS, sourceWith, UNWATCHED } from "../api/fake-source.ts";
import { type Gateway, World } from "../gateway/world.ts";

const AS = 65000;
const yaml = (n: number): string => `node: gw${n}
underlay: {address: 192.0.2.${n}, mtu: 1500}
evpn: {engine: {socket: /run/bgp.sock}, as: ${AS}}
vsis: [{name: vsi10, vni: 10, evpn: {}}, {name: vsi20, vni: 20, evpn: {}}]
interfaces: [{name: if10, vsi: vsi10, address: 10.1.1.1/24, mac: shared}, {name: if20, vsi: vsi20, address: 10.1.2.1/24}]
acs: [{name: a${n}, vsi: vsi10, tap: {device: a${n}}}, {name: b${n}, vsi: vsi20, tap: {device: b${n}}}]
control: {socket: /run/gw${n}.sock}
`;

interface Member {
  readonly gateway: Gateway;
  readonly entries: Entries;
  readonly evpn: Evpn;
}

export class EvpnGateways {
  readonly world = new World(1);
  readonly sockets: string[] = [];
  private readonly fabric = new MemoryFabric();
  private readonly members: Member[] = [];
  private readonly listeners: Listener[] = [];
  private readonly folder = mkdtempSync(join(tmpdir(), "vtepd-web-"));

  async join(n: number): Promise<Member> {
    const gateway = this.world.gateway(yaml(n));
    const { control, events } = gateway;
    const { agent, inventory, topology } = control.shown;
    const entries = new Entries({ agent, inventory, topology, isDiscovering: () => true }, () => undefined);
    const settings = settingsOf(topology.config, (name) => inventory.interface(name)?.mac ?? null)!;
    const emit: Emit = (level, event, fields) => void events.push({ level, event, fields });
    const evpn = new Evpn({ beliefs: entries, timers: control.timers, emit, seed: 12345 }, settings);
    const engine = this.fabric.join(`192.0.2.${n}`, AS, (event) => deliver(evpn, event));
    evpn.connect(engine);
    engine.start();
    const member = { gateway, entries, evpn };
    this.members.push(member);
    await this.listen(member, n);
    return member;
  }

  /** Virtual time. */
  pass(ms: number): void {
    for (let t = 0; t <= ms; t += 10) {
      this.world.advance(10);
      for (const { entries, evpn } of this.members) entries.tell(evpn);
      this.fabric.run();
      this.world.settle();
    }
  }

  remove(): void {
    for (const each of this.listeners) each.close();
    rmSync(this.folder, { recursive: true });
  }

  private async listen(member: Member, n: number): Promise<void> {
    const { shown: parts } = member.gateway.control;
    const shown = new Shown(parts, { view: () => UNWATCHED });
    const counts = () => ({
      ...{ vsis: shown.vsis().length, acs: shown.acs().length, acsUp: shown.acs().length, policies: 0, routes: 0 },
      ...{ tunnels: shown.tunnels().length, interfaces: shown.interfaces().length },
      ...{ macs: parts.agent.macs.size, neighbors: 0 },
    });
    const underlay = { ...STATUS.underlay, address: `192.0.2.${n}` };
    const api = sourceWith({
      status: () => ({ ...STATUS, node: `gw${n}`, underlay, counts: counts() }),
      vsis: () => shown.vsis(),
      acs: () => shown.acs(),
      tunnels: () => shown.tunnels(),
      interfaces: () => shown.interfaces(),
      macs: () => shown.macs(),
      neighbors: () => shown.neighbors(),
    });
    const evpn = {
      routes: (app: Parameters<typeof addEvpn>[0]) => addEvpn(app, () => sourceOf(member, `192.0.2.${n}`)),
    };
    const socket = join(this.folder, `gw${n}.sock`);
    this.listeners.push(await listenUnix(createApi({ ...api, features: [...api.features, evpn] }), socket));
    this.sockets.push(socket);
  }
}

/** As the daemon's (src/daemon/evpn.ts), whose engine is a thread. */
function sourceOf({ gateway, evpn }: Member, vtep: string): EvpnSource {
  const { inventory } = gateway.control.shown;
  const nowMs = () => gateway.control.timers.nowMs;
  return {
    view: () => {
      const view = viewOf(evpn);
      return {
        ...view,
        engine: { socket: "/run/bgp.sock", ...view.engine },
        ...{ as: AS, routerId: vtep, vtep, backlog: 0, state: evpn.rib.state },
        peers: view.peers.map((peer) => ({ ...peer })),
        vsis: view.vsis.map((vsi) => ({ ...vsi, import: [...vsi.import], export: [...vsi.export] })),
        vrfs: view.vrfs.map((vrf) => ({ ...vrf, import: [...vrf.import], export: [...vrf.export] })),
        sharedRouterIds: view.sharedRouterIds.map((each) => ({ ...each, vteps: [...each.vteps] })),
      };
    },
    routes: () =>
      Array.from(rowsOf(routeViews(evpn, nowMs)), (route) => ({
        ...{ ...route, targets: [...route.targets], labels: [...route.labels] },
      })),
    vteps: () =>
      Array.from(rowsOf(evpn.fabric.views()), ({ vtep: remote, vnis, routes, refused }) => ({
        ...{ vtep: remote, routes, refused, vnis: [...vnis] },
        tunnel: inventory.tunnelTo(remote)?.name ?? null,
      })),
    duplicates: () => duplicateViews(evpn, nowMs()).map((each) => ({ ...each })),
    refused: () =>
      Array.from(evpn.refused, ([reason, count]) => ({ reason, count, text: REFUSAL_TEXTS[reason] })).filter(
        ({ count }) => count > 0,
      ),
    resync: () => undefined,
    clearDuplicates: () => 0,
  };
}
