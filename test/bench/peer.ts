/**
 * A peer: two machines, two VTEPs, one veth between them.
 *
 *     a (eth0 10.1.1.11/24) ─ gw1 (ul0 192.0.2.1) ───── ul0 192.0.2.2 gw2 ─ b (eth0 10.1.1.12/24)
 *
 * The underlay's MTU is 1550, so that the machines have 1500. All peers are up at once, each in namespaces of its own:
 * rounds go from one to the next without a restart, and one that is not asked costs nothing.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "../../src/lab/deadline.ts";
import type { Outcome } from "../../src/lab/process.ts";
import { type Bed, makeBed } from "../netns/bed.ts";

export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
/** The generator and sink, compiled by set-up from packets.c. */
export const PACKETS = join(ROOT, "dist/bench-build/packets");
export const UNDERLAY_MTU = 1550;
export const A = "10.1.1.11";
export const B = "10.1.1.12";
export const IPERF_PORT = 5201;
export const SINK_PORT = 7000;
export const ANSWER_PORT = 7100;

/** Where the answering machine is pinned; the asking one is on 0. */
const LAST_CPU = String(availableParallelism() - 1);

/** Names of the peers that are vtepd: this tree's, with full tables, and that of --against. */
export const OURS = "vtepd";
export const FULL = "vtepd, full tables";
export const OTHER = "vtepd of the other tree";

export interface Peer {
  readonly name: string;
  readonly bed: Bed;
  /** Pids of its VTEP daemons; none for the kernel. */
  readonly daemons: readonly number[];
  remove(): Promise<void>;
}

/** The namespaces and the underlay; VTEP addresses are on ul0 unless a daemon wants them elsewhere. */
export async function groundwork(label: string, addresses = true): Promise<Bed> {
  const bed = await makeBed(label);
  for (const node of ["a", "gw1", "gw2", "b"]) await bed.namespace(node);
  await bed.veth("gw1", "ul0", "gw2", "ul0", UNDERLAY_MTU);
  if (addresses) {
    await bed.ip("gw1", "addr add 192.0.2.1/24 dev ul0");
    await bed.ip("gw2", "addr add 192.0.2.2/24 dev ul0");
  }
  return bed;
}

/** A veth from each machine to its gateway: `eth0` there, `vm` here. */
export async function machineVeths(bed: Bed): Promise<void> {
  for (const [machine, gateway, address] of [
    ["a", "gw1", A],
    ["b", "gw2", B],
  ] as const) {
    await bed.veth(machine, "eth0", gateway, "vm");
    await bed.ip(machine, `addr add ${address}/24 dev eth0`);
  }
}

/** Both ways reachable, ARP resolved, and iperf3 servers up. */
export async function ready(bed: Bed, name: string): Promise<void> {
  await until(`${name}: an answer from b to a`, 15_000, async () => {
    const outcome: Outcome = await bed.run("a", "ping", ["-c1", "-W1", B]);
    return outcome.status === 0;
  });
  bed.launch("b", "iperf3", "iperf3", ["-s", "-p", String(IPERF_PORT)]);
  // Pinned, as its client is: wherever the scheduler puts the two, the kernel's own rate is four times another one.
  bed.launch("b", "answer", "taskset", ["-c", LAST_CPU, PACKETS, "answer", B, String(ANSWER_PORT)]);
}
