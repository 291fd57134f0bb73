/** The probes at the start: what their answers mean, and that asking leaves no trace. */
import { readdirSync, readlinkSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { addon } from "../../src/io/addon.ts";
import { judgeSegments, judgeTap, probeKernel } from "../../src/io/probe.ts";
import { createIo, missing } from "./ground.ts";
import { OFF, ON } from "./plain-vtep.ts";

describe("how many datagrams one send takes", () => {
  it.each([
    ["all of a new kernel", [128, 0], 128, "ok", "128 datagrams of one send arrive whole"],
    ["an older kernel's limit is no fault", [64, -22], 64, "ok", /^64 datagrams .* more: EINVAL/],
    ["fewer than any kernel should take", [16, -22], 16, "reduced", /^16 datagrams .* more: EINVAL/],
    ["64, but 128 came mangled", [64, -74], 64, "reduced", /more: not all arrives as it was sent$/],
    ["not even two", [1, -5], 1, "refused", /do not arrive whole; more: EIO/],
    ["not even two whole", [1, -74], 1, "refused", /not all arrives as it was sent$/],
    ["nothing could be asked", [-101, "use the loopback address"], 64, "unknown", /ENETUNREACH.*; taken for 64$/],
  ] as const)("%s", (_, answer, found, outcome, text) => {
    const judged = judgeSegments(answer);
    expect([judged.found, judged.probe.offload, judged.probe.outcome]).toEqual([found, "udpGso", outcome]);
    expect(judged.probe.text).toMatch(text);
  });
});

describe("whether a TAP takes super-frames", () => {
  it.each([
    ["all", [1, 0, 0, 0], 0, "ok", /joined TCP and UDP \(asked of a TAP in a namespace of its own\)/],
    ["all, without a namespace", [0, 0, 0, 0], 0, "ok", /never up/],
    ["no UDP: Linux before 6.2", [1, 0, 0, -22], 2, "reduced", /^a TAP refuses UDP: EINVAL/],
    ["no TCP over one IP is no TCP", [0, 0, -22, 0], 1, "reduced", /^a TAP refuses TCP over IPv6: EINVAL/],
    ["none: a broken virtio_net_hdr check", [1, -22, -22, -22], 3, "refused", /packet by packet$/],
    ["not asked", [-1, "create a TAP device"], 0, "unknown", /EPERM.*; the first refusal will tell$/],
  ] as const)("%s", (_, answer, found, outcome, text) => {
    const judged = judgeTap(answer);
    expect([judged.found, judged.probe.offload, judged.probe.outcome]).toEqual([found, "coalesce", outcome]);
    expect(judged.probe.text).toMatch(text);
  });
});

describe.skipIf(missing)("asking this kernel", () => {
  it("finds that it works, and leaves no device, no file and no other namespace behind", () => {
    const look = () => ({
      devices: readdirSync("/sys/class/net").sort(),
      files: readdirSync("/proc/self/fd").length,
      namespace: readlinkSync("/proc/thread-self/ns/net"),
    });
    addon();
    const before = look();
    const { segmentCap, tapRefuses, probes } = probeKernel(ON);
    expect(segmentCap).toBeGreaterThanOrEqual(64);
    expect(tapRefuses & 1).toBe(0);
    expect(probes.map(({ outcome }) => outcome)).toEqual(["ok", "ok"]);
    expect(look()).toEqual(before);
  });

  it("asks nothing for what is off in the configuration", () => {
    const { segmentCap, tapRefuses, probes } = probeKernel(OFF);
    expect([segmentCap, tapRefuses, ...probes.map(({ outcome }) => outcome)]).toEqual([64, 0, "off", "off"]);
  });

  it("a worker does without what was refused, and says so", () => {
    const { offload, fallbacks } = createIo({ offload: ON, segmentCap: 1, tapRefuses: 3 }).features();
    expect(offload).toEqual({ ...ON, udpGso: false, coalesce: false });
    expect(fallbacks).toMatchObject({ udp_gso_probe: 1, tap_gso_probe: 1 });
    const whole = createIo({ offload: ON, segmentCap: 128 }).features();
    expect(whole.offload).toEqual(ON);
    expect(whole.fallbacks).toMatchObject({ udp_gso_probe: 0, tap_gso_probe: 0 });
    expect(createIo({ offload: OFF, segmentCap: 1, tapRefuses: 3 }).features().fallbacks.udp_gso_probe).toBe(0);
  });
});
