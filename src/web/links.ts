/**
 * Tunnels joined to links: a tunnel of A leads to B when its remote address is B's VTEP address. Pure.
 *
 * Names of tunnels are local, addresses are not. What one end has and the other has not is what most faults of a fabric are
 * made of, so a link tells both.
 */
import type { Tunnel, Vsi } from "../api/schema.ts";
import type { Link } from "./said.ts";

export interface Ends {
  readonly node: string;
  readonly address: string | null;
  readonly vsis: readonly Vsi[];
  readonly tunnels: readonly Tunnel[];
}

/** One link for each pair of addresses between which there is a tunnel, in the order of the gateways. */
export function linksOf(gateways: readonly Ends[]): Link[] {
  const links = new Map<string, Link>();
  for (const from of gateways) {
    if (from.address === null) continue;
    for (const tunnel of from.tunnels) {
      const to = gateways.find(({ address }) => address === tunnel.remote) ?? null;
      const key = [from.address, tunnel.remote].sort().join(" ");
      if (links.has(key)) continue;
      const back = to?.tunnels.find(({ remote }) => remote === from.address) ?? null;
      const there = vnisOn(from, tunnel);
      // What a gateway that was not asked carries is not known.
      const here = to === null ? there : back === null ? new Set<number>() : vnisOn(to, back);
      links.set(key, {
        a: { node: from.node, address: from.address, tunnel: tunnel.name },
        b: { node: to?.node ?? null, address: tunnel.remote, tunnel: back?.name ?? null },
        vnis: [...there].filter((vni) => here.has(vni)).sort(byNumber),
        oneSided: [...there, ...here].filter((vni) => there.has(vni) !== here.has(vni)).sort(byNumber),
      });
    }
  }
  return [...links.values()];
}

const byNumber = (a: number, b: number): number => a - b;

function vnisOn({ vsis }: Ends, tunnel: Tunnel): Set<number> {
  return new Set(
    vsis.flatMap(({ name, vni, tunnels }) =>
      vni !== null && (tunnels.includes(tunnel.name) || tunnel.vsis.includes(name)) ? [vni] : [],
    ),
  );
}
