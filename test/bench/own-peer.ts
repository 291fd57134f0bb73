/**
 * vtepd as peer, in its default configuration: one worker, VSI-interfaces, local proxy ARP. So, unlike the other peers,
 * which bridge, it routes every packet twice (the TTL falls by two).
 *
 * `full`: the same with tables that hold 100,000 MACs and 50,000 neighbours, none of which is used.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { until } from "../../src/lab/deadline.ts";
import { isAlive } from "../../src/lab/process.ts";
import type { Bed } from "../netns/bed.ts";
import { A, B, FULL, groundwork, OTHER, OURS, PACKETS, type Peer, ROOT, ready } from "./peer.ts";

export const FULL_MACS = 100_000;
export const FULL_NEIGHBORS = 50_000;
/** As packets.c spreads them: 250 in each. */
const HOST_VLANS = FULL_MACS / 2 / 250;
const HOSTS_PER_SECOND = 10_000;
const READY_MS = 15_000;
const FILL_MS = 120_000;

/** A VSI whose hosts are played by `packets hosts`, half of them behind each VTEP. */
const FULL_TABLES = `limits: {macs: 200000, neighbors: 100000, acMacs: 200000, puntPerSecond: 1000000, puntPerAcPerSecond: 1000000}
vsis:
  - {name: vsi10, vni: 10}
  - {name: full, vni: 20, mac: {limit: 150000, ageSeconds: 100000}}
interfaces:
  - {name: vsi-interface10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: full, vsi: full, address: 10.3.255.254/15, arp: {limit: 60000, ageSeconds: 100000}}
`;

const EMPTY_TABLES = `vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: vsi-interface10, vsi: vsi10, address: 10.1.1.1/24}]
`;

function configuration(bed: Bed, node: number, isFull: boolean): string {
  const machine = machineOf(node);
  const tap = `tap: {device: hosts, netns: ${bed.name(machine)}}`;
  const hosts = Array.from(
    { length: HOST_VLANS },
    (_, v) => `, {name: hosts${v + 1}, vsi: full, ${tap}, vlan: ${v + 1}}`,
  );
  return `node: gw${node}
underlay: {address: 192.0.2.${node}}
tunnels: [{name: other, remote: 192.0.2.${3 - node}}]
${isFull ? FULL_TABLES : EMPTY_TABLES}acs: [{name: ${machine}, vsi: vsi10, tap: {device: eth0, netns: ${bed.name(machine)}}}${isFull ? hosts.join("") : ""}]
control: {socket: ${socketOf(bed, node)}}
log: {level: info, format: json}
`;
}

const machineOf = (node: number) => (node === 1 ? "a" : "b");
const socketOf = (bed: Bed, node: number) => join(bed.folder, `gw${node}.sock`);

interface Told {
  readonly ready: boolean;
  readonly counts: { readonly macs: number; readonly neighbors: number };
}

/** What the daemon says of itself; undefined while it does not listen. */
function statusOf(socketPath: string): Promise<Told | undefined> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: "/v1/status", timeout: 5000 }, (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on("end", () => resolve(JSON.parse(text) as Told));
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve(undefined));
    asked.end();
  });
}

/** Let the hosts speak until both gateways know them all; what a burst loses is said again. */
async function fill(bed: Bed): Promise<void> {
  const announce = (node: number, hosts: number) => {
    const who = [
      "hosts",
      String(node),
      String(hosts),
      "10.3.255.254",
      `10.${node + 1}.0.1`,
      String(2 * HOSTS_PER_SECOND),
    ];
    return bed.must(machineOf(node), PACKETS, ["hosts", ...who], FILL_MS);
  };
  for (const node of [1, 2]) await bed.ip(machineOf(node), "link set hosts up");
  // The first hosts get to know each other, so that no frame of the others is flooded.
  for (const node of [1, 2]) await announce(node, 1);
  await until(
    "the tables to be full",
    FILL_MS,
    async () => {
      for (const node of [1, 2]) await announce(node, FULL_MACS / 2);
      const told = await Promise.all([1, 2].map((node) => statusOf(socketOf(bed, node))));
      const isFull = told.every(
        (one) => one !== undefined && one.counts.macs >= FULL_MACS && one.counts.neighbors >= FULL_NEIGHBORS,
      );
      if (!isFull) throw new Error(JSON.stringify(told.map((one) => one?.counts)));
      return true;
    },
    500,
  );
}

/** @param tree where its program was built: this tree, or the one that is compared with it. */
export async function ownPeer(isFull = false, tree = ROOT): Promise<Peer> {
  const isOther = tree !== ROOT;
  const bed = await groundwork(isFull ? "bf" : isOther ? "bo" : "bv");
  const name = isFull ? FULL : isOther ? OTHER : OURS;
  const daemons: number[] = [];
  try {
    for (const node of [1, 2]) {
      const file = join(bed.folder, `gw${node}.yaml`);
      writeFileSync(file, configuration(bed, node, isFull), { mode: 0o600 });
      const args = [join(tree, "dist/main.js"), "run", "-c", file];
      const daemon = bed.launch(`gw${node}`, `gw${node}`, process.execPath, args);
      daemons.push(daemon.pid);
      const isDead = () => !isAlive(daemon);
      await until(`vtepd gw${node} to be ready`, READY_MS, async () => {
        return isDead() || (await statusOf(socketOf(bed, node)))?.ready === true;
      });
      if (isDead()) throw new Error(readFileSync(join(bed.folder, `gw${node}.log`), "utf8").slice(-600));
    }
    for (const [machine, address] of [
      ["a", A],
      ["b", B],
    ] as const) {
      await bed.ip(machine, "link set eth0 up", `addr add ${address}/24 dev eth0`, "route add default via 10.1.1.1");
    }
    await ready(bed, name);
    if (isFull) await fill(bed);
  } catch (error) {
    await bed.remove();
    throw error;
  }
  return { name, bed, daemons, remove: () => bed.remove() };
}
