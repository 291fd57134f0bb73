/** Walks that a driver makes: which there are, and what the driver is asked for. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { Driver } from "../../src/web/driver.ts";
import type { Session } from "../../src/web/said.ts";
import { serveWeb, type Web } from "../../src/web/serve.ts";

const TOKEN = "fixed-for-the-test";
const asked: string[] = [];
const said = { title: "VM1 → VM4", from: "vm1", to: "vm4", steps: { 1: "VM1 asks" } };
const driver: Driver = {
  scenarios: [
    { number: 1, family: 4, ...said },
    { number: 1, family: 6, ...said, title: "VM1 → VM4, by IPv6" },
    { number: 2, family: 4, ...said },
  ],
  lesson: { ping: "ping", faults: [] },
  async prepare(scheme, family) {
    asked.push(`prepare ${scheme} ${family}`);
  },
  async run(scenario, family, scheme) {
    asked.push(`run S${scenario} ${family} ${scheme}`);
    throw new Error("no machine pings here");
  },
};
let web: Web;

beforeAll(async () => {
  const listen = { host: "127.0.0.1", port: 0 };
  web = await serveWeb({ sockets: () => [], listen, token: TOKEN, driver, version: "0" });
});
afterAll(() => web.close());
beforeEach(() => void (asked.length = 0));

async function ask(path: string, body?: object): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://127.0.0.1:${web.port}${path}`, {
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
  });
  return { status: answer.status, text: await answer.text() };
}

it("a page is told of each scenario, once for each family", async () => {
  const { scenarios } = JSON.parse((await ask("/api/session")).text) as Session;
  expect(scenarios.map(({ number, family, title }) => `S${number} ${family} ${title}`)).toEqual([
    "S1 4 VM1 → VM4",
    "S1 6 VM1 → VM4, by IPv6",
    "S2 4 VM1 → VM4",
  ]);
  expect(scenarios.some((each) => "steps" in each)).toBe(false);
});

it.each([
  [{ scenario: 1 }, ["prepare distributed 4", "run S1 4 distributed"]],
  [{ scenario: 1, family: 6 }, ["prepare distributed 6", "run S1 6 distributed"]],
  [{ scenario: 2, family: 4, scheme: "centralized" }, ["prepare centralized 4", "run S2 4 centralized"]],
])("%o: the driver is asked for that family", async (body, calls) => {
  const { status, text } = await ask("/api/walk", body);
  expect([status, asked]).toEqual([200, calls]);
  expect(text).toContain("no machine pings here");
});

it("one that there is not in a family is not found, and no family but two is a question", async () => {
  expect(await ask("/api/walk", { scenario: 2, family: 6 })).toMatchObject({
    status: 404,
    text: expect.stringContaining("there is no scenario 2 by IPv6 here"),
  });
  expect((await ask("/api/walk", { scenario: 1, family: 5 })).status).toBe(400);
  expect(asked).toEqual([]);
});
