/** Sites gw1, gw2, … with tunnels between all of them; what is in each is the test's. */
import { ANNOUNCE_AGAIN_MS } from "../../src/control/resolution/announcer.ts";
import { type Gateway, World } from "./world.ts";

export const vtep = (n: number): string => `192.0.2.${n}`;

/** The VTEP that every site has a tunnel to, and where no gateway is. */
export const DEAD = 99;

/** @param sections YAML of site n, from `vsis:` on. */
export function sites(count: number, sections: (n: number) => string): World {
  const world = new World(1);
  const all = Array.from({ length: count }, (_, i) => i + 1);
  for (const n of [...all, DEAD]) world.net.inbox(vtep(n));
  for (const n of all) world.gateway(siteText(n, count, sections(n)));
  world.advance(ANNOUNCE_AGAIN_MS);
  world.clear();
  return world;
}

/** The whole configuration of site `n`. */
export function siteText(n: number, count: number, sections: string): string {
  const peers = Array.from({ length: count }, (_, i) => i + 1).filter((each) => each !== n);
  const tunnels = peers.map((each) => `{name: gw${each}, remote: ${vtep(each)}}`);
  return `node: gw${n}
underlay: {address: ${vtep(n)}, mtu: 1500}
tunnels: [${[...tunnels, `{name: dead, remote: ${vtep(DEAD)}}`].join(", ")}]
${sections}
control: {socket: /run/gw${n}.sock}
`;
}

export const gw = (world: World, n: number): Gateway => world.gateways.get(`gw${n}`)!;

/** Datagrams that left `from` for `to` since the last `clear`. */
export const datagrams = (world: World, from: number, to: number): Uint8Array[] =>
  world.seen.filter((s) => s.where === "underlay" && s.from === vtep(from) && s.to === vtep(to)).map((s) => s.bytes);
