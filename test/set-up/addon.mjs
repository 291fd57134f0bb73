/** The addon, compiled by npm's node-gyp. The Node ABI is an input of its hash: a new Node must not load an old addon. */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ABI, headersEnv, nodeGyp } from "./node-modules.mjs";
import { fail, filesUnder, hashOf, MISSING, networkError, ROOT, run, say, stamp, stamps } from "./workshop.mjs";

const BINDINGS = join(ROOT, "native-bindings");
export const sources = () =>
  filesUnder(BINDINGS, /\.(cc|cpp|c|h|hh|gyp|gypi)$/).filter((file) => !file.startsWith(join(BINDINGS, "build")));
const addonHash = () => hashOf(sources(), ABI);
const isThere = () =>
  existsSync(join(BINDINGS, "build/Release")) &&
  readdirSync(join(BINDINGS, "build/Release")).some((name) => name.endsWith(".node"));

/** node-gyp fetches Node's headers where they are not beside Node. */
function explain(log) {
  const error = networkError(log);
  if (error === null) return null;
  return `Node's headers are not beside ${process.execPath}, and nodejs.org does not answer (${error}). Once there is a network: npm run build; or take a Node that brings its include folder, or set npm_config_nodedir to one`;
}

export const addon = {
  isDone: () => isThere() && stamps().addon === addonHash(),
  async carryOut() {
    const hash = addonHash();
    stamp("addon", null);
    // Another ABI shares no object file with this one.
    if (stamps().addonAbi !== ABI) rmSync(join(BINDINGS, "build"), { recursive: true, force: true });
    say("compiling the addon (native-bindings)");
    let isOffline = false;
    const status = await run("addon", process.execPath, [nodeGyp(), "configure", "build", "-j", "max"], {
      cwd: BINDINGS,
      env: headersEnv(),
      explain: (log) => {
        isOffline = networkError(log) !== null;
        return explain(log);
      },
    });
    if (status !== 0 || !isThere()) fail("the addon could not be compiled", isOffline ? MISSING : 1);
    stamp("addonAbi", ABI);
    stamp("addon", hash);
  },
};
