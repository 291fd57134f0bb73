/**
 * The prober: watches the peers of tunnels from the main thread, by ICMP echo on the underlay; its clock is the main thread's
 * attention (attended-clock.ts), so that our own lateness is no peer's death.
 *
 * It owns what control must not know: who is asked, and by what (echoer.ts). What an answer means is decided in
 * liveness/tunnel-probe.ts, one for each tunnel. Tunnels with `keepalive` are watched all the time; any other is asked only when
 * a person does (`vtepctl ping`), so a gateway that is not told to probe sends nothing of its own and needs no right for it.
 *
 * The peer's kernel answers, so this watches the path and the machine, not the peer's daemon.
 *
 * Without a socket probing is off: said once as a warning, and shown in the status. Tunnels stay up, for a gateway that
 * cannot look must not conclude that the peer is dead.
 *
 * A path MTU comes from a search, or from our own kernel, which refuses datagrams after a router's "too big"
 * (`tooBig`). It is never taken below the floor, never above the underlay's own, and what no search has found is forgotten
 * after ten minutes (RFC 1191 §6.3): then the kernel is asked anew by the next long packet.
 */

import type { PathSearch, PingResult, Probe, Probing } from "../api/schema-probe.ts";
import type { Emit } from "../control/event.ts";
import type { Inventory, TunnelPort } from "../control/inventory.ts";
import { OncePer } from "../control/once-per.ts";
import { peerAddress } from "../control/peer-address.ts";
import type { Config, TunnelConfig } from "../control/plan.ts";
import { Timers } from "../control/timers.ts";
import { sameBytes } from "../wire/bytes.ts";
import { shortestEcho } from "../wire/echo.ts";
import { AttendedClock } from "./attended-clock.ts";
import type { EchoUnavailable } from "./echo-socket.ts";
import { Echoer, type EchoerParts } from "./echoer.ts";
import { Silences, type TunnelTraffic } from "./silence.ts";
import { type EchoEnd, SMALL_BYTES, TunnelProbe } from "./tunnel-probe.ts";

/** Least that a path is believed to carry: 576 bytes inside (RFC 791 §3.1), or IPv6's minimum (RFC 8200 §5). */
export const FLOOR = { 4: 626, 6: 1280 } as const;
const AGE_MS = 600_000;
const HINT_EVERY_MS = 5000;
const PING_WAIT_MS = 1000;

/** What the prober needs of the topology. */
export interface ProbedTopology {
  readonly config: Config;
  setTunnelUp(tunnel: TunnelPort, up: boolean): void;
  setPathMtu(tunnel: TunnelPort, underlayMtu: number | null): void;
}

export interface ProberParts {
  readonly inventory: Inventory;
  readonly topology: ProbedTopology;
  readonly emit: Emit;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly openSocket: EchoerParts["openSocket"];
  /** The underlay's IP MTU. */
  readonly underlayMtu: () => number;
  /** The path MTU our kernel believes in; not positive: it has no opinion. */
  readonly kernelMtu: (local: string, remote: string) => number;
  /** Packets of a tunnel, ever. */
  readonly traffic: (tunnel: TunnelPort) => TunnelTraffic;
  /** Call `run` at this time (null: nothing is due). */
  readonly wakeAt: (dueMs: number | null) => void;
  /** Control has something to do. */
  readonly kick: () => void;
}

interface Watched {
  readonly port: TunnelPort;
  readonly probe: TunnelProbe;
  readonly address: Uint8Array;
  /** The path MTU in force, where it is less than the underlay's; and since when. */
  mtu: number | null;
  mtuMs: number;
}

export class Prober {
  private readonly parts: ProberParts;
  private readonly clock: AttendedClock;
  private readonly timers: Timers;
  private readonly watched = new Map<TunnelPort, Watched>();
  private readonly hints = new OncePer<TunnelPort>(HINT_EVERY_MS);
  private readonly silences: Silences;
  private readonly echoer: Echoer;
  private isClosed = false;
  private isInTurn = false;

  constructor(parts: ProberParts) {
    this.parts = parts;
    this.clock = new AttendedClock(parts.now);
    this.timers = new Timers(this.clock.nowMs);
    this.silences = new Silences(parts.traffic);
    this.echoer = new Echoer({
      timers: this.timers,
      now: () => this.clock.nowMs,
      config: () => parts.topology.config,
      openSocket: parts.openSocket,
      emit: parts.emit,
      turn: (what) => this.turn(what),
      onNews: ({ port, target, mtu }) => this.hear(port, target, mtu),
      onFailure: (problem, isNews) => this.off(problem, isNews),
    });
  }

  /** Once a second and after every change: watch what is configured, and nothing else. */
  look(): void {
    this.turn(() => {
      this.followInventory();
      this.echoer.follow(this.keptAlive().length > 0);
      this.silences.look(this.parts.inventory.tunnels(), this.parts.now());
      const underlayMtu = this.parts.underlayMtu();
      for (const each of this.watched.values()) {
        each.probe.setCeiling(underlayMtu);
        each.probe.setKeepalive(this.echoer.isOpen ? each.port.config.keepalive : null);
        const isOld = each.mtu !== null && this.timers.nowMs - each.mtuMs >= AGE_MS;
        // What a search has found, the next one corrects (tunnel-probe.ts).
        if (isOld && keepaliveOf(each.port) === null && each.probe.pathMtu === null) this.setMtu(each, null, "aged");
        else this.widen(each);
      }
    });
  }

  run(): void {
    this.turn(() => undefined);
  }

  close(): void {
    this.isClosed = true;
    for (const { probe } of this.watched.values()) probe.stop();
    this.echoer.close();
    this.parts.wakeAt(null);
  }

  /** Our own kernel would not send a datagram to `tunnel`: too long. */
  tooBig(tunnel: TunnelPort): void {
    this.turn(() => {
      const each = this.watched.get(tunnel) ?? this.add(tunnel);
      const mtu = this.kernelMtu(each);
      if (mtu === null) return;
      this.setMtu(each, mtu, "kernel");
      this.hint(each, mtu);
    });
  }

  /** Is probing possible, and if not, why? */
  get probing(): Probing {
    const wanted = this.keptAlive().length;
    const { kind: by, problem } = this.echoer;
    if (problem !== null) return { state: "off", watched: 0, by, reason: problem.message, fix: problem.fix };
    return { state: wanted > 0 ? "on" : "unused", watched: wanted, by, reason: null, fix: null };
  }

  /** What is known of the way to a tunnel's peer. */
  view(port: TunnelPort): Probe {
    const each = this.watched.get(port);
    const keepalive = keepaliveOf(port);
    const probe = each?.probe;
    const isWatched = keepalive !== null && this.echoer.isOpen;
    return {
      keepalive,
      state: keepalive === null ? "unwatched" : isWatched ? (probe?.isUp === false ? "down" : "up") : "impossible",
      rttMs: round(probe?.rttMs ?? null),
      loss: probe?.loss ?? null,
      answered: probe?.answered ?? 0,
      lost: probe?.lost ?? 0,
      pathMtu: each?.mtu ?? probe?.pathMtu ?? null,
      ...this.silences.of(port, this.parts.now()),
    };
  }

  /** The last search for a tunnel's path MTU, or the one that runs. */
  searchOf(port: TunnelPort): PathSearch {
    const probe = this.watched.get(port)?.probe;
    return {
      tunnel: port.name,
      searching: probe?.isSearching ?? false,
      silent: probe?.isSilent ?? false,
      pathMtu: probe?.pathMtu ?? null,
      usedMtu: this.watched.get(port)?.mtu ?? this.parts.underlayMtu(),
      innerMtu: port.mtu,
      tries: probe?.tries.map((each) => ({ ...each })) ?? [],
    };
  }

  /** One echo to a tunnel's peer, for a person. */
  ping(tunnel: TunnelPort, length: number): Promise<PingResult> {
    return new Promise((resolve) => {
      this.turn(() => {
        const each = this.watched.get(tunnel) ?? this.add(tunnel);
        const unavailable = this.echoer.open();
        if (unavailable !== null) {
          const { message: reason, fix } = unavailable;
          return resolve({ kind: "off", length, rttMs: null, mtu: null, reason, fix });
        }
        this.echo(each, Math.max(length, shortestEcho(each.address.length)), PING_WAIT_MS, (end) => {
          const rttMs = end.kind === "reply" ? round(end.rttMs) : null;
          const mtu = end.kind === "tooBig" && end.mtu > 0 ? end.mtu : null;
          resolve({ kind: end.kind, length, rttMs, mtu, reason: null, fix: null });
        });
      });
    });
  }

  /** One small echo to an address of the underlay, for a track; `done` is called once. @returns why it cannot be sent, or null. */
  ask(remote: string, waitMs: number, done: (rttMs: number | null) => void): string | null {
    let problem: EchoUnavailable | null = null;
    this.turn(() => {
      problem = this.echoer.open();
      if (problem !== null) return;
      this.echoer.echo({ remote, address: peerAddress(remote) }, SMALL_BYTES, waitMs, (end) => {
        done(end.kind === "reply" ? end.rttMs : null);
        this.parts.kick();
      });
    });
    return (problem as EchoUnavailable | null)?.message ?? null;
  }

  /** Begin a search for the path MTU of a tunnel; `view` tells how it goes. @returns why not, or null. */
  search(tunnel: TunnelPort): EchoUnavailable | null {
    let problem: EchoUnavailable | null = null;
    this.turn(() => {
      const each = this.watched.get(tunnel) ?? this.add(tunnel);
      problem = this.echoer.open();
      if (problem === null) each.probe.startSearch();
    });
    return problem;
  }

  // ---- what is watched -------------------------------------------------------------------------------------------

  private followInventory(): void {
    const { inventory } = this.parts;
    for (const [port, { probe }] of this.watched) {
      if (inventory.ports.get(port.row) === port) continue;
      probe.stop();
      this.watched.delete(port);
      this.hints.forget(port);
    }
    for (const port of inventory.ports.values()) {
      if (port.kind === "tunnel" && !this.watched.has(port) && keepaliveOf(port) !== null) this.add(port);
    }
  }

  private add(port: TunnelPort): Watched {
    const { timers, parts } = this;
    const address = peerAddress(port.config.remote);
    const floor = FLOOR[address.length === 4 ? 4 : 6];
    const probe = new TunnelProbe(
      {
        timers,
        floor,
        echo: (length, waitMs, done) => this.echo(each, length, waitMs, done),
        isReady: () => this.echoer.open() === null,
        onLiveness: (up) => {
          parts.topology.setTunnelUp(port, up);
          parts.kick();
        },
        onPathMtu: (mtu) =>
          mtu === null
            ? this.setMtu(each, null, "aged")
            : this.setMtu(each, Math.min(mtu, this.kernelMtu(each) ?? mtu), "search"),
      },
      parts.underlayMtu(),
    );
    const never = Number.NEGATIVE_INFINITY;
    const each: Watched = { port, probe, address, mtu: null, mtuMs: never };
    this.watched.set(port, each);
    return each;
  }

  private setMtu(each: Watched, found: number | null, why: string): void {
    const { topology, emit, underlayMtu } = this.parts;
    const most = underlayMtu();
    const mtu = found === null || found >= most ? null : found;
    each.mtuMs = this.timers.nowMs;
    if (mtu === each.mtu) return;
    const was = each.mtu ?? most;
    each.mtu = mtu;
    topology.setPathMtu(each.port, mtu);
    const level = (mtu ?? most) < was ? "warn" : "info";
    emit(level, "tunnel.path-mtu", { tunnel: each.port.name, mtu: mtu ?? most, was, inner: each.port.mtu, from: why });
  }

  /** The path is wider than what our kernel would send: it may have forgotten by now. */
  private widen(each: Watched): void {
    const { pathMtu } = each.probe;
    if (each.mtu === null || pathMtu === null || each.mtu >= pathMtu) return;
    this.setMtu(each, Math.min(pathMtu, this.kernelMtu(each) ?? pathMtu), "kernel");
  }

  /** What our kernel will send, where it is less than the underlay's MTU; never less than the floor. */
  private kernelMtu({ port, address }: Watched): number | null {
    const { topology, kernelMtu, underlayMtu } = this.parts;
    const mtu = kernelMtu(topology.config.underlay.address, port.config.remote);
    if (mtu <= 0 || mtu >= underlayMtu()) return null;
    return Math.max(mtu, FLOOR[address.length === 4 ? 4 : 6]);
  }

  /** Somebody says that the path is narrow: look, but not as often as somebody says so. */
  private hint(each: Watched, mtu: number): void {
    if (keepaliveOf(each.port) === null || !this.echoer.isOpen) return;
    if (this.hints.admit(each.port, this.timers.nowMs)) each.probe.startSearch(mtu);
  }

  // ---- echoes ----------------------------------------------------------------------------------------------------

  private echo({ port, address }: Watched, length: number, waitMs: number, done: (end: EchoEnd) => void): void {
    this.echoer.echo({ remote: port.config.remote, address }, length, waitMs, done);
  }

  private keptAlive(): TunnelPort[] {
    return [...this.watched.keys()].filter((port) => keepaliveOf(port) !== null);
  }

  private off({ message, fix }: EchoUnavailable, isNews: boolean): void {
    for (const { probe } of this.watched.values()) probe.setKeepalive(null);
    const tunnels = this.keptAlive().map(({ name }) => name);
    if (!isNews || tunnels.length === 0) return;
    this.parts.emit("warn", "probing.off", { problem: message, fix, unwatched: tunnels.join(", ") });
  }

  /** Anybody's word: a datagram to UDP `port` of `target` was too long for a path of `mtu` bytes. */
  private hear(port: number, target: Uint8Array, mtu: number): void {
    const { family, port: vxlanPort } = this.parts.topology.config.underlay;
    if (port !== vxlanPort) return;
    const each = [...this.watched.values()].find(({ address }) => sameBytes(address, target));
    const isPlausible = mtu >= FLOOR[family] && mtu < this.parts.underlayMtu();
    if (each !== undefined && isPlausible) this.hint(each, mtu);
  }

  /** Do `what` at the present time, after all that was due before it; then say when to come again. */
  private turn(what: () => void): void {
    if (this.isClosed) return;
    if (this.isInTurn) {
      what();
      return;
    }
    this.isInTurn = true;
    const nowMs = this.clock.turn(this.timers.nextDue(), this.timers.nowMs);
    try {
      this.timers.run(nowMs);
      what();
    } finally {
      this.isInTurn = false;
    }
    const dueMs = this.timers.nextDue();
    this.parts.wakeAt(dueMs === null ? null : this.clock.wallOf(dueMs));
  }
}

function keepaliveOf(port: TunnelPort): TunnelConfig["keepalive"] {
  return port.config.keepalive;
}

/** Milliseconds to a microsecond. */
function round(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1000) / 1000;
}
