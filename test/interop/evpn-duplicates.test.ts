/**
 * Two hosts with one MAC, one behind a vtepd and one behind FRR's leaf: whichever end has had enough of it first takes it for a
 * duplicate and freezes it (RFC 7432 §15.1), which ends the quarrel. When one of the two has gone and the freeze is over, all find
 * the other again by themselves.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MacEntry } from "../../src/api/schema.ts";
import type { EvpnDuplicate, EvpnRoute } from "../../src/api/schema-evpn.ts";
import { until } from "../../src/lab/deadline.ts";
import { gobgpds } from "../bgp/gobgpd.ts";
import { describeReal, type Gateway, whyNoGateways } from "../netns/gateways.ts";
import { ping } from "../netns/traffic.ts";
import { AS, type Fabric, makeFabric, REFLECTOR, VTEPS } from "./evpn-bed.ts";
import { FRR_PROGRAMS } from "./frr.ts";

const missing =
  whyNoGateways(...FRR_PROGRAMS, "bridge", "sysctl") ??
  (gobgpds()[0]!.bin === null ? gobgpds()[0]!.missing : undefined);

const TWIN = "02:00:00:00:0d:0d";
/** FRR's shortest time of a freeze (its manual, "Duplicate Address Detection"). */
const FREEZE_SECONDS = 30;
const MOST_ROUNDS = 12;
const GUESTS = {
  vm1: { mac: "02:00:00:00:01:11", address: "10.1.1.11", twin: "10.1.1.77" },
  h10: { mac: "02:00:00:00:01:21", address: "10.1.1.21", twin: "10.1.1.78" },
} as const;
const L2VPN = ["configure terminal", `router bgp ${AS}`, "address-family l2vpn evpn"];
type Guest = keyof typeof GUESTS;

describeReal(missing, "one MAC behind a gateway and behind FRR", () => {
  let fabric: Fabric;
  let gw1: Gateway;
  let gw2: Gateway;

  const speak = (guest: Guest) => fabric.bed.run(guest, "ping", ["-c", "1", "-W", "1", "10.1.1.1"]);
  const fdb = () => fabric.bed.must("leaf", "bridge", ["fdb", "show", "br", "br10"]);
  const isAt = async (gw: Gateway, place: string) =>
    (await gw.look<MacEntry[]>("/v1/macs")).some(({ mac, via }) => mac === TWIN && via?.name === place);
  const isFrozenHere = async () =>
    (await gw1.look<EvpnDuplicate[]>("/v1/evpn/duplicates")).some(({ mac }) => mac === TWIN);
  const isFrozenThere = async () => (await fabric.leaf.ask("show evpn mac vni 10 duplicate")).includes(TWIN);
  const own = async () =>
    (await gw1.look<EvpnRoute[]>("/v1/evpn/routes")).filter(
      ({ direction, route }) => direction === "out" && route.includes(TWIN),
    );
  /** Does it become so within `ms`? Who is frozen does not follow. */
  const soon = (ms: number, is: () => Promise<boolean>) => until("it", ms, is, 50).then(Boolean, () => false);

  async function become(guest: Guest, isTwin: boolean): Promise<void> {
    const { mac, address, twin } = GUESTS[guest];
    const { bed } = fabric;
    await bed.ip(guest, "addr flush dev eth0", `link set eth0 address ${isTwin ? TWIN : mac}`);
    await bed.ip(guest, `addr add ${isTwin ? twin : address}/24 dev eth0`, "neigh flush all");
    await bed.ip(guest, "route replace default via 10.1.1.1");
  }

  /** Both have the MAC, and speak in turn until `isOver`. */
  async function quarrel(isOver: () => Promise<boolean>): Promise<void> {
    for (const guest of ["vm1", "h10"] as const) await become(guest, true);
    for (let round = 0; round < MOST_ROUNDS && !(await isOver()); round++) {
      await speak("vm1");
      await soon(
        10_000,
        async () => (await fdb()).includes(`${TWIN} dev vxlan10 dst ${VTEPS.gw1}`) || (await isOver()),
      );
      await speak("h10");
      await soon(10_000, async () => (await isAt(gw2, `evpn:${VTEPS.leaf}`)) || (await isOver()));
    }
    expect(await isOver()).toBe(true);
  }

  /** All find it behind the leaf, or behind gw1, while it speaks. */
  async function foundAt(guest: Guest): Promise<void> {
    await until("all to have it there", (FREEZE_SECONDS + 40) * 1000, async () => {
      await speak(guest);
      if ((await isFrozenHere()) || (await isFrozenThere())) return false;
      if (guest === "h10") return (await isAt(gw1, `evpn:${VTEPS.leaf}`)) && (await isAt(gw2, `evpn:${VTEPS.leaf}`));
      const isInFdb = (await fdb()).includes(`${TWIN} dev vxlan10 dst ${VTEPS.gw1}`);
      return isInFdb && (await isAt(gw1, "vm1")) && (await isAt(gw2, `evpn:${VTEPS.gw1}`));
    });
    const [from, to] = guest === "h10" ? ["vm1", GUESTS.h10.twin] : ["h10", GUESTS.vm1.twin];
    await until("its answers", 20_000, async () => {
      const { ttls } = await ping(fabric.bed, from, to, { count: 3, waitSeconds: 1 });
      return ttls.length === 3;
    });
  }

  beforeAll(async () => {
    fabric = await makeFabric("evpndup");
    await fabric.leaf.ask(...L2VPN, `dup-addr-detection freeze ${FREEZE_SECONDS}`);
    await fabric.engine("gw1");
    await fabric.engine("gw2");
    const evpn = (node: string) => ({
      engine: { socket: fabric.engineSocket(node) },
      ...{ as: AS, peers: [{ address: REFLECTOR, as: AS }], duplicates: { recoverSeconds: FREEZE_SECONDS } },
    });
    gw1 = await fabric.gateway("gw1", { evpn: evpn("gw1") });
    gw2 = await fabric.gateway("gw2", { evpn: evpn("gw2") });
    await fabric.bed.ip("vm1", "link set dev eth0 up");
  }, 180_000);
  afterAll(() => fabric?.remove());

  test("is frozen by FRR, and found again by itself where it stays: behind the leaf", async () => {
    await quarrel(isFrozenThere);
    await become("vm1", false);
    await foundAt("h10");
    await until("no route of ours", 20_000, async () => (await own()).length === 0);
  }, 180_000);

  test("is frozen by the gateway where FRR looks for none, and found again by itself: behind the gateway", async () => {
    await fabric.leaf.ask(...L2VPN, "no dup-addr-detection");
    await quarrel(isFrozenHere);
    // A quarrel churns the fabric no more.
    await until("our routes to go", 10_000, async () => (await own()).length === 0);
    await become("h10", false);
    await speak("h10");
    await foundAt("vm1");
    await until("both our routes", 20_000, async () => (await own()).length === 2);
  }, 180_000);
});
