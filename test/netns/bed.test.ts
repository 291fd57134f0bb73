/** The bed that other tests lie on: it works, and it leaves nothing behind, even when its maker was killed. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { until, within } from "../../src/lab/deadline.ts";
import { createNamespace, hasNamespace, namespacesWith } from "../../src/lab/namespace.ts";
import { end, identityOf, isAlive } from "../../src/lab/process.ts";
import { type Bed, makeBed, sweep, whyNoBed } from "./bed.ts";

describe.skipIf(whyNoBed() !== undefined)("a bed", () => {
  let bed: Bed | undefined;
  afterEach(() => bed?.remove());

  test("joins namespaces by a bridge, counts bytes, and is gone afterwards", async () => {
    bed = await makeBed("join");
    for (const name of ["u", "a", "b"]) await bed.namespace(name);
    await bed.veth("a", "ul0", "u", "to-a");
    await bed.veth("b", "ul0", "u", "to-b", 1400);
    await bed.bridge("u", "br", ["to-a", "to-b"]);
    await bed.ip("a", "addr add 192.0.2.1/24 dev ul0");
    await bed.ip("b", "addr add 192.0.2.2/24 dev ul0");
    const before = await bed.counters("a", "ul0");
    const text = await bed.must("a", "ping", ["-n", "-c", "1", "-W", "5", "192.0.2.2"]);
    expect(text).toContain("ttl=64");
    expect((await bed.counters("a", "ul0")).sentBytes - before.sentBytes).toBeGreaterThanOrEqual(98);
    expect(await bed.must("b", "cat", ["/sys/class/net/ul0/mtu"])).toBe("1400\n");
    expect((await bed.run("a", "ping", ["-n", "-c", "1", "-W", "0.1", "192.0.2.9"])).status).not.toBe(0);
    await expect(bed.must("a", "ip", ["link", "show", "nothing"])).rejects.toThrow("nothing");

    const daemon = bed.launch("a", "sleeper", "sleep", ["100"]);
    const { folder } = bed;
    const names = ["u", "a", "b"].map(bed.name);
    expect(names.every(hasNamespace)).toBe(true);
    await bed.remove();
    expect([names.some(hasNamespace), isAlive(daemon), existsSync(folder)]).toEqual([false, false, false]);
  });

  test("of a killed process is swept away with what runs in it, and a living one's is not", async () => {
    bed = await makeBed("mine");
    await bed.namespace("a");
    // Somebody else makes a namespace under their own name, starts something in it, and is killed.
    const maker = spawn("sleep", ["100"]);
    const owner = identityOf(maker.pid!)!;
    const other = `vb-${owner.pid}-${owner.startTime}-other-a`;
    await createNamespace(other);
    const orphan = spawn("ip", ["netns", "exec", other, "sleep", "100"], { detached: true, stdio: "ignore" });
    const inside = identityOf(orphan.pid!)!;
    await sweep();
    expect([hasNamespace(other), isAlive(inside)]).toEqual([true, true]);
    await end([owner]);
    await sweep();
    expect([hasNamespace(other), isAlive(inside)]).toEqual([false, false]);
    expect(hasNamespace(bed.name("a"))).toBe(true);
  });

  test("made again under the same label starts empty", async () => {
    bed = await makeBed("again");
    await bed.namespace("a");
    const { folder } = bed;
    const prefix = bed.name("");
    bed = await makeBed("again");
    expect([namespacesWith(prefix), existsSync(folder)]).toEqual([[], false]);
  });
});

describe("waiting", () => {
  test("ends with the first value, and at the deadline with the reason", async () => {
    let count = 0;
    expect(await until("three", 1000, () => (++count === 3 ? "here" : undefined), 1)).toBe("here");
    await expect(until("a miracle", 20, () => false, 1)).rejects.toThrow("a miracle: not within 0.02 s");
    const failing = until("a file", 20, () => Promise.reject(new Error("no such file")), 1);
    await expect(failing).rejects.toThrow("no such file");
    await expect(within("forever", 20, new Promise(() => {}))).rejects.toThrow("forever");
  });
});
