/** Rules between values, BFD part: there are so many sessions, and no more; the VNI of BFD is no tenant's. */
import type { Report, Sections } from "./rules-l2.ts";
import { bfdOf } from "./schema-bfd.ts";

/** As many as the BFD thread has slots (MAX_BFD_SESSIONS of tables/vsi.ts). */
const MOST = 1023;

export function checkBfd(s: Sections, report: Report): void {
  const { bfd, tunnels } = s;
  if (bfd === null || tunnels === null) return;
  checkManagementVni(s, report);
  const watched = tunnels.filter((tunnel) => (tunnel.bfd ?? bfd !== undefined) !== false);
  if (watched.length <= MOST) return;
  const text = `${watched.length} tunnels have BFD, and ${MOST} sessions are the most`;
  report(
    bfd === undefined ? ["tunnels"] : ["bfd"],
    "too-many-sessions",
    text,
    "say bfd: false for some tunnels",
    "key",
  );
}

/** RFC 8971 §4: what is in that VNI is not delivered to a tenant, and no tenant can speak as a VTEP. */
function checkManagementVni({ bfd, tunnels, vsis, vrfs, underlay }: Sections, report: Report): void {
  if (underlay === null) return;
  const isInVxlan = tunnels!.some((tunnel) => bfdOf(tunnel.bfd, bfd!)?.mode === "vxlan") || bfd?.mode === "vxlan";
  if (!isInVxlan) return;
  const { managementVni } = underlay;
  const message = `VNI ${managementVni} is that of BFD inside VXLAN (underlay.managementVni)`;
  const fix = "give it another VNI, or underlay.managementVni one that no VSI has";
  for (const [index, { vni }] of (vsis ?? []).entries())
    if (vni === managementVni) report(["vsis", index, "vni"], "management-vni", message, fix);
  for (const [index, { l3vni }] of (vrfs ?? []).entries())
    if (l3vni === managementVni) report(["vrfs", index, "l3vni"], "management-vni", message, fix);
}
