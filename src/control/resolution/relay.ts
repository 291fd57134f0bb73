/**
 * Pending relays: (VSI, target) -> who asked, and over which bridge port (D4).
 *
 * The article answers a relayed request "by the ARP entry" of the asker. That fails when the asker speaks with the
 * gateway IP, which is ours as well (scenario 2), and when two gateways ask at once (N8). So every asker is remembered
 * for three seconds, and when the target is heard each of them gets one unicast reply.
 *
 * ACs stand here too: a VM whose question is answered only once the target is known (proxyArp: verified, D2), and one that
 * probes whether an address is taken (RFC 5227).
 *
 * Who asks for thousands of targets leaves the others room: half of it, and of each target's askers, is not for one port.
 */
import type { Mac } from "../../wire/ethernet.ts";
import type { Behind } from "../behind.ts";
import { bump } from "../bump.ts";
import type { PortObject, VsiObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import { ipKey } from "../map-key.ts";
import type { Timers } from "../timers.ts";

export const RELAY_MS = 3000;
export const RELAY_TARGETS = 1024;
export const RELAY_ASKERS = 16;
/** Of these, behind one port. */
export const RELAY_ASKERS_OF_PORT = 8;
/** A port behind which fewer wait finds room in the half that is kept for such. */
export const RELAYS_OF_QUIET_PORT = 64;
const SWEEP_MS = 1000;

export interface Asker {
  readonly port: PortObject;
  readonly mac: Mac;
  /** null: it probes, it has no address yet. */
  readonly ip: Ip | null;
}

interface Waiting extends Asker {
  until: number;
}

export class PendingRelays {
  private readonly timers: Timers;
  private readonly targets = new Map<Ip, Waiting[]>();
  /** How many wait behind each port. */
  private readonly behind = new Map<PortObject, number>();
  /** Until when it is remembered that somebody behind a tunnel asked, answered or not; for people. */
  private readonly asked = new Map<Ip, number>();

  constructor(timers: Timers) {
    this.timers = timers;
    timers.every(SWEEP_MS, () => this.sweep());
  }

  /** Targets somebody waits for. */
  get size(): number {
    return this.targets.size;
  }

  /** Remember that `asker` wants to hear of `target`; asking again waits anew. @returns false when there is no room. */
  add(vsi: VsiObject, target: Ip, asker: Asker): boolean {
    const key = targetKey(vsi, target);
    const until = this.timers.nowMs + RELAY_MS;
    if (asker.port.kind === "tunnel" && (this.asked.has(key) || this.asked.size < RELAY_TARGETS))
      this.asked.set(key, until);
    let waiting = this.targets.get(key);
    const known = waiting?.find((each) => each.port === asker.port && each.mac === asker.mac && each.ip === asker.ip);
    if (known !== undefined) {
      known.until = until;
      return true;
    }
    if (waiting === undefined) {
      const isQuiet = (this.behind.get(asker.port) ?? 0) < RELAYS_OF_QUIET_PORT;
      const most = isQuiet ? RELAY_TARGETS : RELAY_TARGETS / 2;
      if (this.targets.size >= most) this.sweep();
      if (this.targets.size >= most) return false;
      waiting = [];
      this.targets.set(key, waiting);
    }
    const ofPort = waiting.filter((each) => each.port === asker.port).length;
    if (waiting.length >= RELAY_ASKERS || ofPort >= RELAY_ASKERS_OF_PORT) return false;
    waiting.push({ port: asker.port, mac: asker.mac, ip: asker.ip, until });
    bump(this.behind, asker.port, 1);
    return true;
  }

  /**
   * Does `asker`, who probes and is not among those who wait yet, probe for what another one elsewhere probes for? Once for each,
   * so as many answers may follow as have room here.
   */
  isContested(vsi: VsiObject, target: Ip, asker: Asker): boolean {
    const isSame = (each: Asker) => each.port === asker.port && each.mac === asker.mac;
    const others = (this.targets.get(targetKey(vsi, target)) ?? []).filter(
      ({ ip, until }) => ip === null && until > this.timers.nowMs,
    );
    return others.length > 0 && !others.some(isSame) && others.length < RELAY_ASKERS_OF_PORT;
  }

  /** Did somebody behind a tunnel ask for `target` lately, so that we asked our site? */
  hasRelayed(vsi: VsiObject, target: Ip): boolean {
    return (this.asked.get(targetKey(vsi, target)) ?? Number.NEGATIVE_INFINITY) > this.timers.nowMs;
  }

  /** Those who wait for `target` behind a port of `kind`; they wait no longer. */
  take(vsi: VsiObject, target: Ip, kind: "ac" | "tunnel"): readonly Asker[] {
    const key = targetKey(vsi, target);
    const waiting = this.targets.get(key);
    if (waiting === undefined) return [];
    this.keepOf(key, waiting, (each) => each.port.kind !== kind);
    return waiting.filter((each) => each.port.kind === kind && each.until > this.timers.nowMs);
  }

  /** Forget askers behind these ports, in whichever VSI. */
  forgetBehind({ ports }: Pick<Behind, "ports">): void {
    this.keep(({ port }) => !ports.includes(port));
  }

  private sweep(): void {
    const nowMs = this.timers.nowMs;
    this.keep((each) => each.until > nowMs);
    for (const [key, until] of this.asked) if (until <= nowMs) this.asked.delete(key);
  }

  private keep(isKept: (each: Waiting) => boolean): void {
    for (const [key, waiting] of this.targets) this.keepOf(key, waiting, isKept);
  }

  private keepOf(key: Ip, waiting: readonly Waiting[], isKept: (each: Waiting) => boolean): void {
    const rest = waiting.filter(isKept);
    if (rest.length === waiting.length) return;
    for (const each of waiting) if (!isKept(each)) bump(this.behind, each.port, -1);
    if (rest.length === 0) this.targets.delete(key);
    else this.targets.set(key, rest);
  }
}

export function targetKey(vsi: VsiObject, target: Ip): Ip {
  return ipKey(vsi.row, target);
}
