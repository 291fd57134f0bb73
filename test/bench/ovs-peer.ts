/**
 * Open vSwitch in userspace as peer: `datapath_type=netdev`, one ovsdb-server and one ovs-vswitchd for each VTEP, all of
 * their files in the bed's folder, ended by pid with the bed. No service of the machine is touched.
 *
 * Its native tunnelling wants the VTEP address on a bridge of its own (br-phy) that holds the underlay port. It passes
 * on frames as they come from the machines, so unfinished checksums must not leave those: tx offload is off on eth0.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../src/lab/deadline.ts";
import { run } from "../../src/lab/process.ts";
import type { Bed } from "../netns/bed.ts";
import { groundwork, machineVeths, type Peer, ready, UNDERLAY_MTU } from "./peer.ts";

const PROGRAMS = ["ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl"];
const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";

/** Why OVS cannot take part; undefined when it can. */
export async function whyNoOvs(): Promise<string | undefined> {
  for (const program of PROGRAMS) {
    const found = await run("sh", ["-c", `command -v ${program}`]);
    if (found.status !== 0) return `${program} is not installed (apt-get install openvswitch-switch)`;
  }
  return (await run("test", ["-r", SCHEMA])).status === 0 ? undefined : `${SCHEMA} is missing`;
}

async function startDaemons(bed: Bed, gateway: string): Promise<{ pid: number; control: string[] }> {
  const folder = join(bed.folder, gateway);
  mkdirSync(folder);
  const database = join(folder, "conf.db");
  const socket = `unix:${join(folder, "db.sock")}`;
  await bed.must(gateway, "ovsdb-tool", ["create", database, SCHEMA]);
  const env = [`OVS_RUNDIR=${folder}`, `OVS_DBDIR=${folder}`, `OVS_LOGDIR=${folder}`];
  const server = [database, `--remote=p${socket}`, `--unixctl=${join(folder, "db.ctl")}`];
  bed.launch(gateway, `${gateway}-ovsdb`, "env", [...env, "ovsdb-server", ...server]);
  const control = [`--db=${socket}`, "--timeout=10"];
  await until(`ovsdb-server of ${gateway}`, 5000, async () => {
    return (await bed.run(gateway, "ovs-vsctl", [...control, "--no-wait", "init"])).status === 0;
  });
  const daemon = [socket, `--unixctl=${join(folder, "switch.ctl")}`];
  const { pid } = bed.launch(gateway, `${gateway}-vswitchd`, "env", [...env, "ovs-vswitchd", ...daemon]);
  return { pid, control };
}

export async function ovsPeer(): Promise<Peer> {
  const bed = await groundwork("bo", false);
  const daemons: number[] = [];
  try {
    await machineVeths(bed);
    for (const [gateway, local, remote] of [
      ["gw1", 1, 2],
      ["gw2", 2, 1],
    ] as const) {
      const { pid, control } = await startDaemons(bed, gateway);
      daemons.push(pid);
      const netdev = (bridge: string) => ["add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"];
      const tunnel = ["type=vxlan", `options:local_ip=192.0.2.${local}`, `options:remote_ip=192.0.2.${remote}`];
      await bed.must(gateway, "ovs-vsctl", [...control, ...netdev("br-phy")]);
      await bed.must(gateway, "ovs-vsctl", [...control, ...netdev("br-int")]);
      await bed.must(gateway, "ovs-vsctl", [
        ...[...control, "add-port", "br-phy", "ul0"],
        ...["--", "set", "interface", "br-phy", `mtu_request=${UNDERLAY_MTU}`],
        ...["--", "add-port", "br-int", "vm"],
        ...["--", "add-port", "br-int", "vx", "--", "set", "interface", "vx", ...tunnel, "options:key=10"],
      ]);
      await bed.ip(gateway, `addr add 192.0.2.${local}/24 dev br-phy`, "link set br-phy up", "link set br-int up");
    }
    for (const machine of ["a", "b"]) await bed.must(machine, "ethtool", ["-K", "eth0", "tx", "off"]);
    // The tunnel needs the other VTEP's MAC, which OVS picks up from ARP.
    await until("OVS: an answer on the underlay", 10_000, async () => {
      return (await bed.run("gw1", "ping", ["-c1", "-W1", "192.0.2.2"])).status === 0;
    });
    await ready(bed, "OVS");
  } catch (error) {
    await bed.remove();
    throw error;
  }
  return { name: "ovs", bed, daemons, remove: () => bed.remove() };
}
