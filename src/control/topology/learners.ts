/**
 * What the topology needs of the parts that learn: control/neighbor/table.ts, control/mac/learn.ts, control/resolution/,
 * and the agent that has them.
 *
 * Two classes implement it: agent.ts, and the tests' own.
 */
import type { LeftTunnels } from "../behind.ts";
import type { InterfaceObject, Inventory, PortObject, VsiObject } from "../inventory.ts";
import type { NextHops } from "../routes/next-hops.ts";
import type { IsTouched, MacPins, NeighborPins } from "./pins.ts";

export interface Learners {
  readonly macs: MacPins;
  readonly neighbors: NextHops &
    NeighborPins & {
      /** The MAC or the VSIs of `iface` changed: its rewrite rows are written anew. */
      refreshRewrites(iface: InterfaceObject): void;
    };
  readonly security: {
    /** The inventory and the configuration of its ACs are others now. */
    configure(): void;
  };
  /** The gateway announces its own addresses at an AC (behaviour.md §3.12). */
  announceAt(iface: InterfaceObject, port: PortObject, vsi: VsiObject): void;
  /** The inventory is another one now: what tunnels do not know yet is announced into them. */
  announceNews(inventory: Inventory): void;
  /** `tunnel` is up (again): it hears what is announced into tunnels. */
  announceInto(tunnel: PortObject): void;
  /** The gateway MAC of `vsi` changed: its hosts hear for whom else it stands. */
  announceHosts(vsi: VsiObject): void;
  /** `port` is up (again): what is remembered there counts, and what waits for something may be found. */
  portUp(port: PortObject): void;
  /** Forget everything learned behind a port, and what came by it and waits. */
  flushPort(port: PortObject): void;
  /** The same of tunnels that stay, in the VSIs that have lost them. */
  leaveTunnels(left: LeftTunnels): void;
  /** `port` is down and may come back: what is behind it is out of use at once, and forgotten after SUSPENDED_MS. */
  suspendPort(port: PortObject): void;
  /** Forget everything about a VSI, pinned entries included. */
  flushVsi(vsi: VsiObject): void;
  /** Forget what was learned on a VSI-interface of addresses that are touched, pinned entries included. */
  flushInterface(iface: InterfaceObject, isTouched: IsTouched): void;
}
