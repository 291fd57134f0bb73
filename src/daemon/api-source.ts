/**
 * What the API asks and orders, put together from those who know and do it.
 *
 * Whatever changes control's tables ends with a kick: there are frames to send or timers to set.
 */

import type { ApiSource } from "../api/api.ts";
import { Entries } from "../api/entries.ts";
import type { ProbeSource } from "../api/probe.ts";
import type { CheckReport, Features, LogLevel, Status } from "../api/schema.ts";
import type { Shown, ShownParts } from "../api/shown.ts";
import { fileForm } from "../config/form.ts";
import { Explainer } from "../insight/why.ts";
import type { Log } from "../log/log.ts";

export interface ApiParts {
  readonly version: string;
  readonly shown: Shown;
  readonly control: ShownParts;
  readonly drops: ApiSource["drops"];
  readonly log: Log;
  readonly status: () => Status;
  readonly features: () => Features;
  readonly check: (file: string | null) => Promise<CheckReport>;
  readonly reload: () => Promise<CheckReport>;
  readonly probe: ProbeSource;
  readonly doctor: ApiSource["doctor"];
  readonly insight: Pick<ApiSource, "trace" | "watch">;
  /** Begin a round of control soon. */
  readonly kick: () => void;
}

export function apiSource({ shown, control, log, kick, ...parts }: ApiParts): ApiSource {
  const entries = new Entries(control);
  const explainer = new Explainer(control, shown);
  const changed = <T>(result: T): T => {
    kick();
    return result;
  };
  return {
    version: parts.version,
    status: parts.status,
    vsis: () => shown.vsis(),
    acs: () => shown.acs(),
    tunnels: () => shown.tunnels(),
    interfaces: () => shown.interfaces(),
    macs: () => shown.macs(),
    neighbors: () => shown.neighbors(),
    routes: () => shown.routes(),
    policies: () => shown.policies(),
    drops: parts.drops,
    config: () => fileForm(shown.config()),
    probe: parts.probe,
    why: (question) => explainer.why(question),
    doctor: parts.doctor,
    ...parts.insight,
    flushMacs: (vsi) => changed(both(shown.flushMacs(vsi), () => entries.flushMacs(vsi))),
    flushNeighbors: (on, ip, vsi) =>
      changed(both(shown.flushNeighbors(on, ip, vsi), () => (vsi === null ? entries.flushNeighbors(on, ip) : 0))),
    change: {
      checkConfig: parts.check,
      reloadConfig: parts.reload,
      addMac: (entry) => changed(entries.addMac(entry)),
      removeMac: (vsi, mac) => changed(entries.removeMac(vsi, mac)),
      addNeighbor: (entry) => changed(entries.addNeighbor(entry)),
      logLevel: () => ({ level: log.level as LogLevel["level"] }),
      setLogLevel: (level) => log.setLevel(level),
      features: parts.features,
    },
  };
}

/** Learned entries and added ones; null: there is no such object. */
function both(learned: number | null, added: () => number): number | null {
  return learned === null ? null : learned + added();
}
