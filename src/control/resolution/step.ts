/** The article's step in which a message is heard or relayed, for events; null: it leaves that out (the way back from the outside). */
import { type InterfaceObject, isOwnAddress } from "../inventory.ts";
import type { Ip } from "../ip.ts";
import type { Place } from "../neighbor/entry.ts";
import type { Probe, Question, Statement } from "./message.ts";
import type { Asker } from "./relay.ts";

interface NextHops {
  isNextHop(iface: InterfaceObject, ip: Ip): boolean;
}

export function heardStep(
  { kind, sender, target }: Statement,
  iface: InterfaceObject,
  { port }: Place,
  hops: NextHops,
): string | null {
  const isForUs = target !== null && isOwnAddress(iface, target);
  const isNextHop = hops.isNextHop(iface, sender);
  if (kind === "answer") {
    if (port.kind === "ac") return isForUs ? "S2.7" : "S1.7";
    if (isNextHop) return "S3.6";
    return isForUs && !iface.config.distributed ? null : isForUs ? "S2.8" : "S1.8";
  }
  if (port.kind === "ac") return isForUs ? "S2.2/S3.2" : "S1.2";
  if (isNextHop) return null;
  return isForUs && !iface.config.distributed ? "S3.5" : "S1.5";
}

/** Of a question from a tunnel that goes on into our site: for a host, or for somebody's next hop. */
export function relayedStep(
  { sender, target }: Question | Probe,
  iface: InterfaceObject,
  hops: NextHops,
): string | null {
  if (sender === null) return "S1.5";
  if (isOwnAddress(iface, sender)) return hops.isNextHop(iface, target) ? "S3.4" : "S2.5";
  return hops.isNextHop(iface, sender) ? null : "S1.5";
}

/** Of the answer to it. */
export function relayedReplyStep({ ip }: Asker, iface: InterfaceObject, hops: NextHops): string | null {
  if (ip === null) return "S1.7";
  if (isOwnAddress(iface, ip)) return "S2.7";
  return hops.isNextHop(iface, ip) ? null : "S1.7";
}
