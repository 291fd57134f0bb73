/** What the configuration says of EVPN, in the words of routes: VSIs as instances, with distinguisher and targets made. */
import type { Config } from "../control/plan.ts";
import { type Mac, parseMac } from "../wire/ethernet.ts";
import type { Ipv4 } from "../wire/ipv4.ts";
import type { DuplicateRules } from "./duplicates.ts";
import type { Instance } from "./import.ts";
import { autoDistinguisher, autoTarget } from "./route.ts";

/** A gateway address that other gateways do not share: it is announced, so that they find it. */
export interface OwnGateway {
  readonly vsi: string;
  readonly mac: Mac;
  readonly ip: Ipv4;
}

export interface EvpnSettings {
  readonly vtep: string;
  readonly staleSeconds: number;
  readonly duplicates: DuplicateRules;
  readonly limits: { readonly vteps: number; readonly routes: number; readonly announcePerSecond: number };
  readonly instances: readonly Instance[];
  readonly gateways: readonly OwnGateway[];
}

/** @param macOf the gateway MAC of a VSI-interface, by name. Null where the configuration has no `evpn`. */
export function settingsOf(config: Config, macOf: (iface: string) => Mac | null): EvpnSettings | null {
  const { evpn, vsis } = config;
  if (evpn === null) return null;
  const instances = vsis.flatMap((vsi): Instance[] => {
    if (vsi.evpn === null || vsi.vni === null) return [];
    const { rd, import: imports, export: exports } = vsi.evpn;
    const own = autoTarget(evpn.as, vsi.vni, evpn.targets);
    return [
      {
        vsi: vsi.name,
        subnets: subnetsOf(config, vsi.interface),
        vni: vsi.vni,
        rd: rd === "auto" ? autoDistinguisher(evpn.routerId, vsi.vni) : rd,
        importsAuto: imports.includes("auto"),
        imports: imports.filter((target) => target !== "auto"),
        exports: exports.map((target) => (target === "auto" ? own : target)),
      },
    ];
  });
  const { staleSeconds, duplicates, limits } = evpn;
  const gateways = gatewaysOf(config, new Set(instances.map(({ vsi }) => vsi)), macOf);
  return { vtep: config.underlay.address, staleSeconds, duplicates, limits, instances, gateways };
}

function subnetsOf({ interfaces }: Config, name: string | null): string {
  const iface = interfaces.find((each) => each.name === name);
  return [name ?? "", ...(iface?.addresses ?? []).map(({ text, prefix }) => `${text} ${prefix.text}`)].join(" ");
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
    const own = each.distributed ? [] : each.addresses.map(({ ip }) => ip);
    if (each.icmpSource !== null) own.push(each.icmpSource.ip);
    return each.vsis.filter((vsi) => vsis.has(vsi)).flatMap((vsi) => own.map((ip) => ({ vsi, mac, ip })));
  });
}
