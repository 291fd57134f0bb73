/** Long lists: every row arrives once, in its order, and whatever else waits has a turn meanwhile. */
import { expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import type { MacEntry } from "../../src/api/schema.ts";
import { sourceWith } from "./fake-source.ts";

const ROWS = 150_000;

function* macs(count: number): Generator<MacEntry> {
  for (let i = 0; i < count; i++) {
    const mac = `02:00:00:${[i >> 16, i >> 8, i].map((byte) => (byte & 255).toString(16).padStart(2, "0")).join(":")}`;
    yield { vsi: "vsi10", mac, via: { kind: "ac", name: "vm1" }, origin: "learned", ageSeconds: i % 300 };
  }
}

it("a table of 150,000 MACs is sent, and nobody waits for all of it", { retry: 2 }, async () => {
  const api = createApi(sourceWith({ macs: () => macs(ROWS) }));
  // The first answer compiles the routes.
  await api(new Request("http://localhost/v1/acs"));
  let [longest, last, isOver] = [0, performance.now(), false];
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  const answer = await api(new Request("http://localhost/v1/macs"));
  const reader = answer.body!.getReader();
  const parts: Uint8Array[] = [];
  for (let read = await reader.read(); !read.done; read = await reader.read()) parts.push(read.value);
  isOver = true;
  console.log(`longest block with ${ROWS} rows: ${longest.toFixed(1)} ms`);
  expect(longest).toBeLessThan(200);
  expect(answer.headers.get("content-type")).toBe("application/json");
  const rows = JSON.parse(Buffer.concat(parts).toString()) as MacEntry[];
  expect(rows).toHaveLength(ROWS);
  expect(rows.at(-1)).toEqual([...macs(ROWS)].at(-1));
});

it.each([0, 1, 32, 33])("a list of %d rows is well-formed", async (count) => {
  const api = createApi(sourceWith({ macs: () => macs(count) }));
  const answer = await api(new Request("http://localhost/v1/macs"));
  expect(await answer.json()).toEqual([...macs(count)]);
});

it("is not made on when its reader has gone", async () => {
  let made = 0;
  function* counted(): Generator<MacEntry> {
    for (const row of macs(ROWS)) {
      made++;
      yield row;
    }
  }
  const api = createApi(sourceWith({ macs: counted }));
  const reader = (await api(new Request("http://localhost/v1/macs"))).body!.getReader();
  await reader.read();
  await reader.cancel();
  const then = made;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(made).toBe(then);
  expect(made).toBeLessThan(ROWS);
});
