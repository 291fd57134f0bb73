/**
 * What happens to a fabric: a host that moves between gateways and back, and through a leaf of FRR's; a silent host; a gateway that
 * restarts; reflectors that go; an engine that dies. Each is seen from FRR's kernel too.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MacEntry } from "../../src/api/schema.ts";
import type { Evpn, EvpnRoute } from "../../src/api/schema-evpn.ts";
import { until } from "../../src/lab/deadline.ts";
import { gobgpds } from "../bgp/gobgpd.ts";
import { describeReal, type Gateway, whyNoGateways } from "../netns/gateways.ts";
import { ping } from "../netns/traffic.ts";
import { AS, type Fabric, makeFabric, VTEPS } from "./evpn-bed.ts";
import { FRR_PROGRAMS } from "./frr.ts";

const missing =
  whyNoGateways(...FRR_PROGRAMS, "bridge", "sysctl") ??
  (gobgpds()[0]!.bin === null ? gobgpds()[0]!.missing : undefined);

const ROAMER = "02:00:00:00:0a:0a";
const ROAMING = "10.1.1.77";

describeReal(missing, "a BGP EVPN fabric that changes", () => {
  let fabric: Fabric;
  let gw1: Gateway;
  let gw2: Gateway;
  let killEngine: () => void;

  const view = (gw: Gateway) => gw.look<Evpn>("/v1/evpn");
  const synced = (gw: Gateway) => until(`${gw.node} in sync`, 40_000, async () => (await view(gw)).state === "synced");
  const fdb = () => fabric.bed.must("leaf", "bridge", ["fdb", "show", "dev", "vxlan10"]);
  const own = async (gw: Gateway) =>
    (await gw.look<EvpnRoute[]>("/v1/evpn/routes"))
      .filter(({ direction, route }) => direction === "out" && route.includes(ROAMER))
      .map(({ sequence }) => sequence);
  const placeAt = async (gw: Gateway, mac: string) =>
    (await gw.look<MacEntry[]>("/v1/macs")).find((each) => each.mac === mac)?.via?.name ?? null;

  /** vm1 and vm2 take turns in being the roamer; the one before says nothing more of it. */
  async function become(vm: "vm1" | "vm2", isRoamer: boolean): Promise<void> {
    const { bed } = fabric;
    const [mac, address] = isRoamer
      ? [ROAMER, ROAMING]
      : vm === "vm1"
        ? ["02:00:00:00:01:11", "10.1.1.11"]
        : ["02:00:00:00:01:12", "10.1.1.12"];
    await bed.ip(vm, "addr flush dev eth0", `link set eth0 address ${mac}`, `addr add ${address}/24 dev eth0`);
    await bed.ip(vm, "neigh flush all", "route replace default via 10.1.1.1");
    if (isRoamer) await bed.run(vm, "ping", ["-c", "1", "-W", "1", "10.1.1.1"]);
  }

  beforeAll(async () => {
    fabric = await makeFabric("evpnmoves");
    killEngine = await fabric.engine("gw1");
    await fabric.engine("gw2");
    [gw1, gw2] = [await fabric.gateway("gw1"), await fabric.gateway("gw2")];
    for (const vm of ["vm1", "vm2"] as const) {
      await fabric.bed.ip(vm, "link set dev eth0 up");
      await become(vm, false);
    }
    await Promise.all([synced(gw1), synced(gw2)]);
  }, 180_000);
  afterAll(() => fabric?.remove());

  test("a silent host behind FRR is found by one question, and its route follows", async () => {
    await until(
      "an answer",
      20_000,
      async () => (await ping(fabric.bed, "vm1", "10.1.2.21", { waitSeconds: 1 })).ttls.length > 0,
    );
  });

  test("a host that moves is announced one higher each time, FRR's kernel follows, and no other gateway announces it", async () => {
    await become("vm1", true);
    await until("FRR's row at gw1", 10_000, async () => (await fdb()).includes(`${ROAMER} dst ${VTEPS.gw1}`));
    expect(await own(gw1)).toEqual([null, null]);
    const times: number[] = [];
    for (const [from, to, old, fresh, sequence] of [
      ["vm1", "vm2", gw1, gw2, 1],
      ["vm2", "vm1", gw2, gw1, 2],
    ] as const) {
      await become(from, false);
      const began = performance.now();
      await become(to, true);
      await until(
        `FRR's row at ${fresh.node}`,
        10_000,
        async () => (await fdb()).includes(`${ROAMER} dst ${VTEPS[fresh.node]}`),
        5,
      );
      times.push(Math.round(performance.now() - began));
      await until("the old one's silence", 5000, async () => (await own(old)).length === 0);
      await until("both routes", 5000, async () => (await own(fresh)).length === 2);
      expect(await own(fresh)).toEqual([sequence, sequence]);
      expect(await placeAt(old, ROAMER)).toBe(`evpn:${VTEPS[fresh.node]}`);
      expect(await placeAt(fresh, ROAMER)).toBe(to);
    }
    console.log(`a move, with the guest's own commands, until FRR's FDB has it: ${times.join(" and ")} ms`);
    await become("vm1", false);
  });

  test("a gateway's restart is not noticed: FRR keeps its rows, and its own come back", async () => {
    const { bed } = fabric;
    await ping(bed, "vm2", "10.1.1.21", { count: 1 });
    const row = `02:00:00:00:01:12 dst ${VTEPS.gw2}`;
    await until("FRR's row", 10_000, async () => (await fdb()).includes(row));
    await gw2.stop();
    expect(await fdb()).toContain(row);
    gw2 = await gw2.restart();
    await synced(gw2);
    expect(await fdb()).toContain(row);
    expect((await ping(bed, "vm2", "10.1.1.21", { count: 3 })).ttls).toEqual([64, 64, 64]);
  });

  test("without any session nothing is lost between hosts that know each other, and it mends", async () => {
    const { bed, rr } = fabric;
    // vm1 has just got its own MAC back: the first frame to it may be there before its route.
    await until("both to know each other", 10_000, async () => {
      const { ttls } = await ping(bed, "vm1", "10.1.1.12", { count: 3, waitSeconds: 1 });
      return ttls.length === 3;
    });
    const all = (word: string) =>
      rr!.ask(
        "configure terminal",
        `router bgp ${AS}`,
        ...Object.values(VTEPS).map((each) => `${word}neighbor ${each} shutdown`),
      );
    const running = ping(bed, "vm1", "10.1.1.12", { count: 60, intervalSeconds: 0.1 });
    await all("");
    await until("gw1 deaf", 5000, async () => (await view(gw1)).state === "deaf");
    const { ttls } = await running;
    expect(ttls.length).toBe(60);
    expect((await view(gw1)).routes.stale).toBeGreaterThan(0);
    await all("no ");
    await Promise.all([synced(gw1), synced(gw2)]);
    expect((await view(gw1)).routes.stale).toBe(0);
  });

  test("an engine that dies costs hosts of two vtepds no frame, and is told everything when it is back", async () => {
    const { bed } = fabric;
    await until("both to know each other", 10_000, async () => {
      const { ttls } = await ping(bed, "vm1", "10.1.1.12", { count: 3, waitSeconds: 1 });
      return ttls.length === 3;
    });
    const before = (await view(gw1)).routes;
    const began = performance.now();
    const running = ping(bed, "vm1", "10.1.1.12", { count: 150, intervalSeconds: 0.1, waitSeconds: 1 });
    killEngine();
    await until("the loss", 2000, async () => (await view(gw1)).state === "stale");
    expect((await view(gw1)).routes.in).toBe(before.in);
    expect(await placeAt(gw1, "02:00:00:00:01:12")).toBe(`evpn:${VTEPS.gw2}`);
    // The reflector has taken them back, and gw2 keeps them.
    await until("orphans at gw2", 5000, async () => (await view(gw2)).routes.stale > 0);
    expect(await placeAt(gw2, "02:00:00:00:01:11")).toBe(`evpn:${VTEPS.gw1}`);
    await fabric.engine("gw1");
    await synced(gw1);
    await until("gw1's routes at gw2", 15_000, async () =>
      (await gw2.look<EvpnRoute[]>("/v1/evpn/routes")).some(
        ({ route, state }) => route.endsWith("[02:00:00:00:01:11]") && state === "used",
      ),
    );
    console.log(
      `an engine killed and started again: its gateway's hosts are back after ${Math.round(performance.now() - began)} ms`,
    );
    expect((await view(gw1)).routes.stale).toBe(0);
    expect((await running).ttls.length).toBe(150);
  });
});
