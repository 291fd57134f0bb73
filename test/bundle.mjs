/**
 * One file out of many: `node test/bundle.mjs SOURCE OUT` (set-up.mjs runs it).
 *
 * The forwarding thread is loaded as one module, because in V8 an `import` is a cell: each use of an imported constant loads
 * it, asks whether it is initialised and whether it is a small integer, and each call of an imported function loads and
 * compares its target; none of this can be optimised away, since the cell could change. Names of one module are
 * constants, and numbers among them are written into the code. The life of a frame crosses some twenty files and
 * uses a hundred such names: as one module it takes half the time and half the machine code.
 *
 * Nothing is minified: a stack from a worker reads like the sources, and the source map leads to them.
 */
import { rolldown } from "rolldown";

const [input, file] = process.argv.slice(2);
if (file === undefined) throw new Error("usage: node test/bundle.mjs SOURCE OUT");
const bundle = await rolldown({ input, platform: "node", optimization: { inlineConst: true } });
await bundle.write({ file, format: "esm", sourcemap: true });
await bundle.close();
