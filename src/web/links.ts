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
  const byAddress = new Map<string, Ends>();
  for (const each of gateways)
    if (each.address !== null && !byAddress.has(each.address)) byAddress.set(each.address, each);
  const known = new Map(gateways.map((each) => [each, { backs: byRemote(each), vnis: vnisByTunnel(each) }]));
  for (const from of gateways) {
    if (from.address === null) continue;
    for (const tunnel of from.tunnels) {
      const to = byAddress.get(tunnel.remote) ?? null;
      const key = [from.address, tunnel.remote].sort().join(" ");
      if (links.has(key)) continue;
      const back = (to === null ? undefined : known.get(to)!.backs.get(from.address)) ?? null;
      const there = known.get(from)!.vnis.get(tunnel.name) ?? NONE;
      // What a gateway that was not asked carries is not known.
      const here = to === null ? there : back === null ? NONE : (known.get(to)!.vnis.get(back.name) ?? NONE);
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

const NONE: ReadonlySet<number> = new Set();
const byNumber = (a: number, b: number): number => a - b;

function byRemote({ tunnels }: Ends): Map<string, Tunnel> {
  const all = new Map<string, Tunnel>();
  for (const tunnel of tunnels) if (!all.has(tunnel.remote)) all.set(tunnel.remote, tunnel);
  return all;
}

/** VNIs on each tunnel, as the VSIs and as the tunnels say. */
function vnisByTunnel({ vsis, tunnels }: Ends): Map<string, Set<number>> {
  const vniOf = new Map(vsis.map(({ name, vni }) => [name, vni]));
  const all = new Map<string, Set<number>>();
  const add = (tunnel: string, vni: number | null | undefined) => {
    if (vni === null || vni === undefined) return;
    const vnis = all.get(tunnel) ?? new Set();
    all.set(tunnel, vnis.add(vni));
  };
  for (const { vni, tunnels: on } of vsis) for (const tunnel of on) add(tunnel, vni);
  for (const { name, vsis: on } of tunnels) for (const vsi of on) add(name, vniOf.get(vsi));
  return all;
}
