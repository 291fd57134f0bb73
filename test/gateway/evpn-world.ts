/**
 * Whole gateways in a fabric: real planes and real tables over memory io, EVPN over engines in memory with a reflector between
 * them. As the daemon has them (daemon/evpn.ts), without its thread.
 */
import { type MemoryEngine, MemoryFabric } from "../../src/bgp/memory.ts";
import type { Emit } from "../../src/control/event.ts";
import { deliver } from "../../src/daemon/evpn.ts";
import { Entries } from "../../src/evpn/entries.ts";
import { Evpn } from "../../src/evpn/evpn.ts";
import { plainOf } from "../../src/evpn/route.ts";
import { settingsOf } from "../../src/evpn/settings.ts";
import { type Gateway, World } from "./world.ts";

export interface Member {
  readonly gateway: Gateway;
  readonly entries: Entries;
  readonly evpn: Evpn;
  readonly engine: MemoryEngine;
  /** Apply another configuration. */
  reload(yaml: string): void;
}

export class EvpnWorld {
  readonly world = new World(1);
  readonly fabric = new MemoryFabric();
  readonly members: Member[] = [];
  /** LOCAL_PREF that the policy of a VTEP's engine gives to what it announces. */
  readonly preferences = new Map<string, number>();

  /** Start a gateway whose VTEP is 192.0.2.N, N its place among the members. */
  join(yaml: string): Member {
    const vtep = `192.0.2.${this.members.length + 1}`;
    const gateway = this.world.gateway(yaml);
    const { control, events } = gateway;
    const { agent, inventory, topology } = control.shown;
    const entries = new Entries({ agent, inventory, topology, isDiscovering: () => true }, () => undefined);
    const emit: Emit = (level, event, fields) => void events.push({ level, event, fields });
    const settings = () => settingsOf(topology.config, (name) => inventory.interface(name)?.mac ?? null)!;
    const evpn = new Evpn({ beliefs: entries, timers: control.timers, emit, seed: 12345 }, settings());
    const engine = this.fabric.join(vtep, 65000, (event) => deliver(evpn, event));
    evpn.connect({
      announce: (routes) => {
        const preference = this.preferences.get(vtep);
        engine.announce(preference === undefined ? routes : routes.map((each) => ({ ...plainOf(each), preference })));
      },
      withdraw: (routes) => engine.withdraw(routes),
      resync: () => engine.resync(),
    });
    engine.start();
    const reload = (text: string) => {
      gateway.reload(text);
      evpn.configure(settings());
    };
    const member = { gateway, entries, evpn, engine, reload };
    this.members.push(member);
    return member;
  }

  pass(ms: number): void {
    for (let t = 0; t <= ms; t += 10) {
      this.world.advance(10);
      for (const { entries, evpn } of this.members) entries.tell(evpn);
      this.fabric.run();
      this.world.settle();
    }
  }
}
