/**
 * Draining: peers leave us as their next hop before we stop, and nothing that is on its way is lost.
 *
 * While we drain we answer no ARP that comes by a tunnel for an address of ours (those that are not shared: a Border's). The
 * peers' next-hop probes fail within three of their intervals, and their flows go by another next hop; we go on forwarding what
 * still comes. It works with every peer that probes, and BFD says it at once where there is a session.
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
  /** Tell BFD's peers; they leave at once. */
  readonly tellPeers: (isDraining: boolean) => void;
  readonly emit: Emit;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

export class Drain {
  private readonly parts: DrainParts;
  private sinceMs: number | null = null;
  private isHurried = false;

  constructor(parts: DrainParts) {
    this.parts = parts;
  }

  get isOn(): boolean {
    return this.sinceMs !== null;
  }

  /** Peers may leave. @returns false: they were asked to already. */
  begin(): boolean {
    if (this.sinceMs !== null) return false;
    this.set(this.parts.now());
    this.parts.emit("info", "gateway.draining", { seconds: this.parts.limitMs() / 1000 });
    return true;
  }

  /** Peers may come back. @returns false: we did not drain. */
  end(): boolean {
    if (this.sinceMs === null) return false;
    this.set(null);
    this.parts.emit("info", "gateway.undrained", {});
    return true;
  }

  /** We are about to stop: begin, and wait until the peers have left, or the limit is reached. */
  async leave(): Promise<void> {
    const { now, pause, received, limitMs } = this.parts;
    if (limitMs() === 0 || !this.isNextHop()) return;
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
