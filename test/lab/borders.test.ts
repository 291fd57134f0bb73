/** What the two Borders' lab makes of its counts, and of its own lateness. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { borderFile, gatewayFile } from "../../src/lab/borders/config-file.ts";
import { bordersComplaints, bordersTable } from "../../src/lab/borders/report.ts";
import { partsOf } from "../../src/lab/borders/run.ts";
import type { Scene } from "../../src/lab/borders/scenes.ts";
import { lossOf } from "../../src/lab/borders/stream.ts";

describe("a stream's loss", () => {
  const sent = { each: [100, 100, 100], seconds: 1 };
  const whole = { count: 100, highest: 99, run: 0 };

  it("is counted by flow; its gap is the longest run of any, at the pace that was kept", () => {
    const flows = [
      { flow: 0, ...whole },
      { flow: 1, count: 80, highest: 99, run: 15 },
      { flow: 2, count: 90, highest: 99, run: 10 },
    ];
    expect(lossOf(sent, { flows, refused: 3 })).toMatchObject({ sent: 300, lost: 30, hurt: 2, gapMs: 150, refused: 3 });
    // Half as fast as was wanted: each packet stands for twice the time.
    expect(lossOf({ ...sent, seconds: 2 }, { flows, refused: 0 }).gapMs).toBe(300);
  });

  it("is without an end for a flow that does not come back, or never came", () => {
    const flows = [
      { flow: 0, ...whole },
      { flow: 1, count: 40, highest: 39, run: 0 },
    ];
    expect(lossOf(sent, { flows, refused: 0 })).toMatchObject({ lost: 160, hurt: 2, gapMs: 1000 });
    expect(lossOf(sent, { flows: flows.slice(1), refused: 0 }).hurt).toBe(3);
  });
});

it("its configuration files are good, with and without BFD", () => {
  const places = { namespace: (node: string) => node, socket: (node: string) => `/run/${node}.sock` };
  for (const bfd of [false, true])
    for (const text of [0, 1]
      .map((n) => borderFile(n, places, { bfd, members: 4 }))
      .concat(gatewayFile(places, { bfd, members: 5 })))
      expect(parseConfig(text, "lab.yaml")).not.toHaveProperty("errors");
});

it("a scene that took longer is a complaint, and stands in the table as it was", () => {
  const loss = { flows: 64, sent: 1000, perSecond: 1000, lost: 100, hurt: 30, gapMs: 900, refused: 0 };
  const scene: Scene = { what: "kill -9", notices: "BFD", most: { gapMs: 200 }, loss, holds: false };
  const stopped: Scene = {
    ...scene,
    what: "SIGTERM",
    most: { share: 0.001 },
    loss: { ...loss, lost: 0, gapMs: 0 },
    holds: true,
  };
  expect(bordersComplaints([scene, stopped], [])).toEqual([
    "kill -9 (BFD): gap 900 ms, lost 100 of 1000 (10.0 %), at most 200 ms",
  ]);
  expect(bordersTable([scene, stopped], [])).toContain("| SIGTERM | BFD | none | 0 of 1000 (0.0 %) | 0.1 % lost |");
});

it("a page for the figures that is not there yet is made; one without their place is refused", () => {
  const folder = mkdtempSync(join(tmpdir(), "vtepd-page-"));
  try {
    const page = join(folder, "new-page");
    const [before, after] = partsOf(page);
    expect(readFileSync(page, "utf8")).toBe(before + after);
    writeFileSync(page, `${before}| a table |\n${after}`);
    expect(partsOf(page)).toEqual([before, after]);
    const other = join(folder, "other-page");
    writeFileSync(other, "# Other\n");
    expect(() => partsOf(other)).toThrow("has no lines");
    expect(readFileSync(other, "utf8")).toBe("# Other\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
