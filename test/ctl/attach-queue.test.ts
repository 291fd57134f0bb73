/** What a VM says of frames that its own queue lost, which no gateway can know. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Queue } from "../../src/ctl/attach.ts";

it("is what was lost since it was last told, at most every ten seconds", () => {
  const folder = mkdtempSync(join(tmpdir(), "vtepctl-queue-"));
  mkdirSync(join(folder, "eth0/statistics"), { recursive: true });
  const lose = (frames: number) => writeFileSync(join(folder, "eth0/statistics/tx_dropped"), `${frames}\n`);
  lose(7);
  const queue = new Queue("eth0", folder);
  expect(queue.newlyLost(0)).toBe(0);
  lose(27_967);
  expect(queue.newlyLost(1000)).toBe(27_960);
  lose(28_000);
  expect(queue.newlyLost(10_999)).toBe(0);
  expect(queue.newlyLost(11_000)).toBe(33);
  expect(queue.newlyLost(30_000)).toBe(0);
  // No such file: nothing is known, nothing is said.
  rmSync(folder, { recursive: true });
  expect(new Queue("eth0", folder).newlyLost(0)).toBe(0);
});
