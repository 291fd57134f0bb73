/**
 * The TypeScript: the product in dist, and the benchmark (tests' and product's sources together, beside a packet generator
 * in C) in dist/bench-build.
 */
import { chmodSync, existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { which } from "./system-packages.mjs";
import { fail, filesUnder, hashOf, ROOT, run, stamp, stamps } from "./workshop.mjs";

const SRC = join(ROOT, "src");
const DIST = join(ROOT, "dist");
const PROGRAMS = ["main.js", "ctl/main.js", "lab/main.js"];
const PAGE = join(SRC, "web/page");
const sources = () => filesUnder(SRC, /(?<!\.d)\.ts$/).filter((file) => !file.startsWith(PAGE));
const emitted = (source) => join(DIST, relative(SRC, source).replace(/\.ts$/, ".js"));
const BUNDLER = [join(ROOT, "test/bundle.mjs"), join(ROOT, "node_modules/rolldown/package.json")];
/** What bundle.mjs makes: the forwarding thread as one file; main.js has the compiler's place. */
const WORKER = join(DIST, "dataplane/worker.bundle.js");
/** The page of `vtepctl web`, for a browser. */
const PAGE_OUT = ["page.js", "style.css", "index.html", "icon.svg"].map((name) => join(DIST, "web/page", name));
const BUNDLES = [WORKER, ...PAGE_OUT];
const CHUNK = /\.chunk\.js(\.map)?$/;
const bundle = (target) => run(`bundle ${target}`, process.execPath, [BUNDLER[0], target]);
const COMPILERS = [join(ROOT, "tsconfig.json"), join(ROOT, "node_modules/typescript/package.json"), ...BUNDLER];
const distHash = () => hashOf([...filesUnder(SRC), ...COMPILERS]);

export const typescript = {
  isDone: () =>
    stamps().dist === distHash() && [...sources().map(emitted), ...BUNDLES].every((file) => existsSync(file)),
  async carryOut() {
    const hash = distHash();
    stamp("dist", null); // a build that fails half-way leaves nothing to trust
    // An incremental build trusts its notes and would not write again what somebody removed.
    if (!sources().every((source) => existsSync(emitted(source)))) rmSync(join(DIST, ".tsbuildinfo"), { force: true });
    const status = await run("tsc", process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", ROOT]);
    if (status !== 0) fail("the TypeScript does not compile");
    for (const file of readdirSync(DIST)) if (CHUNK.test(file)) rmSync(join(DIST, file));
    for (const target of ["worker", "daemon", "page"])
      if ((await bundle(target)) !== 0) fail(`no bundle of the ${target}`);
    const wanted = new Set([...sources().map(emitted), ...BUNDLES]);
    for (const file of filesUnder(DIST, /\.js(\.map)?$/)) {
      if (file.startsWith(BENCH_BUILD)) continue;
      if (!wanted.has(file.replace(/\.map$/, "")) && !CHUNK.test(file)) rmSync(file);
    }
    for (const program of PROGRAMS) {
      const file = join(DIST, program);
      if (existsSync(file)) chmodSync(file, statSync(file).mode | 0o111);
    }
    stamp("dist", hash);
  },
};

const BENCH = join(ROOT, "test/bench");
const BENCH_BUILD = join(DIST, "bench-build");
const BENCH_OUT = [join(BENCH_BUILD, "test/bench/main.js"), join(BENCH_BUILD, "packets")];
/** What measures `forward()`, as one file like the worker. */
const BENCH_CHILD = join(BENCH_BUILD, "test/bench/forward-child.bundle.js");
const benchHash = () =>
  hashOf([
    ...filesUnder(BENCH),
    ...filesUnder(join(ROOT, "test/dataplane"), /(?<!\.test)\.ts$/),
    join(ROOT, "test/netns/bed.ts"),
    ...[...filesUnder(SRC), ...COMPILERS],
  ]);

export const benchmark = {
  isDone: () => stamps().bench === benchHash() && [...BENCH_OUT, BENCH_CHILD].every((file) => existsSync(file)),
  async carryOut() {
    const hash = benchHash();
    stamp("bench", null);
    const compiler = [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", BENCH];
    if ((await run("tsc bench", process.execPath, compiler)) !== 0) fail("the benchmark's TypeScript does not compile");
    if ((await bundle("bench")) !== 0) fail("no bundle of the benchmark");
    const generator = ["-O2", "-Wall", "-Wextra", "-o", BENCH_OUT[1], join(BENCH, "packets.c")];
    if ((await run("packets", which("cc") === null ? "gcc" : "cc", generator)) !== 0)
      fail("test/bench/packets.c could not be compiled");
    stamp("bench", hash);
  },
};
