/**
 * Few files out of many: `node test/bundle.mjs worker|daemon|bench` (set-up.mjs runs it behind the compiler).
 *
 * worker  In V8 an `import` is a cell: each use of an imported constant loads it, asks whether it is initialised and whether
 *         it is a small integer, and each call of an imported function loads and compares its target; none of this can be
 *         optimised away, since the cell could change. Names of one module are constants, and numbers among them are
 *         written into the code. The life of a frame crosses some twenty files and uses a hundred such names: as one module
 *         it takes half the time and half the machine code.
 * daemon  Nine tenths of the packages' code is never used by us. Without it the daemon starts in half the time and needs
 *         15 MB less.
 * bench   What measures `forward()`, made like the worker.
 *
 * Nothing is minified: a stack reads like the sources, and the source maps lead to them.
 */
import { join } from "node:path";
import { rolldown } from "rolldown";

const TARGETS = {
  worker: ["src/dataplane/worker.ts", { file: "dist/dataplane/worker.bundle.js" }],
  daemon: ["src/main.ts", { dir: "dist", entryFileNames: "main.js", chunkFileNames: "[name].chunk.js" }],
  bench: ["test/bench/forward-child.ts", { file: "dist/bench-build/test/bench/forward-child.bundle.js" }],
};

const target = TARGETS[process.argv[2]];
if (target === undefined) throw new Error(`usage: node test/bundle.mjs ${Object.keys(TARGETS).join("|")}`);
const [input, output] = target;
const cwd = join(import.meta.dirname, "..");
const bundle = await rolldown({ input, cwd, platform: "node", optimization: { inlineConst: true } });
await bundle.write({ ...output, format: "esm", sourcemap: true });
await bundle.close();
