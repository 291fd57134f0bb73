/**
 * What EVPN asks of the tables, and what it is told of them: the seam between routes and entries.
 *
 * Control's tables rank what is said of a MAC or an IP (behaviour.md §4), so a host that is heard at an AC is used whatever
 * routes say; EVPN hands over the best of what others announce, and takes it back. What it decides on its own is which side of a
 * move is believed: then it asks that what was heard here is forgotten (`yieldHost`).
 *
 * VSIs are named, VTEPs are addresses: rows and ports are control's.
 */
import type { Ip } from "../control/ip.ts";
import type { Mac } from "../wire/ethernet.ts";

/** A host at an AC of ours. */
export interface LocalHost {
  readonly mac: Mac;
  readonly ip: Ip | null;
  /** It was configured or added by hand: it does not move (RFC 7432 §15.2). */
  readonly isSticky: boolean;
}

export interface Beliefs {
  /** The tunnel to `vtep` is needed for `vni`. @returns null, or why it is not available. */
  acquire(vtep: string, vni: number): string | null;
  /** The reverse of one successful `acquire`; `lingers`: what still comes from there is taken for a while. */
  release(vtep: string, vni: number, lingers: boolean): void;
  /** @returns false when the table has no room. */
  wantMac(vsi: string, mac: Mac, vtep: string): boolean;
  unwantMac(vsi: string, mac: Mac): void;
  /** @returns false when the table has no room. */
  wantIp(vsi: string, ip: Ip, mac: Mac, vtep: string): boolean;
  unwantIp(vsi: string, ip: Ip): void;
  /** The MAC of another gateway behind `vtep`: frames to it are routed here. */
  noteGateway(vsi: string, mac: Mac, vtep: string): void;
  /**
   * Others have the host: what was heard of the MAC (null: of the addresses alone) at an AC is forgotten. `ask`: the AC is asked
   * once for its addresses, so a host that is here after all says so.
   */
  yieldHost(vsi: string, mac: Mac | null, ips: readonly Ip[], ask: boolean): void;
  /** What an address is to the VSI: "unknown" where it has no VSI-interface, or one without addresses of that family. */
  kindOf(vsi: string, ip: Ip): "host" | "gateway" | "foreign" | "unknown";
  /** Is it our own gateway MAC there? */
  isGatewayMac(vsi: string, mac: Mac): boolean;
  /**
   * Packets to `vtep` by the L3VNI of `vsi` go to this router's MAC; `was`: the one they went to so far.
   * @returns false when there is no room.
   */
  wantHop(vsi: string, vtep: string, routerMac: Mac, was: Mac | null): boolean;
  unwantHop(vsi: string, vtep: string, routerMac: Mac): void;
  /**
   * Packets of the VRF to the prefix go by the L3VNI of `vsi` to one of `vteps`: of those whose tunnel is up, one of the least
   * of `priorities` (by their order). @returns false when there is no room.
   */
  wantPrefix(
    vsi: string,
    network: Ip,
    length: number,
    vteps: readonly string[],
    priorities: readonly number[],
  ): boolean;
  unwantPrefix(vsi: string, network: Ip, length: number): void;
  /** Is there a tunnel to `vtep`, and is it up? */
  isUp(vtep: string): boolean;
  /** Has the VRF's own static route to the prefix a next hop that is alive? null: there is no such route. */
  leads(vrf: string, prefix: string): boolean | null;
  /** All hosts at ACs of the VSI that are known now. */
  locals(vsi: string): Iterable<LocalHost>;
}
