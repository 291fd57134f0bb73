/**
 * Whole gateways with several workers: what hosts and the wire see is what one worker does, and a flow has one worker at each
 * gateway, both ways. Queues and inboxes are chosen by the fake as the kernel chooses them (io/memory.ts).
 */
import { describe, expect, it } from "vitest";
import { PUNT, sumOf } from "../../src/tables/counters.ts";
import { u16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, TYPE_IPV4 } from "../../src/wire/ethernet.ts";
import { PROTO_UDP, parseIpv4 } from "../../src/wire/ipv4.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { type ArticleOptions, article, gatewayMac, tell } from "./article.ts";
import type { Vm } from "./vm.ts";
import type { Gateway, World } from "./world.ts";

const WORKERS = 3;
const FLOWS = 24;
const ip = (text: string): number => parseIpv4(text)!;
const SUBNETS: Record<string, string> = { vm1: "gw1/10", vm2: "gw1/20", vm4: "gw2/10", vm5: "gw2/20" };

/** A numbered UDP packet of flow `flow`; the other way round the same ports, swapped. */
function send(world: World, from: Vm, to: Vm, flow: number, number: number, isReply = false): void {
  const [gateway, net] = SUBNETS[from.name]!.split("/") as [string, string];
  const dst = gatewayMac(world, gateway, `vsi-interface${net}`);
  const ports = isReply ? { sport: 5000, dport: 1000 + flow } : { sport: 1000 + flow, dport: 5000 };
  const frame = udpFrame({ dst, src: from.mac, from: from.ip, to: to.ip, payload: 20, ...ports });
  frame.set([number >> 8, number], frame.length - 2);
  from.tap.send(frame);
}

/** By flow: the numbers that reached a VM, in their order. */
function numbersAt(vm: Vm): Record<number, number[]> {
  const numbers: Record<number, number[]> = {};
  for (const frame of vm.received) {
    if (u16(frame, 12) !== TYPE_IPV4 || frame[23] !== PROTO_UDP) continue;
    const [sport, dport] = [u16(frame, ETH_BYTES + 20), u16(frame, ETH_BYTES + 22)];
    (numbers[Math.min(sport, dport) - 1000] ??= []).push(u16(frame, frame.length - 2));
  }
  return numbers;
}

const receivedBy = ({ tables }: Gateway): number[] => tables.workerCounters.map(({ received }) => received[0]!);

/** The workers of `gateway` that received anything while `act` ran. */
function busy(gateway: Gateway, act: () => void): number[] {
  const before = receivedBy(gateway);
  act();
  return receivedBy(gateway).flatMap((count, k) => (count > before[k]! ? [k] : []));
}

/** The article's network, and everybody knows everybody. */
function warm(options: ArticleOptions): World {
  const world = article(options);
  for (const [from, to] of [
    ["vm1", "10.1.1.12"],
    ["vm1", "20.1.1.12"],
    ["vm4", "20.1.1.11"],
    ["vm5", "20.1.1.11"],
    ["vm2", "10.1.1.11"],
  ] as const)
    for (let sequence = 1; sequence <= 2; sequence++) {
      world.get(from).ping(to, { sequence });
      world.settle();
    }
  world.clear();
  return world;
}

describe("several workers", () => {
  it("the three walkthroughs are, frame by frame, those of one worker", () => {
    for (const target of ["10.1.1.12", "20.1.1.12", "50.1.1.1", "20.1.1.11"]) {
      const [one, several] = [1, WORKERS].map((workers) => {
        const world = article({ workers });
        world.get("vm1").ping(target);
        world.settle();
        return tell(world);
      });
      expect(several, target).toEqual(one);
      expect(several!.length).toBeGreaterThan(5);
    }
  });

  it("a flow has one worker at each gateway, both ways, from its first answer on; and the flows are spread", () => {
    const world = warm({ workers: WORKERS });
    const [gw1, gw2] = ["gw1", "gw2"].map((name) => world.gateways.get(name)!) as [Gateway, Gateway];
    const [vm1, vm5] = [world.get("vm1"), world.get("vm5")];
    const spread = [new Set<number>(), new Set<number>()];
    for (let flow = 0; flow < FLOWS; flow++) {
      const exchange = (number: number): void => {
        send(world, vm1, vm5, flow, number);
        world.settle();
        send(world, vm5, vm1, flow, number, true);
        world.settle();
      };
      exchange(0);
      let at2: number[] = [];
      const at1 = busy(gw1, () => {
        at2 = busy(gw2, () => {
          for (let number = 1; number <= 4; number++) exchange(number);
        });
      });
      expect([at1.length, at2.length], `flow ${flow}`).toEqual([1, 1]);
      spread[0]!.add(at1[0]!);
      spread[1]!.add(at2[0]!);
    }
    expect(spread.map((workers) => workers.size)).toEqual([WORKERS, WORKERS]);
    const all = Object.fromEntries(Array.from({ length: FLOWS }, (_, flow) => [flow, [0, 1, 2, 3, 4]]));
    expect([numbersAt(vm1), numbersAt(vm5)]).toEqual([all, all]);
    expect([gw1.drops, gw2.drops]).toEqual([{}, {}]);
  });

  it("what waits for its neighbour is let go by the worker it came by: every flow arrives in order, behind nothing", () => {
    const world = article({ workers: WORKERS });
    const [vm1, vm5] = [world.get("vm1"), world.get("vm5")];
    vm1.ask("10.1.1.1");
    world.settle();
    world.clear();
    // No gateway knows vm5 yet: the first packets of four flows wait, the next ones come while it is being found.
    for (let number = 0; number < 12; number++) {
      for (let flow = 0; flow < 4; flow++) send(world, vm1, vm5, flow, number);
      for (const gateway of world.gateways.values()) if (number % 2 === 1) gateway.turn();
    }
    world.settle();
    const numbers = numbersAt(vm5);
    expect(Object.keys(numbers)).toEqual(["0", "1", "2", "3"]);
    for (const [flow, came] of Object.entries(numbers)) {
      expect(came, `flow ${flow}`).toEqual([...came].sort((a, b) => a - b));
      expect(came.length, `flow ${flow}`).toBeGreaterThan(3);
    }
    const { drops } = world.gateways.get("gw1")!;
    const lost = 48 - Object.values(numbers).flat().length;
    expect(drops).toEqual(lost === 0 ? {} : { unresolved_queue_full: lost });
  });

  it("a TAP with one queue: one worker reads it, and what any worker has for it arrives", () => {
    const world = warm({ workers: WORKERS, queues: 1 });
    const gw1 = world.gateways.get("gw1")!;
    const [vm1, vm2, vm4, vm5] = ["vm1", "vm2", "vm4", "vm5"].map((name) => world.get(name)) as [Vm, Vm, Vm, Vm];
    const writers = busy(gw1, () => {
      for (let number = 0; number < 3; number++)
        for (let flow = 0; flow < FLOWS; flow++) {
          send(world, vm4, vm1, flow, number);
          send(world, vm5, vm2, flow, number);
          world.settle();
        }
    });
    expect(writers).toEqual([0, 1, 2]);
    const readers = [vm1, vm2].map((vm) =>
      busy(gw1, () => {
        for (let flow = 0; flow < FLOWS; flow++) send(world, vm, vm4, flow, 9);
        world.settle();
      }),
    );
    expect(readers.map((each) => each.length)).toEqual([1, 1]);
    expect(readers[0], "TAPs are spread").not.toEqual(readers[1]);
    const all = Object.fromEntries(Array.from({ length: FLOWS }, (_, flow) => [flow, [0, 1, 2]]));
    expect([numbersAt(vm1), numbersAt(vm2)]).toEqual([all, all]);
    expect(vm4.received.length).toBeGreaterThanOrEqual(2 * FLOWS);
    expect(gw1.drops).toEqual({});
  });

  it("a new MAC is learned once, though several workers tell of it", () => {
    const world = warm({ workers: WORKERS });
    const gw2 = world.gateways.get("gw2")!;
    const before = gw2.control.agent.macs.size;
    const [vm4, vm1] = [world.get("vm4"), world.get("vm1")];
    const stranger = 0x020000000999;
    const told = busy(gw2, () => {
      for (let flow = 0; flow < FLOWS; flow++) {
        const dst = gatewayMac(world, "gw2", "vsi-interface10");
        const ports = { sport: 1000 + flow, dport: 5000 };
        vm4.tap.send(udpFrame({ dst, src: stranger, from: ip("10.1.1.77"), to: vm1.ip, payload: 20, ...ports }));
      }
      world.settle();
    });
    expect(told.length).toBeGreaterThan(1);
    expect(gw2.control.agent.macs.size).toBe(before + 1);
    expect(Object.keys(numbersAt(vm1))).toHaveLength(FLOWS);
    expect(gw2.drops).toEqual({});
  });

  it("a flood for control costs what the limit says, however many workers it comes by", () => {
    const world = warm({ workers: WORKERS });
    const gw1 = world.gateways.get("gw1")!;
    const [vm1, vm2] = [world.get("vm1"), world.get("vm2")];
    const before = gw1.punted;
    const SECONDS = 2;
    for (let ms = 0; ms < SECONDS * 1000; ms += 10) {
      for (let i = 0; i < 20; i++)
        for (const [vm, to] of [
          [vm1, vm2],
          [vm2, vm1],
        ] as const) {
          const [gateway, net] = SUBNETS[vm.name]!.split("/") as [string, string];
          const dst = gatewayMac(world, gateway, `vsi-interface${net}`);
          const sport = 1000 + ((ms + i) % 64);
          vm.tap.send(udpFrame({ dst, src: vm.mac, from: vm.ip, to: to.ip, ttl: 1, sport, dport: 9 }));
        }
      world.advance(10, 10);
    }
    // 500 a second from one AC, and a burst of a quarter of a second (the defaults).
    const punted = gw1.punted - before;
    expect(punted).toBeLessThanOrEqual(2 * 500 * (SECONDS + 0.25) + 20);
    expect(punted).toBeGreaterThan(2 * 500 * SECONDS * 0.8);
    const offered = 2 * 20 * SECONDS * 100;
    expect(gw1.drops.punt_limited).toBe(offered - sumOf(gw1.tables.workerCounters, ({ punted: p }) => p[PUNT.ttl]!));
  }, 60_000);
});
