/** DHCP of both families: one door for the agent, and one list of servers. */
import type { Fate } from "../fate.ts";
import { type HeldFrame, isIpv6 } from "../inject.ts";
import type { InterfaceObject, PortObject } from "../inventory.ts";
import { DhcpRelay, type DhcpRelayParts } from "./relay.ts";
import { DhcpRelay6 } from "./relay6.ts";
import { DhcpServers } from "./servers.ts";

export class Dhcp {
  readonly servers = new DhcpServers();
  private readonly relay: DhcpRelay;
  private readonly relay6: DhcpRelay6;

  constructor(parts: Omit<DhcpRelayParts, "servers">) {
    this.relay = new DhcpRelay({ ...parts, servers: this.servers });
    this.relay6 = new DhcpRelay6({ ...parts, servers: this.servers });
  }

  /** By VSI-interface: `vtep_dhcp_total`, and `vtep_dhcp6_total`. */
  get counts() {
    return this.relay.counts;
  }

  get counts6() {
    return this.relay6.counts;
  }

  /** PUNT.dhcp. */
  broadcast(frame: HeldFrame): Fate {
    return isIpv6(frame) ? this.relay6.multicast(frame) : this.relay.broadcast(frame);
  }

  /** PUNT.local, to an address of the VSI-interface in `row`. @returns null: it is no relay's. */
  local(frame: HeldFrame, row: number): Fate | null {
    return isIpv6(frame) ? this.relay6.local(frame, row) : this.relay.local(frame, row);
  }

  flushPort(port: PortObject): void {
    this.relay.flushPort(port);
    this.relay6.flushPort(port);
  }

  flushInterface(iface: InterfaceObject): void {
    this.servers.forget(iface);
    this.relay.flushInterface(iface);
    this.relay6.flushInterface(iface);
  }
}
