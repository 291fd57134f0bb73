/**
 * The way of an ICMP error: routed to the packet's source by the table of the VRF, as any packet of ours (RFC 1812 §4.3.2).
 *
 * The frame that provoked it may have come from a firewall or another router, which has no use for it. Where the table
 * knows no way (a gateway whose default route is a policy has none to the outside), or only that the source is somewhere on
 * the arrival VSI-interface, the frame itself is the best witness: the error goes back where that came from.
 *
 * It speaks with an address of the VSI-interface that the packet arrived on (its `icmpSource`, else the one in the asker's
 * subnet, else the primary one), also where it leaves by another: §4.3.2.4 would take the latter, but both gateways of a
 * traceroute through two VXLANs would then have one name. An L3VNI has none, and speaks with one of its VRF (§2.2.7: an
 * unnumbered line); where the VRF has none at all, nothing is said.
 */
import * as FIB from "../../tables/fib.ts";
import type { Tables } from "../../tables/tables.ts";
import type { Ipv4 } from "../../wire/ipv4.ts";
import { type Ipv6, isLinkLocal6 } from "../../wire/ipv6.ts";
import { addressFor, type InterfaceObject, type Inventory } from "../inventory.ts";
import type { Ip } from "../ip.ts";

/** Where the longest match leads: control/routes/routes.ts, or a test's own. */
export interface RouteFinder {
  /** The value of the longest match for `ip` of at least `shortest` bits, without those that guard VTEP addresses; 0: none. */
  find(vrf: number, ip: Ip, shortest: number): number;
}

export interface ErrorWay<A extends Ip = Ipv4> {
  /** `back`: where the frame came from. `silent`: the source may not be answered. */
  readonly kind: "routed" | "back" | "silent";
  /** The VSI-interface it leaves by. */
  readonly iface: InterfaceObject;
  /** The address it speaks with. */
  readonly from: A;
}

export class ErrorWays {
  private readonly tables: Tables;
  private readonly inventory: Inventory;
  private readonly routes: RouteFinder;

  constructor(tables: Tables, inventory: Inventory, routes: RouteFinder) {
    this.tables = tables;
    this.inventory = inventory;
    this.routes = routes;
  }

  /** The way to `asker`, whose packet came in by `arrival`; by prefixes of at least `shortest` bits. */
  of(arrival: InterfaceObject, asker: Ipv4, shortest = 0): ErrorWay {
    const { kind, iface } = this.find(arrival, asker, shortest);
    const from = arrival.config.icmpSource?.ip ?? addressFor(arrival, asker);
    return { kind: from === 0 ? "silent" : kind, iface, from };
  }

  /** The same of IPv6. An asker of the link alone is on that of its packet: a default route leads out of it. */
  of6(arrival: InterfaceObject, asker: Ipv6): ErrorWay<Ipv6> {
    const { kind, iface } = isLinkLocal6(asker) ? way("back", arrival) : this.find(arrival, asker, 0);
    const own = addressFor(arrival, asker) as Ipv6;
    const from = isLinkLocal6(own) ? own : (arrival.config.icmpSource6?.ip ?? own);
    return { kind: from === 0n ? "silent" : kind, iface, from };
  }

  private find(arrival: InterfaceObject, asker: Ip, shortest: number): Way {
    const { fib } = this.tables;
    const found = this.routes.find(arrival.vrf, asker, shortest);
    const argument = found & FIB.ROUTE_ARG_MASK;
    switch (found >> FIB.ROUTE_KIND_SHIFT) {
      case FIB.ROUTE_GLEAN:
        return argument === arrival.row ? way("back", arrival) : this.by(argument, arrival);
      case FIB.ROUTE_HOST:
      case FIB.ROUTE_ADJACENCY:
        return this.by(fib.adjacencyInterface[argument]!, arrival);
      case FIB.ROUTE_GROUP:
        return this.by(this.outOf(argument, arrival.row), arrival);
      case FIB.ROUTE_LOCAL:
      case FIB.ROUTE_BROADCAST:
      case FIB.ROUTE_DISCARD:
        return way("silent", arrival);
      default:
        return way("back", arrival);
    }
  }

  /** Does the table send packets for `ip` out of `iface`, beyond its subnets? A default route does not count: all are behind it. */
  isRoutedBy(iface: InterfaceObject, ip: Ip): boolean {
    const { kind, iface: out } = this.find(iface, ip, 1);
    return kind === "routed" && out === iface;
  }

  /**
   * The row of a VSI-interface that group `row` uses: of `arrival` where it does, since each member is a way there (RFC 3704 §2.3), else of its
   * first place; 0: it is empty.
   */
  private outOf(row: number, arrival: number): number {
    const { groups, adjacencyInterface } = this.tables.fib;
    const at = row * FIB.GROUP_WORDS;
    for (let place = at; place < at + FIB.GROUP_WORDS; place++)
      if (adjacencyInterface[groups[place]!] === arrival) return arrival;
    return adjacencyInterface[groups[at]!]!;
  }

  private by(row: number, arrival: InterfaceObject): Way {
    const iface = this.inventory.interfaces.get(row);
    return iface === undefined ? way("back", arrival) : way("routed", iface);
  }
}

type Way = Omit<ErrorWay, "from">;

function way(kind: Way["kind"], iface: InterfaceObject): Way {
  return { kind, iface };
}
