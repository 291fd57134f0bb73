/**
 * Layer 3 as the workers see it: routes, adjacencies with ready rewrite, next-hop groups, policy rules.
 *
 * Writer: control (control/routes/routes.ts, control/neighbor/table.ts).
 *
 * **Routes** are one exact-match table keyed (prefix, VRF and length); a per-VRF word says which lengths exist, and a
 * look-up tries them from the longest. Host routes (resolved neighbours) are simply length 32 and found by the first
 * probe. A static route and a resolved neighbour can want the same /32; control/routes/routes.ts decides (the route wins).
 *
 * **IPv6** has a table and lengths of its own (`routes6`, `lengths6`), and rules of its own (`rules6`); an adjacency is of no
 * family, and the values of routes mean the same.
 *
 * **Adjacencies** are stable numbers for a next hop (VSI-interface, IP): routes and policies refer to them before,
 * while and after it is resolved. Each holds the number of a *rewrite row*: destination MAC, source MAC, VSI, bridge
 * port. A rewrite row never changes while published; a move is one store of the row number. 0: not resolved. Whose next hop a
 * number is, control knows (control/neighbor/adjacency.ts); workers name the number.
 *
 * **Policies** are rows in two banks, republished as a whole.
 */
import { MAX_RULES } from "./counters.ts";
import { ExactMatch } from "./exact-match.ts";
import { ExactMatch6 } from "./exact-match6.ts";
import type { Carver } from "./layout.ts";
import { MAX_INTERFACES, MAX_VRFS } from "./vsi.ts";

/** What a route says; the low 24 bits of its value are the argument. */
export const ROUTE_KIND_SHIFT = 24;
export const ROUTE_ARG_MASK = 0xffffff;
/** One of our own addresses: to control. Argument: the VSI-interface. */
export const ROUTE_LOCAL = 1;
/** A connected prefix; the host is not resolved. Argument: the VSI-interface. */
export const ROUTE_GLEAN = 2;
/** Argument: an adjacency. */
export const ROUTE_ADJACENCY = 3;
/** Argument: a next-hop group. */
export const ROUTE_GROUP = 4;
export const ROUTE_UNREACHABLE = 5;
export const ROUTE_PROHIBIT = 6;
export const ROUTE_DISCARD = 7;
/** Directed broadcast or network address of a connected prefix: not routed (RFC 2644). */
export const ROUTE_BROADCAST = 8;
/** A VTEP's own address: VXLAN to it is dropped, anything else goes on with the next shorter prefix. */
export const ROUTE_UNDERLAY = 9;
/** A neighbour's own address, and no prefix behind it. Argument: its adjacency. */
export const ROUTE_HOST = 10;
/** The look-up goes on in another VRF, once. Argument: that VRF. */
export const ROUTE_VRF = 11;

export const MAX_GROUPS = 1024;
/** Places of a group, each with an adjacency; a power of two. 0 in the first one: the group is empty. */
export const GROUP_WORDS = 64;
/** Most next hops of one route. */
export const MAX_NEXT_HOPS = 8;

/** The length of a host's own route, and the longest of a prefix. */
export const HOST_LENGTH = 32;
export const LONGEST_PREFIX = 31;
/** The shortest prefix that a look-up takes: any, or none that is a default route. */
export const ANY_PREFIX = 0;
export const NO_DEFAULT = 1;

/** The table key's second word. */
export function routeKey(vrf: number, length: number): number {
  return ((vrf << 6) | length) + 1;
}

/** The VRF in it. */
export function vrfOfRoute(key: number): number {
  return (key - 1) >> 6;
}

/** The same of IPv6. */
export const HOST_LENGTH6 = 128;
/** Words of `lengths6` for a VRF: bits of the lengths 0..127. */
export const LENGTHS6_WORDS = 4;

/** The key of `routes6`, never 0. */
export function routeKey6(vrf: number, length: number): number {
  return ((vrf << 8) | length) + 1;
}

/** The VRF in it. */
export function vrfOfRoute6(key: number): number {
  return (key - 1) >> 8;
}

/** Rewrite rows: 12 bytes of MACs, padded. */
export const REWRITE_BYTES = 16;

/** Policy rule columns, by row. */
export const RULE_PERMIT = 1;
export const RULE_DROP = 2;
export const RULE_NEXT_HOP = 3;
export const RULE_DEFAULT_NEXT_HOP = 4;
/** Its next hops are dead: as if it did not match. */
export const RULE_PASSED = 5;
/** Several next hops: a group above the low byte. */
export const RULE_NEXT_HOPS = 6;
export const RULE_DEFAULT_NEXT_HOPS = 7;
/** Its next hops are dead, and it drops. */
export const RULE_DEAD = 8;
export const RULE_WORDS = 12;
export const RULE_SRC = 0;
export const RULE_SRC_MASK = 1;
export const RULE_DST = 2;
export const RULE_DST_MASK = 3;
/** -1: any. */
export const RULE_PROTOCOL = 4;
/** Port ranges, inclusive; 0..65535 with RULE_HAS_PORTS 0 means "not looked at". */
export const RULE_SRC_FIRST = 5;
export const RULE_SRC_LAST = 6;
export const RULE_DST_FIRST = 7;
export const RULE_DST_LAST = 8;
/** 1: a port is matched, so a non-first fragment, which has none, never matches this rule. */
export const RULE_HAS_PORTS = 9;
/** RULE_PERMIT… in the low byte, the adjacency or the group above it. Stored anew in a published row when next hops die or revive. */
export const RULE_ACTION = 10;
/** The rule's number for its hit counter: rows expanded from one rule share it. */
export const RULE_ID = 11;

/** The same of IPv6: addresses and masks are four words each. */
export const RULE6_SRC = 0;
export const RULE6_SRC_MASK = 4;
export const RULE6_DST = 8;
export const RULE6_DST_MASK = 12;
/** RULE_PROTOCOL… of a row of `rules` and on, less this, are those of a row of `rules6`. */
export const RULE6_REST = 16 - RULE_PROTOCOL;
export const RULE6_WORDS = RULE_WORDS + RULE6_REST;

export class Fib {
  readonly routes: ExactMatch;
  /** By VRF: bit n says that some prefix of length n (0..31) exists. */
  readonly lengths: Int32Array;
  readonly routes6: ExactMatch6;
  /** By VRF: LENGTHS6_WORDS words; bit n of word w says that some prefix of length 32 w + n (0..127) exists. */
  readonly lengths6: Int32Array;
  /** By adjacency: its rewrite row, 0 while unresolved. */
  readonly rewrite: Int32Array;
  /** By adjacency: its VSI-interface. */
  readonly adjacencyInterface: Int32Array;
  /** By adjacency: set by workers when used. */
  readonly adjacencyHit: Uint8Array;
  /** By rewrite row: destination MAC, source MAC. */
  readonly rewriteMacs: Uint8Array;
  /** The same bytes as words of this machine, four per row: a rewrite is three of them. */
  readonly rewriteWords: Int32Array;
  /** By rewrite row: bridge port and VSI the frame leaves by. */
  readonly rewritePort: Int32Array;
  readonly rewriteVsi: Int32Array;
  /** By group: the adjacency of each place. */
  readonly groups: Int32Array;
  /** [0] the published bank of the policy rows. */
  readonly policyHead: Int32Array;
  /** By bank and VSI-interface: first row and count. */
  readonly policyFirst: Int32Array;
  readonly policyCount: Int32Array;
  /** Both banks of MAX_RULES rows. */
  readonly rules: Int32Array;
  /** The same of IPv6, published with the same bank. */
  readonly policyFirst6: Int32Array;
  readonly policyCount6: Int32Array;
  readonly rules6: Int32Array;

  constructor(carver: Carver, routeLimit: number, routeLimit6: number, adjacencyLimit: number) {
    this.routes = new ExactMatch(carver, routeLimit);
    this.lengths = carver.int32(MAX_VRFS);
    this.rewrite = carver.int32(adjacencyLimit);
    this.adjacencyInterface = carver.int32(adjacencyLimit);
    this.adjacencyHit = carver.bytes(adjacencyLimit);
    this.rewriteMacs = carver.bytes(adjacencyLimit * 2 * REWRITE_BYTES);
    this.rewriteWords = new Int32Array(
      this.rewriteMacs.buffer,
      this.rewriteMacs.byteOffset,
      this.rewriteMacs.byteLength >> 2,
    );
    this.rewritePort = carver.int32(adjacencyLimit * 2);
    this.rewriteVsi = carver.int32(adjacencyLimit * 2);
    this.groups = carver.int32(MAX_GROUPS * GROUP_WORDS);
    this.policyHead = carver.int32(1);
    this.policyFirst = carver.int32(MAX_INTERFACES * 2);
    this.policyCount = carver.int32(MAX_INTERFACES * 2);
    this.rules = carver.int32(MAX_RULES * 2 * RULE_WORDS);
    this.routes6 = new ExactMatch6(carver, routeLimit6);
    this.lengths6 = carver.int32(MAX_VRFS * LENGTHS6_WORDS);
    this.policyFirst6 = carver.int32(MAX_INTERFACES * 2);
    this.policyCount6 = carver.int32(MAX_INTERFACES * 2);
    this.rules6 = carver.int32(MAX_RULES * 2 * RULE6_WORDS);
  }
}
