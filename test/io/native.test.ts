/**
 * TAPs through the addon, against the kernel at their far end, in a namespace of their own. Needs root; skipped with a
 * reason otherwise.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as addonCalls from "../../src/io/addon.ts";
import * as native from "../../src/io/native.ts";
import * as offloads from "../../src/io/offload.ts";
import * as io from "../../src/io/port-io.ts";
import * as taps from "../../src/io/tap.ts";
import { bytesOf, cleanups, createIo, f, missing, openTap, putSend, s } from "./ground.ts";

if (missing) console.log(`native.test.ts skipped: ${missing}`);

const NETNS = `nio${process.pid}`;
const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });
const inside = (...args: string[]): string => ip("netns", "exec", NETNS, ...args);

describe("kernels", () => {
  it("that break an offload are not trusted with it", () => {
    expect(offloads.refusedByKernel("6.18.44-fc")).toEqual([]);
    expect(offloads.refusedByKernel("7.0.0")).toEqual(["udpGso"]);
    expect(offloads.refusedByKernel("7.1.4-1-pve")).toEqual(["udpGso"]);
    expect(offloads.refusedByKernel("7.1.5")).toEqual([]);
    expect(offloads.refusedByKernel("7.0-rc1")).toEqual(["udpGso"]);
    expect(offloads.refusedByKernel("5.10.0-21-amd64")).toEqual(["udpGro"]);
    expect(offloads.refusedByKernel("5.12.0")).toEqual([]);
  });
});

describe.skipIf(missing)("TAPs", () => {
  beforeAll(() => {
    ip("netns", "add", NETNS);
    inside("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1");
  });
  afterAll(() => {
    ip("netns", "del", NETNS);
  });

  it("is created in its namespace, tuned, and known by its fd", () => {
    const tap = openTap({ device: "nio0", netns: NETNS });
    taps.setTap(tap.fds[0]!, { mtu: 1450, txQueueLength: 1000, up: true });
    expect(taps.tapInfo(tap.fds[0]!)).toMatchObject({ device: "nio0", vnetHdrBytes: 10 });
    const link = JSON.parse(inside("ip", "-j", "link", "show", "nio0"))[0];
    expect(link).toMatchObject({ ifindex: tap.ifindex, mtu: 1450, txqlen: 1000 });
    expect(link.flags).toContain("LOWER_UP");
    expect(existsSync("/sys/class/net/nio0")).toBe(false);
    taps.setTap(tap.fds[0]!, { carrier: false });
    expect(JSON.parse(inside("ip", "-j", "link", "show", "nio0"))[0].flags).toContain("NO-CARRIER");
  });

  it("comes home from the namespace, also after an error", () => {
    const home = ip("-j", "link", "show", "lo");
    expect(() => taps.openTap({ device: "a-name-that-is-too-long", netns: NETNS })).toThrow(/EINVAL/);
    expect(() => taps.openTap({ device: "lo", netns: NETNS })).toThrow(/TAP lo in namespace nio.*: cannot create/);
    expect(execFileSync("ip", ["-j", "link", "show", "lo"], { encoding: "utf8" })).toBe(home);
    // The namespace itself is not kept busy by us: a TAP without netns lands at home.
    const tap = openTap({ device: `niohome${process.pid % 1000}` });
    expect(existsSync(`/sys/class/net/${taps.tapInfo(tap.fds[0]!).device}`)).toBe(true);
  });

  it("names what is wrong and what to do", () => {
    const nowhere = (): unknown => taps.openTap({ device: "nio0", netns: "nio-nowhere" });
    expect(nowhere).toThrow(addonCalls.IoError);
    expect(nowhere).toThrow(
      "TAP nio0 in namespace nio-nowhere: cannot open network namespace: ENOENT (no such file or directory); create it with: ip netns add nio-nowhere",
    );
    openTap({ device: "nio1", netns: NETNS });
    expect(() => taps.openTap({ device: "nio1", netns: NETNS })).toThrow(/EBUSY.*another process has the device open/);
  });

  it("a persistent device outlives its fd and is taken over again", () => {
    const first = taps.openTap({ device: "nio2", netns: NETNS, persist: true });
    native.closeFd(first.fds[0]!);
    const again = openTap({ device: "nio2", netns: NETNS, persist: true });
    expect(again.ifindex).toBe(first.ifindex);
    native.closeFd(openTap({ device: "nio3", netns: NETNS }).fds[0]!);
    cleanups.splice(-1);
    expect(() => inside("ip", "link", "show", "nio3")).toThrow();
    // Without `persist` a device kept by an earlier run is released at the end.
    native.closeFd(again.fds[0]!);
    cleanups.splice(-1);
    native.closeFd(taps.openTap({ device: "nio2", netns: NETNS }).fds[0]!);
    expect(() => inside("ip", "link", "show", "nio2")).toThrow();
  });

  it("tunes a device that was moved to another namespace", () => {
    const other = `${NETNS}b`;
    ip("netns", "add", other);
    try {
      const tap = openTap({ device: "nio4", netns: NETNS });
      inside("ip", "link", "set", "nio4", "netns", other);
      taps.setTap(tap.fds[0]!, { up: true });
      expect(JSON.parse(ip("-n", other, "-j", "link", "show", "nio4"))[0].flags).toContain("UP");
    } finally {
      ip("netns", "del", other);
    }
  });

  it("opens one fd per queue", () => {
    const tap = openTap({ device: "nio5", netns: NETNS, queues: 3 });
    expect(new Set(tap.fds).size).toBe(3);
    expect(inside("ls", "/sys/class/net/nio5/queues").match(/tx-/g)).toHaveLength(3);
  });

  it("exchanges bytes with the kernel: echo to an address behind the TAP", () => {
    const one = createIo();
    const tap = openTap({ device: "nio6", netns: NETNS });
    taps.setTap(tap.fds[0]!, { mtu: 1450, txQueueLength: 1000, up: true });
    inside("ip", "addr", "add", "198.51.100.1/24", "dev", "nio6");
    inside("ip", "neigh", "add", "198.51.100.2", "lladdr", "02:00:00:00:00:02", "dev", "nio6");
    const mac = inside("cat", "/sys/class/net/nio6/address").trim();
    expect(one.attachTap(7, tap.fds[0]!)).toBe(0);
    expect(one.attachTap(7, tap.fds[0]!)).toBe(-17);
    const request = echoRequest(mac, 1);
    one.arena.set(request, one.scratchAt + 64);
    putSend(one, 0, { at: one.scratchAt + 64, length: request.length, port: 7 });
    let got = one.exchange(1, 500);
    expect([one.sends[s(0, io.S_DONE)], one.sends[s(0, io.S_ERROR)], one.status[io.STATUS_FAILED]]).toEqual([1, 0, 0]);
    if (got === 0) got = one.exchange(0, 500);
    expect(got).toBe(1);
    const reply = bytesOf(one, 0);
    expect(one.frames[f(0, io.F_SOURCE)]).toBe(7);
    expect(one.frames[f(0, io.F_AT)]! % 64).toBe(0);
    expect(one.frames[f(0, io.F_HEAD)]).toBe(reply.length);
    expect(reply.subarray(0, 6).toString("hex")).toBe("020000000002");
    expect(reply[34]).toBe(0); // echo reply
    expect(reply.subarray(38).toString("hex")).toBe("12340001cafe0001");
  });

  it("takes a long queue in few batches, in order", () => {
    const one = createIo();
    const tap = openTap({ device: "nio11", netns: NETNS });
    taps.setTap(tap.fds[0]!, { mtu: 1450, txQueueLength: 1000, up: true });
    inside("ip", "addr", "add", "198.51.100.1/24", "dev", "nio11");
    inside("ip", "neigh", "add", "198.51.100.2", "lladdr", "02:00:00:00:00:02", "dev", "nio11");
    const mac = inside("cat", "/sys/class/net/nio11/address").trim();
    expect(one.attachTap(7, tap.fds[0]!)).toBe(0);
    const asked = 900;
    for (let i = 0; i < asked; i++) {
      const at = one.scratchAt + 64 + i * 128;
      const request = echoRequest(mac, i);
      one.arena.set(request, at);
      putSend(one, i, { at, length: request.length, port: 7 });
    }
    const batches: number[] = [];
    const sequence: number[] = [];
    for (let got = one.exchange(asked, 0); got > 0; got = one.exchange(0, 0)) {
      batches.push(got);
      for (let i = 0; i < got; i++) sequence.push(bytesOf(one, i).readUInt16BE(40));
    }
    expect(batches).toEqual([768, 132]);
    expect(sequence).toEqual(Array.from({ length: asked }, (_, i) => i));
  });

  it("finishes a checksum by the virtio header", () => {
    const one = createIo();
    const tap = openTap({ device: "nio7", netns: NETNS });
    taps.setTap(tap.fds[0]!, { up: true });
    inside("ip", "addr", "add", "198.51.101.1/24", "dev", "nio7");
    const mac = inside("cat", "/sys/class/net/nio7/address").trim().replaceAll(":", "");
    one.attachTap(1, tap.fds[0]!);
    const before = udpCounter("InDatagrams") + udpCounter("NoPorts");
    // UDP to a closed port: counted NoPorts if its checksum holds, InCsumErrors if not.
    const frame = udpFrame(mac, "198.51.101.2", "198.51.101.1", Buffer.from("abc"));
    one.arena.set(frame, one.scratchAt + 64);
    putSend(one, 0, {
      at: one.scratchAt + 64,
      length: frame.length,
      port: 1,
      flags: io.FLAG_NEEDS_CSUM,
      csumStart: 34,
      csumOffset: 40,
    });
    putSend(one, 1, {
      at: one.scratchAt + 64,
      length: frame.length,
      port: 1,
      flags: io.FLAG_NEEDS_CSUM,
      csumStart: 34,
      csumOffset: 400,
    });
    one.exchange(2, 10);
    expect(one.sends[s(0, io.S_ERROR)]).toBe(0);
    expect(one.sends[s(1, io.S_ERROR)]).toBe(-22);
    expect(one.status[io.STATUS_FAILED]).toBe(1);
    expect(udpCounter("InDatagrams") + udpCounter("NoPorts")).toBe(before + 1);
    expect(udpCounter("InCsumErrors")).toBe(0);
  });

  it("a deleted or downed TAP hurts no other port and does not spin", () => {
    const one = createIo();
    const good = openTap({ device: "nio8", netns: NETNS });
    const gone = openTap({ device: "nio9", netns: NETNS });
    taps.setTap(good.fds[0]!, { up: true });
    taps.setTap(gone.fds[0]!, { up: true });
    one.attachTap(1, good.fds[0]!);
    one.attachTap(2, gone.fds[0]!);
    inside("ip", "link", "set", "nio9", "down");
    one.arena.fill(0xff, one.scratchAt, one.scratchAt + 60);
    putSend(one, 0, { at: one.scratchAt, length: 60, port: 2 });
    putSend(one, 1, { at: one.scratchAt, length: 60, port: 1 });
    one.exchange(2, 0);
    expect([one.sends[s(0, io.S_ERROR)], one.sends[s(1, io.S_ERROR)]]).toEqual([-5, 0]);
    inside("ip", "link", "del", "nio9");
    one.exchange(0, 20);
    expect(one.portError(2)).toBe(-77);
    const start = performance.now();
    expect(one.exchange(0, 60)).toBe(0);
    expect(performance.now() - start).toBeGreaterThan(50);
    putSend(one, 0, { at: one.scratchAt, length: 60, port: 2 });
    putSend(one, 1, { at: one.scratchAt, length: 60, port: 1 });
    one.exchange(2, 0);
    expect([one.sends[s(0, io.S_ERROR)], one.sends[s(1, io.S_ERROR)]]).toEqual([-77, 0]);
    one.detach(2);
    putSend(one, 0, { at: one.scratchAt, length: 60, port: 2 });
    one.exchange(1, 0);
    expect(one.sends[s(0, io.S_ERROR)]).toBe(-19);
  });

  it("refuses what is no TAP", () => {
    const one = createIo();
    expect(one.attachTap(1, one.bell)).toBe(-25);
    expect(one.attachTap(0, 0)).toBe(-22);
    expect(one.attachTap(io.MAX_IO_PORTS, 0)).toBe(-22);
  });
});

function udpCounter(name: string): number {
  const [names, values] = inside("cat", "/proc/net/snmp")
    .split("\n")
    .filter((line) => line.startsWith("Udp:"));
  return Number(values!.split(" ")[names!.split(" ").indexOf(name)]);
}

function sum(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i++) total += i & 1 ? bytes[i]! : bytes[i]! << 8;
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16);
  return total;
}

function checksum(bytes: Uint8Array): number {
  return ~sum(bytes) & 0xffff;
}

/** UDP over IPv4 over Ethernet, ports 9 to 9, with an unfinished checksum. */
function udpFrame(mac: string, from: string, to: string, payload: Buffer): Buffer {
  const frame = Buffer.alloc(42 + payload.length);
  frame.set(Buffer.from(`${mac}0200000000020800`, "hex"));
  frame.set(
    [
      0x45,
      0,
      0,
      28 + payload.length,
      0,
      0,
      0x40,
      0,
      64,
      17,
      0,
      0,
      ...from.split(".").map(Number),
      ...to.split(".").map(Number),
    ],
    14,
  );
  frame.writeUInt16BE(checksum(frame.subarray(14, 34)), 24);
  frame.set([0, 9, 0, 9, 0, 8 + payload.length], 34);
  frame.writeUInt16BE(sum(Buffer.concat([frame.subarray(26, 34), Buffer.from([0, 17, 0, 8 + payload.length])])), 40);
  frame.set(payload, 42);
  return frame;
}

/** An ICMP echo request (RFC 792) from 198.51.100.2 to the kernel's .1. */
function echoRequest(mac: string, sequence: number): Buffer {
  const bytes = Buffer.from(
    `${mac.replaceAll(":", "")}020000000002080045000020000040004001${"0000"}c6336402c6336401${"0800"}${"0000"}12340000cafe0001`,
    "hex",
  );
  bytes.writeUInt16BE(sequence, 40);
  bytes.writeUInt16BE(checksum(bytes.subarray(14, 34)), 24);
  bytes.writeUInt16BE(checksum(bytes.subarray(34)), 36);
  return bytes;
}
