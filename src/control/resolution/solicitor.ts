/** The neighbour table's questions (neighbor/solicitor.ts) as messages: flooded ones rationed, the others to one port. */
import type { Emit } from "../event.ts";
import { addressFor, type InterfaceObject, type Inventory, type PortObject, type VsiObject } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import type { Place } from "../neighbor/entry.ts";
import type { Solicitor } from "../neighbor/solicitor.ts";
import { searchScope } from "./fabric.ts";
import type { MessageSender } from "./sender.ts";

export class MessageSolicitor implements Solicitor {
  private readonly sender: MessageSender;
  private readonly inventory: Inventory;
  private readonly emit: Emit;

  constructor(sender: MessageSender, inventory: Inventory, emit: Emit) {
    this.sender = sender;
    this.inventory = inventory;
    this.emit = emit;
  }

  everywhere(iface: InterfaceObject, ip: Ip, by: number, tries: number, step: string): number {
    // The whole site, the AC whose packet waits included (behaviour.md §2.3, row 4): it has asked for its gateway, not for this.
    const sender = addressFor(iface, ip);
    const question = {
      target: ip,
      sender,
      except: null,
      by: this.inventory.ports.get(by) ?? null,
      isRetry: tries > 1,
    };
    let againMs = 0;
    for (const vsi of iface.vsis) {
      const { sent, againMs: ms } = this.sender.solicit(iface, vsi, { ...question, scope: searchScope(vsi) });
      againMs = Math.max(againMs, ms);
      const fields = { vsi: vsi.name, interface: iface.name, target: formatIp(ip), try: tries, step };
      if (sent) this.emit("debug", this.sender.speaker.events.solicit, fields);
    }
    return againMs;
  }

  through(iface: InterfaceObject, ip: Ip, tunnel: string): void {
    for (const vsi of iface.vsis)
      for (const port of vsi.tunnels) if (port.name === tunnel && port.up) this.behind(iface, ip, port, vsi);
  }

  at(iface: InterfaceObject, ip: Ip, { mac, port, vsi }: Place): void {
    this.sender.ask(iface, vsi, port, mac, ip);
  }

  alive(iface: InterfaceObject, ip: Ip, place: Place): void {
    const { mac, port, vsi } = place;
    // All gateways have this address: a Border that heard it from each of them would see one host that moves without end.
    const isShared = iface.config.distributed && port.kind === "tunnel";
    if (isShared) this.sender.probe(iface, vsi, port, mac, ip);
    else this.sender.ask(iface, vsi, port, mac, ip);
  }

  behind(iface: InterfaceObject, ip: Ip, port: PortObject, vsi: VsiObject): void {
    this.sender.ask(iface, vsi, port, null, ip);
  }
}
