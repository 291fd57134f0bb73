/**
 * The addon against a stranger: the kernel's own vxlan device behind a veth. A veth hands over the kernel's super-frames
 * whole, with unfinished checksums (datapath §5, R2 and R3), so this is where recognising them is put to the test.
 */
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as native from "../../src/io/native.ts";
import * as underlays from "../../src/io/underlay.ts";
import { cleanups, missing } from "../io/ground.ts";
import { addNamespace, createVtep, ip, nothingSeen, OFF, ON, PEER, transfer, type Vtep } from "../io/plain-vtep.ts";

if (missing) console.log(`kernel-vxlan.test.ts skipped: ${missing}`);

const [LEFT, RIGHT] = [`nkv${process.pid}l`, `nkv${process.pid}r`];

describe.skipIf(missing)("with the kernel's own vxlan device", () => {
  const veth = `n${process.pid % 100000}`;
  const kernel = { netns: RIGHT, address: "198.51.100.2" };

  const veths: string[] = [];

  /** A namespace that is a kernel VTEP, behind a veth: 198.18.77.`host` and .`host + 1` on its two ends. */
  function addKernelVtep(netns: string, host: number, address: string): void {
    const here = `${veth}${host}`;
    addNamespace(netns);
    ip("link", "add", here, "type", "veth", "peer", "name", "u0", "netns", netns);
    veths.push(here);
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
  /** The kernel takes a namespace apart later, and its veths with it; the next test makes ours again at once. */
  function clean(...netns: string[]): void {
    while (veths.length > 0) ip("link", "del", veths.pop()!);
    for (const one of netns) if (existsSync(`/run/netns/${one}`)) ip("netns", "del", one);
  }

  it.each([
    ["all offloads", ON],
    ["no offload", OFF],
  ])("TCP both ways, %s", { timeout: 30_000 }, async (_, offload) => {
    try {
      addNamespace(LEFT);
      addKernelVtep(RIGHT, 1, kernel.address);
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
    try {
      addKernelVtep(LEFT, 1, "198.51.100.1");
      addKernelVtep(RIGHT, 5, kernel.address);
      const underlay = underlays.openUnderlay({
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
