/**
 * A release: what a machine without this tree and without a compiler installs. `npm run release` makes, in release/,
 *
 *     vtepd-VERSION.tgz           npm i -g: the programs, the npm packages they need, the addon for each machine of addons.mjs
 *     vtepd_VERSION_ARCH.deb      apt install: the same, with a systemd unit, a user, manual and completions
 *     SHA256SUMS
 *
 * The same commit gives the same bytes: times are the commit's (SOURCE_DATE_EPOCH), nothing names this machine's folders.
 * What goes into the package is `files` of package.json; the deb is made of the package, so that the two cannot differ.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prebuild } from "./release/addons.mjs";
import { makeDeb } from "./release/deb.mjs";
import { pack } from "./release/package.mjs";
import { mindSignals, openNotes, ROOT, say, takeLock } from "./set-up/workshop.mjs";

const RELEASE = join(ROOT, "release");

/** When this commit was made, in seconds: the time of every file. */
function epoch() {
  if (process.env.SOURCE_DATE_EPOCH) return process.env.SOURCE_DATE_EPOCH;
  const shown = spawnSync("git", ["log", "-1", "--format=%ct"], { cwd: ROOT, encoding: "utf8" });
  return shown.status === 0 ? shown.stdout.trim() : "0";
}

openNotes();
mindSignals();
await takeLock();
process.umask(0o022);
process.env.SOURCE_DATE_EPOCH = epoch();
const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
rmSync(RELEASE, { recursive: true, force: true });
mkdirSync(RELEASE);
const addons = await prebuild();
const tgz = await pack(RELEASE, version, addons);
for (const addon of addons) await makeDeb(RELEASE, version, tgz, addon);
const made = readdirSync(RELEASE).sort();
const sums = made.map((name) => {
  const sum = createHash("sha256")
    .update(readFileSync(join(RELEASE, name)))
    .digest("hex");
  return `${sum}  ${name}\n`;
});
writeFileSync(join(RELEASE, "SHA256SUMS"), sums.join(""));
for (const name of [...made, "SHA256SUMS"]) say(`made release/${name}`);
