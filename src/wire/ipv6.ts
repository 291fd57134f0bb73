/**
 * IPv6 addresses (RFC 4291) as 128-bit integers: equal ones are `===`, and a Map finds them by value. Never at frame time,
 * where an address is four int32.
 */

export type Ipv6 = bigint;

/** "2001:db8::1" (RFC 5952 §4: no leading zeros, the longest run of two or more zero groups, the first of equals, is "::"). */
export function formatIpv6(address: Ipv6): string {
  const groups = Array.from({ length: 8 }, (_, i) => Number((address >> BigInt(112 - 16 * i)) & 0xffffn));
  let run = { at: 0, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > run.length) run = { at, length };
  }
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return run.length < 2 ? text(0, 8) : `${text(0, run.at)}::${text(run.at + run.length, 8)}`;
}
