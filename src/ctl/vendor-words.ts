/**
 * The words of H3C's manuals for the same tables: `display l2vpn vsi verbose`, `display interface vsi-interface 10`,
 * `display arp all`, `display ip routing-table vpn-instance red`, `display ipv6 routing-table`, `display bgp l2vpn evpn`, `display evpn route mac`. A keyword that only says what is said already is left out; a name that is written with a blank is one word.
 */

/** `display FAMILY WORD`: which kind of `show` it is. */
export const ELSEWHERE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  l2vpn: { vsi: "vsi", "mac-address": "mac", "service-instance": "ac" },
  vxlan: { tunnel: "tunnel" },
  ipv6: { neighbors: "nd", "routing-table": "route", interface: "interface" },
  ip: { "routing-table": "route", interface: "interface", "vpn-instance": "vrf" },
};

/** `display evpn route mac`, `display bgp l2vpn evpn`: how H3C tells routes apart, by what stands in a route's text. */
const EVPN_ROUTES: Readonly<Record<string, RegExp>> = {
  mac: /^\[2\](?!.*\]:\[(32|128)\]:)/,
  arp: /^\[2\].*\]:\[32\]:/,
  nd: /^\[2\].*\]:\[128\]:/,
  imet: /^\[3\]/,
  prefix: /^\[5\]/,
};

/** The whole table, or its short form: what a table is without a word. */
const NOTHING_MORE = new Set(["all", "brief"]);
/** `name vsi10`, `vsi vsi10`, `interface vsi-interface 10`: what the next word is. */
const INTRODUCES = new Set(["name", "vsi", "interface", "vsi-interface", "instance-name"]);
/** Tables that are those of one VRF, where the next word is its name. */
const VPN_INSTANCE = "vpn-instance";
const OF_VRF = new Set(["route", "arp", "nd"]);

/** `display arp suppression`: how a word is written in our tables. */
const IN_OUR_TABLES: Readonly<Record<string, string>> = { suppression: "suppressed" };

export interface Wanted {
  /** The kind of `show` that has it. */
  readonly name: string;
  /** Only rows with all of these. */
  readonly words: readonly string[];
  /** Each row with everything that is known of it. */
  readonly verbose: boolean;
  /** Only of this VRF. */
  readonly vrf?: string;
}

/** What `show NAME SAID…` asks for. An H3C switch has tunnels and VSI-interfaces under `interface`, and says which. */
export function understood(name: string, said: readonly string[]): Wanted {
  const last = said.at(-1);
  const verbose = last === "verbose";
  let rest = said.slice(0, verbose ? -1 : undefined).filter((word) => !NOTHING_MORE.has(word));
  const type = name === "interface" ? rest[0]?.toLowerCase() : undefined;
  if (type === "tunnel") return { ...understood("tunnel", rest.slice(1)), verbose };
  if (type === "vsi-interface" && rest.length === 1) rest = [];
  const at = OF_VRF.has(name) ? rest.findIndex((word) => word.toLowerCase() === VPN_INSTANCE) : -1;
  const vrf = at < 0 ? undefined : rest[at + 1];
  if (vrf !== undefined) rest.splice(at, 2);
  const words: string[] = [];
  for (const [i, word] of rest.entries()) {
    const before = rest[i - 1]?.toLowerCase();
    if (before === "vsi-interface" && /^\d+$/.test(word)) words.push(`vsi-interface${word}`);
    else if (!(i < rest.length - 1 && INTRODUCES.has(word.toLowerCase())))
      words.push(IN_OUR_TABLES[word.toLowerCase()] ?? word);
  }
  return { name, words, verbose, ...(vrf !== undefined && { vrf }) };
}

/** Which routes `evpn route SAID…` asks for, and what else must stand in a row. */
export function evpnRoutes(said: readonly string[]): {
  readonly isMeant: (route: string) => boolean;
  readonly words: readonly string[];
} {
  const kind = EVPN_ROUTES[said[0]?.toLowerCase() ?? ""];
  const words = kind === undefined ? said : said.slice(1);
  return { isMeant: (route) => kind?.test(route) ?? true, words: words.filter((word) => !NOTHING_MORE.has(word)) };
}
