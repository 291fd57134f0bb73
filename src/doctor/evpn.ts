/** The doctor about BGP EVPN: is the engine there, are its sessions, do its routes come through, has each its own name, and who else may command it? */
import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { type Check, fail, ok, warn } from "../api/schema-doctor.ts";
import type { Evpn } from "../api/schema-evpn.ts";
import type { Config } from "../control/plan.ts";

/** gobgpd's own default: TCP on all addresses, without a password. */
const API_PORT = 50051;

/** gobgpd before 3.22 takes time with the square of the routes, and up to 3.26 it loses some (docs/evpn.md). */
const SMALL_FABRIC = 1000;

/** Why VTEPs have no tunnel: one of them, and how many. */
export type VtepProblems = ReadonlyMap<string, { readonly vtep: string; readonly count: number }>;

export function checkEvpn(evpn: Evpn | null, config: Config, problems: VtepProblems = new Map()): Check[] {
  if (evpn === null) return [];
  return [
    checkEngine(evpn),
    ...evpn.peers.map(checkPeer),
    ...(evpn.engine.up && evpn.peers.length === 0
      ? [warn("evpn sessions", "the engine has none", "add evpn.peers, or neighbors to gobgpd's own file")]
      : []),
    ...checkRouterIds(evpn),
    ...checkVteps(evpn),
    ...checkTunnels(problems),
    ...checkGateways(config),
    checkExposure(evpn.engine.socket),
  ];
}

function checkEngine({ engine, state, routes }: Evpn): Check {
  const { socket, problem, api } = engine;
  if (!engine.up)
    return fail(
      "evpn engine",
      `no answer at ${socket}: ${problem ?? "not yet"}`,
      `start gobgpd --api-hosts unix://${socket}`,
    );
  if (routes.stale > 0)
    return warn("evpn engine", `${routes.stale} routes are stale: no session vouches for them`, "vtepctl show evpn");
  const text = `gobgpd answers at ${socket} (API ${api}): ${state}, ${routes.in} routes in, ${routes.out} out`;
  // Its API does not tell which one it is.
  if (api === "v3" && routes.in > SMALL_FABRIC)
    return ok(
      "evpn engine",
      `${text}; \`gobgpd --version\` should say 3.27 or later, older ones are for ${SMALL_FABRIC} routes`,
    );
  return ok("evpn engine", text);
}

function checkPeer({ address, as, state, routes }: Evpn["peers"][number]): Check {
  const name = `evpn peer ${address}`;
  if (state === "established") return ok(name, `AS ${as}, established, ${routes} routes`);
  const fix = `on ${address}: is TCP 179 open, is our address its neighbor, AS and l2vpn evpn activated?`;
  return warn(name, `AS ${as}, ${state}`, fix);
}

/** Of what two gateways with one router id announce, one route of each key stands, and behind a reflector they do not hear each other. */
function checkRouterIds({ sharedRouterIds = [] }: Evpn): Check[] {
  return sharedRouterIds.map(({ routerId, isOurs, vteps }) => {
    const which = vteps.join(", ");
    const text = isOurs
      ? `router id ${routerId} is ours, and that of VTEP ${which}: hosts of each may be missing at the other, and elsewhere`
      : `VTEPs ${which} have one router id, ${routerId}: hosts of each may be missing at the other, and elsewhere`;
    return warn("evpn router ids", text, "give each its own evpn.routerId (another maker's: its BGP router id)");
  });
}

/** Targets that no other VTEP shares: a VSI without any VTEP, while other routes come. */
function checkVteps({ vsis, state, routes }: Evpn): Check[] {
  if (state !== "synced" || routes.in === 0) return [];
  return vsis
    .filter(({ vteps }) => vteps === 0)
    .map(({ vsi, import: imports, export: exports }) => {
      const text = `routes come, and none has a target of ${imports.join(", ")}: no other VTEP is in it`;
      return warn(`evpn ${vsi}`, text, `do the others export such a target? We export ${exports.join(", ")}`);
    });
}

/** Routes that lead to a VTEP without a tunnel are in no table. */
function checkTunnels(problems: VtepProblems): Check[] {
  return Array.from(problems, ([reason, { vtep, count }]) => {
    const which = count === 1 ? vtep : `${vtep} and ${count - 1} more`;
    // EVPN's VTEPs are of the underlay's family, which is IPv4 (config/rules-evpn.ts).
    const isIpv6 = vtep.includes(":");
    const fix = isIpv6 ? "give it an IPv4 VTEP address: EVPN has no IPv6 underlay here" : "vtepctl show evpn vteps";
    return warn("evpn tunnels", `routes are behind ${which}, to which there is none: ${reason}`, fix);
  });
}

/** One gateway IP with several MACs looks to the fabric like a host that moves all the time. That of an L3VNI has no address. */
function checkGateways({ interfaces, vsis }: Config): Check[] {
  const inEvpn = new Set(vsis.filter(({ evpn }) => evpn !== null).map(({ name }) => name));
  return interfaces
    .filter(({ mac, distributed, addresses }) => mac === "auto" && distributed && addresses.length > 0)
    .filter((each) => each.vsis.some((vsi) => inEvpn.has(vsi)))
    .map(({ name }) => {
      const text = "mac: auto gives each gateway a MAC of its own for an address that all of them have";
      return warn(
        `gateway MAC of ${name}`,
        text,
        "write mac: shared, or the MAC that the fabric's other gateways have",
      );
    });
}

/** A client that reaches the engine's API can announce anything. */
function checkExposure(socket: string): Check {
  const name = "evpn engine's API";
  if (isListening(API_PORT)) {
    const text = `TCP port ${API_PORT} is open: gobgpd's API without a password, if it is gobgpd's`;
    return warn(name, text, `start gobgpd with --api-hosts unix://${socket} --pprof-disable`);
  }
  try {
    const isOpen = (statSync(socket).mode & 0o002) !== 0 && (statSync(dirname(socket)).mode & 0o001) !== 0;
    if (isOpen) return warn(name, `everybody on this machine may use ${socket}`, `chmod 0700 ${dirname(socket)}`);
  } catch {
    return ok(name, "no socket yet");
  }
  return ok(name, "a Unix socket that not everybody may use");
}

/** In this network namespace, on any address (proc(5), net/tcp: state 0A is LISTEN). */
function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return ["tcp", "tcp6"].some((family) => {
    try {
      return readFileSync(`/proc/net/${family}`, "utf8")
        .split("\n")
        .some((line) => new RegExp(`:${hex} [0-9A-F:]+ 0A `).test(line));
    } catch {
      return false;
    }
  });
}
