/**
 * The npm packages of package-lock.json, and those two among them that are compiled here: `raw-socket` (tunnels are
 * watched by echo) and `cap` (live captures).
 *
 * Both are optional: the product lives without them and says so. They are bound to one Node major, and only loading them
 * tells for which one they were built (an `npm ci` by hand leaves no note). npm removes an optional package whose build
 * failed, and only a full install brings it back.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { CAPTURE, COMPILE, isThere, which } from "./system-packages.mjs";
import { asOwner, fail, hashOf, MISSING, networkError, ROOT, run, say, stamp, stamps } from "./workshop.mjs";

export const ABI = `${process.versions.modules}-${process.platform}-${process.arch}`;

/** npm as it was found: the one that runs us, else the one on PATH. [program, first arguments] */
export function npm() {
  const script = process.env.npm_execpath;
  if (script?.endsWith(".js") && existsSync(script)) return [process.execPath, [script]];
  const program = which("npm");
  return program === null ? fail("npm is not on PATH: it comes with Node.js", MISSING) : [program, []];
}

/** npm brings its own node-gyp; a second copy among the dependencies would only age. */
export function nodeGyp() {
  const roots = [];
  if (process.env.npm_execpath) roots.push(dirname(dirname(process.env.npm_execpath)));
  const program = which("npm");
  if (program !== null) roots.push(dirname(dirname(realpathSync(program))));
  const [command, first] = npm();
  for (let tries = 0; tries < 2; tries++) {
    for (const root of roots) {
      const script = join(root, "node_modules", "node-gyp", "bin", "node-gyp.js");
      if (existsSync(script)) return script;
    }
    const shown = spawnSync(command, [...first, "root", "-g"], { ...asOwner(), encoding: "utf8" });
    roots.push(join(shown.stdout.trim(), "npm"));
  }
  return fail("npm's own node-gyp was not found; is npm complete?", MISSING);
}

/** Where Node ships its headers beside itself nothing has to be downloaded to compile. */
export function headersEnv() {
  if (process.env.npm_config_nodedir) return {};
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const header = join(prefix, "include", "node", "node_version.h");
  if (!existsSync(header)) return {};
  const text = readFileSync(header, "utf8");
  const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
  const same = `v${part("MAJOR")}.${part("MINOR")}.${part("PATCH")}` === process.version;
  return same ? { npm_config_nodedir: prefix } : {};
}

function explainNpm(log) {
  const error = networkError(log);
  if (error === null) return null;
  const [command, first] = npm();
  const shown = spawnSync(command, [...first, "config", "get", "registry"], { ...asOwner(), encoding: "utf8" });
  return `the npm registry ${shown.stdout.trim()} does not answer (${error}). Once there is a network: npm run build. Behind a proxy: npm config set proxy http://HOST:PORT. With a mirror: npm config set registry URL`;
}

/** What npm has in its cache is not asked for again; one try more where the network fails. */
export const THRIFT = ["--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=2000"];
const PING_MS = 30_000;

function npmEnv() {
  return { ...headersEnv(), PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
}

/**
 * Does a registry answer, whatever it says? npm asks for each of some hundred packages by itself, and waits for each where
 * a network swallows what is sent: twenty minutes until it says so.
 */
function hasRegistry() {
  const [program, first] = npm();
  const { env, ...owner } = asOwner();
  const options = { ...owner, env: { ...env, ...npmEnv() }, encoding: "utf8", timeout: PING_MS };
  const asked = spawnSync(program, [...first, "ping", "--fetch-retries=0", `--fetch-timeout=${PING_MS}`], options);
  return asked.signal === null && (asked.status === 0 || networkError(asked.stderr) === null);
}

function runNpm(label, ...args) {
  const [program, first] = npm();
  return run(label, program, [...first, ...args], { env: npmEnv(), explain: explainNpm });
}

/** Without a registry npm's cache may hold all that is wanted; what it does not hold, it says at once. */
const install = () => {
  const network = hasRegistry() ? THRIFT : ["--offline"];
  return runNpm("npm ci", "ci", "--no-audit", "--no-fund", ...network);
};

// ---- all packages ------------------------------------------------------------------------------------------------
const LOCK_FILE = join(ROOT, "package-lock.json");
const RECORD = join(ROOT, "node_modules/.package-lock.json");
const lockHash = () => hashOf([LOCK_FILE]);

/** Does npm's own record of node_modules agree with the lock file? So an install made by hand is not thrown away. */
function agreesWithLock() {
  try {
    const wanted = JSON.parse(readFileSync(LOCK_FILE, "utf8")).packages;
    const found = JSON.parse(readFileSync(RECORD, "utf8")).packages;
    return Object.entries(wanted).every(
      ([path, entry]) => path === "" || entry.optional || found[path]?.version === entry.version,
    );
  } catch {
    return false;
  }
}

export const modules = {
  isDone: () => existsSync(RECORD) && stamps().modules === lockHash(),
  async carryOut() {
    const isAdopted = stamps().modules === undefined && agreesWithLock();
    if (!isAdopted) {
      say("installing the npm packages of package-lock.json (npm ci)");
      stamp("modules", null);
      if ((await install()) !== 0)
        fail("the npm packages could not be installed", networkError(readLog("npm-ci")) === null ? 1 : MISSING);
      for (const each of NATIVE) if (each.canBuild() && !loads(each.file)) each.giveUp();
    }
    stamp("modules", lockHash());
  },
};

const readLog = (name) => readFileSync(join(ROOT, `.set-up/${name}.log`), "utf8");

// ---- the two that are compiled -----------------------------------------------------------------------------------
const known = new Map();

/** Is it there, and for this Node? In a child: a process loads such a library once, and never a second version of it. */
function loads(file) {
  if (!existsSync(file)) return false;
  const { ino, mtimeMs } = statSync(file);
  const version = `${file} ${ino} ${mtimeMs}`;
  if (!known.has(version)) {
    const load = "process.dlopen({ exports: {} }, process.argv[1])";
    known.set(version, spawnSync(process.execPath, ["-e", load, file], { stdio: "ignore" }).status === 0);
  }
  return known.get(version);
}

function native(name, built, needs, without) {
  const file = join(ROOT, "node_modules", name, "build/Release", built);
  const attempt = () => hashOf([LOCK_FILE], ABI);
  const canBuild = () => needs.every(([, sign]) => isThere(sign));
  const giveUp = () => {
    say(`${name} could not be built: ${without}. \`npm ci --foreground-scripts\` shows why`);
    stamp(`${name} failed`, attempt());
  };
  return {
    file,
    canBuild,
    giveUp,
    isThere: () => loads(file),
    isDone: () => loads(file) || !canBuild() || stamps()[`${name} failed`] === attempt(),
    async carryOut() {
      if (existsSync(join(ROOT, "node_modules", name))) {
        say(`${name} is not built for Node ${process.version}: building it (npm rebuild ${name})`);
        await runNpm(`npm rebuild ${name}`, "rebuild", name);
      } else {
        say(`what ${name} is compiled with is here now: installing it (npm ci)`);
        await install();
      }
      if (!loads(file)) giveUp();
    },
  };
}

export const rawSocket = native(
  "raw-socket",
  "raw.node",
  COMPILE,
  "tunnels cannot be watched by echo, `vtepctl ping` does not work",
);
export const cap = native("cap", "cap.node", [...COMPILE, ...CAPTURE], "captures fall back to tcpdump");
const NATIVE = [rawSocket, cap];
