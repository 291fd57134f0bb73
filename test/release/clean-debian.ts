/**
 * A Debian with nothing in it, to install a release into: debootstrap's smallest tree, made once (.set-up/trixie.tar) and unpacked
 * for each use, outside the source tree: its links lead anywhere. No compiler, no Python, no Node.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../house/source.ts";

/** The first Debian whose own Node is new enough. */
const SUITE = "trixie";
const BASE = join(ROOT, ".set-up", `${SUITE}.tar`);
const MIRROR = process.env.DEBIAN_MIRROR ?? "http://deb.debian.org/debian";
const MINUTES = 60_000;

export interface Outcome {
  readonly status: number | null;
  readonly text: string;
}

export function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Outcome {
  const { status, stdout, stderr } = spawnSync(program, args, { env, encoding: "utf8", timeout: 10 * MINUTES });
  return { status, text: `${stdout}${stderr}` };
}

/** Makes the base where there is none. @returns why there can be none, or undefined */
export function whyNoDebian(): string | undefined {
  if (process.getuid?.() !== 0) return "debootstrap and chroot need root";
  if (run("unshare", ["--net", "--mount", "--pid", "--fork", "true"]).status !== 0) return "no namespaces here";
  if (!existsSync("/dev/net/tun")) return "/dev/net/tun is missing (modprobe tun)";
  if (existsSync(BASE)) return undefined;
  if (run("debootstrap", ["--version"]).status !== 0) return "debootstrap is missing (apt-get install debootstrap)";
  const folder = mkdtempSync("/var/tmp/vtepd-debian-");
  try {
    const packages = "--include=ca-certificates,libstdc++6";
    const { status, text } = run("debootstrap", ["--variant=minbase", packages, SUITE, folder, MIRROR]);
    if (status !== 0) return `debootstrap ${SUITE}: ${text.trim().split("\n").at(-1)}`;
    const packed = run("tar", ["-C", folder, "--numeric-owner", "-cf", `${BASE}.new`, "."]);
    if (packed.status !== 0) return packed.text;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  renameSync(`${BASE}.new`, BASE);
  return undefined;
}

export class CleanDebian {
  readonly folder = mkdtempSync("/var/tmp/vtepd-release-");
  constructor() {
    const { status, text } = run("tar", ["-C", this.folder, "--numeric-owner", "-xpf", BASE]);
    if (status !== 0) throw new Error(text);
    // For others than root too: apt downloads as a user of its own.
    chmodSync(this.folder, 0o755);
    mkdirSync(join(this.folder, "dev/net"), { recursive: true });
    run("mknod", ["-m", "666", join(this.folder, "dev/net/tun"), "c", "10", "200"]);
    cpSync(realpathSync("/etc/resolv.conf"), join(this.folder, "etc/resolv.conf"));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  copy(from: string, to: string): void {
    mkdirSync(dirname(join(this.folder, to)), { recursive: true });
    // -L: npm's folder is full of links, and none of their ends is in there.
    const { status, text } = run("cp", ["-rL", "--preserve=mode", from, join(this.folder, to)]);
    if (status !== 0) throw new Error(text);
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  /** A shell inside, in namespaces of its own but for the network, which `isAlone` takes away but for 192.0.2.1. */
  shell(script: string, isAlone = false): Outcome {
    const net = "ip link set lo up && ip address add 192.0.2.1/32 dev lo";
    const enter = `mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -euc "$1"`;
    const spaces = ["--mount", "--pid", "--fork", "--kill-child", ...(isAlone ? ["--net"] : [])];
    const outer = ["sh", "-euc", isAlone ? `${net} && ${enter}` : enter, this.folder, script];
    return run("unshare", [...spaces, ...outer], {
      PATH: "/opt/node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: "/root",
      LANG: "C.UTF-8",
      DEBIAN_FRONTEND: "noninteractive",
    });
  }
}
