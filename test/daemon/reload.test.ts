/**
 * Reloads that are refused: whatever is wrong with the file, the daemon says so with exit code 5, and what runs is what ran
 * before, to the byte. And those that are not: over the API, several at once, of a big file while the API is asked.
 */
import { chmodSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CheckReport, MacEntry, Neighbor, Status } from "../../src/api/schema.ts";
import { ask } from "../../src/ctl/client.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { err, forget, out } from "../ctl/said.ts";
import { makeDaemonBed, whyNoDaemon } from "./bed.ts";

if (whyNoDaemon) console.log(`daemon-reload.test.ts skipped: ${whyNoDaemon}`);

const bed = makeDaemonBed(1);
beforeAll(async () => {
  if (whyNoDaemon !== undefined) return;
  bed.write(good());
  await bed.start();
}, 60_000);
afterAll(() => bed.remove());

const LISTS = `vsis: [{name: v1, vni: 1}, {name: v2, vni: 2}, {name: up}]
interfaces: [{name: i1, vsi: v1, address: 10.1.1.1/24, arp: {static: [{ip: 10.1.1.9, mac: "02:00:00:00:00:09", tunnel: gw2}]}}]
routes: [{prefix: 0.0.0.0/0, nextHop: 10.1.1.9}]
policies: [{name: p, interfaces: [i1], rules: [{match: {protocol: tcp}, nextHop: 10.1.1.9}, {match: {}, action: permit}]}]
`;

async function ctl(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  forget();
  const code = await runCommand(["-s", bed.socket, ...args]);
  return { code, out, err };
}

const good = () => bed.config(LISTS);
const swap = (from: string | RegExp, to: string) => () => {
  const text = good().replace(from, to);
  if (text === good()) throw new Error(`${from} is not in the file`);
  return text;
};
const add = (text: string) => () => `${good()}${text}\n`;

const REFUSED: readonly (readonly [string, () => string])[] = [
  ["nothing", () => ""],
  ["no YAML", add("{{{")],
  ["a tab where YAML wants blanks", add("limits:\n\tmacs: 1")],
  ["a list instead of a mapping", () => "- node: gw1\n"],
  ["an unknown key", add("wrokers: 2")],
  ["a key twice", add("node: gw1")],
  ["__proto__", add("__proto__: {admin: true}")],
  ["an alias bomb", add("a: &a [1,1,1,1]\nb: &b [*a,*a,*a,*a]\nc: [*b,*b,*b,*b]")],
  ["a depth of 200", add(`x: ${"[".repeat(200)}${"]".repeat(200)}`)],
  ["no node", swap("node: gw1", "")],
  ["another node", swap("node: gw1", "node: gw9")],
  ["another VTEP address", swap("127.0.0.1", "127.0.0.3")],
  ["another UDP port", swap(/port: \d+/, "port: 4790")],
  ["more workers", add("workers: 1\nlimits: {macs: 99999999999}")],
  ["a VNI too large", swap("vni: 2}", "vni: 16777216}")],
  ["a VNI of zero", swap("vni: 2}", "vni: 0}")],
  ["a VNI twice", swap("vni: 2}", "vni: 1}")],
  ["a VNI that is text", swap("vni: 2}", "vni: two}")],
  ["a VSI twice", swap("name: v2", "name: v1")],
  ["a name with blanks", swap("name: v2", 'name: "v 2"')],
  ["a tunnel to ourselves", swap("remote: 127.0.0.2", "remote: 127.0.0.1")],
  ["a tunnel twice", swap("remote: 127.0.0.2}", "remote: 127.0.0.2}, {name: gw2, remote: 127.0.0.4}")],
  ["two tunnels to one VTEP", swap("remote: 127.0.0.2}", "remote: 127.0.0.2}, {name: gw3, remote: 127.0.0.2}")],
  ["a tunnel of the other family", swap("remote: 127.0.0.2", 'remote: "2001:db8::1"')],
  ["a tunnel that is gone but named", swap(/^tunnels:.*$/m, "tunnels: []")],
  ["a VSI that is gone but named", swap("{name: v1, vni: 1}, ", "")],
  ["an address outside its subnet", swap("10.1.1.1/24", "10.1.1.0/24")],
  ["no prefix length", swap("10.1.1.1/24", "10.1.1.1")],
  ["overlapping subnets", swap("routes:", "  - {name: i2, vsi: v2, address: 10.1.1.129/25}\nroutes:")],
  ["a static neighbour outside", swap("ip: 10.1.1.9", "ip: 10.1.2.9")],
  ["a static neighbour's MAC of a group", swap("02:00:00:00:00:09", "01:00:5e:00:00:09")],
  ["a next hop nowhere", swap("nextHop: 10.1.1.9}]\npol", "nextHop: 99.1.1.9}]\npol")],
  ["a prefix with host bits", swap("0.0.0.0/0", "10.9.9.9/8")],
  ["a route twice", swap("routes: [", "routes: [{prefix: 0.0.0.0/0, action: discard}, ")],
  ["a route with two targets", swap("nextHop: 10.1.1.9}]\npol", "nextHop: 10.1.1.9, action: discard}]\npol")],
  ["a policy on no VSI-interface", swap("interfaces: [i1]", "interfaces: [i7]")],
  ["a rule without an action", swap("{match: {}, action: permit}", "{match: {}}")],
  ["a rule with a bad protocol", swap("protocol: tcp", "protocol: tpc")],
  ["an AC without a TAP", add("acs: [{name: a1, vsi: v1}]")],
  ["a device name that is too long", add("acs: [{name: a1, vsi: v1, tap: {device: abcdefghijklmnopq}}]")],
  ["a level that is none", swap("level: info", "level: loud")],
  ["more than the tables hold", add("limits: {macs: 65536, routes: 99999999}")],
  ["a megabyte and a bit", () => `${good()}# ${"x".repeat(1 << 20)}\n`],
];

describe.skipIf(whyNoDaemon !== undefined)("a reload that is refused", () => {
  let before = "";
  beforeAll(async () => {
    before = JSON.stringify(await ask(bed.socket, "/v1/config"));
  });

  it("there are at least thirty kinds", () => {
    expect(new Set(REFUSED.map(([what]) => what)).size).toBeGreaterThanOrEqual(30);
  });

  it.each(REFUSED)("%s", async (_, text) => {
    bed.write(text());
    const { code, err: said } = await ctl("config", "reload");
    expect(code).toBe(5);
    expect(said).toMatch(/refused, nothing has changed/);
    expect(JSON.stringify(await ask(bed.socket, "/v1/config"))).toBe(before);
    expect((await ask<Status>(bed.socket, "/v1/status")).config.lastReloadSuccessful).toBe(false);
  });

  it("a file that is none, that everybody may write, that is not there", async () => {
    rmSync(bed.file);
    expect((await ctl("config", "reload")).code).toBe(5);
    mkdirSync(bed.file);
    expect((await ctl("config", "reload")).code).toBe(5);
    rmSync(bed.file, { recursive: true });
    symlinkSync(bed.file, bed.file);
    expect((await ctl("config", "reload")).code).toBe(5);
    rmSync(bed.file);
    bed.write(good());
    chmodSync(bed.file, 0o666);
    expect((await ctl("config", "reload")).code).toBe(5);
    chmodSync(bed.file, 0o600);
    expect(JSON.stringify(await ask(bed.socket, "/v1/config"))).toBe(before);
  });
});

describe.skipIf(whyNoDaemon !== undefined)("a reload over the API", () => {
  it("of the same file finds no difference", async () => {
    bed.write(good());
    expect(await ctl("config", "diff")).toEqual({ code: 0, out: "no difference to what runs\n", err: "" });
    expect((await ctl("config", "reload")).out).toBe("no difference to what runs\n");
    expect((await ask<Status>(bed.socket, "/v1/status")).config).toMatchObject({
      lastReloadSuccessful: true,
      needsRestart: [],
    });
  });

  it("says before, and does then, what changes; and needs a restart until the file is as it was", async () => {
    bed.write(
      good()
        .replace("{name: up}", "{name: v3, vni: 3}")
        .replace(/count: 2/, "count: 3"),
    );
    const lines = "- vsi up\n+ vsi v3\n~ setting underlay.sourcePorts.count: 2 -> 3  (needs a restart)\n";
    const diff = await ctl("config", "diff");
    expect(diff).toEqual({ code: 0, out: lines, err: "" });
    expect((await ctl("config", "check")).out).toContain("valid; 1 to add, 1 to remove, 1 to change; needs a restart");
    expect((await ctl("config", "reload")).out).toContain(lines);
    const status = () => ask<Status>(bed.socket, "/v1/status");
    expect((await status()).config.needsRestart).toEqual(["underlay.sourcePorts.count"]);
    bed.write(good());
    await ctl("config", "reload");
    expect((await status()).config.needsRestart).toEqual([]);
  });

  it("checks a file that is another one, and changes nothing", async () => {
    const other = join(bed.folder, "other.yaml");
    bed.write(good());
    const { code, out: said } = await ctl("config", "check", bed.file);
    expect([code, said]).toEqual([0, `${bed.file}: valid; no difference to what runs\n`]);
    expect((await ctl("config", "check", other)).code).toBe(5);
  });

  it("ten at once come one after another, and SIGHUP among them", async () => {
    bed.write(good());
    const all = Array.from({ length: 10 }, () =>
      ask<CheckReport>(bed.socket, "/v1/config/reload", "POST", { timeoutMs: 30_000 }),
    );
    for (const report of await Promise.all(all)) expect(report.valid).toBe(true);
  });

  it("of a big file does not keep the main thread from its work", async () => {
    const routes = Array.from({ length: 5000 }, (_, i) => `{prefix: 77.${i >> 8}.${i & 255}.0/24, nextHop: 10.1.1.9}`);
    const vsis = Array.from({ length: 250 }, (_, i) => `{name: w${i}, vni: ${1000 + i}}`);
    const before = { routes: "routes: [", vsis: "{name: up}" };
    bed.write(
      good()
        .replace(before.routes, `${before.routes}${routes.join(",\n  ")},\n  `)
        .replace(before.vsis, `${before.vsis}, ${vsis.join(",\n  ")}`),
    );
    const done = ask<CheckReport>(bed.socket, "/v1/config/reload", "POST", { timeoutMs: 30_000 });
    let isDone = false;
    const note = () => {
      isDone = true;
    };
    done.then(note, note);
    // Counted, not timed: on a machine with other work one answer may take as long as it likes.
    let answered = 0;
    while (!isDone) {
      await ask(bed.socket, "/v1/log", "GET", { timeoutMs: 30_000 });
      if (!isDone) answered++;
    }
    expect((await done).changes).toHaveLength(5250);
    // Parsing is the larger part; it is done aside, so many questions are answered meanwhile.
    expect(answered).toBeGreaterThan(3);
    console.log(`${answered} questions were answered while the file was loaded`);
    bed.write(good());
    expect((await ctl("config", "reload")).code).toBe(0);
  });
});

describe.skipIf(whyNoDaemon !== undefined)("entries by hand", () => {
  const MAC = "02:00:00:00:00:77";
  const macs = async () => (await ask<MacEntry[]>(bed.socket, "/v1/macs")).filter((entry) => entry.mac === MAC);
  const neighbor = async (ip: string) =>
    (await ask<Neighbor[]>(bed.socket, "/v1/neighbors")).find((entry) => entry.ip === ip);

  it("are there at once, stay over a reload, and go with del, flush, and their tunnel", async () => {
    expect((await ctl("mac", "add", MAC, "--vsi", "v1", "--tunnel", "gw2")).code).toBe(0);
    expect((await ctl("arp", "add", "10.1.1.77", MAC, "--interface", "i1", "--tunnel", "gw2")).code).toBe(0);
    expect(await macs()).toMatchObject([{ vsi: "v1", origin: "static", via: { kind: "tunnel", name: "gw2" } }]);
    expect(await neighbor("10.1.1.77")).toMatchObject({ mac: MAC, kind: "static" });
    await ctl("config", "reload");
    expect(await macs()).toHaveLength(1);
    expect((await ctl("mac", "del", MAC, "--vsi", "v1")).code).toBe(0);
    expect(await macs()).toEqual([]);
    expect((await ctl("arp", "flush")).out).toBe("1 neighbour removed\n");
    expect(await neighbor("10.1.1.77")).toBeUndefined();
    expect(await neighbor("10.1.1.9")).toBeDefined();

    await ctl("mac", "add", MAC, "--vsi", "v1", "--tunnel", "gw2");
    await ctl("arp", "add", "10.1.1.77", MAC, "--interface", "i1", "--tunnel", "gw2");
    bed.write(
      good()
        .replace(/^tunnels:.*$/m, "tunnels: []")
        .replace(/, arp: \{static: \[.*?\]\}/, ""),
    );
    expect((await ctl("config", "reload")).code).toBe(0);
    expect(await macs()).toEqual([]);
    expect(await neighbor("10.1.1.77")).toBeUndefined();
    bed.write(good());
    await ctl("config", "reload");
    expect(await macs()).toEqual([]);
  });

  it.each([
    [4, "a VSI that is not there", ["mac", "add", MAC, "--vsi", "nope", "--tunnel", "gw2"]],
    [4, "a tunnel that is not there", ["mac", "add", MAC, "--vsi", "v1", "--tunnel", "gw7"]],
    [2, "a tunnel that is not in the VSI", ["mac", "add", MAC, "--vsi", "up", "--tunnel", "gw2"]],
    [2, "no MAC", ["mac", "add", "02:00", "--vsi", "v1", "--tunnel", "gw2"]],
    [2, "a group's MAC", ["mac", "add", "01:00:5e:00:00:01", "--vsi", "v1", "--tunnel", "gw2"]],
    [4, "a MAC that is not there", ["mac", "del", MAC, "--vsi", "v1"]],
    [4, "a VSI-interface that is not there", ["arp", "add", "10.1.1.7", MAC, "--interface", "i9", "--tunnel", "gw2"]],
    [2, "an IP outside", ["arp", "add", "10.1.2.7", MAC, "--interface", "i1", "--tunnel", "gw2"]],
    [2, "the gateway's IP", ["arp", "add", "10.1.1.1", MAC, "--interface", "i1", "--tunnel", "gw2"]],
    [2, "the subnet's broadcast address", ["arp", "add", "10.1.1.255", MAC, "--interface", "i1", "--tunnel", "gw2"]],
    [1, "an entry of the file", ["arp", "add", "10.1.1.9", MAC, "--interface", "i1", "--tunnel", "gw2"]],
    [4, "a neighbour that is not there", ["arp", "del", "10.1.1.7", "--interface", "i1"]],
  ])("exit %d: %s", async (code, _, args) => {
    expect((await ctl(...args)).code).toBe(code);
    expect(err).toMatch(/^error: .*\n {2}fix: ./);
  });

  it("no gateway MAC can be taken or removed", async () => {
    const [own] = (await ask<MacEntry[]>(bed.socket, "/v1/macs")).filter((entry) => entry.origin === "gateway");
    expect((await ctl("mac", "add", own!.mac, "--vsi", "v1", "--tunnel", "gw2")).code).toBe(1);
    expect((await ctl("mac", "del", own!.mac, "--vsi", "v1")).code).toBe(1);
    expect((await ctl("log", "level", "debug")).out).toBe("debug\n");
    expect((await ctl("health")).out).toBe("ready\n");
    expect((await ctl("show", "features")).out).toMatch(/^FEATURE +STATE +NOTE\n.*worker 0 +runs/s);
  });
});
