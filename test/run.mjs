/**
 * `npm test`: vitest, and a second attempt for the files that failed.
 *
 * Beds of real machines share this one with whatever else it does. A file that fails is run once more, by itself and with a bed made anew,
 * and is named at the end together with what went wrong at first. More than MOST_FILES of them are no chance any more, and the run has
 * failed, as it has where the second attempt fails too.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const MOST_FILES = 6;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
/** What plain-reporter.ts writes: [{file, why}], or nothing when more went wrong than tests. */
const FAILED = here("../.set-up/failed-tests.json");

function vitest(args) {
  rmSync(FAILED, { force: true });
  const command = [here("../node_modules/vitest/vitest.mjs"), "run", "--config", here("vitest.config.ts"), ...args];
  return spawnSync(process.execPath, command, { stdio: "inherit" }).status ?? 1;
}

function failedFiles() {
  try {
    return JSON.parse(readFileSync(FAILED, "utf8"));
  } catch {
    return [];
  }
}

const args = process.argv.slice(2);
let status = vitest(args);
const failed = status === 0 ? [] : failedFiles();
if (failed.length > MOST_FILES)
  console.log(`${failed.length} files failed; for at most ${MOST_FILES} there is a second attempt`);
else if (failed.length > 0) {
  console.log(`a second attempt, by itself, for ${failed.map(({ file }) => file).join(", ")}`);
  status = vitest(failed.map(({ file }) => file));
  for (const { file, why } of failed) console.log(`needed a second attempt: ${file}: ${why}`);
  console.log(status === 0 ? "all held at the second attempt" : "not all held at the second attempt");
}
process.exit(status);
