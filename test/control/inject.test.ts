/** Control's records for the workers: commands always arrive, in order; frames leave room for them and are released in steps. */
import { describe, expect, it } from "vitest";
import { ALL_PORTS, Injector } from "../../src/control/inject.ts";
import { PENDING_BYTES } from "../../src/control/neighbor/pending-queue.ts";
import { Plane } from "../../src/dataplane/plane.ts";
import { MemoryIo, MemoryNet } from "../../src/io/memory.ts";
import { DROP, INJECT } from "../../src/tables/counters.ts";
import { R_KIND, R_PORT } from "../../src/tables/ring.ts";
import { createTables } from "../../src/tables/tables.ts";

function bed() {
  const { tables } = createTables({ workers: 1, macs: 64, neighbors: 64, routes: 64 });
  return { tables, injector: new Injector(tables.injects, () => undefined) };
}

describe("an inject ring that is full of frames", () => {
  it("takes a detach and an attach of every io port, in their order, and none is lost however late the worker is", () => {
    const { tables, injector } = bed();
    const ring = tables.injects[0]!;
    const frame = new Uint8Array(60_000);
    let frames = 0;
    while (injector.flood(1, 0, ALL_PORTS, frame)) frames++;
    expect(injector.refused).toBe(1);
    const COMMANDS = 20_000;
    for (let io = 1; io <= COMMANDS; io++) injector.detach(io);
    expect(injector.isDrained(0)).toBe(false);
    const ports: number[] = [];
    for (let round = 0; round < 1000 && !injector.isDrained(0); round++) {
      for (let at = ring.peek(); at >= 0; at = ring.peek()) {
        if (ring.words[at + R_KIND]! > INJECT.arrival) ports.push(ring.words[at + R_PORT]!);
        else frames--;
        ring.release(at);
      }
      injector.flush();
    }
    expect(frames).toBe(0);
    expect(ports).toEqual(Array.from({ length: COMMANDS }, (_, n) => n + 1));
  });

  it("held all that may wait for neighbours, and the worker sends it in steps, with nothing lost", () => {
    const { tables, injector } = bed();
    const plane = new Plane(tables, new MemoryIo(new MemoryNet(1), "192.0.2.1", 1 << 20, 0), 0);
    const frame = new Uint8Array(64_000);
    const count = Math.floor(PENDING_BYTES / frame.length);
    for (let n = 0; n < count; n++) expect(injector.flood(1, 0, ALL_PORTS, frame)).toBe(true);
    const { injected, drops } = tables.counters[0]!;
    let turns = 0;
    do plane.turn(0);
    while (plane.pending && ++turns < 1000);
    expect(turns).toBeGreaterThan(1);
    expect(injected[INJECT.flood]).toBe(count);
    expect(drops[DROP.pool_exhausted]).toBe(0);
  });
});
