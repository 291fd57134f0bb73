/**
 * Set-up: everything a newcomer's `npm run lab` or `npm test` needs, in plain Node without dependencies.
 *
 *     node test/set-up.mjs build|lab|evpn|test|bench|docker|release      (addon: all of build but the TypeScript, for images)
 *
 * A list of steps; each knows whether it is done and how to do it: Debian packages, npm packages, the two that are
 * compiled, the addon, the TypeScript. When every step is done the script ends in a fraction of a second. Otherwise it
 * takes a lock and does what is missing, in order, saying what it installs and why. What cannot be helped from here is
 * said first, before anything is downloaded or built: exit 6, and the command that helps. Logs of the long steps stay in
 * .set-up/. How the steps work is in set-up/workshop.mjs.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { addon } from "./set-up/addon.mjs";
import { demanded, packages, tellMissing } from "./set-up/debian.mjs";
import { whyNoLab } from "./set-up/lab-rights.mjs";
import { cap, modules, rawSocket } from "./set-up/node-modules.mjs";
import { benchmark, typescript } from "./set-up/programs.mjs";
import { fail, MISSING, mindSignals, OWNER, openNotes, ROOT, say, takeLock } from "./set-up/workshop.mjs";

const MODES = ["build", "addon", "lab", "evpn", "test", "bench", "docker", "release"];
const USAGE = 2;

/** `engines` of package.json is the one place that says which Node is the lowest. */
function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const [lowMajor, lowMinor] = engines.node.replace(">=", "").split(".").map(Number);
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < lowMajor || (major === lowMajor && minor < lowMinor))
    fail(`Node ${lowMajor}.${lowMinor} or later is needed, this is ${process.version}`, MISSING);
}

async function main() {
  const mode = process.argv[2] ?? "";
  if (!MODES.includes(mode)) fail(`usage: node test/set-up.mjs ${MODES.join("|")}`, USAGE);
  checkNode();
  if (process.platform !== "linux") fail("vtepd needs Linux: TAP devices and network namespaces", MISSING);

  openNotes();
  const built = [modules, rawSocket, cap, addon];
  if (mode !== "addon") built.push(typescript);
  if (mode === "bench") built.push(benchmark);
  const debian = packages(mode);
  const isDone = () => [debian, ...built].every((step) => step.isDone());
  const refuse = () => {
    const reason = mode === "lab" ? whyNoLab() : null;
    if (reason !== null) fail(`the lab cannot run: ${reason}`, MISSING);
  };
  if (!isDone()) {
    mindSignals();
    if (OWNER !== null) say(`working as ${OWNER.name}, whose tree this is; only apt-get runs as root`);
    // For `ip`, which the trial needs, root must install first.
    if (debian.isDone()) refuse();
    const isChanged = await takeLock();
    if (!(isChanged && isDone())) {
      if (!debian.isDone()) await debian.carryOut();
      demanded(mode);
      refuse();
      for (const step of built) if (!step.isDone()) await step.carryOut();
      tellMissing(mode);
      say("ready");
      return;
    }
  }
  refuse();
  // It may have been tried lately, in vain.
  if (mode === "evpn") demanded(mode);
  tellMissing(mode);
}

await main();
