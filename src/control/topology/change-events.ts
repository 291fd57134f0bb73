/** What a change of the configuration tells: events for people, and ARP for the hosts and peers that must hear of it. */
import { formatMac } from "../../wire/ethernet.ts";
import { type Emit, portField } from "../event.ts";
import type { AcPort, Inventory } from "../inventory.ts";
import type { ConfigDiff } from "../plan.ts";
import type { Draft } from "./draft.ts";
import { FORMER_MAC_MS, type MacChange } from "./former-macs.ts";
import type { InterfaceChange } from "./interfaces.ts";
import type { Learners } from "./learners.ts";

/** Events of what came and what went. */
export function tellChange(draft: Draft, emit: Emit): void {
  for (const { name } of draft.diff.vsis.removed) emit("info", "vsi.removed", { vsi: name });
  for (const { name, vni } of draft.diff.vsis.added) emit("info", "vsi.added", { vsi: name, vni });
  for (const { name } of draft.diff.interfaces.removed) emit("info", "interface.removed", { interface: name });
  for (const { name } of draft.diff.interfaces.added) emit("info", "interface.added", { interface: name });
  for (const port of draft.ports.removed) emit("info", `${port.kind}.down`, { ...portField(port), removed: true });
  for (const port of draft.ports.added) if (port.up) emit("info", `${port.kind}.up`, portField(port));
}

/** New ACs, and those of VSI-interfaces that are new or have another MAC, address or VSI: their hosts must hear of it. */
export function acsToAnnounce(draft: Draft, changes: readonly InterfaceChange[]): Set<AcPort> {
  const announced = new Set(draft.ports.added.filter((port) => port.kind === "ac"));
  for (const iface of [...draft.interfaces.added, ...changes.map(({ iface }) => iface)])
    for (const vsi of iface.vsis) for (const ac of vsi.acs) announced.add(ac);
  return announced;
}

/** Peers hear of addresses that are new to them; hosts whose gateway has another MAC, for whom else it stands. */
export function announceFurther(
  macChanges: readonly MacChange[],
  { learners, inventory, emit }: { readonly learners: Learners; readonly inventory: Inventory; readonly emit: Emit },
): void {
  learners.announceNews(inventory);
  for (const { vsi, was } of macChanges) {
    const { name, mac } = vsi.interface!;
    const macs = { mac: formatMac(mac), was: formatMac(was) };
    emit("info", "interface.mac", { interface: name, vsi: vsi.name, ...macs, routedSeconds: FORMER_MAC_MS / 1000 });
    learners.announceHosts(vsi);
  }
}

/** How many objects a change touched, for its event. */
export function countsOf(diff: ConfigDiff): Record<string, number> {
  const lists = [
    diff.tunnels,
    diff.vsis,
    diff.interfaces,
    diff.vrfs,
    diff.acs,
    diff.routes,
    diff.policies,
    diff.tracks,
  ];
  const count = (key: "added" | "removed" | "changed") => lists.reduce((sum, list) => sum + list[key].length, 0);
  return {
    added: count("added"),
    removed: count("removed"),
    changed: count("changed"),
    settings: diff.settings.length,
  };
}
