/**
 * How long many routes hold main at once: a round takes one slice of what the engine told, and then looks at the clock.
 *
 * It is measured in work, not in time, for a machine's speed is not the code's: rows taken, and routes that go, between two looks.
 * A row that comes takes some 15 µs of a processor, one that goes 20, so 32 and 192 of them are within the 5 ms of a round. What is
 * counted does not grow with the routes: more of them only take more rounds.
 */
import { EventEmitter } from "node:events";
import type { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import type { EngineEvent, EngineRequest, RouteRow } from "../../src/bgp/engine.ts";
import { ThreadLink } from "../../src/bgp/link.ts";
import { pack } from "../../src/bgp/packed.ts";
import { ControlLoop } from "../../src/daemon/control-loop.ts";
import { deliver } from "../../src/daemon/evpn.ts";
import { TICK_MS } from "../../src/evpn/evpn.ts";
import type { MacRoute } from "../../src/evpn/route.ts";
import { type Site, World } from "./site.ts";

const ROUTES = 20_000;
const BATCH = 256;
/** Rows taken in one go (bgp/link.ts), and routes that go in one step (evpn/sync.ts). */
const TAKEN = 32;
const STEP = 64;
const REFLECTOR = "192.0.2.251";

function routeOf(n: number): MacRoute {
  const [host, vtep] = [n >> 1, `192.0.2.${10 + ((n >> 1) % 100)}`];
  const ip = (n & 1) === 0 ? null : `10.1.1.${2 + (host % 250)}`;
  return {
    ...{ type: 2, rd: `${vtep}:10`, tag: 0, nextHop: vtep, targets: ["65000:10"], encap: 8, labels: [10] },
    ...{ mac: 0x020000100000 + host, ip, segment: null, sequence: null },
    ...{ isSticky: false, isGateway: false, routerMac: null },
  };
}

/** A gateway whose engine's thread is this test, and whose loop looks at a clock that always finds the round over. */
class Bench {
  readonly world = new World();
  readonly site: Site;
  readonly seen = { most: 0, looks: 0 };
  private work = 0;
  private readonly thread = Object.assign(new EventEmitter(), { postMessage: () => undefined, unref: () => undefined });
  private readonly link: ThreadLink;

  constructor() {
    this.site = this.world.site();
    this.link = new ThreadLink({
      request: {} as EngineRequest,
      apply: (event) => {
        this.work += event.kind === "rows" ? event.rows.length : 1;
        deliver(this.site.evpn, event);
      },
      kick: () => undefined,
      start: () => this.thread as unknown as Worker,
    });
    this.tell({ kind: "ready", api: "test", as: 65000, routerId: "192.0.2.1" });
    this.tell({ kind: "peers", peers: [{ address: REFLECTOR, as: 65000, state: "established", upSince: 1 }] });
    this.tell({ kind: "endOfRib", peer: REFLECTOR });
  }

  tell(event: EngineEvent): void {
    const told = event.kind === "rows" ? { ...event, rows: pack(event.rows) } : event;
    this.thread.emit("message", { event: told, atMs: 0, backlog: 0 });
  }

  list(from: number, to: number): void {
    this.tell({ kind: "snapshot" });
    this.say(from, to, false);
    this.tell({ kind: "complete" });
  }

  say(from: number, to: number, isWithdrawn: boolean): void {
    for (let at = from; at < to; at += BATCH) {
      const rows = Array.from(
        { length: Math.min(BATCH, to - at) },
        (_, n): RouteRow => ({ route: routeOf(at + n), isWithdrawn, peer: REFLECTOR }),
      );
      this.tell({ kind: "rows", rows });
    }
  }

  /** Rounds of control until there is nothing to do and `ms` have passed. */
  async run(ms = 0): Promise<void> {
    const { site, link, world } = this;
    const until = world.timers.nowMs + ms;
    const loop = new ControlLoop(
      {
        poll: () => {
          const before = site.evpn.rib.size;
          this.work = 0;
          link.take();
          site.evpn.work();
          world.timers.run(Math.min(until, world.timers.nowMs + TICK_MS));
          this.work += Math.max(0, before - site.evpn.rib.size);
          this.seen.most = Math.max(this.seen.most, this.work);
          this.seen.looks++;
          if (!link.hasMore && !site.evpn.hasWork && world.timers.nowMs >= until) loop.stop();
          return world.timers.nowMs + 1;
        },
        more: () => link.hasMore || site.evpn.hasWork || world.timers.nowMs < until,
      },
      new Int32Array(new SharedArrayBuffer(4)),
      // Each look finds ten milliseconds gone: a round is one poll.
      () => (this.clockMs += 10),
    );
    await loop.run();
  }

  private clockMs = 0;
}

describe(`${ROUTES} routes come and go in steps`, () => {
  const bench = new Bench();
  const most = () => {
    const { most: found, looks } = bench.seen;
    Object.assign(bench.seen, { most: 0, looks: 0 });
    console.log(`at most ${found} units of work in one go of ${looks}`);
    return found;
  };

  it("while the first list comes", async () => {
    bench.list(0, ROUTES);
    await bench.run();
    expect(bench.site.evpn.rib.size).toBe(ROUTES);
    expect(bench.site.said.size).toBe(ROUTES / 2);
    expect(most()).toBe(TAKEN);
  });

  it("while it comes again, and half of it does not: that goes", async () => {
    bench.list(0, ROUTES / 2);
    await bench.run();
    expect(bench.site.evpn.rib.size).toBe(ROUTES / 2);
    expect(most()).toBeLessThanOrEqual(TAKEN + STEP);
  });

  it("while the rest is withdrawn", async () => {
    bench.say(0, ROUTES / 2, true);
    await bench.run();
    await bench.run(5000);
    expect(bench.site.evpn.rib.size).toBe(0);
    expect(bench.site.said.size).toBe(0);
    // The beat that lets go what was held back, its step, and the round's own.
    expect(most()).toBeLessThanOrEqual(TAKEN + 3 * STEP);
  });
});
