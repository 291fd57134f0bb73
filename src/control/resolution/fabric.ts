/**
 * Resolution beside EVPN: what of the article's relaying is right where routes tell who is where.
 *
 * A guest's address said with our gateway MAC would be taken for that guest's own by hosts of other vendors' gateways, and with a
 * MAC that all gateways share, traffic for it would end at the nearest one. So a fabric hears of our hosts by their routes, with
 * their own MACs; we ask it in our own name, and answer it for no host. But a route tells no host elsewhere that its address is taken: who
 * probes is answered, with the MAC that the route says.
 */
import { CONSUMED, type Fate } from "../fate.ts";
import { ALL_PORTS, ONLY_ACS } from "../inject.ts";
import { addressFor, type InterfaceObject, type PortObject, type VsiObject } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { Neighbors } from "../neighbor/table.ts";
import type { MessageSender } from "./sender.ts";

/** Where an unknown host is asked for: everywhere, unless the VSI looks for hosts at its ACs alone. */
export function searchScope({ config }: VsiObject): number {
  return config.evpn?.unknown === "drop" ? ONLY_ACS : ALL_PORTS;
}

/** Where a host's announcement is passed on, of `scope`. */
export function relayScope({ config }: VsiObject, scope: number): number {
  return config.evpn === null ? scope : scope & ONLY_ACS;
}

/** Is an asker behind `port` told of hosts at their own MACs? */
export function isInFabric({ config }: VsiObject, port: PortObject): boolean {
  return config.evpn !== null && port.kind === "tunnel";
}

/** Asked by a fabric for `target`: a host of ours that we know has a route; one that answers us now will have. */
export function askForFabric(
  { sender, neighbors }: { readonly sender: MessageSender; readonly neighbors: Neighbors },
  iface: InterfaceObject,
  vsi: VsiObject,
  port: PortObject,
  target: Ip,
): Fate {
  const entry = neighbors.find(iface, target);
  if (entry?.place?.port.kind === "ac" && entry.state === "reachable") return CONSUMED;
  const question = {
    target,
    sender: addressFor(iface, target),
    except: port,
    by: port,
    scope: ONLY_ACS,
    isRetry: false,
  };
  sender.solicit(iface, vsi, question);
  return CONSUMED;
}
