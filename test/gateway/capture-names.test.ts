/** A capture is of what is called so now, whatever rows it has had: reloads and routes give names other rows, and rows other names. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { EventFeed } from "../../src/api/event-feed.ts";
import type { CaptureQuery } from "../../src/api/schema-watch.ts";
import type { FrameLine } from "../../src/insight/frame-line.ts";
import { WatchHub } from "../../src/insight/watch.ts";
import { type Gateway, World } from "./world.ts";

const yaml = (...acs: string[]) => `node: gw1
underlay: {address: 192.0.2.1, mtu: 1500}
vsis: [{name: a, vni: 10}, {name: b, vni: 20}]
interfaces: [{name: i, vsi: a, address: 10.1.1.1/24}, {name: j, vsi: b, address: 20.1.1.1/24}]
acs: [${acs.join(", ")}]
control: {socket: /run/gw1.sock}
`;
const VM1_IN_A = "{name: vm1, vsi: a, tap: {device: t}}";
const VM1_IN_B = "{name: vm1, vsi: b, tap: {device: t}}";
const X_IN_A = "{name: x, vsi: a, tap: {device: x}}";

let world: World;
let gateway: Gateway;
beforeEach(() => {
  vi.useFakeTimers();
  world = new World();
  world.net.inbox("192.0.2.1");
  gateway = world.gateway(yaml(VM1_IN_A));
});
afterEach(() => void vi.useRealTimers());

/** What a capture has seen since the last look. */
function captured(query: Omit<CaptureQuery, "snaplen">): () => FrameLine[] {
  const lines: FrameLine[] = [];
  const hub = new WatchHub(gateway.control.shown, new EventFeed(() => 0), "gw1");
  const sink = (line: { readonly kind: string }) => line.kind !== "frame" || lines.push(line as FrameLine) > 0;
  if (typeof hub.capture({ snaplen: 1000, ...query }, sink) !== "function") throw new Error("no capture");
  return () => {
    world.advance(100);
    // One look: after three that find nothing main sleeps.
    vi.advanceTimersByTime(20);
    return lines.splice(0);
  };
}

const vm = (ip: string) =>
  world.vm(gateway, { name: "vm1", mac: "02:00:00:00:00:11", ip, gateway: `${ip.slice(0, 2)}.1.1.1` });

function acquire(remote: string): number {
  const answer = gateway.control.topology.tunnels.acquire(remote, [10], "evpn");
  if (!answer.ok) throw new Error(answer.reason);
  world.advance(100);
  return answer.tunnel.row;
}

it("a tunnel whose row another one took, when it comes back with a row of its own", () => {
  const row = acquire("192.0.2.2");
  const seen = captured({ tunnel: ["evpn:192.0.2.2"] });
  const host = vm("10.1.1.11");
  let asked = 50;
  const ends = () => {
    host.ask(`10.1.1.${asked++}`);
    return new Set(seen().map(({ outer }) => outer!.destination));
  };
  expect(ends()).toEqual(new Set(["192.0.2.2"]));
  gateway.control.topology.tunnels.release("192.0.2.2", [10], "evpn");
  world.advance(2000);
  expect([3, 4, 5].map((n) => acquire(`192.0.2.${n}`))).toContain(row);
  expect(ends()).toEqual(new Set());
  acquire("192.0.2.2");
  expect(ends()).toEqual(new Set(["192.0.2.2"]));
});

it("an AC that a reload puts into another VSI", () => {
  const seen = captured({ ac: ["vm1"] });
  vm("10.1.1.11").ping("10.1.1.1");
  expect(seen().length).toBeGreaterThan(0);
  gateway.reload(yaml(VM1_IN_B));
  world.advance(2000);
  seen();
  vm("20.1.1.11").ping("20.1.1.1");
  expect(seen().map(({ vsi }) => vsi)).toContain("b");
});

it("a VSI that goes, and comes again behind another one that has its row", () => {
  gateway.reload(yaml(X_IN_A, VM1_IN_B));
  world.advance(2000);
  const seen = captured({ vsi: ["b"] });
  const without = yaml(X_IN_A)
    .replace(", {name: b, vni: 20}", "")
    .replace(/, \{name: j,.*\}/, "");
  gateway.reload(without);
  world.advance(2000);
  gateway.reload(without.replace("{name: a, vni: 10}", "{name: a, vni: 10}, {name: c, vni: 30}"));
  world.advance(2000);
  gateway.reload(yaml(X_IN_A, VM1_IN_B).replace("{name: a, vni: 10}", "{name: a, vni: 10}, {name: c, vni: 30}"));
  world.advance(2000);
  seen();
  vm("20.1.1.11").ping("20.1.1.1");
  expect(new Set(seen().map(({ vsi }) => vsi))).toEqual(new Set(["b"]));
});
