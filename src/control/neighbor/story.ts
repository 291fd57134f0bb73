/** Why a neighbour is where we say it is, or why it is not known: who told, who was asked, since when. For `vtepctl why`. */
import { formatMac } from "../../wire/ethernet.ts";
import { formatIp } from "../ip.ts";
import type { Neighbor, NeighborOrigin, Place } from "./entry.ts";
import type { NudState } from "./nud.ts";

export interface PlaceStory {
  readonly mac: string;
  /** "ac vm1". */
  readonly via: string;
  readonly vsi: string;
}

export interface NeighborStory {
  readonly interface: string;
  readonly ip: string;
  readonly state: NudState;
  /** Its last known place; null: never known. */
  readonly place: PlaceStory | null;
  /** The kind of message that put it there. */
  readonly origin: NeighborOrigin;
  /** Believed to be there since so long. */
  readonly learnedSeconds: number;
  readonly heardSeconds: number;
  /** In its state since so long. */
  readonly stateSeconds: number;
  /** Solicitations sent in the present search or probe. */
  readonly tries: number;
  /** Since the search began; null while it is known. */
  readonly searchSeconds: number | null;
  /** Bridge ports that are asked. */
  readonly asked: readonly string[];
  /** Does a route or a policy need it? */
  readonly wanted: boolean;
  readonly previous: (PlaceStory & { readonly secondsAgo: number }) | null;
  /** Where somebody else says it is, while the place we know is being asked. */
  readonly challenger: PlaceStory | null;
}

export function storyOfNeighbor(entry: Neighbor, wanted: boolean, nowMs: number): NeighborStory {
  const { iface, place, previous, state, challenger } = entry;
  const ago = (ms: number) => Math.floor((nowMs - ms) / 1000);
  const isSought = state === "incomplete" || state === "failed";
  const ports = iface.vsis.flatMap((vsi) => [...vsi.acs, ...vsi.tunnels]).filter((port) => port.up);
  return {
    interface: iface.name,
    ip: formatIp(entry.ip),
    state,
    place: place === null ? null : placeStory(place),
    origin: entry.origin,
    learnedSeconds: ago(entry.learnedMs),
    heardSeconds: ago(entry.heardMs),
    stateSeconds: ago(entry.sinceMs),
    tries: entry.tries,
    searchSeconds: isSought ? ago(entry.searchMs) : null,
    asked: isSought ? ports.map(({ kind, name }) => `${kind} ${name}`) : [],
    wanted,
    previous: previous === null ? null : { ...placeStory(previous.place), secondsAgo: ago(previous.atMs) },
    challenger: challenger === null ? null : placeStory(challenger),
  };
}

function placeStory({ mac, port, vsi }: Place): PlaceStory {
  return { mac: formatMac(mac), via: `${port.kind} ${port.name}`, vsi: vsi.name };
}
