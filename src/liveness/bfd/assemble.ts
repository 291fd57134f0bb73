/** BFD put together: what watches over tunnels, with the real thread and clock. */
import type { Emit } from "../../control/event.ts";
import type { Inventory, TunnelPort } from "../../control/inventory.ts";
import type { Config } from "../../control/plan.ts";
import type { Tables } from "../../tables/tables.ts";
import type { TunnelJudge } from "../judge.ts";
import { BfdThreadLink } from "./link.ts";
import { BfdWatch } from "./watch.ts";

export interface BfdRequest {
  readonly inventory: Inventory;
  readonly topology: { readonly config: Config; setSession(tunnel: TunnelPort, slot: number): void };
  readonly tables: Tables;
  readonly judge: TunnelJudge;
  readonly emit: Emit;
  /** Control has something to do. */
  readonly kick: () => void;
}

/** Its `look` is the caller's to call; no thread is started before a tunnel wants one. */
export function createBfd({ inventory, topology, tables, judge, emit, kick }: BfdRequest): BfdWatch {
  return new BfdWatch({
    inventory,
    config: () => topology.config,
    judge,
    setSession: (tunnel, slot) => topology.setSession(tunnel, slot),
    emit,
    openLink: ({ underlay: { address, port, sourcePorts } }, onReport) =>
      new BfdThreadLink({ sockets: { address, vxlanPort: port, reserved: sourcePorts }, tables, onReport }),
    kick,
    nowMs: () => Date.now(),
  });
}
