/**
 * `vtepctl capture --iface` on a real device: the filter it makes for a VNI lets exactly that VNI through, over IPv4 and IPv6;
 * tshark reads the file; a device that goes down ends it with a sentence, not a crash.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until, within } from "../../src/lab/deadline.ts";
import { must } from "../../src/lab/process.ts";
import { type Bed, makeBed } from "./bed.ts";
import { whyNoGateways } from "./gateways.ts";

const VTEPCTL = fileURLToPath(new URL("../../dist/ctl/main.js", import.meta.url));
const CAP = fileURLToPath(new URL("../../node_modules/cap/build/Release/cap.node", import.meta.url));
const missing = whyNoGateways("tshark") ?? (existsSync(CAP) ? undefined : "cap is not built");
if (missing) console.log(`capture-iface.test.ts skipped: ${missing}`);

/** Sends a VXLAN datagram of each VNI to each address. */
const SEND = `
const { createSocket } = require("node:dgram");
const frame = Buffer.concat([Buffer.alloc(12, 2), Buffer.from([0x88, 0xb5]), Buffer.alloc(46)]);
(async () => {
  for (const [family, to] of [["udp4", "192.0.2.2"], ["udp6", "2001:db8::2"]]) {
    const socket = createSocket(family);
    for (const vni of [9, 10, 11, 10, 266, 16777215]) {
      const head = Buffer.alloc(8);
      head[0] = 8;
      head.writeUIntBE(vni, 4, 3);
      await new Promise((done) => socket.send(Buffer.concat([head, frame]), 4789, to, done));
    }
    socket.close();
  }
})();
`;

describe.skipIf(missing !== undefined)("a capture of a kernel interface", () => {
  let bed: Bed;
  beforeAll(async () => {
    bed = await makeBed("iface");
    for (const name of ["a", "b"]) await bed.namespace(name);
    await bed.veth("a", "ul0", "b", "ul0");
    for (const [name, n] of [
      ["a", 1],
      ["b", 2],
    ] as const) {
      await bed.must(name, "sh", ["-c", "echo 0 > /proc/sys/net/ipv6/conf/ul0/disable_ipv6"]);
      await bed.ip(name, `addr add 192.0.2.${n}/24 dev ul0`, `addr add 2001:db8::${n}/64 dev ul0 nodad`);
    }
  });
  afterAll(() => bed?.remove());

  function capture(file: string, ...more: string[]) {
    const child = bed.follow("b", process.execPath, [VTEPCTL, "capture", "--iface", "ul0", "-w", file, ...more]);
    let words = "";
    child.stderr!.on("data", (chunk: Buffer) => (words += chunk.toString()));
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    return { child, ended, words: () => words };
  }
  /** The child's socket is open when its file's head is there and the kernel lists a packet socket. */
  const opened = (file: string) =>
    until("the capture to be open", 10_000, async () => {
      const sockets = (await bed.must("b", "cat", ["/proc/net/packet"])).trim().split("\n");
      return sockets.length > 1 && existsSync(file) && statSync(file).size >= 24;
    });
  const vnisOf = async (file: string) =>
    (await must("tshark", ["-r", file, "-T", "fields", "-e", "vxlan.vni"])).trim().split("\n");

  test("with a VNI: that VNI alone, both families, and an end after --count", async () => {
    const file = join(bed.folder, "vni.pcap");
    const { ended, words } = capture(file, "--vni", "10", "--count", "4");
    await opened(file);
    await bed.must("a", process.execPath, ["-e", SEND]);
    expect(await within("end of the capture", 10_000, ended), words()).toBe(0);
    expect(await vnisOf(file)).toEqual(["10", "10", "10", "10"]);
    expect(words()).toContain("4 frames of ul0");
    const times = (await must("tshark", ["-r", file, "-T", "fields", "-e", "frame.time_epoch"])).trim().split("\n");
    for (const time of times) expect(Math.abs(Number(time) - Date.now() / 1000)).toBeLessThan(60);
  });

  test("the largest VNI, to stdout, until a signal", async () => {
    const { child, ended, words } = capture("-", "--vni", "16777215");
    const parts: Buffer[] = [];
    child.stdout!.on("data", (chunk: Buffer) => parts.push(chunk));
    await until("a packet socket", 10_000, async () => {
      return (await bed.must("b", "cat", ["/proc/net/packet"])).trim().split("\n").length > 1;
    });
    await bed.must("a", process.execPath, ["-e", SEND]);
    const length = () => parts.reduce((sum, part) => sum + part.length, 0);
    await until("two frames", 5000, () => length() > 24 + 2 * 16 + 200);
    child.kill("SIGINT");
    expect(await within("end of the capture", 10_000, ended), words()).toBe(0);
    expect(words()).toContain("2 frames of ul0");
    expect(Buffer.concat(parts).readUInt32LE(0)).toBe(0xa1b23c4d);
  });

  test("a device that is not there, and options that make no sense, are refused", async () => {
    const absent = await bed.run("b", process.execPath, [VTEPCTL, "capture", "--iface", "nope0", "-w", "-"]);
    expect([absent.status, absent.stderr]).toEqual([4, expect.stringContaining("there is no interface nope0")]);
    const mixed = await bed.run("b", process.execPath, [VTEPCTL, "capture", "vm1", "--iface", "ul0", "-w", "-"]);
    expect(mixed.status).toBe(2);
  });

  test("a device that goes down ends it with a sentence", async () => {
    const file = join(bed.folder, "down.pcap");
    const { ended, words } = capture(file);
    await opened(file);
    await bed.ip("b", "link set dev ul0 down");
    expect(await within("end of the capture", 10_000, ended)).toBe(1);
    expect(words()).toMatch(/error: the capture of ul0 ended: /);
  });
});
