/** `vtepctl show bfd` of names: those sessions alone, in each form; of a tunnel without BFD a refusal. */
import { beforeEach, expect, it } from "vitest";
import { addBfd } from "../../src/api/bfd.ts";
import { again, err, out, serveParts } from "./bed.ts";

const session = (tunnel: string) => ({
  ...{ tunnel, remote: "192.0.2.2", mode: "oneHop", intervalMs: 50, multiplier: 3, state: "up", verdict: "up" },
  ...{ diagnosis: "none", transmitMs: 50, detectionMs: 150, discriminator: 1, received: 9, sent: 9, late: 0 },
  peer: { state: "up", diagnosis: "none", discriminator: 2, minRxMs: 50, desiredMinTxMs: 50, multiplier: 3 },
  ...{ longestGapMs: 60, changes: 1, lastChange: null },
});

beforeEach(async () => {
  const view = { problem: null, sessions: [session("gw2"), session("b1")], refused: [], lastRefused: null };
  await serveParts({ version: "1.2.3", features: [{ routes: (app) => addBfd(app, () => view as never) }] });
});

it("shows those that are named, in a table and for programs", async () => {
  expect(await again("show", "bfd", "b1")).toBe(0);
  expect(out).toMatch(/^b1 /m);
  expect(out).not.toMatch(/^gw2 /m);
  expect(await again("show", "bfd", "gw2", "verbose")).toBe(0);
  expect(out).toMatch(/^TUNNEL +gw2$/m);
});

it("for programs too", async () => {
  expect(await again("show", "bfd", "b1", "-o", "json")).toBe(0);
  expect(JSON.parse(out).sessions.map(({ tunnel }: { tunnel: string }) => tunnel)).toEqual(["b1"]);
});

it("of a tunnel without BFD it says so", async () => {
  expect(await again("show", "bfd", "b9")).toBe(4);
  expect(err).toContain("no tunnel b9 has BFD");
  expect(out).toBe("");
});
