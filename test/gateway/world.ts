/**
 * A world in one process: whole gateways over memory io, VMs behind their TAPs, an underlay between them, and one clock.
 *
 * Nothing here sleeps. `settle` lets every gateway and VM act until nothing moves; `advance` moves the clock in small steps
 * and settles after each, so that timers fire at their time. After every settle each gateway's ledger must balance.
 */

import { formatErrors } from "../../src/config/error.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { EventFields, EventName } from "../../src/control/event.ts";
import type { AcConfig } from "../../src/control/plan.ts";
import { assemble, type Control } from "../../src/daemon/assemble.ts";
import { Plane } from "../../src/dataplane/plane.ts";
import { type Datagram, MemoryIo, MemoryNet, type MemoryTap } from "../../src/io/memory.ts";
import { DROPS, imbalance, sumOf, total } from "../../src/tables/counters.ts";
import { createTables, type Tables } from "../../src/tables/tables.ts";
import { Vm, type VmOptions } from "./vm.ts";

export type Seen = { at: number; where: string; from: string; to: string; bytes: Uint8Array };
export type EventSeen = { level: string; event: EventName; fields: EventFields };

export class Gateway {
  readonly name: string;
  readonly tables: Tables;
  /** One for each worker. */
  readonly planes: readonly Plane[];
  readonly control: Control;
  readonly events: EventSeen[] = [];
  readonly taps = new Map<string, MemoryTap>();
  private readonly world: World;

  constructor(world: World, yaml: string) {
    this.world = world;
    const config = configOf(yaml);
    this.name = config.node;
    const workers = config.workers.count;
    const { macs, neighbors, routes } = config.limits;
    this.tables = createTables({ workers, macs, neighbors, routes }).tables;
    this.planes = Array.from({ length: workers }, (_, k) => {
      const plane = new Plane(this.tables, new MemoryIo(world.net, config.underlay.address, 1 << 20, k), k);
      plane.worker.pool.poison = true;
      // What was sent here before there was a listener is lost.
      world.net.inbox(config.underlay.address, k).length = 0;
      return plane;
    });
    this.control = assemble({
      tables: this.tables,
      config,
      emit: (level, event, fields) => this.events.push({ level, event, fields }),
      opener: {
        openTap: (ac: AcConfig) => {
          const tap = world.net.tap(world.queues ?? workers);
          this.taps.set(ac.name, tap);
          world.plugIn(this, ac.name, tap);
          return { fds: tap.fds, ifindex: tap.fd };
        },
        keepTap: () => {},
        changeTap: () => {},
        closeTap: () => {},
      },
      wake: () => {},
      underlayMtu: world.net.mtu,
      pathMtu: () => 0,
      onResolved: () => {},
      nowMs: world.net.nowMs,
      chance: { seed: 4711, random: () => world.net.random() },
    });
    this.reload(yaml);
  }

  /** Apply a configuration; throws if it is refused. */
  reload(yaml: string): void {
    const result = this.control.topology.apply(configOf(yaml));
    if (!result.ok) throw new Error(result.reason);
    this.world.settle();
  }

  /** One turn of both planes. @returns true if anything moved. */
  turn(): boolean {
    // What was decided in the last turn is sent in this one, and somebody else may receive it.
    let moved = false;
    for (const plane of this.planes) {
      const sends = plane.pending;
      moved = plane.turn(0) > 0 || sends || plane.pending || moved;
    }
    this.control.agent.poll(this.world.net.nowMs);
    return moved || this.control.agent.more() || this.tables.injects.some((ring) => !ring.isEmpty);
  }

  /** Drop counts of both planes that are not zero. */
  get drops(): Record<string, number> {
    const out: Record<string, number> = {};
    DROPS.forEach(([name], i) => {
      const count = this.tables.counters.reduce((sum, block) => sum + block.drops[i + 1]! + block.refused[i + 1]!, 0);
      if (count > 0) out[name] = count;
    });
    return out;
  }

  get punted(): number {
    return sumOf(this.tables.workerCounters, ({ punted }) => total(punted));
  }

  /** Throws unless both pages of the ledger balance. */
  checkLedger(): void {
    const off = imbalance(this.tables.dataplaneCounters);
    if (off !== 0) throw new Error(`${this.name}: data plane ledger is off by ${off}`);
    const control = this.control.agent.ledger.imbalance();
    if (control !== 0) throw new Error(`${this.name}: control ledger is off by ${control}`);
  }
}

function configOf(yaml: string) {
  const parsed = parseConfig(yaml, "test.yaml");
  if ("errors" in parsed) throw new Error(formatErrors(parsed.errors));
  return parsed.config;
}

export class World {
  readonly net: MemoryNet;
  readonly gateways = new Map<string, Gateway>();
  readonly vms = new Map<string, Vm>();
  private readonly unplugged = new Map<string, Vm>();
  /** Every frame on every AC and every datagram on the underlay, in order. */
  readonly seen: Seen[] = [];
  /** Of every TAP; undefined: one for each worker. */
  readonly queues: number | undefined;

  constructor(seed = 1, queues?: number) {
    this.queues = queues;
    this.net = new MemoryNet(seed);
    this.net.nowMs = 10_000;
    this.net.observe = (d: Datagram) =>
      this.seen.push({ at: this.net.nowMs, where: "underlay", from: d.from, to: d.to, bytes: d.bytes.slice() });
  }

  /** Start a gateway from its configuration. */
  gateway(yaml: string): Gateway {
    const gateway = new Gateway(this, yaml);
    this.gateways.set(gateway.name, gateway);
    this.settle();
    return gateway;
  }

  /** Put a VM behind AC `ac` (its own name if not given) of `gateway`. */
  vm(gateway: Gateway, options: VmOptions & { ac?: string }): Vm {
    const tap = gateway.taps.get(options.ac ?? options.name);
    if (tap === undefined) throw new Error(`${gateway.name} has no AC ${options.ac ?? options.name}`);
    return this.wire(gateway, tap, options);
  }

  private wire(gateway: Gateway, tap: MemoryTap, options: VmOptions): Vm {
    const vm = new Vm(tap, options);
    const receive = tap.receive;
    tap.receive = (frame) => {
      this.seen.push({ at: this.net.nowMs, where: vm.name, from: gateway.name, to: vm.name, bytes: frame.slice() });
      receive(frame);
    };
    const send = tap.send.bind(tap);
    tap.send = (frame) => {
      this.seen.push({ at: this.net.nowMs, where: vm.name, from: vm.name, to: gateway.name, bytes: frame.slice() });
      send(frame);
    };
    this.vms.set(vm.name, vm);
    return vm;
  }

  /** Start a gateway in the place of `old`, which loses power: same wires, and these ACs' hosts with all they know. */
  replace(old: string, yaml: string, acs: readonly string[]): Gateway {
    this.gateways.delete(old);
    for (const ac of acs) this.unplugged.set(ac, this.get(ac));
    return this.gateway(yaml);
  }

  /** AC `ac` is there: a host that waits for it is behind it from its first frame on. */
  plugIn(gateway: Gateway, ac: string, tap: MemoryTap): void {
    const kept = this.unplugged.get(ac);
    if (kept === undefined) return;
    this.unplugged.delete(ac);
    const vm = this.wire(gateway, tap, kept.options);
    for (const [address, mac] of kept.arp) vm.arp.set(address, mac);
  }

  get(name: string): Vm {
    return this.vms.get(name)!;
  }

  /** Let everybody act until nothing moves, then check every ledger. */
  settle(): void {
    for (let i = 0; i < 10_000; i++) {
      let moved = false;
      for (const gateway of this.gateways.values()) moved = gateway.turn() || moved;
      if (moved) continue;
      for (const gateway of this.gateways.values()) gateway.checkLedger();
      return;
    }
    throw new Error("the world does not come to rest");
  }

  /** Let `ms` pass, in steps of at most `step`. */
  advance(ms: number, step = 50): void {
    for (const until = this.net.nowMs + ms; this.net.nowMs < until; ) {
      this.net.nowMs = Math.min(until, this.net.nowMs + step);
      this.settle();
    }
  }

  /** Forget what was seen so far. */
  clear(): void {
    this.seen.length = 0;
    for (const vm of this.vms.values()) {
      vm.received.length = 0;
      vm.icmp.length = 0;
    }
  }
}
