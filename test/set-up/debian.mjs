/**
 * Debian packages: installed by root on a machine with apt-get, and only those whose program or header is not there.
 *
 * Everybody else is told what is missing. What nothing can be built without ends set-up before anything is begun, in one
 * line that says which of three things is wrong: no right to install, no mirror that answers, no apt-get at all. Without
 * the rest set-up goes on: most of it is needed by few tests.
 */
import { existsSync, readFileSync } from "node:fs";
import { addon } from "./addon.mjs";
import { cap, modules, rawSocket } from "./node-modules.mjs";
import { CAPTURE, COMPILE, isThere, WANTED, which } from "./system-packages.mjs";
import { fail, filesUnder, logOf, MISSING, run, say, stamp, stamps } from "./workshop.mjs";

/** A package that could not be installed is not asked for again for so long: without a network each try is slow. */
const RETRY_MS = 10 * 60_000;

const mustCompile = () => !modules.isDone() || !rawSocket.isThere() || !addon.isDone();

function missingPackages(mode) {
  const wanted = [...(mustCompile() ? COMPILE : []), ...(cap.isThere() ? [] : CAPTURE), ...WANTED[mode]];
  return wanted.filter(([, sign]) => !isThere(sign));
}

const isRoot = () => process.getuid?.() === 0;
const hasApt = () => which("apt-get") !== null;
const namesOf = (missing) => missing.map(([name]) => name).join(" ");
const purposesOf = (missing) => [...new Set(missing.map(([name, , purpose]) => `${name} ${purpose}`))].join("; ");

function triedLately(missing) {
  const tried = stamps().aptFailed;
  return tried?.names === namesOf(missing) && Date.now() - tried.atMs < RETRY_MS;
}

/** What to do about missing packages, and what is in the way of doing it here. */
function remedy(missing) {
  const names = namesOf(missing);
  if (!hasApt()) return `there is no apt-get here; install what gives ${names} on Debian with this system's own tool`;
  if (!isRoot()) return `only root may install: sudo apt-get update && sudo apt-get install -y ${names}`;
  const command = `apt-get update && apt-get install -y ${names}`;
  if (stamps().aptFailed?.isOffline)
    return `no Debian mirror answers (.set-up/apt-get-update.log); once one does: ${command}`;
  return `apt-get could not install them (.set-up/apt-get-install.log): ${command}`;
}

export function tellMissing(mode) {
  const missing = missingPackages(mode);
  if (missing.length === 0) return;
  for (const [name, , purpose] of missing) say(`missing: ${name} (${purpose})`);
  say(`going on without; ${remedy(missing)}`);
}

/** The end, where something is missing that nothing can be built or run without. */
function demand(missing) {
  if (missing.length > 0) fail(`missing: ${purposesOf(missing)}. ${remedy(missing)}`, MISSING);
}

/** The lab makes namespaces with `ip`, and sees frames with `cap` or tcpdump. */
function demandedByLab() {
  const ip = WANTED.lab.filter(([name]) => name === "iproute2");
  const canCapture = cap.isThere() || isThere(CAPTURE[0][1]) || which("tcpdump") !== null;
  return [...ip, ...(canCapture ? [] : WANTED.lab.filter(([name]) => name === "tcpdump"))];
}

export const packages = (mode) => ({
  isDone() {
    const missing = missingPackages(mode);
    return missing.length === 0 || !isRoot() || !hasApt() || triedLately(missing);
  },
  async carryOut() {
    const missing = missingPackages(mode);
    for (const [name, , purpose] of missing) say(`installing ${name}: ${purpose}`);
    let isOffline = false;
    const explain = (log) => (isUnreachable(log) ? "no Debian mirror answers" : null);
    const apt = async (label, ...args) => {
      const status = await run(label, "apt-get", ["-y", "-q", "-o", "DPkg::Lock::Timeout=120", ...args], {
        env: { DEBIAN_FRONTEND: "noninteractive" },
        isRoots: true,
        explain,
      });
      // `apt-get update` without a network warns, and ends with 0.
      isOffline = isUnreachable(readFileSync(logOf(label), "utf8"));
      return status === 0;
    };
    const install = (...names) => apt("apt-get install", "install", "--no-install-recommends", ...names);
    const names = missing.map(([name]) => name);
    const hasLists = filesUnder("/var/lib/apt/lists", /_Packages/).length > 0;
    if (!(hasLists && (await install(...names))) && (await apt("apt-get update", "update"))) {
      const wasOffline = isOffline;
      // A package that this distribution does not have must not cost the others.
      if (!wasOffline && !(await install(...names))) for (const name of names) await install(name);
      isOffline ||= wasOffline;
    }
    const still = missing.filter(([, sign]) => !isThere(sign));
    for (const [name] of missing)
      if (SERVICES.has(name) && !still.some(([other]) => other === name)) await stopService(name);
    stamp("aptFailed", still.length === 0 ? null : { names: namesOf(still), atMs: Date.now(), isOffline });
  },
});

/** Debian starts these as services of this machine; a lab wants their programs alone: gobgpd's service listens on every address. */
const SERVICES = new Set(["gobgpd", "frr", "radvd", "isc-dhcp-server"]);
async function stopService(name) {
  if (!existsSync("/run/systemd/system")) return;
  say(`${name}: its service stays off, only its programs are needed`);
  await run(`systemctl disable ${name}`, "systemctl", ["disable", "--now", name], { isRoots: true });
}

const isUnreachable = (log) =>
  /Temporary failure resolving|Could not resolve|Could not connect|Unable to connect|Connection failed|Failed to fetch/.test(
    log,
  );

/** Between the Debian packages and the first thing that is built: end here, where that cannot go well. */
export function demanded(mode) {
  demand(mustCompile() ? COMPILE.filter(([, sign]) => !isThere(sign)) : []);
  if (mode === "lab") demand(demandedByLab().filter(([, sign]) => !isThere(sign)));
  // Everything: without an engine, a leaf, or ping there is nothing to see.
  if (mode === "evpn") demand(missingPackages(mode));
}
