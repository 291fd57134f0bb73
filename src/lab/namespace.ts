/**
 * Network namespaces: a machine with its own devices, addresses, routes and neighbour table, in one kernel
 * (network_namespaces(7)). A named one is a file in /run/netns that `ip netns` keeps mounted (ip-netns(8)).
 *
 * Every device of a bed is made *inside* its namespace, so that nothing can clash with the host and deleting the
 * namespace deletes all of it. IPv6 is off from the start: router solicitations and MLD reports of a kernel that just
 * met a new device are noise in a capture that must account for every frame.
 */
import { existsSync, readdirSync } from "node:fs";
import { until } from "./deadline.ts";
import { end, follow, identityOf, must, type Outcome, run } from "./process.ts";

const FOLDER = "/run/netns";

/** Program and arguments that run `program` inside `namespace`; /sys is that namespace's too. */
export function inside(namespace: string, program: string, args: readonly string[]): [string, string[]] {
  return ["ip", ["netns", "exec", namespace, program, ...args]];
}

/**
 * As `inside`, in a session of its own: a scheduling group beside the gateways', as a VM's or a container's is (autogroup,
 * sched(7)). In one group with them, what the lab shows would be what no user gets.
 */
function apart(namespace: string, program: string, args: readonly string[]): [string, string[]] {
  const [outer, all] = inside(namespace, program, args);
  return ["setsid", [outer, ...all]];
}

/** A child inside a namespace with pipes to it, apart; it ends with us at the latest. */
export function followIn(namespace: string, program: string, args: readonly string[]): ReturnType<typeof follow> {
  return follow(...apart(namespace, program, args));
}

export function runIn(
  namespace: string,
  program: string,
  args: readonly string[],
  timeoutMs?: number,
): Promise<Outcome> {
  const [outer, all] = apart(namespace, program, args);
  return run(outer, all, timeoutMs);
}

export function mustIn(
  namespace: string,
  program: string,
  args: readonly string[],
  timeoutMs?: number,
): Promise<string> {
  const [outer, all] = apart(namespace, program, args);
  return must(outer, all, timeoutMs);
}

/** Several `ip` commands in one process, inside `namespace`; the first failing one is the error. */
export async function ipIn(namespace: string, ...commands: readonly string[]): Promise<void> {
  await must("ip", ["-n", namespace, "-batch", "-"], undefined, `${commands.join("\n")}\n`);
}

export function hasNamespace(namespace: string): boolean {
  return existsSync(`${FOLDER}/${namespace}`);
}

/** Names of all namespaces that start with `prefix`. */
export function namespacesWith(prefix: string): string[] {
  if (!existsSync(FOLDER)) return [];
  return readdirSync(FOLDER).filter((name) => name.startsWith(prefix));
}

/** A namespace with loopback up and IPv6 off. */
export async function createNamespace(namespace: string): Promise<void> {
  await must("ip", ["netns", "add", namespace]);
  await ipIn(namespace, "link set lo up");
  await setSwitches(namespace, "1", ["ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6"]);
}

/** End whatever still runs in a namespace and delete it. One that is not there is no error. */
export async function deleteNamespace(namespace: string): Promise<void> {
  if (!hasNamespace(namespace)) return;
  const pids = (await run("ip", ["netns", "pids", namespace])).stdout.split("\n").filter((line) => line !== "");
  await end(pids.map((pid) => identityOf(Number(pid))).filter((process) => process !== undefined));
  await run("ip", ["netns", "del", namespace]);
  if (hasNamespace(namespace)) throw new Error(`namespace ${namespace} could not be deleted`);
}

/** A veth pair: `device` in `namespace`, its other end `peerDevice` in `peerNamespace`; both up. */
export async function createVeth(
  namespace: string,
  device: string,
  peerNamespace: string,
  peerDevice: string,
  mtu = 1500,
): Promise<void> {
  await ipIn(
    namespace,
    `link add name ${device} mtu ${mtu} type veth peer name ${peerDevice} mtu ${mtu} netns ${peerNamespace}`,
    `link set dev ${device} up`,
  );
  await ipIn(peerNamespace, `link set dev ${peerDevice} up`);
}

/** A bridge that forwards at once and keeps quiet: no spanning tree, no multicast snooping, no netfilter. */
export async function createBridge(namespace: string, bridge: string): Promise<void> {
  await ipIn(
    namespace,
    `link add name ${bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    `link set dev ${bridge} up`,
  );
  await setSwitches(namespace, "0", ["bridge/bridge-nf-call-iptables"]);
}

/** Has this kernel IPv6 at all? */
export const hasIpv6 = existsSync("/proc/sys/net/ipv6");

/**
 * IPv6 on a device: an address of the link made of its MAC, which it need not be sure of, as no other is. What routers say is not
 * heard.
 */
export async function enableIpv6(namespace: string, device: string): Promise<void> {
  const of = (name: string) => `ipv6/conf/${device}/${name}`;
  await setSwitches(namespace, "0", ["accept_dad", "accept_ra", "router_solicitations", "disable_ipv6"].map(of));
}

/** Write `value` to files under /proc/sys/net, as `namespace` sees them; a kernel without such a switch needs none. */
async function setSwitches(namespace: string, value: string, switches: readonly string[]): Promise<void> {
  const script = 'for file; do [ ! -e "$file" ] || echo "$0" > "$file"; done';
  const files = switches.map((name) => `/proc/sys/net/${name}`);
  await mustIn(namespace, "sh", ["-c", script, value, ...files]);
}

/** Wait until `device` exists in `namespace`. */
export async function untilDevice(namespace: string, device: string, deadlineMs: number): Promise<void> {
  await until(`${device} in ${namespace}`, deadlineMs, async () => {
    const shown = await run("ip", ["-n", namespace, "link", "show", "dev", device]);
    return shown.status === 0;
  });
}

/** Bytes and packets that `device` has received and sent. */
export async function countersOf(namespace: string, device: string): Promise<Counters> {
  const text = await must("ip", ["-n", namespace, "-s", "-j", "link", "show", "dev", device]);
  const [link] = JSON.parse(text) as [{ stats64: { rx: Record<string, number>; tx: Record<string, number> } }];
  const { rx, tx } = link.stats64;
  return {
    receivedBytes: rx.bytes ?? 0,
    sentBytes: tx.bytes ?? 0,
    receivedPackets: rx.packets ?? 0,
    sentPackets: tx.packets ?? 0,
  };
}

export interface Counters {
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly sentPackets: number;
}

/** The kernel's neighbour table of a namespace: IP to MAC, resolved entries only. */
export async function neighboursOf(namespace: string, family: 4 | 6 = 4): Promise<Map<string, string>> {
  const text = await must("ip", ["-n", namespace, "-j", `-${family}`, "neigh", "show"]);
  const entries = JSON.parse(text === "" ? "[]" : text) as { dst: string; lladdr?: string }[];
  const known = new Map<string, string>();
  for (const entry of entries) if (entry.lladdr !== undefined) known.set(entry.dst, entry.lladdr);
  return known;
}
