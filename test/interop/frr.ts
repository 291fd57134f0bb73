/**
 * FRR in a namespace of a bed: zebra and bgpd with their files in the bed's folder, and vtysh to ask them. A leaf has kernel
 * bridges and VXLAN devices, as FRR's own users build them; a route reflector has BGP alone.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../src/lab/deadline.ts";
import type { Bed } from "../netns/bed.ts";

export const FRR_PROGRAMS = ["/usr/lib/frr/zebra", "/usr/lib/frr/bgpd", "vtysh"];

/** Why its bfdd cannot run here; undefined when it can. */
export function whyNoBfdd(): string | undefined {
  const isThere = (name: string) => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0;
  return ["/usr/lib/frr/bfdd", "vtysh"].every(isThere) ? undefined : "frr is not installed";
}

export interface Frr {
  /** `vtysh -c COMMAND …`. */
  ask(...commands: readonly string[]): Promise<string>;
  json<T>(command: string): Promise<T>;
  /** Process of one of its daemons. */
  pid(daemon: string): number;
  /** Its files go; its processes end with the bed. */
  remove(): void;
}

/** Start zebra and bgpd, or other daemons, with `config` in namespace `node`. */
export async function startFrr(
  bed: Bed,
  node: string,
  config: string,
  daemons: readonly string[] = ["zebra", "bgpd"],
): Promise<Frr> {
  // Its daemons give up root, and root is in none of their groups: a folder of their own, which the bed's is not.
  const folder = mkdtempSync(join(tmpdir(), "frr-"));
  chmodSync(folder, 0o755);
  const file = join(folder, "frr.conf");
  writeFileSync(file, `hostname ${node}\nlog file ${join(folder, "frr.log")}\n${config}`);
  spawnSync("chown", ["-R", "frr:frr", folder]);
  const socket = join(folder, "zserv.api");
  const common = ["-f", file, "-z", socket, "--vty_socket", folder, "-u", "frr", "-g", "frr"];
  for (const daemon of daemons) {
    const control = daemon === "bfdd" ? ["--bfdctl", join(folder, "bfdd.sock")] : [];
    const args = [...common, ...control, "-i", join(folder, `${daemon}.pid`)];
    // bgpd would listen for itself on every address, which is what is wanted here.
    bed.launch(node, daemon, `/usr/lib/frr/${daemon}`, args);
    await until(`${daemon} of ${node}`, 10_000, async () => {
      const { status } = await bed.run(node, "vtysh", ["--vty_socket", folder, "-d", daemon, "-c", "show version"]);
      return status === 0;
    });
  }
  const ask = (...commands: readonly string[]) =>
    bed.must(node, "vtysh", ["--vty_socket", folder, ...commands.flatMap((command) => ["-c", command])], 10_000);
  const pid = (daemon: string) => Number(readFileSync(join(folder, `${daemon}.pid`), "utf8"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  return { ask, remove, pid, json: async <T>(command: string) => JSON.parse(await ask(`${command} json`)) as T };
}

/** A reflector for `clients`, which dial it. */
export function reflectorConfig(as: number, routerId: string, clients: readonly string[]): string {
  return [
    `router bgp ${as}`,
    ` bgp router-id ${routerId}`,
    " no bgp default ipv4-unicast",
    ...clients.flatMap((each) => [
      ` neighbor ${each} remote-as ${as}`,
      ` neighbor ${each} timers 3 9`,
      ` neighbor ${each} passive`,
    ]),
    " address-family l2vpn evpn",
    ...clients.flatMap((each) => [`  neighbor ${each} activate`, `  neighbor ${each} route-reflector-client`]),
    " exit-address-family",
    "",
  ].join("\n");
}

/** A leaf that announces all its VNIs; with an L3VNI the default VRF's subnets and hosts too: a kernel without VRF devices has that one. */
export function leafConfig(
  as: number,
  routerId: string,
  reflector: string,
  l3vni: number | null = null,
  families: readonly string[] = ["ipv4"],
): string {
  const ofVrf = l3vni === null ? [] : families;
  return [
    ...(l3vni === null ? [] : [`vni ${l3vni}`]),
    `router bgp ${as}`,
    ` bgp router-id ${routerId}`,
    " no bgp default ipv4-unicast",
    ` neighbor ${reflector} remote-as ${as}`,
    ` neighbor ${reflector} timers 3 9`,
    ` neighbor ${reflector} timers connect 1`,
    ...ofVrf.flatMap((each) => [` address-family ${each} unicast`, "  redistribute connected", " exit-address-family"]),
    " address-family l2vpn evpn",
    `  neighbor ${reflector} activate`,
    "  advertise-all-vni",
    ...ofVrf.map((each) => `  advertise ${each} unicast`),
    " exit-address-family",
    "",
  ].join("\n");
}

/** One VNI of a leaf: a bridge with the gateway's address (an L3VNI: none) and MAC, a VXLAN device that learns nothing by itself. */
export async function leafVni(
  bed: Bed,
  node: string,
  { vni, local, gateway, mac }: { vni: number; local: string; gateway: string | null; mac: string },
): Promise<void> {
  await bed.ip(
    node,
    `link add br${vni} address ${mac} type bridge`,
    `link add vxlan${vni} type vxlan id ${vni} local ${local} dstport 4789 nolearning`,
    `link set vxlan${vni} master br${vni} addrgenmode none`,
    `link set vxlan${vni} type bridge_slave neigh_suppress on learning off`,
    ...(gateway === null ? [] : [`addr add ${gateway} dev br${vni}`]),
    `link set br${vni} up`,
    `link set vxlan${vni} up`,
  );
  // A silent host's answer is learned, and so announced (FRR's manual, EVPN).
  await bed.must(node, "sysctl", ["-qw", `net.ipv4.conf.br${vni}.arp_accept=1`]);
}
