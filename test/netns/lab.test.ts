/**
 * The product's main job from end to end: the article's three walkthroughs, on real TAPs and a real underlay, judged
 * frame by frame by the lab; and the centralised scheme beside the distributed one. A failing row prints the report.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import type { Features } from "../../src/api/schema.ts";
import { namespacesWith } from "../../src/lab/namespace.ts";
import { folderOf, prefixOf } from "../../src/lab/state.ts";
import { whyNoBed } from "./bed.ts";

const LAB = fileURLToPath(new URL("../../dist/lab/main.js", import.meta.url));
const VTEPCTL = fileURLToPath(new URL("../../dist/ctl/main.js", import.meta.url));
const NAME = `t${process.pid}`;

function lab(...args: string[]) {
  return spawnSync(process.execPath, [LAB, ...args, "--name", NAME], {
    encoding: "utf8",
    timeout: 300_000,
    env: { ...process.env, NO_COLOR: "1" },
  });
}

/** stdout of a lab that must have ended well; the whole report is the message when it has not. */
function reportOf(ended: ReturnType<typeof lab>): string {
  if (ended.status !== 0) expect.fail(`status ${ended.status}\n${ended.stdout}\n${ended.stderr}`);
  return ended.stdout;
}

describe.skipIf(whyNoBed() !== undefined)("the lab", () => {
  afterEach(() => {
    lab("down");
  });

  test.each([
    ["each gateway has its own MAC", []],
    ["all gateways share one MAC", ["--shared-mac"]],
    ["the VMs hand their TAPs over", ["--handover"]],
  ])(
    "walks through the article, and every row holds: %s",
    (_, options) => {
      const report = reportOf(lab(...options));
      expect(report).toContain("everything holds");
      for (const number of [1, 2, 3]) expect(report).toContain(`Scenario ${number}`);
      expect(report).not.toContain("✗");
      expect(namespacesWith(prefixOf(NAME))).toEqual([]);
      expect(existsSync(folderOf(NAME))).toBe(false);
    },
    330_000,
  );

  test("walks through the article without a single offload, and every row holds", async () => {
    reportOf(lab("up", "--offload", "off"));
    for (const gateway of ["gw1", "gw2", "border"]) {
      const { stdout } = spawnSync(
        process.execPath,
        [VTEPCTL, "-s", `${folderOf(NAME)}/${gateway}.sock`, "show", "features", "-o", "json"],
        { encoding: "utf8" },
      );
      const { offloads } = JSON.parse(stdout) as Features;
      expect([gateway, offloads.map(({ wanted, inUse }) => wanted || inUse)]).toEqual([
        gateway,
        new Array(5).fill(false),
      ]);
    }
    const report = reportOf(lab("run"));
    expect(report).toContain("everything holds");
    expect(report).not.toContain("✗");
  }, 180_000);

  test("measures the centralised scheme against the distributed one", () => {
    const report = reportOf(lab("centralized"));
    expect(report).toMatch(/✓\s+centralized\s+vm1 → vm5\s+gw1 –10→ central –20→ gw2\s+63/);
    expect(report).toMatch(/✓\s+distributed\s+vm1 → vm5\s+gw1 –20→ gw2\s+62/);
  }, 330_000);

  test("stays up when asked, is entered, and is taken down", () => {
    reportOf(lab("up"));
    expect(reportOf(lab("status"))).toContain("gw1");
    const inside = spawnSync(process.execPath, [LAB, "shell", "--name", NAME, "vm1", "ip", "-4", "-br", "addr"], {
      encoding: "utf8",
    });
    expect(inside.stdout).toContain("10.1.1.11/24");
    const visit = (verb: string, ...words: string[]) =>
      spawnSync(process.execPath, [LAB, verb, "--name", NAME, ...words], { encoding: "utf8" });
    expect(visit("exec", "vm1", "ping", "-c", "1", "20.1.1.12").stdout).toContain("ttl=62");
    expect(visit("ctl", "gw1", "show", "arp", "10.1.1.11").stdout).toContain("02:00:00:00:01:11");
    expect(visit("ctl", "vm1", "show", "arp").status).toBe(4);
    const fleet = visit("ctl", "all", "trace", "--ac", "vm1", "icmp", "10.1.1.11", "20.1.1.12");
    expect(fleet.stdout).toMatch(/^gw1: .*\ngw2: .*\nEND {2}leaves gw2 by ac vm5\n$/s);
    const doctor = visit("ctl", "all", "doctor", "-o", "json");
    const { gateways, checks } = JSON.parse(doctor.stdout);
    expect(gateways.map(({ node }: { node: string }) => node)).toEqual(["border", "gw1", "gw2"]);
    expect(checks.filter(({ result }: { result: string }) => result !== "ok")).toEqual([]);
    expect(visit("ctl", "gw1", "ping", "10.1.1.11", "--interface", "vsi-interface10", "-c", "1").status).toBe(0);
    expect(visit("ctl", "gw1", "ping", "10.1.1.12", "--interface", "vsi-interface10", "-c", "1").stdout).toContain(
      "note: 10.1.1.1 is an address of every distributed gateway",
    );
    const onPath = visit("exec", "gw2", "sh", "-c", "vtepd --version; vtepctl status -o json");
    expect(JSON.parse(onPath.stdout.slice(onPath.stdout.indexOf("{")))).toMatchObject({ node: "gw2", ready: true });
    expect(visit("logs", "border", "-n", "20").stdout).toContain('"event":"daemon.ready"');
    expect(lab("shell", "vm99").status).not.toBe(0);
    reportOf(lab("down"));
    expect(namespacesWith(prefixOf(NAME))).toEqual([]);
  }, 330_000);
});
