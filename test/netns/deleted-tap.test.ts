/**
 * Somebody deletes the device of an AC, or the whole namespace it is in: the AC goes down, nothing is sent to it, and as soon
 * as it can be the device is made again and the AC is back, without a reload.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Ac } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { machine } from "../../src/lab/topology.ts";
import { type Article, addressOf, openArticle, setUp } from "./article-bed.ts";
import { whyNoGateways } from "./gateways.ts";
import { ping } from "./traffic.ts";

const missing = whyNoGateways();
if (missing) console.log(`deleted-tap.test.ts skipped: ${missing}`);

describe.skipIf(missing !== undefined)("a TAP that somebody deletes", () => {
  let article: Article;
  beforeAll(async () => {
    article = await openArticle("deleted");
    await ping(article.bed, "vm1", addressOf("vm4"));
  });
  afterAll(() => article?.gateways.remove());

  const events = (event: string, ac: string) =>
    article.gw1
      .log()
      .split("\n")
      .filter((line) => line.includes(`"event":"${event}"`) && line.includes(`"ac":"${ac}"`)).length;
  const isUp = async (ac: string) => (await article.gw1.show<Ac>("ac")).find(({ name }) => name === ac)!.up;

  test("is made again within seconds, twice", { timeout: 60_000 }, async () => {
    for (let n = 1; n <= 2; n++) {
      const had = events("ac.up", "vm1");
      await article.bed.ip("vm1", "link del dev eth0");
      await until("ac.down", 5000, () => events("ac.down", "vm1") >= n);
      await until("ac.up", 10_000, () => events("ac.up", "vm1") > had);
      await setUp(article.bed, machine("vm1"));
      await ping(article.bed, "vm1", addressOf("vm4"));
      await ping(article.bed, "vm1", addressOf("vm5"));
      expect((await article.gw1.status()).ready).toBe(true);
    }
    expect(await isUp("vm2")).toBe(true);
  });
});
