/** The local port of one of our own UDP sockets, as the kernel lists it (proc(5)); null: it cannot be found. */
import { readFileSync, readlinkSync } from "node:fs";

const PORT = 1;
const INODE = 9;

export function localPorts(fds: readonly number[]): (number | null)[] {
  let ports: Map<string, number>;
  try {
    ports = new Map([...listed("/proc/self/net/udp"), ...listed("/proc/self/net/udp6")]);
  } catch {
    return fds.map(() => null);
  }
  return fds.map((fd) => {
    try {
      return ports.get(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? "") ?? null;
    } catch {
      return null;
    }
  });
}

/** Sockets of a table of the kernel: inode and local port. */
function listed(path: string): [string, number][] {
  const [, ...rows] = readFileSync(path, "utf8").trim().split("\n");
  return rows.map((row) => {
    const words = row.trim().split(/\s+/);
    return [words[INODE]!, Number.parseInt(words[PORT]!.split(":")[1]!, 16)];
  });
}
