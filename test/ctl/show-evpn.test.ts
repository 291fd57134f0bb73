/** `vtepctl show evpn` and its tables against the real API. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import { addEvpn, type EvpnSource } from "../../src/api/evpn.ts";
import { listenUnix } from "../../src/api/listener.ts";
import type { Evpn } from "../../src/api/schema-evpn.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { out } from "./said.ts";

const VIEW: Evpn = {
  engine: { socket: "/run/bgp.sock", up: true, api: "v4", problem: null },
  ...{ as: 65000, routerId: "192.0.2.1", vtep: "192.0.2.1", state: "synced", stateSeconds: 5, backlog: 0 },
  routes: { in: 3, out: 2, stale: 0, pending: 0 },
  ...{ peers: [], vsis: [], vrfs: [] },
};

async function show(source: Partial<EvpnSource>, ...args: string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "vtepctl-"));
  const socket = join(folder, "gw1.sock");
  const routes = (app: Parameters<typeof addEvpn>[0]) => addEvpn(app, () => source as EvpnSource);
  const listener = await listenUnix(createApi({ version: "1.2.3", features: [{ routes }] }), socket);
  try {
    return await runCommand(["-s", socket, "-o", "table", "show", "evpn", ...args]);
  } finally {
    listener.close();
    rmSync(folder, { recursive: true });
  }
}

it("names the gateways that have one router id, and nothing where each has its own", async () => {
  const sharedRouterIds = [
    { routerId: "192.0.2.1", isOurs: true, vteps: ["192.0.2.2"] },
    { routerId: "192.0.2.7", isOurs: false, vteps: ["192.0.2.8", "192.0.2.9"] },
  ];
  expect(await show({ view: () => ({ ...VIEW, sharedRouterIds }) })).toBe(0);
  expect(out).toContain(
    "routes   3 in, 2 out\n" +
      "problem  router id 192.0.2.1 is ours, and that of 192.0.2.2: give each its own evpn.routerId\n" +
      "problem  router id 192.0.2.7 is that of 192.0.2.8, 192.0.2.9: give each its own evpn.routerId\n\n",
  );
  for (const none of [{}, { sharedRouterIds: [] }]) {
    const before = out.length;
    expect(await show({ view: () => ({ ...VIEW, ...none }) })).toBe(0);
    expect(out.slice(before)).not.toContain("problem");
  }
});
