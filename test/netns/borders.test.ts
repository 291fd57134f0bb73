/** Two Borders, and what hosts notice when one of them goes: borders-bed.ts has the network. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Route } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { type Borders, openBorders } from "./borders-bed.ts";
import { whyNoGateways } from "./gateways.ts";

const missing = whyNoGateways();
if (missing) console.log(`borders.test.ts skipped: ${missing}`);

describe.skipIf(missing !== undefined)("two Borders", () => {
  let borders: Borders;
  const aliveOf = async (): Promise<boolean[]> => {
    const routes = await borders.gw1.look<Route[]>("/v1/routes");
    return routes.find(({ prefix }) => prefix === "0.0.0.0/0")!.nextHops.map(({ alive }) => alive);
  };

  beforeAll(async () => {
    borders = await openBorders("borders");
  });
  afterAll(() => borders?.gateways.remove());

  test("kill -9 of one: its flows go by the other within three intervals, although its machine answers", async () => {
    const { b1, gw1 } = borders;
    expect(await aliveOf()).toEqual([true, true]);
    const { ms, lost, sent } = await borders.gap(6, () => b1.stop("SIGKILL"));
    console.log(`kill -9 of a Border: longest gap ${ms} ms, ${lost} of ${sent} packets lost`);
    // Some flows were its own, and they were without it for three intervals of a second, and what a busy machine adds.
    expect(lost).toBeGreaterThan(0);
    expect(ms).toBeLessThanOrEqual(4500);
    expect(await aliveOf()).toEqual([false, true]);
    await until("the event", 3000, () => gw1.log().includes('"event":"next-hop.dead"'));
    expect(gw1.log()).toMatch(/"event":"next-hop.dead".*"nextHop":"10.1.1.2".*"of":"route 0.0.0.0\/0"/);
    const { stdout } = await gw1.ctl("show", "route");
    expect(stdout).toMatch(/10\.1\.1\.2\(dead\),10\.1\.1\.3/);
    const doctor = await gw1.ctl("doctor");
    expect(doctor.stdout).toMatch(/next hop 10\.1\.1\.2: of route 0\.0\.0\.0\/0: it has answered no ARP/);
  });

  test("SIGTERM of one: it drains first, and its flows are elsewhere when it stops", async () => {
    const { b1 } = borders;
    let again = await b1.restart();
    await until("both to be alive", 10_000, async () => (await aliveOf()).every(Boolean));
    let end: Awaited<ReturnType<typeof again.stop>> | undefined;
    const { ms, lost, sent } = await borders.gap(8, async () => void (end = await again.stop()));
    console.log(
      `SIGTERM of a Border: longest gap ${ms} ms, ${lost} of ${sent} packets lost, stopped after ${Math.round(end!.ms)} ms`,
    );
    expect(end).toMatchObject({ code: 0 });
    expect(again.log()).toMatch(/"event":"gateway.draining"/);
    // By the design one in a thousand; the rest is for a machine that does something else meanwhile.
    expect(lost / sent).toBeLessThan(0.01);
    again = await again.restart();
    await until("both to be alive", 10_000, async () => (await aliveOf()).every(Boolean));
    const asked = await again.ctl("drain");
    expect([asked.status, asked.stdout]).toEqual([0, expect.stringContaining("peers leave")]);
    await until("the peer to have left", 10_000, async () => !(await aliveOf())[0]);
    expect((await again.status()).missing).toContain("draining");
    expect((await again.ctl("undrain")).status).toBe(0);
    await until("the peer's return", 10_000, async () => (await aliveOf()).every(Boolean));
    await again.stop("SIGKILL");
  });

  test("its return is noticed, and flows go by it again", async () => {
    const { b1, gw1 } = borders;
    await b1.restart();
    await until("the Border's return", 10_000, async () => (await aliveOf()).every(Boolean));
    await until("the event", 3000, () => gw1.log().includes('"event":"next-hop.alive"'));
  });
});
