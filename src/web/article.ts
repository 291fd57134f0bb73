/**
 * The article's sentences: what happens at each step of its three scenarios, with the names of who takes part.
 *
 * 1 the same VXLAN at another site, 2 another VXLAN at another site, 3 the outside by way of the Border.
 */

export type ScenarioNumber = 1 | 2 | 3;
/** IPv4 or IPv6. */
export type Family = 4 | 6;

/** Who takes part, as they are called. */
export interface Cast {
  /** Who pings, and whom. */
  readonly from: string;
  readonly to: string;
  /** The gateways of the two. */
  readonly near: string;
  readonly far: string;
  readonly border: string;
  /** The VSI-interfaces of the two, and their addresses. */
  readonly on: string;
  readonly onFar: string;
  readonly gateway: string;
  readonly farGateway: string;
  /** What is looked for where the packet leaves for the outside. */
  readonly nextHop: string;
  readonly vni: number;
  readonly farVni: number;
  /** 6: they speak neighbour discovery, and not ARP. */
  readonly family?: Family;
}

/** How neighbours are asked for: what is done with a question, its name, the same in short, and that of an answer. */
const ASKING = {
  4: ["broadcasts", "ARP request", "request", "reply"],
  6: ["multicasts", "neighbour solicitation", "solicitation", "advertisement"],
} as const;

const article = (noun: string) => `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;

export function sentencesOf(scenario: ScenarioNumber, cast: Cast): Readonly<Record<number, string>> {
  const { from, to, near, far, border, on, onFar, gateway, farGateway, nextHop, vni, farVni } = cast;
  const [spreads, question, request, reply] = ASKING[cast.family ?? 4];
  if (scenario === 1)
    return {
      1: `${from} ${spreads} ${article(question)} for ${to}`,
      2: `${near} learns ${from} and answers in ${to}'s place, with the MAC of ${on}`,
      3: `${from} learns: ${to} is at ${near}'s MAC`,
      4: `${near} puts its own MAC in as the source and sends the ${request} to every remote VTEP of the VXLAN`,
      5: `${far} learns ${from} (at ${near}'s MAC, behind the tunnel), puts its own MAC in and ${spreads} in its site`,
      6: `${to} learns ${from} (at ${far}'s MAC) and answers ${far}`,
      7: `${far} learns ${to}, puts its own MAC in and sends the ${reply} to ${near}`,
      8: `${near} learns ${to} (at ${far}'s MAC, behind the tunnel)`,
      9: `${from}'s packets go to ${near}, through the tunnel to ${far}, and to ${to}`,
    };
  const first = {
    1: `${from} ${spreads} ${article(question)} for its gateway ${gateway}`,
    2: `${near} learns ${from} and answers with the MAC of ${on}`,
  };
  if (scenario === 2)
    return {
      ...first,
      3: `${from} sends the packet for ${to} to ${near}`,
      4: `${near} looks for ${to} in its site and in all others, as ${farGateway} with the MAC of ${onFar}`,
      5: `${far} learns ${near}, puts its own MAC in and ${spreads} the ${request} in its site`,
      6: `${to} learns ${far} as ${farGateway} and answers ${far}`,
      7: `${far} learns ${to}, puts its own MAC in and sends the ${reply} to ${near}`,
      8: `${near} learns ${to} (at ${far}'s MAC, behind the tunnel)`,
      9: `${from}'s packets go to ${near}, through the tunnel (VNI ${farVni}) to ${far}, and to ${to}`,
    };
  return {
    ...first,
    3: `${from} sends the packet for ${to} to ${near}`,
    4: `${near}'s policy says next hop ${nextHop}; it looks for it in VXLAN ${vni}, in its site and in all others`,
    5: `${border} learns ${near} and answers through the tunnel`,
    6: `${near} learns ${nextHop}`,
    7: `${near} sends the packet through the tunnel to ${border}`,
    8: `${border} routes it to the external network`,
  };
}
