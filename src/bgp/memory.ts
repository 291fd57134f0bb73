/**
 * Engines in memory, with a route reflector between them: several gateways of one process join a fabric, on virtual time.
 *
 * It behaves as gobgpd does, where that matters: best is best per key, own routes come back, a restarted engine has forgotten
 * everything, a reflector drops a dead peer's routes at once and does not send a route back to where it is from, and an engine takes
 * a route of another one with its router id for its own that came back (RFC 4456 §8). What is to be told waits until `run`, in order,
 * so a test decides who hears what first.
 */
import { type EvpnRoute, keyOf } from "../evpn/route.ts";
import { type Engine, type EngineEvent, ROWS_PER_BATCH, type RouteRow } from "./engine.ts";

/** The reflector's address, as peers see it. */
export const REFLECTOR = "192.0.2.251";

export class MemoryFabric {
  private readonly members = new Set<MemoryEngine>();
  private readonly queue: (() => void)[] = [];
  /** Is there a session with the reflector? */
  private isReflecting = true;

  /** An engine for the gateway with this router id. `emit` is called from `run` alone. */
  join(routerId: string, as: number, emit: (event: EngineEvent) => void): MemoryEngine {
    const engine = new MemoryEngine(routerId, as, emit, {
      later: (run) => this.queue.push(run),
      reflect: (row) => this.reflect(engine, row),
      others: () => (this.isReflecting ? [...this.members].filter((each) => hears(engine, each) && each.isUp) : []),
      isReflecting: () => this.isReflecting,
    });
    this.members.add(engine);
    return engine;
  }

  /** Deliver what waits, at most `most` messages. @returns whether there is more. */
  run(most = Number.POSITIVE_INFINITY): boolean {
    for (let n = 0; n < most && this.queue.length > 0; n++) this.queue.shift()!();
    return this.queue.length > 0;
  }

  /** The reflector goes away, or comes back: everybody loses, and hears again, what others announced. */
  setReflecting(isReflecting: boolean): void {
    if (this.isReflecting === isReflecting) return;
    this.isReflecting = isReflecting;
    for (const member of this.members) member.sessionChanged(isReflecting);
  }

  private reflect(from: MemoryEngine, row: RouteRow): void {
    if (!this.isReflecting) return;
    for (const member of this.members) if (hears(member, from)) member.hear({ ...row, peer: REFLECTOR });
  }
}

function hears(engine: MemoryEngine, other: MemoryEngine): boolean {
  return engine.routerId !== other.routerId;
}

interface Surroundings {
  later(run: () => void): void;
  reflect(row: RouteRow): void;
  others(): readonly MemoryEngine[];
  isReflecting(): boolean;
}

export class MemoryEngine implements Engine {
  readonly routerId: string;
  private readonly as: number;
  private readonly emit: (event: EngineEvent) => void;
  private readonly around: Surroundings;
  private readonly own = new Map<string, EvpnRoute>();
  private readonly heard = new Map<string, EvpnRoute>();
  isUp = false;
  /** Counts lives: what was to be told in a former one is void. */
  private life = 0;

  constructor(routerId: string, as: number, emit: (event: EngineEvent) => void, around: Surroundings) {
    this.routerId = routerId;
    this.as = as;
    this.emit = emit;
    this.around = around;
  }

  /** The engine starts, with an empty table; its session brings what others announce. */
  start(): void {
    this.isUp = true;
    this.life++;
    this.tell({ kind: "ready", api: "memory", as: this.as, routerId: this.routerId });
    this.tellPeers();
    if (this.around.isReflecting()) this.hearAll();
    this.resync();
    if (this.around.isReflecting()) this.tell({ kind: "endOfRib", peer: REFLECTOR });
  }

  /** Its client is another one: it is told everything from the start. */
  reconnect(): void {
    this.life++;
    this.tell({ kind: "ready", api: "memory", as: this.as, routerId: this.routerId });
    this.tellPeers();
    this.resync();
    if (this.around.isReflecting()) this.tell({ kind: "endOfRib", peer: REFLECTOR });
  }

  /** It dies: its client hears so, and the reflector drops its routes at once. */
  kill(): void {
    if (!this.isUp) return;
    for (const route of this.own.values()) this.around.reflect(rowOf(route, true, null));
    this.isUp = false;
    this.life++;
    this.own.clear();
    this.heard.clear();
    this.around.later(() => this.emit({ kind: "lost", reason: "killed" }));
  }

  announce(routes: readonly EvpnRoute[]): void {
    if (this.isUp) for (const route of routes) this.put(this.own, rowOf(route, false, null));
  }

  withdraw(routes: readonly EvpnRoute[]): void {
    if (this.isUp) for (const route of routes) this.put(this.own, rowOf(route, true, null));
  }

  resync(): void {
    this.tell({ kind: "snapshot" });
    const rows = [
      ...Array.from(this.own.values(), (route) => rowOf(route, false, null)),
      ...Array.from(this.heard.values(), (route) => rowOf(route, false, REFLECTOR)),
    ];
    for (let at = 0; at < rows.length; at += ROWS_PER_BATCH)
      this.tell({ kind: "rows", rows: rows.slice(at, at + ROWS_PER_BATCH) });
    this.tell({ kind: "complete" });
  }

  setPeers(): void {}

  close(): void {}

  /** What it has announced, for tests. */
  announced(): EvpnRoute[] {
    return [...this.own.values()];
  }

  /** From the reflector. */
  hear(row: RouteRow): void {
    if (this.isUp) this.put(this.heard, row);
  }

  sessionChanged(isUp: boolean): void {
    if (!this.isUp) return;
    if (isUp) this.hearAll();
    else for (const route of [...this.heard.values()]) this.put(this.heard, rowOf(route, true, REFLECTOR));
    this.tellPeers();
    if (isUp) this.tell({ kind: "endOfRib", peer: REFLECTOR });
  }

  /** The session is new: all that others announce, and ours to them. */
  private hearAll(): void {
    for (const other of this.around.others())
      for (const route of other.announced()) this.put(this.heard, rowOf(route, false, REFLECTOR));
  }

  private put(table: Map<string, EvpnRoute>, row: RouteRow): void {
    const key = keyOf(row.route);
    if (row.isWithdrawn && !table.has(key)) return;
    if (row.isWithdrawn) table.delete(key);
    else table.set(key, row.route);
    this.tell({ kind: "rows", rows: [row] });
    if (table === this.own) this.around.reflect(row);
  }

  private tellPeers(): void {
    const state = this.around.isReflecting() ? "established" : "idle";
    this.tell({ kind: "peers", peers: [{ address: REFLECTOR, as: this.as, state, upSince: null }] });
  }

  private tell(event: EngineEvent): void {
    const { life } = this;
    this.around.later(() => this.life === life && this.emit(event));
  }
}

function rowOf(route: EvpnRoute, isWithdrawn: boolean, peer: string | null): RouteRow {
  return { route, isWithdrawn, peer };
}
