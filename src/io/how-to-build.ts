/**
 * What is built, and the command that builds what is not, for how this program is installed: in its own source tree, or from
 * a package (`npm i -g`, Debian), where there is nothing to build but an npm package.
 */
import { existsSync } from "node:fs";
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

/** Compiles the addon, the optional npm packages where what they need is there, and (in a tree) the programs. */
export function buildOf(name: "addon" | "raw-socket" | "cap" | "programs", isTree: boolean = isSourceTree()): string {
  if (isTree) return "npm run build";
  if (name === "programs") return "install the package of vtepd again";
  if (name === "addon") return `npx node-gyp rebuild -C ${home()}/native-bindings`;
  return `npm install --no-save --prefix ${home()} ${name}`;
}

/** Is the native part of `cap` there? It is not loaded: it may abort the process it lives in. */
export function capIsBuilt(): boolean {
  try {
    const script = require.resolve("cap");
    return existsSync(script.replace(/lib\/Cap\.js$/, "build/Release/cap.node"));
  } catch {
    return false;
  }
}

/** How `vtepctl capture --iface` gets what it needs. */
export function fixForCap(isTree: boolean = isSourceTree()): string {
  return `apt-get install g++ make python3 libpcap-dev, then ${buildOf("cap", isTree)}; or use tcpdump`;
}
