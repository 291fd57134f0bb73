/**
 * Why a MAC or an address is where we say it is: what control remembers, told in sentences.
 *
 * The facts are control's stories (control/mac/entry.ts, control/neighbor/story.ts), the routes and the policies; here they are only put into words,
 * in the order in which a person asks: is it ours, do we know it, from what, since when, and where was it before; if we do
 * not, who was asked; and what the tables say about it in any case.
 */

import type { Route } from "../api/schema.ts";
import type { BfdSession } from "../api/schema-bfd.ts";
import type { Question, Why } from "../api/schema-why.ts";
import type { Shown, ShownParts } from "../api/shown.ts";
import { vrfNames, vrfsWith } from "../api/vrfs.ts";
import type { Ambiguous } from "../api/why.ts";
import { portText } from "../control/event.ts";
import type { ErrorWays } from "../control/icmp/way.ts";
import { hasIpv6, type InterfaceObject, type VsiObject } from "../control/inventory.ts";
import { formatIp, type Ip, isOfLink, parseIp } from "../control/ip.ts";
import type { MacStory } from "../control/mac/entry.ts";
import type { NeighborStory } from "../control/neighbor/story.ts";
import type { Config, TunnelConfig } from "../control/plan.ts";
import { formatMac, parseMac } from "../wire/ethernet.ts";
import { ago } from "./ago.ts";
import { policySentences } from "./policy-sentences.ts";
import type { HopScope } from "./why-hops.ts";
import {
  distinctStories,
  duplicateSentence,
  neighborSentences,
  resolutionOf,
  suppressedSentence,
  unknownSentences,
} from "./why-neighbor.ts";

/**
 * What else is said of a MAC or an address, by routes (EVPN), bindings (port security) and next hops, in all VSIs and VRFs, or in those
 * of one VRF; of an address with the VSI-interfaces that are asked about.
 */
export type FabricSentences = (
  subject: { readonly mac: string } | { readonly ip: string; readonly scope: HopScope },
  within: { readonly vrf: string; readonly vsis: ReadonlySet<string> } | null,
) => string[];

export class WhyAnswers {
  private readonly parts: ShownParts;
  private readonly shown: Shown;
  private readonly fabric: FabricSentences;

  constructor(parts: ShownParts, shown: Shown, fabric: FabricSentences = () => []) {
    this.parts = parts;
    this.shown = shown;
    this.fabric = fabric;
  }

  /** Null: there is no VSI-interface, VSI or VRF of that name. The question holds an address of either family, or a MAC. */
  why(question: Question): Why | Ambiguous | null {
    const { inventory } = this.parts;
    if (question.vrf !== null && !vrfNames(this.parts).has(question.vrf)) return null;
    if (question.interface !== null && inventory.interface(question.interface) === undefined) return null;
    if (question.vsi !== null && inventory.vsi(question.vsi) === undefined) return null;
    if (question.ip === null) return this.whyMac(question.mac!, question);
    const isScoped = question.vrf !== null || question.interface !== null || question.vsi !== null;
    const vrfs = isScoped ? [] : vrfsWith(inventory, parseIp(question.ip)!);
    return vrfs.length > 1 ? { vrfs } : this.whyIp(parseIp(question.ip)!, question);
  }

  /** VSIs of the VRF that is asked about; null: of all of them. */
  private within({ vrf }: Question): Parameters<FabricSentences>[1] {
    if (vrf === null) return null;
    const inVrf = [...this.parts.inventory.vsis.values()].filter((vsi) => vsi.interface?.vrfName === vrf);
    return { vrf, vsis: new Set(inVrf.map(({ name }) => name)) };
  }

  // ---- a MAC -----------------------------------------------------------------------------------------------------

  private whyMac(text: string, question: Question): Why {
    const { agent, inventory } = this.parts;
    const { vsi, vrf } = question;
    const mac = parseMac(text)!;
    const name = formatMac(mac);
    const within = this.within(question);
    const isMeant = (of: string) => (vsi === null || of === vsi) && (within === null || within.vsis.has(of));
    const macs = agent.macs.stories(mac).filter((story) => isMeant(story.vsi));
    const said: string[] = [];
    for (const iface of inventory.interfaces.values())
      if (iface.mac === mac && (vrf === null || iface.vrfName === vrf))
        said.push(`${name} is our own: the gateway MAC of ${iface.name}.`);
    for (const story of macs) said.push(...macSentences(story, this.isByHand(story)));
    said.push(...this.fabric({ mac: name }, within));
    const neighbors = this.neighborsWith(name, isMeant);
    for (const { ip, interface: iface, state, place } of neighbors) {
      const table = ip.includes(":") ? "neighbour" : "ARP";
      const isShared = neighbors.filter((other) => other.ip === ip && other.interface === iface).length > 1;
      const where = isShared ? `at this MAC behind ${place!.via}` : "at this MAC";
      said.push(`The ${table} table has ${ip} on ${iface} ${where} (${state}).`);
    }
    if (macs.length === 0) {
      const where = vsi !== null ? `VSI ${vsi}` : vrf === null ? "No VSI" : `No VSI of VRF ${vrf}`;
      const unknown = vsi === null ? "knows it" : "does not know it";
      said.push(
        `${where} ${unknown}: no frame with it as source has come, or it has aged out. Frames to it are flooded.`,
      );
    }
    return { subject: name, kind: "mac", known: macs.length > 0, sentences: said, macs, neighbors, routes: [] };
  }

  /** Is it an entry that an operator added, and the file does not know? */
  private isByHand({ origin, vsi, mac }: MacStory): boolean {
    const { vsis, interfaces } = this.parts.topology.config;
    const isInFile =
      vsis.some(({ name, mac: table }) => name === vsi && table.static.some((each) => each.mac === mac)) ||
      interfaces.some(({ arp }) => arp.static.some((each) => each.vsi === vsi && each.mac === mac));
    return origin === "static" && !isInFile;
  }

  private isNeighborByHand({ origin, interface: iface, ip }: NeighborStory): boolean {
    const { interfaces } = this.parts.topology.config;
    const isInFile = interfaces.some(({ name, arp }) => name === iface && arp.static.some(({ text }) => text === ip));
    return origin === "static" && !isInFile;
  }

  private neighborsWith(mac: string, isMeant: (vsi: string) => boolean): NeighborStory[] {
    const { neighbors } = this.parts.agent;
    const wanted = parseMac(mac)!;
    const ips = new Set<Ip>();
    for (const { place, ip } of neighbors.all()) if (place?.mac === wanted) ips.add(ip);
    return [...ips]
      .flatMap((ip) => distinctStories(neighbors.stories(ip)))
      .filter(({ place }) => place?.mac === mac && isMeant(place.vsi));
  }

  // ---- an address ------------------------------------------------------------------------------------------------

  private whyIp(ip: Ip, question: Question): Why {
    const { agent, inventory, topology } = this.parts;
    const { suppression } = typeof ip === "number" ? agent.arp : agent.nd;
    const text = formatIp(ip);
    const scope = [...inventory.interfaces.values()].filter((iface) => isAsked(iface, question));
    const names = new Set(scope.map((iface) => iface.name));
    const neighbors = distinctStories(agent.neighbors.stories(ip).filter((story) => names.has(story.interface)));
    const said = [...this.ownSentences(ip, scope), ...underlaySentences(text, topology.config)];
    for (const story of neighbors) said.push(...neighborSentences(story, this.isNeighborByHand(story)));
    const vrfs = new Set(scope.map((iface) => iface.vrfName));
    const routed = this.fabric({ ip: text, scope: { interfaces: names, vrfs } }, this.within(question));
    said.push(...routed);
    for (const each of agent.resolutions.duplicates())
      if (each.ip === text && names.has(each.interface)) said.push(duplicateSentence(each));
    for (const { of, ip: hop, tunnel, interface: on } of this.parts.bypasses.list())
      if (hop === text && names.has(on)) said.push(bypassSentence(of, hop, tunnel.name));
    const suppressed = [...suppression.of(ip)].filter(({ vsi }) => isVsiAsked(vsi, question));
    for (const host of suppressed) {
      const answered = suppression.find(host.vsi, ip) ?? null;
      said.push(suppressedSentence(host, answered, agent.nowMs));
    }
    const macs = this.macsAt(neighbors);
    for (const story of macs) said.push(...macSentences(story, this.isByHand(story)));
    const isOwn = said.length > suppressed.length + routed.length && neighbors.length === 0;
    if (neighbors.length === 0 && suppressed.length === 0 && !isOwn) said.push(...unknownSentences(ip, scope));
    const routes = isOfLink(ip) ? [] : [...vrfs].flatMap((vrf) => this.shown.routeTo(vrf, ip) ?? []);
    const isForwarded = !isOfLink(ip);
    if (!isForwarded && !isOwn) said.push(...linkSentences(scope));
    if (isForwarded) {
      for (const vrf of vrfs) {
        const match = routes.find((route) => route.vrf === vrf);
        said.push(routeSentence(vrf, match, ip));
      }
      if (!isOwn) said.push(...errorSentences(ip, scope, agent.ways));
    }
    for (const name of new Set(neighbors.flatMap(({ place }) => (place === null ? [] : [place.via]))))
      said.push(...tunnelSentences(name, this.shown));
    // What is for ourselves, or for a VTEP, is no policy's business.
    if (isForwarded && !isOwn) said.push(...policySentences(this.shown.policies(), topology.config, scope, ip, routes));
    const known = isOwn || suppressed.length > 0 || neighbors.some(({ searchSeconds }) => searchSeconds === null);
    return { subject: text, kind: "ip", known, sentences: said, macs, neighbors, routes };
  }

  /** Of several neighbours with one MAC (Borders that share it), once. */
  private macsAt(neighbors: readonly NeighborStory[]): MacStory[] {
    const places = neighbors.flatMap(({ place }) => (place === null ? [] : [place]));
    const once = new Map(places.map(({ mac, vsi }) => [`${vsi} ${mac}`, { mac, vsi }]));
    return [...once.values()].flatMap(({ mac, vsi }) =>
      this.parts.agent.macs.stories(parseMac(mac)!).filter((story) => story.vsi === vsi),
    );
  }

  private ownSentences(ip: Ip, scope: readonly InterfaceObject[]): string[] {
    const said: string[] = [];
    for (const iface of scope) {
      const text = formatIp(ip);
      if (iface.config.icmpSource?.ip === ip || iface.config.icmpSource6?.ip === ip)
        said.push(`${text} is our own: ICMP errors of ${iface.name} come from it.`);
      if (!iface.subnets.some(({ address }) => address === ip)) continue;
      const what = isOfLink(ip) ? "gateway's link-local address" : "gateway address";
      said.push(`${text} is our own: the ${what} of ${iface.name}, with gateway MAC ${formatMac(iface.mac)}.`);
      for (const peer of this.parts.agent.resolutions.peers()) {
        if (peer.iface !== iface || peer.ip !== ip) continue;
        const { tunnel, vsi, mac, heardMs } = peer;
        const seconds = Math.floor((this.parts.agent.nowMs - heardMs) / 1000);
        const heard = `${ago(seconds)} by ${typeof ip === "number" ? "an ARP" : resolutionOf(ip)} in VSI ${vsi.name}`;
        said.push(
          `The gateway behind tunnel ${tunnel.name} has the same address, as it should: MAC ${formatMac(mac)}, heard ${heard}.`,
        );
      }
    }
    return said;
  }
}

function isAsked(iface: InterfaceObject, { interface: name, vsi, vrf }: Question): boolean {
  if (vrf !== null && iface.vrfName !== vrf) return false;
  return (name === null || iface.name === name) && (vsi === null || iface.vsis.some((each) => each.name === vsi));
}

function isVsiAsked(vsi: VsiObject, { interface: name, vsi: only, vrf }: Question): boolean {
  if (vrf !== null && vsi.interface?.vrfName !== vrf) return false;
  return (only === null || vsi.name === only) && (name === null || vsi.interface?.name === name);
}

// ---- sentences ---------------------------------------------------------------------------------------------------

function macSentences(story: MacStory, isByHand: boolean): string[] {
  const { mac, vsi, via, origin, frame, learnedSeconds, heardSeconds, previous } = story;
  const at = via === null ? "" : portText(via);
  const known = `VSI ${vsi} has ${mac} at ${at}`;
  if (origin === "flood") return [`VSI ${vsi} floods frames to ${mac}, as its configuration says.`];
  if (origin === "static" && isByHand) return [`${known}: it was added by hand (vtepctl mac add).`];
  if (origin === "static") return [`${known}, as its configuration says.`];
  if (origin === "gateway" && via === null) return [`VSI ${vsi} routes frames to ${mac}: it is our gateway MAC there.`];
  if (origin === "gateway")
    return [`VSI ${vsi} knows ${mac} as the gateway MAC of the peer behind ${at}, heard ${ago(learnedSeconds)}.`];
  if (origin === "evpn")
    return [`${known}: EVPN says so (since ${ago(learnedSeconds)}); a frame from it at an AC would outrank that.`];
  const said = [`${known}: ${frameText(frame)} with it as source came in there ${ago(learnedSeconds)}.`];
  if (heardSeconds !== null && heardSeconds < learnedSeconds)
    said.push(`It has sent since: last noted ${ago(heardSeconds)}.`);
  if (previous !== null) said.push(`Before that, until ${ago(previous.secondsAgo)}, it was at ${previous.via}.`);
  return said;
}

/** "an ARP frame", "an IPv4 packet", "a frame of EtherType 0x88cc"; null: of no type that was noted. */
function frameText(type: string | null): string {
  if (type === null) return "a frame";
  if (type === "ARP") return "an ARP frame";
  return type === "IPv4" || type === "IPv6" ? `an ${type} packet` : `a frame of ${type}`;
}

/** Why a next hop may see nothing. */
export function bypassSentence(of: string, ip: string, tunnel: string): string {
  return `${ip} is the next hop of ${of}, but sees none of its packets: the gateway behind tunnel ${tunnel} answers for it with its own MAC and routes by destination.`;
}

function underlaySentences(text: string, { underlay, tunnels }: Config): string[] {
  const tunnel = tunnels.find(({ remote }: TunnelConfig) => remote === text);
  if (tunnel !== undefined) return [`${text} is on the underlay: the VTEP at the other end of tunnel ${tunnel.name}.`];
  return underlay.address === text ? [`${text} is on the underlay: our own VTEP address.`] : [];
}

/** Of fe80::/10 (RFC 4291 §2.5.6). */
function linkSentences(scope: readonly InterfaceObject[]): string[] {
  const vsis = scope.flatMap((iface) => (hasIpv6(iface) ? iface.vsis : []));
  const isolated = vsis.filter(({ config }) => config.linkLocal === "isolate").map(({ name }) => name);
  const said = [
    "No router forwards to an address of the link: hosts of its VSIs find each other, at all sites, and their frames are bridged as they are.",
  ];
  if (isolated.length > 0)
    said.push(`Not so in VSI ${isolated.join(", ")}: there hosts are kept apart on their link (linkLocal: isolate).`);
  return said;
}

function routeSentence(vrf: string, route: Route | undefined, ip: Ip): string {
  if (route === undefined) {
    const error = `${icmpOf(ip)} unreachable`;
    return `VRF ${vrf} has no route to it: packets about which no policy decides are answered with ${error}.`;
  }
  const { prefix, origin, action, interface: iface, viaVrf, nextHops } = route;
  const match = `VRF ${vrf} has ${prefix} as its longest match`;
  if (origin === "host") return `${match}: the host itself, resolved on ${iface}.`;
  if (origin === "connected" && action === "glean")
    return `${match}: connected to ${iface}, where each host is asked for by ${resolutionOf(ip)}.`;
  if (action === "vrf") return `${match}: the look-up goes on in VRF ${viaVrf}.`;
  const hops = nextHops.map(hopName).join(", ");
  const where = viaVrf == null ? "" : ` in VRF ${viaVrf}`;
  const way = hops !== "" ? `to next hop ${hops}${where}` : iface !== null ? `on ${iface}` : "";
  return `${match}: a route of origin ${origin}, action ${action} ${way}`.trimEnd().concat(".");
}

/** Several have one address where they are meant behind tunnels. */
function hopName({ ip, tunnel = null, alive }: Route["nextHops"][number]): string {
  const name = tunnel === null ? ip : `${ip} behind tunnel ${tunnel}`;
  return alive ? name : `${name} (dead)`;
}

/** Where ICMP errors about packets from `ip` go, in each VRF. */
function errorSentences(ip: Ip, scope: readonly InterfaceObject[], ways: ErrorWays): string[] {
  const arrivals = new Map(scope.map((iface) => [iface.vrfName, iface]));
  return [...arrivals].flatMap(([vrf, arrival]) => {
    const { kind } = typeof ip === "number" ? ways.of(arrival, ip) : ways.of6(arrival, ip);
    const about = `${icmpOf(ip)} errors about packets from ${formatIp(ip)} in VRF ${vrf}`;
    if (kind === "silent") return [`${about} are not sent: no host can have this address.`];
    return [kind === "routed" ? `${about} are routed to it.` : `${about} go back where the packet came from.`];
  });
}

/** Where a tunnel leads to: "tunnel gw2" is a name, the VTEP behind it is the place. */
function tunnelSentences(via: string, shown: Shown): string[] {
  const tunnel = shown.tunnels().find(({ name }) => via === `tunnel ${name}`);
  if (tunnel === undefined) return [];
  const { name, remote, state, mtu, bfd } = tunnel;
  const watched = bfd == null ? "" : ` BFD watches it: ${bfdText(bfd)}.`;
  return [
    `Tunnel ${name} leads to VTEP ${remote}; it is ${state}, and carries packets of up to ${mtu} bytes.${watched}`,
  ];
}

function bfdText({ verdict, state, detectionMs, diagnosis, peer }: BfdSession): string {
  if (verdict === "unknown") return "its peer has not been up, so the tunnel is used as if there were no BFD";
  if (verdict === "up") return `up, ${detectionMs} ms of silence would be a death`;
  if (verdict === "draining") return "its peer has said that it leaves";
  return `${state} (${diagnosis}; the peer says ${peer.state}, ${peer.diagnosis})`;
}

function icmpOf(ip: Ip): string {
  return typeof ip === "number" ? "ICMP" : "ICMPv6";
}
