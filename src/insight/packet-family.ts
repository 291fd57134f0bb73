/** What of layer 3 is not the same for both families, where a packet's way is told to people. Not in the path of frames. */
import type { Ip } from "../control/ip.ts";
import type { WorkerContext } from "../dataplane/context.ts";
import * as FIB from "../tables/fib.ts";
import { i32 } from "../wire/bytes.ts";
import { TYPE_IPV4, TYPE_IPV6 } from "../wire/ethernet.ts";
import { headerBytes, IP_DST, IP_PROTOCOL, IP_SRC, IP_TTL, IPV4_BYTES, maskOf } from "../wire/ipv4.ts";
import { IP6_DST, IP6_HOPS, IP6_NEXT, IP6_SRC, IPV6_BYTES, readIpv6, wordsOf } from "../wire/ipv6.ts";

/** Columns of policy rules. */
export interface RuleColumns {
  readonly rules: Int32Array;
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly rowWords: number;
  /** Where RULE_ACTION and RULE_ID are, less where IPv4 has them. */
  readonly rest: number;
}

export interface PacketFamily {
  /** The length of a host's own route. */
  readonly bits: number;
  /** Least bytes of a packet. */
  readonly leastBytes: number;
  /** What it calls the hops that are left, and where they stand. */
  readonly hops: { readonly name: string; readonly at: number };
  readonly protocolAt: number;
  headerBytes(bytes: Uint8Array, l3: number): number;
  sourceOf(bytes: Uint8Array, l3: number): Ip;
  destinationOf(bytes: Uint8Array, l3: number): Ip;
  /** The route of exactly `length` bits around `ip`; 0: there is none. */
  routeAt(worker: WorkerContext, vrf: number, ip: Ip, length: number): number;
  rulesOf(worker: WorkerContext): RuleColumns;
}

const IPV4: PacketFamily = {
  bits: FIB.HOST_LENGTH,
  leastBytes: IPV4_BYTES,
  hops: { name: "ttl", at: IP_TTL },
  protocolAt: IP_PROTOCOL,
  headerBytes,
  sourceOf: (bytes, l3) => i32(bytes, l3 + IP_SRC),
  destinationOf: (bytes, l3) => i32(bytes, l3 + IP_DST),
  routeAt: ({ fib }, vrf, ip, length) => fib.routes.get((ip as number) & maskOf(length), FIB.routeKey(vrf, length)),
  rulesOf: ({ fib }) => ({
    ...{ rules: fib.rules, first: fib.policyFirst, count: fib.policyCount },
    ...{ rowWords: FIB.RULE_WORDS, rest: 0 },
  }),
};

const IPV6: PacketFamily = {
  bits: FIB.HOST_LENGTH6,
  leastBytes: IPV6_BYTES,
  hops: { name: "hop limit", at: IP6_HOPS },
  protocolAt: IP6_NEXT,
  headerBytes: () => IPV6_BYTES,
  sourceOf: (bytes, l3) => readIpv6(bytes, l3 + IP6_SRC),
  destinationOf: (bytes, l3) => readIpv6(bytes, l3 + IP6_DST),
  routeAt: ({ fib }, vrf, ip, length) => {
    const hostBits = BigInt(FIB.HOST_LENGTH6 - length);
    return fib.routes6.get(...wordsOf(((ip as bigint) >> hostBits) << hostBits), FIB.routeKey6(vrf, length));
  },
  rulesOf: ({ fib }) => ({
    ...{ rules: fib.rules6, first: fib.policyFirst6, count: fib.policyCount6 },
    ...{ rowWords: FIB.RULE6_WORDS, rest: FIB.RULE6_REST },
  }),
};

/** Of an EtherType; null: it is not routed. */
export function familyOf(type: number): PacketFamily | null {
  return type === TYPE_IPV4 ? IPV4 : type === TYPE_IPV6 ? IPV6 : null;
}
