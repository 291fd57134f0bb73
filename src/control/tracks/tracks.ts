/**
 * Tracks: things far away that are up or down, and what depends on them.
 *
 * A next hop that answers says nothing of what is behind it. A track asks for something farther: a host by ICMP echo, from a
 * VSI-interface or through the underlay, or an AC for its carrier. While it is down, next hops that name it are out of use, a route
 * without others is withdrawn, and a gateway whose `drain` names it asks its peers to leave it.
 *
 * An echo through a neighbour (`via`) goes to that neighbour whatever the table says. By the table it would take the other way once
 * its own is withdrawn, be answered, and bring the dead way back: up and down for ever.
 */
import type { Emit } from "../event.ts";
import type { Pinger } from "../icmp/ping.ts";
import type { InterfaceObject, Inventory } from "../inventory.ts";
import { planText } from "../plan-text.ts";
import type { TrackConfig } from "../plan-tracks.ts";
import { mustHold, type NextHops } from "../routes/next-hops.ts";
import type { Timers } from "../timers.ts";
import type { FollowedTracks } from "../track-states.ts";
import { type Ask, EchoTrack } from "./echo-track.ts";
import { LinkTrack } from "./link-track.ts";

/** Ask an address of the underlay. @returns why it cannot be asked, or null. */
export type AskUnderlay = (address: string, waitMs: number, done: (rttMs: number | null) => void) => string | null;

export interface TrackParts {
  readonly timers: Timers;
  readonly nextHops: NextHops;
  readonly pinger: Pick<Pinger, "watch">;
  readonly emit: Emit;
  readonly random: () => number;
}

/** A track as the views show it. */
export interface TrackView {
  readonly name: string;
  readonly kind: TrackConfig["target"]["kind"];
  /** What is asked: "60.1.1.1 via 50.1.1.1 on outside". */
  readonly target: string;
  readonly state: "starting" | "up" | "down";
  /** Why it cannot be asked; it is down by that. */
  readonly blind: string | null;
  readonly seconds: number;
  readonly rttMs: number | null;
  readonly answered: number;
  readonly missed: number;
}

interface Track {
  readonly config: TrackConfig;
  readonly text: string;
  readonly iface: InterfaceObject | null;
  readonly watch: EchoTrack | LinkTrack;
  /** The adjacency of `via`; 0: none. */
  readonly adjacency: number;
  sinceMs: number;
}

export class Tracks implements FollowedTracks {
  private readonly parts: TrackParts;
  private readonly tracks = new Map<string, Track>();
  private readonly callbacks: ((name: string, isUp: boolean) => void)[] = [];
  /** Handed in by who has a socket. */
  askUnderlay: AskUnderlay = () => "there is no socket for echoes";

  constructor(parts: TrackParts) {
    this.parts = parts;
  }

  isUp(name: string | null): boolean {
    return name === null || this.tracks.get(name)?.watch.isUp !== false;
  }

  onChange(callback: (name: string, isUp: boolean) => void): void {
    this.callbacks.push(callback);
  }

  /** One that is another now keeps its state until it has been asked. New neighbours are held before old ones are released. */
  apply(wanted: readonly TrackConfig[], inventory: Inventory): void {
    const known = new Map(this.tracks);
    const old = new Map(known);
    this.tracks.clear();
    for (const config of wanted) {
      const before = known.get(config.name);
      const iface = config.target.kind === "overlay" ? inventory.interface(config.target.interface)! : null;
      const text = planText(config);
      const same = before?.iface === iface && before.text === text ? before : null;
      if (same !== null) old.delete(config.name);
      this.tracks.set(config.name, same ?? this.begin(config, text, iface, inventory, before ?? null));
    }
    for (const track of old.values()) this.end(track);
    for (const [name, track] of this.tracks) {
      const was = known.get(name);
      if (was !== track && track.watch.isUp !== (was?.watch.isUp ?? true)) this.tell(name);
    }
  }

  views(): TrackView[] {
    const { nowMs } = this.parts.timers;
    return Array.from(this.tracks.values(), ({ config, watch, sinceMs }) => ({
      name: config.name,
      kind: config.target.kind,
      target: targetText(config),
      state: watch.isFirst ? "starting" : watch.isUp ? "up" : "down",
      blind: watch.blind,
      seconds: Math.floor((nowMs - sinceMs) / 1000),
      rttMs: watch.rttMs === null ? null : Math.round(watch.rttMs * 1000) / 1000,
      answered: watch.answered,
      missed: watch.missed,
    }));
  }

  private begin(
    config: TrackConfig,
    text: string,
    iface: InterfaceObject | null,
    inventory: Inventory,
    before: Track | null,
  ): Track {
    const { timers, nextHops, random } = this.parts;
    const { name, target } = config;
    const onChange = () => this.tell(name);
    const common = { config, text, iface, sinceMs: timers.nowMs };
    if (target.kind === "ac")
      return { ...common, adjacency: 0, watch: new LinkTrack(target.ac, inventory, timers, onChange) };
    const hasVia = target.kind === "overlay" && target.via !== null;
    const adjacency = hasVia ? mustHold(nextHops, iface!, target.via!.ip) : 0;
    const ask = this.askerOf(target, iface, adjacency);
    const watch = new EchoTrack({ pace: target.pace, ask, timers, random, onChange }, before?.watch.isUp ?? null);
    return { ...common, adjacency, watch };
  }

  private askerOf(target: TrackConfig["target"], iface: InterfaceObject | null, adjacency: number): Ask {
    const { pinger } = this.parts;
    if (target.kind === "overlay")
      return (waitMs, done) =>
        pinger.watch(iface!, target.address.ip, adjacency, waitMs, (answer) => done(answer?.rttMs ?? null))
          ? null
          : "the forwarding thread takes no frames";
    const address = target.kind === "underlay" ? target.address : "";
    return (waitMs, done) => this.askUnderlay(address, waitMs, done);
  }

  private end({ watch, adjacency }: Track): void {
    watch.stop();
    if (adjacency !== 0) this.parts.nextHops.release(adjacency);
  }

  private tell(name: string): void {
    const track = this.tracks.get(name);
    if (track === undefined) return;
    const { watch, config } = track;
    track.sinceMs = this.parts.timers.nowMs;
    const fields = { track: name, target: targetText(config) };
    if (watch.isUp) this.parts.emit("info", "track.up", fields);
    else this.parts.emit("warn", "track.down", { ...fields, problem: problemOf(watch) });
    for (const callback of this.callbacks) callback(name, watch.isUp);
  }
}

function problemOf(watch: Track["watch"]): string {
  if (watch instanceof LinkTrack) return watch.problem;
  return watch.blind === null ? "no answer" : `it cannot be asked: ${watch.blind}`;
}

function targetText({ target }: TrackConfig): string {
  if (target.kind === "ac") return `AC ${target.ac}`;
  if (target.kind === "underlay") return `${target.address} through the underlay`;
  const { address, interface: iface, via } = target;
  return via === null ? `${address.text} on ${iface}` : `${address.text} via ${via.text} on ${iface}`;
}
