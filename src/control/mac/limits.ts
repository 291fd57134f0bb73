/**
 * MACs that were not learned because a limit is reached: by VSI, how many, and the last one as an example.
 *
 * No frame is lost by that, all to such a MAC are flooded: slow, seen by everyone in the VSI, and silent unless it is told.
 * Most often the limit is the mistake, sometimes the host that sends from so many MACs; the example shows which.
 */
import { formatMac, type Mac } from "../../wire/ethernet.ts";
import { type Emit, portField } from "../event.ts";
import type { PortObject, VsiObject } from "../inventory.ts";
import { OncePer } from "../once-per.ts";
import type { Timers } from "../timers.ts";

const EVENT_EVERY_MS = 10_000;

/** The key in the configuration, and its value in force. */
export interface MacLimit {
  readonly key: "limits.macs" | "limits.acMacs" | "mac.limit";
  readonly most: number;
}

/** The last MAC of a VSI that was not learned, for people. */
export interface MacLimitView extends MacLimit {
  readonly vsi: string;
  readonly mac: string;
  readonly via: { readonly kind: "ac" | "tunnel"; readonly name: string };
  /** Refusals in this VSI so far. */
  readonly times: number;
  readonly secondsAgo: number;
}

interface Refusal {
  last: { readonly port: PortObject; readonly mac: Mac; readonly limit: MacLimit; readonly atMs: number };
  times: number;
}

export class MacLimits {
  private readonly timers: Timers;
  private readonly emit: Emit;
  private readonly refusals = new Map<VsiObject, Refusal>();
  private readonly told = new OncePer<VsiObject>(EVENT_EVERY_MS);

  constructor(timers: Timers, emit: Emit) {
    this.timers = timers;
    this.emit = emit;
  }

  /** `mac`, a source at `port`, was not learned in `vsi`. */
  note(vsi: VsiObject, port: PortObject, mac: Mac, limit: MacLimit): void {
    const { nowMs } = this.timers;
    const last = { port, mac, limit, atMs: nowMs };
    const refusal = this.refusals.get(vsi) ?? { last, times: 0 };
    refusal.last = last;
    refusal.times++;
    this.refusals.set(vsi, refusal);
    if (!this.told.admit(vsi, nowMs)) return;
    const fields = { vsi: vsi.name, ...portField(port), mac: formatMac(mac), limit: limit.key, most: limit.most };
    this.emit("warn", "mac.limit", fields);
  }

  forget(vsi: VsiObject): void {
    this.refusals.delete(vsi);
    this.told.forget(vsi);
  }

  list(): MacLimitView[] {
    const { nowMs } = this.timers;
    return [...this.refusals].map(([vsi, { last, times }]) => ({
      ...last.limit,
      vsi: vsi.name,
      mac: formatMac(last.mac),
      via: { kind: last.port.kind, name: last.port.name },
      times,
      secondsAgo: Math.floor((nowMs - last.atMs) / 1000),
    }));
  }
}
