/** `vtepctl show next-hop` of what the daemon itself answers: which are shown, and what is said where there is none. */
import { beforeEach, expect, it } from "vitest";
import type { Agent } from "../../src/control/agent.ts";
import type { InterfaceObject } from "../../src/control/inventory.ts";
import { parseIp } from "../../src/control/ip.ts";
import { type HopStateParts, NextHopStates } from "../../src/control/routes/hop-states.ts";
import { ask } from "../../src/ctl/client.ts";
import { nextHops } from "../../src/liveness/next-hops.ts";
import { again, err, out, serveParts, socket } from "./bed.ts";

const held = ([ip, on, behind]: readonly [string, string, string?], id: number) =>
  [id, { iface: { name: on } as InterfaceObject, ip: parseIp(ip)!, behind: behind ?? null }] as const;
const HOPS = [
  ["10.1.1.2", "if10"],
  ["fe80::2", "if10"],
  ["fe80::2", "if20"],
  ["2001:db8::2", "if10"],
  ["10.1.1.3", "if10", "b1"],
  ["10.1.1.3", "if10", "b2"],
] as const;
/** Of fe80::2 on if20 there are twelve routes. */
const ROUTES = Array.from({ length: 12 }, (_, n) => ({ prefix: { text: `p${n}` }, hops: [{ adjacency: 2 }] }));

const rows = () => JSON.parse(out).map(({ ip, interface: on }: Record<string, string>) => `${ip} ${on}`);

beforeEach(async () => {
  const states = new NextHopStates({
    nextHops: { isAlive: (id: number) => id !== 2, onChange: () => undefined },
    held: () => HOPS.map(held),
    lastPort: (id: number) => (id === 3 ? null : { kind: "tunnel", name: "b1", up: true }),
    policies: { hops: () => [] },
    staticRoutes: { hops: () => ROUTES },
    timers: { nowMs: 0 },
  } as unknown as HopStateParts);
  const agent = { neighbors: { probes: { counts: new Map(), pace: null } } } as unknown as Agent;
  await serveParts({ version: "1.2.3", features: [nextHops(states, agent)] });
});

it.each([
  [[], ["10.1.1.2 if10", "fe80::2 if10", "fe80::2 if20", "2001:db8::2 if10", "10.1.1.3 if10", "10.1.1.3 if10"]],
  [["10.1.1.2"], ["10.1.1.2 if10"]],
  [["fe80::2"], ["fe80::2 if10", "fe80::2 if20"]],
  [["fe80::2%if20"], ["fe80::2 if20"]],
  [["FE80:0::0:2"], ["fe80::2 if10", "fe80::2 if20"]],
  [["2001:DB8:0::2", "IF10"], ["2001:db8::2 if10"]],
  [["--dead"], ["fe80::2 if20"]],
  [["if20"], ["fe80::2 if20"]],
  [["10.1.1.3@b2"], ["10.1.1.3 if10"]],
])("with %j it shows %j", async (words, shown) => {
  expect(await again("show", "next-hop", ...words, "-o", "json")).toBe(0);
  expect(rows()).toEqual(shown);
});

it.each([
  [["10.1.1.9"], "no next hop has 10.1.1.9"],
  [["10.1.1.3@b3"], "no next hop has 10.1.1.3 and b3"],
  [["p3"], "no next hop has p3"],
  [["fe80::2%if30"], "no next hop has fe80::2 and if30"],
  [["--dead", "10.1.1.2"], "no dead next hop has 10.1.1.2"],
])("with %j, which is not there, it ends as show route does", async (words, text) => {
  expect(await again("show", "next-hop", ...words)).toBe(4);
  expect(err).toContain(text);
  expect(err).toContain("vtepctl show next-hop lists all");
  expect(out).toBe("");
});

it("names some of the routes that go by one, and says how many more there are", async () => {
  expect(await again("show", "next-hop", "fe80::2%if20", "-w")).toBe(0);
  expect(out).toContain("route p7; 4 more");
  expect(out).not.toContain("route p8");
});

it("the answer has eight of them, and their number", async () => {
  const [hop] = await ask<Record<string, unknown>[]>(socket, "/v1/next-hops?dead=true");
  expect(hop).toEqual({
    ...{ ip: "fe80::2", tunnel: null, interface: "if20", alive: false, deadSeconds: 0, useCount: 12 },
    ...{ found: true, cause: null },
    uses: ROUTES.slice(0, 8).map(({ prefix }) => `route ${prefix.text}`),
  });
});

it("one that was not used yet is no living one in the table", async () => {
  expect(await again("show", "next-hop", "10.1.1.2")).toBe(0);
  expect(out).toMatch(/^10\.1\.1\.2 .* alive /m);
  expect(await again("show", "next-hop", "2001:db8::2")).toBe(0);
  expect(out).toMatch(/^2001:db8::2 .* unused /m);
});
