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
import { A, B, groundwork, type Peer, ROOT, ready } from "./peer.ts";

export const FULL_MACS = 100_000;
export const FULL_NEIGHBORS = 50_000;
/** What one VSI takes as static entries. */
const MACS_PER_VSI = 50_000;

const hex = (value: number) => value.toString(16).padStart(2, "0");
const macOf = (kind: number, n: number) => `02:${hex(kind)}:00:${hex(n >> 16)}:${hex((n >> 8) & 255)}:${hex(n & 255)}`;

/** 100,000 hosts behind the other VTEP, half of them neighbours of an interface 10.2.0.1/15. */
function fullTables(): string {
  const vsis = Array.from({ length: FULL_MACS / MACS_PER_VSI }, (_, v) => {
    const macs = Array.from({ length: MACS_PER_VSI }, (_, n) => `{mac: "${macOf(v, n)}", tunnel: other}`);
    return `  - {name: full${v}, vni: ${1000 + v}, mac: {limit: ${MACS_PER_VSI + 10}, static: [${macs.join(", ")}]}}`;
  });
  const neighbors = Array.from(
    { length: FULL_NEIGHBORS },
    (_, n) => `{ip: 10.${2 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}, mac: "${macOf(0, n)}", tunnel: other}`,
  ).slice(2);
  return `limits: {macs: 200000, neighbors: 100000}
vsis:
  - {name: vsi10, vni: 10}
${vsis.join("\n")}
interfaces:
  - {name: vsi-interface10, vsi: vsi10, address: 10.1.1.1/24}
  - {name: full, vsi: full0, address: 10.3.255.254/15, arp: {limit: ${FULL_NEIGHBORS + 10}, static: [${neighbors.join(", ")}]}}
`;
}

const EMPTY_TABLES = `vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: vsi-interface10, vsi: vsi10, address: 10.1.1.1/24}]
`;

function configuration(bed: Bed, node: number, tables: string): string {
  const machine = node === 1 ? "a" : "b";
  return `node: gw${node}
underlay: {address: 192.0.2.${node}}
tunnels: [{name: other, remote: 192.0.2.${3 - node}}]
${tables}acs: [{name: ${machine}, vsi: vsi10, tap: {device: eth0, netns: ${bed.name(machine)}}}]
control: {socket: ${socketOf(bed, node)}}
log: {level: info, format: json}
`;
}

const socketOf = (bed: Bed, node: number) => join(bed.folder, `gw${node}.sock`);

function isReady(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: "/v1/status", timeout: 1000 }, (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on("end", () => resolve((JSON.parse(text) as { ready?: boolean }).ready === true));
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", () => resolve(false));
    asked.end();
  });
}

export async function ownPeer(isFull = false): Promise<Peer> {
  const bed = await groundwork(isFull ? "bf" : "bv");
  const name = isFull ? "vtepd, full tables" : "vtepd";
  const daemons: number[] = [];
  try {
    const tables = isFull ? fullTables() : EMPTY_TABLES;
    for (const node of [1, 2]) {
      const file = join(bed.folder, `gw${node}.yaml`);
      writeFileSync(file, configuration(bed, node, tables), { mode: 0o600 });
      const args = [join(ROOT, "dist/main.js"), "run", "-c", file];
      const daemon = bed.launch(`gw${node}`, `gw${node}`, process.execPath, args);
      daemons.push(daemon.pid);
      const isDead = () => !isAlive(daemon);
      const readyMs = isFull ? 90_000 : 15_000;
      await until(`vtepd gw${node} to be ready`, readyMs, async () => isDead() || (await isReady(socketOf(bed, node))));
      if (isDead()) throw new Error(readFileSync(join(bed.folder, `gw${node}.log`), "utf8").slice(-600));
    }
    for (const [machine, address] of [
      ["a", A],
      ["b", B],
    ] as const) {
      await bed.ip(machine, "link set eth0 up", `addr add ${address}/24 dev eth0`, "route add default via 10.1.1.1");
    }
    await ready(bed, name);
  } catch (error) {
    await bed.remove();
    throw error;
  }
  return { name, bed, daemons, remove: () => bed.remove() };
}
