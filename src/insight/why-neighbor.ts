/** What `why` tells of neighbours: hosts and next hops of VSI-interfaces, by the words of the protocol that resolves them. */
import { portText } from "../control/event.ts";
import { type InterfaceObject, isHostAddress, subnetOf } from "../control/inventory.ts";
import { formatIp, type Ip, isOfLink } from "../control/ip.ts";
import type { NeighborOrigin } from "../control/neighbor/entry.ts";
import type { NeighborStory, PlaceStory } from "../control/neighbor/story.ts";
import type { DuplicateView } from "../control/resolution/duplicates.ts";
import type { SuppressedHost } from "../control/resolution/suppression.ts";
import { formatMac } from "../wire/ethernet.ts";
import { ago } from "./ago.ts";

/** What a family calls its resolution. */
interface Words {
  /** The protocol, and the command that adds entries by hand. */
  readonly protocol: string;
  readonly command: string;
  readonly questions: string;
  /** The ICMP error about a host that does not answer. */
  readonly unreachable: string;
  readonly messages: Readonly<Record<NeighborOrigin, string>>;
}

const OTHERS = {
  static: "the configuration",
  evpn: "EVPN: said from outside, which yields to what an AC says",
} as const;

const ARP: Words = {
  protocol: "ARP",
  command: "arp",
  questions: "ARP requests",
  unreachable: "ICMP host unreachable",
  messages: {
    ...OTHERS,
    request: "an ARP request it sent",
    reply: "an ARP reply it sent",
    announcement: "an announcement: an ARP it sent about itself without being asked",
    gateway: "an ARP of a peer gateway",
  },
};

const ND: Words = {
  protocol: "neighbour discovery",
  command: "nd",
  questions: "neighbour solicitations",
  unreachable: "ICMPv6 address unreachable",
  messages: {
    ...OTHERS,
    request: "a neighbour solicitation it sent",
    reply: "a neighbour advertisement it sent",
    announcement: "an announcement: a neighbour advertisement it sent without being asked",
    gateway: "a neighbour advertisement or solicitation of a peer gateway",
  },
};

function wordsOf(ip: string): Words {
  return ip.includes(":") ? ND : ARP;
}

/** The protocol that resolves addresses like `ip`. */
export function resolutionOf(ip: Ip): string {
  return (typeof ip === "number" ? ARP : ND).protocol;
}

/**
 * Stories without those that another one tells. A next hop that is meant behind a tunnel is a neighbour of its own beside the one that its
 * address has anyway, and while both are at one place that place is told once: by the one that routes use.
 */
export function distinctStories(stories: readonly NeighborStory[]): NeighborStory[] {
  const isTold = (story: NeighborStory, at: number) =>
    stories.some((other, i) => {
      if (i === at || !isLike(story, other)) return false;
      return other.wanted === story.wanted ? i < at : other.wanted;
    });
  return stories.filter((story, at) => !isTold(story, at));
}

/** Are both known, at one place? */
function isLike(a: NeighborStory, b: NeighborStory): boolean {
  if (a.ip !== b.ip || a.interface !== b.interface || a.place === null || b.place === null) return false;
  if (a.searchSeconds !== null || b.searchSeconds !== null) return false;
  return a.place.mac === b.place.mac && a.place.via === b.place.via && a.place.vsi === b.place.vsi;
}

export function neighborSentences(story: NeighborStory, isByHand: boolean): string[] {
  const { ip, interface: iface, state, place, origin, previous, challenger, wanted } = story;
  const { command, unreachable, messages } = wordsOf(ip);
  if (state === "suspended" && place !== null) {
    const where = `it was known with MAC ${place.mac} at ${placeText(place)}, which is down`;
    const then = `make us look for it elsewhere, and end with ${unreachable} where it does not answer`;
    return [`${ip} on ${iface} is suspended since ${ago(story.stateSeconds)}: ${where}. Packets to it ${then}.`];
  }
  if (story.searchSeconds !== null || place === null) return soughtSentences(story);
  const known = `${ip} on ${iface} has MAC ${place.mac} at ${placeText(place)}, in VSI ${place.vsi}`;
  const said: string[] = [];
  if (origin === "static") {
    const source = isByHand ? `added by hand (vtepctl ${command} add)` : "as the configuration says";
    said.push(`${known}, ${source}; it never ages.`);
  } else {
    said.push(`${known}: learned ${ago(story.learnedSeconds)} from ${messages[origin]}.`);
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

function soughtSentences(story: NeighborStory): string[] {
  const { ip, interface: iface, state, place, tries, asked, searchSeconds, stateSeconds, wanted } = story;
  const { questions } = wordsOf(ip);
  const whom = asked.length === 0 ? "no port, for none is up" : asked.join(", ");
  const begun = ago(searchSeconds ?? 0);
  const failed = `${tries} ${questions} went to ${whom}, and it has counted as failed since ${ago(stateSeconds)}`;
  const said =
    state === "incomplete"
      ? [
          `${ip} on ${iface} is being looked for since ${begun}: ${questions.slice(0, -1)} ${tries} of 3 went to ${whom}.`,
        ]
      : [`${ip} on ${iface} did not answer: the search began ${begun}, ${failed}.`];
  if (place !== null) said.push(`It was known once, with MAC ${place.mac} at ${placeText(place)}.`);
  said.push(
    wanted
      ? "A route or a policy needs it, so it is asked for again and again, ever more slowly."
      : "The next packet to it makes us ask again.",
  );
  return said;
}

/** @param answered the place that requests are answered with. */
export function suppressedSentence(
  host: SuppressedHost,
  answered: Pick<SuppressedHost, "mac" | "port"> | null,
  nowMs: number,
): string {
  const { vsi, mac, port, heardMs, isUsed } = host;
  const ip = formatIp(host.ip);
  const { protocol } = wordsOf(ip);
  const name = protocol === ARP.protocol ? "ARP" : "ND";
  const what = `${name} suppression in VSI ${vsi.name} knows ${ip} with MAC ${formatMac(mac)} at ${port.kind} ${port.name}`;
  const isSame = answered?.mac === mac && answered.port === port;
  const place = answered === null || isSame ? "" : ` with MAC ${formatMac(answered.mac)} at ${portText(answered.port)}`;
  const end =
    answered === null
      ? "it has been silent since, so requests for it are flooded"
      : isSame && isUsed
        ? "it answers requests for it"
        : `requests for it are answered${place}, as EVPN has it`;
  return `${what}, by ${protocol} heard ${ago(Math.floor((nowMs - heardMs) / 1000))}: ${end}.`;
}

export function duplicateSentence({ ip, places, isProbe, seconds }: DuplicateView): string {
  const [a, b] = places.map(({ mac, via }) => `${mac} at ${via}`);
  return isProbe
    ? `${ip} is in use by ${a}; ${b} asked whether it is free, ${ago(seconds)}.`
    : `Two hosts have ${ip}: ${a} and ${b}; both answer, first noticed ${ago(seconds)}. Give one of them another address.`;
}

/** Of an address that no entry is about. */
export function unknownSentences(ip: Ip, scope: readonly InterfaceObject[]): string[] {
  const said: string[] = [];
  const text = formatIp(ip);
  const { protocol } = wordsOf(text);
  for (const iface of scope) {
    const subnet = subnetOf(iface, ip);
    if (subnet === null) continue;
    const vsis = iface.vsis.map((vsi) => vsi.name).join(", ");
    if (isOfLink(ip)) {
      said.push(`${text} is not known on ${iface.name}: addresses of the link are looked for as next hops alone.`);
      continue;
    }
    const prefix = `${formatIp(subnet.network)}/${subnet.length}`;
    if (!isHostAddress(iface, ip)) {
      said.push(
        `${text} is ${endText(ip, subnet.network)} of ${prefix} on ${iface.name}: no host has it, and no packet is routed to it.`,
      );
      continue;
    }
    const silence = `no ${protocol} came from it, and no packet has asked for it lately`;
    said.push(`${text} is not known on ${iface.name}: ${silence}.`);
    said.push(`It belongs there (${prefix}): the first packet to it makes us ask in VSI ${vsis}.`);
  }
  return said.length > 0 ? said : [`${text} is in no subnet of ours: it is reached by a route, or not at all.`];
}

/** What an address of subnet `network` is that no host has (RFC 4291 §2.6.1, RFC 2644). */
function endText(ip: Ip, network: Ip): string {
  if (typeof ip === "bigint") return "the anycast address of all routers";
  return ip === network ? "the address of the network" : "the broadcast address";
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
