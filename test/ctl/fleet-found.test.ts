/** What gateways say of each other where routes find tunnels, and what is no gateway at all. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import { addEvpn, type EvpnSource } from "../../src/api/evpn.ts";
import type { Feature } from "../../src/api/feature.ts";
import { listenUnix } from "../../src/api/listener.ts";
import { ask } from "../../src/ctl/client.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { fleetChecks, type Site } from "../../src/ctl/fleet-check.ts";
import { STATUS, sourceWith } from "../api/fake-source.ts";
import { out } from "./said.ts";

it("leaves a tunnel alone that routes found, to a VTEP that was not asked", () => {
  const tunnelsOf = (name: string) => {
    const tunnels = [{ name, remote: "192.0.2.4" }] as unknown as Site["tunnels"];
    const site = { node: "gw1", status: STATUS, vsis: [], interfaces: [], tunnels, routerId: null };
    return fleetChecks([site]).filter((check) => check.name === "fleet: tunnels");
  };
  const text = (name: string) => `tunnel ${name} of gw1 leads to 192.0.2.4, which is none of the gateways asked`;
  expect(tunnelsOf("evpn:192.0.2.4").map(({ result }) => result)).toEqual(["ok", "ok"]);
  expect(tunnelsOf("evpn:192.0.2.4").at(-1)).toMatchObject({ text: text("evpn:192.0.2.4"), fix: null });
  expect(tunnelsOf("leaf")).toMatchObject([{ result: "warn", text: text("leaf") }]);
});

it("says of a socket that speaks something else that it is no vtepd", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fleet-"));
  const socket = join(folder, "engine.sock");
  // As an EVPN engine begins: a SETTINGS frame of HTTP/2.
  const engine = createServer((client) => {
    client.on("error", () => undefined);
    client.end(Buffer.from("000000040000000000", "hex"), () => client.destroy());
  });
  await new Promise<void>((resolve) => engine.listen(socket, resolve));
  await expect(ask(socket, "/v1/status")).rejects.toMatchObject({
    code: "not_vtepd",
    message: `what answers on ${socket} is no vtepd`,
  });
  await new Promise((resolve) => engine.close(resolve));
  rmSync(folder, { recursive: true });
});

it("finds two gateways with one BGP router id, which hear nothing of each other", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fleet-"));
  const evpn = (routerId: string) => ({ view: () => ({ routerId }) }) as unknown as EvpnSource;
  const raise = async (node: string, routerId: string | null) => {
    const source = sourceWith({ status: () => ({ ...STATUS, node }), doctor: async () => ({ checks: [] }) });
    const feature: Feature = { routes: (app) => addEvpn(app, () => (routerId === null ? null : evpn(routerId))) };
    return await listenUnix(
      createApi({ ...source, features: [...source.features, feature] }),
      join(folder, `${node}.sock`),
    );
  };
  const listeners = [await raise("gw1", "192.0.2.9"), await raise("gw2", "192.0.2.9"), await raise("gw3", null)];
  try {
    expect(await runCommand(["--fleet", folder, "doctor"])).toBe(7);
    expect(out).toContain(
      "  FAIL  fleet: identities: gw1, gw2 have one BGP router id, 192.0.2.9\n        fix: give each its own evpn.routerId\n",
    );
  } finally {
    for (const listener of listeners) listener.close();
    rmSync(folder, { recursive: true });
  }
});
