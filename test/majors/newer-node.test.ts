/**
 * The product on a newer Node than this machine's: set-up, the tests that run in memory, and the lab, in a copy of the tree.
 *
 * The Node is the npm package node-linux-ARCH, a binary with its headers; tree and Node stay in .set-up/node-MAJOR, so that
 * the next run builds only what has changed. VTEPD_NODES=22,24,26 tries those instead.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { delimiter, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../house/source.ts";
import { whyNoBed } from "../netns/bed.ts";
import { nodeOf } from "./node-of.ts";

const OWN = process.versions.node.split(".")[0]!;
/** The recommended one; beside that, the newest that is tried. */
const NEWER = OWN === "24" ? "26" : "24";
const MAJORS = process.env.VTEPD_NODES?.split(",") ?? [NEWER];
const MADE = /^(node_modules|dist|release|\.set-up|\.git)$|^native-bindings\/build$/;
const MINUTES = 60_000;
const { MISSING } = (await import(new URL("../set-up/workshop.mjs", import.meta.url).href)) as { MISSING: number };

function run(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, env, encoding: "utf8", timeout: 10 * MINUTES });
  return { status, text: `${stdout}\n${stderr}` };
}

/** The tree as it is now, without what was built; what is built in the copy stays there. */
function copyTree(to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(to))
    if (!MADE.test(name) && name !== "native-bindings") rmSync(join(to, name), { recursive: true });
  const filter = (path: string) => !MADE.test(relative(ROOT, path));
  // One by one: a folder cannot be copied into itself.
  for (const name of readdirSync(ROOT))
    if (!MADE.test(name))
      cpSync(join(ROOT, name), join(to, name), { recursive: true, preserveTimestamps: true, filter });
}

describe.each(MAJORS)("Node %s", (major) => {
  it("builds, passes the tests in memory, and holds every row of the lab", (context) => {
    const place = join(ROOT, `.set-up/node-${major}`);
    const node = nodeOf(major, place);
    if ("missing" in node) return context.skip(node.missing);
    const tree = join(place, "tree");
    copyTree(tree);
    const env = { ...process.env, PATH: [node.bin, process.env.PATH].join(delimiter), NO_COLOR: "1" };
    for (const name of Object.keys(env))
      if (/^(VITEST|npm_|NODE_|VTEPD_)/.test(name)) delete (env as NodeJS.ProcessEnv)[name];
    const here = (...args: string[]) => {
      const ended = run(join(node.bin, "node"), args, tree, env);
      // Set-up's word for what is outside this tree: a registry that does not answer.
      if (ended.status === MISSING) context.skip(ended.text.trim().split("\n").at(-1));
      if (ended.status !== 0) expect.fail(`${args.join(" ")}: ${ended.status}\n${ended.text.slice(-6000)}`);
      return ended.text;
    };
    here("test/set-up.mjs", "lab");
    const { addonAbi } = JSON.parse(readFileSync(join(tree, ".set-up/stamps.json"), "utf8")) as { addonAbi: string };
    expect(addonAbi).not.toBe(`${process.versions.modules}-linux-${process.arch}`);
    for (const file of ["raw-socket/build/Release/raw.node", "cap/build/Release/cap.node"])
      expect(statSync(join(tree, "node_modules", file)).isFile()).toBe(true);
    here("test/run.mjs", "--project", "memory");
    if (whyNoBed() === undefined) expect(here("dist/lab/main.js")).toContain("everything holds");
  });
});
