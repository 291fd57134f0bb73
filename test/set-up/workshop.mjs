/**
 * What every step of set-up works with: its notes (.set-up), its voice, its lock, and programs that it runs.
 *
 * Notes. What was done is remembered as a hash of its inputs in .set-up/stamps.json. Time stamps of files say nothing
 * after a `git checkout`.
 *
 * Lock. Held by flock(2) on an open file, which belongs to this process and to the programs that it starts: an `npm ci`
 * that outlives a killed set-up still keeps others away, and the kernel gives the lock back when the last of them ends.
 *
 * Interrupt. Each program has a process group of its own, so that Ctrl-C reaches set-up alone: it ends the whole group,
 * waits until nothing of it is left, and ends then. A tree that half an `npm ci` still works on is never free.
 *
 * Root. Under sudo in a user's tree only apt-get runs as root; what is made here belongs to that user.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  chownSync,
  constants,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { which } from "./system-packages.mjs";

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const NOTES = join(ROOT, ".set-up");
const STAMPS = join(NOTES, "stamps.json");
/** Where set-up and what it runs write. */
const MADE = [".set-up", "node_modules", "dist", "native-bindings/build"].map((name) => join(ROOT, name));

export const FAILED = 1;
/** Something outside this tree is missing: a package, a right, a network. */
export const MISSING = 6;
const INTERRUPTED = 130;
const LOCK_BUSY = 75;
/** What a program may take to end when it is told to. */
const GRACE_MS = 5000;

export const say = (text) => process.stderr.write(`set-up: ${text}\n`);
export const fail = (text, status = FAILED) => {
  say(text);
  process.exit(status);
};

// ---- files and notes ---------------------------------------------------------------------------------------------
export function filesUnder(folder, ending = /./) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && ending.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

export function hashOf(files, ...words) {
  const hash = createHash("sha256").update(words.join("\0"));
  for (const file of files) {
    hash.update(`\0${relative(ROOT, file)}\0`);
    if (existsSync(file)) hash.update(readFileSync(file));
  }
  return hash.digest("hex");
}

export function stamps() {
  try {
    return JSON.parse(readFileSync(STAMPS, "utf8"));
  } catch {
    return {};
  }
}

export function stamp(name, value) {
  writeFileSync(`${STAMPS}.new`, `${JSON.stringify({ ...stamps(), [name]: value }, null, 2)}\n`);
  give(`${STAMPS}.new`);
  renameSync(`${STAMPS}.new`, STAMPS);
}

// ---- who owns what is made ---------------------------------------------------------------------------------------
/** The user behind sudo, when this tree is that user's: whom everything but apt-get runs as. Null: the user who runs us. */
export const OWNER = (() => {
  const uid = Number(process.env.SUDO_UID);
  if (process.getuid?.() !== 0 || !(uid > 0) || statSync(ROOT).uid !== uid) return null;
  const [name, , , gid, , home] = spawnSync("getent", ["passwd", String(uid)], { encoding: "utf8" })
    .stdout.trim()
    .split(":");
  return home ? { uid, gid: Number(gid), name, home } : null;
})();

function give(path) {
  if (OWNER !== null) chownSync(path, OWNER.uid, OWNER.gid);
}

/** Everything that an earlier root left in the places where we write becomes the user's again. */
function giveAll() {
  const isRoots = (path) => lstatSync(path).uid === 0;
  for (const place of MADE.filter(existsSync)) {
    const all = [place, ...readdirSync(place, { recursive: true }).map((name) => join(place, name))];
    for (const path of all) if (isRoots(path)) lchownSync(path, OWNER.uid, OWNER.gid);
  }
}

/** Make .set-up; ends the process where an ordinary user may not write what root made. */
export function openNotes() {
  if (OWNER !== null) giveAll();
  const isOurs = (path) => {
    try {
      accessSync(path, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  };
  const closed = [...MADE, STAMPS]
    .filter((path) => existsSync(path) && !isOurs(path))
    .map((path) => relative(ROOT, path));
  if (closed.length > 0 || !isOurs(ROOT)) {
    const user = process.env.USER ?? process.getuid?.();
    const fix = closed.length > 0 ? `sudo chown -R ${user} ${closed.join(" ")}` : `sudo chown -R ${user} .`;
    fail(`${closed.join(", ") || ROOT} belongs to another user; in ${ROOT}: ${fix}`, MISSING);
  }
  mkdirSync(NOTES, { recursive: true });
  give(NOTES);
}

/** The environment of a program that runs as OWNER: npm tells its scripts where root's files are. */
function ownersEnv() {
  const { npm_config_cache, npm_config_userconfig, npm_config_prefix, npm_config_globalconfig, ...env } = process.env;
  return { ...env, HOME: OWNER.home, USER: OWNER.name, LOGNAME: OWNER.name };
}

/** Options of `spawn` for everything but apt-get. */
export const asOwner = () =>
  OWNER === null ? { env: process.env } : { uid: OWNER.uid, gid: OWNER.gid, env: ownersEnv() };

// ---- the lock ----------------------------------------------------------------------------------------------------
let lock = null;

function flock(...options) {
  return new Promise((resolve) => {
    const args = [...options, "-E", String(LOCK_BUSY), "3"];
    const child = spawn("flock", args, { stdio: ["ignore", "inherit", "inherit", lock] });
    child.on("exit", (status, signal) => resolve(signal === null ? status : INTERRUPTED));
  });
}

/** Take the tree for ourselves. @returns true when another one had it meanwhile, so that all may be done. */
export async function takeLock() {
  if (which("flock") === null) return false;
  const path = join(NOTES, "lock");
  lock = openSync(path, "a");
  give(path);
  if ((await flock("-n")) !== LOCK_BUSY) return false;
  say("another set-up is at work on this tree; waiting for it");
  const status = await flock("-w", "1800");
  if (status === LOCK_BUSY) fail("the other set-up did not finish in 30 minutes");
  if (status !== 0) process.exit(status);
  return true;
}

// ---- programs ----------------------------------------------------------------------------------------------------
/** The one that runs now: its process group, what it is called, and whether it is apt-get. */
let working = null;

const isGone = (group) => {
  try {
    process.kill(-group, 0);
    return false;
  } catch {
    return true;
  }
};

async function interrupted(signal) {
  if (working !== null) {
    const { group, label, isRoots } = working;
    working = null;
    say(`${signal}: ending ${label}`);
    // apt-get ends where it is safe to, and nothing else may end it.
    process.kill(isRoots ? group : -group, isRoots ? "SIGINT" : "SIGTERM");
    const deadline = performance.now() + GRACE_MS;
    while (!isGone(group)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (performance.now() > deadline && !isRoots && !isGone(group)) process.kill(-group, "SIGKILL");
    }
  }
  process.exit(INTERRUPTED);
}

export function mindSignals() {
  let isEnding = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
    process.on(signal, () => {
      if (!isEnding) void interrupted(signal);
      isEnding = true;
    });
}

/**
 * Run a program with its output in a log file; a line every ten seconds shows that it lives. Resolves to its exit status.
 * `explain` makes one line out of the log of a failure, or null: then the log's end is shown.
 */
export function run(label, program, args, { env = {}, cwd = ROOT, isRoots = false, explain = () => null } = {}) {
  const log = logOf(label);
  const out = openSync(log, "w");
  give(log);
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  const who = isRoots ? { env: process.env } : asOwner();
  // What a package's installation starts must not inherit the lock.
  const stdio = ["ignore", out, out, ...(lock === null || isRoots ? [] : [lock])];
  return new Promise((resolve) => {
    const child = spawn(program, args, { ...who, cwd, stdio, detached: true, env: { ...who.env, ...env } });
    const own = child.pid === undefined ? null : { group: child.pid, label, isRoots };
    working = own;
    const heartbeat = setInterval(() => say(`${label}: still at it (${seconds()} s)`), 10_000);
    const end = (status) => {
      clearInterval(heartbeat);
      // Being ended by a signal that was ours to handle: `interrupted` has the word.
      if (own !== null && working !== own) return;
      working = null;
      if (status === 0) say(`${label}: done in ${seconds()} s`);
      else {
        const text = readFileSync(log, "utf8");
        const why = explain(text);
        say(`${label} failed (${status})${why === null ? `; the end of ${relative(ROOT, log)}:` : `: ${why}`}`);
        if (why === null) process.stderr.write(`${text.trimEnd().split("\n").slice(-40).join("\n")}\n`);
      }
      resolve(status);
    };
    child.on("error", (error) => end(error.message));
    child.on("exit", (status, signal) => end(status ?? signal));
  });
}

export const logOf = (label) => join(NOTES, `${label.replace(/\W+/g, "-")}.log`);

const NETWORK_ERRORS =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|E\w*TIMED?OUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED)\b|network timeout/;

/** The error by which a log says that the network does not answer, or null. */
export const networkError = (text) => NETWORK_ERRORS.exec(text)?.[0] ?? null;
