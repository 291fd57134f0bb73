/**
 * The npm package. It brings the npm packages it needs, in the versions of package-lock.json, so that it installs without a
 * registry and runs what was tested; raw-socket and cap, which are compiled, stay optional and are not brought.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { npm } from "../set-up/node-modules.mjs";
import { fail, ROOT, run } from "../set-up/workshop.mjs";

const STAGE = join(ROOT, ".set-up/release/package");
/** What `files` of package.json chooses from. */
const BROUGHT = ["dist", "deploy", "docs", "LICENSE", "README.md", "CHANGELOG.md"];

/** @returns {Promise<string>} the package's path in `folder` */
export async function pack(folder, version, addons) {
  rmSync(STAGE, { recursive: true, force: true });
  mkdirSync(STAGE, { recursive: true });
  const bring = (from, to) => cpSync(from, join(STAGE, to), { recursive: true });
  for (const name of BROUGHT) if (existsSync(join(ROOT, name))) bring(join(ROOT, name), name);
  cpSync(join(ROOT, "native-bindings"), join(STAGE, "native-bindings"), {
    recursive: true,
    filter: (path) => basename(path) !== "build",
  });
  bring(join(import.meta.dirname, "compile.mjs"), "native-bindings/compile.mjs");
  for (const { name, file } of addons) bring(file, `native-bindings/prebuilt/${name}/vtepd.node`);
  for (const path of needed()) bring(join(ROOT, path), path);
  writeFileSync(join(STAGE, "package.json"), `${JSON.stringify(manifest(), null, 2)}\n`);
  const [program, first] = npm();
  const args = [...first, "pack", "--ignore-scripts", "--pack-destination", folder];
  if ((await run("npm pack", program, args, { cwd: STAGE })) !== 0) fail("npm could not pack the package");
  return join(folder, `vtepd-${version}.tgz`);
}

/** Folders of the npm packages that the programs need, as package-lock.json has them. */
function needed() {
  const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
  return Object.keys(packages).filter((path) => path !== "" && !packages[path].dev && !packages[path].optional);
}

/** package.json without what only this tree can do. */
function manifest() {
  const { scripts, devDependencies, allowScripts, overrides, ...kept } = JSON.parse(
    readFileSync(join(ROOT, "package.json"), "utf8"),
  );
  const bundleDependencies = Object.keys(kept.dependencies);
  return { ...kept, os: ["linux"], scripts: { install: "node native-bindings/compile.mjs" }, bundleDependencies };
}
