/**
 * Super-frames through the addon: two of its ios, each with a TAP in a namespace, forward a TCP connection between
 * two kernels with every combination of offloads, and one io does so with the kernel's own vxlan device. The oracle is
 * TCP's far end: a hash of all bytes. Needs root; skipped with a reason otherwise.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import * as native from "../../src/io/native.ts";
import * as io from "../../src/io/port-io.ts";

const missing =
  process.getuid?.() !== 0
    ? "needs root"
    : !existsSync("/dev/net/tun")
      ? "/dev/net/tun is missing"
      : !existsSync(new URL("../../native-bindings/build/Release/vtepd.node", import.meta.url))
        ? "the addon is not built (npm run build)"
        : undefined;
if (missing) console.log(`super-frames.test.ts skipped: ${missing}`);

const tag = `nsf${process.pid}`;
const [LEFT, RIGHT] = [`${tag}l`, `${tag}r`];
const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });

const TAP = 1;
const PEER = 2;
const OFF: native.Offload = { tapTso: false, tapUso: false, coalesce: false, udpGso: false, udpGro: false };
const ON: native.Offload = { tapTso: true, tapUso: true, coalesce: true, udpGso: true, udpGro: true };

interface Vtep {
  io: native.NativePortIo;
  /** Where a frame from an io port goes. */
  route: Map<number, number>;
  sends: number;
  /** Wire packets and frames seen from the TAP and from the tunnel. */
  seen: {
    tapFrames: number;
    tapUnits: number;
    tunnelFrames: number;
    tunnelUnits: number;
    bad: number;
    failed: Map<number, number>;
  };
}

const cleanups: (() => void)[] = [];
afterEach(() => {
  while (cleanups.length > 0) cleanups.pop()!();
});

function nothingSeen(): Vtep["seen"] {
  return { tapFrames: 0, tapUnits: 0, tunnelFrames: 0, tunnelUnits: 0, bad: 0, failed: new Map() };
}

interface VtepRequest {
  netns: string;
  local: string;
  remote: string;
  offload: native.Offload;
  address: string;
  mac: string;
  zeroChecksum?: boolean;
}

/** A VTEP of one AC and one tunnel; the far end of its TAP is the kernel of `netns`, with this address. */
function createVtep(request: VtepRequest): Vtep {
  const { netns, local, remote, offload, address, mac } = request;
  const tap = native.openTap({ device: "tap0", netns });
  ip("-n", netns, "link", "set", "tap0", "address", mac);
  ip("-n", netns, "addr", "add", `${address}/24`, "dev", "tap0");
  native.setTap(tap.fds[0]!, { mtu: 1450, txQueueLength: 1000, up: true });
  const { zeroChecksum = false } = request;
  const underlay = native.openUnderlay({
    address: local,
    port: 4789,
    sourcePorts: { first: 51000, count: 4 },
    zeroChecksum,
  });
  const doorbell = native.openDoorbell();
  const port = native.createPortIo({ underlay, doorbell, innerMtu: 1450, offload });
  expect(port.attachTap(TAP, tap.fds[0]!)).toBe(0);
  port.arena.set(remote.split(".").map(Number), port.scratchAt);
  expect(port.attachPeer(PEER, port.scratchAt, 4, 4789)).toBe(0);
  cleanups.push(() => {
    port.destroy();
    for (const fd of [doorbell, underlay.fd, ...underlay.txFds, ...tap.fds]) native.closeFd(fd);
  });
  return {
    io: port,
    route: new Map([
      [TAP, PEER],
      [PEER, TAP],
    ]),
    sends: 0,
    seen: nothingSeen(),
  };
}

const REFUSED = io.FLAG_GSO_BAD | io.FLAG_CSUM_BAD | io.FLAG_TRUNCATED;

/** One exchange: what came from the TAP goes to the tunnel, and the other way round. */
function step(vtep: Vtep, timeoutMs: number): number {
  const { io: port, seen } = vtep;
  const { frames, sends, arena } = port;
  const count = port.exchange(vtep.sends, timeoutMs);
  for (let i = 0; i < vtep.sends; i++) {
    const error = sends[i * io.SEND_WORDS + io.S_ERROR]!;
    if (error !== 0) seen.failed.set(error, (seen.failed.get(error) ?? 0) + 1);
    else expect(sends[i * io.SEND_WORDS + io.S_DONE]).toBe(sends[i * io.SEND_WORDS + io.S_UNITS]);
  }
  vtep.sends = 0;
  for (let i = 0; i < count; i++) {
    const f = i * io.FRAME_WORDS;
    const flags = frames[f + io.F_FLAGS]!;
    const units = frames[f + io.F_UNITS]!;
    const source = frames[f + io.F_SOURCE]!;
    if (flags & REFUSED || source === 0) {
      seen.bad++;
      continue;
    }
    let at = frames[f + io.F_AT]!;
    let length = frames[f + io.F_LENGTH]!;
    let entropy = 0;
    const to = vtep.route.get(source)!;
    if (source === TAP) {
      seen.tapFrames++;
      seen.tapUnits += units;
      entropy = arena[at + 35]! + arena[at + 37]!;
      at -= io.VXLAN_BYTES;
      length += io.VXLAN_BYTES;
      arena.fill(0, at, at + 8);
      arena[at] = 8;
      arena[at + 6] = 10;
    } else {
      seen.tunnelFrames++;
      seen.tunnelUnits += units;
      if (to === TAP) {
        at += io.VXLAN_BYTES;
        length -= io.VXLAN_BYTES;
      }
    }
    const record = [at, length, to, flags, frames[f + io.F_GSO_SIZE]!, 0, entropy];
    record.push(frames[f + io.F_CSUM_START]!, frames[f + io.F_CSUM_OFFSET]!, frames[f + io.F_CHAIN]!, units);
    sends.set(record, vtep.sends++ * io.SEND_WORDS);
  }
  return count;
}

async function forward(vteps: Vtep[], until: Promise<unknown>): Promise<void> {
  let over = false;
  const end = until.finally(() => (over = true));
  while (!over) {
    for (let i = 0; i < 64; i++) {
      let busy = 0;
      for (const vtep of vteps) busy += step(vtep, 0);
      if (busy === 0) step(vteps[0]!, 1);
    }
    await turn();
  }
  await end;
}

/** Bytes of the transfer: a counter in every word, so that no two segments are alike. */
const SCRIPT = `
  const net = require("node:net"), { createHash } = require("node:crypto");
  const [mode, host, megabytes] = process.argv.slice(1);
  const block = (n) => { const b = new Uint32Array(1 << 18); for (let i = 0; i < b.length; i++) b[i] = n * b.length + i; return Buffer.from(b.buffer); };
  const hash = createHash("md5");
  if (mode === "listen") {
    net.createServer((s) => { s.on("data", (d) => hash.update(d)); s.on("end", () => { s.end(); console.log(hash.digest("hex")); process.exit(0); }); })
      .listen(5001, () => console.log("ready"));
  } else {
    const s = net.connect(5001, host, () => { let n = 0; const more = () => { while (n < +megabytes) { const b = block(n++); hash.update(b); if (!s.write(b)) return s.once("drain", more); } s.end(); }; more(); });
    s.resume(); s.on("close", () => { console.log(hash.digest("hex")); process.exit(0); });
  }`;

function run(netns: string, ...args: string[]): { child: ChildProcess; lines: string[]; done: Promise<void> } {
  const child = spawn("ip", ["netns", "exec", netns, process.execPath, "-e", SCRIPT, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  child.stdout!.setEncoding("utf8").on("data", (text: string) => lines.push(...text.trim().split("\n")));
  const done = new Promise<void>((resolve, reject) => {
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${args[0]} in ${netns}: exit ${code}`))));
  });
  cleanups.push(() => child.kill("SIGKILL"));
  return { child, lines, done };
}

/** Send megabytes from one namespace to an address in another; both hashes must agree. */
async function transfer(vteps: Vtep[], from: string, to: string, host: string, megabytes: number): Promise<void> {
  const server = run(to, "listen");
  while (server.lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  const client = run(from, "send", host, String(megabytes));
  await forward(vteps, Promise.all([server.done, client.done]));
  expect(server.lines[1]).toBe(client.lines[0]);
}

describe.skipIf(missing)("super-frames", () => {
  beforeAll(() => {
    for (const netns of [LEFT, RIGHT]) {
      ip("netns", "add", netns);
      ip(
        "netns",
        "exec",
        netns,
        "sysctl",
        "-qw",
        "net.ipv6.conf.all.disable_ipv6=1",
        "net.ipv6.conf.default.disable_ipv6=1",
      );
    }
  });
  afterAll(() => {
    for (const netns of [LEFT, RIGHT]) ip("netns", "del", netns);
  });

  const left = {
    netns: LEFT,
    local: "127.0.9.1",
    remote: "127.0.9.2",
    address: "198.51.100.1",
    mac: "02:00:00:00:01:01",
  };
  const right = {
    netns: RIGHT,
    local: "127.0.9.2",
    remote: "127.0.9.1",
    address: "198.51.100.2",
    mac: "02:00:00:00:01:02",
  };

  const cases: [string, native.Offload][] = [
    ["no offload", OFF],
    ["all offloads", ON],
    ["only TSO from the TAP", { ...OFF, tapTso: true }],
    ["only UDP_SEGMENT", { ...OFF, udpGso: true }],
    ["only UDP_GRO", { ...OFF, udpGso: true, udpGro: true }],
    ["only joining", { ...OFF, coalesce: true }],
    ["no UDP_GRO", { ...ON, udpGro: false }],
    ["no joining", { ...ON, coalesce: false }],
  ];
  it.each(cases)("TCP arrives whole with %s", { timeout: 20_000 }, async (_, offload) => {
    const vteps = [createVtep({ ...left, offload }), createVtep({ ...right, offload })];
    await transfer(vteps, LEFT, RIGHT, right.address, 20);
    for (const { seen } of vteps) expect([seen.bad, [...seen.failed]]).toEqual([0, []]);
    const [a, b] = vteps.map((vtep) => vtep.seen) as [Vtep["seen"], Vtep["seen"]];
    if (offload.tapTso) expect(a.tapUnits / a.tapFrames).toBeGreaterThan(5);
    else expect(a.tapUnits).toBe(a.tapFrames);
    if (offload.coalesce) expect(b.tunnelUnits / b.tunnelFrames).toBeGreaterThan(offload.udpGro ? 5 : 2);
    else expect(b.tunnelUnits).toBe(b.tunnelFrames);
    expect(b.tunnelUnits).toBe(a.tapUnits);
  });

  it("sends again as singles what UDP_SEGMENT refuses, each datagram once", { timeout: 20_000 }, async () => {
    // Outer checksum zero makes every UDP_SEGMENT send EINVAL (datapath T2).
    const vteps = [createVtep({ ...left, offload: ON, zeroChecksum: true }), createVtep({ ...right, offload: ON })];
    await transfer(vteps, LEFT, RIGHT, right.address, 10);
    const [a, b] = vteps as [Vtep, Vtep];
    expect([a.seen.bad, b.seen.bad, [...a.seen.failed]]).toEqual([0, 0, []]);
    expect(b.seen.tunnelUnits).toBe(a.seen.tapUnits);
    const refused = a.io.features().fallbacks.udp_gso_einval;
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(12); // the cap is halved each time, then UDP_SEGMENT rests
    expect(a.io.features().offload).toEqual(ON);
  });
});

describe.skipIf(missing)("with the kernel's own vxlan device", () => {
  const veth = `n${process.pid % 100000}`;
  const kernel = { netns: RIGHT, address: "198.51.100.2" };

  /** A namespace that is a kernel VTEP, behind a veth: 198.18.77.`host` and .`host + 1` on its two ends. */
  function addKernelVtep(netns: string, host: number, address: string): void {
    const here = `${veth}${host}`;
    ip("netns", "add", netns);
    ip(
      "netns",
      "exec",
      netns,
      "sysctl",
      "-qw",
      "net.ipv6.conf.all.disable_ipv6=1",
      "net.ipv6.conf.default.disable_ipv6=1",
    );
    ip("link", "add", here, "type", "veth", "peer", "name", "u0", "netns", netns);
    ip("addr", "add", `198.18.77.${host}/30`, "dev", here);
    ip("link", "set", here, "up");
    ip("-n", netns, "addr", "add", `198.18.77.${host + 1}/30`, "dev", "u0");
    ip("-n", netns, "link", "set", "u0", "up");
    ip("-n", netns, "route", "add", "default", "via", `198.18.77.${host}`);
    ip(
      "-n",
      netns,
      "link",
      "add",
      "vx0",
      "type",
      "vxlan",
      "id",
      "10",
      "dstport",
      "4789",
      "local",
      `198.18.77.${host + 1}`,
      "remote",
      "198.18.77.1",
    );
    ip("-n", netns, "addr", "add", `${address}/24`, "dev", "vx0");
    ip("-n", netns, "link", "set", "vx0", "up");
  }
  function clean(...netns: string[]): void {
    for (const one of netns) ip("netns", "del", one);
  }

  it.each([
    ["all offloads", ON],
    ["no offload", OFF],
  ])("TCP both ways, %s", { timeout: 30_000 }, async (_, offload) => {
    ip("netns", "add", LEFT);
    addKernelVtep(RIGHT, 1, kernel.address);
    try {
      const request = {
        netns: LEFT,
        local: "198.18.77.1",
        remote: "198.18.77.2",
        address: "198.51.100.1",
        mac: "02:00:00:00:01:01",
      };
      const vtep = createVtep({ ...request, offload });
      await transfer([vtep], LEFT, RIGHT, kernel.address, 10);
      vtep.seen = nothingSeen();
      await transfer([vtep], RIGHT, LEFT, request.address, 10);
      expect([vtep.seen.bad, [...vtep.seen.failed]]).toEqual([0, []]);
      // R2: a veth hands over the kernel's TSO frames whole, UDP_GRO or not.
      expect(vtep.seen.tunnelUnits / vtep.seen.tunnelFrames).toBeGreaterThan(5);
    } finally {
      clean(LEFT, RIGHT);
    }
  });

  it("a super-frame from one tunnel leaves cut by another", { timeout: 30_000 }, async () => {
    addKernelVtep(LEFT, 1, "198.51.100.1");
    addKernelVtep(RIGHT, 5, kernel.address);
    try {
      const underlay = native.openUnderlay({
        address: "198.18.77.1",
        port: 4789,
        sourcePorts: { first: 51000, count: 1 },
      });
      const doorbell = native.openDoorbell();
      const port = native.createPortIo({ underlay, doorbell, innerMtu: 1450, offload: ON });
      cleanups.push(() => {
        port.destroy();
        for (const fd of [doorbell, underlay.fd, ...underlay.txFds]) native.closeFd(fd);
      });
      for (const [number, host] of [
        [PEER, 2],
        [PEER + 1, 6],
      ] as const) {
        port.arena.set([198, 18, 77, host], port.scratchAt);
        expect(port.attachPeer(number, port.scratchAt, 4, 4789)).toBe(0);
      }
      const route = new Map([
        [PEER, PEER + 1],
        [PEER + 1, PEER],
      ]);
      const hub: Vtep = { io: port, route, sends: 0, seen: nothingSeen() };
      await transfer([hub], LEFT, RIGHT, kernel.address, 10);
      expect([hub.seen.bad, [...hub.seen.failed]]).toEqual([0, []]);
      expect(hub.seen.tunnelUnits / hub.seen.tunnelFrames).toBeGreaterThan(3);
    } finally {
      clean(LEFT, RIGHT);
    }
  });
});
