/**
 * TAPs: the devices behind ACs, and their io ports.
 *
 * One TAP is one io port, however many ACs (VLANs) share it; it is opened when the first of them comes and closed after
 * the last has gone. Opening is the one thing in a reload that the world can refuse, so it happens in `prepare`, before
 * anything is changed. A TAP that is handed over arrives when its owner likes (`handOver`), goes when the VM stops, and
 * comes again; its AC exists and waits.
 *
 * An io port number must not be given to another device while a worker may still bring frames of the old one: it comes
 * back through the reaper, as does the file.
 */
import type { RowPool } from "../../tables/heartbeat.ts";
import type { Tables } from "../../tables/tables.ts";
import { IO_NONE, IO_TAP } from "../../tables/vsi.ts";
import type { AcConfig } from "../plan.ts";
import type { Draft } from "./draft.ts";
import type { Mtus } from "./mtu.ts";
import type { Reaper } from "./reaper.ts";

/** A TAP that is open: one fd per worker; or one for all, where the device has one queue. */
export interface OpenTap {
  readonly fds: readonly number[];
  readonly ifindex: number;
}

/** Opens TAPs: implemented by main with the addon, by tests in memory. Methods throw an Error whose message people read. */
export interface PortOpener {
  /** Create or take over the TAP of `ac` (`ac.tap` is not null), with so many bytes of IP MTU, and bring it up. */
  openTap(ac: AcConfig, mtu: number): OpenTap;
  /** It stays: from now on the device outlives us, or does not, as its AC says. Must not throw. */
  keepTap(tap: OpenTap, ac: AcConfig): void;
  /** The AC's configuration changed in what may change on an open TAP: MTU and persistence. */
  changeTap(tap: OpenTap, ac: AcConfig, mtu: number): void;
  /** No worker uses it any more. Also for TAPs that were handed over. Must not throw. */
  closeTap(tap: OpenTap, ac: AcConfig): void;
}

/** What the topology asks of the workers' io: `Injector` implements it. */
export interface IoCommands {
  attachTap(io: number, fds: readonly number[]): void;
  attachPeer(io: number, address: Uint8Array, udpPort: number): void;
  detach(io: number): void;
  flush(): void;
}

export interface Tap {
  readonly key: string;
  readonly io: number;
  /** Has the settings the device has. */
  ac: AcConfig;
  mtu: number;
  open: OpenTap | null;
}

/** ACs with the same key are on the same TAP. */
export function tapKey(ac: AcConfig): string {
  return ac.tap === null ? `handover ${ac.name}` : JSON.stringify([ac.tap.netns, ac.tap.device]);
}

export function groupByTap(acs: readonly AcConfig[]): Map<string, AcConfig[]> {
  return groupAcs(acs, tapKey);
}

/** ACs by what `keyOf` says of them, in their order. */
export function groupAcs(acs: readonly AcConfig[], keyOf: (ac: AcConfig) => string): Map<string, AcConfig[]> {
  const groups = new Map<string, AcConfig[]>();
  for (const ac of acs) {
    const key = keyOf(ac);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [ac]);
    else group.push(ac);
  }
  return groups;
}

export class Taps {
  private readonly tables: Tables;
  private readonly opener: PortOpener;
  private readonly commands: IoCommands;
  private readonly reaper: Reaper;
  private readonly ios: RowPool;
  private readonly taps = new Map<string, Tap>();
  private fresh: Tap[] = [];

  /** @param ios io port numbers, shared with the peers. */
  constructor(tables: Tables, opener: PortOpener, commands: IoCommands, reaper: Reaper, ios: RowPool) {
    this.tables = tables;
    this.opener = opener;
    this.commands = commands;
    this.reaper = reaper;
    this.ios = ios;
  }

  /** The TAP of `ac`; exists once `prepare` has succeeded. */
  of(ac: AcConfig): Tap | undefined {
    const key = tapKey(ac);
    return this.taps.get(key) ?? this.fresh.find((tap) => tap.key === key);
  }

  /** Open what is new and set what changed. @returns why not. */
  prepare(draft: Draft): string | null {
    this.fresh = [];
    draft.undo.push(() => {
      this.fresh = [];
    });
    for (const [key, acs] of groupByTap(draft.config.acs)) {
      const tap = this.taps.get(key);
      const problem =
        tap === undefined ? this.open(key, acs, draft) : this.change(tap, acs[0]!, draft.mtus.ofTap(acs), draft.undo);
      if (problem !== null) return problem;
    }
    return null;
  }

  /** The draft is carried out: forget TAPs that no AC uses, tell the workers, bury the files. */
  detachUnused(draft: Draft): void {
    const used = groupByTap(draft.config.acs);
    for (const tap of [...this.taps.values()]) {
      if (used.has(tap.key)) continue;
      this.taps.delete(tap.key);
      this.retire(tap);
    }
  }

  /** Give the new TAPs to the workers. @returns the keys of those that are open. */
  attachFresh(): void {
    for (const tap of this.fresh) {
      this.taps.set(tap.key, tap);
      if (tap.open === null) continue;
      this.commands.attachTap(tap.io, tap.open.fds);
      this.opener.keepTap(tap.open, tap.ac);
    }
    this.fresh = [];
  }

  /** MTUs changed while nothing else did. @returns what could not be set. */
  setMtus(acs: readonly AcConfig[], mtus: Mtus): string[] {
    const problems: string[] = [];
    for (const [key, group] of groupByTap(acs)) {
      const problem = this.change(this.taps.get(key)!, group[0]!, mtus.ofTap(group), []);
      if (problem !== null) problems.push(problem);
    }
    return problems;
  }

  /** The TAP of a handed-over AC has arrived. One that it had before is detached and closed. */
  handOver(ac: AcConfig, open: OpenTap): void {
    this.takeBack(ac);
    const tap = this.taps.get(tapKey(ac))!;
    tap.open = open;
    this.commands.attachTap(tap.io, open.fds);
  }

  /** A device of our own was deleted, its file was taken back: make it again. @returns why not. */
  reopen(ac: AcConfig): string | null {
    const tap = this.taps.get(tapKey(ac))!;
    if (tap.open !== null || ac.tap === null) return null;
    const open = attempt(ac, () => this.opener.openTap(tap.ac, tap.mtu));
    if (typeof open === "string") return open;
    tap.open = open;
    this.commands.attachTap(tap.io, open.fds);
    this.opener.keepTap(open, tap.ac);
    return null;
  }

  /**
   * A handed-over TAP is no more, or one of ours was deleted. The AC keeps its io port for the next one: each worker is told in order, and what it
   * still has in hand of the old TAP is this AC's too. @returns false if there is none.
   */
  takeBack(ac: AcConfig): boolean {
    const tap = this.taps.get(tapKey(ac))!;
    const open = tap.open;
    if (open === null) return false;
    tap.open = null;
    this.commands.detach(tap.io);
    this.reaper.bury(
      () => this.opener.closeTap(open, tap.ac),
      () => {},
    );
    return true;
  }

  private open(key: string, acs: readonly AcConfig[], draft: Draft): string | null {
    const ac = acs[0]!;
    const io = this.ios.take();
    if (io === 0) return `AC ${ac.name}: no io port is free`;
    draft.undo.push(() => this.ios.retire(io));
    const tap: Tap = { key, io, ac, mtu: draft.mtus.ofTap(acs), open: null };
    if (ac.tap !== null) {
      const open = attempt(ac, () => this.opener.openTap(ac, tap.mtu));
      if (typeof open === "string") return open;
      tap.open = open;
      draft.undo.push(() => this.opener.closeTap(open, ac));
    }
    this.fresh.push(tap);
    this.tables.ports.ioKind[io] = IO_TAP;
    return null;
  }

  private change(tap: Tap, ac: AcConfig, mtu: number, undo: (() => void)[]): string | null {
    const before = { ac: tap.ac, mtu: tap.mtu };
    const isDone = tap.mtu === mtu && tap.ac.tap?.persist === ac.tap?.persist;
    const open = tap.open;
    if (!isDone && open !== null && ac.tap !== null) {
      const problem = attempt(ac, () => this.opener.changeTap(open, ac, mtu));
      if (typeof problem === "string") return problem;
      undo.push(() => attempt(before.ac, () => this.opener.changeTap(open, before.ac, before.mtu)));
    }
    tap.ac = ac;
    tap.mtu = mtu;
    undo.push(() => Object.assign(tap, before));
    return null;
  }

  private retire(tap: Tap): void {
    const { ports } = this.tables;
    const open = tap.open;
    Atomics.store(ports.ofIo, tap.io, 0);
    if (open !== null) this.commands.detach(tap.io);
    this.reaper.bury(
      () => {
        if (open !== null) this.opener.closeTap(open, tap.ac);
      },
      () => {
        ports.ioKind[tap.io] = IO_NONE;
        this.ios.retire(tap.io);
      },
    );
  }
}

/** The opener's answer, or the message of what it threw: the operator's business, not ours. */
function attempt<T>(ac: AcConfig, act: () => T): T | string {
  try {
    return act();
  } catch (error) {
    return `AC ${ac.name}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
