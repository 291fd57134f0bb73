/**
 * BFD between two real gateways, 50 ms apart: a cut path, a dead process, a stop in good order, a main thread that is away for two
 * seconds, a stranger's packets.
 *
 *     vm1 - gw1 --- router --- gw2 - vm2        one hop for BFD: the router is a bridge
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Bfd, BfdSession } from "../../src/api/schema-bfd.ts";
import type { Diagnosis } from "../../src/api/schema-doctor.ts";
import { pause, until } from "../../src/lab/deadline.ts";
import { STOP } from "../daemon/ptrace.ts";
import { untilUp as bothUp, openPair, tunnelOf, UP_MS } from "./bfd-bed.ts";
import { describeReal, type Gateway, type Gateways, whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

const missing = whyNoGateways("python3");
/** `VTEPD_LONG=1`: as the design promises it. Otherwise with room for a machine that does something else meanwhile. */
const MULTIPLIER = process.env.VTEPD_LONG === undefined ? 5 : 3;
const DETECT_MS = 50 * MULTIPLIER;

describeReal(missing, "BFD between gateways", () => {
  let gateways: Gateways;
  let gw1: Gateway;
  let gw2: Gateway;

  const sessionOf = async (gateway: Gateway): Promise<BfdSession> => (await gateway.look<Bfd>("/v1/bfd")).sessions[0]!;
  const untilUp = () => bothUp([gw1, gw2], DETECT_MS);
  /** Milliseconds from `sinceMs` to the last change of the session. */
  const changedAfter = async (gateway: Gateway, sinceMs: number) =>
    Date.parse((await sessionOf(gateway)).lastChange!.at) - sinceMs;

  beforeAll(async () => {
    ({ gateways, gw1, gw2 } = await openPair(
      "bfd",
      { intervalMs: 50, multiplier: MULTIPLIER },
      { keepalive: { intervalMs: 1000, multiplier: 3 } },
    ));
    await untilUp();
  });
  afterAll(() => gateways?.remove());

  test("a session is up, and says so: show bfd, show tunnel, doctor, metrics of it, why", async () => {
    expect((await ping(gateways.bed, "vm1", "10.1.1.12", { count: 1 })).ttls).toEqual([62]);
    expect(await tunnelOf(gw1)).toMatchObject({ up: true, watchedBy: "bfd", bfd: { verdict: "up", transmitMs: 50 } });
    const shown = await gw1.ctl("show", "bfd", "-w");
    console.log(shown.stdout);
    expect(shown.stdout).toMatch(/gw2 +192\.0\.2\.2 +oneHop +up +up +up/);
    expect((await gw1.ctl("show", "tunnel", "-w")).stdout).toMatch(/gw2 +192\.0\.2\.2 +up +bfd/);
    const { checks } = JSON.parse((await gw1.ctl("doctor", "-o", "json")).stdout) as Diagnosis;
    expect(checks.find(({ name }) => name === "bfd gw2")?.text).toContain(`192.0.2.2: up, ${DETECT_MS} ms of silence`);
    expect((await gw1.ctl("why", "10.1.1.12")).stdout).toMatch(/Tunnel gw2 .*BFD watches it: up/);
    await gw1.logged(/"event":"bfd.up"[^\n]*"tunnel":"gw2"/);
  });

  test("a cut path: both ends are down within the detection time, and the keepalive has no say", async () => {
    await gateways.bed.ip("router", "link set dev to-gw2 down");
    const cutMs = Date.now();
    for (const gateway of [gw1, gw2]) {
      await until("down", 3000, async () => !(await tunnelOf(gateway)).up, 20);
      const afterMs = await changedAfter(gateway, cutMs);
      console.log(`${gateway.node}: cut path seen after ${afterMs} ms`);
      // DETECT_MS by the design; the rest is for a machine that does something else meanwhile.
      expect(afterMs).toBeLessThan(1000);
    }
    await gw1.logged(/"level":"warn"[^\n]*"event":"tunnel.down"/);
    await gateways.bed.ip("router", "link set dev to-gw2 up");
    await untilUp();
    expect((await ping(gateways.bed, "vm1", "10.1.1.12")).ttls.length).toBeGreaterThan(0);
  });

  test("kill -9 of the peer: down within the detection time, though its machine answers every echo", async () => {
    const killedMs = Date.now();
    await gw2.stop("SIGKILL");
    await until("down", 3000, async () => !(await tunnelOf(gw1)).up, 20);
    const afterMs = await changedAfter(gw1, killedMs);
    console.log(`kill -9 seen after ${afterMs} ms`);
    expect(afterMs).toBeLessThan(1000);
    expect(await tunnelOf(gw1)).toMatchObject({ state: "down", draining: false, watchedBy: "bfd" });
    await pause(1500);
    expect((await tunnelOf(gw1)).up).toBe(false);
    gw2 = await gw2.restart();
    await untilUp();
  });

  test("SIGTERM of the peer: it says that it leaves, and nothing is called dead", async () => {
    const lines = gw1.log().split("\n").length;
    const stoppedMs = Date.now();
    await gw2.stop("SIGTERM");
    await until("draining told", 3000, () => /"event":"tunnel.draining"/.test(gw1.log()));
    const told = gw1
      .log()
      .split("\n")
      .slice(lines - 1);
    const at = told.find((line) => line.includes('"event":"tunnel.draining"'));
    console.log(`departure seen after ${Date.parse((JSON.parse(at!) as { time: string }).time) - stoppedMs} ms`);
    expect(told.filter((line) => line.includes('"level":"warn"') && line.includes("tunnel."))).toEqual([]);
    gw2 = await gw2.restart();
    await untilUp();
  });

  test("a main thread that is away for two seconds: no transition at either end", async () => {
    const before = await Promise.all([gw1, gw2].map(async (gateway) => (await sessionOf(gateway)).changes));
    for (const gateway of [gw1, gw2]) {
      const stopper: ChildProcess = spawn("python3", ["-c", STOP, String(gateway.pid), "2"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = new Promise((resolve) => stopper.on("exit", resolve));
      await new Promise((resolve) => stopper.stdout!.once("data", resolve));
      const askedMs = performance.now();
      await until("an answer", 10_000, () => gateway.look("/v1/status").then(Boolean, () => false));
      // It really was away.
      expect(performance.now() - askedMs).toBeGreaterThan(1500);
      await ended;
    }
    expect(await Promise.all([gw1, gw2].map(async (gateway) => (await sessionOf(gateway)).changes))).toEqual(before);
    console.log((await Promise.all([gw1, gw2].map(sessionOf))).map(({ longestGapMs }) => longestGapMs));
  });

  test("a reload: other intervals in place, another mode anew, and without bfd no session", async () => {
    const before = (await sessionOf(gw1)).changes;
    const text = readFileSync(gw1.file, "utf8");
    const reload = async (next: string) => {
      writeFileSync(gw1.file, next);
      const done = await gw1.ctl("config", "reload");
      expect(done.status, done.stderr).toBe(0);
    };
    await reload(text.replace("intervalMs: 50", "intervalMs: 200"));
    await until("the new interval", 5000, async () => (await sessionOf(gw1)).detectionMs === 200 * MULTIPLIER);
    expect((await sessionOf(gw1)).changes).toBe(before);
    await reload(text.replace("intervalMs: 50", "mode: multihop"));
    await until("another session", 5000, async () => (await sessionOf(gw1)).mode === "multihop");
    await until("the peer to be left", 5000, async () => (await tunnelOf(gw2)).draining === true);
    // The keepalive holds the tunnel meanwhile.
    await until("the keepalive", 5000, async () => (await tunnelOf(gw1)).watchedBy === "keepalive");
    expect((await tunnelOf(gw1)).up).toBe(true);
    await reload(text.replace(/bfd:\n( +.*\n)+/, ""));
    await until("no session", 5000, async () => (await gw1.look<Bfd>("/v1/bfd")).sessions.length === 0);
    await reload(text);
    await untilUp();
  });

  test("what is not for a session is refused by name, and the doctor tells of it", async () => {
    const send = `const s=require("node:dgram").createSocket("udp4");s.bind(0,"192.0.2.7",()=>{s.setTTL(64);
      s.send(Buffer.from("2040031800000007000000000000c3500000c35000000000","hex"),3784,"192.0.2.1",()=>s.close())})`;
    await gateways.bed.ip("router", "addr add 192.0.2.7/24 dev br0");
    await gateways.bed.must("router", process.execPath, ["-e", send]);
    const refused = async () => (await gw1.look<Bfd>("/v1/bfd")).refused.find(({ reason }) => reason === "hop_count")!;
    await until("a refusal", 5000, async () => (await refused()).count === 1);
    await gw1.logged(/"event":"bfd.refused"[^\n]*"reason":"hop_count"[^\n]*"source":"192.0.2.7"[^\n]*"hops":64/);
    await until("a sample", 5000, async () => (await gw1.look<Bfd>("/v1/bfd")).lastRefused !== null);
    const { checks } = JSON.parse((await gw1.ctl("doctor", "-o", "json")).stdout) as Diagnosis;
    expect(checks.find(({ name }) => name === "bfd packets")).toMatchObject({ result: "warn" });
    expect((await sessionOf(gw1)).state).toBe("up");
  });

  test("the port is taken: said once, the tunnel is used as if it had none", async () => {
    await gw2.stop();
    const holder = gateways.bed.follow("gw2", process.execPath, [
      "-e",
      'require("node:dgram").createSocket("udp4").bind(3784,"192.0.2.2",()=>console.log("bound"))',
    ]);
    await new Promise((resolve) => holder.stdout!.once("data", resolve));
    gw2 = await gw2.restart();
    await gw2.logged(/"event":"bfd.problem"[^\n]*UDP port 3784 of 192\.0\.2\.2: cannot bind/);
    expect(await tunnelOf(gw2)).toMatchObject({ up: true });
    holder.kill("SIGKILL");
    await untilUp();
    expect((await gw2.look<Bfd>("/v1/bfd")).problem).toBeNull();
  });

  test("without any right: a session as anybody's", async () => {
    const { bed } = gateways;
    for (const name of ["u1", "u2"]) await bed.namespace(name);
    await bed.veth("u1", "ul0", "u2", "ul0");
    const started: Gateway[] = [];
    for (const [n, name] of ["u1", "u2"].entries()) {
      const [own, remote] = n === 0 ? ["192.0.2.1", "192.0.2.2"] : ["192.0.2.2", "192.0.2.1"];
      await bed.ip(name, `addr add ${own}/24 dev ul0`);
      const config = {
        underlay: { address: own },
        tunnels: [{ name: "peer", remote, bfd: { intervalMs: 50, multiplier: MULTIPLIER } }],
        vsis: [{ name: "vsi10", vni: 10 }],
      };
      started.push(await gateways.start(name, config, 65534));
    }
    for (const gateway of started)
      await until(`${gateway.node} up`, UP_MS, async () => (await sessionOf(gateway)).detectionMs === DETECT_MS);
    for (const gateway of started) {
      expect(readFileSync(`/proc/${gateway.pid}/status`, "utf8")).toMatch(/^CapEff:\t0+$/m);
      await gateway.stop();
    }
  });
});
