/**
 * Another Node than this machine's: the npm package node-linux-ARCH, a binary with its headers, kept in a folder.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const { THRIFT } = (await import(new URL("../set-up/node-modules.mjs", import.meta.url).href)) as {
  THRIFT: readonly string[];
};
const MS = 5 * 60_000;

/** The folder of a Node of this major, or why there is none. */
export function nodeOf(major: string, place: string): { bin: string } | { missing: string } {
  const name = `node-linux-${process.arch}`;
  const bin = join(place, "node_modules", name, "bin");
  if (!existsSync(join(bin, "node"))) {
    mkdirSync(place, { recursive: true });
    const install = [
      "install",
      "--no-save",
      "--no-audit",
      "--no-fund",
      ...THRIFT,
      "--prefix",
      place,
      `${name}@${major}`,
    ];
    const { status, stdout, stderr } = spawnSync("npm", install, { cwd: place, encoding: "utf8", timeout: MS });
    if (status !== 0)
      return { missing: `npm has no ${name}@${major} for us: ${`${stdout}\n${stderr}`.trim().split("\n").at(-1)}` };
  }
  return { bin };
}
