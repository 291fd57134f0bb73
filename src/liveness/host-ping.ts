/**
 * `vtepctl ping HOST --interface NAME`: an echo to a host of the overlay, and what is known of the host beside it.
 *
 * It needs no capability: the request goes through the inject ring, as ARP does (control/icmp/ping.ts). A loss is told with its
 * likely cause, and above all with the one that is no fault: on a distributed gateway the answer may land on another one.
 */
import type { HostPing } from "../api/schema-probe.ts";
import type { Agent } from "../control/agent.ts";
import { sourceOf } from "../control/icmp/ping.ts";
import { type InterfaceObject, type Inventory, isOwnAddress, subnetOf } from "../control/inventory.ts";
import { formatIpv4, type Ipv4, parseIpv4 } from "../wire/ipv4.ts";

export interface HostPingParts {
  readonly agent: Agent;
  readonly inventory: Inventory;
  /** The exact time, of control's clock. */
  readonly now: () => number;
  /** Control has something to do. */
  readonly kick: () => void;
}

/** Null: there is no such VSI-interface; a text: it cannot be asked. */
export function pingHost(
  { agent, inventory, now, kick }: HostPingParts,
  name: string,
  ip: string,
  length: number,
): Promise<HostPing> | null | string {
  const iface = inventory.interface(name);
  if (iface === undefined) return null;
  const to = parseIpv4(ip);
  if (to === null) return `${ip} is no IPv4 address`;
  if (isOwnAddress(iface, to)) return `${ip} is an address of ${name} itself`;
  return new Promise((resolve) => {
    const isSent = agent.pinger.ask(iface, to, length, now(), (answer) => {
      const { kind, note, via } =
        answer === null ? lossOf(agent, iface, to) : { ...known(agent, iface, to), note: null };
      resolve({
        kind: answer === null ? kind : "reply",
        source: formatIpv4(sourceOf(iface, to)),
        length,
        rttMs: answer?.rttMs ?? null,
        ttl: answer?.ttl ?? null,
        via,
        note,
      });
    });
    if (isSent) kick();
    else
      resolve({
        kind: "busy",
        source: formatIpv4(sourceOf(iface, to)),
        length,
        rttMs: null,
        ttl: null,
        via: null,
        note: null,
      });
  });
}

type Known = Pick<HostPing, "kind" | "via" | "note">;

/** Of a neighbour of this VSI-interface: where it is. */
function known(agent: Agent, iface: InterfaceObject, to: Ipv4): Known {
  const place = agent.neighbors.find(iface, to)?.place ?? null;
  const via = place === null ? null : { kind: place.port.kind, name: place.port.name };
  return { kind: "lost", via, note: null };
}

function lossOf(agent: Agent, iface: InterfaceObject, to: Ipv4): Known {
  const found = known(agent, iface, to);
  const ip = formatIpv4(to);
  const isNeighbor = subnetOf(iface, to) !== null;
  if (isNeighbor && found.via === null) return { ...found, kind: "unresolved", note: `${ip} answers no ARP request` };
  const source = formatIpv4(sourceOf(iface, to));
  const isShared = iface.config.distributed && iface.config.icmpSource === null;
  if (isShared && found.via?.kind !== "ac") {
    const nearest = found.via === null ? "the gateway nearest to it" : `the gateway behind tunnel ${found.via.name}`;
    const fix = `give ${iface.name} an icmpSource of its own, or ask there`;
    const note = `${source} is an address of every distributed gateway: the answer may have gone to ${nearest}; ${fix}`;
    return { ...found, note };
  }
  return found;
}
