/**
 * The command that compiles what is native, for how this program is installed: in its own source tree, or from a package
 * (`npm i -g`, Debian), where there is nothing to build but an npm package.
 */
import { createRequire } from "node:module";
import { dirname } from "node:path";

const require = createRequire(import.meta.url);

/** Do these programs run from their source tree? Only that has set-up. */
function isSourceTree(): boolean {
  try {
    require.resolve("#set-up");
    return true;
  } catch {
    return false;
  }
}

/** The folder with package.json; by the one name that is found from sources, dist and bundle alike. */
function home(): string {
  return dirname(dirname(dirname(require.resolve("#worker"))));
}

/** Compiles the addon, and the optional npm packages where what they need is there. */
export function buildOf(name: "addon" | "raw-socket" | "cap", isTree: boolean = isSourceTree()): string {
  if (isTree) return "npm run build";
  if (name === "addon") return `npx node-gyp rebuild -C ${home()}/native-bindings`;
  return `npm install --no-save --prefix ${home()} ${name}`;
}
