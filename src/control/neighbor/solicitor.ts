/**
 * The solicitor: how the neighbour table asks where a host is. The only thing in it that depends on the address family.
 *
 * Three questions: everywhere (nobody knows), at the place we know (is it still there), and behind one port (something new
 * speaks there: is it the host we look for). The speaker that puts them into bytes rations what is flooded.
 */
import { formatIpv4, type Ipv4 } from "../../wire/ipv4.ts";
import { type ArpSender, addressFor } from "../arp/sender.ts";
import type { Emit } from "../event.ts";
import { ALL_PORTS } from "../inject.ts";
import type { InterfaceObject, PortObject, VsiObject } from "../inventory.ts";
import type { Place } from "./entry.ts";

export { SOLICIT_EVERY_MS } from "../arp/sender.ts";

export class Solicitor {
  private readonly sender: ArpSender;
  private readonly emit: Emit;

  constructor(sender: ArpSender, emit: Emit) {
    this.sender = sender;
    this.emit = emit;
  }

  /**
   * Ask in every VSI of the VSI-interface. `tries`: this is the how-manieth time. `step`: the article's.
   * @returns in how long that may be done again; 0: there is nobody to ask.
   */
  everywhere(iface: InterfaceObject, ip: Ipv4, tries: number, step: string): number {
    // The whole site, the AC whose packet waits included (behaviour.md §2.3, row 4): it has asked for its gateway, not for this.
    const sender = addressFor(iface, ip);
    const question = { target: ip, sender, except: null, scope: ALL_PORTS, isRetry: tries > 1 };
    let againMs = 0;
    for (const vsi of iface.vsis) {
      const { sent, againMs: ms } = this.sender.solicit(iface, vsi, question);
      againMs = Math.max(againMs, ms);
      const fields = { vsi: vsi.name, interface: iface.name, target: formatIpv4(ip), try: tries, step };
      if (sent) this.emit("debug", "arp.solicit", fields);
    }
    return againMs;
  }

  /** Ask the host alone, where it is believed to be. */
  at(iface: InterfaceObject, ip: Ipv4, { mac, port, vsi }: Place): void {
    this.sender.ask(iface, vsi, port, mac, ip);
  }

  /** Ask all that is behind one port: the host may be there with a MAC that we do not know. */
  behind(iface: InterfaceObject, ip: Ipv4, port: PortObject, vsi: VsiObject): void {
    this.sender.ask(iface, vsi, port, null, ip);
  }
}
