/**
 * Few files out of many: `node test/bundle.mjs worker|daemon|page|bench` (set-up.mjs runs it behind the compiler).
 *
 * worker  In V8 an `import` is a cell: each use of an imported constant loads it, asks whether it is initialised and whether
 *         it is a small integer, and each call of an imported function loads and compares its target; none of this can be
 *         optimised away, since the cell could change. Names of one module are constants, and numbers among them are
 *         written into the code. The life of a frame crosses some twenty files and uses a hundred such names: as one module
 *         it takes half the time and half the machine code.
 * daemon  Nine tenths of the packages' code is never used by us. Without it the daemon starts in half the time and needs
 *         15 MB less. V8 keeps the text of what it has loaded, two bytes for each character once one of them needs two: so
 *         comments go, but for licences, and what is not ASCII is written as an escape. Another 4 MB.
 * page    What a browser loads from `vtepctl web`: one script, one style sheet, and nothing from anywhere else.
 * bench   What measures `forward()`, made like the worker.
 *
 * Only the page is minified: in the others a stack reads like the sources, and the source maps lead to them.
 */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { rolldown } from "rolldown";

const TARGETS = {
  worker: ["src/dataplane/worker.ts", { file: "dist/dataplane/worker.bundle.js" }],
  daemon: ["src/main.ts", { dir: "dist", entryFileNames: "main.js", chunkFileNames: "[name].chunk.js" }],
  page: ["src/web/page/main.tsx", { file: "dist/web/page/page.js", minify: true }],
  bench: ["test/bench/forward-child.ts", { file: "dist/bench-build/test/bench/forward-child.bundle.js" }],
};

const target = TARGETS[process.argv[2]];
if (target === undefined) throw new Error(`usage: node test/bundle.mjs ${Object.keys(TARGETS).join("|")}`);
const [input, output] = target;
const cwd = join(import.meta.dirname, "..");
const isPage = process.argv[2] === "page";
const how = isPage
  ? { platform: "browser", transform: { jsx: { runtime: "automatic", importSource: "preact" } } }
  : { platform: "node" };

/** Zod brings its messages in fifty languages, half a megabyte, and a name space that holds on to them. Ours are English. */
const english = {
  name: "english",
  load: (id) => (/\/zod\/v4\/locales\/index\.js$/.test(id) ? 'export { default as en } from "./en.js";' : null),
};
const plugins = isPage ? [] : [english];
const bundle = await rolldown({ input, cwd, ...how, plugins, optimization: { inlineConst: true } });
const comments = isPage ? true : { legal: true, annotation: false, jsdoc: false };
const { output: files } = await bundle.write({ ...output, format: "esm", sourcemap: !isPage, comments });
await bundle.close();

/** In a string, a template or a regular expression alike an escape stands for its character. */
const ascii = (text) =>
  text.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
if (!isPage)
  for (const { type, fileName } of files) {
    if (type !== "chunk") continue;
    const file = join(cwd, output.dir ?? dirname(output.file), fileName);
    writeFileSync(file, ascii(readFileSync(file, "utf8")));
  }

if (isPage) {
  const to = join(cwd, "dist/web/page");
  const chart = createRequire(import.meta.url).resolve("uplot/dist/uPlot.min.css");
  const own = readFileSync(join(cwd, "src/web/page/style.css"), "utf8");
  writeFileSync(join(to, "style.css"), `${readFileSync(chart, "utf8").trim()}\n${own}`);
  for (const name of ["index.html", "icon.svg"]) copyFileSync(join(cwd, "src/web/page", name), join(to, name));
}
