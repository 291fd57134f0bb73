/** What a hop's frame says, whichever family it is of: ARP and ND, TTL and hop limit have other names for the same. */
import type { Hop, Walk } from "../said-walk.ts";

/** The first of the fields that it has; "": none. */
function fieldOf({ fields }: Hop, ...titles: readonly string[]): string {
  for (const title of titles) {
    const found = fields.find(({ name }) => name === title);
    if (found !== undefined) return found.text;
  }
  return "";
}

export const messageOf = (hop: Hop): string => fieldOf(hop, "message");
export const ttlOf = (hop: Hop): string => fieldOf(hop, "TTL", "hop limit");
/** Whom a question asks for. */
export const targetOf = (hop: Hop): string => fieldOf(hop, "target address", "target IP");
/** Of whom an answer tells. */
export const toldOf = (hop: Hop): string => fieldOf(hop, "target address", "sender IP");
/** At which MAC the one that speaks is. */
export const senderMacOf = (hop: Hop): string => fieldOf(hop, "link-layer address", "sender MAC");

/** Which protocol asks and answers here. */
export const resolutionOf = ({ fields }: Hop): "ARP" | "ND" =>
  fields.some(({ layer }) => layer === "ND") ? "ND" : "ARP";

/** What the tables are called in which the walk's addresses are found. */
export const tableWord = ({ pair, hops }: Walk): string =>
  (pair?.[0].includes(":") ?? hops.some((hop) => resolutionOf(hop) === "ND")) ? "Neighbour table" : "ARP table";
