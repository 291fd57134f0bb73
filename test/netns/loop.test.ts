/**
 * A loop on real TAPs: two ACs of one VSI end in one namespace, and a Linux bridge there joins them. The two VMs beside it go on
 * speaking; the gateway names the two ACs, and forgets them when the bridge is gone.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Loop } from "../../src/api/loops.ts";
import { until } from "../../src/lab/deadline.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

/** On a busy machine. */
const SOON_MS = 60_000;
const ADDRESSES = { v: "10.1.1.11", w: "10.1.1.12" };

describeReal(whyNoGateways(), "two TAPs of one VSI in one bridge", () => {
  let gateways: Gateways;
  let gw1: Gateway;
  const loops = () => gw1.look<Loop[]>("/v1/loops");

  beforeAll(async () => {
    gateways = await openGateways("loop");
    const { bed } = gateways;
    for (const name of ["underlay", "gw1", "v", "w", "knot"]) await bed.namespace(name);
    const ac = (name: string, place: string) => ({ name, vsi: "vsi10", tap: { device: name, netns: bed.name(place) } });
    await bed.veth("gw1", "ul0", "underlay", "to-gw1");
    await bed.ip("gw1", "addr add 192.0.2.1/24 dev ul0");
    gw1 = await gateways.start("gw1", {
      underlay: { address: "192.0.2.1", mtu: 1500 },
      vsis: [{ name: "vsi10", vni: 10, arp: "flood" }],
      acs: [ac("v", "v"), ac("w", "w"), ac("a", "knot"), ac("b", "knot")],
    });
    for (const [name, address] of Object.entries(ADDRESSES))
      await bed.ip(name, `addr add ${address}/24 dev ${name}`, `link set dev ${name} up`);
    await bed.ip("knot", "link set dev a up", "link set dev b up");
  });
  afterAll(() => gateways?.remove());

  test("the loop is found, and others lose nothing by it", { timeout: 4 * SOON_MS }, async () => {
    const { bed } = gateways;
    // A second attempt begins where the first one ended.
    await bed.run("knot", "ip", ["link", "del", "dev", "br"]);
    await until("no loop", SOON_MS, async () => (await loops()).length === 0);
    expect((await ping(bed, "v", ADDRESSES.w)).ttls).toHaveLength(3);
    await bed.bridge("knot", "br", ["a", "b"]);
    // An address that no host has: each second a broadcast that goes round.
    const asks = bed.follow("v", "ping", ["-n", "-i", "0.3", "10.1.1.99"]);
    try {
      const [loop] = await until("the loop", SOON_MS, async () => {
        const all = await loops();
        return all.length > 0 && all;
      });
      expect([...loop!.acs].sort()).toEqual(["a", "b"]);
      await gw1.logged(/"event":"loop.found"/);
      // What the loop stole in its first milliseconds is flooded until its host speaks: once or twice a copy too many, none less.
      await until("thirty answers, each once", SOON_MS, async () => {
        const pinged = await ping(bed, "w", ADDRESSES.v, { count: 30, isExact: true });
        return pinged.ttls.length === 30;
      });
      expect(await loops()).toHaveLength(1);
      const told = await gw1.ctl("doctor");
      expect(told.stdout).toMatch(/loop in vsi10: .*between AC [ab] and AC [ab]/);
      await bed.ip("knot", "link del dev br");
      await until("the end of the loop", SOON_MS, async () => (await loops()).length === 0);
      await gw1.logged(/"event":"loop.over"/);
    } finally {
      asks.kill();
    }
    expect((await ping(bed, "v", ADDRESSES.w)).ttls).toHaveLength(3);
  });
});
