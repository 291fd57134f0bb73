/**
 * Pending relays: (VSI, target) -> who asked, and over which bridge port (D4).
 *
 * The article answers a relayed request "by the ARP entry" of the asker. That fails when the asker speaks with the
 * gateway IP, which is ours as well (scenario 2), and when two gateways ask at once (N8). So every asker is remembered
 * for three seconds, and when the target is heard each of them gets one unicast reply.
 *
 * ACs stand here too: a VM whose question is answered only once the target is known (proxyArp: verified, D2), and one that
 * probes whether an address is taken (RFC 5227).
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { Ipv4 } from "../../wire/ipv4.ts";
import type { PortObject, VsiObject } from "../inventory.ts";
import type { Timers } from "../timers.ts";

export const RELAY_MS = 3000;
export const RELAY_TARGETS = 1024;
export const RELAY_ASKERS = 16;
const SWEEP_MS = 1000;

export interface Asker {
  readonly port: PortObject;
  readonly mac: Mac;
  /** 0: it probes, it has no address yet. */
  readonly ip: Ipv4;
}

interface Waiting extends Asker {
  until: number;
}

export class PendingRelays {
  private readonly timers: Timers;
  private readonly targets = new Map<number, Waiting[]>();
  /** Until when it is remembered that somebody behind a tunnel asked, answered or not; for people. */
  private readonly asked = new Map<number, number>();

  constructor(timers: Timers) {
    this.timers = timers;
    timers.every(SWEEP_MS, () => this.sweep());
  }

  /** Targets somebody waits for. */
  get size(): number {
    return this.targets.size;
  }

  /** Remember that `asker` wants to hear of `target`; asking again waits anew. @returns false when there is no room. */
  add(vsi: VsiObject, target: Ipv4, asker: Asker): boolean {
    const key = keyOf(vsi, target);
    const until = this.timers.nowMs + RELAY_MS;
    if (asker.port.kind === "tunnel" && (this.asked.has(key) || this.asked.size < RELAY_TARGETS))
      this.asked.set(key, until);
    let waiting = this.targets.get(key);
    if (waiting === undefined) {
      if (this.targets.size >= RELAY_TARGETS) this.sweep();
      if (this.targets.size >= RELAY_TARGETS) return false;
      waiting = [];
      this.targets.set(key, waiting);
    }
    const known = waiting.find((each) => each.port === asker.port && each.mac === asker.mac && each.ip === asker.ip);
    if (known !== undefined) {
      known.until = until;
      return true;
    }
    if (waiting.length >= RELAY_ASKERS) return false;
    waiting.push({ port: asker.port, mac: asker.mac, ip: asker.ip, until });
    return true;
  }

  /** Did somebody behind a tunnel ask for `target` lately, so that we asked our site? */
  hasRelayed(vsi: VsiObject, target: Ipv4): boolean {
    return (this.asked.get(keyOf(vsi, target)) ?? Number.NEGATIVE_INFINITY) > this.timers.nowMs;
  }

  /** Those who wait for `target` behind a port of `kind`; they wait no longer. */
  take(vsi: VsiObject, target: Ipv4, kind: "ac" | "tunnel"): readonly Asker[] {
    const key = keyOf(vsi, target);
    const waiting = this.targets.get(key);
    if (waiting === undefined) return [];
    const rest = waiting.filter((each) => each.port.kind !== kind);
    if (rest.length === 0) this.targets.delete(key);
    else this.targets.set(key, rest);
    return waiting.filter((each) => each.port.kind === kind && each.until > this.timers.nowMs);
  }

  /** Forget askers behind `port`. */
  flushPort(port: PortObject): void {
    this.keep((each) => each.port !== port);
  }

  private sweep(): void {
    const nowMs = this.timers.nowMs;
    this.keep((each) => each.until > nowMs);
    for (const [key, until] of this.asked) if (until <= nowMs) this.asked.delete(key);
  }

  private keep(isKept: (each: Waiting) => boolean): void {
    for (const [key, waiting] of this.targets) {
      const rest = waiting.filter(isKept);
      if (rest.length === 0) this.targets.delete(key);
      else if (rest.length < waiting.length) this.targets.set(key, rest);
    }
  }
}

function keyOf(vsi: VsiObject, target: Ipv4): number {
  return vsi.row * 0x100000000 + (target >>> 0);
}
