/** Two Borders with one address, each a next hop behind its own tunnel: borders-bed.ts has the network. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Route, Tunnel } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { type Borders, openBorders } from "./borders-bed.ts";
import { type Gateway, whyNoGateways } from "./gateways.ts";

const missing = whyNoGateways();
if (missing) console.log(`anycast-border.test.ts skipped: ${missing}`);
const HOP = "10.1.1.2";
const ANYCAST = {
  prefix: "0.0.0.0/0",
  nextHops: [
    { ip: HOP, tunnel: "b1" },
    { ip: HOP, tunnel: "b2" },
  ],
};

describe.skipIf(missing !== undefined)("two Borders with one address", () => {
  let borders: Borders;
  let b1: Gateway;
  const aliveOf = async (): Promise<boolean[]> => {
    const routes = await borders.gw1.look<Route[]>("/v1/routes");
    return routes.find(({ prefix }) => prefix === "0.0.0.0/0")!.nextHops.map(({ alive }) => alive);
  };
  /** What gw1 has carried to b1 and b2. */
  const carried = async () => {
    const ports = await borders.gw1.look<Tunnel[]>("/v1/tunnels");
    return ["b1", "b2"].map((name) => ports.find((port) => port.name === name)!.transmit.packets);
  };

  beforeAll(async () => {
    borders = await openBorders("anycast", { routes: [ANYCAST] }, [HOP, HOP]);
    b1 = borders.b1;
  });
  afterAll(() => borders?.gateways.remove());

  test("flows go by both, and they are not taken for a host that moves", async () => {
    const before = await carried();
    const { lost, sent } = await borders.gap(4, async () => {});
    // An answer that is later than ping waits is lost to it.
    expect(lost / sent).toBeLessThan(0.01);
    const after = await carried();
    for (const [i, count] of after.entries()) expect(count - before[i]!).toBeGreaterThan(40);
    expect(borders.gw1.log()).not.toMatch(/neighbor\.(damped|moved)|duplicate/);
    const { stdout } = await borders.gw1.ctl("show", "route");
    expect(stdout).toMatch(/10\.1\.1\.2@b1,10\.1\.1\.2@b2/);
  });

  test("kill -9 of one: its flows go by the other within three intervals, and come back with it", async () => {
    const { gw1 } = borders;
    await until("both to be alive", 20_000, async () => (await aliveOf()).every(Boolean));
    const { ms, lost, sent } = await borders.gap(6, () => b1.stop("SIGKILL"));
    console.log(`kill -9 of an anycast Border: longest gap ${ms} ms, ${lost} of ${sent} packets lost`);
    try {
      expect(lost).toBeGreaterThan(0);
      // All flows were back before the pings had ended.
      expect(ms).toBeLessThan(5000);
      await until("its next hop to be dead", 10_000, async () => {
        const [first, second] = await aliveOf();
        return !first && second;
      });
      const doctor = await gw1.ctl("doctor");
      expect(doctor.stdout).toMatch(/next hop 10\.1\.1\.2 behind b1: of route 0\.0\.0\.0\/0: it has answered no ARP/);
    } finally {
      b1 = await b1.restart();
    }
    await until("the Border's return", 20_000, async () => (await aliveOf()).every(Boolean));
  });
});
