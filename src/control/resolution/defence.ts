/**
 * Defence of addresses that are spoken for: the gateway's own, and those of hosts that the configuration places.
 *
 * A host behind an AC that claims one is not learned (its frame ends as the speaker's `gatewaySpoof`), and those who heard it are told who has the
 * address, at the port the claim came by. RFC 5227 §2.4 has the pace; behaviour.md §3.7 the rule.
 */
import { formatMac } from "../../wire/ethernet.ts";
import { type Emit, portField } from "../event.ts";
import { type InterfaceObject, isOwnAddress, type PortObject, type VsiObject } from "../inventory.ts";
import { formatIp, type Ip } from "../ip.ts";
import { neighborKey } from "../neighbor/adjacency.ts";
import type { Place } from "../neighbor/entry.ts";
import type { Neighbors } from "../neighbor/table.ts";
import { OncePer } from "../once-per.ts";
import type { Timers } from "../timers.ts";
import type { Statement } from "./message.ts";
import type { MessageSender } from "./sender.ts";
import type { Speaker } from "./speaker.ts";

/** One defending announcement for an address in this time. */
const DEFEND_EVERY_MS = 10_000;

export interface DefenceParts {
  readonly timers: Timers;
  readonly emit: Emit;
  readonly speaker: Speaker;
  readonly sender: MessageSender;
  readonly neighbors: Neighbors;
}

export class Defence {
  private readonly parts: DefenceParts;
  private readonly defended = new OncePer<Ip>(DEFEND_EVERY_MS);

  constructor(parts: DefenceParts) {
    this.parts = parts;
  }

  /** Does a host behind `port` claim what is ours, or what is configured to be elsewhere? */
  isSpoof(claim: Statement, iface: InterfaceObject, port: PortObject): boolean {
    return isOwnAddress(iface, claim.sender) || this.configuredElsewhere(claim, iface, port) !== null;
  }

  /** Tell those behind `port` who has the address that this spoof claims, unless they were told lately. */
  defend(claim: Statement, iface: InterfaceObject, vsi: VsiObject, port: PortObject): void {
    const { timers, sender, emit, speaker } = this.parts;
    const { sender: ip, senderMac } = claim;
    if (!this.defended.admit(neighborKey(iface, ip), timers.nowMs)) return;
    const place = this.configuredElsewhere(claim, iface, port);
    // Where we proxy, a static host is reached at our MAC; elsewhere at its own.
    const mac = place !== null && vsi.config.arp !== "localProxy" ? place.mac : iface.mac;
    sender.announce(vsi, port, mac, ip);
    const fields = { vsi: vsi.name, ...portField(port), ip: formatIp(ip), host: formatMac(senderMac) };
    emit("warn", speaker.events.defend, fields);
  }

  /** Where the configuration has the sender's address, if that is another place than this; else null. */
  private configuredElsewhere(
    { sender, senderMac }: Statement,
    iface: InterfaceObject,
    port: PortObject,
  ): Place | null {
    const entry = this.parts.neighbors.find(iface, sender);
    if (entry?.origin !== "static") return null;
    const place = entry.place!;
    return place.mac === senderMac && place.port === port ? null : place;
  }
}
