/** The hundred thousand routes of the EVPN rounds: half of them MACs, half MACs with an address, of a hundred VTEPs. */
import type { MacRoute } from "../../src/evpn/route.ts";

export const AS = 65000;
export const REFLECTOR = "192.0.2.251";
export const MANY = 100_000;
const VTEPS = 100;

/** Type 2 number `n`: hosts have two each. */
export function routeOf(n: number): MacRoute {
  const host = n >> 1;
  const vtep = `198.51.100.${1 + (host % VTEPS)}`;
  const address = `10.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`;
  return {
    ...{ type: 2, rd: `${vtep}:10`, tag: 0, nextHop: vtep, targets: [`${AS}:10`], encap: 8, labels: [10] },
    ...{ mac: 0x020000100000 + host, ip: (n & 1) === 1 ? address : null, segment: null, sequence: null },
    ...{ isSticky: false, isGateway: false, routerMac: null },
  };
}
