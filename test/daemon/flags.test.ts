import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { V8_FLAGS } from "../../src/daemon/workers.ts";

// V8 passes over a flag that it does not know, and one that a later Node has lost: the frames would be slower and nothing would say so.
it("each flag of the forwarding threads is one that this Node's V8 has", () => {
  const known = execFileSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
  const missing = V8_FLAGS.filter((flag) => !known.includes(`  ${flag.split("=")[0]} (`));
  expect(missing).toEqual([]);
});
