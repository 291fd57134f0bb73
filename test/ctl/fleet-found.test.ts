/** What gateways say of each other where routes find tunnels. */
import { expect, it } from "vitest";
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
