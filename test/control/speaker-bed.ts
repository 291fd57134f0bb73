/**
 * Resolution with a speaker of the test's choice: one VSI, two ACs, one tunnel, and no agent. What is said and what is heard
 * are messages; the speaker puts them into bytes and back on both ways, so each case is one for whichever speaks.
 */
import { Injector } from "../../src/control/inject.ts";
import { type InterfaceObject, Inventory, type PortObject, type Subnet } from "../../src/control/inventory.ts";
import { formatIp, type Ip, isOfLink } from "../../src/control/ip.ts";
import { Ledger } from "../../src/control/ledger.ts";
import { MacLearner } from "../../src/control/mac/learn.ts";
import { Neighbors } from "../../src/control/neighbor/table.ts";
import type { VsiConfig } from "../../src/control/plan.ts";
import type { Message } from "../../src/control/resolution/message.ts";
import { Resolution } from "../../src/control/resolution/resolution.ts";
import { MessageSender } from "../../src/control/resolution/sender.ts";
import { MessageSolicitor } from "../../src/control/resolution/solicitor.ts";
import type { Speaker } from "../../src/control/resolution/speaker.ts";
import { Timers } from "../../src/control/timers.ts";
import { DROP, DROPS, INJECT, SCOPE_ACS, SCOPE_TUNNELS } from "../../src/tables/counters.ts";
import { R_ARG, R_KIND, R_LENGTH, R_PORT } from "../../src/tables/ring.ts";
import { createTables } from "../../src/tables/tables.ts";
import type { Mac } from "../../src/wire/ethernet.ts";
import { acOf, G10, interfaceOn, LIMITS, M1, M3, P10, tunnelOf, vsiOf } from "./agent-bed.ts";

const LINK = 0xfe80n << 112n;

const NAMES = new Map<Mac | null, string>([
  [null, "all"],
  [M1, "M1"],
  [M3, "M3"],
  [G10, "G"],
  [P10, "P"],
]);

export class SpeakerBed {
  readonly timers = new Timers(1_000_000);
  readonly inventory = new Inventory();
  readonly events: string[] = [];
  readonly iface: InterfaceObject;
  readonly neighbors: Neighbors;
  readonly resolution: Resolution;
  readonly vm1: PortObject;
  readonly vm3: PortObject;
  readonly gw2: PortObject;
  private readonly tables = createTables({ workers: 1, macs: 100, neighbors: 100, routes: 100 }).tables;
  private readonly speaker: Speaker;
  private readonly vsi;

  constructor(speaker: Speaker, subnet: Subnet, config: Partial<VsiConfig> = {}) {
    const { tables, timers, inventory } = this;
    this.speaker = speaker;
    this.iface = interfaceOn(1, 10, G10);
    this.iface.subnets = [subnet];
    if (typeof subnet.address === "bigint") {
      this.iface.linkLocal = LINK | 1n;
      this.iface.subnets = [subnet, { address: LINK | 1n, network: LINK, length: 64 }];
    }
    const vsi = vsiOf(1, 10, this.iface, config);
    this.vsi = vsi;
    this.vm1 = acOf(1, "vm1", vsi);
    this.vm3 = acOf(2, "vm3", vsi);
    const gw2 = tunnelOf(11, "gw2");
    this.gw2 = gw2;
    vsi.tunnels.push(gw2);
    inventory.addVsi(vsi);
    inventory.addInterface(this.iface);
    for (const port of [...vsi.acs, gw2]) inventory.addPort(port);
    const emit = (_level: string, event: string) => void this.events.push(event);
    const injector = new Injector(tables.injects, () => undefined);
    const sender = new MessageSender(speaker, injector, timers, emit);
    const macs = new MacLearner(tables, timers, inventory, emit, LIMITS, 1);
    this.neighbors = new Neighbors({
      ...{ tables, timers, injector, emit, macs },
      random: () => 0,
      nextHopProbe: { intervalMs: 0, multiplier: 3 },
      ledger: new Ledger(tables.controlCounters, { examples: tables.examples.at(-1)!, timers }),
      solicitor: new MessageSolicitor(sender, inventory, emit),
      routes: { setHost: () => undefined, removeHost: () => undefined },
      unreachable: () => DROP.no_route,
      onResolved: () => undefined,
    });
    const { neighbors } = this;
    const isRoutedBy = () => false;
    this.resolution = new Resolution({ sender, inventory, timers, injector, emit, macs, neighbors, isRoutedBy });
  }

  /** Told of each message that is read. */
  onMessage: (message: Message) => void = () => undefined;

  /** `message` comes by `port`; what is sent for it is left to be read. */
  hear(port: PortObject, message: Message): number {
    const plain = { flags: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, units: 1, worker: 0, watchId: 0 };
    const bytes = this.speaker.emit(message).slice();
    return this.resolution.handle({ bytes, port: port.row, vsi: this.vsi.row, ...plain });
  }

  /** `message` comes by `port`. @returns what became of it, and what was sent for it. */
  say(port: PortObject, message: Message): { readonly fate: string; readonly sent: readonly string[] } {
    const fate = this.hear(port, message);
    return { fate: fate > 0 ? DROPS[fate - 1]![0] : "ok", sent: this.sent() };
  }

  advance(ms: number): readonly string[] {
    const until = this.timers.nowMs + ms;
    for (let due = this.timers.nextDue(); due !== null && due <= until; due = this.timers.nextDue())
      this.timers.run(Math.max(due, this.timers.nowMs));
    this.timers.run(until);
    return this.sent();
  }

  /** "vm1: answer G->M1 10.1.1.12 to 10.1.1.11": way out, kind, MACs, who is told of, and to whom. */
  sent(): string[] {
    const ring = this.tables.injects[0]!;
    const all: string[] = [];
    for (let at = ring.peek(); at >= 0; at = ring.peek()) {
      const w = ring.words;
      const from = ring.frameAt(at);
      const message = this.speaker.parse(ring.bytes.slice(from, from + w[at + R_LENGTH]!))!;
      this.onMessage(message);
      const except = this.inventory.ports.get(w[at + R_PORT]!)?.name ?? "none";
      const way = w[at + R_KIND] === INJECT.port ? except : `${scopeText(w[at + R_ARG]!)} but ${except}`;
      all.push(`${way}: ${textOf(message)}`);
      ring.release(at);
    }
    return all;
  }
}

function scopeText(scope: number): string {
  return scope === SCOPE_ACS ? "acs" : scope === SCOPE_TUNNELS ? "tunnels" : "all";
}

function textOf({ kind, sender, senderMac, target, to }: Message): string {
  const host = (ip: Ip | null) =>
    ip === null ? "-" : `${isOfLink(ip) ? "l:" : ""}${formatIp(ip).split(/[.:]/).at(-1)}`;
  return `${kind} ${NAMES.get(senderMac)}->${NAMES.get(to)} ${host(sender)} to ${host(target)}`;
}
