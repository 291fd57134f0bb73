/** What the gateways lean on, as the page is told it: of one that names very many uses some, and how many there are. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { redundancyOf } from "../../src/web/redundancy.ts";
import { answersOf, FakeGateway, leaning } from "./fake-gateway.ts";

const USES = 5000;
let gateway: FakeGateway;

beforeAll(async () => {
  const uses = Array.from({ length: USES }, (_, n) => `route ${n}`);
  const { "/v1/tracks": tracks, "/v1/next-hops": hops, ...more } = leaning("isp") as Record<string, object[]>;
  gateway = await new FakeGateway("gw1", {
    ...answersOf("gw1", "192.0.2.1", []),
    ...{ ...more, "/v1/tracks": [{ ...tracks![0], uses }] },
    "/v1/next-hops": [
      { ...hops![0], uses },
      { ...hops![0], uses: ["route 1"], useCount: 9 },
    ],
  }).start();
});
afterAll(() => gateway.stop());

it("a gateway whose answer names thousands is believed, and told in short", async () => {
  const [said] = (await redundancyOf([gateway.socket], () => "gw1")).gateways;
  expect(said!.error).toBeNull();
  const eight = Array.from({ length: 8 }, (_, n) => `route ${n}`);
  expect(said!.tracks).toMatchObject([{ uses: eight, useCount: USES }]);
  expect(said!.dead).toMatchObject([
    { uses: eight, useCount: USES },
    { uses: ["route 1"], useCount: 9 },
  ]);
});
