/** What the configuration says of EVPN, in the words of routes: VSIs and VRFs as instances, with distinguisher and targets made. */
import type { Ip } from "../control/ip.ts";
import type { Config, Prefix, VsiConfig } from "../control/plan.ts";
import type { VrfConfig } from "../control/plan-evpn.ts";
import { type Mac, parseMac } from "../wire/ethernet.ts";
import type { DuplicateRules } from "./duplicates.ts";
import type { Instance } from "./import.ts";
import { autoDistinguisher, autoTarget } from "./route.ts";

/** A gateway address that other gateways do not share: it is announced, so that they find it. */
export interface OwnGateway {
  readonly vsi: string;
  readonly mac: Mac;
  readonly ip: Ip;
  /** Others send by it what is for elsewhere; the source of ICMP errors is only answered. */
  readonly leadsOn: boolean;
}

/** A prefix of a VRF that is announced. */
export interface OwnPrefix {
  readonly vrf: string;
  readonly text: string;
  readonly network: Ip;
  readonly length: number;
  /** What is there is reached through this gateway, and maybe another one; a subnet of hosts at ACs is not. */
  readonly leadsOn: boolean;
}

export interface EvpnSettings {
  readonly vtep: string;
  /** BGP identifier; with another one everything is made anew. */
  readonly routerId: string;
  readonly staleSeconds: number;
  readonly duplicates: DuplicateRules;
  readonly limits: { readonly vteps: number; readonly routes: number; readonly announcePerSecond: number };
  readonly instances: readonly Instance[];
  readonly gateways: readonly OwnGateway[];
  readonly prefixes: readonly OwnPrefix[];
}

/** @param macOf the gateway MAC of a VSI-interface, by name. Null where the configuration has no `evpn`. */
export function settingsOf(config: Config, macOf: (iface: string) => Mac | null): EvpnSettings | null {
  const { evpn, vsis } = config;
  if (evpn === null) return null;
  const named = new Map(config.vrfs.map((vrf) => [vrf.name, vrf]));
  const routerMacOf = (vrf: string) => macOf(vsis.find(({ l3vrf }) => l3vrf === vrf)!.interface!)!;
  const targetsOf = (vni: number, targets: readonly string[]) => {
    const own = autoTarget(evpn.as, vni, evpn.targets);
    return targets.map((target) => (target === "auto" ? own : target));
  };
  const vrfOf = ({ name, evpn: { ecmp } }: VrfConfig): Instance["vrf"] => ({
    ...{ name, ecmp },
    routerMac: routerMacOf(name),
  });
  const irbOf = (vsi: VsiConfig): Instance["irb"] => {
    const iface = config.interfaces.find(({ name }) => name === vsi.interface);
    const vrf = iface === undefined ? undefined : named.get(iface.vrf);
    if (vrf === undefined || !vrf.evpn.advertise.hosts) return null;
    return { vni: vrf.l3vni, exports: targetsOf(vrf.l3vni, vrf.evpn.export), routerMac: routerMacOf(vrf.name) };
  };
  const instances = vsis.flatMap((vsi): Instance[] => {
    if (vsi.evpn === null || vsi.vni === null) return [];
    const { rd, import: imports, export: exports } = vsi.evpn;
    return [
      {
        vsi: vsi.name,
        vrf: vsi.l3vrf === null ? null : vrfOf(named.get(vsi.l3vrf)!),
        subnets: subnetsOf(config, vsi.interface),
        vni: vsi.vni,
        rd: rd === "auto" ? autoDistinguisher(evpn.routerId, vsi.vni) : rd,
        importsAuto: imports.includes("auto"),
        imports: imports.filter((target) => target !== "auto"),
        exports: targetsOf(vsi.vni, exports),
        irb: vsi.l3vrf === null ? irbOf(vsi) : null,
      },
    ];
  });
  const { routerId, staleSeconds, duplicates, limits } = evpn;
  const gateways = gatewaysOf(config, new Set(instances.map(({ vsi }) => vsi)), macOf);
  const prefixes = config.vrfs.flatMap((vrf) => prefixesOf(config, vrf));
  const vtep = config.underlay.address;
  return { vtep, routerId, staleSeconds, duplicates, limits, instances, gateways, prefixes };
}

/** What is announced of `vrf`, while it leads on (offers.ts); of two origins of one prefix, once. */
function prefixesOf({ interfaces, routes }: Config, { name, evpn: { advertise } }: VrfConfig): OwnPrefix[] {
  const all = new Map<string, OwnPrefix>();
  const add = ({ text, network, length }: Prefix, leadsOn: boolean) =>
    all.set(text, { vrf: name, text, network, length, leadsOn });
  const hasIpv6 = interfaces.some(({ vrf, linkLocal }) => vrf === name && linkLocal !== null);
  if (advertise.connected)
    for (const { vrf, addresses, distributed } of interfaces)
      if (vrf === name) for (const { prefix } of addresses) add(prefix, !distributed);
  if (advertise.static) for (const { vrf, prefix } of routes) if (vrf === name && prefix.length > 0) add(prefix, true);
  if (advertise.default) add({ text: "0.0.0.0/0", network: 0, length: 0 }, true);
  if (advertise.default && hasIpv6) add({ text: "::/0", network: 0n, length: 0 }, true);
  return [...all.values()];
}

function subnetsOf({ interfaces }: Config, name: string | null): string {
  const iface = interfaces.find((each) => each.name === name);
  return [
    name ?? "",
    iface?.vrf ?? "",
    ...(iface?.addresses ?? []).map(({ text, prefix }) => `${text} ${prefix.text}`),
  ].join(" ");
}

function gatewaysOf(
  { interfaces }: Config,
  vsis: ReadonlySet<string>,
  macOf: (name: string) => Mac | null,
): OwnGateway[] {
  return interfaces.flatMap((each) => {
    // With a shared MAC every gateway has it itself, and ICMP to an address behind it would end at the nearest one.
    const isShared = each.mac === "shared" || parseMac(each.mac) !== null;
    const mac = macOf(each.name);
    if (isShared || mac === null) return [];
    const own = (each.distributed ? [] : each.addresses).map(({ ip }) => ({ mac, ip, leadsOn: true }));
    for (const source of [each.icmpSource, each.icmpSource6])
      if (source !== null) own.push({ mac, ip: source.ip, leadsOn: false });
    return each.vsis.filter((vsi) => vsis.has(vsi)).flatMap((vsi) => own.map((address) => ({ ...address, vsi })));
  });
}
