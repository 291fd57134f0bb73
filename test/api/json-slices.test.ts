/** Long lists: every row arrives once, in its order, and whatever else waits has a turn meanwhile. */
import { expect, it } from "vitest";
import { createApi } from "../../src/api/api.ts";
import { jsonSlices, SLICE_MS } from "../../src/api/json-slices.ts";
import type { MacEntry } from "../../src/api/schema.ts";
import { STEP } from "../../src/control/sorted.ts";
import { sourceWith } from "./fake-source.ts";

const ROWS = 150_000;
/** Rows between two looks at the clock. */
const ROWS_A_LOOK = 32;

function* macs(count: number): Generator<MacEntry> {
  for (let i = 0; i < count; i++) {
    const mac = `02:00:00:${[i >> 16, i >> 8, i].map((byte) => (byte & 255).toString(16).padStart(2, "0")).join(":")}`;
    yield { vsi: "vsi10", mac, via: { kind: "ac", name: "vm1" }, origin: "learned", ageSeconds: i % 300 };
  }
}

it(`a table of 150,000 MACs is sent; where a row takes a millisecond, others have a turn after ${SLICE_MS + ROWS_A_LOOK}`, async () => {
  let [made, turns, most, then, isOver] = [0, 0, 0, 0, false];
  function* slow(): Generator<MacEntry> {
    for (const row of macs(ROWS)) {
      made++;
      yield row;
    }
  }
  const tick = () => {
    turns++;
    most = Math.max(most, made - then);
    then = made;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  const answer = jsonSlices(slow(), () => made);
  const text = await new Response(answer).text();
  isOver = true;
  expect(most).toBeLessThanOrEqual(SLICE_MS + ROWS_A_LOOK);
  expect(turns).toBeGreaterThanOrEqual(ROWS / (SLICE_MS + ROWS_A_LOOK));
  expect(JSON.parse(text)).toEqual([...macs(ROWS)]);
});

it("steps on the way to a row are no rows, and others have a turn there too", async () => {
  let [steps, turns, isOver] = [0, 0, false];
  function* stepping(): Generator<MacEntry | typeof STEP> {
    for (const row of macs(3)) {
      for (let i = 0; i < 5; i++) {
        steps++;
        yield STEP;
      }
      yield row;
    }
  }
  const tick = () => {
    turns++;
    if (!isOver) setImmediate(tick);
  };
  setImmediate(tick);
  const text = await new Response(jsonSlices(stepping(), () => steps * SLICE_MS)).text();
  isOver = true;
  expect(JSON.parse(text)).toEqual([...macs(3)]);
  expect(turns).toBeGreaterThanOrEqual(12);
});

it("is JSON, whole or in slices", async () => {
  const api = createApi(sourceWith({ macs: () => macs(ROWS) }));
  const answer = await api(new Request("http://localhost/v1/macs"));
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(await answer.json()).toHaveLength(ROWS);
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
