/** What gateways say of each other where routes find tunnels, and what is no gateway at all. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ask } from "../../src/ctl/client.ts";
import { fleetChecks, type Site } from "../../src/ctl/fleet-check.ts";
import { STATUS } from "../api/fake-source.ts";

it("leaves a tunnel alone that routes found, to a VTEP that was not asked", () => {
  const tunnelsOf = (name: string) => {
    const tunnels = [{ name, remote: "192.0.2.4" }] as unknown as Site["tunnels"];
    const site = { node: "gw1", status: STATUS, vsis: [], interfaces: [], tunnels };
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
