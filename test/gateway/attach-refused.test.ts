/** What a worker could not attach is down and told, not up and dead; and it comes back. */
import { describe, expect, it } from "vitest";
import type { TunnelPort } from "../../src/control/inventory.ts";
import { TunnelJudge } from "../../src/liveness/judge.ts";
import { article } from "./article.ts";
import type { Gateway, World } from "./world.ts";

const ENOSPC = 28;

function bed(): { world: World; gw1: Gateway } {
  const world = article({ workers: 2 });
  const gw1 = world.gateways.get("gw1")!;
  gw1.events.length = 0;
  return { world, gw1 };
}

type Say = (judge: TunnelJudge, tunnel: TunnelPort) => void;

/** Worker 1 of `gateway` attaches nothing. @returns what ends that. */
function refuse(gateway: Gateway): () => void {
  const { io } = gateway.planes[1]!.worker;
  const no = () => -ENOSPC;
  const { attachTap, attachTapToWrite, attachPeer } = io;
  Object.assign(io, { attachTap: no, attachTapToWrite: no, attachPeer: no });
  return () => Object.assign(io, { attachTap, attachTapToWrite, attachPeer });
}

const told = ({ events }: Gateway) => events.filter(({ event }) => /^(port|ac|tunnel)\./.test(event));

describe("a worker that cannot attach", () => {
  it("the TAP of an AC: the AC is down with a reason, whatever else says otherwise, until an attach succeeds", () => {
    const { world, gw1 } = bed();
    const { topology, shown } = gw1.control;
    const ac = shown.inventory.ac("vm1")!;
    topology.loseTap(ac);
    world.advance(100);
    gw1.events.length = 0;
    const end = refuse(gw1);
    expect(topology.reopenTap(ac)).toBeNull();
    world.advance(3000);
    expect(ac.up).toBe(false);
    expect(told(gw1).filter(({ event }) => event === "port.refused")).toEqual([
      { level: "warn", event: "port.refused", fields: { ac: "vm1", worker: 1, errno: ENOSPC } },
    ]);
    expect(shown.attachWatch.list()).toEqual([[ac, { worker: 1, errno: ENOSPC }]]);
    topology.setAcUp(ac, true);
    expect(ac.up, "the TAP has its carrier, and is not read").toBe(false);
    expect(told(gw1).at(-1)).toMatchObject({ event: "ac.down" });

    end();
    world.advance(2100);
    expect(ac.up).toBe(true);
    expect(told(gw1).at(-1)).toMatchObject({ event: "ac.up", fields: { ac: "vm1" } });
    expect(shown.attachWatch.list()).toEqual([]);
    const vm1 = world.vm(gw1, world.get("vm1").options);
    vm1.ping("20.1.1.11");
    world.advance(2000);
    expect(vm1.replies).toHaveLength(1);
  });

  it("a peer: the tunnel is down, and comes back", () => {
    const { world, gw1 } = bed();
    const { injector, shown } = gw1.control;
    const tunnel = shown.inventory.tunnel("gw2")!;
    const end = refuse(gw1);
    injector.renewPeer(1, tunnel.io, new Uint8Array([192, 0, 2, 2]), 4789);
    world.advance(2000);
    expect(tunnel.up).toBe(false);
    expect(told(gw1).map(({ event }) => event)).toEqual(["port.refused", "tunnel.down"]);
    end();
    world.advance(2100);
    expect(tunnel.up).toBe(true);
    world.get("vm4").ping("10.1.1.11");
    world.advance(2000);
    expect(world.get("vm4").replies).toHaveLength(1);
  });

  const die: Say = (judge, tunnel) => judge.keepalive(tunnel, false);
  const leave: Say = (judge, tunnel) => judge.bfd(tunnel, "draining");
  it.each([
    ["dead", "before", die],
    ["dead", "meanwhile", die],
    ["leaving", "before", leave],
    ["leaving", "meanwhile", leave],
  ] as const)("a peer that is %s, since %s: an attach that succeeds does not set its tunnel up", (what, when, say) => {
    const { world, gw1 } = bed();
    const { injector, shown, topology } = gw1.control;
    const tunnel = shown.inventory.tunnel("gw2")!;
    const judge = new TunnelJudge(topology);
    if (when === "before") say(judge, tunnel);
    const end = refuse(gw1);
    injector.renewPeer(1, tunnel.io, new Uint8Array([192, 0, 2, 2]), 4789);
    world.advance(2000);
    if (when === "meanwhile") say(judge, tunnel);
    expect(shown.attachWatch.list()).toHaveLength(1);
    end();
    world.advance(3000);
    expect(shown.attachWatch.list()).toEqual([]);
    expect([tunnel.up, tunnel.draining]).toEqual([false, what === "leaving"]);
    expect(told(gw1).map(({ event }) => event)).not.toContain("tunnel.up");
    judge.bfd(tunnel, "up");
    expect([tunnel.up, tunnel.draining]).toEqual([true, false]);
  });

  it("a peer that comes back while its attach is refused: its tunnel is up when that succeeds, and not before", () => {
    const { world, gw1 } = bed();
    const { injector, shown, topology } = gw1.control;
    const tunnel = shown.inventory.tunnel("gw2")!;
    const judge = new TunnelJudge(topology);
    judge.bfd(tunnel, "draining");
    const end = refuse(gw1);
    injector.renewPeer(1, tunnel.io, new Uint8Array([192, 0, 2, 2]), 4789);
    world.advance(2000);
    judge.bfd(tunnel, "up");
    expect([tunnel.up, tunnel.draining]).toEqual([false, false]);
    expect(told(gw1).map(({ event }) => event)).not.toContain("tunnel.up");
    end();
    world.advance(3000);
    expect(tunnel.up).toBe(true);
    expect(told(gw1).at(-1)).toMatchObject({ event: "tunnel.up" });
  });

  it("nothing any more, because the AC was removed: it is forgotten", () => {
    const { world, gw1 } = bed();
    const { topology, shown } = gw1.control;
    refuse(gw1);
    const ac = shown.inventory.ac("vm1")!;
    topology.loseTap(ac);
    world.advance(100);
    topology.reopenTap(ac);
    world.advance(2000);
    expect(shown.attachWatch.list()).toHaveLength(1);
    const config = topology.config;
    expect(topology.apply({ ...config, acs: config.acs.filter(({ name }) => name !== "vm1") }).ok).toBe(true);
    world.advance(2000);
    expect(shown.attachWatch.list()).toEqual([]);
  });
});
