/** Echoes of a gateway's own to hosts of the overlay: what goes out, which answer counts, and where an answer may land. */
import { describe, expect, it } from "vitest";
import type { HostPing } from "../../src/api/schema-probe.ts";
import { ECHO_WAIT_MS, ECHOES_AT_ONCE, type EchoAnswer } from "../../src/control/icmp/ping.ts";
import { pingHost } from "../../src/liveness/host-ping.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import { ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST } from "../../src/wire/icmp.ts";
import { IPV4_BYTES } from "../../src/wire/ipv4.ts";
import { gw, sites } from "./sites.ts";
import type { World } from "./world.ts";

/** Two sites; `own`: a key of if10 at site 1 alone. */
function bed(own = ""): World {
  const world = sites(
    2,
    (n) => `
vsis: [{name: vsi10, vni: 10}, {name: vsi20, vni: 20}]
interfaces:
  - {name: if10, vsi: vsi10, address: 10.1.1.1/24${n === 1 ? own : ""}}
  - {name: if20, vsi: vsi20, address: 20.1.1.1/24}
acs: [{name: a${n}, vsi: vsi10, tap: {device: a${n}}}, {name: b${n}, vsi: vsi20, tap: {device: b${n}}}]`,
  );
  for (const n of [1, 2]) {
    world.vm(gw(world, n), { name: `a${n}`, ip: `10.1.1.1${n}`, mac: `02:00:00:00:0${n}:11`, gateway: "10.1.1.1" });
    world.vm(gw(world, n), { name: `b${n}`, ip: `20.1.1.1${n}`, mac: `02:00:00:00:0${n}:21`, gateway: "20.1.1.1" });
  }
  world.settle();
  return world;
}

function ask(world: World, ip: string, iface = "if10", length = 84) {
  const { agent, shown } = gw(world, 1).control;
  const parts = { agent, inventory: shown.inventory, now: () => world.net.nowMs, kick: () => {} };
  return pingHost(parts, iface, ip, length);
}

async function ping(world: World, ip: string, iface = "if10", length = 84): Promise<HostPing> {
  const result = ask(world, ip, iface, length);
  if (result === null || typeof result === "string") throw new Error(String(result));
  world.settle();
  world.advance(ECHO_WAIT_MS + 100);
  return await result;
}

describe("a host of this site", () => {
  it("answers, found by ARP first; the echo is right to the byte", async () => {
    const world = bed();
    world.clear();
    expect(await ping(world, "10.1.1.11")).toEqual({
      kind: "reply",
      source: "10.1.1.1",
      length: 84,
      rttMs: 0,
      ttl: 64,
      via: { kind: "ac", name: "a1" },
      note: null,
    });
    const [echo] = world.get("a1").icmp;
    expect(echo).toMatchObject({ type: ICMP_ECHO_REQUEST, from: "10.1.1.1", ttl: 64 });
    expect(echo!.frame.length).toBe(ETH_BYTES + 84);
    // Eight random bytes, then each its place.
    expect(echo!.frame[ETH_BYTES + IPV4_BYTES + 16]).toBe((8 + ETH_BYTES + IPV4_BYTES + 8) & 0xff);
  });

  it("is reached on another VSI-interface as well, and with a packet that must be cut", async () => {
    const world = bed();
    expect(await ping(world, "20.1.1.11")).toMatchObject({ kind: "reply", source: "10.1.1.1" });
    await ping(world, "10.1.1.11");
    world.clear();
    await ping(world, "10.1.1.11", "if10", 3000);
    const pieces = world.seen.filter(({ to }) => to === "a1").map(({ bytes }) => bytes.length - ETH_BYTES - IPV4_BYTES);
    // The VM of these tests puts nothing together again, so there is no answer.
    expect(pieces.reduce((sum, bytes) => sum + bytes, 0)).toBe(3000 - IPV4_BYTES);
    expect(pieces.length).toBe(3);
  });

  it("is silent, or not there: said apart", async () => {
    const world = bed();
    await ping(world, "10.1.1.11");
    world.get("a1").tap.receive = () => {};
    expect(await ping(world, "10.1.1.11")).toMatchObject({ kind: "lost", via: { kind: "ac", name: "a1" }, note: null });
    expect(await ping(world, "10.1.1.99")).toMatchObject({
      kind: "unresolved",
      via: null,
      note: "10.1.1.99 answers no ARP request",
    });
  });
});

describe("a host of another site", () => {
  it("answers to its own gateway: the loss is said to be no proof", async () => {
    const world = bed();
    const lost = await ping(world, "10.1.1.12");
    expect(lost).toMatchObject({ kind: "lost", source: "10.1.1.1", via: { kind: "tunnel", name: "gw2" } });
    expect(lost.note).toBe(
      "10.1.1.1 is an address of every distributed gateway: the answer may have gone to the gateway behind tunnel gw2; " +
        "give if10 an icmpSource of its own, or ask there",
    );
    // It did answer.
    expect(world.get("a2").icmp).toContainEqual(expect.objectContaining({ type: ICMP_ECHO_REQUEST, from: "10.1.1.1" }));
  });

  it("answers here where the VSI-interface has an address of its own", async () => {
    const world = bed(", icmpSource: 10.1.1.201");
    expect(await ping(world, "10.1.1.12")).toMatchObject({ kind: "reply", source: "10.1.1.201", ttl: 63 });
  });
});

describe("what counts as an answer", () => {
  it("is none to another identifier, sequence, or from another host", async () => {
    const world = bed();
    const { agent } = gw(world, 1).control;
    const on = gw(world, 1).control.shown.inventory.interface("if10")!;
    const to = 0x0a01010b;
    const answers: unknown[] = [];
    const sent: Uint8Array[] = [];
    await ping(world, "10.1.1.11");
    world.get("a1").tap.receive = (frame) => sent.push(frame);
    agent.pinger.ask(on, to, 84, world.net.nowMs, (answer) => answers.push(answer));
    world.settle();
    const message = sent.at(-1)!.slice(ETH_BYTES + IPV4_BYTES);
    message[0] = ICMP_ECHO_REPLY;
    const other = (at: number) => message.map((byte, i) => (i === at ? byte ^ 1 : byte));
    agent.pinger.heard(on.vrf, to, other(5), 64, world.net.nowMs);
    agent.pinger.heard(on.vrf, to, other(7), 64, world.net.nowMs);
    agent.pinger.heard(on.vrf + 1, to, message, 64, world.net.nowMs);
    agent.pinger.heard(on.vrf, to + 1, message, 64, world.net.nowMs);
    expect(answers).toEqual([]);
    agent.pinger.heard(on.vrf, to, message, 61, world.net.nowMs + 3);
    agent.pinger.heard(on.vrf, to, message, 61, world.net.nowMs + 4);
    expect(answers).toEqual([{ rttMs: 3, ttl: 61 }]);
  });

  it("a track's and a person's are measured to the fraction of a millisecond", async () => {
    const world = bed();
    await ping(world, "10.1.1.11");
    const { agent, shown } = gw(world, 1).control;
    const on = shown.inventory.interface("if10")!;
    for (const startMs of [0.9, 0.2]) {
      world.net.nowMs = Math.floor(world.net.nowMs) + 1 + startMs;
      world.settle();
      const answers: number[] = [];
      const done = (answer: EchoAnswer | null) => answers.push(answer!.rttMs);
      agent.pinger.ask(on, 0x0a01010b, 84, world.net.nowMs, done);
      agent.pinger.watch(on, 0x0a01010b, 0, 1000, done);
      world.net.nowMs += 0.4;
      world.settle();
      expect(answers).toEqual([expect.closeTo(0.4, 6), expect.closeTo(0.4, 6)]);
    }
  });

  it("so many at once, and no more; each ends after its second", async () => {
    const world = bed();
    const all = Array.from({ length: ECHOES_AT_ONCE + 1 }, () => ask(world, "10.1.1.99") as Promise<HostPing>);
    expect((await all.at(-1))!.kind).toBe("busy");
    world.advance(ECHO_WAIT_MS + 100);
    expect(new Set((await Promise.all(all.slice(0, -1))).map(({ kind }) => kind))).toEqual(new Set(["unresolved"]));
    expect(await ping(world, "10.1.1.11")).toMatchObject({ kind: "reply" });
  });

  it("our own address, no address, and a VSI-interface that is not there are refused", () => {
    const world = bed();
    expect(ask(world, "10.1.1.1")).toBe("10.1.1.1 is an address of if10 itself");
    expect(ask(world, "vm1")).toBe("vm1 is no IP address");
    expect(ask(world, "10.1.1.11", "if99")).toBeNull();
  });
});
