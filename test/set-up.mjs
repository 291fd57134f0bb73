/**
 * Set-up: everything a newcomer's `npm run lab` or `npm test` needs, in one plain Node script without dependencies.
 *
 *     node test/set-up.mjs build|lab|test|bench|docker      (addon: all of build but the TypeScript, for images)
 *
 * A list of steps; each knows whether it is done and how to do it: Debian packages, npm packages, the optional `cap`,
 * the addon, the TypeScript. When every step is done the script ends in a fraction of a second. Otherwise it takes a
 * lock (flock on .set-up/lock: the kernel gives it back when the holder dies, so there are no stale locks) and does
 * what is missing, in order, saying what it installs and why. Logs of the long steps stay in .set-up/.
 *
 * What was done is remembered as a hash of its inputs in .set-up/stamps.json. Time stamps of files say nothing after
 * a `git checkout`, and the Node ABI is an input too: a new Node must not load an old addon.
 *
 * System packages are installed only by root on a machine with apt-get, and only those whose program or header is not
 * there. Everybody else is told what is missing, and set-up goes on: most of it is needed by few tests.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { CAPTURE, COMPILE, isThere, WANTED, which } from "./system-packages.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NOTES = join(ROOT, ".set-up");
const STAMPS = join(NOTES, "stamps.json");
const MODES = ["build", "addon", "lab", "test", "bench", "docker"];
const LOWEST_NODE = [20, 19];
/** A package that could not be installed is not asked for again for so long: without a network each try is slow. */
const RETRY_APT_MS = 10 * 60_000;

// ---- small tools -------------------------------------------------------------------------------------------------
const say = (text) => process.stderr.write(`set-up: ${text}\n`);
const fail = (text) => {
  say(text);
  process.exit(1);
};

function filesUnder(folder, ending = /./) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function hashOf(files, ...words) {
  const hash = createHash("sha256").update(words.join("\0"));
  for (const file of files) {
    hash.update(`\0${relative(ROOT, file)}\0`);
    if (existsSync(file)) hash.update(readFileSync(file));
  }
  return hash.digest("hex");
}

function stamps() {
  try {
    return JSON.parse(readFileSync(STAMPS, "utf8"));
  } catch {
    return {};
  }
}

function stamp(name, value) {
  writeFileSync(`${STAMPS}.new`, `${JSON.stringify({ ...stamps(), [name]: value }, null, 2)}\n`);
  renameSync(`${STAMPS}.new`, STAMPS);
}

/** Run a program with its output in a log file; a line every ten seconds shows that it lives. Resolves to its exit status. */
function run(label, program, args, { env = {}, cwd = ROOT } = {}) {
  const log = join(NOTES, `${label.replace(/\W+/g, "-")}.log`);
  const out = openSync(log, "w");
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, stdio: ["ignore", out, out], env: { ...process.env, ...env } });
    const heartbeat = setInterval(() => say(`${label}: still at it (${seconds()} s)`), 10_000);
    const end = (status) => {
      clearInterval(heartbeat);
      if (status !== 0) {
        say(`${label} failed (${status}); the end of ${relative(ROOT, log)}:`);
        process.stderr.write(`${readFileSync(log, "utf8").trimEnd().split("\n").slice(-40).join("\n")}\n`);
      } else say(`${label}: done in ${seconds()} s`);
      resolve(status);
    };
    child.on("error", (error) => end(error.message));
    child.on("exit", (status, signal) => end(status ?? signal));
  });
}

/** npm as it was found: the one that runs us, else the one on PATH. [program, first arguments] */
function npm() {
  const script = process.env.npm_execpath;
  if (script?.endsWith(".js") && existsSync(script)) return [process.execPath, [script]];
  const program = which("npm");
  return program === null ? fail("npm is not on PATH") : [program, []];
}

/** npm brings its own node-gyp; a second copy among the dependencies would only age. */
function nodeGyp() {
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
    const shown = spawnSync(command, [...first, "root", "-g"], { encoding: "utf8" });
    roots.push(join(shown.stdout.trim(), "npm"));
  }
  return fail("npm's own node-gyp was not found; is npm complete?");
}

/** Where Node ships its headers beside itself nothing has to be downloaded to compile. */
function headersEnv() {
  if (process.env.npm_config_nodedir) return {};
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const header = join(prefix, "include", "node", "node_version.h");
  if (!existsSync(header)) return {};
  const text = readFileSync(header, "utf8");
  const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
  const same = `v${part("MAJOR")}.${part("MINOR")}.${part("PATCH")}` === process.version;
  return same ? { npm_config_nodedir: prefix } : {};
}

const ABI = `${process.versions.modules}-${process.platform}-${process.arch}`;

// ---- npm packages ------------------------------------------------------------------------------------------------
const modulesHash = () => hashOf([join(ROOT, "package-lock.json")], ABI);
const RAW_SOCKET = join(ROOT, "node_modules/raw-socket/build/Release/raw.node");

/** Does npm's own record of node_modules agree with the lock file? So an install made by hand is not thrown away. */
function agreesWithLock() {
  try {
    const wanted = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
    const found = JSON.parse(readFileSync(join(ROOT, "node_modules/.package-lock.json"), "utf8")).packages;
    return Object.entries(wanted).every(
      ([path, entry]) => path === "" || entry.optional || found[path]?.version === entry.version,
    );
  } catch {
    return false;
  }
}

const modules = {
  isDone: () =>
    existsSync(RAW_SOCKET) &&
    existsSync(join(ROOT, "node_modules/.package-lock.json")) &&
    stamps().modules === modulesHash(),
  async carryOut() {
    const adopt = stamps().modules === undefined && existsSync(RAW_SOCKET) && agreesWithLock();
    if (!adopt) {
      say("installing the npm packages of package-lock.json (npm ci)");
      const [program, first] = npm();
      const status = await run("npm ci", program, [...first, "ci", "--no-audit", "--no-fund"], { env: headersEnv() });
      if (status !== 0) fail("the npm packages could not be installed");
      if (!existsSync(RAW_SOCKET))
        fail("npm ci left raw-socket unbuilt: does npm block install scripts? see .set-up/npm-ci.log");
    }
    stamp("modules", modulesHash());
  },
};

// ---- cap: optional, needs libpcap's headers ----------------------------------------------------------------------
const CAP = join(ROOT, "node_modules/cap/build/Release/cap.node");
const canBuildCap = () => isThere(CAPTURE[0][1]);

const cap = {
  isDone: () => existsSync(CAP) || !canBuildCap() || stamps().capFailed === modulesHash(),
  async carryOut() {
    const [program, first] = npm();
    if (existsSync(join(ROOT, "node_modules/cap"))) {
      say("libpcap's headers are here now: building cap (npm rebuild cap)");
      await run("npm rebuild cap", program, [...first, "rebuild", "cap"], { env: headersEnv() });
    } else {
      // npm removes an optional package whose build failed, and only a full install brings it back.
      say("libpcap's headers are here now: installing cap (npm ci)");
      await run("npm ci", program, [...first, "ci", "--no-audit", "--no-fund"], { env: headersEnv() });
    }
    if (existsSync(CAP)) return stamp("capFailed", null);
    say("cap could not be built: captures fall back to tcpdump");
    stamp("capFailed", modulesHash());
  },
};

// ---- the addon ---------------------------------------------------------------------------------------------------
const BINDINGS = join(ROOT, "native-bindings");
const addonSources = () =>
  filesUnder(BINDINGS, /\.(cc|cpp|c|h|hh|gyp|gypi)$/).filter((file) => !file.startsWith(join(BINDINGS, "build")));
const addonHash = () => hashOf(addonSources(), ABI);
const hasAddon = () =>
  existsSync(join(BINDINGS, "build/Release")) &&
  readdirSync(join(BINDINGS, "build/Release")).some((n) => n.endsWith(".node"));

const addon = {
  isDone: () => addonSources().length === 0 || (hasAddon() && stamps().addon === addonHash()),
  async carryOut() {
    const hash = addonHash();
    stamp("addon", null);
    // Another ABI shares no object file with this one.
    if (stamps().addonAbi !== ABI) rmSync(join(BINDINGS, "build"), { recursive: true, force: true });
    say("compiling the addon (native-bindings)");
    const status = await run("addon", process.execPath, [nodeGyp(), "configure", "build", "-j", "max"], {
      cwd: BINDINGS,
      env: headersEnv(),
    });
    if (status !== 0 || !hasAddon()) fail("the addon could not be compiled");
    stamp("addonAbi", ABI);
    stamp("addon", hash);
  },
};

// ---- TypeScript --------------------------------------------------------------------------------------------------
const SRC = join(ROOT, "src");
const DIST = join(ROOT, "dist");
const PROGRAMS = ["main.js", "ctl/main.js", "lab/main.js"];
const sources = () => filesUnder(SRC, /(?<!\.d)\.ts$/);
const emitted = (source) => join(DIST, relative(SRC, source).replace(/\.ts$/, ".js"));
const BUNDLER = [join(ROOT, "test/bundle.mjs"), join(ROOT, "node_modules/rolldown/package.json")];
/** What bundle.mjs makes: the forwarding thread as one file; main.js has the compiler's place. */
const WORKER = join(DIST, "dataplane/worker.bundle.js");
const CHUNK = /\.chunk\.js(\.map)?$/;
const bundle = (target) => run(`bundle ${target}`, process.execPath, [BUNDLER[0], target]);
const COMPILERS = [join(ROOT, "tsconfig.json"), join(ROOT, "node_modules/typescript/package.json"), ...BUNDLER];
const distHash = () => hashOf([...filesUnder(SRC), ...COMPILERS]);

const typescript = {
  isDone: () => stamps().dist === distHash() && [...sources().map(emitted), WORKER].every((file) => existsSync(file)),
  async carryOut() {
    const hash = distHash();
    stamp("dist", null); // a build that fails half-way leaves nothing to trust
    // An incremental build trusts its notes and would not write again what somebody removed.
    if (!sources().every((source) => existsSync(emitted(source)))) rmSync(join(DIST, ".tsbuildinfo"), { force: true });
    const status = await run("tsc", process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", ROOT]);
    if (status !== 0) fail("the TypeScript does not compile");
    for (const file of readdirSync(DIST)) if (CHUNK.test(file)) rmSync(join(DIST, file));
    for (const target of ["worker", "daemon"]) if ((await bundle(target)) !== 0) fail(`no bundle of the ${target}`);
    const wanted = new Set([...sources().map(emitted), WORKER]);
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

// ---- the benchmark: TypeScript of the tests and the sources, beside the product in dist, and a packet generator in C ----
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

const benchmark = {
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

// ---- system packages ---------------------------------------------------------------------------------------------
function missingPackages(mode) {
  const mustCompile = !modules.isDone() || !addon.isDone();
  const wanted = [...(mustCompile ? COMPILE : []), ...(existsSync(CAP) ? [] : CAPTURE), ...WANTED[mode]];
  return wanted.filter(([, sign]) => !isThere(sign));
}

const mayInstall = () => process.getuid?.() === 0 && which("apt-get") !== null;
const namesOf = (missing) => missing.map(([name]) => name).join(" ");

function triedLately(missing) {
  const tried = stamps().aptFailed;
  return tried?.names === namesOf(missing) && Date.now() - tried.atMs < RETRY_APT_MS;
}

function tellMissing(mode) {
  const missing = missingPackages(mode);
  for (const [name, , purpose] of missing) say(`missing: ${name} (${purpose})`);
  if (missing.length > 0) say(`going on without; as root: apt-get install ${namesOf(missing)}`);
}

const packages = (mode) => ({
  isDone() {
    const missing = missingPackages(mode);
    return missing.length === 0 || !mayInstall() || triedLately(missing);
  },
  async carryOut() {
    const missing = missingPackages(mode);
    for (const [name, , purpose] of missing) say(`installing ${name}: ${purpose}`);
    const apt = (label, ...args) =>
      run(label, "apt-get", ["-y", "-q", "-o", "DPkg::Lock::Timeout=120", ...args], {
        env: { DEBIAN_FRONTEND: "noninteractive" },
      });
    const install = async (...names) =>
      (await apt("apt-get install", "install", "--no-install-recommends", ...names)) === 0;
    const update = async () => (await apt("apt-get update", "update")) === 0;
    const names = missing.map(([name]) => name);
    const hasLists = filesUnder("/var/lib/apt/lists", /_Packages/).length > 0;
    if (!(hasLists && (await install(...names))) && (await update()) && !(await install(...names))) {
      // A package that this distribution does not have must not cost the others.
      for (const name of names) await install(name);
    }
    const still = missing.filter(([, sign]) => !isThere(sign));
    stamp("aptFailed", still.length === 0 ? null : { names: namesOf(still), atMs: Date.now() });
  },
});

// ---- all of it ---------------------------------------------------------------------------------------------------
/** Do the rest while holding the lock; whoever holds it tells the others by its mere existence. */
function withLock() {
  const lock = join(NOTES, "lock");
  const again = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const env = { ...process.env, VTEPD_SET_UP_LOCKED: "1" };
  const BUSY = 75;
  // -o: daemons that a package's installation starts must not inherit the lock.
  const take = (...options) =>
    spawnSync("flock", [...options, "-o", "-E", String(BUSY), lock, ...again], { stdio: "inherit", env });
  let taken = take("-n");
  if (taken.status === BUSY) {
    say("another set-up is at work on this tree; waiting for it");
    taken = take("-w", "1800");
    if (taken.status === BUSY) fail("the other set-up did not finish in 30 minutes");
  }
  process.exit(taken.status ?? 130);
}

async function main() {
  const mode = process.argv[2] ?? "";
  if (!MODES.includes(mode)) {
    say(`usage: node test/set-up.mjs ${MODES.join("|")}`);
    process.exit(2);
  }
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < LOWEST_NODE[0] || (major === LOWEST_NODE[0] && minor < LOWEST_NODE[1])) {
    fail(`Node ${LOWEST_NODE.join(".")} or later is needed, this is ${process.version}`);
  }
  if (process.platform !== "linux") fail("vtepd needs Linux: TAP devices and network namespaces");

  mkdirSync(NOTES, { recursive: true });
  const steps = [packages(mode), modules, cap, addon];
  if (mode !== "addon") steps.push(typescript);
  if (mode === "bench") steps.push(benchmark);
  if (steps.every((step) => step.isDone())) return tellMissing(mode);
  if (process.env.VTEPD_SET_UP_LOCKED !== "1" && which("flock") !== null) withLock();
  for (const step of steps) if (!step.isDone()) await step.carryOut();
  tellMissing(mode);
  say("ready");
}

await main();
