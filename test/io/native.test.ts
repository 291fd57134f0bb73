/**
 * The addon against the kernel: real TAPs in namespaces of their own, real sockets on loopback addresses.
 *
 * The far end of a TAP is the kernel: it sees what we write through a packet socket (in a helper process inside the
 * namespace would be slow; counters and echo replies are enough), and we see what it sends. Needs root; skipped with a
 * reason otherwise.
 */
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
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
if (missing) console.log(`native.test.ts skipped: ${missing}`);

const NETNS = `nio${process.pid}`;
const ip = (...args: string[]): string => execFileSync("ip", args, { encoding: "utf8" });
const inside = (...args: string[]): string => ip("netns", "exec", NETNS, ...args);

/** Whatever a test opened, closed after it. */
const cleanups: (() => void)[] = [];
afterEach(() => {
  while (cleanups.length > 0) cleanups.pop()!();
});

function openTap(request: native.TapRequest): native.Tap {
  const tap = native.openTap(request);
  cleanups.push(() => tap.fds.map(native.closeFd));
  return tap;
}

function openUnderlay(address: string, port = 4789, count = 2): native.Underlay {
  const underlay = native.openUnderlay({ address, port, sourcePorts: { first: 50000, count } });
  cleanups.push(() => [underlay.fd, ...underlay.txFds].map(native.closeFd));
  return underlay;
}

function createIo(request: Partial<native.PortIoRequest> = {}): native.NativePortIo & { bell: number } {
  const bell = native.openDoorbell();
  const made = native.createPortIo({ doorbell: bell, innerMtu: 1450, ...request });
  cleanups.push(() => {
    made.destroy();
    native.closeFd(bell);
  });
  return Object.assign(made, { bell });
}

/** Offset of word `word` of frame or record `index`. */
const f = (index: number, word: number): number => index * io.FRAME_WORDS + word;
const s = (index: number, word: number): number => index * io.SEND_WORDS + word;

function bytesOf(one: io.PortIo, index: number): Buffer {
  const at = one.frames[f(index, io.F_AT)]!;
  return Buffer.from(one.arena.subarray(at, at + one.frames[f(index, io.F_LENGTH)]!));
}

interface SendRecord {
  at: number;
  length: number;
  port: number;
  flags?: number;
  gsoSize?: number;
  tos?: number;
  entropy?: number;
  csumStart?: number;
  csumOffset?: number;
  chain?: number;
  units?: number;
}

function putSend(one: io.PortIo, index: number, record: SendRecord): void {
  const { at, length, port, flags = 0, gsoSize = 0, tos = 0, entropy = 0 } = record;
  const { csumStart = 0, csumOffset = 0, chain = 0, units = 1 } = record;
  one.sends.set(
    [at, length, port, flags, gsoSize, tos, entropy, csumStart, csumOffset, chain, units, -1, -1],
    index * 16,
  );
}

function attachPeer(one: io.PortIo, port: number, address: string, udpPort = 4789): number {
  const bytes = address.includes(":") ? v6(address) : address.split(".").map(Number);
  one.arena.set(bytes, one.scratchAt);
  return one.attachPeer(port, one.scratchAt, bytes.length, udpPort);
}

function v6(text: string): number[] {
  const [left, right = ""] = text.split("::") as [string, string?];
  const words = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const a = words(left);
  const b = words(right);
  const all = [...a, ...new Array<string>(8 - a.length - b.length).fill("0"), ...b];
  return all.flatMap((word) => [Number.parseInt(word, 16) >> 8, Number.parseInt(word, 16) & 0xff]);
}

/** Send, then exchange until `wanted` frames arrived or a second passed; the batch's contents through `take`. */
function receive(one: io.PortIo, wanted: number, take: (index: number) => void = () => {}, sends = 0): number {
  let got = 0;
  for (let idle = 0; got < wanted && idle < 20; sends = 0) {
    const count = one.exchange(sends, 50);
    for (let i = 0; i < count; i++) take(i);
    got += count;
    if (count === 0) idle++;
  }
  return got;
}

/** A VXLAN packet: VNI 10, an Ethernet frame of an experimental EtherType, `length` bytes in all, marked. */
function vxlanPacket(length: number, mark: number): Buffer {
  const bytes = Buffer.alloc(length, mark & 0xff);
  bytes.set([8, 0, 0, 0, 0, 0, 10, 0]);
  if (length >= 22) bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5], 8);
  if (length >= 26) bytes.writeUInt32BE(mark, 22);
  return bytes;
}

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
    native.setTap(tap.fds[0]!, { mtu: 1450, txQueueLength: 1000, up: true });
    expect(native.tapInfo(tap.fds[0]!)).toMatchObject({ device: "nio0", vnetHdrBytes: 10 });
    const link = JSON.parse(inside("ip", "-j", "link", "show", "nio0"))[0];
    expect(link).toMatchObject({ ifindex: tap.ifindex, mtu: 1450, txqlen: 1000 });
    expect(link.flags).toContain("LOWER_UP");
    expect(existsSync("/sys/class/net/nio0")).toBe(false);
    native.setTap(tap.fds[0]!, { carrier: false });
    expect(JSON.parse(inside("ip", "-j", "link", "show", "nio0"))[0].flags).toContain("NO-CARRIER");
  });

  it("comes home from the namespace, also after an error", () => {
    const home = ip("-j", "link", "show", "lo");
    expect(() => native.openTap({ device: "a-name-that-is-too-long", netns: NETNS })).toThrow(/EINVAL/);
    expect(() => native.openTap({ device: "lo", netns: NETNS })).toThrow(/TAP lo in namespace nio.*: cannot create/);
    expect(execFileSync("ip", ["-j", "link", "show", "lo"], { encoding: "utf8" })).toBe(home);
    // The namespace itself is not kept busy by us: a TAP without netns lands at home.
    const tap = openTap({ device: `niohome${process.pid % 1000}` });
    expect(existsSync(`/sys/class/net/${native.tapInfo(tap.fds[0]!).device}`)).toBe(true);
  });

  it("names what is wrong and what to do", () => {
    const nowhere = (): unknown => native.openTap({ device: "nio0", netns: "nio-nowhere" });
    expect(nowhere).toThrow(native.IoError);
    expect(nowhere).toThrow(
      "TAP nio0 in namespace nio-nowhere: cannot open network namespace: ENOENT (no such file or directory); create it with: ip netns add nio-nowhere",
    );
    openTap({ device: "nio1", netns: NETNS });
    expect(() => native.openTap({ device: "nio1", netns: NETNS })).toThrow(
      /EBUSY.*another process has the device open/,
    );
  });

  it("a persistent device outlives its fd and is taken over again", () => {
    const first = native.openTap({ device: "nio2", netns: NETNS, persist: true });
    native.closeFd(first.fds[0]!);
    const again = openTap({ device: "nio2", netns: NETNS, persist: true });
    expect(again.ifindex).toBe(first.ifindex);
    native.closeFd(openTap({ device: "nio3", netns: NETNS }).fds[0]!);
    cleanups.splice(-1);
    expect(() => inside("ip", "link", "show", "nio3")).toThrow();
    // Without `persist` a device kept by an earlier run is released at the end.
    native.closeFd(again.fds[0]!);
    cleanups.splice(-1);
    native.closeFd(native.openTap({ device: "nio2", netns: NETNS }).fds[0]!);
    expect(() => inside("ip", "link", "show", "nio2")).toThrow();
  });

  it("tunes a device that was moved to another namespace", () => {
    const other = `${NETNS}b`;
    ip("netns", "add", other);
    try {
      const tap = openTap({ device: "nio4", netns: NETNS });
      inside("ip", "link", "set", "nio4", "netns", other);
      native.setTap(tap.fds[0]!, { up: true });
      expect(JSON.parse(ip("-n", other, "-j", "link", "show", "nio4"))[0].flags).toContain("UP");
    } finally {
      ip("netns", "del", other);
    }
  });

  it("opens one fd per queue", () => {
    const tap = openTap({ device: "nio5", netns: NETNS, queues: 3 });
    expect(new Set(tap.fds).size).toBe(3);
    expect(() => native.openTap({ device: "nio5", netns: NETNS })).toThrow(/EINVAL.*queue mode/);
  });

  it("exchanges bytes with the kernel: echo to an address behind the TAP", () => {
    const one = createIo();
    const tap = openTap({ device: "nio6", netns: NETNS });
    native.setTap(tap.fds[0]!, { mtu: 1450, txQueueLength: 1000, up: true });
    inside("ip", "addr", "add", "198.51.100.1/24", "dev", "nio6");
    inside("ip", "neigh", "add", "198.51.100.2", "lladdr", "02:00:00:00:00:02", "dev", "nio6");
    const mac = inside("cat", "/sys/class/net/nio6/address").trim();
    expect(one.attachTap(7, tap.fds[0]!)).toBe(0);
    expect(one.attachTap(7, tap.fds[0]!)).toBe(-17);
    // ICMP echo request (RFC 792) from .2 to the kernel's .1, in the data plane's scratch.
    const request = Buffer.from(
      `${mac.replaceAll(":", "")}020000000002080045000020000040004001${"0000"}c6336402c6336401${"0800"}${"0000"}12340001cafe0001`,
      "hex",
    );
    request.writeUInt16BE(checksum(request.subarray(14, 34)), 24);
    request.writeUInt16BE(checksum(request.subarray(34)), 36);
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

  it("finishes a checksum by the virtio header", () => {
    const one = createIo();
    const tap = openTap({ device: "nio7", netns: NETNS });
    native.setTap(tap.fds[0]!, { up: true });
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

  it("a deleted or downed TAP hurts nobody else and does not spin", () => {
    const one = createIo();
    const good = openTap({ device: "nio8", netns: NETNS });
    const gone = openTap({ device: "nio9", netns: NETNS });
    native.setTap(good.fds[0]!, { up: true });
    native.setTap(gone.fds[0]!, { up: true });
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

describe.skipIf(missing)("underlay", () => {
  it("clear errors", () => {
    openUnderlay("127.0.0.21");
    expect(() =>
      native.openUnderlay({ address: "127.0.0.21", port: 4789, sourcePorts: { first: 1, count: 1 } }),
    ).toThrow(/underlay 127.0.0.21 port 4789: cannot bind the VTEP address: EADDRINUSE.*ss -ulpn/);
    const elsewhere = { address: "203.0.113.1", port: 4789, sourcePorts: { first: 1, count: 1 } };
    expect(() => native.openUnderlay(elsewhere)).toThrow(/EADDRNOTAVAIL.*no interface has this address/);
    expect(() => native.deviceMtuFor("203.0.113.1")).toThrow(/EADDRNOTAVAIL/);
    expect(native.deviceMtuFor("127.0.0.21")).toEqual({ device: "lo", ifindex: 1, mtu: 65536 });
    expect(native.pathMtu("127.0.0.21", "127.0.0.22")).toBeGreaterThan(1280);
  });

  it("skips a taken source port", async () => {
    const taken = createSocket("udp4").bind(50001, "127.0.0.22");
    await once(taken, "listening");
    const underlay = openUnderlay("127.0.0.22", 4789, 3);
    const ports = underlay.txFds.map((fd) => portOf(fd));
    expect(ports).toEqual([50000, 50002, 50003]);
    taken.close();
  });

  it("carries datagrams both ways with TOS; an unknown sender is 0", async () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.31") });
    const b = createIo({ underlay: openUnderlay("127.0.0.32") });
    expect(attachPeer(a, 5, "127.0.0.32")).toBe(0);
    expect(attachPeer(b, 6, "127.0.0.31")).toBe(0);
    expect(attachPeer(a, 8, "127.0.0.32")).toBe(-98);
    expect(attachPeer(a, 8, "::1")).toBe(-97);
    for (let i = 0; i < 4; i++) {
      const bytes = vxlanPacket(60 + i, 1000 + i);
      a.arena.set(bytes, a.scratchAt + i * 2048);
      putSend(a, i, {
        at: a.scratchAt + i * 2048,
        length: bytes.length,
        port: 5,
        tos: i === 0 ? 0 : 0xb8 + i,
        entropy: 0,
      });
    }
    a.exchange(4, 0);
    expect(a.status[io.STATUS_FAILED]).toBe(0);
    const seen: unknown[] = [];
    receive(b, 4, (i) => {
      const bytes = bytesOf(b, i);
      expect((b.frames[f(i, io.F_AT)]! + 8) % 64).toBe(0);
      seen.push([bytes.length, bytes.readUInt32BE(22), b.frames[f(i, io.F_SOURCE)], b.frames[f(i, io.F_OUTER_TOS)]]);
      expect(b.frames[f(i, io.F_OUTER_SOURCE)]).toBe(0x7f00001f);
    });
    expect(seen).toEqual([
      [60, 1000, 6, 0],
      [61, 1001, 6, 0xb9],
      [62, 1002, 6, 0xba],
      [63, 1003, 6, 0xbb],
    ]);
    b.detach(6);
    a.exchange(1, 0);
    receive(b, 1, (i) => expect(b.frames[f(i, io.F_SOURCE)]).toBe(0));
    expect(attachPeer(b, 9, "127.0.0.31")).toBe(0);
    a.exchange(1, 0);
    receive(b, 1, (i) => expect(b.frames[f(i, io.F_SOURCE)]).toBe(9));
  });

  it("over IPv6, and the traffic class with it", () => {
    const a = createIo({ underlay: openUnderlay("::1", 4790) });
    expect(attachPeer(a, 5, "::1", 4790)).toBe(0);
    const bytes = vxlanPacket(100, 7);
    a.arena.set(bytes, a.scratchAt);
    putSend(a, 0, { at: a.scratchAt, length: 100, port: 5, tos: 0x2a, entropy: 1 });
    const check = (i: number): void => {
      expect(bytesOf(a, i)).toEqual(bytes);
      expect([a.frames[f(i, io.F_SOURCE)], a.frames[f(i, io.F_OUTER_TOS)]]).toEqual([5, 0x2a]);
    };
    expect(receive(a, 1, check, 1)).toBe(1);
  });

  it("the source port follows the entropy", async () => {
    const far = createSocket("udp4").bind(4789, "127.0.0.34");
    await once(far, "listening");
    const ports: number[] = [];
    far.on("message", (_, from) => ports.push(from.port));
    const a = createIo({ underlay: openUnderlay("127.0.0.33", 4789, 4) });
    attachPeer(a, 1, "127.0.0.34");
    a.arena.set(vxlanPacket(64, 1), a.scratchAt);
    for (let i = 0; i < 8; i++) putSend(a, i, { at: a.scratchAt, length: 64, port: 1, entropy: i * 3 });
    a.exchange(8, 0);
    while (ports.length < 8) await once(far, "message");
    expect([...new Set(ports)].sort()).toEqual([50000, 50001, 50002, 50003]);
    far.close();
  });

  it("an unreachable peer and an oversized datagram do not disturb the others", () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.35") });
    const b = createIo({ underlay: openUnderlay("127.0.0.36") });
    attachPeer(a, 1, "127.0.0.36");
    attachPeer(a, 2, "255.255.255.255"); // EACCES: no broadcast permission
    attachPeer(b, 1, "127.0.0.35");
    a.arena.set(vxlanPacket(66000, 3), a.scratchAt);
    for (let i = 0; i < 200; i++) {
      const port = i % 10 === 3 ? 2 : 1;
      putSend(a, i, { at: a.scratchAt, length: i % 10 === 7 ? 65508 : 200, port, entropy: 0 });
    }
    a.exchange(200, 0);
    const errors = new Map<number, number>();
    for (let i = 0; i < 200; i++) {
      const error = a.sends[s(i, io.S_ERROR)]!;
      errors.set(error, (errors.get(error) ?? 0) + 1);
      expect(a.sends[s(i, io.S_DONE)]).toBe(error === 0 ? 1 : 0);
    }
    expect(errors).toEqual(
      new Map([
        [0, 160],
        [-13, 20],
        [-90, 20],
      ]),
    );
    expect(a.status[io.STATUS_FAILED]).toBe(40);
    expect(receive(b, 160)).toBe(160);
  });

  it("records that name nobody or lie outside the arena fail alone", () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.37") });
    attachPeer(a, 1, "127.0.0.37");
    a.arena.set(vxlanPacket(64, 3), a.scratchAt);
    putSend(a, 0, { at: a.scratchAt, length: 64, port: 9 });
    putSend(a, 1, { at: -4, length: 64, port: 1 });
    putSend(a, 2, { at: a.arena.length - 10, length: 64, port: 1 });
    putSend(a, 3, { at: a.scratchAt, length: 64, port: 1, chain: 3 });
    putSend(a, 4, { at: a.scratchAt, length: 8, port: 1 });
    putSend(a, 5, { at: a.scratchAt, length: 64, port: 4096 });
    putSend(a, 6, { at: a.scratchAt, length: 64, port: 1 });
    expect(receive(a, 1, () => {}, 7)).toBe(1);
    expect([0, 1, 2, 3, 4, 5, 6].map((i) => a.sends[s(i, io.S_ERROR)])).toEqual([-19, -22, -22, -22, -22, -19, 0]);
  });

  it("a burst of 1000 frames arrives whole and in order", () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.38") });
    const b = createIo({ underlay: openUnderlay("127.0.0.39") });
    attachPeer(a, 1, "127.0.0.39");
    attachPeer(b, 1, "127.0.0.38");
    for (let i = 0; i < 1000; i++) {
      a.arena.set(vxlanPacket(64, i), a.scratchAt + i * 128);
      putSend(a, i, { at: a.scratchAt + i * 128, length: 64, port: 1 });
    }
    a.exchange(1000, 0);
    expect(a.status[io.STATUS_FAILED]).toBe(0);
    const marks: number[] = [];
    receive(b, 1000, (i) => marks.push(bytesOf(b, i).readUInt32BE(22)));
    expect(marks).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it("hands over runts and the largest datagram as they are", async () => {
    const a = createIo({ underlay: openUnderlay("127.0.0.40") });
    const far = createSocket("udp4").bind(0, "127.0.0.41");
    await once(far, "listening");
    attachPeer(a, 3, "127.0.0.41");
    const lengths = [0, 1, 7, 8, 21, 22, 1500, 65507];
    for (const length of lengths)
      far.send(vxlanPacket(length < 8 ? 8 : length, 1).subarray(0, length), 4789, "127.0.0.40");
    await new Promise((resolve) => setTimeout(resolve, 100));
    const seen: number[] = [];
    receive(a, lengths.length, (i) => seen.push(a.frames[f(i, io.F_LENGTH)]!));
    expect(seen.sort((x, y) => x - y)).toEqual(lengths);
    far.close();
  });

  it("the doorbell wakes a wait, once", () => {
    const one = createIo();
    native.ring(one.bell);
    native.ring(one.bell);
    expect(one.exchange(0, 1000)).toBe(0);
    expect(one.status[io.STATUS_WOKEN]).toBe(1);
    const start = performance.now();
    one.exchange(0, 30);
    expect(performance.now() - start).toBeGreaterThan(25);
    expect(one.status[io.STATUS_WOKEN]).toBe(0);
  });

  it("after destroy every call is harmless", () => {
    const one = createIo();
    one.destroy();
    expect([one.exchange(3, 100), one.attachTap(1, 0), one.attachPeer(1, 0, 4, 1), one.gather(1, 0)]).toEqual([
      0, -9, -9, 0,
    ]);
    one.detach(1);
    one.destroy();
  });
});

function portOf(fd: number): number {
  const inode = execFileSync("readlink", [`/proc/${process.pid}/fd/${fd}`], { encoding: "utf8" }).match(/\d+/)![0];
  const row = execFileSync("cat", ["/proc/net/udp"], { encoding: "utf8" })
    .split("\n")
    .find((line) => line.trim().split(/\s+/)[9] === inode)!;
  return Number.parseInt(row.trim().split(/\s+/)[1]!.split(":")[1]!, 16);
}

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
