/** `vtepctl evpn resync` against the real API: its answer is "under way" (204), which has no body. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { createApi } from "../../src/api/api.ts";
import { addEvpn, type EvpnSource } from "../../src/api/evpn.ts";
import { listenUnix } from "../../src/api/listener.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { err, out } from "./said.ts";

async function resync(source: EvpnSource | null): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "vtepctl-"));
  const socket = join(folder, "gw1.sock");
  const api = createApi({ version: "1.2.3", features: [{ routes: (app) => addEvpn(app, () => source) }] });
  const listener = await listenUnix(api, socket);
  try {
    return await runCommand(["-s", socket, "-o", "table", "evpn", "resync"]);
  } finally {
    listener.close();
    rmSync(folder, { recursive: true });
  }
}

it("says that the routes are being listed", async () => {
  const asked = vi.fn();
  const none = () => [];
  const view = () => {
    throw new Error("not asked for");
  };
  const source = { view, routes: none, vteps: none, duplicates: none, refused: none, clearDuplicates: () => 0 };
  expect([await resync({ ...source, resync: asked }), err]).toEqual([0, ""]);
  expect(asked).toHaveBeenCalledOnce();
  expect(out).toBe("all routes are being listed once more\n");
});

it("is refused by a gateway without EVPN", async () => {
  expect(await resync(null)).toBe(4);
  expect(err).toContain("takes no part in EVPN");
});
