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
import { type InterfaceObject, subnetOf, type VsiObject } from "../control/inventory.ts";
import type { Ip } from "../control/ip.ts";
import type { MacStory } from "../control/mac/entry.ts";
import type { NeighborStory, PlaceStory } from "../control/neighbor/story.ts";
import type { Config, TunnelConfig } from "../control/plan.ts";
import type { DuplicateView } from "../control/resolution/duplicates.ts";
import type { SuppressedHost } from "../control/resolution/suppression.ts";
import { formatMac, parseMac } from "../wire/ethernet.ts";
import { formatIpv4, parseIpv4 } from "../wire/ipv4.ts";
import { policySentences } from "./policy-sentences.ts";

const MESSAGES = {
  request: "an ARP request it sent",
  reply: "an ARP reply it sent",
  announcement: "an announcement: an ARP it sent about itself without being asked",
  static: "the configuration",
  gateway: "an ARP of a peer gateway",
  evpn: "EVPN: said from outside, which yields to what an AC says",
  restored: "the snapshot of the last run",
} as const;

/** What else is said of a MAC or an address, by routes (EVPN) and bindings (port security), in all VSIs and VRFs, or in those of one VRF. */
export type FabricSentences = (
  subject: { readonly mac: string } | { readonly ip: string },
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

  /** Null: there is no VSI-interface, VSI or VRF of that name. The question holds an IPv4 address or a MAC. */
  why(question: Question): Why | Ambiguous | null {
    const { inventory } = this.parts;
    if (question.vrf !== null && !vrfNames(this.parts).has(question.vrf)) return null;
    if (question.interface !== null && inventory.interface(question.interface) === undefined) return null;
    if (question.vsi !== null && inventory.vsi(question.vsi) === undefined) return null;
    if (question.ip === null) return this.whyMac(question.mac!, question);
    const isScoped = question.vrf !== null || question.interface !== null || question.vsi !== null;
    const vrfs = isScoped ? [] : vrfsWith(inventory, parseIpv4(question.ip)!);
    return vrfs.length > 1 ? { vrfs } : this.whyIp(question.ip, question);
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
    for (const { ip, interface: iface, state } of neighbors)
      said.push(`The ARP table has ${ip} on ${iface} at this MAC (${state}).`);
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
      .flatMap((ip) => neighbors.stories(ip))
      .filter(({ place }) => place?.mac === mac && isMeant(place.vsi));
  }

  // ---- an address ------------------------------------------------------------------------------------------------

  private whyIp(text: string, question: Question): Why {
    const { agent, inventory, topology } = this.parts;
    const ip = parseIpv4(text)!;
    const scope = [...inventory.interfaces.values()].filter((iface) => isAsked(iface, question));
    const names = new Set(scope.map((iface) => iface.name));
    const neighbors = agent.neighbors.stories(ip).filter((story) => names.has(story.interface));
    const said = [...this.ownSentences(ip, scope), ...underlaySentences(text, topology.config)];
    for (const story of neighbors) said.push(...neighborSentences(story, this.isNeighborByHand(story)));
    const routed = this.fabric({ ip: text }, this.within(question));
    said.push(...routed);
    for (const each of agent.resolutions.duplicates())
      if (each.ip === text && names.has(each.interface)) said.push(duplicateSentence(each));
    for (const { of, ip: hop, tunnel, interface: on } of this.parts.bypasses.list())
      if (hop === text && names.has(on)) said.push(bypassSentence(of, hop, tunnel.name));
    const suppressed = [...agent.arp.suppression.of(ip)].filter(({ vsi }) => isVsiAsked(vsi, question));
    for (const host of suppressed) {
      const answered = agent.arp.suppression.find(host.vsi, ip) ?? null;
      said.push(suppressedSentence(text, host, answered, agent.nowMs));
    }
    const macs = neighbors.flatMap(({ place }) => {
      if (place === null) return [];
      return agent.macs.stories(parseMac(place.mac)!).filter((story) => story.vsi === place.vsi);
    });
    for (const story of macs) said.push(...macSentences(story, this.isByHand(story)));
    const isOwn = said.length > suppressed.length + routed.length && neighbors.length === 0;
    if (neighbors.length === 0 && suppressed.length === 0 && !isOwn) said.push(...unknownSentences(ip, scope));
    const vrfs = new Set(scope.map((iface) => iface.vrfName));
    const routes = [...vrfs].flatMap((vrf) => this.shown.routeTo(vrf, ip) ?? []);
    for (const vrf of vrfs) {
      const match = routes.find((route) => route.vrf === vrf);
      said.push(routeSentence(vrf, match));
    }
    if (!isOwn) said.push(...errorSentences(text, ip, scope, agent.ways));
    for (const name of new Set(neighbors.flatMap(({ place }) => (place === null ? [] : [place.via]))))
      said.push(...tunnelSentences(name, this.shown));
    // What is for ourselves, or for a VTEP, is no policy's business.
    if (!isOwn) said.push(...policySentences(this.shown.policies(), topology.config, scope, ip, routes));
    const known = isOwn || suppressed.length > 0 || neighbors.some(({ searchSeconds }) => searchSeconds === null);
    return { subject: text, kind: "ip", known, sentences: said, macs, neighbors, routes };
  }

  private ownSentences(ip: number, scope: readonly InterfaceObject[]): string[] {
    const said: string[] = [];
    for (const iface of scope) {
      const text = formatIpv4(ip);
      if (iface.config.icmpSource?.ip === ip)
        said.push(`${text} is our own: ICMP errors of ${iface.name} come from it.`);
      if (!iface.subnets.some(({ address }) => address === ip)) continue;
      said.push(`${text} is our own: the gateway address of ${iface.name}, with gateway MAC ${formatMac(iface.mac)}.`);
      for (const peer of this.parts.agent.arp.peers.list()) {
        if (peer.iface !== iface || peer.ip !== ip) continue;
        const { tunnel, vsi, mac, heardMs } = peer;
        const seconds = Math.floor((this.parts.agent.nowMs - heardMs) / 1000);
        const heard = `${ago(seconds)} by an ARP in VSI ${vsi.name}`;
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

function duplicateSentence({ ip, places, isProbe, seconds }: DuplicateView): string {
  const [a, b] = places.map(({ mac, via }) => `${mac} at ${via}`);
  return isProbe
    ? `${ip} is in use by ${a}; ${b} asked whether it is free, ${ago(seconds)}.`
    : `Two hosts have ${ip}: ${a} and ${b}; both answer, first noticed ${ago(seconds)}. Give one of them another address.`;
}

/** Why a next hop may see nothing. */
export function bypassSentence(of: string, ip: string, tunnel: string): string {
  return `${ip} is the next hop of ${of}, but sees none of its packets: the gateway behind tunnel ${tunnel} answers for it with its own MAC and routes by destination.`;
}

function neighborSentences(story: NeighborStory, isByHand: boolean): string[] {
  const { ip, interface: iface, state, place, origin, previous, challenger, wanted } = story;
  if (state === "suspended" && place !== null) {
    const where = `it was known with MAC ${place.mac} at ${placeText(place)}, which is down`;
    const then = "make us look for it elsewhere, and end with ICMP host unreachable where it does not answer";
    return [`${ip} on ${iface} is suspended since ${ago(story.stateSeconds)}: ${where}. Packets to it ${then}.`];
  }
  if (story.searchSeconds !== null || place === null) return soughtSentences(story);
  const known = `${ip} on ${iface} has MAC ${place.mac} at ${placeText(place)}, in VSI ${place.vsi}`;
  const said: string[] = [];
  if (origin === "static") {
    const source = isByHand ? "added by hand (vtepctl arp add)" : "as the configuration says";
    said.push(`${known}, ${source}; it never ages.`);
  } else {
    said.push(`${known}: learned ${ago(story.learnedSeconds)} from ${MESSAGES[origin]}.`);
    const since = `it is ${stateText(state)}, since ${ago(story.stateSeconds)}`;
    said.push(`It was last heard ${ago(story.heardSeconds)}; ${since}.`);
  }
  if (previous !== null) {
    const was = `MAC ${previous.mac} at ${placeText(previous)}`;
    said.push(`Before that, until ${ago(previous.secondsAgo)}, it was known with ${was}.`);
  }
  if (challenger !== null)
    said.push(
      `Somebody says it is at ${placeText(challenger)} (MAC ${challenger.mac}); the place we know is being asked.`,
    );
  if (wanted) said.push("A route or a policy uses it as next hop, so it is kept resolved.");
  return said;
}

/** @param answered the place that requests are answered with. */
function suppressedSentence(
  ip: string,
  host: SuppressedHost,
  answered: Pick<SuppressedHost, "mac" | "port"> | null,
  nowMs: number,
): string {
  const { vsi, mac, port, heardMs, isUsed } = host;
  const what = `ARP suppression in VSI ${vsi.name} knows ${ip} with MAC ${formatMac(mac)} at ${port.kind} ${port.name}`;
  const isSame = answered?.mac === mac && answered.port === port;
  const place = answered === null || isSame ? "" : ` with MAC ${formatMac(answered.mac)} at ${portText(answered.port)}`;
  const end =
    answered === null
      ? "it has been silent since, so requests for it are flooded"
      : isSame && isUsed
        ? "it answers requests for it"
        : `requests for it are answered${place}, as EVPN has it`;
  return `${what}, by ARP heard ${ago(Math.floor((nowMs - heardMs) / 1000))}: ${end}.`;
}

function soughtSentences(story: NeighborStory): string[] {
  const { ip, interface: iface, state, place, tries, asked, searchSeconds, stateSeconds, wanted } = story;
  const whom = asked.length === 0 ? "no port, for none is up" : asked.join(", ");
  const begun = ago(searchSeconds ?? 0);
  const failed = `${tries} ARP requests went to ${whom}, and it has counted as failed since ${ago(stateSeconds)}`;
  const said =
    state === "incomplete"
      ? [`${ip} on ${iface} is being looked for since ${begun}: ARP request ${tries} of 3 went to ${whom}.`]
      : [`${ip} on ${iface} did not answer: the search began ${begun}, ${failed}.`];
  if (place !== null) said.push(`It was known once, with MAC ${place.mac} at ${placeText(place)}.`);
  said.push(
    wanted
      ? "A route or a policy needs it, so it is asked for again and again, ever more slowly."
      : "The next packet to it makes us ask again.",
  );
  return said;
}

function unknownSentences(ip: number, scope: readonly InterfaceObject[]): string[] {
  const said: string[] = [];
  for (const iface of scope) {
    const subnet = subnetOf(iface, ip);
    if (subnet === null) continue;
    const vsis = iface.vsis.map((vsi) => vsi.name).join(", ");
    const silence = "no ARP came from it, and no packet has asked for it lately";
    const prefix = `${formatIpv4(subnet.network)}/${subnet.length}`;
    said.push(`${formatIpv4(ip)} is not known on ${iface.name}: ${silence}.`);
    said.push(`It belongs there (${prefix}): the first packet to it makes us ask in VSI ${vsis}.`);
  }
  return said.length > 0
    ? said
    : [`${formatIpv4(ip)} is in no subnet of ours: it is reached by a route, or not at all.`];
}

function underlaySentences(text: string, { underlay, tunnels }: Config): string[] {
  const tunnel = tunnels.find(({ remote }: TunnelConfig) => remote === text);
  if (tunnel !== undefined) return [`${text} is on the underlay: the VTEP at the other end of tunnel ${tunnel.name}.`];
  return underlay.address === text ? [`${text} is on the underlay: our own VTEP address.`] : [];
}

function routeSentence(vrf: string, route: Route | undefined): string {
  if (route === undefined)
    return `VRF ${vrf} has no route to it: packets about which no policy decides are answered with ICMP unreachable.`;
  const { prefix, origin, action, interface: iface, viaVrf, nextHops } = route;
  const match = `VRF ${vrf} has ${prefix} as its longest match`;
  if (origin === "host") return `${match}: the host itself, resolved on ${iface}.`;
  if (origin === "connected" && action === "glean")
    return `${match}: connected to ${iface}, where each host is asked for by ARP.`;
  if (action === "vrf") return `${match}: the look-up goes on in VRF ${viaVrf}.`;
  const hops = nextHops.map(({ ip, alive }) => (alive ? ip : `${ip} (dead)`)).join(", ");
  const where = viaVrf == null ? "" : ` in VRF ${viaVrf}`;
  const way = hops !== "" ? `to next hop ${hops}${where}` : iface !== null ? `on ${iface}` : "";
  return `${match}: a route of origin ${origin}, action ${action} ${way}`.trimEnd().concat(".");
}

/** Where ICMP errors about packets from `ip` go, in each VRF. */
function errorSentences(text: string, ip: number, scope: readonly InterfaceObject[], ways: ErrorWays): string[] {
  const arrivals = new Map(scope.map((iface) => [iface.vrfName, iface]));
  return [...arrivals].flatMap(([vrf, arrival]) => {
    const { kind } = ways.of(arrival, ip);
    const about = `ICMP errors about packets from ${text} in VRF ${vrf}`;
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

function placeText({ via }: PlaceStory): string {
  return via.replace(/^ac /, "AC ");
}

function stateText(state: NeighborStory["state"]): string {
  const words: Partial<Record<NeighborStory["state"], string>> = {
    stale: "stale (not heard for half its age, and still used)",
    delay: "about to be probed",
    probe: "being probed",
  };
  return words[state] ?? state;
}

/** "3 s ago". */
function ago(seconds: number): string {
  if (seconds < 1) return "just now";
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ago`;
  return `${Math.floor(seconds / 3600)} h ago`;
}
