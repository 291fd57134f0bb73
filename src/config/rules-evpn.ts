/**
 * Rules between values, EVPN part: a VSI or VRF that takes part needs a VNI and an engine, VNIs and distinguishers are unique,
 * peers are others.
 */
import type { Path } from "./json-schema.ts";
import type { Report, Sections } from "./rules-l2.ts";

/** All EVPN rules. */
export function checkEvpn(s: Sections, report: Report): void {
  checkParticipants(s, report);
  checkVrfs(s, report);
  checkDistinguishers(s, report);
  checkUnderlay(s, report);
  checkPeers(s, report);
}

function checkParticipants({ vsis, evpn }: Sections, report: Report): void {
  for (const [index, vsi] of (vsis ?? []).entries()) {
    if (vsi.evpn === undefined) continue;
    const path = ["vsis", index, "evpn"];
    if (vsi.vni === undefined)
      report(path, "evpn-vni", `${vsi.name} has no vni, and a route is of a VNI`, "add its vni, or remove evpn", "key");
    if (evpn === undefined) {
      const fix = "add evpn: {engine: {socket: /run/vtepd/bgp.sock}, as: 65000}";
      report(path, "no-evpn", "there is no evpn section that says where the engine is", fix, "key");
    }
  }
}

/** An L3VNI is one VRF's alone, and no VSI's. */
function checkVrfs({ vrfs, vsis, evpn }: Sections, report: Report): void {
  const taken = new Map((vsis ?? []).flatMap(({ name, vni }) => (vni === undefined ? [] : [[vni, `VSI ${name}`]])));
  for (const [index, { name, l3vni }] of (vrfs ?? []).entries()) {
    const other = taken.get(l3vni);
    const path = ["vrfs", index];
    if (other === undefined) taken.set(l3vni, `VRF ${name}`);
    else report([...path, "l3vni"], "duplicate-vni", `${other} has VNI ${l3vni} too`, "give the VRF one of its own");
    if (evpn !== undefined) continue;
    const fix = "add evpn: {engine: {socket: /run/vtepd/bgp.sock}, as: 65000}";
    report(path, "no-evpn", "an L3VNI needs routes, and there is no evpn section", fix, "key");
  }
}

/**
 * No two instances have one distinguisher, written or made: their routes would have one key. RFC 7432 §7.9: the number behind an
 * address has 16 bits, so two VNIs that differ above them collide.
 */
function checkDistinguishers({ vsis, vrfs, evpn, underlay }: Sections, report: Report): void {
  const routerId = evpn?.routerId?.text ?? underlay?.address.text ?? "";
  const seen = new Map<string, string>();
  const vnis = new Set<number>();
  const check = (path: Path, name: string, vni: number, given: string) => {
    const isAuto = given === "auto";
    // A VNI that stands twice is told as that.
    if (isAuto && vnis.has(vni)) return;
    vnis.add(vni);
    const rd = isAuto ? `${routerId}:${vni & 0xffff}` : given;
    const other = seen.get(rd);
    if (other === undefined) {
      seen.set(rd, name);
      return;
    }
    const what = isAuto ? `routerId:${vni & 0xffff}, made of the low 16 bits of the VNI,` : given;
    const fix = "give one of them an rd of its own, such as 192.0.2.1:60010";
    report([...path, "evpn", "rd"], "duplicate-rd", `${what} is the route distinguisher of ${other} too`, fix);
  };
  for (const [index, { name, vni, evpn }] of (vsis ?? []).entries())
    if (evpn !== undefined && vni !== undefined) check(["vsis", index], name, vni, evpn.rd);
  for (const [index, { name, l3vni, evpn }] of (vrfs ?? []).entries())
    check(["vrfs", index], `VRF ${name}`, l3vni, evpn.rd);
}

function checkUnderlay({ evpn, underlay }: Sections, report: Report): void {
  if (evpn == null || underlay === null || underlay.address.family === 4) return;
  const message = `EVPN needs an IPv4 underlay, and underlay.address is ${underlay.address.text}`;
  report(["evpn"], "evpn-underlay", message, "use an IPv4 VTEP address, or static tunnels", "key");
}

function checkPeers({ evpn, underlay }: Sections, report: Report): void {
  const seen = new Set<string>();
  for (const [index, { address }] of (evpn?.peers ?? []).entries()) {
    const path = ["evpn", "peers", index, "address"];
    if (seen.has(address.text)) report(path, "duplicate-peer", `${address.text} stands twice`, "keep one");
    seen.add(address.text);
    // EVPN over an IPv6 underlay is told of already.
    const end = evpn?.engine.address ?? underlay?.address;
    if (end != null && familyOf(end) !== familyOf(address) && underlay?.address.family === 4) {
      const what = evpn?.engine.address == null ? "underlay.address" : "evpn.engine.address";
      const message = `${address.text} is ${familyOf(address)}, and our end of all sessions, ${what}, is ${end.text}`;
      report(path, "peer-family", message, "write an address of its family, or an evpn.engine.address of this one");
    }
    if (address.text === underlay?.address.text)
      report(
        path,
        "peer-is-self",
        `${address.text} is our own underlay.address`,
        "write the address of a route reflector",
      );
  }
}

function familyOf({ text }: { readonly text: string }): "IPv4" | "IPv6" {
  return text.includes(":") ? "IPv6" : "IPv4";
}
