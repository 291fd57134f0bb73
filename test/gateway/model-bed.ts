/**
 * The bed of the model-based test: whole gateways, hosts that can be plugged in anywhere, one virtual clock.
 *
 * A host's cable is a TAP of its own; where it is plugged in is looked up for each frame, so a move is one map entry.
 * Time jumps from timer to timer, so that an hour of silence costs little.
 */
import { expect } from "vitest";
import { MemoryTap } from "../../src/io/memory.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { BROADCAST, ETH_BYTES, type Mac, parseMac, writeMac } from "../../src/wire/ethernet.ts";
import { emitIpv4 } from "../../src/wire/icmp.ts";
import { IPV4_BYTES, PROTO_UDP, parseIpv4 } from "../../src/wire/ipv4.ts";
import { type Host, LATE_MS, Reference, type Verdict } from "./model-reference.ts";
import {
  acsOf,
  BORDER,
  borderYaml,
  EXT,
  gatewayOf,
  HOSTS,
  type Setting,
  SITES,
  STATIC_IP,
  siteYaml,
  VTEPS,
} from "./model-site.ts";
import { ipOf, type Sent, stamp, TYPE_TAGGED, Witness } from "./model-witness.ts";
import { Vm } from "./vm.ts";
import { type Gateway, World } from "./world.ts";

const CAP_PENDING = 1024;

/** Conversations by verdict, of all beds: a test that never talks proves nothing. */
export const tally = new Map<Verdict, number>();

export class Bed {
  readonly world: World;
  readonly reference: Reference;
  readonly witness = new Witness();
  readonly setting: Setting;
  /** Changes whenever a path may: order is promised between changes. */
  epoch = 0;
  private readonly vms = new Map<string, Vm>();
  private readonly extra = new Map<string, readonly string[]>();
  private stepStartMs: number;

  constructor(setting: Setting) {
    this.setting = setting;
    this.world = new World(1);
    const sites = new Map<string, string>(SITES.flatMap((site) => acsOf(site).map((ac) => [ac, site] as const)));
    sites.set("b-0-ext", BORDER);
    this.reference = new Reference(HOSTS, sites);
    this.world.net.observe = (d) => this.witness.onDatagram(d);
    for (const address of Object.values(VTEPS)) this.world.net.inbox(address);
    for (const site of SITES) this.world.gateway(this.yaml(site));
    this.world.gateway(borderYaml());
    this.rewire();
    for (const host of HOSTS) this.vms.set(host.name, this.plug(host));
    this.reference.put(EXT.name, "b-0-ext", false);
    for (const [i, { name, vni }] of HOSTS.entries())
      if (vni !== 0) this.reference.put(name, `${SITES[i % 3]}-${vni}-a`, false);
    this.stepStartMs = this.nowMs;
    this.pass(1000);
  }

  get nowMs(): number {
    return this.world.net.nowMs;
  }

  vm(host: string): Vm {
    return this.vms.get(host)!;
  }

  host(name: string): Host {
    return this.reference.hosts.get(name)!;
  }

  gateway(name: string): Gateway | undefined {
    return this.world.gateways.get(name);
  }

  /** Let `ms` pass, from timer to timer. */
  pass(ms: number): void {
    const until = this.nowMs + ms;
    while (this.nowMs < until) {
      let next = until;
      for (const gateway of this.world.gateways.values()) {
        const due = gateway.control.agent.poll(this.nowMs);
        if (due !== null && due < next) next = Math.max(due, this.nowMs + 1);
      }
      this.world.net.nowMs = next;
      this.reference.nowMs = next;
      this.world.settle();
    }
  }

  // ---- what happens to hosts -------------------------------------------------------------------------------------

  put(host: string, ac: string | null, announces: boolean): void {
    this.reference.put(host, ac, announces);
    if (ac === null || !announces) return;
    const vm = this.vm(host);
    vm.sendArp({ op: 1, targetIp: vm.ip });
    this.world.settle();
  }

  /** The guest's ARP cache is empty, as after its own time-outs. */
  refresh(host: string): void {
    this.vms.set(host, this.plug(this.host(host)));
  }

  /** A guest asks once a second while it has packets that wait. */
  private askAgain(from: string, to: string): void {
    const [a, b] = [this.host(from), this.host(to)];
    const hop = a.ip.startsWith(b.ip.slice(0, 6)) ? b.ip : gatewayOf(a);
    if (this.reference.placeOf(from) !== null && !this.vm(from).arp.has(parseIpv4(hop)!)) this.vm(from).ask(hop);
  }

  /** A tagged UDP packet; resolved by ARP first if need be. */
  send(from: string, to: string, o: { ttl?: number; payload?: number; df?: boolean } = {}): Sent | null {
    const [a, b] = [this.host(from), this.host(to)];
    const ac = this.reference.placeOf(from);
    if (ac === null) return null;
    const sent = this.witness.expect(a, b, ac, `${from}>${to} ${this.epoch}`, o.ttl ?? 64);
    const total = IPV4_BYTES + 8 + Math.max(16, o.payload ?? 16);
    const packet = new Uint8Array(total);
    const fragment = o.df === false ? 0 : 0x4000;
    emitIpv4(packet, 0, total, ipOf(a), ipOf(b), PROTO_UDP, 0, sent.ttl, sent.id & 0xffff, fragment);
    setU16(packet, IPV4_BYTES, 4000);
    setU16(packet, IPV4_BYTES + 2, 5000);
    setU16(packet, IPV4_BYTES + 4, total - IPV4_BYTES);
    stamp(packet, IPV4_BYTES + 8, sent);
    this.vm(from).sendPacket(packet);
    return sent;
  }

  /** A tagged frame that is bridged: to `to`, or to everybody. */
  sendFrame(from: string, to: Mac = BROADCAST): Sent | null {
    const ac = this.reference.placeOf(from);
    if (ac === null) return null;
    const sent = this.witness.expect(this.host(from), null, ac, "", 0);
    const frame = new Uint8Array(ETH_BYTES + 46);
    writeMac(frame, 0, to);
    writeMac(frame, 6, parseMac(this.host(from).mac)!);
    setU16(frame, 12, TYPE_TAGGED);
    stamp(frame, ETH_BYTES, sent);
    this.vm(from).tap.send(frame);
    return sent;
  }

  /** Both talk for three seconds, or as long as a silent change needs; then what the reference promises must be true. */
  converse(a: string, b: string): void {
    const verdicts = [this.reference.verdict(a, b), this.reference.verdict(b, a)];
    const isLate = verdicts.includes("late");
    const isOpen = verdicts.includes("maybe") || verdicts.includes("never");
    tally.set(verdicts[0]!, (tally.get(verdicts[0]!) ?? 0) + 1);
    this.refresh(a);
    this.refresh(b);
    const rounds = isOpen ? 2 : isLate ? Math.ceil(LATE_MS / 1000) : 6;
    const all: (Sent | null)[] = [];
    for (let i = 0; i < rounds; i++) {
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        if (i > 0) this.askAgain(from, to);
        all.push(this.send(from, to));
      }
      this.world.settle();
      this.pass(isLate ? 1000 : 500);
    }
    if (isOpen) return;
    // Moves that everybody heard of are believed within a second and a half; what was silent is found by its end.
    for (const sent of all.slice(isLate ? -2 : -6)) {
      const at = this.reference.placeOf(sent!.to!.name)!;
      if (this.witness.copies(sent!, at) !== 1)
        throw new Error(`${sent!.from.name} does not reach ${sent!.to!.name} (${verdicts.join(", ")})`);
    }
  }

  // ---- what happens to gateways ------------------------------------------------------------------------------------

  reload(site: string, extra: readonly string[]): void {
    this.extra.set(site, extra);
    const gateway = this.gateway(site);
    if (gateway === undefined) return;
    gateway.reload(this.yaml(site));
    this.rewire();
    this.settled(gateway);
    const once = JSON.stringify(this.state(gateway));
    gateway.reload(this.yaml(site));
    this.settled(gateway);
    // [11] a second time changes nothing
    expect(JSON.stringify(this.state(gateway)), `${site}: a second reload`).toBe(once);
  }

  cut(from: string, to: string): void {
    this.world.net.partition(VTEPS[from]!, VTEPS[to]!, true);
    this.reference.cut(from, to);
  }

  heal(): void {
    for (const from of Object.values(VTEPS))
      for (const to of Object.values(VTEPS)) this.world.net.partition(from, to, false);
    this.reference.heal();
    this.notice();
  }

  /** Every gateway knows which of its tunnels work. */
  notice(): void {
    for (const [site, { control }] of this.world.gateways)
      for (const port of control.shown.inventory.ports.values())
        if (port.kind === "tunnel") control.topology.setTunnelUp(port, this.reference.notice(site, port.name));
    this.world.settle();
  }

  crash(site: string): void {
    this.world.gateways.delete(site);
    this.reference.crash(site);
  }

  restart(site: string): void {
    this.reference.restart(site);
    this.extra.delete(site);
    this.world.net.inbox(VTEPS[site]!).length = 0;
    this.world.gateway(site === BORDER ? borderYaml() : this.yaml(site));
    this.rewire();
    this.notice();
  }

  // ---- after every step --------------------------------------------------------------------------------------------

  /** [2] [5] [8]: what no table may hold, and how much may have been sent. */
  check(): void {
    this.world.settle();
    for (const [name, gateway] of this.world.gateways) this.checkTables(name, gateway);
    const { inBytes, outBytes } = this.witness;
    const seconds = 1 + (this.nowMs - this.stepStartMs) / 1000;
    if (outBytes > 12 * inBytes + 100_000 * seconds)
      throw new Error(`${outBytes} bytes out for ${inBytes} bytes in, within ${seconds} s`);
    this.witness.inBytes = 0;
    this.witness.outBytes = 0;
    this.stepStartMs = this.nowMs;
  }

  private checkTables(name: string, { control }: Gateway): void {
    const { agent, shown } = control;
    const own = new Set([...shown.inventory.interfaces.values()].map((on) => on.mac));
    const hosts = new Set(HOSTS.map((host) => host.mac));
    for (const row of agent.macs.list()) {
      if (row.origin !== "learned") continue;
      const mac = parseMac(row.mac)!;
      if (own.has(mac)) throw new Error(`${name}: learned its own gateway MAC ${row.mac}`);
      const isGateway = this.witness.gatewayMacs.has(mac);
      if (row.via?.kind === "ac" ? isGateway || !hosts.has(row.mac) : !isGateway && !hosts.has(row.mac))
        throw new Error(`${name}: learned ${row.mac} behind ${row.via?.kind} ${row.via?.name}`);
    }
    for (const row of agent.neighborViews()) {
      if (row.origin === "gateway") continue;
      const isOwn = row.ip.endsWith(".1") && !row.ip.startsWith("50.");
      if (name !== BORDER && isOwn) throw new Error(`${name}: ${row.ip} in its ARP table`);
      if (row.ip === STATIC_IP && name === "g1" && row.interface === "if10" && row.origin !== "static")
        throw new Error(`${name}: the static entry became ${row.origin}`);
    }
    const { neighbors, arp } = agent;
    if (neighbors.size > 512 || neighbors.waiting > CAP_PENDING || arp.relays.size > 1024 || agent.macs.size > 2048)
      throw new Error(`${name}: a table over its cap`);
  }

  private yaml(site: string): string {
    return siteYaml(site, this.setting, (ac) => this.reference.isMissing(ac), this.extra.get(site) ?? []);
  }

  private plug(host: Host): Vm {
    const cable = new MemoryTap([0]);
    cable.send = (frame) => {
      const ac = this.reference.placeOf(host.name);
      const tap = ac === null ? undefined : this.gateway(ac.split("-")[0]!)?.taps.get(ac);
      if (ac === null || tap === undefined || this.reference.isMissing(ac)) return;
      this.witness.onSend(frame);
      tap.send(frame);
    };
    return new Vm(cable, { name: host.name, ip: host.ip, mac: host.mac, gateway: gatewayOf(host) });
  }

  /** TAPs and gateway MACs may be new. */
  private rewire(): void {
    const macs = new Set(this.witness.gatewayMacs);
    for (const gateway of this.world.gateways.values()) {
      for (const on of gateway.control.shown.inventory.interfaces.values()) macs.add(on.mac);
      for (const [ac, tap] of gateway.taps)
        tap.receive = (frame) => {
          const name = this.reference.occupant(ac);
          this.witness.onAc(ac, frame, name === null ? null : this.host(name));
          if (name !== null) this.vm(name).tap.receive(frame);
        };
    }
    this.witness.gatewayMacs = macs;
  }

  /** A reload that must wait for the one before it. */
  private settled(gateway: Gateway): void {
    for (let i = 0; i < 100 && !gateway.control.topology.isReady; i++) this.pass(1);
    this.world.settle();
  }

  private state({ control }: Gateway): unknown {
    const { agent } = control;
    const macs = agent.macs.list().map(({ ageSeconds: _, ...row }) => row);
    const neighbors = agent.neighborViews().map(({ ageSeconds: _, stateSeconds: __, ...row }) => row);
    return { macs, neighbors, routes: control.shown.routes.size };
  }
}
