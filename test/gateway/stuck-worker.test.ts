/** A forwarding thread that stops: seen within two seconds of virtual time, lost after ten; an idle or paused one is neither. */
import { describe, expect, it } from "vitest";
import { conditionsOf, missingOf } from "../../src/daemon/readiness.ts";
import { LOOK_MS, LOST_MS, STUCK_MS, WorkerWatch } from "../../src/daemon/worker-watch.ts";
import { type Gateway, World } from "./world.ts";

const YAML = `node: gw1
underlay: {address: 192.0.2.1}
workers: 2
tunnels: [{name: gw2, remote: 192.0.2.2}]
vsis: [{name: v1, vni: 1}]
`;

/** A gateway with two workers, and a watch over them that sees time pass only as it is told. */
function bed() {
  const gateway: Gateway = new World().gateway(YAML);
  const events: [string, unknown][] = [];
  let nowMs = 0;
  const watch = new WorkerWatch(gateway.tables.heartbeat, (_, event, fields) => events.push([event, fields]), nowMs);
  /** Let `ms` pass; `turning` workers turn as an idle thread does, every 100 ms. @returns the lost worker. */
  const pass = (ms: number, turning: readonly number[]): number => {
    let lost = -1;
    for (const until = nowMs + ms; nowMs < until; ) {
      nowMs += 50;
      if (nowMs % 100 === 0) for (const k of turning) gateway.planes[k]!.turn(0);
      if (nowMs % LOOK_MS === 0) lost = Math.max(lost, watch.checkHeartbeats(nowMs));
    }
    return lost;
  };
  const jump = (ms: number): number => {
    nowMs += ms;
    return watch.checkHeartbeats(nowMs);
  };
  const missing = () => missingOf(conditionsOf(gateway.control.shown.inventory, new Set(), 2, watch.stuck(), UNDERLAY));
  return { watch, events, pass, jump, missing };
}

const UNDERLAY = { device: "eth0", mtu: 1500, problem: null };

describe("a worker", () => {
  it("that idles is well for an hour", () => {
    const { watch, events, pass, missing } = bed();
    expect(pass(3_600_000, [0, 1])).toBe(-1);
    expect(watch.stuck()).toEqual([]);
    expect(events).toEqual([]);
    expect(missing()).toEqual([]);
  });

  it("that stops is told within two seconds, makes the gateway unready, and is lost after ten", () => {
    const { watch, events, pass, missing } = bed();
    pass(1000, [0, 1]);
    pass(STUCK_MS - LOOK_MS, [0]);
    expect(watch.stuck()).toEqual([]);
    pass(2 * LOOK_MS, [0]);
    expect(watch.stuck()).toEqual([{ worker: 1, seconds: 2 }]);
    expect(events).toEqual([["worker.stuck", { worker: 1, seconds: 2 }]]);
    expect(missing()).toEqual(["worker 1 is stuck for 2 s"]);
    expect(pass(LOST_MS - STUCK_MS - 2 * LOOK_MS, [0])).toBe(-1);
    expect(pass(3 * LOOK_MS, [0])).toBe(1);
  });

  it("that comes back is well again, and that is told", () => {
    const { watch, events, pass, missing } = bed();
    pass(5000, [0]);
    pass(1000, [0, 1]);
    expect(watch.stuck()).toEqual([]);
    expect(missing()).toEqual([]);
    expect(events.map(([event]) => event)).toEqual(["worker.stuck", "worker.moves"]);
  });

  it("is not blamed for time in which the whole process stood still", () => {
    const { watch, events, pass, jump } = bed();
    pass(1000, [0, 1]);
    expect(jump(60_000)).toBe(-1);
    expect(watch.stuck()).toEqual([]);
    pass(1000, [0, 1]);
    expect(events).toEqual([]);
  });
});
