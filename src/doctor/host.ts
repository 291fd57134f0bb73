/**
 * The doctor, about this machine: can a gateway with this configuration run here, and as well as it could?
 *
 * Nothing is changed and nothing is kept: files are read, the addon and the libraries are looked for, the kernel is asked for
 * its routes. What only a running daemon knows is in gateway.ts.
 */
import { accessSync, constants, existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { availableParallelism, release } from "node:os";
import { type Check, fail, ok, warn } from "../api/schema-doctor.ts";
import { peerAddress } from "../control/peer-address.ts";
import type { Config } from "../control/plan.ts";
import { addon, errnoText, IoError } from "../io/addon.ts";
import { buildOf, capIsBuilt, fixForCap } from "../io/how-to-build.ts";
import { refusedByKernel } from "../io/offload.ts";
import { netnsPath } from "../io/tap.ts";
import { addressGone, deviceMtuFor, pathMtu, type UnderlayDevice, whyDead } from "../io/underlay.ts";
import { openDatagramEcho } from "../liveness/datagram-echo.ts";
import { EchoUnavailable } from "../liveness/echo-socket.ts";
import { whyNoRawSocket } from "../liveness/raw-echo.ts";
import { plural } from "../wire/plural.ts";
import { checkSockets } from "./sockets.ts";

const CAPABILITIES = { CAP_NET_BIND_SERVICE: 10, CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_SYS_ADMIN: 21 } as const;
type Capability = keyof typeof CAPABILITIES;
/** What a worker asks for (io/offload.ts). */
const WANTED_RECEIVE = 8 << 20;
const WANTED_SEND = 4 << 20;

export interface HostFacts {
  /** Null: no configuration is known, and only what every gateway needs is looked at. */
  readonly config: Config | null;
  /** The daemon itself asks: its port is its own. */
  readonly isRunning: boolean;
  /** Does the addon load? What asks the kernel needs it. */
  readonly hasAddon: boolean;
}

/** One examination of the machine; what does not concern this configuration has no line. */
export type HostCheck = (facts: HostFacts) => readonly Check[];

/** All of them, in the order in which they are told. A feature adds its own here. */
const HOST_CHECKS: readonly HostCheck[] = [
  () => [checkKernel()],
  () => [checkAddon()],
  checkCapabilities,
  ({ config }) => [checkTun(config)],
  ({ config, isRunning }) => (config !== null && !isRunning ? checkNamespaces(config) : []),
  checkLibraries,
  ({ config }) => (config !== null && config.workers.count > 1 ? [checkWorkers(config.workers.count)] : []),
  ({ config, hasAddon }) => (config !== null && hasAddon ? checkUnderlay(config) : []),
  ({ config, hasAddon }) => (config !== null && hasAddon ? checkRoutes(config) : []),
  ({ config, hasAddon, isRunning }) => (config !== null && hasAddon && !isRunning ? [checkPort(config)] : []),
  ({ config }) => (config === null ? [] : checkZeroChecksum(config)),
  () => checkBuffers(),
  ({ config }) => (config === null ? [] : checkSockets(config)),
];

/** @param isRunning the daemon itself asks: its port is its own. */
export function examineHost(config: Config | null, isRunning: boolean): Check[] {
  const facts = { config, isRunning, hasAddon: checkAddon().result === "ok" };
  return HOST_CHECKS.flatMap((check) => check(facts));
}

function checkKernel(): Check {
  const refused = refusedByKernel(release());
  if (refused.length === 0) return ok("kernel", `Linux ${release()}, Node ${process.version}`);
  const text = `Linux ${release()} is known to break ${refused.join(" and ")}: not used`;
  return warn("kernel", text, "another kernel release brings the speed back");
}

function checkAddon(): Check {
  try {
    addon();
    return ok("addon", "the native addon loads and fits");
  } catch (error) {
    return fail("addon", (error as Error).message, buildOf("addon"));
  }
}

/** Receivers refuse UDP over IPv6 without a checksum unless they are told (RFC 6935 §5), and count it where only they look. */
export function checkZeroChecksum({ underlay, tunnels }: Pick<Config, "underlay" | "tunnels">): Check[] {
  if (underlay.family === 4 || underlay.checksum !== "zero" || tunnels.length === 0) return [];
  const text =
    "outer checksums are zero over IPv6: a peer that does not expect that drops all we send, and we hear nothing of it";
  const peers = "udp6zerocsumrx on a kernel's vxlan device, underlay.acceptZeroChecksum on a vtepd";
  return [
    warn("outer checksum", text, `checksum: auto; or on each peer: ${peers} (its nstat counts Udp6InCsumErrors)`),
  ];
}

/** More forwarding threads than processors take turns, and every turn is a delay. */
function checkWorkers(workers: number): Check {
  const processors = availableParallelism();
  if (workers <= processors) return ok("workers", `${workers}, on ${plural(processors, "processor")}`);
  const text = `${workers} workers share ${plural(processors, "processor")}`;
  return warn("workers", text, `no more than workers: ${processors} gain anything on this machine`);
}

/** The capabilities in force, from CapEff of /proc/self/status (proc(5)). */
function hasCapability(capability: Capability): boolean {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return line !== null && ((BigInt(`0x${line[1]}`) >> BigInt(CAPABILITIES[capability])) & 1n) === 1n;
}

/** Why tunnels cannot be watched without CAP_NET_RAW either; null: they can. */
function whyNoDatagramEcho({ config, hasAddon }: HostFacts): EchoUnavailable | null {
  if (!hasAddon) return new EchoUnavailable("the native addon does not load", buildOf("addon"));
  const family = config?.underlay.family ?? 4;
  try {
    openDatagramEcho({ family, source: family === 4 ? "0.0.0.0" : "::", onNews: () => undefined }).close();
    return null;
  } catch (error) {
    if (error instanceof EchoUnavailable) return error;
    throw error;
  }
}

function checkCapabilities(facts: HostFacts): Check[] {
  const { config } = facts;
  const taps = config?.acs.filter((ac) => ac.tap !== null) ?? [];
  const wanted: [Capability, boolean, string][] = [
    ["CAP_NET_ADMIN", taps.length > 0, "to create TAPs"],
    ["CAP_SYS_ADMIN", taps.some((ac) => ac.tap!.netns !== null), "to create TAPs in other namespaces"],
    ["CAP_NET_BIND_SERVICE", (config?.underlay.port ?? 4789) < 1024, "for a port below 1024"],
    [
      "CAP_NET_RAW",
      config?.tunnels.some((tunnel) => tunnel.keepalive !== null) ?? false,
      "to watch tunnels (keepalive)",
    ],
  ];
  return wanted.map(([name, isNeeded, why]) => {
    const key = `capability ${name}`;
    if (hasCapability(name)) return ok(key, `there${isNeeded ? `, and needed ${why}` : ""}`);
    if (!isNeeded) return ok(key, "not there, and not needed by this configuration");
    const fix = `give it: systemd AmbientCapabilities=${name}, docker --cap-add ${name.slice(4)}; or run as root`;
    if (name !== "CAP_NET_RAW") return fail(key, `missing; needed ${why}`, fix);
    const problem = whyNoDatagramEcho(facts);
    if (problem === null) return ok(key, "not there, and not needed: an ICMP datagram socket watches tunnels as well");
    return warn(
      key,
      `missing; needed ${why}, for there is no other way: ${problem.message}`,
      `${fix}; or ${problem.fix}`,
    );
  });
}

function checkTun(config: Config | null): Check {
  const isNeeded = config?.acs.some((ac) => ac.tap !== null) ?? true;
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
    return ok("/dev/net/tun", "can be opened");
  } catch (error) {
    const text = `cannot be opened: ${(error as NodeJS.ErrnoException).code}`;
    if (!isNeeded) return ok("/dev/net/tun", `${text}; not needed: all TAPs are handed over`);
    return fail("/dev/net/tun", text, "modprobe tun; docker: --device /dev/net/tun");
  }
}

/** The namespaces that TAPs are to be made in: the daemon does not start while one is missing. */
function checkNamespaces({ acs }: Config): Check[] {
  const names = new Set(acs.flatMap(({ tap }) => tap?.netns ?? []));
  return [...names].map((netns) => {
    const key = `namespace ${netns}`;
    const users = acs.filter(({ tap }) => tap?.netns === netns).map(({ name }) => name);
    const taps = `TAP of AC ${users.slice(0, 3).join(", ")}${users.length > 3 ? ", …" : ""}`;
    if (existsSync(netnsPath(netns))) return ok(key, `there, for the ${taps}`);
    const fix = netns.includes("/") ? "start what it belongs to, or correct tap.netns" : `ip netns add ${netns}`;
    return fail(key, `there is none, for the ${taps}`, fix);
  });
}

function checkLibraries(facts: HostFacts): Check[] {
  const problem = whyNoRawSocket();
  const isWatched = facts.config?.tunnels.some((tunnel) => tunnel.keepalive !== null) ?? false;
  const raw =
    problem === null
      ? ok("raw-socket", "built: tunnels can be probed")
      : (isWatched && whyNoDatagramEcho(facts) !== null ? fail : warn)("raw-socket", problem.message, problem.fix);
  return [raw, capIsBuilt() ? ok("cap", "built: vtepctl capture --iface works") : capMissing()];
}

function capMissing(): Check {
  return warn("cap", "not built: vtepctl capture --iface does not work", fixForCap());
}

function checkUnderlay({ underlay }: Config): Check[] {
  const { address, mtu, overhead } = underlay;
  try {
    const device = deviceMtuFor(address);
    const used = mtu === "auto" ? device.mtu : mtu;
    const inner = `${used - overhead} bytes inside`;
    const dead = whyDead(device);
    const where = `${address} is on ${device.device}`;
    const checks = [
      dead === null
        ? ok("underlay address", where)
        : fail("underlay address", `${where}; ${dead.problem}: no tunnel sends or receives`, dead.fix),
    ];
    if (used > device.mtu) {
      const text = `underlay.mtu is ${used}, but ${device.device} carries ${device.mtu}: long packets are lost`;
      checks.push(fail("underlay MTU", text, `underlay.mtu: auto, or ip link set dev ${device.device} mtu ${used}`));
    } else checks.push(ok("underlay MTU", `${used} of ${device.mtu} bytes on ${device.device}: ${inner}`));
    checks.push(...checkGro(device, existsSync(`/sys/class/net/${device.device}/device`)));
    return checks;
  } catch (error) {
    if (!(error instanceof IoError)) throw error;
    const { problem, fix } = addressGone(address, "DEVICE");
    return [fail("underlay address", `${problem}: no tunnel sends or receives`, `${fix}, or change underlay.address`)];
  }
}

/**
 * A wire brings packets of the MTU one by one, unless its device joins them. A veth hands whole super-frames over and needs no
 * GRO, unless it is told to cut them too. @param isHardware a device has a driver of its own bus
 */
export function checkGro(
  { device, gro, tso }: Pick<UnderlayDevice, "device" | "gro" | "tso">,
  isHardware: boolean,
): Check[] {
  const isWire = isHardware || tso === false;
  if (!isWire || gro === null) return [];
  if (gro) return [ok("underlay GRO", `${device} joins received packets`)];
  const text = `${device} hands received packets over one by one: bulk TCP carries little more than half`;
  return [warn("underlay GRO", text, `ethtool -K ${device} gro on`)];
}

/** Routes go with their device, and come back with it. */
function whyUnderlayIsDead(address: string): { readonly fix: string } | null {
  try {
    return whyDead(deviceMtuFor(address));
  } catch (error) {
    if (!(error instanceof IoError)) throw error;
    return addressGone(address, "DEVICE");
  }
}

/** Does the kernel know a way to each peer, and how wide does it think it is? */
function checkRoutes({ underlay, tunnels }: Config): Check[] {
  const dead = whyUnderlayIsDead(underlay.address);
  return tunnels.map(({ name, remote }) => {
    const mtu = pathMtu(underlay.address, remote);
    const key = `route to ${name}`;
    if (mtu < 0)
      return fail(key, `none to ${remote}: ${errnoText(mtu)}`, dead?.fix ?? `ip route add ${remote} via ROUTER`);
    const most = underlay.mtu === "auto" ? mtu : underlay.mtu;
    if (mtu >= most) return ok(key, `there is one to ${remote}; our kernel believes in ${mtu} bytes`);
    const text = `our kernel believes in ${mtu} bytes to ${remote}, underlay.mtu is ${most}`;
    return warn(key, text, "a link on the way is narrower: raise its MTU, or lower underlay.mtu");
  });
}

const ANY4 = "0".repeat(8);
const ANY6 = "0".repeat(32);
/** ::ffff:0:0/96, as the kernel prints it. */
const MAPPED = `${"0".repeat(16)}FFFF0000`;

/** Only what takes packets to our address is in the way: no socket of IPv4 to an IPv6 one, and of IPv6 to an IPv4 one those of both. */
export function checkPort({ underlay }: { readonly underlay: Pick<Config["underlay"], "address" | "port"> }): Check {
  const { address, port } = underlay;
  const own = kernelText(peerAddress(address));
  const isIpv6 = own.length === ANY6.length;
  const holder = isIpv6
    ? holderOf("/proc/net/udp6", port, [own, ANY6])
    : (holderOf("/proc/net/udp", port, [own, ANY4]) ?? holderOf("/proc/net/udp6", port, [MAPPED + own]));
  const fix = "stop that program, or choose another underlay.port (the peers must use it too)";
  if (holder !== null) return fail("port", `UDP ${port} of ${address} is taken by ${holder}`, fix);
  // Its IPV6_V6ONLY, without which it takes IPv4 too, is in no file.
  const both = isIpv6 ? null : holderOf("/proc/net/udp6", port, [ANY6]);
  if (both !== null) return warn("port", `UDP ${port} of ${address} may be taken by ${both}, which has it of ::`, fix);
  return ok("port", `UDP ${port} of ${address} is free`);
}

/** Who has this UDP port of one of `addresses`: `file` names a socket's inode, a process with it as an open file is its owner. */
function holderOf(file: string, port: number, addresses: readonly string[]): string | null {
  if (!existsSync(file)) return null;
  for (const line of readFileSync(file, "utf8").split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [ip = "", hexPort = ""] = (fields[1] ?? "").split(":");
    if (Number.parseInt(hexPort, 16) !== port || !addresses.includes(ip)) continue;
    const inode = fields[9] ?? "0";
    return inode === "0" ? "the kernel (a vxlan device?)" : processOf(inode);
  }
  return null;
}

/** Address bytes as /proc/net/udp prints them: 32-bit words in this machine's byte order. */
function kernelText(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    const word = [...bytes.subarray(at, at + 4)].reverse();
    text += word.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  return text.toUpperCase();
}

function processOf(inode: string): string {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const isOwner = readdirSync(`/proc/${pid}/fd`).some((fd) => {
        try {
          return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
        } catch {
          return false; // closed meanwhile
        }
      });
      if (isOwner) return `${readFileSync(`/proc/${pid}/comm`, "utf8").trim()} (pid ${pid})`;
    } catch {
      // another user's, or gone
    }
  }
  return "a process that this user may not look into";
}

function checkBuffers(): Check[] {
  const forced = hasCapability("CAP_NET_ADMIN");
  const rows: [string, number][] = [
    ["net.core.rmem_max", WANTED_RECEIVE],
    ["net.core.wmem_max", WANTED_SEND],
  ];
  return rows.map(([name, wanted]) => {
    const file = `/proc/sys/${name.replaceAll(".", "/")}`;
    // In a namespace of its own the daemon does not see it: what was granted is in gateway.ts.
    const limit = existsSync(file) ? Number(readFileSync(file, "utf8")) : wanted;
    if (limit >= wanted) return ok(name, `${limit} bytes`);
    if (forced) return ok(name, `${limit} bytes; CAP_NET_ADMIN goes beyond it`);
    return warn(name, `${limit} bytes: bursts are lost in a small buffer`, `sysctl -w ${name}=${wanted}`);
  });
}
