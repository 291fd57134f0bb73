/** Ageing of many MACs: a round looks at a part of them and lets a part of them go, however late it is, and all go in the end. */
import { beforeEach, expect, it } from "vitest";
import { MacRows } from "../../src/control/mac/rows.ts";
import { MacSweep } from "../../src/control/mac/sweep.ts";
import { Timers } from "../../src/control/timers.ts";
import { createTables } from "../../src/tables/tables.ts";
import { acOf, tunnelOf, vsiOf } from "./agent-bed.ts";

const MANY = 6000;
/** Rows that are looked at in one round, and such as go (mac/sweep.ts). */
const LOOKED = 512;
const GONE = 512 / 16;
const AGE_MS = 100_000;
const mac = (n: number) => 0x020000100000 + n;
const vsi = vsiOf(1, 10, null, { mac: { ageSeconds: AGE_MS / 1000, limit: MANY, static: [] } });
const [ac, tunnel] = [acOf(1, "vm1", vsi), tunnelOf(11, "gw2")];

class CountedRows extends MacRows {
  looks = 0;
  override takeHit(...key: Parameters<MacRows["takeHit"]>): boolean {
    this.looks++;
    return super.takeHit(...key);
  }
}

let timers: Timers;
let rows: CountedRows;
let aged: number;

beforeEach(() => {
  const { tables } = createTables({ workers: 1, macs: MANY, neighbors: 16, routes: 16 });
  timers = new Timers(1_000_000);
  rows = new CountedRows(tables, timers, 7);
  aged = 0;
  new MacSweep(rows, timers, (_level, event) => void (event === "mac.aged" && aged++));
});

/** Rounds for `ms`, each of them late by `lateMs`. @returns the most looks, and the most that went, in one. */
function run(ms: number, lateMs: number): { looks: number; gone: number } {
  const most = { looks: 0, gone: 0 };
  for (const until = timers.nowMs + ms; timers.nowMs < until; ) {
    const [looks, before] = [rows.looks, rows.size];
    timers.run(timers.nowMs + lateMs);
    most.looks = Math.max(most.looks, rows.looks - looks);
    most.gone = Math.max(most.gone, before - rows.size);
  }
  return most;
}

it.each([1, 50])("rounds that are %i ms late", (lateMs) => {
  for (let n = 0; n < MANY; n++) rows.put(vsi, mac(n), "heard", ac, 0);
  const most = run(AGE_MS - 10_000, lateMs);
  expect(most.looks).toBe(LOOKED);
  expect([rows.size, aged]).toEqual([MANY, 0]);
  expect(run(30_000, lateMs).gone).toBe(GONE);
  expect([rows.size, aged]).toEqual([0, MANY]);
});

it("what is only said from outside is not looked for among what workers have seen, and does not age", () => {
  for (let n = 0; n < MANY; n++) rows.put(vsi, mac(n), "evpn", tunnel, 0);
  const before = rows.looks;
  run(3 * AGE_MS, 50);
  expect([rows.looks - before, rows.size]).toEqual([0, MANY]);
});
