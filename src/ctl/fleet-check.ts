/**
 * What no gateway can see by itself: whether the gateways of a fleet agree.
 *
 * Pure: from what each says of itself to checks like those of one gateway's doctor. VNIs and their names, subnets and gateway
 * addresses, gateway MACs, MTUs, tunnel lists, and that no two claim one name, VTEP address or BGP router id.
 */
import { BlockList, isIPv6 } from "node:net";
import type { Interface, Status, Tunnel, Vsi } from "../api/schema.ts";
import type { Check } from "../api/schema-doctor.ts";

export interface Site {
  readonly node: string;
  readonly status: Status;
  readonly vsis: readonly Vsi[];
  readonly interfaces: readonly Interface[];
  readonly tunnels: readonly Tunnel[];
  /** It takes part in EVPN. */
  readonly hasEvpn: boolean;
  /** BGP identifier; null: it has none, or it is not known here. */
  readonly routerId: string | null;
}

/** A gateway's part of a VXLAN. */
interface Place {
  readonly site: Site;
  readonly vsi: Vsi;
  readonly gateway: Interface | null;
}

type Finding = Omit<Check, "name">;

export function fleetChecks(sites: readonly Site[]): Check[] {
  const vxlans = vxlansOf(sites);
  return [
    ...checked(
      "fleet: identities",
      identities(sites),
      `${sites.length} gateways, each with its own name and VTEP address`,
    ),
    ...checked("fleet: VNIs", vnis(sites, vxlans), `${listText([...vxlans.keys()])}: alike on all gateways`),
    ...checked("fleet: subnets", subnets(vxlans), "gateway addresses agree in every VXLAN"),
    ...checked("fleet: gateway MACs", gatewayMacs(vxlans), "each gateway has its own, or all share one"),
    ...checked("fleet: MTUs", mtus(sites, vxlans), "underlay, VSI-interfaces and tunnels agree"),
    ...checked(
      "fleet: tunnels",
      tunnelLists(sites),
      "each gateway has a tunnel to each other one whose VXLANs it shares",
    ),
  ];
}

function checked(name: string, findings: readonly Finding[], well: string): Check[] {
  const isWell = findings.every(({ result }) => result === "ok");
  return [...(isWell ? [ok(well)] : []), ...findings].map((finding) => ({ name, ...finding }));
}

const ok = (text: string): Finding => ({ result: "ok", text, fix: null });
const fail = (text: string, fix: string): Finding => ({ result: "fail", text, fix });
const warn = (text: string, fix: string): Finding => ({ result: "warn", text, fix });
const listText = (list: readonly (string | number)[]) => (list.length === 0 ? "none" : list.join(", "));

/** By VNI, the gateways that have it. */
function vxlansOf(sites: readonly Site[]): Map<number, Place[]> {
  const all = new Map<number, Place[]>();
  for (const site of sites) {
    for (const vsi of site.vsis) {
      if (vsi.vni === null) continue;
      const gateway = site.interfaces.find(({ name }) => name === vsi.interface) ?? null;
      all.set(vsi.vni, [...(all.get(vsi.vni) ?? []), { site, vsi, gateway }]);
    }
  }
  return new Map([...all].sort(([a], [b]) => a - b));
}

/** Groups of nodes by a value: `1500 on gw1, gw2; 1450 on border`. */
function spread<T>(items: readonly T[], value: (item: T) => string, node: (item: T) => string): [string, string[]][] {
  const groups = new Map<string, string[]>();
  for (const item of items) groups.set(value(item), [...(groups.get(value(item)) ?? []), node(item)]);
  return [...groups];
}

/** What should be one gateway's and several have, with their nodes; null: of none. */
function claimed(sites: readonly Site[], value: (site: Site) => string | null): [string, string[]][] {
  const having = sites.filter((site) => value(site) !== null);
  return spread(
    having,
    (site) => value(site)!,
    ({ node }) => node,
  ).filter(([, nodes]) => nodes.length > 1);
}

const spreadText = (groups: readonly [string, string[]][]) =>
  groups.map(([value, nodes]) => `${value} on ${listText(nodes)}`).join("; ");

function identities(sites: readonly Site[]): Finding[] {
  const found: Finding[] = [];
  for (const [address, nodes] of claimed(sites, ({ status }) => status.underlay.address))
    found.push(fail(`${listText(nodes)} have one VTEP address, ${address}`, "give each its own underlay.address"));
  for (const [routerId, nodes] of claimed(sites, (site) => site.routerId))
    found.push(fail(`${listText(nodes)} have one BGP router id, ${routerId}`, "give each its own evpn.routerId"));
  for (const [name, nodes] of claimed(sites, ({ node }) => node))
    found.push(fail(`${nodes.length} gateways are called ${name}`, "give each its own node: names seed gateway MACs"));
  const ports = spread(
    sites,
    ({ status }) => String(status.underlay.port),
    ({ node }) => node,
  );
  if (ports.length > 1)
    found.push(fail(`VXLAN runs on different UDP ports: ${spreadText(ports)}`, "set underlay.port alike"));
  return found;
}

function vnis(sites: readonly Site[], vxlans: ReadonlyMap<number, readonly Place[]>): Finding[] {
  const found: Finding[] = [];
  const named = sites.flatMap(({ node, vsis }) => vsis.filter(({ vni }) => vni !== null).map((vsi) => ({ node, vsi })));
  for (const [name, places] of byName(named)) {
    const groups = spread(
      places,
      ({ vsi }) => `VNI ${vsi.vni}`,
      ({ node }) => node,
    );
    if (groups.length > 1) found.push(fail(`VSI ${name} is ${spreadText(groups)}`, "give one name one VNI everywhere"));
  }
  for (const [vni, [place, second]] of vxlans) {
    if (second !== undefined || sites.length < 2 || place!.vsi.tunnels.length === 0) continue;
    const node = place!.site.node;
    found.push(
      warn(`VNI ${vni} is on ${node} alone (VSI ${place!.vsi.name})`, "is a digit wrong, or a gateway missing?"),
    );
  }
  return found;
}

function byName<T extends { readonly vsi: Vsi }>(items: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(item.vsi.name, [...(groups.get(item.vsi.name) ?? []), item]);
  return groups;
}

function subnets(vxlans: ReadonlyMap<number, readonly Place[]>): Finding[] {
  const found: Finding[] = [];
  for (const [vni, places] of vxlans) {
    const routed = places.filter(({ gateway }) => gateway !== null);
    const distributed = routed.filter(({ gateway }) => gateway!.distributed);
    const addresses = spread(distributed, ({ gateway }) => [...gateway!.addresses].sort().join(" "), nodeOf);
    if (addresses.length > 1) {
      const fix = "give the VSI-interface the same address on every distributed gateway";
      found.push(fail(`VNI ${vni}: the gateway address differs: ${spreadText(addresses)}`, fix));
    }
    for (const { site, gateway } of routed.filter((place) => !place.gateway!.distributed)) {
      for (const address of gateway!.addresses) {
        const twin = routed.find((other) => other.site !== site && other.gateway!.addresses.includes(address));
        if (twin === undefined) continue;
        const text = `VNI ${vni}: ${address} is the address of ${site.node}, which is no distributed gateway, and of ${twin.site.node}`;
        found.push(fail(text, `give ${site.node} an address of its own in the subnet`));
      }
    }
    const all = spread(
      routed.flatMap(({ site, gateway }) => gateway!.addresses.map((address) => ({ node: site.node, address }))),
      ({ address }) => address,
      ({ node }) => node,
    );
    const differing = all.filter(([one]) => all.some(([other]) => isOtherLength(one, other)));
    if (differing.length > 0 && addresses.length < 2)
      found.push(warn(`VNI ${vni}: subnets differ in length: ${spreadText(differing)}`, "use one prefix length"));
  }
  return found;
}

/** Are both, as `10.1.1.1/24` and `10.1.1.2/16`, in one subnet, of which they say two lengths? */
function isOtherLength(one: string, other: string): boolean {
  const [[a, lengthA], [b, lengthB]] = [one.split("/"), other.split("/")] as [[string, string], [string, string]];
  if (lengthA === lengthB || isIPv6(a) !== isIPv6(b)) return false;
  const family = isIPv6(a) ? "ipv6" : "ipv4";
  const wider = new BlockList();
  wider.addSubnet(a, Math.min(Number(lengthA), Number(lengthB)), family);
  return wider.check(b, family);
}

const nodeOf = ({ site }: Place) => site.node;

function gatewayMacs(vxlans: ReadonlyMap<number, readonly Place[]>): Finding[] {
  const found: Finding[] = [];
  for (const [vni, places] of vxlans) {
    const routed = places.filter(({ gateway }) => gateway !== null);
    const distributed = routed.filter(({ gateway }) => gateway!.distributed);
    const groups = spread(distributed, ({ gateway }) => gateway!.mac, nodeOf);
    // Each its own, or one for all; some of each is neither.
    if (groups.length > 1 && groups.length < distributed.length) {
      const fix = "set mac: auto on all of them, or mac: shared on all of them";
      found.push(fail(`VNI ${vni}: some gateways share a MAC and others do not: ${spreadText(groups)}`, fix));
    }
    for (const { site, gateway } of routed.filter((place) => !place.gateway!.distributed)) {
      const twin = routed.find((other) => other.site !== site && other.gateway!.mac === gateway!.mac);
      if (twin === undefined) continue;
      const text = `VNI ${vni}: ${site.node}, which is no distributed gateway, has ${gateway!.mac}, the MAC of ${twin.site.node}`;
      found.push(fail(text, `set mac: auto on ${site.node}`));
    }
  }
  return found;
}

function mtus(sites: readonly Site[], vxlans: ReadonlyMap<number, readonly Place[]>): Finding[] {
  const found: Finding[] = [];
  const underlay = spread(
    sites,
    ({ status }) => String(status.underlay.mtu),
    ({ node }) => node,
  );
  if (underlay.length > 1)
    found.push(
      warn(`the underlay MTU differs: ${spreadText(underlay)}`, "the smallest one decides; set underlay.mtu alike"),
    );
  for (const [vni, places] of vxlans) {
    const groups = spread(
      places.filter(({ gateway }) => gateway !== null),
      ({ gateway }) => String(gateway!.mtu),
      nodeOf,
    );
    if (groups.length > 1)
      found.push(warn(`VNI ${vni}: the VSI-interface's MTU differs: ${spreadText(groups)}`, "set its mtu alike"));
  }
  for (const [a, b] of pairs(sites)) {
    const [there, back] = [tunnelTo(a, b), tunnelTo(b, a)];
    if (there === undefined || back === undefined || there.mtu === back.mtu) continue;
    const text = `${a.node} sends ${b.node} packets of up to ${there.mtu} bytes and takes up to ${back.mtu} from it`;
    found.push(warn(text, `vtepctl ping ${there.name} --mtu on ${a.node}, and ${back.name} on ${b.node}`));
  }
  return found;
}

function pairs(sites: readonly Site[]): [Site, Site][] {
  return sites.flatMap((a, i) => sites.slice(i + 1).map((b): [Site, Site] => [a, b]));
}

const tunnelTo = (from: Site, to: Site) => from.tunnels.find(({ remote }) => remote === to.status.underlay.address);
const vnisOf = ({ vsis }: Site) => new Map(vsis.flatMap((vsi) => (vsi.vni === null ? [] : [[vsi.vni, vsi] as const])));

/** By routes, and in no configuration. */
const isFound = (tunnel: string) => tunnel.startsWith("evpn:");

const ASK_ROUTES =
  "vtepctl show evpn vteps, show evpn: are the sessions up, do both export and import the VSI's target?";

/** What brings VNIs to the tunnel: routes, or, where there can be none, `byHand`. */
function fixFor(from: Site, to: Site, tunnel: Tunnel | undefined, byHand: string): string {
  if (tunnel !== undefined && isFound(tunnel.name)) return ASK_ROUTES;
  if (!from.hasEvpn || !to.hasEvpn) return byHand;
  return tunnel === undefined ? ASK_ROUTES : `${ASK_ROUTES} Or ${byHand}`;
}

function tunnelLists(sites: readonly Site[]): Finding[] {
  const found: Finding[] = [];
  for (const from of sites) {
    for (const to of sites) {
      if (from === to) continue;
      const theirs = vnisOf(to);
      const common = [...vnisOf(from)].filter(([vni]) => theirs.has(vni));
      if (common.length === 0) continue;
      const { address } = to.status.underlay;
      const tunnel = tunnelTo(from, to);
      if (tunnel === undefined) {
        const text = `${from.node} has no tunnel to ${to.node} (${address}), which has VNI ${listText(common.map(([vni]) => vni))}, too`;
        const byHand = `add {name: ${to.node}, remote: ${address}} to tunnels of ${from.node}`;
        found.push(fail(text, fixFor(from, to, tunnel, byHand)));
        continue;
      }
      const missing = common.filter(([, vsi]) => !vsi.tunnels.includes(tunnel.name)).map(([vni]) => vni);
      if (missing.length === 0) continue;
      const text = `${from.node} does not use its tunnel ${tunnel.name} for VNI ${listText(missing)}, which ${to.node} has, too`;
      const byHand = `add ${tunnel.name} to tunnels of those VSIs on ${from.node}`;
      found.push(fail(text, fixFor(from, to, tunnel, byHand)));
    }
    for (const { name, remote } of from.tunnels) {
      if (sites.some(({ status }) => status.underlay.address === remote)) continue;
      const text = `tunnel ${name} of ${from.node} leads to ${remote}, which is none of the gateways asked`;
      // Another maker's VTEP answers no question of ours, and its tunnel goes with its routes.
      found.push(isFound(name) ? ok(text) : warn(text, "ask that gateway, too; or remove the tunnel"));
    }
  }
  return found;
}
