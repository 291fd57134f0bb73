/**
 * BFD as the main thread sees it: which tunnels have a session, in which slot, and what is done about what the thread reports.
 *
 * The thread is started for the first tunnel that wants it, and not before. A slot is used again when the thread has said that it
 * is free, so a late report is never another tunnel's.
 */
import type { Emit } from "../../control/event.ts";
import type { Inventory, TunnelPort } from "../../control/inventory.ts";
import type { Config } from "../../control/plan.ts";
import type { BfdConfig } from "../../control/plan-bfd.ts";
import { MAX_BFD_SESSIONS } from "../../tables/vsi.ts";
import type { TunnelJudge } from "../judge.ts";
import { readFigures, readRefusals, type SessionFigures } from "./board.ts";
import type { BfdLink, LinkReport } from "./link.ts";
import type { Change } from "./session.ts";
import { BFD_REFUSALS, type BfdRefusal, type SessionRequest } from "./speaker.ts";

export interface BfdWatchParts {
  readonly inventory: Inventory;
  readonly config: () => Config;
  readonly judge: TunnelJudge;
  /** The forwarding threads look there. */
  readonly setSession: (tunnel: TunnelPort, slot: number) => void;
  readonly emit: Emit;
  readonly openLink: (config: Config, onReport: (report: LinkReport) => void) => BfdLink;
  /** Control has something to do. */
  readonly kick: () => void;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
}

interface Watched {
  readonly port: TunnelPort;
  readonly slot: number;
  config: BfdConfig;
  lastChange: { readonly atMs: number; readonly change: Change } | null;
}

/** A tunnel's session, for people. */
export interface BfdView {
  readonly tunnel: string;
  readonly remote: string;
  readonly config: BfdConfig;
  /** null: the thread has not begun it. */
  readonly figures: SessionFigures | null;
  readonly lastChange: { readonly atMs: number; readonly change: Change } | null;
}

/** How often a session went to a state, with its diagnosis. */
export interface Transition {
  readonly tunnel: string;
  readonly to: string;
  readonly diagnosis: string;
  readonly count: number;
}

export interface LastRefused {
  readonly reason: BfdRefusal;
  readonly source: string;
  readonly hops: number;
  readonly atMs: number;
}

export class BfdWatch {
  private readonly parts: BfdWatchParts;
  private readonly watched = new Map<TunnelPort, Watched>();
  private readonly bySlot = new Map<number, Watched>();
  /** Whose session is ending. */
  private readonly leaving = new Set<number>();
  private link: BfdLink | null = null;
  private transitions = new Map<TunnelPort, Map<string, number>>();
  private isClosed = false;
  /** A drain may begin before there is a thread to tell. */
  private isDraining = false;
  private vni = 0;
  /** Why sessions cannot be held; null: they can. */
  problem: string | null = null;
  lastRefused: LastRefused | null = null;

  constructor(parts: BfdWatchParts) {
    this.parts = parts;
  }

  /** Once a second and after every change: sessions for what wants one. */
  look(): void {
    if (this.isClosed) return;
    const { inventory, config, openLink } = this.parts;
    let isChanged = false;
    for (const each of this.watched.values()) {
      const isThere = inventory.ports.get(each.port.row) === each.port;
      const wanted = isThere ? this.wantedBy(each.port) : null;
      if (wanted !== null && wanted.mode === each.config.mode) {
        if (isSameTiming(wanted, each.config)) continue;
        each.config = wanted;
      } else this.leave(each, isThere);
      isChanged = true;
    }
    for (const port of inventory.tunnels()) {
      const wanted = this.watched.has(port) ? null : this.wantedBy(port);
      const slot = wanted === null ? 0 : this.freeSlot();
      if (wanted === null || slot === 0) continue;
      const each: Watched = { port, slot, config: wanted, lastChange: null };
      this.watched.set(port, each);
      this.bySlot.set(slot, each);
      this.parts.setSession(port, slot);
      isChanged = true;
    }
    const { managementVni } = config().underlay;
    const isOtherVni = this.vni !== managementVni && this.watched.size > 0;
    this.vni = managementVni;
    if (!isChanged && !isOtherVni) return;
    if (this.link === null) {
      this.link = openLink(config(), (report) => this.hear(report));
      if (this.isDraining) this.link.drain(true);
    }
    this.link.setSessions([...this.watched.values()].map((each) => requestOf(each, managementVni)));
  }

  /** Every peer leaves us, or may use us again. */
  drain(isDraining: boolean): void {
    this.isDraining = isDraining;
    this.link?.drain(isDraining);
  }

  /** Peers are told. */
  close(): void {
    this.isClosed = true;
    this.link?.close();
  }

  get size(): number {
    return this.watched.size;
  }

  view(port: TunnelPort): BfdView | null {
    const each = this.watched.get(port);
    if (each === undefined) return null;
    const { slot, config, lastChange } = each;
    const figures = this.link === null ? null : readFigures(this.link.board, slot);
    return { tunnel: port.name, remote: port.config.remote, config, figures, lastChange };
  }

  /** Has its session met the peer, so that it says whether the tunnel is up? */
  decides(port: TunnelPort): boolean {
    return (this.view(port)?.figures?.verdict ?? "unknown") !== "unknown";
  }

  views(): BfdView[] {
    return [...this.watched.keys()].map((port) => this.view(port)!);
  }

  /** Datagrams refused, by reason. */
  refused(): Readonly<Record<BfdRefusal, number>> {
    if (this.link !== null) return readRefusals(this.link.board);
    return Object.fromEntries(BFD_REFUSALS.map((reason) => [reason, 0])) as Record<BfdRefusal, number>;
  }

  *transitionCounts(): Iterable<Transition> {
    for (const [{ name: tunnel }, counts] of this.transitions)
      for (const [key, count] of counts) {
        const [to, diagnosis] = key.split(" ") as [string, string];
        yield { tunnel, to, diagnosis, count };
      }
  }

  private wantedBy({ name, config }: TunnelPort): BfdConfig | null {
    // A tunnel that the configuration does not name is watched as all are.
    return name.includes(":") ? this.parts.config().bfd : config.bfd;
  }

  private freeSlot(): number {
    for (let slot = 1; slot <= MAX_BFD_SESSIONS; slot++)
      if (!this.bySlot.has(slot) && !this.leaving.has(slot)) return slot;
    return 0;
  }

  private leave(each: Watched, isThere: boolean): void {
    this.watched.delete(each.port);
    this.bySlot.delete(each.slot);
    this.leaving.add(each.slot);
    this.transitions.delete(each.port);
    this.parts.setSession(each.port, 0);
    if (isThere) this.parts.judge.bfd(each.port, "unknown");
  }

  private hear(report: LinkReport): void {
    if (this.isClosed) return;
    const { emit, kick, nowMs } = this.parts;
    switch (report.kind) {
      case "change":
        this.changed(report.slot, report.change);
        kick();
        return;
      case "gone":
        this.leaving.delete(report.slot);
        return;
      case "problem":
        this.problem = report.text;
        if (report.text !== null) emit("warn", "bfd.problem", { problem: report.text });
        return;
      case "refused": {
        const { reason, source, hops } = report;
        if (this.lastRefused === null || this.lastRefused.reason !== reason || this.lastRefused.source !== source)
          emit("warn", "bfd.refused", { reason, source, hops });
        this.lastRefused = { reason, source, hops, atMs: nowMs() };
        return;
      }
      case "lost":
        this.problem = `the BFD thread: ${report.reason}; it is started again`;
        emit("error", "bfd.problem", { problem: this.problem });
        // Sessions begin anew, and slots that were being left are free.
        this.leaving.clear();
        for (const { port } of this.watched.values()) this.parts.judge.bfd(port, "unknown");
        kick();
    }
  }

  private changed(slot: number, change: Change): void {
    const each = this.bySlot.get(slot);
    if (each === undefined) return;
    const { port } = each;
    const { from, to, verdict, diagnosis, remoteDiagnosis } = change;
    each.lastChange = { atMs: this.parts.nowMs(), change };
    if (from !== to) {
      const counts = this.transitions.get(port) ?? new Map<string, number>();
      this.transitions.set(port, counts);
      const key = `${to} ${diagnosis}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    const fields = { tunnel: port.name, diagnosis, remoteDiagnosis };
    if (to === "up" && from !== "up") this.parts.emit("info", "bfd.up", { tunnel: port.name });
    if (from === "up" && to !== "up") this.parts.emit(verdict === "down" ? "warn" : "info", "bfd.down", fields);
    this.parts.judge.bfd(port, verdict);
  }
}

function requestOf({ slot, port, config }: Watched, managementVni: number): SessionRequest {
  const inVxlan = config.mode === "vxlan" ? { vni: managementVni, port: port.row } : { vni: 0 };
  return { slot, remote: port.config.remote, ...config, ...inVxlan };
}

function isSameTiming(a: BfdConfig, b: BfdConfig): boolean {
  return a.intervalMs === b.intervalMs && a.multiplier === b.multiplier;
}
