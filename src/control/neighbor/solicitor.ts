/**
 * The solicitor: how the neighbour table asks where a host is. Five questions: everywhere (it is not known), through one tunnel
 * (it is meant behind that), at the place we know (is it still there), there each second (does a next hop live), and behind one
 * port (something new speaks there: is it the host we look for).
 *
 * A contract, because what is asked is the same for each address family and the bytes are not: the speaker that puts the
 * questions into frames (control/resolution/) is handed in, and rations what is flooded.
 */
import type { InterfaceObject, PortObject, VsiObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { Place } from "./entry.ts";

/** The same question is asked again after this time at the earliest (RFC 1122 §2.3.2.1: at most one a second). */
export const SOLICIT_EVERY_MS = 1000;

export interface Solicitor {
  /**
   * Ask in every VSI of the VSI-interface. `by`: the row of the bridge port whose packet wants it, 0: a route. `tries`: the number of this try. `step`: the article's.
   * @returns in how long that may be done again; 0: there is no port to ask at.
   */
  everywhere(iface: InterfaceObject, ip: Ip, by: number, tries: number, step: string): number;
  /** Ask all that is behind the tunnel of that name, in each VSI of the VSI-interface that it carries. */
  through(iface: InterfaceObject, ip: Ip, tunnel: string): void;
  /** Ask the host alone, where it is believed to be. */
  at(iface: InterfaceObject, ip: Ip, place: Place): void;
  /** Ask a next hop alone whether it lives. Asked each second, by every gateway: nothing may be learned from it. */
  alive(iface: InterfaceObject, ip: Ip, place: Place): void;
  /** Ask all that is behind one port: the host may be there with a MAC that we do not know. */
  behind(iface: InterfaceObject, ip: Ip, port: PortObject, vsi: VsiObject): void;
}
