/**
 * `npm run lab -- evpn` from end to end: FRR as reflectors and leaf, gobgpd beside each gateway, every row of the report; and nothing
 * that stays of one that was killed half-way.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, expect, test } from "vitest";
import { hasIpv6, namespacesWith } from "../../src/lab/namespace.ts";
import { folderOf, foreignFolderOf, prefixOf } from "../../src/lab/state.ts";
import { FRR_PROGRAMS } from "../interop/frr.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";

const LAB = fileURLToPath(new URL("../../dist/lab/main.js", import.meta.url));
const NAME = `e${process.pid}`;

interface RecordedRow {
  readonly place: string;
  readonly expected: string;
  readonly observed: string;
  readonly holds: boolean;
}
interface Recorded {
  readonly holds: boolean;
  readonly parts: readonly { title: string; steps: readonly { step: number; rows: readonly RecordedRow[] }[] }[];
  readonly losses: readonly { event: string; from: string; to: string; sent: number; there: number; back: number }[];
}

const lab = (...args: string[]) =>
  spawnSync(process.execPath, [LAB, ...args, "--name", NAME], {
    encoding: "utf8",
    timeout: 300_000,
    env: { ...process.env, NO_COLOR: "1" },
  });

/** Processes that name the lab, or live in a namespace of it. */
function left(): string[] {
  const words = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    } catch {
      return ""; // it ended meanwhile
    }
  };
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(words)
    .filter((line) => line.includes(folderOf(NAME)) || line.includes(foreignFolderOf(NAME)));
}

const traces = () => ({
  namespaces: namespacesWith(prefixOf(NAME)),
  folders: [folderOf(NAME), `${folderOf(NAME)}.json`, foreignFolderOf(NAME)].filter(existsSync),
  processes: left(),
});
const NONE = { namespaces: [], folders: [], processes: [] };

describeReal(whyNoGateways(...FRR_PROGRAMS, "gobgpd", "bridge", "sysctl"), "the EVPN lab", () => {
  const folder = mkdtempSync(join(tmpdir(), "evpn-lab-"));
  afterEach(() => {
    lab("down");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("every route, entry, ping and loss is as expected, and nothing stays", () => {
    const file = join(folder, "report.json");
    const { status, stdout, stderr } = lab("evpn", "--json", file);
    const { holds, parts, losses } = JSON.parse(readFileSync(file, "utf8")) as Recorded;
    const rows = parts.flatMap(({ steps }) => steps.flatMap(({ step, rows }) => rows.map((row) => ({ step, ...row }))));
    expect(rows.filter((row) => !row.holds)).toEqual([]);
    expect([holds, status], `${stdout}\n${stderr}`).toEqual([true, 0]);
    expect(stdout).toContain("everything holds");
    // What a reader is promised: each kind of look, at each make.
    const places = (pattern: RegExp) => rows.filter(({ place }) => pattern.test(place)).length;
    expect(places(/^route of .* seen at leaf/)).toBeGreaterThanOrEqual(5);
    expect(places(/^route of .* seen at gw/)).toBeGreaterThanOrEqual(6);
    expect(places(/^(FDB|neighbours) of leaf/)).toBeGreaterThanOrEqual(8);
    expect(places(/^(MAC|ARP) table of gw|^tunnels of gw/)).toBeGreaterThanOrEqual(12);
    expect(places(/^routes of (gw1|leaf)/)).toBeGreaterThanOrEqual(3);
    expect(places(/^ping /)).toBeGreaterThanOrEqual(11);
    if (hasIpv6) {
      expect(places(/^ping .* by IPv6$/)).toBeGreaterThanOrEqual(11);
      const ofIpv6 = ({ expected }: RecordedRow) => expected.includes("2001:db8:") || expected.includes("::/0");
      expect(rows.filter(ofIpv6).length).toBeGreaterThanOrEqual(14);
    }
    for (const event of [
      "move gw1 → gw2",
      "move gw2 → leaf",
      "engine of gw1 killed",
      "rr1 killed",
      "both reflectors killed",
    ])
      expect(losses.filter((each) => each.event === event).length, event).toBeGreaterThan(0);
    for (const each of losses) expect(each.sent, each.event).toBeGreaterThan(50);
    expect(traces()).toEqual(NONE);
  }, 330_000);

  test("one that is killed half-way leaves nothing that down does not take away", async () => {
    const child = spawn(process.execPath, [LAB, "evpn", "--name", NAME], { stdio: ["ignore", "ignore", "pipe"] });
    let words = "";
    child.stderr.on("data", (part: Buffer) => {
      words += part.toString();
      if (words.includes("starting gw1")) child.kill("SIGKILL");
    });
    await once(child, "close");
    expect(words).toContain("starting gw1");
    expect(traces()).not.toEqual(NONE);
    expect(lab("down").status).toBe(0);
    expect(traces()).toEqual(NONE);
  }, 120_000);
});
