/** vtepctl status: of one gateway in words, of several a row each. */
import { expect, it } from "vitest";
import type { Status } from "../../src/api/schema.ts";
import { STATUS } from "../api/fake-source.ts";
import { again, ctl, forget, out, socket } from "./bed.ts";

it("has tunnels as ACs are, up and all, and counts what control dropped as show drops does", async () => {
  const status = (): Status => ({
    ...STATUS,
    counts: { ...STATUS.counts, acs: 2, acsUp: 1, tunnels: 3, tunnelsUp: 2 },
    ledger: { ...STATUS.ledger, control: { ...STATUS.ledger.control, dropped: 5 } },
  });
  expect(await ctl({ status }, "status")).toBe(0);
  expect(out).toMatch(/^ports +1 of 2 ACs up, 2 of 3 tunnels up$/m);
  expect(out).toMatch(/^dropped +7: 2 by forwarding, 5 by control \(show drops\)$/m);
  forget();
  expect(await again("-s", socket, "status")).toBe(0);
  const [head, row] = out.split("\n");
  expect(head).toMatch(/ ACS-UP +TUNNELS-UP +MACS +NEIGHBORS +DROPPED/);
  expect(row).toMatch(/ 1\/2 +2\/3 +0 +0 +7\b/);
});

it("status tells next hops and tracks where there are some, and how many of them are gone", async () => {
  const status = (ways: object) => (): Status => ({ ...STATUS, counts: { ...STATUS.counts, ...ways } });
  expect(await ctl({ status: status({ nextHops: 4, nextHopsDead: 1, tracks: 2, tracksDown: 2 }) }, "status")).toBe(0);
  expect(out).toMatch(/^next hops +4, 1 dead \(show next-hop --dead -w\)$/m);
  expect(out).toMatch(/^tracks +2, 2 down \(show track\)$/m);
  forget();
  expect(await ctl({ status: status({ nextHops: 4, nextHopsDead: 0, tracks: 0, tracksDown: 0 }) }, "status")).toBe(0);
  expect(out).toMatch(/^next hops +4$/m);
  expect(out).not.toMatch(/^tracks/m);
});
