/**
 * The lab's instruments against strangers: our decoder and tshark on the same capture, `cap` and tcpdump on the same
 * device, the built-in ping and TCP meter between kernels. The traffic is the kernel's own VXLAN device's.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { captureTool, openCapture, untilQuiet, writePcap } from "../../src/lab/capture.ts";
import { decodeVxlan } from "../../src/lab/frame.ts";
import { ping, throughput } from "../../src/lab/measure.ts";
import { type Bed, makeBed, whyNoBed } from "./bed.ts";

const has = (program: string) => spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;

describe.skipIf(whyNoBed() !== undefined)("between two kernels with VXLAN", () => {
  let bed: Bed;
  beforeAll(async () => {
    bed = await makeBed("tools");
    for (const [name, host, peer] of [
      ["a", 1, 2],
      ["b", 2, 1],
    ] as const) {
      await bed.namespace(name);
      if (name === "b") await bed.veth("a", "ul0", "b", "ul0");
      await bed.ip(
        name,
        `link add vx type vxlan id 4242 local 192.0.2.${host} remote 192.0.2.${peer} dstport 4789`,
        "link set vx up",
        `addr add 10.9.9.${host}/24 dev vx`,
      );
    }
    for (const [name, host] of [
      ["a", 1],
      ["b", 2],
    ] as const) {
      await bed.ip(name, `addr add 192.0.2.${host}/24 dev ul0`);
    }
  });
  afterAll(() => bed.remove());

  test("cap and tcpdump see the same frames", async ({ skip }) => {
    if (captureTool() !== "cap" || !has("tcpdump")) return skip("cap or tcpdump is not installed");
    const both = await Promise.all([
      openCapture(bed.name("a"), "ul0", "cap"),
      openCapture(bed.name("a"), "ul0", "tcpdump"),
    ]);
    await ping(bed.name("a"), "10.9.9.2", 3);
    await untilQuiet(both, 300, 3000);
    await Promise.all(both.map((capture) => capture.stop()));
    const [one, other] = both.map((capture) => capture.frames.map((frame) => Buffer.from(frame.bytes).toString("hex")));
    expect(one!.length).toBeGreaterThanOrEqual(6);
    expect(one).toEqual(other);
    expect(both.map((capture) => capture.failure())).toEqual([undefined, undefined]);
  });

  test("our decoder and tshark read the same fields", async ({ skip }) => {
    if (!has("tshark")) return skip("tshark is not installed");
    const capture = await openCapture(bed.name("a"), "ul0", captureTool());
    await bed.ip("a", "neigh flush dev vx");
    await ping(bed.name("a"), "10.9.9.2", 2);
    await untilQuiet([capture], 300, 3000);
    await capture.stop();
    const file = join(bed.folder, "vxlan.pcap");
    writePcap(file, capture.frames);
    const fields = ["ip.src", "ip.dst", "udp.srcport", "vxlan.vni", "eth.dst", "eth.src", "ip.ttl", "icmp.type"];
    const arp = ["arp.opcode", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.hw_mac", "arp.dst.proto_ipv4"];
    const options = [...fields, ...arp].flatMap((field) => ["-e", field]);
    const args = ["-r", file, "-Y", "vxlan", "-T", "fields", "-E", "occurrence=l", ...options];
    const shown = spawnSync("tshark", args, { encoding: "utf8" });
    const theirs = shown.stdout.trimEnd().split("\n");
    const ours = capture.frames.flatMap((frame) => {
      const found = decodeVxlan(frame.bytes);
      if (found === undefined) return [];
      const { outer, inner } = found;
      const ip = inner.ip ?? { source: outer.source, destination: outer.destination, ttl: 64, icmp: { type: "" } };
      const message = inner.arp;
      const code = message === undefined ? "" : message.op === "request" ? 1 : 2;
      const row = [
        ip.source,
        ip.destination,
        outer.sourcePort,
        outer.vni,
        inner.destination,
        inner.source,
        ip.ttl,
        ip.icmp?.type,
      ];
      const sender = [code, message?.senderMac, message?.senderIp, message?.targetMac, message?.targetIp];
      return [[...row, ...sender].map((value) => String(value ?? "")).join("\t")];
    });
    expect(ours.length).toBeGreaterThanOrEqual(6);
    expect(ours.map((line) => line.trimEnd())).toEqual(theirs.map((line) => line.trimEnd()));
  });

  test("the built-in ping and ping agree", async ({ skip }) => {
    if (!has("ping")) return skip("ping is not installed");
    const results = [
      await ping(bed.name("a"), "10.9.9.2", 2, "built-in"),
      await ping(bed.name("a"), "10.9.9.2", 2, "ping"),
    ];
    for (const result of results) {
      expect(result.echoes.map(({ sequence, ttl }) => [sequence, ttl])).toEqual([
        [1, 64],
        [2, 64],
      ]);
    }
    expect((await ping(bed.name("a"), "10.9.9.77", 1, "built-in")).echoes).toEqual([]);
  });

  test("the built-in TCP meter counts every byte, both ways", async () => {
    const amount = { bytes: 10_000_019 };
    for (const isReverse of [false, true]) {
      const result = await throughput(bed.name("a"), bed.name("b"), "10.9.9.2", amount, isReverse, "built-in");
      expect([result.tool, result.bytes]).toEqual(["built-in", amount.bytes]);
      expect(result.megabitsPerSecond).toBeGreaterThan(1);
    }
  });

  test("a transfer that cannot be made is an error, not a number", async () => {
    await expect(
      throughput(bed.name("a"), bed.name("b"), "10.9.9.2", { seconds: 1 }, false, "built-in"),
    ).resolves.toBeDefined();
    await bed.ip("b", "link set vx mtu 1450 down");
    await expect(
      throughput(bed.name("a"), bed.name("b"), "10.9.9.2", { seconds: 1 }, false, "built-in"),
    ).rejects.toThrow();
    await bed.ip("b", "link set vx up", "addr replace 10.9.9.2/24 dev vx");
  }, 60_000);
});
