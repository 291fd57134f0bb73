/**
 * The group of threads that the kernel weighs against others before it looks at nice values inside: what it is, and what it weighs.
 *
 * A nice value counts only among the threads of one group (sched(7)). A container and a systemd service are in a cpu cgroup of
 * their own; where there is none, a session is a group (autogroup). VMs in another group, each as heavy as the gateway, are
 * given as much as it, whatever its threads' nice values are: there the group's weight decides.
 */
import { readFileSync, writeFileSync } from "node:fs";

/** Text of a file; null: there is none, or none for us. */
export type ReadText = (path: string) => string | null;

export const readText: ReadText = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
};

export interface CpuGroup {
  /** `none`: one group with every other process. */
  readonly kind: "cgroup" | "session" | "none";
  readonly text: string;
}

const NONE: CpuGroup = { kind: "none", text: "no group of its own: one with all processes" };
/** What a group weighs that was not given a weight (cpu.shares of cgroup v1). */
const USUAL_SHARES = 1024;

/** The group of this process. */
export function cpuGroup(read: ReadText = readText): CpuGroup {
  return cgroup(read) ?? session(read) ?? NONE;
}

/** From /proc/self/cgroup: "4:cpu,cpuacct:/path" of version 1, "0::/path" of version 2 (cgroups(7)). */
function cgroup(read: ReadText): CpuGroup | null {
  for (const line of (read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, hierarchy, controllers = "", path = "/"] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    const found = controllers.split(",").includes("cpu")
      ? sharesOf(read, controllers, path)
      : hierarchy === "0"
        ? weightOf(read, path)
        : null;
    if (found !== null) return { kind: "cgroup", text: `cgroup ${path}, ${found}` };
  }
  return null;
}

/** A container sees its own group as the root of the mount, whatever path it is told. */
const places = (path: string) => (path === "/" ? [""] : [path, ""]);

/** The root has no cpu.weight, so a file that is there is a group's. */
function weightOf(read: ReadText, path: string): string | null {
  for (const mount of ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"])
    for (const place of places(path)) {
      const weight = read(`${mount}${place}/cpu.weight`)?.trim();
      if (weight !== undefined) return `cpu.weight ${weight}`;
    }
  return null;
}

/** The root has shares too, of the usual number: then it is no group. */
function sharesOf(read: ReadText, controllers: string, path: string): string | null {
  for (const place of places(path)) {
    const shares = read(`/sys/fs/cgroup/${controllers}${place}/cpu.shares`)?.trim();
    if (shares !== undefined && (path !== "/" || Number(shares) !== USUAL_SHARES)) return `cpu.shares ${shares}`;
  }
  return null;
}

/** /proc/self/autogroup is "/autogroup-NUMBER nice VALUE" (sched(7)). */
function session(read: ReadText): CpuGroup | null {
  const nice = niceOfSession(read);
  return nice === null ? null : { kind: "session", text: `session (autogroup), nice ${nice}` };
}

function niceOfSession(read: ReadText): number | null {
  if (read("/proc/sys/kernel/sched_autogroup_enabled")?.trim() !== "1") return null;
  const nice = / nice (-?\d+)/.exec(read("/proc/self/autogroup") ?? "")?.[1];
  return nice === undefined ? null : Number(nice);
}

/** Fields of /proc/PID/stat from the third on; the second may have blanks in it (proc(5)). */
export function statFields(text: string): string[] {
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/**
 * Give the session of this process a nice value, if it is the process's own group and has none yet.
 *
 * @returns why it was refused; null: it was not, or there is nothing to give.
 */
export function weighSession(nice: number, read: ReadText = readText, write = writeFileSync): string | null {
  if (cpuGroup(read).kind !== "session" || niceOfSession(read) !== 0) return null;
  const [, , , leader] = statFields(read("/proc/self/stat") ?? "");
  // Others are in a session that we did not begin: it is not ours to weigh.
  if (Number(leader) !== process.pid) return null;
  try {
    write("/proc/self/autogroup", String(nice));
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
