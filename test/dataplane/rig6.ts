/** The rig with IPv6 on both VSI-interfaces. */
import { ExactMatch6Writer } from "../../src/tables/exact-match6.ts";
import {
  HOST_LENGTH6,
  LENGTHS6_WORDS,
  ROUTE_GLEAN,
  ROUTE_HOST,
  ROUTE_KIND_SHIFT,
  ROUTE_LOCAL,
  routeKey6,
} from "../../src/tables/fib.ts";
import { IF_IPV6, VSI_ND } from "../../src/tables/vsi.ts";
import { parseIpv6, wordsOf } from "../../src/wire/ipv6.ts";
import { M1, M2, P20, Rig } from "./rig.ts";

/** The rig's two VSI-interfaces with IPv6, and hosts 20::11 at vm2, 20::12 behind tunnel 3. */
export class Rig6 extends Rig {
  readonly routes6 = new ExactMatch6Writer(this.tables.fib.routes6, this.tables.heartbeat, 4711);

  constructor() {
    super();
    for (const on of [1, 2]) {
      this.tables.interfaces.flags[on]! |= IF_IPV6;
      this.tables.vsis.flags[on]! |= VSI_ND;
      this.tables.interfaces.linkLocal.set(wordsOf(parseIpv6("fe80::1")!).slice(2), on << 1);
      this.add(`2001:db8:${on}0::1`, HOST_LENGTH6, ROUTE_LOCAL, on);
      this.add(`2001:db8:${on}0::`, 64, ROUTE_GLEAN, on);
    }
    this.mac(1, M1, 1);
    this.host("2001:db8:20::12", 2, P20, 3);
    this.host("2001:db8:20::11", 2, M2, 2);
    this.host("2001:db8:10::11", 1, M1, 1);
  }

  add(prefix: string, length: number, kind: number, arg: number): void {
    this.routes6.set(...wordsOf(parseIpv6(prefix)!), routeKey6(1, length), (kind << ROUTE_KIND_SHIFT) | arg);
    if (length < 128) this.tables.fib.lengths6[LENGTHS6_WORDS + (length >> 5)]! |= 1 << (length & 31);
  }

  host(address: string, on: number, mac: number, port: number): number {
    // Only the adjacency of it is used; the IPv4 route beside it leads nowhere.
    const n = this.neighbor("240.0.0.1", on, mac, port);
    this.add(address, HOST_LENGTH6, ROUTE_HOST, n);
    return n;
  }
}
