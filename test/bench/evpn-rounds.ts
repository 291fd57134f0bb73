/**
 * BGP EVPN with a hundred thousand hosts: how long until they are in the tables, what that costs in memory, how long the main thread
 * is held, how soon a route is stored that comes while others do, and how long all of it takes again when the engine was killed.
 *
 *     rr     gobgpd, a route reflector on port 179 with ROUTES of type 2 of VTEPS others
 *     gw1    gobgpd as the engine of a real vtepd
 *
 * Half of the routes are MACs, half MACs with an address, as FRR announces each host. Debian 12's gobgpd (3.10) takes time with the
 * square of the routes: with it ROUTES is a thousand. The tests fetch 3.36 (test/bgp/gobgpd.ts), which is used where it is.
 */
import type { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Status } from "../../src/api/schema.ts";
import type { Evpn } from "../../src/api/schema-evpn.ts";
import type { EngineEvent } from "../../src/bgp/engine.ts";
import { Gobgp } from "../../src/bgp/gobgp.ts";
import { ask } from "../../src/ctl/client.ts";
import { pause, until } from "../../src/lab/deadline.ts";
import { end, identityOf } from "../../src/lab/process.ts";
import { type Found, gobgpds } from "../bgp/gobgpd.ts";
import { type Bed, makeBed, whyNoBed } from "../netns/bed.ts";
import { evpnInProcess } from "./evpn-in-process.ts";
import { AS, MANY, REFLECTOR, routeOf } from "./evpn-routes.ts";
import { type Figures, note, quantile } from "./figures.ts";
import { forwardNs } from "./in-process.ts";
import type { Options } from "./options.ts";
import { ROOT } from "./peer.ts";
import { say } from "./screen.ts";
import { processUsage } from "./usage.ts";

const GATEWAY = "192.0.2.1";
const FEW = 1000;
const PER_SECOND = 100;
const LIVE_SECONDS = 10;
const PATIENCE_MS = 240_000;
const OWN = "vtepd";

const reflectorConfig = `[global.config]
  as = ${AS}
  router-id = "${REFLECTOR}"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${GATEWAY}"
    peer-as = ${AS}
  [neighbors.transport.config]
    passive-mode = true
  [neighbors.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "${REFLECTOR}"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "l2vpn-evpn"
`;

const METRICS_PORT = 9475;

class Site {
  readonly bed: Bed;
  readonly bin: string;
  readonly sockets: { readonly rr: string; readonly engine: string; readonly control: string };
  private readonly running = new Map<string, ReturnType<typeof spawn>>();

  constructor(bed: Bed, bin: string) {
    this.bed = bed;
    this.bin = bin;
    const at = (name: string) => join(bed.folder, name);
    this.sockets = { rr: at("rr.sock"), engine: at("engine.sock"), control: at("control.sock") };
  }

  async start(): Promise<void> {
    const { bed } = this;
    for (const name of ["rr", "gw1"]) await bed.namespace(name);
    await bed.veth("rr", "eth0", "gw1", "eth0");
    for (const [name, address] of [
      ["rr", REFLECTOR],
      ["gw1", GATEWAY],
    ] as const)
      await bed.ip(name, `addr add ${address}/24 dev eth0`, "link set eth0 up", "link set lo up");
    const file = join(bed.folder, "rr.toml");
    writeFileSync(file, reflectorConfig);
    this.gobgpd("rr", this.sockets.rr, "-f", file);
    await this.socket(this.sockets.rr);
  }

  engine(): Promise<unknown> {
    this.gobgpd("gw1", this.sockets.engine);
    return this.socket(this.sockets.engine);
  }

  async gateway(): Promise<number> {
    const file = join(this.bed.folder, "gw1.yaml");
    const { engine, control } = this.sockets;
    writeFileSync(
      file,
      JSON.stringify({
        ...{ node: "gw1", underlay: { address: GATEWAY } },
        evpn: { engine: { socket: engine }, as: AS, peers: [{ address: REFLECTOR, as: AS }] },
        vsis: [{ name: "vsi10", vni: 10, evpn: {} }],
        interfaces: [{ name: "if10", vsi: "vsi10", address: "10.255.0.1/8" }],
        control: { socket: control },
        metrics: { listen: `127.0.0.1:${METRICS_PORT}` },
        log: { level: "warn" },
      }),
    );
    const child = this.bed.follow("gw1", process.execPath, [join(ROOT, "dist/main.js"), "run", "-c", file]);
    child.stderr?.on("data", (chunk: Buffer) => say(`gateway: ${chunk.toString().trim()}`));
    this.running.set("gateway", child);
    await until("the gateway", 60_000, () => this.look("/v1/status").then(Boolean, () => false));
    return (await this.look<Status>("/v1/status")).pid;
  }

  look<T>(path: string): Promise<T> {
    return ask<T>(this.sockets.control, path);
  }

  /** Routes that took at most so many seconds from the engine's socket to the tables, ever, by bucket. */
  async stored(): Promise<ReadonlyMap<number, number>> {
    const scrape = `fetch("http://127.0.0.1:${METRICS_PORT}/metrics").then((a) => a.text()).then((t) => process.stdout.write(t))`;
    const text = await this.bed.must("gw1", process.execPath, ["-e", scrape]);
    const buckets = text.matchAll(/^vtep_evpn_apply_seconds_bucket\{le="([^"]+)"\} (\d+)/gm);
    return new Map(Array.from(buckets, ([, le, count]) => [le === "+Inf" ? Infinity : Number(le), Number(count)]));
  }

  async stop(name: string): Promise<void> {
    const child = this.running.get(name);
    const identity = child?.pid === undefined ? undefined : identityOf(child.pid);
    if (identity !== undefined) await end([identity], name === "gateway" ? 5000 : 0);
    this.running.delete(name);
  }

  /** Ends at once. */
  async kill(name: string): Promise<void> {
    const child = this.running.get(name)!;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
    this.running.delete(name);
  }

  private gobgpd(node: string, socket: string, ...more: readonly string[]): void {
    rmSync(socket, { force: true });
    const api = ["--api-hosts", `unix://${socket}`, "--pprof-disable", "--log-level=error", ...more];
    this.running.set(node === "rr" ? "rr" : "engine", this.bed.follow(node, this.bin, api));
  }

  private socket(path: string): Promise<unknown> {
    return until("gobgpd's socket", 10_000, async () => (await this.bed.run("rr", "test", ["-S", path])).status === 0);
  }
}

const routesIn = async (site: Site) => (await site.look<Evpn>("/v1/evpn")).routes;
const hasAll = (site: Site, count: number) => async () => {
  const { state, routes } = await site.look<Evpn>("/v1/evpn");
  return state === "synced" && routes.in >= count && routes.stale === 0;
};

/** Waits for `is` while it asks the gateway something small all the time. @returns the longest answer, ms. */
async function heldWhile(site: Site, is: () => Promise<boolean>): Promise<number> {
  let longest = 0;
  let isOver = false;
  const asking = (async () => {
    while (!isOver) {
      const began = performance.now();
      await site.look("/v1/evpn/duplicates").catch(() => undefined);
      longest = Math.max(longest, performance.now() - began);
      await pause(20);
    }
  })();
  await until("all routes", PATIENCE_MS, is, 100);
  isOver = true;
  await asking;
  return longest;
}

function announceAll(rr: Gobgp, from: number, to: number): void {
  for (let at = from; at < to; at += 1000)
    rr.announce(Array.from({ length: Math.min(1000, to - at) }, (_, n) => routeOf(at + n)));
}

export async function evpnRounds(options: Options, figures: Figures, missing: string[]): Promise<void> {
  for (let round = 0; round < Math.min(options.rounds, 3); round++) {
    const [empty, full] = [await forwardNs("bridged:0"), await forwardNs("bridged:100000")];
    note(figures, "EVPN: forward() with 100,000 MACs, × of empty", OWN, empty / full);
    say(`forward(): empty ${empty.toFixed(1)} ns, with 100,000 MACs ${full.toFixed(1)} ns`);
  }
  await evpnInProcess(figures);
  const reason = whyNoBed();
  if (reason !== undefined) return void missing.push(`evpn: ${reason}`);
  const all = gobgpds(ROOT);
  const recent: Found | undefined = all.slice(1).find(({ bin }) => bin !== null);
  const found = recent ?? all[0]!;
  if (found.bin === null) return void missing.push(`evpn: ${found.missing}`);
  const count = recent === undefined ? FEW : MANY;
  say(`EVPN with ${found.name} gobgpd, ${count} routes`);
  const bed = await makeBed("benchevpn");
  const site = new Site(bed, found.bin);
  try {
    await measure(site, count, figures);
  } finally {
    for (const name of ["gateway", "engine", "rr"]) await site.stop(name);
    await bed.remove();
  }
}

async function measure(site: Site, count: number, figures: Figures): Promise<void> {
  const tell = (what: string, value: number, unit: string) => {
    note(figures, `EVPN: ${what}, ${unit}`, OWN, value);
    say(`${what}: ${value.toFixed(1)} ${unit}`);
  };
  await site.start();
  await site.engine();
  const events: EngineEvent[] = [];
  const rr = new Gobgp(
    {
      ...{ socket: site.sockets.rr, api: "auto", as: AS, routerId: REFLECTOR, localAddress: REFLECTOR, peers: null },
      ...{ holdSeconds: 90, connectRetrySeconds: 1 },
    },
    (event) => event.kind !== "rows" && events.push(event),
  );
  try {
    await until("the reflector", 10_000, () => events.some(({ kind }) => kind === "complete"));
    let pid = await site.gateway();
    await until("in sync", 60_000, hasAll(site, 0), 100);
    await pause(3000);
    const empty = processUsage(pid).residentMb;
    const began = performance.now();
    announceAll(rr, 0, count);
    tell("live, from announcing to tables", await timed(began, () => heldWhile(site, hasAll(site, count))), "s");
    tell("resident memory, added by live routes", processUsage(pid).residentMb - empty, "MB");
    await live(site, rr, count, tell);
    const all = count + PER_SECOND * LIVE_SECONDS;

    await site.stop("gateway");
    const start = performance.now();
    pid = await site.gateway();
    const up = performance.now();
    const held = await heldWhile(site, hasAll(site, all));
    tell("start of the gateway to all routes in its tables", (performance.now() - start) / 1000, "s");
    tell("of it since it answers", (performance.now() - up) / 1000, "s");
    tell("longest answer on the control socket meanwhile", held, "ms");
    await pause(10_000);
    tell("resident memory, added by all routes", processUsage(pid).residentMb - empty, "MB");

    const killed = performance.now();
    await site.kill("engine");
    await until("the loss", 5000, async () => (await routesIn(site)).stale > 0, 20);
    await site.engine();
    tell("longest answer while all comes again", await heldWhile(site, hasAll(site, all)), "ms");
    tell("engine killed and started, to all routes vouched for", (performance.now() - killed) / 1000, "s");
    tell("resident memory then", processUsage(pid).residentMb - empty, "MB");
  } finally {
    rr.close();
  }
}

async function timed(began: number, wait: () => Promise<unknown>): Promise<number> {
  await wait();
  return (performance.now() - began) / 1000;
}

/** New routes at PER_SECOND, each looked for in the gateway's list. */
async function live(site: Site, rr: Gobgp, from: number, tell: (what: string, value: number, unit: string) => void) {
  const times: number[] = [];
  const before = await site.stored();
  for (let n = 0; n < PER_SECOND * LIVE_SECONDS; n++) {
    const began = performance.now();
    rr.announce([routeOf(from + n)]);
    if (n % 10 === 0) {
      const wanted = from + n + 1;
      await until("the route", 5000, async () => (await routesIn(site)).in >= wanted, 1);
      times.push(performance.now() - began);
    }
    await pause(Math.max(0, 1000 / PER_SECOND - (performance.now() - began)));
  }
  tell(
    `announced at the reflector to seen on the control socket, at ${PER_SECOND}/s, p50`,
    quantile(times, 0.5)!,
    "ms",
  );
  tell(`the same, p99`, quantile(times, 0.99)!, "ms");
  const grown = [...(await site.stored())].map(([le, count]) => [le, count - (before.get(le) ?? 0)] as const);
  const all = Math.max(...grown.map(([, count]) => count));
  tell(
    "of it from the engine's socket to the tables, p99, at most",
    grown.find(([, n]) => n >= 0.99 * all)![0] * 1000,
    "ms",
  );
}
