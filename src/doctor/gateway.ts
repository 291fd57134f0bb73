/**
 * The doctor, about a running gateway and its peers: do they answer, do they send, does a stranger send, is anything given up?
 *
 * Asymmetric tunnel lists are the mistake that is hardest to see from one side: a VTEP that sends us VXLAN and is not
 * configured here shows up as `unknown_vtep`, a configured one that does not know us never sends anything.
 */

import type { Examination } from "../api/feature.ts";
import type { Ac, DropCount, Features, Interface, Status, Tunnel, Vsi } from "../api/schema.ts";
import { type Check, type Diagnosis, fail, ok, warn } from "../api/schema-doctor.ts";
import type { Shown } from "../api/shown.ts";
import { portText } from "../control/event.ts";
import { plural } from "../wire/plural.ts";
import { checkDampedMoves } from "./damped-moves.ts";
import { checkDrops, longAgo, RECENT_SECONDS } from "./drops.ts";
import { checkGroPause, isGroPaused } from "./gro-pause.ts";
import { examineHost } from "./host.ts";
import { checkLoss } from "./loss.ts";
import { checkOpen } from "./sockets.ts";

/** From then on, and after so many packets, a peer that only listens is worth a word. */
const SILENT_SECONDS = 20;
const SILENT_SENT = 5;
/** A gateway that has just started has announced itself and its hosts, and floods are for hosts that may not be there. */
const ASK_THERE = "Announcements and floods need no answer: vtepctl ping HOST --interface NAME asks a host behind it";

export interface GatewayFacts {
  readonly status: Status;
  readonly acs: readonly Ac[];
  readonly tunnels: readonly Tunnel[];
  readonly features: Features;
  readonly vsis: readonly Vsi[];
  readonly interfaces: readonly Interface[];
  readonly hasEvpn: boolean;
  readonly drops: readonly Omit<DropCount, "ports">[];
  /** Addresses that two hosts have. */
  readonly duplicates: ReturnType<Shown["duplicates"]>;
  /** What a worker could not attach. */
  readonly refusedPorts: ReturnType<Shown["refusedPorts"]>;
  /** Prefixes that the route table has no room for. */
  readonly routesWithoutRoom: number;
  /** MACs that a limit kept from being learned. */
  readonly macLimits: ReturnType<Shown["macLimits"]>;
  /** Moves that were not believed. */
  readonly dampedMoves: ReturnType<Shown["dampedMoves"]>;
  /** Next hops that do not see their packets. */
  readonly bypassed: ReturnType<Shown["bypassed"]>;
}

export interface RunningGateway {
  readonly status: () => Status;
  readonly features: () => Features;
  readonly drops: () => readonly Omit<DropCount, "ports">[];
  readonly shown: Shown;
  /** The examinations of all features. */
  readonly checks: readonly Examination[];
}

/** Examine the gateway that runs in this process, and its machine. */
export async function diagnose({
  status,
  features,
  drops,
  shown,
  checks: further,
}: RunningGateway): Promise<Diagnosis> {
  const facts: GatewayFacts = {
    status: status(),
    acs: shown.acs(),
    tunnels: shown.tunnels().filter(({ lingering }) => lingering !== true),
    features: features(),
    vsis: shown.vsis(),
    interfaces: shown.interfaces(),
    hasEvpn: shown.config().evpn !== null,
    drops: drops(),
    duplicates: shown.duplicates(),
    refusedPorts: shown.refusedPorts(),
    routesWithoutRoom: shown.routesWithoutRoom(),
    macLimits: shown.macLimits(),
    dampedMoves: shown.dampedMoves(),
    bypassed: shown.bypassed(),
  };
  const checks = await examineGateway(facts, further);
  return { checks: [...checks, ...checkOpen(status().sockets), ...examineHost(shown.config(), true)] };
}

/** One examination of a gateway: a small function of what is known of it. */
export type GatewayCheck = (facts: GatewayFacts) => readonly Check[] | Promise<readonly Check[]>;

/** Those of the gateway as a whole, in the order in which they are told; each feature brings its own (api/feature.ts). */
const GATEWAY_CHECKS: readonly GatewayCheck[] = [
  ({ status }) => checkStatus(status),
  ({ status }) => [checkWorkers(status)],
  ({ refusedPorts }) => refusedPorts.map(checkAttached),
  ({ acs }) => acs.flatMap(checkLink),
  ({ tunnels }) => tunnels.flatMap(checkTraffic),
  ({ drops, ...context }) => checkDrops(drops, context),
  ({ drops, features }) => [checkLoss(drops, features)],
  ({ features }) => checkFeatures(features),
  ({ features }) => checkGroPause(features),
  ({ duplicates }) => checkDuplicates(duplicates),
  ({ bypassed }) => checkNextHops(bypassed),
  ({ macLimits }) => macLimits.map(checkMacLimit),
  ({ dampedMoves }) => dampedMoves.map(checkDampedMoves),
  ({ routesWithoutRoom }) => checkRoutes(routesWithoutRoom),
];

/** Examine what is known of a gateway, and what its features know more; all of it side by side. */
export async function examineGateway(facts: GatewayFacts, further: readonly Examination[]): Promise<Check[]> {
  const own = GATEWAY_CHECKS.map((check) => check(facts));
  const found = await Promise.all([...own, ...further.map((check) => check())]);
  return found.flat();
}

/** Two hosts that both answer: their traffic goes now to the one, now to the other. */
function checkDuplicates(duplicates: GatewayFacts["duplicates"]): Check[] {
  if (duplicates.length === 0) return [ok("addresses", "none is known that two hosts have")];
  return duplicates.map(({ ip, interface: iface, places, isProbe }) => {
    const where = places.map(({ mac, via }) => `${mac} at ${via}`).join(" and ");
    const text = isProbe
      ? `is in use, and another host would like to have it: ${where}`
      : `two hosts have it: ${where}`;
    return warn(`address ${ip} on ${iface}`, text, "give one of the two hosts another address");
  });
}

/** A VM behind another distributed gateway cannot be a next hop here. */
function checkNextHops(bypassed: GatewayFacts["bypassed"]): Check[] {
  return bypassed.map(({ of, ip, tunnel: { name } }) => {
    const text = `${of}: the gateway behind tunnel ${name} answers for ${ip} and routes by destination, past it`;
    return warn(`next hop ${ip}`, text, `put the policy on that gateway; or attach ${ip} to a VSI here`);
  });
}

/** A host without its /32 is reached through the control plane; a static route that is missing, not at all or elsewhere. */
function checkRoutes(withoutRoom: number): Check[] {
  if (withoutRoom === 0) return [ok("routes", "all are in the forwarding table")];
  const text = `the forwarding table is full and lacks ${plural(withoutRoom, "prefix", "prefixes")}, whose packets go by shorter ones`;
  return [warn("routes", text, "raise limits.routes or limits.neighbors and restart; or vtepctl arp flush")];
}

/** Does each forwarding thread make progress? */
function checkWorkers({ workers, stuckWorkers }: Status): Check {
  if (stuckWorkers.length === 0) return ok("workers", `${workers} of ${workers} make progress`);
  const text = stuckWorkers
    .map(({ worker, seconds }) => `worker ${worker} forwards nothing for ${seconds} s`)
    .join("; ");
  const fix = "after 10 s the process ends and its supervisor starts a new one; report it with `vtepctl bugreport`";
  return fail("workers", text, fix);
}

/** What is sent to a MAC that was not learned is flooded for as long as that lasts. */
function checkMacLimit(limit: ReturnType<Shown["macLimits"]>[number]): Check {
  const { vsi, mac, via, key, most, times, secondsAgo } = limit;
  const name = `MACs of ${vsi}`;
  const place = portText(via);
  const known = `${key} (${most}) is reached`;
  const text = `${plural(times, "time")} a MAC was not learned, the last ${mac} at ${place}: ${known}`;
  if (secondsAgo > RECENT_SECONDS) return ok(name, `${text}; the last ${longAgo(secondsAgo)} ago`);
  const where = key === "mac.limit" ? `mac.limit of ${vsi}` : key;
  return warn(
    name,
    `${text}; frames to it are flooded`,
    `raise ${where}, or see what sends from so many MACs at ${place}`,
  );
}

/** A thread that cannot read a TAP, or knows no peer, carries nothing of it, whatever the device says. */
function checkAttached({ kind, name, worker, error }: GatewayFacts["refusedPorts"][number]): Check {
  const subject = portText({ kind, name });
  const text = `down: worker ${worker} cannot attach it: ${error}; it tries again every second`;
  return fail(
    subject,
    text,
    kind === "ac" ? "is the TAP still there, and are file descriptors left?" : "restart vtepd, and report it",
  );
}

/** What is to be done where the gateway is not ready: one that drains lacks nothing. */
export function readyFix(missing: readonly string[]): string {
  const track = missing.flatMap((each) => /^draining: track (\S+)/.exec(each)?.[1] ?? [])[0];
  if (track !== undefined) return `it ends when track ${track} is up: vtepctl show track`;
  if (missing.every((each) => each === "draining")) return "vtepctl undrain ends it";
  return "bring what is missing; vtepctl show ac";
}

function checkStatus({ ready, missing, config, probing }: Status): Check[] {
  const checks = [ready ? ok("ready", "yes") : warn("ready", `no: ${missing.join("; ")}`, readyFix(missing))];
  if (!config.lastReloadSuccessful)
    checks.push(warn("config", `the last reload of ${config.file} was refused`, "vtepctl config check"));
  else if (config.needsRestart.length > 0)
    checks.push(warn("config", `needs a restart: ${config.needsRestart.join(", ")}`, "restart vtepd"));
  else checks.push(ok("config", `${config.file} is in force`));
  checks.push(checkProbing(probing));
  return checks;
}

/** What the echoes go by. */
const ECHO_SOCKETS = {
  raw: "a raw ICMP socket",
  datagram: "the kernel's ICMP datagram socket, which needs no capability",
} as const;

function checkProbing({ state, watched, by, reason, fix }: Status["probing"]): Check {
  if (state === "off") return warn("probing", `off: ${reason}`, fix ?? "see the log");
  if (state === "unused")
    return ok("probing", "no tunnel has a keepalive; peers are asked by ICMP only when somebody does");
  const what = `${watched} ${watched === 1 ? "tunnel is" : "tunnels are"} watched`;
  return ok("probing", by === null ? what : `${what}, by ${ECHO_SOCKETS[by]}`);
}

/** An AC without its TAP is no news to anybody (ready says so); one whose VM is silent by its own will looks like a fault. */
function checkLink({ name, linkDown, device, netns }: Ac): Check[] {
  if (linkDown !== true) return [];
  const where =
    device === null
      ? "in the VM: ip link set IFACE up"
      : `ip${netns === null ? "" : ` -n ${netns}`} link set ${device} up`;
  return [warn(`AC ${name}`, "its VM has set the interface down: packets to it end with host unreachable", where)];
}

/** We send and it does not: does it know us, and does it run? What comes and is dropped at the door is no silence. */
function checkTraffic({ name, remote, receive, transmit, probe, bfd, turnedAway = 0 }: Tunnel): Check[] {
  const key = `traffic of ${name}`;
  const { silentSeconds, sentSince } = probe;
  if (receive.packets + turnedAway > 0 && silentSeconds >= SILENT_SECONDS && sentSince >= SILENT_SENT) {
    const text = `${plural(sentSince, "packet")} sent, none received for ${silentSeconds} s`;
    const runs =
      bfd?.verdict === "up" ? "vtepd runs, says BFD: had it anything to answer" : "does vtepd run (vtepctl status)";
    return [warn(key, text, `on ${remote}: ${runs}, and is UDP 4789 open both ways? ${ASK_THERE}`)];
  }
  const counts = `${plural(receive.packets, "packet")} received, ${transmit.packets} sent`;
  if (turnedAway > 0)
    return [ok(key, `${counts}; ${turnedAway} more came and were dropped at the door: the drops below say why`)];
  if (receive.packets > 0) return [ok(key, counts)];
  if (transmit.packets === 0) return [ok(key, "none yet, in either direction")];
  // A tunnel of routes is called after them (control/topology/ports.ts); what is at its end may be anything.
  const knows = name.startsWith("evpn:")
    ? "has it our routes of types 2 and 3"
    : "does vtepd run, is our address in its tunnel list";
  const fix = `on ${remote}: ${knows}, and is UDP 4789 open both ways? ${ASK_THERE}`;
  return [warn(key, `${plural(transmit.packets, "packet")} sent, none ever received`, fix)];
}

function checkFeatures({ offloads, fallbacks, workers }: Features): Check[] {
  const isGivenUp = ({ name, wanted, inUse }: Features["offloads"][number]) =>
    wanted && !inUse && !(name === "udpGro" && isGroPaused(fallbacks));
  const given = offloads.filter(isGivenUp).map(({ name }) => name);
  const causes = fallbacks.filter(({ count }) => count > 0).map(({ cause, count }) => `${cause} ${count}`);
  const reasons = causes.length > 0 ? ` (${causes.join(", ")})` : "";
  const lost = workers.reduce((sum, { receiveDrops }) => sum + receiveDrops, 0);
  const least = Math.min(...workers.map(({ receiveBuffer }) => receiveBuffer));
  const more = "sysctl -w net.core.rmem_max=8388608, or give CAP_NET_ADMIN, and restart";
  return [
    given.length === 0
      ? ok("offloads", `all that are wanted are in use${reasons}`)
      : warn(
          "offloads",
          `given up: ${given.join(", ")}${reasons}`,
          "a newer kernel may have them; all still works, slower",
        ),
    lost > 0
      ? warn("receive buffer", `${lost} datagrams lost in it; ${least} bytes were granted`, more)
      : least < 1 << 20
        ? warn("receive buffer", `only ${least} bytes were granted: bursts will be lost`, more)
        : ok("receive buffer", `${least} bytes, nothing lost in it`),
  ];
}
