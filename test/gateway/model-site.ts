/**
 * The network of the model-based test: three sites and a Border, four VXLANs in two VRFs.
 *
 * VXLAN 10 and 20 are in VRF main, 30 and 40 in VRF blue, and blue has the very subnets, hosts and MACs of main: whatever
 * is keyed by less than it should be shows at once.
 */
import type { Host } from "./model-reference.ts";

export const SITES = ["g1", "g2", "g3"] as const;
export const BORDER = "b";
export const VNIS = [10, 20, 30, 40] as const;
export const VTEPS: Readonly<Record<string, string>> = {
  g1: "192.0.2.1",
  g2: "192.0.2.2",
  g3: "192.0.2.3",
  b: "192.0.2.9",
};
/** Configured on g1 and claimed by no honest host. */
export const STATIC_IP = "10.1.1.200";
export const AGE_SECONDS = 20;
export const OVERLAY_MTU = 1450;

export type Setting = {
  readonly mac: "auto" | "shared";
  readonly proxyArp: "immediate" | "verified";
  readonly relay: "auto" | "always";
};

/** ACs of `site`, named site-vni-letter, without those in `missing`. */
export function acsOf(site: string): string[] {
  return VNIS.flatMap((vni) => ["a", "b"].map((letter) => `${site}-${vni}-${letter}`));
}

const netOf = (vni: number): string => (vni % 20 === 10 ? "10.1.1" : "20.1.1");

export function siteYaml(site: string, o: Setting, missing: (ac: string) => boolean, extra: readonly string[]): string {
  const peers = [...SITES, BORDER].filter((each) => each !== site);
  const arp = `arp: {ageSeconds: ${AGE_SECONDS}}`;
  const withStatic = `arp: {ageSeconds: ${AGE_SECONDS}, static: [{ip: ${STATIC_IP}, mac: "02:00:00:00:99:99", ac: g1-10-a}]}`;
  return `node: ${site}
underlay: {address: ${VTEPS[site]}, mtu: 1500}
tunnels: [${peers.map((peer) => `{name: ${peer}, remote: ${VTEPS[peer]}}`).join(", ")}]
vsis:
${VNIS.map((vni) => `  - {name: vsi${vni}, vni: ${vni}, proxyArp: ${o.proxyArp}, relay: ${o.relay}, mac: {ageSeconds: 60}}`).join("\n")}
interfaces:
${VNIS.map(
  (vni) =>
    `  - {name: if${vni}, vsi: vsi${vni}, address: ${netOf(vni)}.1/24, mac: ${o.mac}, vrf: ${vni < 30 ? "main" : "blue"}, ` +
    `${site === "g1" && vni === 10 && !missing("g1-10-a") ? withStatic : arp}}`,
).join("\n")}
acs:
${acsOf(site)
  .filter((ac) => !missing(ac))
  .map((ac) => `  - {name: ${ac}, vsi: vsi${ac.split("-")[1]}, tap: {device: ${ac}}}`)
  .join("\n")}
routes: [${["{prefix: 0.0.0.0/0, nextHop: 10.1.1.2}", ...extra].join(", ")}]
limits: {macs: 2048, neighbors: 512, routes: 64}
control: {socket: /run/${site}.sock}
`;
}

export function borderYaml(): string {
  return `node: ${BORDER}
underlay: {address: ${VTEPS[BORDER]}, mtu: 1500}
tunnels: [${SITES.map((peer) => `{name: ${peer}, remote: ${VTEPS[peer]}}`).join(", ")}]
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}, {name: uplink}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.2/24, distributed: false, arp: {ageSeconds: ${AGE_SECONDS}}}
  - {name: if20, vsi: vsi20, address: 20.1.1.2/24, distributed: false, arp: {ageSeconds: ${AGE_SECONDS}}}
  - {name: outside, vsi: uplink, address: 50.1.1.254/24, distributed: false, arp: {ageSeconds: ${AGE_SECONDS}}}
acs: [{name: b-0-ext, vsi: uplink, tap: {device: ext}}]
limits: {macs: 2048, neighbors: 512, routes: 64}
control: {socket: /run/b.sock}
`;
}

export const EXT: Host = { name: "ext", vni: 0, vrf: "main", ip: "50.1.1.1", mac: "02:00:00:00:0e:01" };

/** Three hosts in each VXLAN; those of 10 and 30, and of 20 and 40, have the same addresses. */
export const HOSTS: readonly Host[] = [
  ...VNIS.flatMap((vni) =>
    [11, 12, 13].map((n) => ({
      name: `h${vni}-${n}`,
      vni,
      vrf: vni < 30 ? "main" : "blue",
      ip: `${netOf(vni)}.${n}`,
      mac: `02:00:00:00:${vni % 20 === 10 ? "01" : "02"}:${n}`,
    })),
  ),
  EXT,
];

export const gatewayOf = (host: Host): string => (host.vni === 0 ? "50.1.1.254" : `${netOf(host.vni)}.1`);
