/**
 * The smallest VTEP there is, to try the addon with: one AC and one tunnel, or two tunnels; no table, no look-up. A
 * frame that comes in by one io port leaves by the other. And what to try it with: programs in namespaces that send
 * each other bytes no two of which are alike, and say what arrived.
 */
import { execFileSync, spawn } from "node:child_process";
import { setImmediate as turn } from "node:timers/promises";
import { expect } from "vitest";
import * as native from "../../src/io/native.ts";
import type * as offloads from "../../src/io/offload.ts";
import * as io from "../../src/io/port-io.ts";
import * as taps from "../../src/io/tap.ts";
import * as underlays from "../../src/io/underlay.ts";
import { attachPeer, cleanups } from "./ground.ts";

export const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });

export const TAP = 1;
export const PEER = 2;
export const OFF: offloads.Offload = { tapTso: false, tapUso: false, coalesce: false, udpGso: false, udpGro: false };
export const ON: offloads.Offload = { tapTso: true, tapUso: true, coalesce: true, udpGso: true, udpGro: true };

export interface Vtep {
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

export function nothingSeen(): Vtep["seen"] {
  return { tapFrames: 0, tapUnits: 0, tunnelFrames: 0, tunnelUnits: 0, bad: 0, failed: new Map() };
}

interface VtepRequest {
  netns: string;
  local: string;
  remote: string;
  offload: offloads.Offload;
  address: string;
  mac: string;
  zeroChecksum?: boolean;
  /** What a probe at the start would have said of TAPs. */
  tapRefuses?: number;
}

/** A VTEP of one AC and one tunnel; the far end of its TAP is the kernel of `netns`, with this address. */
export function createVtep(request: VtepRequest): Vtep {
  const { netns, local, remote, offload, address, mac } = request;
  const tap = taps.openTap({ device: "tap0", netns });
  ip("-n", netns, "link", "set", "tap0", "address", mac);
  ip("-n", netns, "addr", "add", `${address}/24`, "dev", "tap0");
  taps.setTap(tap.fds[0]!, { mtu: 1450, txQueueLength: 1000, up: true });
  const { zeroChecksum = false, tapRefuses = 0 } = request;
  const underlay = underlays.openUnderlay({
    address: local,
    port: 4789,
    sourcePorts: { first: 51000, count: 4 },
    zeroChecksum,
  });
  const doorbell = native.openDoorbell();
  const port = native.createPortIo({ underlay, doorbell, innerMtu: 1450, offload, tapRefuses });
  expect(port.attachTap(TAP, tap.fds[0]!)).toBe(0);
  expect(attachPeer(port, PEER, remote)).toBe(0);
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
export function step(vtep: Vtep, timeoutMs: number): number {
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

export async function forward(vteps: Vtep[], until: Promise<unknown>): Promise<void> {
  let over = false;
  const end = until.finally(() => {
    over = true;
  });
  end.catch(() => {}); // thrown below, once the loop has seen it
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
export const TRANSFER = `
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

/** 2000 datagrams of 100 bytes each, in bursts of 50, all different. */
export const DATAGRAMS = `
  const socket = require("node:dgram").createSocket("udp4"), [mode, host] = process.argv.slice(1);
  const bytes = (i) => { const b = Buffer.alloc(100, i); b.writeUInt32BE(i); return b; };
  if (mode === "listen") {
    const seen = new Set();
    socket.on("message", (m) => { if (m.length === 100 && m.equals(bytes(m.readUInt32BE()))) seen.add(m.readUInt32BE()); if (seen.size === 2000) finish(); });
    const finish = () => { console.log(seen.size + " datagrams of 100 bytes"); process.exit(0); };
    socket.bind(5002, () => { socket.setRecvBufferSize(1 << 20); console.log("ready"); setTimeout(finish, 8000); });
  } else {
    let i = 0;
    const burst = () => { for (let k = 0; k < 50; k++) socket.send(bytes(i++), 5002, host); if (i < 2000) setTimeout(burst, 2); else setTimeout(() => process.exit(0), 100); };
    socket.send(Buffer.alloc(1), 5002, host); // resolves the address first
    setTimeout(burst, 200);
  }`;

interface Child {
  lines: string[];
  ready: Promise<void>;
  done: Promise<void>;
}

/** A namespace without IPv6, without chatter. */
export function addNamespace(netns: string): void {
  ip("netns", "add", netns);
  const off = ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"];
  ip("netns", "exec", netns, "sysctl", "-qw", ...off);
}

/** A script in a namespace; `ready` when it printed its first line, `done` when it ended well. */
export function run(netns: string, script: string, ...args: string[]): Child {
  const child = spawn("ip", ["netns", "exec", netns, process.execPath, "-e", script, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const ready = new Promise<void>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      lines.push(...text.trim().split("\n"));
      resolve();
    });
  });
  const done = new Promise<void>((resolve, reject) => {
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${args[0]} in ${netns}: exit ${code}`))));
  });
  cleanups.push(() => child.kill("SIGKILL"));
  return { lines, ready, done };
}

/** Send megabytes from one namespace to an address in another; both hashes must agree. */
export async function transfer(
  vteps: Vtep[],
  from: string,
  to: string,
  host: string,
  megabytes: number,
): Promise<void> {
  const server = run(to, TRANSFER, "listen");
  await server.ready;
  const client = run(from, TRANSFER, "send", host, String(megabytes));
  await forward(vteps, Promise.all([server.done, client.done]));
  expect(server.lines[1]).toBe(client.lines[0]);
}
