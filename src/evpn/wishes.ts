/** What the tables were asked for by one VSI's hosts and addresses, and what they had no room for: that is tried again. */
import type { Ip } from "../control/ip.ts";
import { mapKey } from "../control/map-key.ts";
import type { Mac } from "../wire/ethernet.ts";
import type { Beliefs } from "./beliefs.ts";
import type { Address, Host, HostTable } from "./host-table.ts";
import { Starved } from "./starved.ts";

export interface WishesParts {
  readonly vsi: string;
  readonly table: HostTable;
  readonly beliefs: Pick<Beliefs, "wantMac" | "unwantMac" | "wantIp" | "unwantIp">;
  /** The MAC, or an address of it, found no room; told once. */
  readonly full: (mac: Mac) => void;
}

export class Wishes {
  private readonly parts: WishesParts;
  private readonly starvedMacs = new Starved<Mac>();
  /** By mapKey. */
  private readonly starvedIps = new Starved<Ip>();

  constructor(parts: WishesParts) {
    this.parts = parts;
  }

  /** The host is behind `vtep`; null: no route says where. */
  tellMac(host: Host, vtep: string | null): void {
    const { vsi, table, beliefs, full } = this.parts;
    if (host.used === vtep) return;
    if (vtep === null) beliefs.unwantMac(vsi, host.mac);
    else if (!beliefs.wantMac(vsi, host.mac, vtep)) {
      if (this.starvedMacs.add(host.mac)) full(host.mac);
      if (host.used !== null) beliefs.unwantMac(vsi, host.mac);
      vtep = null;
    }
    table.setUsed(host, vtep);
  }

  tellIp(address: Address, to: Address["used"]): void {
    const { vsi, table, beliefs, full } = this.parts;
    if (address.used?.mac === to?.mac && address.used?.nextHop === to?.nextHop) return;
    if (to === null) beliefs.unwantIp(vsi, address.ip);
    else if (!beliefs.wantIp(vsi, address.ip, to.mac, to.nextHop)) {
      if (this.starvedIps.add(mapKey(address.ip))) full(to.mac);
      beliefs.unwantIp(vsi, address.ip);
      to = null;
    }
    table.setTold(address, to);
  }

  /** What found no room may find it now: `settle…` decides about it once more. */
  tryAgain(settle: (host: Host) => void, settleAddress: (ip: Ip) => void): void {
    const { hosts, addresses } = this.parts.table;
    this.starvedMacs.tryAgain((mac) => {
      const host = hosts.get(mac);
      if (host !== undefined) settle(host);
      return host !== undefined && host.used === null && host.routes.length > 0;
    });
    this.starvedIps.tryAgain((key) => {
      settleAddress(mapKey(key));
      const address = addresses.get(key);
      return address !== undefined && address.used === null && address.routes.length > 0;
    });
  }

  /** All of it is void. */
  takeBack(): void {
    const { vsi, table, beliefs } = this.parts;
    for (const { ip, used } of table.addresses.values()) if (used !== null) beliefs.unwantIp(vsi, ip);
    for (const { mac, used } of table.hosts.values()) if (used !== null) beliefs.unwantMac(vsi, mac);
  }
}
