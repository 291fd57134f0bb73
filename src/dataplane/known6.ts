/**
 * What a worker has found out about IPv6 addresses, so that it does not look for the same one again.
 *
 * An address costs five products and often a cache miss, for each length of prefix that there is. Sources are remembered for a
 * batch, the last one alone: a port's packets come in runs. Destinations are many and each has a place of its own, by its lowest words, until
 * another one takes it or control writes any IPv6 route (`ExactMatch6.version`). So what a place says is never older than the batch: what
 * a route names is used anew only when every worker has left the batch in which it was taken away.
 *
 * Nothing is decided here: policies, hop limit and adjacency are looked at for each packet.
 */

/** The last source of this batch that may be routed, and the port it came by. */
export class KnownSource6 {
  /** 0: none. */
  port = 0;
  a = 0;
  b = 0;
  c = 0;
  d = 0;
}

const PLACES = 256;
const PLACE_SHIFT = 3;
/** Words of a place: four of the address, the VRF plus one (0: empty), the route of the address itself, the longest match of the shorter prefixes. */
const VRF = 4;
export const KNOWN_OWN = 5;
export const KNOWN_MATCH = 6;
/** The longest match, but for a default route. */
export const KNOWN_SPECIFIC = 7;
/** A match that no packet has asked for yet: no route has this value, and 0 is none. */
export const NOT_ASKED = -1;

export class KnownDestinations6 {
  readonly words = new Int32Array(PLACES << PLACE_SHIFT);
  private version = -1;

  /** A new batch, in which the table is of `version`. */
  begin(version: number): void {
    if (version === this.version) return;
    this.version = version;
    this.words.fill(0);
  }

  /** Where what is known of the address in `vrf` begins, or ~ of the place that it would take. */
  find(a: number, b: number, c: number, d: number, vrf: number): number {
    const { words } = this;
    const h = Math.imul((d ^ c ^ b) + vrf, 0x9e3779b1);
    const at = (h >>> 24) << PLACE_SHIFT;
    const isIt = words[at + 3] === d && words[at + 2] === c && words[at + 1] === b && words[at] === a;
    return isIt && words[at + VRF] === vrf + 1 ? at : ~at;
  }

  /** The route of the address itself is `own`; its place begins at `at`. */
  take(at: number, a: number, b: number, c: number, d: number, vrf: number, own: number): void {
    const { words } = this;
    words[at] = a;
    words[at + 1] = b;
    words[at + 2] = c;
    words[at + 3] = d;
    words[at + VRF] = vrf + 1;
    words[at + KNOWN_OWN] = own;
    words[at + KNOWN_MATCH] = NOT_ASKED;
    words[at + KNOWN_SPECIFIC] = NOT_ASKED;
  }
}
