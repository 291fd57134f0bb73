/**
 * A change in the making: what `Topology.apply` has prepared and not yet carried out.
 *
 * Every step that may fail (a row that is not free, a TAP that cannot be opened) happens while the draft is filled, and
 * pushes its own undoing. So a change that fails is undone without a trace, and one that starts cannot fail.
 */
import type { InterfaceObject, PortObject, TunnelPort, VsiObject } from "../inventory.ts";
import type { Config, ConfigDiff, TunnelConfig } from "../plan.ts";
import type { Mtus } from "./mtu.ts";

export interface Added<T> {
  readonly added: T[];
  readonly removed: T[];
}

export interface Draft {
  readonly config: Config;
  readonly diff: ConfigDiff;
  readonly mtus: Mtus;
  readonly ports: Added<PortObject>;
  /** Tunnels that somebody besides the configuration holds, which names them from now on, or no longer. */
  readonly renamed: Map<TunnelPort, TunnelConfig>;
  readonly vsis: Added<VsiObject>;
  readonly interfaces: Added<InterfaceObject>;
  /** Undo these, last first, if the draft is given up. */
  readonly undo: (() => void)[];
}

export function newDraft(config: Config, diff: ConfigDiff, mtus: Mtus): Draft {
  return {
    config,
    diff,
    mtus,
    ports: { added: [], removed: [] },
    renamed: new Map(),
    vsis: { added: [], removed: [] },
    interfaces: { added: [], removed: [] },
    undo: [],
  };
}

/** Take everything back that the draft has taken. */
export function giveUp(draft: Draft): void {
  for (const undo of draft.undo.reverse()) undo();
}
