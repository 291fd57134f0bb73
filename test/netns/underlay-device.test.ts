/**
 * The underlay device goes down under a running gateway, loses its carrier, or the VTEP's address: nothing is watched by
 * keepalives here, so the gateway itself says it, in status, health and doctor, with the fix that helps; and all is well when
 * it is back.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Status } from "../../src/api/schema.ts";
import type { Diagnosis } from "../../src/api/schema-doctor.ts";
import { until } from "../../src/lab/deadline.ts";
import { UNDERLAY_DEVICE } from "../../src/lab/topology.ts";
import { type Article, addressOf, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

const DOWN = `${UNDERLAY_DEVICE} is set down`;
const NO_CARRIER = `${UNDERLAY_DEVICE} has no carrier`;

describeReal(whyNoGateways(), "an underlay device that dies", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("dead", { shape: (_, text) => text.replace(/^\s*keepalive:.*\n/gm, "") });
    await ping(article.bed, "vm1", addressOf("vm4"));
  });
  afterAll(() => article?.gateways.remove());

  const logged = (event: "underlay.down" | "underlay.up", times: number) =>
    article.gw1.logged(new RegExp(`"event":"${event}"`), times);
  const eventsSoFar = (event: string) => article.gw1.log().split(`"event":"${event}"`).length - 1;
  const status = () => article.gw1.look<Status>("/v1/status");
  const problemIs = (problem: string | null) =>
    until(`underlay: ${problem}`, 10_000, async () => (await status()).underlay.problem === problem);

  async function seen(problem: string, fix: RegExp): Promise<void> {
    await problemIs(problem);
    const { ready, missing } = await status();
    expect({ ready, missing }).toEqual({ ready: false, missing: [`underlay is down: ${problem}`] });
    expect((await article.gw1.ctl("status")).stdout).toContain(problem);
    const health = await article.gw1.ctl("health");
    expect(health.status).not.toBe(0);
    const { checks } = JSON.parse((await article.gw1.ctl("doctor", "-o", "json")).stdout) as Diagnosis;
    const device = checks.find(({ name }) => name === "underlay address")!;
    expect(device).toMatchObject({ result: "fail", fix: expect.stringMatching(fix) });
    expect(device.text).toContain(problem);
    // Routes go with their device: none is missing because it was not written.
    expect(checks.filter((check) => check.fix?.startsWith("ip route add"))).toEqual([]);
  }

  test("set down: status, health and doctor say so; set up, it is ready and forwards", {
    timeout: 60_000,
  }, async () => {
    const { bed } = article;
    for (let n = 1; n <= 2; n++) {
      await bed.ip("gw1", `link set dev ${UNDERLAY_DEVICE} down`);
      await seen(DOWN, new RegExp(`^ip link set dev ${UNDERLAY_DEVICE} up$`));
      await logged("underlay.down", n);
      await bed.ip("gw1", `link set dev ${UNDERLAY_DEVICE} up`);
      await problemIs(null);
      await logged("underlay.up", n);
      expect([eventsSoFar("underlay.down"), eventsSoFar("underlay.up")]).toEqual([n, n]);
      expect((await status()).ready).toBe(true);
      await ping(bed, "vm1", addressOf("vm4"));
    }
  });

  test("without the VTEP's address: the command that gives it back", { timeout: 60_000 }, async () => {
    const { bed } = article;
    const { address } = (await status()).underlay;
    const lines = await bed.must("gw1", "ip", ["-o", "-4", "addr", "show", "dev", UNDERLAY_DEVICE]);
    const prefix = lines.match(/inet (\S+)/)![1]!;
    expect(prefix.split("/")[0]).toBe(address);
    const before = eventsSoFar("underlay.down");
    await bed.ip("gw1", `addr del ${prefix} dev ${UNDERLAY_DEVICE}`);
    await seen(`no interface has ${address}`, new RegExp(`^ip addr add ${address}/`));
    await logged("underlay.down", before + 1);
    await bed.ip("gw1", `addr add ${prefix} dev ${UNDERLAY_DEVICE}`);
    await problemIs(null);
    expect((await status()).ready).toBe(true);
    await ping(bed, "vm1", addressOf("vm4"));
  });

  test("without carrier: its other end is what is looked at", { timeout: 60_000 }, async () => {
    const { bed } = article;
    const port = (await bed.must("underlay", "ip", ["-o", "link", "show"])).match(/\d+: (\S*gw1\S*?)[@:]/)![1]!;
    await bed.ip("underlay", `link set dev ${port} down`);
    await seen(NO_CARRIER, /other end/);
    await bed.ip("underlay", `link set dev ${port} up`);
    await problemIs(null);
    await ping(bed, "vm1", addressOf("vm4"));
  });
});
