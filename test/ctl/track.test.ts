/** `vtepctl show track` of names: of one that there is not, no row but a refusal. */
import { beforeEach, expect, it } from "vitest";
import { tracked } from "../../src/liveness/tracks.ts";
import { again, err, out, serveParts } from "./bed.ts";

const view = (name: string) => ({
  ...{ name, kind: "overlay", target: "203.0.113.1 via 50.1.1.1 on outside", state: "up", blind: null },
  ...{ seconds: 7, rttMs: null, answered: 3, missed: 0 },
});

beforeEach(async () => {
  const config = { routes: [], policies: [], drain: { seconds: 4, track: null } };
  const views = () => [view("isp"), view("cable")] as never;
  await serveParts({ version: "1.2.3", features: [tracked(views, () => config as never)] });
});

it("shows those that are named", async () => {
  expect(await again("show", "track", "cable")).toBe(0);
  expect(out).toMatch(/^cable /m);
  expect(out).not.toMatch(/^isp /m);
});

it("of one that there is not it says so, and which there are", async () => {
  expect(await again("show", "track", "isp", "ips")).toBe(4);
  expect(err).toContain("there is no track ips");
  expect(err).toContain("vtepctl show track lists all");
  expect(out).toBe("");
});
