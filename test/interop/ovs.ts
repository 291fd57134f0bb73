/**
 * Open vSwitch with its userspace datapath, in a namespace of a bed: a database and a switch daemon of our own, with all
 * their files in the bed's folder. Nothing of a system-wide installation is touched, and both end with the bed.
 *
 *     br-phy   the underlay port; its own (internal) device carries the VTEP address
 *     br-int   the machines' ports and the vxlan port; the datapath looks the remote up in the kernel's route table and
 *              sends through br-phy (OVS "userspace tunneling")
 */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../src/lab/deadline.ts";
import { must } from "../../src/lab/process.ts";
import type { Bed } from "../netns/bed.ts";

const SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema";

export interface Ovs {
  /** `ovs-vsctl ARGS`, waits until the switch has done it. */
  vsctl(...args: readonly string[]): Promise<string>;
  /** `ovs-appctl ARGS` of the switch. */
  appctl(...args: readonly string[]): Promise<string>;
  /** What the switch has logged as warning or worse. */
  complaints(): Promise<string>;
}

/** Start both daemons in namespace `node`. Throws, with their words, where this machine cannot run them. */
export async function startOvs(bed: Bed, node: string): Promise<Ovs> {
  const folder = join(bed.folder, "ovs");
  mkdirSync(folder, { mode: 0o700 });
  const database = `unix:${join(folder, "db.sock")}`;
  const log = join(folder, "vswitchd.log");
  const control = join(folder, "vswitchd.ctl");
  await must("ovsdb-tool", ["create", join(folder, "conf.db"), SCHEMA]);
  bed.launch(node, "ovsdb-server", "env", [
    ...[`OVS_RUNDIR=${folder}`, `OVS_LOGDIR=${folder}`, `OVS_DBDIR=${folder}`],
    ...["ovsdb-server", join(folder, "conf.db"), `--remote=p${database}`, `--unixctl=${join(folder, "db.ctl")}`],
  ]);
  const vsctl = (...args: readonly string[]) =>
    must("ovs-vsctl", [`--db=${database}`, "--timeout=10", ...args], 15_000);
  await until(
    "ovsdb-server",
    10_000,
    () => spawnSync("ovs-vsctl", [`--db=${database}`, "--timeout=1", "--no-wait", "show"]).status === 0,
  );
  await vsctl("--no-wait", "init");
  bed.launch(node, "ovs-vswitchd", "env", [
    ...[`OVS_RUNDIR=${folder}`, `OVS_LOGDIR=${folder}`, `OVS_DBDIR=${folder}`],
    ...["ovs-vswitchd", database, `--unixctl=${control}`, `--log-file=${log}`, "--disable-system"],
  ]);
  const appctl = (...args: readonly string[]) => must("ovs-appctl", ["-t", control, ...args], 15_000);
  await until("ovs-vswitchd", 10_000, async () => (await appctl("version")) !== "");
  return {
    vsctl,
    appctl,
    complaints: async () => (await must("grep", ["-E", "\\|(WARN|ERR|EMER)\\|", log]).catch(() => "")).trim(),
  };
}
