/**
 * `trace`: a described packet becomes bytes at a port, the data plane's own stages say what they would do, control adds
 * what it would do with what it is given, and the answer is put into names.
 *
 * With `inject` (POST /v1/inject) the same bytes then go through worker 0 as if they had arrived at the port: by its inject ring, counted as
 * injected (class `arrival`) and not as received, with everything that follows from a frame: learning, ARP, sending.
 */

import type { Trace, TraceRequest } from "../api/schema-trace.ts";
import type { ShownParts } from "../api/shown.ts";
import type { TraceRefusal } from "../api/trace.ts";
import type { Injector } from "../control/inject.ts";
import { type InterfaceObject, subnetOf } from "../control/inventory.ts";
import { type Ip, isSameFamily, parseIp } from "../control/ip.ts";
import { DROPS, PUNTS } from "../tables/counters.ts";
import { BROADCAST, formatMac, type Mac, macOf, parseMac } from "../wire/ethernet.ts";
import { groupMac4, isMulticast, maskOf } from "../wire/ipv4.ts";
import { isMulticast6 } from "../wire/ipv6.ts";
import { groupMac } from "../wire/nd.ts";
import { summaryOf } from "../wire/summary.ts";
import { emitVxlan, VXLAN_HEADER_BYTES } from "../wire/vxlan.ts";
import { Outlook } from "./control-outlook.ts";
import { type Explained, Explainer } from "./explain.ts";
import { frameOf, withTag } from "./packet.ts";
import { RowNames } from "./row-names.ts";
import type { WouldPunt } from "./step.ts";
import { type Place, placeOf, refusal } from "./trace-place.ts";
import { bypassSentence } from "./why.ts";

/** The source MAC where nothing better is known: locally administered, and no host's. */
const MADE_UP: Mac = parseMac("02:00:5e:00:53:01")!;

export class Tracer {
  private readonly parts: ShownParts;
  private readonly injector: Injector;
  private readonly explainer: Explainer;
  private readonly outlook: Outlook;
  private readonly names: RowNames;

  constructor(parts: ShownParts, injector: Injector) {
    this.parts = parts;
    this.injector = injector;
    this.names = new RowNames(parts);
    this.explainer = new Explainer(parts.tables, this.names);
    this.outlook = new Outlook(parts.inventory, parts.agent.neighbors, parts.agent.ways);
  }

  /** @param kick begins a round of control, so that what was injected goes out. */
  trace(request: TraceRequest, kick: () => void): Trace | TraceRefusal {
    const place = placeOf(request, this.parts);
    if ("message" in place) return place;
    const frame = this.frameOf(request, place);
    if ("message" in frame) return frame;
    const bytes = place.vni === null ? frame : encapsulated(place.vni, frame);
    const explained = this.explainer.explain(place.port.io, bytes);
    if (request.inject) {
      if (!this.injector.arrive(place.port.io, bytes))
        return refusal("the inject ring is full: nothing was sent", "the gateway is overloaded; try again");
      this.injector.flush();
      kick();
    }
    return this.told(explained, frame, request.inject);
  }

  private frameOf(request: TraceRequest, place: Place): Uint8Array | TraceRefusal {
    const { hex, vlan } = request;
    if (hex !== undefined) return new Uint8Array(Buffer.from(hex, "hex"));
    const frame = this.described(request, place);
    if ("message" in frame) return frame;
    const own = place.port.kind === "ac" ? this.parts.tables.ports.vlan[place.port.row]! : 0;
    if (vlan === undefined) return own === 0 ? frame : withTag(frame, own);
    return withTag(frame, vlan);
  }

  private described(request: TraceRequest, { vsi, port }: Place): Uint8Array | TraceRefusal {
    const { protocol, ttl, dscp, size, df, sourcePort, destinationPort } = request;
    const [source, destination] = [textIp(request.source), textIp(request.destination)];
    if (source === null || destination === null)
      return refusal(
        "source and destination are missing",
        "write trace --ac vm1 icmp 10.1.1.11 '>' 20.1.1.12, or --hex",
      );
    const wrong = familyTrouble(protocol, source, destination);
    if (wrong !== null) return wrong;
    const isQuestion = protocol === "arp" || protocol === "nd";
    const usual = groupOf(destination, vsi?.interface ?? null) ?? vsi?.interface?.mac;
    const destinationMac = request.destinationMac === undefined ? usual : parseMac(request.destinationMac);
    if (vsi === undefined && destinationMac == null && !isQuestion)
      return refusal(
        `there is no VSI here with VNI ${request.vni}`,
        "vtepctl show vsi lists them; with --dst-mac the trace shows how such a packet ends",
      );
    if (destinationMac == null && !isQuestion)
      return refusal("this VSI has no gateway MAC to send to", "name the destination with --dst-mac");
    const known = vsi?.interface == null ? undefined : this.parts.agent.neighbors.find(vsi.interface, source)?.place;
    const found = known?.port === port ? known.mac : MADE_UP;
    const sourceMac = request.sourceMac === undefined ? found : parseMac(request.sourceMac)!;
    const macs = { sourceMac, destinationMac: destinationMac ?? 0 };
    const addresses = { source, destination, sourcePort, destinationPort };
    return frameOf({ protocol, ttl, dscp, size, df, ...macs, ...addresses });
  }

  private told(explained: Explained, frame: Uint8Array, injected: boolean): Trace {
    const macs = `${formatMac(macAt(frame, 6))} > ${formatMac(macAt(frame, 0))}`;
    const sends = this.sendsOf(explained);
    return {
      packet: frame.length >= 14 ? `${summaryOf(frame)} (${macs})` : summaryOf(frame),
      steps: explained.steps.map((step) => ({ ...step })),
      fate: this.fateOf(explained),
      sends,
      next: sends.flatMap((send) => this.nextOf(send)),
      injected,
    };
  }

  private sendsOf({ sends }: Explained): Trace["sends"] {
    const { names } = this;
    return sends.map(({ port, vsi, bytes }) => {
      const via = names.via(port)!;
      const isTunnel = via.kind === "tunnel";
      const inner = isTunnel ? bytes.slice(VXLAN_HEADER_BYTES) : bytes;
      return {
        via,
        vsi: names.vsi(vsi),
        vni: isTunnel ? this.parts.tables.vsis.vni[vsi]! : null,
        bytes: inner.length,
        frame: Buffer.from(inner).toString("hex"),
      };
    });
  }

  private nextOf({ via, vni, frame }: Trace["sends"][number]): Trace["next"] {
    if (via.kind !== "tunnel" || vni === null) return [];
    const { inventory, topology } = this.parts;
    const { remote } = inventory.tunnel(via.name)!.config;
    return [{ tunnel: via.name, remote, local: topology.config.underlay.address, vni, hex: frame }];
  }

  /** Sent to a next hop that will not see it? */
  private bypassOf({ sends, steps }: Explained): string | null {
    for (const { of, ip, tunnel } of this.parts.bypasses.list()) {
      const isTaken = steps.some(({ result }) => result.split(/[ ,]/).includes(ip));
      if (isTaken && sends[0]!.port === tunnel.row) return bypassSentence(of, ip, tunnel.name);
    }
    return null;
  }

  private fateOf(explained: Explained): Trace["fate"] {
    const { fate, sends, punts } = explained;
    const next = punts.length === 0 ? null : this.outlook.of(punts.at(-1)!);
    if (fate > 0) {
      const [reason, text] = DROPS[fate - 1]!;
      return { kind: "dropped", reason, class: null, text: `dropped: ${reason}, ${text}`, next };
    }
    if (sends.length === 0) return this.punted(punts.at(-1)!, next!);
    const [first] = sends;
    const text = sends.length === 1 ? `sent to ${this.names.port(first!.port)}` : `flooded: ${sends.length} copies`;
    const bypassed = this.bypassOf(explained);
    return { kind: "sent", reason: null, class: null, text, next: next ?? bypassed };
  }

  private punted({ kind }: WouldPunt, next: string): Trace["fate"] {
    const [name, text] = PUNTS[kind - 1]!;
    return { kind: "punted", reason: null, class: name, text: `punted to control: ${text}`, next };
  }
}

/** The MAC to which a host sends what is for a group, or for all of its subnet; null: it is for one. */
function groupOf(destination: Ip, iface: InterfaceObject | null): Mac | null {
  if (typeof destination === "bigint") return isMulticast6(destination) ? groupMac(destination) : null;
  if (isMulticast(destination)) return groupMac4(destination);
  const subnet = iface === null ? null : subnetOf(iface, destination);
  // A /31 has no broadcast address (RFC 3021 §2.1).
  const isOfAll = subnet !== null && subnet.length < 31 && (destination | maskOf(subnet.length)) === -1;
  return destination === -1 || isOfAll ? BROADCAST : null;
}

function textIp(text: string | undefined): Ip | null {
  return text === undefined ? null : parseIp(text);
}

function familyTrouble(protocol: TraceRequest["protocol"], source: Ip, destination: Ip): TraceRefusal | null {
  if (!isSameFamily(source, destination))
    return refusal(
      "source and destination are of different families",
      "no packet is: name two of IPv4, or two of IPv6",
    );
  if (protocol === "arp" && typeof source === "bigint")
    return refusal(
      "IPv6 has no ARP",
      "a neighbour solicitation is nd: trace --ac vm1 nd 2001:db8:10::11 '>' 2001:db8:10::12",
    );
  if (protocol === "nd" && typeof source === "number")
    return refusal("nd is IPv6's", "trace --ac vm1 arp 10.1.1.11 '>' 10.1.1.12");
  return null;
}

function macAt(frame: Uint8Array, at: number): Mac {
  const word = (from: number) => ((frame[from]! << 8) | frame[from + 1]!) & 0xffff;
  return macOf(word(at), (word(at + 2) << 16) | word(at + 4));
}

function encapsulated(vni: number, frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(VXLAN_HEADER_BYTES + frame.length);
  emitVxlan(new DataView(bytes.buffer), 0, vni);
  bytes.set(frame, VXLAN_HEADER_BYTES);
  return bytes;
}
