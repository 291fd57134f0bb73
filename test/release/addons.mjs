/**
 * The addon for machines without a compiler: compiled in a copy of its sources, for this machine's kind and, where Debian's
 * cross compiler is there, for the other one. It speaks Node-API 8, so that one file serves every Node from 20.
 *
 * musl (Alpine) is not among them: Debian has no C++ library for it. There, and wherever none of these loads, the package
 * compiles the addon when it is installed.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { sources } from "../set-up/addon.mjs";
import { headersEnv, nodeGyp } from "../set-up/node-modules.mjs";
import { which } from "../set-up/system-packages.mjs";
import { fail, hashOf, ROOT, run, say, stamp, stamps } from "../set-up/workshop.mjs";

/** Node's name of a processor, Debian's name, and what the names of Debian's compiler begin with. */
const MACHINES = [
  { arch: "x64", debian: "amd64", tools: "x86_64-linux-gnu-" },
  { arch: "arm64", debian: "arm64", tools: "aarch64-linux-gnu-" },
];

/** @returns {Promise<{arch: string, debian: string, name: string, file: string}[]>} one for each machine that there is a compiler for */
export async function prebuild() {
  const made = [];
  for (const machine of MACHINES) {
    const isCross = machine.arch !== process.arch;
    const tools = isCross ? machine.tools : "";
    if (which(`${tools}g++`) === null) {
      say(`no prebuilt addon for ${machine.arch}: missing g++-${machine.tools.replaceAll("_", "-").slice(0, -1)}`);
      continue;
    }
    made.push({ ...machine, name: `linux-${machine.arch}-glibc`, file: await compile(machine, tools) });
  }
  if (made.length === 0) fail("there is no compiler for any machine: apt-get install g++");
  return made;
}

async function compile({ arch }, tools) {
  const folder = join(ROOT, ".set-up/release", `addon-${arch}`);
  const file = join(folder, "build/Release/vtepd.node");
  const key = `release addon ${arch}`;
  const hash = hashOf(sources(), process.version, tools);
  if (stamps()[key] === hash && existsSync(file)) return file;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const source of sources()) cpSync(source, join(folder, basename(source)));
  const env = { ...headersEnv(), CC: `${tools}gcc`, CXX: `${tools}g++`, LINK: `${tools}g++` };
  const gyp = [nodeGyp(), "configure", "build", "-j", "max", `--arch=${arch}`];
  if ((await run(`addon for ${arch}`, process.execPath, gyp, { cwd: folder, env })) !== 0)
    fail(`the addon could not be compiled for ${arch}`);
  // Symbols without a use, and the names of this machine's folders with them.
  if ((await run(`strip for ${arch}`, `${tools}strip`, ["--strip-unneeded", file])) !== 0) fail("strip failed");
  stamp(key, hash);
  return file;
}

/** The lowest glibc that has all the addon asks for, like "2.34". */
export function glibcOf(file) {
  const asked = readFileSync(file, "latin1").match(/\bGLIBC_2\.\d+/g) ?? [];
  return `2.${Math.max(17, ...asked.map((word) => Number(word.slice("GLIBC_2.".length))))}`;
}
