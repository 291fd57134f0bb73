/** How the gateway stands at this moment: ready or what is missing, its sizes, its ledger. */

import type { Condition } from "../api/feature.ts";
import type { Status } from "../api/schema.ts";
import type { Shown } from "../api/shown.ts";
import type { Config } from "../control/plan.ts";
import type { Prober } from "../liveness/prober.ts";
import type { Control } from "./assemble.ts";
import { conditionsOf, missingOf } from "./readiness.ts";
import type { Reloader } from "./reload.ts";
import type { UnderlayState } from "./underlay-watch.ts";
import type { WorkerWatch } from "./worker-watch.ts";

/** What tells this run of the daemon from another one. */
export interface Boot {
  readonly id: string;
  /** RFC 3339. */
  readonly startedAt: string;
}

export interface StandingParts {
  readonly version: string;
  readonly file: string;
  /** What the process was started with. */
  readonly first: Config;
  /** "starting", "stopping", or nothing. */
  readonly phases: ReadonlySet<string>;
  readonly control: Control;
  readonly shown: Shown;
  readonly prober: Prober;
  readonly reloader: Reloader;
  readonly workerWatch: WorkerWatch;
  readonly underlay: () => UnderlayState;
  /** Of the start, of the same clock as `performance.now()`. */
  readonly startedMs: number;
  readonly boot: Boot;
  /** What features look at. */
  readonly further: () => readonly Condition[];
}

export class Standing {
  private readonly parts: StandingParts;

  constructor(parts: StandingParts) {
    this.parts = parts;
  }

  get first(): Config {
    return this.parts.first;
  }

  underlay(): UnderlayState {
    return this.parts.underlay();
  }

  conditions(): Condition[] {
    const { control, phases, first, workerWatch, underlay, further } = this.parts;
    const { inventory } = control.shown;
    return [...conditionsOf(inventory, phases, first.workers.count, workerWatch.stuck(), underlay()), ...further()];
  }

  /** What is missing until frames can be sent to us, in words. */
  missing(): string[] {
    return missingOf(this.conditions());
  }

  /** Workers without progress, in words. */
  stuckWorkers(): string[] {
    return this.parts.workerWatch.stuck().map(({ worker, seconds }) => `worker ${worker} is stuck for ${seconds} s`);
  }

  underlayMtu(): number {
    const { mtu } = this.parts.shown.config().underlay;
    return mtu === "auto" ? this.parts.underlay().mtu : mtu;
  }

  status(): Status {
    const { version, file, shown, prober, reloader, workerWatch, startedMs, boot } = this.parts;
    const missing = this.missing();
    const config = shown.config();
    const { address, port } = config.underlay;
    const { device, problem } = this.parts.underlay();
    return {
      ready: missing.length === 0,
      missing,
      node: config.node,
      version,
      nodeVersion: process.version,
      pid: process.pid,
      uptimeSeconds: Math.floor((performance.now() - startedMs) / 1000),
      bootId: boot.id,
      startedAt: boot.startedAt,
      sockets: socketsOf(this.first),
      underlay: { address, port, mtu: this.underlayMtu(), device, problem },
      workers: config.workers.count,
      stuckWorkers: workerWatch.stuck().map((each) => ({ ...each })),
      counts: { ...shown.counts(), ...waysOf(this.parts.control) },
      config: {
        file,
        lastReloadSuccessful: reloader.last.successful,
        needsRestart: reloader.needsRestart,
      },
      probing: prober.probing,
      ledger: shown.ledger(),
    };
  }
}

/** What routes and policies lead to, and what that depends on. */
export function waysOf({ shown, tracks }: Pick<Control, "shown" | "tracks">): Partial<Status["counts"]> {
  const hops = [...shown.hopStates.counts().values()];
  const nextHopsDead = hops.reduce((sum, { dead }) => sum + dead, 0);
  const views = tracks.views();
  const tracksDown = views.filter(({ state }) => state === "down").length;
  return {
    ...{ nextHops: hops.reduce((sum, { alive }) => sum + alive, nextHopsDead), nextHopsDead },
    ...{ tracks: views.length, tracksDown },
  };
}

/** What was opened at the start stays open: a reload changes none of them. */
function socketsOf({ control, attach }: Config): Status["sockets"] {
  const { observe } = control;
  return [
    { name: "control", path: control.socket, group: null, readOnly: false },
    ...(observe === null
      ? []
      : [{ name: "observe" as const, path: observe.socket, group: observe.group, readOnly: true }]),
    ...(attach === null ? [] : [{ name: "attach" as const, path: attach.socket, group: null, readOnly: false }]),
  ];
}
