/**
 * `vtepctl ping HOST --interface NAME`: an echo to a host of the overlay, and what is known of the host beside it.
 *
 * It needs no capability: the request goes through the inject ring, as resolution does (control/icmp/ping.ts). A loss is told with its
 * likely cause, and above all with the one that is no fault: on a distributed gateway the answer may land on another one.
 */
import type { HostPing } from "../api/schema-probe.ts";
import type { Agent } from "../control/agent.ts";
import { ECHO6_LEAST_BYTES, sourceOf } from "../control/icmp/ping.ts";
import { type InterfaceObject, type Inventory, isOwnAddress, subnetOf } from "../control/inventory.ts";
import { formatIp, type Ip, isOfLink, parseIp } from "../control/ip.ts";

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
  const to = parseIp(ip);
  if (to === null) return `${ip} is no IP address`;
  if (isOwnAddress(iface, to)) return `${ip} is an address of ${name} itself`;
  if (isOfLink(to)) return `${ip} is of the link, and no packet is routed to it: name another address of that host`;
  const source = sourceOf(iface, to);
  const isIpv6 = typeof to === "bigint";
  if (source === 0 || source === 0n) return `${name} has no ${isIpv6 ? "IPv6" : "IPv4"} address to ask with`;
  if (isIpv6 && length < ECHO6_LEAST_BYTES) return `an echo of IPv6 has ${ECHO6_LEAST_BYTES} bytes at least`;
  const asked = { source: formatIp(source), length };
  return new Promise((resolve) => {
    const isSent = agent.pinger.ask(iface, to, length, now(), (answer) => {
      const { kind, note, via } =
        answer === null ? lossOf(agent, iface, to) : { ...known(agent, iface, to), note: null };
      resolve({
        kind: answer === null ? kind : "reply",
        ...asked,
        rttMs: answer?.rttMs ?? null,
        ttl: answer?.ttl ?? null,
        via,
        note,
      });
    });
    if (isSent) kick();
    else resolve({ kind: "busy", ...asked, rttMs: null, ttl: null, via: null, note: null });
  });
}

type Known = Pick<HostPing, "kind" | "via" | "note">;

/** Of a neighbour of this VSI-interface: where it is. */
function known(agent: Agent, iface: InterfaceObject, to: Ip): Known {
  const place = agent.neighbors.find(iface, to)?.place ?? null;
  const via = place === null ? null : { kind: place.port.kind, name: place.port.name };
  return { kind: "lost", via, note: null };
}

function lossOf(agent: Agent, iface: InterfaceObject, to: Ip): Known {
  const found = known(agent, iface, to);
  const ip = formatIp(to);
  const isIpv4 = typeof to === "number";
  const isNeighbor = subnetOf(iface, to) !== null;
  const question = isIpv4 ? "ARP request" : "neighbour solicitation";
  if (isNeighbor && found.via === null) return { ...found, kind: "unresolved", note: `${ip} answers no ${question}` };
  const source = formatIp(sourceOf(iface, to));
  const { icmpSource, icmpSource6, distributed } = iface.config;
  const isShared = distributed && (isIpv4 ? icmpSource : icmpSource6) === null;
  if (isShared && found.via?.kind !== "ac") {
    const nearest = found.via === null ? "the gateway nearest to it" : `the gateway behind tunnel ${found.via.name}`;
    const fix = `give ${iface.name} an icmpSource of its own, or ask there`;
    const note = `${source} is an address of every distributed gateway: the answer may have gone to ${nearest}; ${fix}`;
    return { ...found, note };
  }
  return found;
}
