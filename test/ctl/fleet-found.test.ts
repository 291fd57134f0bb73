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
import type { Check } from "../../src/api/schema-doctor.ts";
import { ask } from "../../src/ctl/client.ts";
import { runCommand } from "../../src/ctl/command-line.ts";
import { fleetChecks, type Site } from "../../src/ctl/fleet-check.ts";
import { STATUS, sourceWith } from "../api/fake-source.ts";
import { out } from "./said.ts";

it("leaves a tunnel alone that routes found, to a VTEP that was not asked", () => {
  const tunnelsOf = (name: string) => {
    const tunnels = [{ name, remote: "192.0.2.4" }] as unknown as Site["tunnels"];
    const site = { node: "gw1", status: STATUS, vsis: [], interfaces: [], tunnels, routerId: null, hasEvpn: false };
    return fleetChecks([site]).filter((check) => check.name === "fleet: tunnels");
  };
  const text = (name: string) => `tunnel ${name} of gw1 leads to 192.0.2.4, which is none of the gateways asked`;
  expect(tunnelsOf("evpn:192.0.2.4").map(({ result }) => result)).toEqual(["ok", "ok"]);
  expect(tunnelsOf("evpn:192.0.2.4").at(-1)).toMatchObject({ text: text("evpn:192.0.2.4"), fix: null });
  expect(tunnelsOf("leaf")).toMatchObject([{ result: "warn", text: text("leaf") }]);
});

/** gwN, with a VXLAN. */
const site = (n: number, part: Partial<Site>): Site => {
  const status = { ...STATUS, underlay: { ...STATUS.underlay, address: `192.0.2.${n}` } };
  const vsis = [{ name: "vsi20", vni: 20, interface: "i", tunnels: [] }] as unknown as Site["vsis"];
  return { node: `gw${n}`, status, vsis, interfaces: [], tunnels: [], routerId: null, hasEvpn: true, ...part };
};

it("where routes find tunnels, asks for the routes and writes no name into a configuration", () => {
  const tunnelTo = (name: string) => ({ tunnels: [{ name, remote: "192.0.2.2" }] as unknown as Site["tunnels"] });
  const fixOf = (one: Partial<Site>, two: Partial<Site> = {}) =>
    fleetChecks([site(1, one), site(2, two)]).find(({ text }) => text.startsWith("gw1 "))?.fix;
  const routes = "vtepctl show evpn vteps, show evpn: are the sessions up, do both export and import the VSI's target?";
  expect(fixOf(tunnelTo("evpn:192.0.2.2"))).toBe(routes);
  expect(fixOf({})).toBe(routes);
  expect(fixOf(tunnelTo("gw2"))).toBe(`${routes} Or add gw2 to tunnels of those VSIs on gw1`);
  expect(fixOf({}, { hasEvpn: false })).toBe("add {name: gw2, remote: 192.0.2.2} to tunnels of gw1");
  expect(fixOf({ ...tunnelTo("gw2"), hasEvpn: false })).toBe("add gw2 to tunnels of those VSIs on gw1");
});

it.each<[string, string[], string | undefined]>([
  ["one family alone", ["10.1.1.2/24"], undefined],
  ["both in the other order", ["2001:db8:10::2/64", "10.1.1.2/24"], undefined],
  ["a second subnet that others do not have", ["10.1.1.2/24", "172.16.0.1/12"], undefined],
  ["another length", ["10.1.1.2/16", "2001:db8:10::2/64"], "10.1.1.1/24 on gw1, gw2; 10.1.1.2/16 on gw3"],
  [
    "another length of IPv6",
    ["10.1.1.2/24", "2001:db8:10:0:1::2/48"],
    "2001:db8:10::1/64 on gw1, gw2; 2001:db8:10:0:1::2/48 on gw3",
  ],
])("compares the lengths of subnets that two gateways have: a Border with %s", (_, addresses, differing) => {
  const routed = (n: number, distributed: boolean, ...own: string[]) => {
    const iface = { name: "i", addresses: own, distributed, mac: `02:00:00:00:00:0${n}`, mtu: 1450 };
    return site(n, { interfaces: [iface] as unknown as Site["interfaces"] });
  };
  const both = ["10.1.1.1/24", "2001:db8:10::1/64"];
  const sites = [routed(1, true, ...both), routed(2, true, ...both), routed(3, false, ...addresses)];
  const [{ result, text }] = fleetChecks(sites).filter(({ name }) => name === "fleet: subnets") as [Check];
  const wanted = differing === undefined ? undefined : `VNI 20: subnets differ in length: ${differing}`;
  expect(result === "ok" ? undefined : text).toBe(wanted);
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
