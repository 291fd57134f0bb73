/**
 * Draining: peers leave us as their next hop before we stop, and nothing that is on its way is lost.
 *
 * While we drain we answer no ARP that comes by a tunnel for an address of ours (those that are not shared: a Border's). The
 * peers' next-hop probes fail within three of their intervals, and their flows go by another next hop; we go on forwarding what
 * still comes. It works with every peer that probes, and BFD says it at once where there is a session. Routes that EVPN announces for
 * what is behind us go as well (evpn/offers.ts).
 *
 * A person asks for it (`vtepctl drain`), or the track that the configuration names (`drain.track`): a Border whose uplink is dead
 * withdraws itself, and takes part again when the track is up. What EVPN announces of the way outside is taken back meanwhile.
 *
 * A distributed gateway has nothing of the kind: no other one can take its hosts, and it stops without waiting.
 */
import type { Agent } from "../control/agent.ts";
import type { Emit } from "../control/event.ts";
import type { Inventory } from "../control/inventory.ts";

const LOOK_MS = 100;
/** No packet by a tunnel for so long: the peers have left, or were not there. */
const SILENT_MS = 300;

export interface DrainParts {
  readonly agent: Pick<Agent, "setDraining">;
  readonly inventory: Inventory;
  /** Most that a stop waits, ms. */
  readonly limitMs: () => number;
  /** Packets received by tunnels, ever. */
  readonly received: () => number;
  /** The track on which it depends, where it is down; null: none is. */
  readonly downTrack: () => string | null;
  /** Do routes lead others here, whom another gateway may serve? */
  readonly attracts: () => boolean;
  /** Tell BFD's peers, who leave at once, and the fabric. */
  readonly tellPeers: (isDraining: boolean) => void;
  readonly emit: Emit;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

export class Drain {
  private readonly parts: DrainParts;
  private sinceMs: number | null = null;
  private isAsked = false;
  private track: string | null = null;
  private isHurried = false;

  constructor(parts: DrainParts) {
    this.parts = parts;
  }

  get isOn(): boolean {
    return this.sinceMs !== null;
  }

  /** Why, for people. */
  get reason(): string {
    return this.track === null ? "draining" : `draining: track ${this.track} is down`;
  }

  /** Peers may leave. @returns false: they were asked to already. */
  begin(): boolean {
    this.isAsked = true;
    return this.update();
  }

  /** Peers may come back, unless a track says otherwise. @returns false: we did not drain, or still do. */
  end(): boolean {
    this.isAsked = false;
    return this.update();
  }

  /** The track went up or down, or is another one by the configuration. */
  follow(): void {
    this.track = this.parts.downTrack();
    this.update();
  }

  /** @returns whether anything has changed. */
  private update(): boolean {
    const { now, limitMs, emit } = this.parts;
    const isWanted = this.isAsked || this.track !== null;
    if (isWanted === this.isOn) return false;
    this.set(isWanted ? now() : null);
    if (!isWanted) emit("info", "gateway.undrained", {});
    else if (this.track === null) emit("info", "gateway.draining", { seconds: limitMs() / 1000 });
    else emit("warn", "gateway.draining", { track: this.track });
    return true;
  }

  /** We are about to stop: begin, and wait until the peers have left, or the limit is reached. */
  async leave(): Promise<void> {
    const { now, pause, received, limitMs } = this.parts;
    if (limitMs() === 0 || !(this.isNextHop() || this.parts.attracts())) return;
    this.begin();
    const endMs = this.sinceMs! + limitMs();
    let count = received();
    for (let heardMs = now(); !this.isHurried && now() < endMs && now() - heardMs < SILENT_MS; ) {
      await pause(LOOK_MS);
      const next = received();
      if (next !== count) heardMs = now();
      count = next;
    }
  }

  /** Do not wait any longer. */
  hurry(): void {
    this.isHurried = true;
  }

  /** Have peers an address of ours that no other gateway has? */
  private isNextHop(): boolean {
    for (const { config, vsis } of this.parts.inventory.interfaces.values())
      if (!config.distributed && vsis.some(({ tunnels }) => tunnels.some(({ up }) => up))) return true;
    return false;
  }

  private set(sinceMs: number | null): void {
    const { agent, tellPeers } = this.parts;
    this.sinceMs = sinceMs;
    agent.setDraining(sinceMs !== null);
    tellPeers(sinceMs !== null);
  }
}
