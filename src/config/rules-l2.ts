/**
 * Rules between values, L2 part: names, underlay, tunnels, VSIs, static MACs, ACs.
 *
 * The schema has seen every value by itself; here they meet. A rule needs certain sections of the file to be whole: a
 * section that the schema refused is `null`, and rules that would need it are silent, since what they said could be
 * the echo of the first mistake. So one reading reports everything that is certainly wrong, and nothing that is not.
 *
 * Rules only report. What a good file becomes is in `resolve.ts`.
 */

import { plural } from "../wire/plural.ts";
import { clip, nearest } from "./error.ts";
import type { Path } from "./json-schema.ts";
import { type FileConfig, MAX_BRIDGE_PORTS } from "./schema.ts";
import { sourcePortsOf } from "./schema-workers.ts";
import { vsisOf } from "./subnets.ts";

/** The sections of the file; null where the schema refused one. */
export type Sections = { readonly [K in keyof FileConfig]: FileConfig[K] | null };

/** The fix may be a function: a suggestion is looked for only when the error is really reported. */
export type Report = (
  path: Path,
  rule: string,
  message: string,
  fix: string | (() => string),
  at?: "key" | "value",
) => void;

const NAMED = ["tunnels", "vsis", "interfaces", "vrfs", "acs", "policies", "tracks"] as const;

/** All L2 rules. */
export function checkL2(s: Sections, report: Report): void {
  for (const kind of NAMED) checkNames(s, kind, report);
  checkPortCount(s, report);
  checkUnderlay(s, report);
  checkTunnels(s, report);
  checkVsis(s, report);
  checkStaticMacs(s, report);
  checkAcs(s, report);
  checkTaps(s, report);
  checkTapMtu(s, report);
  checkSockets(s, report);
  checkWorkers(s, report);
}

/** Threads that share a processor by mistake take turns. */
function checkWorkers({ workers }: Sections, report: Report): void {
  if (workers === null || typeof workers === "number" || workers.cpus === undefined) return;
  const { count, cpus } = workers;
  if (cpus.length === count) return;
  const text = `${plural(cpus.length, "processor")} for ${plural(count, "worker")}`;
  report(["workers", "cpus"], "cpus-of-workers", text, `name one for each: ${plural(count, "number")}`);
}

/** A second listener would take the first one's place, or be refused when the gateway starts. */
function checkSockets({ control, attach }: Sections, report: Report): void {
  if (control === null) return;
  const { socket, observe } = control;
  const fix = "give each socket a path of its own";
  if (attach?.socket === socket) report(["attach", "socket"], "same-socket", `control.socket is ${socket} too`, fix);
  const seen = typeof observe === "string" ? observe : observe?.socket;
  const path = typeof observe === "string" ? ["control", "observe"] : ["control", "observe", "socket"];
  for (const [owner, other] of [["control.socket", socket] as const, ["attach.socket", attach?.socket] as const])
    if (seen !== undefined && seen === other) report(path, "same-socket", `${owner} is ${other} too`, fix);
}

function checkNames(s: Sections, kind: (typeof NAMED)[number], report: Report): void {
  const seen = new Map<string, number>();
  for (const [index, { name }] of (s[kind] ?? []).entries()) {
    const first = seen.get(name);
    if (first === undefined) seen.set(name, index);
    else
      report(
        [kind, index, "name"],
        "duplicate-name",
        `${kind}[${first}] is called ${name} too`,
        "give each its own name",
      );
  }
}

function checkPortCount(s: Sections, report: Report): void {
  const count = (s.acs?.length ?? 0) + (s.tunnels?.length ?? 0);
  if (count <= MAX_BRIDGE_PORTS) return;
  const message = `${count} ACs and tunnels together are more than ${MAX_BRIDGE_PORTS}`;
  report(["acs"], "too-many-ports", message, "use several gateways", "key");
}

function checkUnderlay({ underlay, workers }: Sections, report: Report): void {
  if (underlay === null) return;
  const { first } = underlay.sourcePorts;
  const count = underlay.sourcePorts.count ?? sourcePortsOf(workers);
  const last = first + count - 1;
  if (last > 65535) {
    const message = `${count} ports from ${first} on end at ${last}, above 65535`;
    report(["underlay", "sourcePorts", "count"], "source-ports", message, `at most ${65536 - first} fit`);
  } else if (underlay.port >= first && underlay.port <= last) {
    const message = `port ${underlay.port} lies in the source ports ${first}..${last}`;
    report(["underlay", "port"], "source-ports", message, "choose another port, 4789 by default");
  }
  if (underlay.checksum === "zero" && underlay.offload.udpGso === true) {
    const message = "udpGso needs outer checksums, and checksum is zero";
    report(["underlay", "offload", "udpGso"], "checksum-gso", message, "set checksum: auto, or remove udpGso");
  }
  if (underlay.address.family === 6 && underlay.mtu !== "auto" && underlay.mtu < 1280) {
    report(["underlay", "mtu"], "mtu", "IPv6 needs an MTU of 1280 at least (RFC 8200 §5)", "use 1280 or more");
  }
}

function checkTunnels({ tunnels, underlay }: Sections, report: Report): void {
  const seen = new Map<string, string>();
  for (const [index, { name, remote }] of (tunnels ?? []).entries()) {
    const path = ["tunnels", index, "remote"];
    const other = seen.get(remote.text);
    if (other === undefined) seen.set(remote.text, name);
    else
      report(
        path,
        "duplicate-remote",
        `tunnel ${other} leads to ${remote.text} too`,
        "one tunnel carries all VNIs; keep one",
      );
    if (underlay === null) continue;
    if (remote.text === underlay.address.text) {
      report(
        path,
        "tunnel-to-self",
        `${remote.text} is our own underlay.address`,
        "write the address of the other VTEP",
      );
    } else if (remote.family !== underlay.address.family) {
      const message = `${remote.text} is IPv${remote.family}, but underlay.address is IPv${underlay.address.family}`;
      report(path, "address-family", message, "both ends of a tunnel use the same family");
    }
  }
}

function checkVsis(s: Sections, report: Report): void {
  const vnis = new Map<number, string>();
  const bound = boundVsis(s);
  const tunnels = s.tunnels === null ? null : new Set(s.tunnels.map((tunnel) => tunnel.name));
  for (const [index, vsi] of (s.vsis ?? []).entries()) {
    const path = ["vsis", index];
    if (vsi.vni !== undefined) {
      const other = vnis.get(vsi.vni);
      if (other === undefined) vnis.set(vsi.vni, vsi.name);
      else
        report([...path, "vni"], "duplicate-vni", `VSI ${other} has VNI ${vsi.vni} too`, "give each VSI its own VNI");
    } else if (vsi.tunnels !== undefined && vsi.tunnels.length > 0) {
      report([...path, "tunnels"], "local-vsi", "a VSI without vni uses no tunnels", "add its vni, or remove tunnels");
    }
    checkReferences([...path, "tunnels"], "tunnel", vsi.tunnels ?? [], tunnels, report);
    if (vsi.arp === "localProxy" && bound !== null && !bound.has(vsi.name)) {
      const message = `localProxy answers with a gateway MAC, but no VSI-interface is bound to ${vsi.name}`;
      report([...path, "arp"], "arp-mode", message, "use suppress or flood, or bind a VSI-interface");
    }
    if (s.limits !== null && vsi.mac.limit !== undefined && vsi.mac.limit > s.limits.macs) {
      const message = `${vsi.mac.limit} is more than limits.macs (${s.limits.macs})`;
      report([...path, "mac", "limit"], "limit", message, "raise limits.macs, or lower this limit");
    }
    const limit = vsi.mac.limit ?? Math.min(8192, s.limits?.macs ?? 8192);
    if (vsi.mac.static.length > limit) {
      const message = `${vsi.mac.static.length} static MACs are more than the limit of ${limit}`;
      report([...path, "mac", "static"], "limit", message, "raise mac.limit", "key");
    }
  }
  const acMacs = s.limits?.acMacs;
  if (s.limits !== null && acMacs !== undefined && acMacs > s.limits.macs) {
    report(
      ["limits", "acMacs"],
      "limit",
      `${acMacs} is more than limits.macs (${s.limits.macs})`,
      "lower it, or raise limits.macs",
    );
  }
}

function checkStaticMacs(s: Sections, report: Report): void {
  const gatewayMacs = new Map<string, string>();
  for (const each of s.interfaces ?? [])
    if (each.mac !== undefined) for (const vsi of vsisOf(each)) gatewayMacs.set(vsi, each.mac);
  const ports = portsOf(s);
  for (const [index, vsi] of (s.vsis ?? []).entries()) {
    const seen = new Set<string>();
    for (const [at, entry] of vsi.mac.static.entries()) {
      const path = ["vsis", index, "mac", "static", at];
      if (seen.has(entry.mac)) {
        report(
          [...path, "mac"],
          "duplicate-mac",
          `${entry.mac} stands twice in ${vsi.name}`,
          "a MAC is behind one port",
        );
      }
      seen.add(entry.mac);
      if (entry.ac !== undefined && gatewayMacs.get(vsi.name) === entry.mac) {
        report(
          [...path, "mac"],
          "gateway-mac",
          `${entry.mac} is the gateway MAC of ${vsi.name}`,
          "write the host's own MAC",
        );
      }
      checkStaticPort(path, entry, [vsi.name], ports, report);
    }
  }
}

/**
 * Where static entries may point: AC → its VSI, VSI → its tunnels; null where a section is broken. Of a VSI in EVPN routes say which
 * tunnels carry it, and a silent host may be behind any of them.
 */
export interface Ports {
  readonly acs: ReadonlyMap<string, string> | null;
  readonly tunnels: ReadonlyMap<string, ReadonlySet<string>> | null;
}

export function portsOf(s: Sections): Ports {
  const acs = s.acs === null ? null : new Map(s.acs.map((ac) => [ac.name, ac.vsi]));
  if (s.vsis === null || s.tunnels === null) return { acs, tunnels: null };
  // One set for all VSIs that name no tunnels: thousands of VSIs times thousands of tunnels are too many sets.
  const all = new Set(s.tunnels.map((tunnel) => tunnel.name));
  const none = new Set<string>();
  const tunnelsOf = ({ vni, tunnels, evpn }: FileConfig["vsis"][number]) => {
    if (tunnels !== undefined && evpn === undefined) return new Set(tunnels);
    return vni === undefined ? none : all;
  };
  return { acs, tunnels: new Map(s.vsis.map((vsi) => [vsi.name, tunnelsOf(vsi)])) };
}

/** A static entry names exactly one port, and that port belongs to one of the VSIs. */
export function checkStaticPort(
  path: Path,
  entry: { readonly ac?: string | undefined; readonly tunnel?: string | undefined },
  vsis: readonly string[],
  ports: Ports,
  report: Report,
): void {
  const { ac, tunnel } = entry;
  if ((ac === undefined) === (tunnel === undefined)) {
    const message = ac === undefined ? "names no port" : "names both an ac and a tunnel";
    report(path, "static-port", message, "name one: ac: NAME, or tunnel: NAME");
  } else if (ac !== undefined && ports.acs !== null) {
    const home = ports.acs.get(ac);
    if (home === undefined)
      report([...path, "ac"], "unknown-ac", `there is no AC ${ac}`, suggest(ac, ports.acs.keys(), "acs"));
    else if (!vsis.includes(home)) {
      report(
        [...path, "ac"],
        "static-port",
        `AC ${ac} belongs to ${home}, not to ${vsis.join(" or ")}`,
        "name an AC of this VSI",
      );
    }
  } else if (tunnel !== undefined && ports.tunnels !== null) {
    const tunnels = ports.tunnels;
    if (vsis.some((vsi) => tunnels.get(vsi)?.has(tunnel))) return;
    const message = `${vsis.join(" and ")} ${vsis.length === 1 ? "uses" : "use"} no tunnel ${tunnel}`;
    const mine = vsis.flatMap((vsi) => [...(tunnels.get(vsi) ?? [])]);
    report([...path, "tunnel"], "unknown-tunnel", message, suggest(tunnel, mine, "the VSI's tunnels"));
  }
}

function checkAcs(s: Sections, report: Report): void {
  const vsis = s.vsis === null ? null : new Set(s.vsis.map((vsi) => vsi.name));
  const bound = boundVsis(s);
  for (const [index, ac] of (s.acs ?? []).entries()) {
    const path = ["acs", index];
    checkReference([...path, "vsi"], "VSI", ac.vsi, vsis, report);
    if (ac.tap === undefined && ac.handover !== true) {
      const fix = "add tap: {device: NAME}; or handover: true, where the VM makes its TAP and hands it over";
      report([...path, "tap"], "no-tap", "the AC has no tap", fix, "key");
    } else if (ac.tap !== undefined && ac.handover === true) {
      report(
        [...path, "handover"],
        "no-tap",
        "a TAP is either created (tap) or handed over (handover)",
        "keep one",
        "key",
      );
    } else if (ac.handover === true && s.attach === undefined) {
      report(
        [...path, "handover"],
        "no-attach",
        "no TAP can be handed over",
        "add attach: {socket: /run/vtepd/NAME.attach.sock}",
      );
    }
    if (ac.antiSpoof === true && bound !== null && vsis?.has(ac.vsi) && !bound.has(ac.vsi)) {
      const message = `antiSpoof compares with the subnets of a VSI-interface, and ${ac.vsi} has none`;
      report([...path, "antiSpoof"], "anti-spoof", message, "bind a VSI-interface, or remove antiSpoof");
    }
  }
}

function checkTaps({ acs }: Sections, report: Report): void {
  const circuits = new Map<string, string>();
  const devices = new Map<string, { name: string; mtu: number | "auto"; persist: boolean }>();
  for (const [index, { name, tap, vlan }] of (acs ?? []).entries()) {
    if (tap === undefined) continue;
    const device = JSON.stringify([tap.netns ?? "", tap.device]);
    const where = tap.netns === undefined ? tap.device : `${tap.device} in ${clip(tap.netns)}`;
    const other = circuits.get(`${vlan} ${device}`);
    if (other !== undefined) {
      const message = `AC ${other} is ${where}, ${vlan === "untagged" ? vlan : `VLAN ${vlan}`}, too`;
      report(["acs", index, "tap", "device"], "duplicate-device", message, "use another device, or another vlan");
    }
    circuits.set(`${vlan} ${device}`, name);
    const first = devices.get(device);
    if (first === undefined) devices.set(device, { name, mtu: tap.mtu, persist: tap.persist });
    else if (first.mtu !== tap.mtu || first.persist !== tap.persist) {
      const message = `AC ${first.name} asks for another mtu or persist of the same device ${where}`;
      report(["acs", index, "tap"], "shared-device", message, "ACs that share a TAP agree on mtu and persist");
    }
  }
}

/** RFC 7348 §4.3: a VTEP does not fragment, so what enters a VXLAN must fit the underlay with its outer headers. */
function checkTapMtu(s: Sections, report: Report): void {
  const most = overlayMtu(s);
  if (most === null || s.vsis === null) return;
  const overlay = new Set(s.vsis.filter((vsi) => vsi.vni !== undefined).map((vsi) => vsi.name));
  for (const [index, { tap, vsi }] of (s.acs ?? []).entries()) {
    if (tap === undefined || tap.mtu === "auto" || tap.mtu <= most || !overlay.has(vsi)) continue;
    report(["acs", index, "tap", "mtu"], "mtu", tooLong(tap.mtu, most, s), `use auto or at most ${most}`);
  }
}

export function tooLong(mtu: number, most: number, s: Sections): string {
  return `${mtu} does not fit underlay.mtu ${s.underlay?.mtu}: encapsulation leaves ${most}`;
}

/** The overlay IP MTU, where the file says it. */
export function overlayMtu({ underlay }: Sections): number | null {
  if (underlay === null || underlay.mtu === "auto") return null;
  return underlay.mtu - overheadOf(underlay.address.family);
}

/** Outer IP, UDP and VXLAN headers and the inner Ethernet header: 20 or 40, 8, 8, 14. */
export function overheadOf(family: 4 | 6): 50 | 70 {
  return family === 4 ? 50 : 70;
}

/** Names of the VSIs that a VSI-interface is bound to, or null. */
function boundVsis({ interfaces }: Sections): Set<string> | null {
  return interfaces === null ? null : new Set(interfaces.flatMap(vsisOf));
}

/** Every name of a list exists and stands there once. */
export function checkReferences(
  path: Path,
  kind: string,
  names: readonly string[],
  known: ReadonlySet<string> | null,
  report: Report,
): void {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    if (seen.has(name)) report([...path, index], "repeated-name", `${name} stands twice in the list`, "remove one");
    seen.add(name);
    checkReference([...path, index], kind, name, known, report);
  }
}

export function checkReference(
  path: Path,
  kind: string,
  name: string,
  known: ReadonlySet<string> | null,
  report: Report,
): void {
  if (known === null || known.has(name)) return;
  const rule = `unknown-${kind.toLowerCase()}`;
  report(path, rule, `there is no ${kind} ${name}`, suggest(name, known, `the ${kind}s of this file`));
}

export function suggest(name: string, known: Iterable<string>, where: string): () => string {
  return () => {
    const meant = nearest(name, known);
    return meant === null ? `name one of ${where}` : `did you mean ${meant}?`;
  };
}
