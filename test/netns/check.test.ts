/**
 * `vtepd check` (and `run`) on broken files, as an operator meets them: exit code 5, the line, the key and a fix for each
 * mistake, on stderr, within a second, and no trace in the namespace: no device, no socket, no file.
 */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Outcome } from "../../src/lab/process.ts";
import { describeReal, type Gateways, openGateways, VTEPD, whyNoGateways } from "./gateways.ts";

const missing = whyNoGateways();

/** A good file; a test breaks one line of it. */
const GOOD = [
  "node: gw1",
  "underlay: {address: 192.0.2.1, mtu: 1500}",
  "tunnels: [{name: gw2, remote: 192.0.2.2}]",
  "vsis: [{name: v10, vni: 10}, {name: v20, vni: 20}]",
  "interfaces: [{name: i10, vsi: v10, address: 10.1.1.1/24}]",
  "acs: [{name: a1, vsi: v10, tap: {device: tap1}}]",
  "routes: [{prefix: 0.0.0.0/0, nextHop: 10.1.1.2}]",
  "policies: [{name: p, interfaces: [i10], rules: [{match: {}, defaultNextHop: 10.1.1.2}]}]",
] as const;

/** What is wrong, the line that says it, its text, the key in the complaint, words of the complaint, words of the fix. */
type Broken = readonly [what: string, line: number, text: string, key: string, words: string, fix: string];
const BROKEN: readonly Broken[] = [
  ["a misspelt key", 4, "vsis: [{name: v10, vin: 10}, {name: v20, vni: 20}]", "vsis[0].vin", "unknown key", "vni"],
  ["a VNI out of range", 4, "vsis: [{name: v10, vni: 16777216}, {name: v20, vni: 20}]", "vsis[0].vni", "16777215", ""],
  ["a VNI twice", 4, "vsis: [{name: v10, vni: 10}, {name: v20, vni: 10}]", "vsis[1].vni", "10", ""],
  ["a tunnel to ourselves", 3, "tunnels: [{name: gw2, remote: 192.0.2.1}]", "tunnels[0].remote", "192.0.2.1", ""],
  ["an AC in no VSI", 6, "acs: [{name: a1, vsi: v11, tap: {device: tap1}}]", "acs[0].vsi", "v11", "v10"],
  [
    "a gateway outside its subnet",
    5,
    "interfaces: [{name: i10, vsi: v10, address: 10.1.1.0/24}]",
    "interfaces[0].address",
    "network",
    "",
  ],
  ["a next hop nowhere", 7, "routes: [{prefix: 0.0.0.0/0, nextHop: 99.1.1.2}]", "routes[0].nextHop", "99.1.1.2", ""],
  ["an MTU that does not fit", 2, "underlay: {address: 192.0.2.1, mtu: 99999}", "underlay.mtu", "65535", ""],
  [
    "a device name too long",
    6,
    "acs: [{name: a1, vsi: v10, tap: {device: tap-of-virtual-machine-1}}]",
    "acs[0].tap.device",
    "15",
    "",
  ],
  [
    "a rule with two actions",
    8,
    "policies: [{name: p, interfaces: [i10], rules: [{nextHop: 10.1.1.2, drop: true}]}]",
    "policies[0].rules[0]",
    "",
    "",
  ],
  ["no YAML", 4, "vsis: [{name: v10, vni: 10}", "", "", ""],
];

describeReal(missing, "a broken file", () => {
  let gateways: Gateways;
  beforeAll(async () => {
    gateways = await openGateways("check");
    await gateways.bed.namespace("gw1");
    await gateways.bed.ip("gw1", "addr add 192.0.2.1/32 dev lo");
  });
  afterAll(() => gateways?.remove());

  /** Devices, sockets and files: all that a start could leave. */
  async function traces(): Promise<unknown> {
    const { bed } = gateways;
    const devices = await bed.must("gw1", "ip", ["-o", "link"]);
    const sockets = await bed.must("gw1", "ss", ["-Hlntu"]);
    return { devices, sockets, files: readdirSync(bed.folder).sort() };
  }

  async function vtepd(verb: "check" | "run", lines: readonly string[]): Promise<Outcome & { readonly ms: number }> {
    const file = join(gateways.bed.folder, "gw1.yaml");
    const socket = `control: {socket: ${gateways.socket("gw1")}}`;
    writeFileSync(file, `${[...lines, socket].join("\n")}\n`, { mode: 0o600 });
    const startedMs = performance.now();
    const outcome = await gateways.bed.run("gw1", process.execPath, [VTEPD, verb, "-c", file]);
    return { ...outcome, ms: performance.now() - startedMs };
  }

  test("the good one is good, and `check` creates nothing", async () => {
    await vtepd("check", GOOD);
    const before = await traces();
    expect(await vtepd("check", GOOD)).toMatchObject({ status: 0, stderr: "" });
    expect(await traces()).toEqual(before);
  });

  function breaking(...broken: readonly Broken[]): string[] {
    const lines: string[] = [...GOOD];
    for (const [, line, text] of broken) lines[line - 1] = text;
    return lines;
  }

  test.each(BROKEN)("%s: line, key and fix", async (...broken) => {
    const [, line, , key, words, fix] = broken;
    const before = await traces();
    const { status, stdout, stderr, ms } = await vtepd("check", breaking(broken));
    expect([status, stdout]).toEqual([5, ""]);
    expect(stderr).toContain(`gw1.yaml:${key === "" ? "" : `${line}:`}`);
    for (const expected of [key, words, fix]) expect(stderr).toContain(expected);
    expect(stderr).toMatch(/^ +fix: \S/m);
    expect(stderr).toMatch(/^1 error$/m);
    expect(ms).toBeLessThan(5000);
    expect(await traces()).toEqual(before);
  });

  test("`run` refuses it in the same words and leaves nothing behind", async () => {
    const lines = breaking(BROKEN[3]!);
    const before = await traces();
    const { status, stdout, stderr } = await vtepd("run", lines);
    expect([status, stdout, stderr]).toEqual([5, "", (await vtepd("check", lines)).stderr]);
    expect(await traces()).toEqual(before);
  });

  test("all mistakes of a file are told at once", async () => {
    const broken = [BROKEN[0]!, BROKEN[7]!, BROKEN[8]!];
    const { status, stderr } = await vtepd("check", breaking(...broken));
    expect(status).toBe(5);
    for (const [, , , key] of broken) expect(stderr).toContain(key);
    expect(stderr).toMatch(/^3 errors$/m);
  });
});
