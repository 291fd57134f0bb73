/**
 * A bed for tests on real devices: network namespaces with names that are ours alone, and no trace afterwards.
 *
 *     const bed = await makeBed("arp");
 *     const gw = await bed.namespace("gw1");            // "vb-<pid>-<start time>-arp-gw1"
 *     await bed.veth("gw1", "ul0", "u", "to-gw1");
 *     await bed.must("gw1", "ping", ["-c1", "192.0.2.2"]);
 *     await bed.remove();
 *
 * The names carry the pid *and start time* of the process that made them, so whose namespace it is can be read off the
 * name: the next bed sweeps away those of processes that are gone (a test killed by its time-out, a crash of the
 * runner), together with the processes still inside. Nothing else is ever touched.
 *
 * Never wait for a fixed time in a test: `until` of src/lab/deadline.ts polls with a deadline.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Counters,
  countersOf,
  createBridge,
  createNamespace,
  createVeth,
  deleteNamespace,
  followIn,
  inside,
  ipIn,
  mustIn,
  namespacesWith,
  runIn,
} from "../../src/lab/namespace.ts";
import { end, type follow, type Identity, identityOf, isAlive, launch, type Outcome } from "../../src/lab/process.ts";

const PREFIX = "vb-";

/** Why tests on real devices cannot run here; undefined when they can. For `describe.skipIf`. */
export function whyNoBed(): string | undefined {
  return process.getuid?.() === 0 ? undefined : "network namespaces need root";
}

const foldersWith = (prefix: string) => readdirSync(tmpdir()).filter((folder) => folder.startsWith(prefix));

/** Delete the namespaces and folders of beds whose process is gone. */
export async function sweep(): Promise<void> {
  const isOrphan = (name: string) => {
    const [, pid = "", startTime = ""] = name.split("-");
    return !isAlive({ pid: Number(pid), startTime });
  };
  for (const name of namespacesWith(PREFIX)) if (isOrphan(name)) await deleteNamespace(name);
  for (const folder of foldersWith(PREFIX)) if (isOrphan(folder)) removeFolder(folder);
}

function removeFolder(folder: string): void {
  rmSync(join(tmpdir(), folder), { recursive: true, force: true });
}

export interface Bed {
  /** A folder of this bed, for sockets, logs and configuration; gone with the bed. */
  readonly folder: string;
  /** Full name of a namespace of this bed, whether it exists yet or not. */
  name(short: string): string;
  /** Make a namespace, loopback up, IPv6 off; resolves to its full name. */
  namespace(short: string): Promise<string>;
  /** A veth pair between two namespaces of this bed, both ends up. */
  veth(short: string, device: string, peer: string, peerDevice: string, mtu?: number): Promise<void>;
  /** A bridge with these devices (which exist) as its ports. */
  bridge(short: string, bridge: string, ports?: readonly string[]): Promise<void>;
  /** `ip` commands in a namespace, in one go. */
  ip(short: string, ...commands: readonly string[]): Promise<void>;
  /** Run a program to its end inside a namespace. */
  run(short: string, program: string, args: readonly string[], timeoutMs?: number): Promise<Outcome>;
  /** As `run`; a failing program is an error. Resolves to its stdout. */
  must(short: string, program: string, args: readonly string[], timeoutMs?: number): Promise<string>;
  /** A child inside a namespace with pipes to it; it ends with the test process at the latest. */
  follow(short: string, program: string, args: readonly string[]): ReturnType<typeof follow>;
  /** A daemon inside a namespace, output to `FOLDER/label.log`; ended with the bed. */
  launch(short: string, label: string, program: string, args: readonly string[]): Identity;
  counters(short: string, device: string): Promise<Counters>;
  /** End everything inside, delete all namespaces and the folder. */
  remove(): Promise<void>;
}

/** `label`: short, tells beds of one process apart. */
export async function makeBed(label: string): Promise<Bed> {
  if (!/^[a-z0-9]+$/.test(label)) throw new Error(`"${label}": a bed's label is lower-case letters and digits`);
  await sweep();
  const self = identityOf(process.pid)!;
  const prefix = `${PREFIX}${self.pid}-${self.startTime}-${label}-`;
  // A bed of this very process that was not removed, by a test that failed in its set-up.
  for (const name of namespacesWith(prefix)) await deleteNamespace(name);
  for (const folder of foldersWith(prefix)) removeFolder(folder);
  const folder = mkdtempSync(join(tmpdir(), prefix));
  const launched: Identity[] = [];
  const name = (short: string) => `${prefix}${short}`;
  return {
    folder,
    name,
    async namespace(short) {
      await createNamespace(name(short));
      return name(short);
    },
    veth: (short, device, peer, peerDevice, mtu) => createVeth(name(short), device, name(peer), peerDevice, mtu),
    async bridge(short, bridge, ports = []) {
      await createBridge(name(short), bridge);
      await ipIn(name(short), ...ports.map((port) => `link set dev ${port} master ${bridge}`));
    },
    ip: (short, ...commands) => ipIn(name(short), ...commands),
    run: (short, program, args, timeoutMs) => runIn(name(short), program, args, timeoutMs),
    must: (short, program, args, timeoutMs) => mustIn(name(short), program, args, timeoutMs),
    follow: (short, program, args) => followIn(name(short), program, args),
    launch(short, daemon, program, args) {
      const [outer, all] = inside(name(short), program, args);
      const identity = launch(outer, all, join(folder, `${daemon}.log`));
      launched.push(identity);
      return identity;
    },
    counters: (short, device) => countersOf(name(short), device),
    async remove() {
      await end(launched);
      await Promise.all(namespacesWith(prefix).map(deleteNamespace));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
