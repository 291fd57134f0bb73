/** The doctor about VRFs: does each route, do others have its L3VNI and its targets, is anything in the wrong one? */
import { type Check, ok, warn } from "../api/schema-doctor.ts";
import type { Vrf } from "../api/schema-vrf.ts";
import type { Config } from "../control/plan.ts";
import { plural } from "../wire/plural.ts";

/** A prefix of the fabric inside a subnet of ours. */
export interface Overlap {
  readonly vrf: string;
  readonly prefix: string;
  readonly subnet: string;
  readonly interface: string;
}

export interface VrfFacts {
  readonly vrfs: readonly Vrf[];
  /** Routes of others are all here; how many they are, and how many were refused for their VNI. Null: no EVPN. */
  readonly fabric: { readonly isSynced: boolean; readonly routes: number; readonly mismatches: number } | null;
  readonly overlaps: readonly Overlap[];
  readonly config: Pick<Config, "interfaces" | "vrfs">;
}

export function checkVrfs(facts: VrfFacts): Check[] {
  const used = facts.vrfs.filter(({ interfaces, l3vni }) => interfaces.length > 0 || l3vni !== null);
  return [
    ...used.flatMap((vrf) => [checkStanding(vrf), ...checkReach(vrf, facts)]),
    ...checkMembers(facts.config),
    ...facts.overlaps.map(checkOverlap),
  ];
}

function checkStanding({ name, state, reason, interfaces, l3vni, routes, vteps }: Vrf): Check {
  const count = Object.values(routes).reduce((sum, each) => sum + each, 0);
  const carried = l3vni === null ? "" : `, L3VNI ${l3vni} to ${plural(vteps, "gateway")}`;
  const text = `${plural(interfaces.length, "VSI-interface")}, ${plural(count, "route")}${carried}`;
  if (state === "up") return ok(`vrf ${name}`, text);
  return warn(
    `vrf ${name}`,
    `${state}: ${reason}`,
    "vtepctl show vrf; vtepctl show ac and show evpn tell what it needs",
  );
}

/** No other gateway is in an L3VNI, while routes come: another VNI is in use there, or other targets. */
function checkReach({ name, l3vni, vteps, import: imports, export: exports }: Vrf, { fabric }: VrfFacts): Check[] {
  if (l3vni === null || vteps > 0 || fabric === null || !fabric.isSynced || fabric.routes === 0) return [];
  const targets = imports.join(", ");
  if (fabric.mismatches > 0) {
    const text = `no other gateway is in L3VNI ${l3vni}, and ${plural(fabric.mismatches, "route")} with targets of ours came with another VNI`;
    return [
      warn(
        `vrf ${name} l3vni`,
        text,
        "LABELS of vtepctl show evpn routes prefix -w are the VNIs; the L3VNI is the same on all gateways",
      ),
    ];
  }
  const text = `routes come, and none has a target of ${targets}: no other gateway imports or exports its targets`;
  return [
    warn(`vrf ${name} targets`, text, `do the others export such a target, and import ours (${exports.join(", ")})?`),
  ];
}

/** A VSI-interface whose VRF is none of `vrfs`, where those are named: a slip of the pen has routes of its own, and no L3VNI. */
function checkMembers({ interfaces, vrfs }: VrfFacts["config"]): Check[] {
  if (vrfs.length === 0) return [];
  const named = new Set(vrfs.map(({ name }) => name));
  return interfaces
    .filter(({ vrf, addresses }) => addresses.length > 0 && !named.has(vrf))
    .map(({ name, vrf }) => {
      const text = `it is in VRF ${vrf}, which vrfs does not have: no L3VNI carries its packets`;
      return warn(`vrf of ${name}`, text, `write vrf: ${[...named].join(" or ")}, or add ${vrf} to vrfs`);
    });
}

/** Config refuses this on one gateway; between gateways only routes show it. */
function checkOverlap({ vrf, prefix, subnet, interface: iface }: Overlap): Check {
  const text = `another gateway announces ${prefix} in it, inside ${subnet} of ${iface}: those hosts are taken from here`;
  return warn(
    `subnets of vrf ${vrf}`,
    text,
    "one subnet has one prefix length in a VRF: correct the one that is wrong",
  );
}
