/**
 * The offload core (checksum, layers, gso, segment, coalesce) and the sending of batches have no N-API, so they are tested
 * natively: compiled with AddressSanitizer and UBSan, the unit tests run against a slow twin, the fuzz targets for
 * FUZZ_SECONDS each (10), from the corpus in test/native/corpus. Where clang++ has its fuzzer runtime (Debian: clang-14 and
 * libclang-rt-14-dev) they are libFuzzer's, else a plain driver mutates; the output says which.
 * Seeds are printed; `SEED=n make -C test/native fuzz` repeats a run. Needs g++ and make.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const HERE = dirname(fileURLToPath(import.meta.url));
const SECONDS = Number(process.env.FUZZ_SECONDS ?? 10);
const UNITS = ["checksum-test", "gso-test", "unfinished-test", "segment-test", "coalesce-test"];
const TARGETS = ["fuzz-checksum", "fuzz-segment", "fuzz-coalesce", "fuzz-repair", "fuzz-receive"];

interface Ended {
  code: number | null;
  text: string;
}

function run(command: string, args: string[], cwd: string): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, FUZZ_SECONDS: String(SECONDS) } });
    let text = "";
    child.stdout.on("data", (data) => (text += data));
    child.stderr.on("data", (data) => (text += data));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, text }));
  });
}

describe("the offload core, natively", () => {
  const out = mkdtempSync(join(tmpdir(), "vtepd-native-"));
  afterAll(() => rmSync(out, { recursive: true, force: true }));

  beforeAll(async () => {
    const { code, text } = await run("make", ["-s", `OUT=${out}`, "build"], HERE);
    expect(code, text).toBe(0);
  }, 600_000);

  test.each(UNITS)(
    "%s agrees with the slow twin",
    async (name) => {
      const { code, text } = await run(join(out, name), [], HERE);
      expect(code, text).toBe(0);
      expect(text).toContain(`${name}: ok`);
    },
    60_000,
  );

  test.each(TARGETS)(
    "%s finds nothing",
    async (name) => {
      const { code, text } = await run("make", ["-s", `OUT=${out}`, `TARGETS=${name}`, "fuzz"], HERE);
      expect(code, text).toBe(0);
      const said = /fuzzing with .*|stat::number_of_executed_units.*|executions.*/g;
      console.log(`${name}: ${text.match(said)?.join("; ")}`);
      // Built and run, not merely started.
      expect(Number(/(?:executed_units:\s*|ok, )(\d+)/.exec(text)?.[1])).toBeGreaterThan(10);
    },
    (SECONDS + 60) * 1000,
  );
});
