/**
 * GoBGP as the route reflector, with FRR as a leaf and two gateways as clients: what one announces reaches the others, sessions outlive a gateway's
 * restart and follow its configuration, a MAC that is
 * configured is sticky in FRR's kernel and not taken by another, and one that two sites fight for is frozen and let go.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Evpn, EvpnDuplicate, EvpnRoute } from "../../src/api/schema-evpn.ts";
import { until } from "../../src/lab/deadline.ts";
import { gobgpds } from "../bgp/gobgpd.ts";
import { describeReal, type Gateway, whyNoGateways } from "../netns/gateways.ts";
import { ping } from "../netns/traffic.ts";
import { type Fabric, makeFabric, VTEPS } from "./evpn-bed.ts";
import { FRR_PROGRAMS } from "./frr.ts";

const missing =
  whyNoGateways(...FRR_PROGRAMS, "bridge", "sysctl") ??
  (gobgpds()[0]!.bin === null ? gobgpds()[0]!.missing : undefined);

const STICKY = "02:00:00:00:0b:0b";

describeReal(missing, "a fabric whose route reflector is GoBGP", () => {
  let fabric: Fabric;
  let gw1: Gateway;
  let gw2: Gateway;

  const synced = (gw: Gateway) =>
    until(`${gw.node} in sync`, 60_000, async () => (await gw.look<Evpn>("/v1/evpn")).state === "synced");
  const fdb = () => fabric.bed.must("leaf", "bridge", ["fdb", "show", "dev", "vxlan10"]);
  const routes = async (gw: Gateway, mac: string) =>
    (await gw.look<EvpnRoute[]>("/v1/evpn/routes")).filter(({ route }) => route.includes(mac));
  const reaches = (from: string, to: string) =>
    until(
      `${to} from ${from}`,
      30_000,
      async () => (await ping(fabric.bed, from, to, { count: 3, waitSeconds: 1 })).ttls.length === 3,
    );

  beforeAll(async () => {
    fabric = await makeFabric("evpngobgp", { reflector: "gobgpd" });
    for (const node of ["gw1", "gw2"]) await fabric.engine(node);
    [gw1, gw2] = [await fabric.gateway("gw1"), await fabric.gateway("gw2")];
    for (const [vm, address] of [
      ["vm1", "10.1.1.11"],
      ["vm2", "10.1.1.12"],
    ] as const)
      await fabric.bed.ip(
        vm,
        "link set dev eth0 up",
        `addr add ${address}/24 dev eth0`,
        "route add default via 10.1.1.1",
      );
    await Promise.all([synced(gw1), synced(gw2)]);
  }, 180_000);
  afterAll(() => fabric?.remove());

  test("hosts of gateways and of FRR reach each other in one subnet and across two", async () => {
    await reaches("vm1", "10.1.1.12");
    await reaches("vm1", "10.1.1.21");
    await reaches("vm2", "10.1.2.21");
    expect((await ping(fabric.bed, "vm1", "10.1.1.21", { count: 3 })).ttls).toEqual([64, 64, 64]);
    expect((await ping(fabric.bed, "vm2", "10.1.2.21", { count: 3 })).ttls).toEqual([63, 63, 63]);
  });

  test("a restart leaves the session up, and a changed hold time begins it anew", async () => {
    const peer = async () => (await gw1.look<Evpn>("/v1/evpn")).peers[0]!;
    const { upSince } = await peer();
    expect(upSince).not.toBeNull();
    await gw1.stop("SIGKILL");
    gw1 = await gw1.restart();
    await synced(gw1);
    // The engine is asked for it, and has told it a moment after the rest.
    await until("the session's age", 10_000, async () => (await peer()).upSince !== null);
    expect((await peer()).upSince).toBe(upSince);
    const text = readFileSync(gw1.file, "utf8");
    writeFileSync(gw1.file, text.replace(/^evpn:$/m, "evpn:\n  timers: {hold: 12}"));
    process.kill(gw1.pid, "SIGHUP");
    await until("a session that is younger", 60_000, async () => {
      const now = await peer();
      return now.state === "established" && now.upSince !== null && now.upSince > upSince!;
    });
    await synced(gw1);
  });

  test("a MAC that is configured is sticky in FRR's kernel; where it speaks elsewhere it is told of, and stays", async () => {
    const added = await gw1.ctl("mac", "add", STICKY, "--vsi", "vsi10", "--ac", "vm1");
    expect(added.stderr).toBe("");
    await until("FRR's sticky row", 15_000, async () =>
      (await fdb()).split("\n").some((row) => row.includes(`${STICKY} dst ${VTEPS.gw1}`) && row.includes("sticky")),
    );
    await until("gw2's route", 10_000, async () => (await routes(gw2, STICKY)).some(({ sticky }) => sticky));
    const { bed } = fabric;
    await bed.ip("vm2", `link set dev eth0 address ${STICKY}`);
    await bed.run("vm2", "ping", ["-c", "1", "-W", "1", "10.1.1.1"]);
    await until("the conflict", 10_000, () => gw2.log().includes("evpn.sticky-conflict"));
    expect((await routes(gw2, STICKY)).filter(({ direction }) => direction === "out")).toEqual([]);
    expect(await fdb()).toContain(`${STICKY} dst ${VTEPS.gw1}`);
    await bed.ip("vm2", "link set dev eth0 address 02:00:00:00:01:12");
    expect((await gw1.ctl("mac", "del", STICKY, "--vsi", "vsi10")).stderr).toBe("");
    await until("no row in FRR", 15_000, async () => !(await fdb()).includes(STICKY));
  });

  test("a MAC that two sites fight for is frozen after five moves and not announced, and cleared by hand", async () => {
    const mac = "02:00:00:00:0d:0d";
    const { bed } = fabric;
    for (const vm of ["vm1", "vm2"]) await bed.ip(vm, `link set dev eth0 address ${mac}`);
    const frozen = async () =>
      (await Promise.all([gw1, gw2].map((gw) => gw.look<EvpnDuplicate[]>("/v1/evpn/duplicates")))).flat();
    await until("a duplicate", 40_000, async () => {
      for (const vm of ["vm1", "vm2"]) await bed.run(vm, "ping", ["-c", "1", "-W", "1", "-i", "0.2", "10.1.1.1"]);
      return (await frozen()).length > 0;
    });
    expect((await frozen())[0]).toMatchObject({ vsi: "vsi10", mac });
    // One of the two is found and switched off.
    await bed.ip("vm2", "link set dev eth0 address 02:00:00:00:01:12");
    // The other one may freeze it a moment later, by what was under way; an operator clears it again.
    await until("FRR's row", 60_000, async () => {
      if ((await frozen()).length > 0) for (const gw of [gw1, gw2]) await gw.ctl("evpn", "clear-duplicate", mac);
      await bed.run("vm1", "ping", ["-c", "2", "-W", "1", "10.1.1.1"]);
      return (await frozen()).length === 0 && (await fdb()).includes(`${mac} dst ${VTEPS.gw1}`);
    });
  });
});
