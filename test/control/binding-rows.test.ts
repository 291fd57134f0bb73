/** The workers' rows of bindings against a slow twin that works all of them out each time. */
import { expect, it } from "vitest";
import type { AcPort } from "../../src/control/inventory.ts";
import { BindingRows, type Pair } from "../../src/control/security/binding-rows.ts";
import { Timers } from "../../src/control/timers.ts";
import { createTables } from "../../src/tables/tables.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";
import { xorshift } from "../tables/xorshift.ts";

const LINK = parseIpv6("fe80::")!;

/** The link-local address that a MAC gives, the slow way. */
function linkLocalOf(mac: number): bigint {
  const hex = mac.toString(16).padStart(12, "0");
  return LINK | (BigInt(`0x${hex.slice(0, 6)}fffe${hex.slice(6)}`) ^ (2n << 56n));
}

it("are those of its bindings, whatever came and went, and shared ones stay as long as one needs them", () => {
  const random = xorshift(3);
  const { tables } = createTables({ workers: 1, macs: 16, neighbors: 16, routes: 16 });
  const timers = new Timers(0);
  const rows = new BindingRows(tables, timers, 4711);
  const ports = [1, 2, 3].map((row) => ({ row }) as AcPort);
  const macs = [0x020000000001, 0x020000000002, 0x525400abcdef];
  const twin = new Map(ports.map((port) => [port, [] as Pair[]]));
  const randomPair = (): Pair => {
    const mac = macs[random() % 3]!;
    const kind = random() % 4;
    if (kind === 0) return { mac, ip: 0x0a010100 + (random() % 4) };
    return { mac, ip: kind === 1 ? linkLocalOf(mac) : BigInt(random() % 4) | (1n << 125n) };
  };
  const hasPair = (port: AcPort, { mac, ip }: Pair) =>
    twin.get(port)!.some((each) => each.mac === mac && (each.ip === ip || linkLocalOf(mac) === ip));
  for (let step = 0; step < 20_000; step++) {
    const port = ports[random() % 3]!;
    const pairs = twin.get(port)!;
    const what = random() % 20;
    if (what < 9) {
      const pair = randomPair();
      rows.add(port, pair);
      pairs.push(pair);
    } else if (what < 19 && pairs.length > 0) {
      const [pair] = pairs.splice(random() % pairs.length, 1);
      rows.remove(port, pair!);
    } else if (what === 19) {
      const next = Array.from({ length: random() % 6 }, randomPair);
      rows.set(port, next);
      twin.set(port, next);
    }
    timers.run(step * 10);
    const asked = randomPair();
    if (rows.has(port, asked.mac, asked.ip) !== hasPair(port, asked)) throw new Error(`step ${step}`);
  }
  for (const port of ports) rows.set(port, []);
  for (const port of ports) for (const mac of macs) expect(rows.has(port, mac, linkLocalOf(mac))).toBe(false);
});

it("that the table has no place for yet are written as soon as it has", () => {
  const { tables } = createTables({ workers: 1, macs: 16, neighbors: 16, routes: 16 });
  const timers = new Timers(0);
  const rows = new BindingRows(tables, timers, 4711);
  const port = { row: 1 } as AcPort;
  // A worker inside its batch holds back the second change of banks.
  tables.heartbeat.enter(0);
  const pairOf = (n: number): Pair => ({ mac: 0x020000000000 + n, ip: n });
  let n = 0;
  for (; n < 80_000; n++) {
    rows.add(port, pairOf(n));
    if (!rows.has(port, pairOf(n).mac, n)) break;
    rows.remove(port, pairOf(n));
  }
  expect(n).toBeLessThan(80_000);
  timers.run(1000);
  expect(rows.has(port, pairOf(n).mac, n)).toBe(false);
  tables.heartbeat.leave(0);
  timers.run(2000);
  expect(rows.has(port, pairOf(n).mac, n)).toBe(true);
});
