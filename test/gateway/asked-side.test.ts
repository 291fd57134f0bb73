/**
 * The asked side of next-hop probing: a Border that very many gateways ask whether it lives. Each question is answered while all of them
 * stay within the ARP class of its policer; beyond that the policer bounds what the main thread is given, and one peer that asks
 * without measure takes nothing from the others.
 */
import { describe, expect, it } from "vitest";
import { DROP, PUNT } from "../../src/tables/counters.ts";
import { ARP_REPLY, ARP_REQUEST, parseArp } from "../../src/wire/arp.ts";
import type { Mac } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { emitVxlan, vniAt } from "../../src/wire/vxlan.ts";
import { arpFrame } from "../dataplane/packets.ts";
import { type Gateway, World } from "./world.ts";

const BORDER = "192.0.2.1";
const VXLAN = 8;
const vtepOf = (peer: number) => `198.18.${peer >> 8}.${peer & 255}`;
/** What limits.puntPerSecond leaves for ARP by default, and for the ARP of one tunnel. */
const ARP_PER_SECOND = 1000;
const TUNNEL_PER_SECOND = 500;

interface Asked {
  readonly world: World;
  readonly border: Gateway;
  /** One question of peer `peer`, sent as its gateway sends it: unicast, without a sender. */
  ask(peer: number): void;
  /** Answers so far, by peer. */
  readonly answers: Map<number, number>;
}

function asked(peers: number): Asked {
  const world = new World(1);
  world.net.inbox(BORDER);
  const numbers = Array.from({ length: peers }, (_, peer) => peer);
  const tunnels = numbers.map((peer) => `  - {name: p${peer}, remote: ${vtepOf(peer)}}`).join("\n");
  for (const peer of numbers) world.net.inbox(vtepOf(peer));
  const border = world.gateway(`node: border
underlay: {address: ${BORDER}, mtu: 1600}
tunnels:
${tunnels}
vsis: [{name: vsi10, vni: 10}]
interfaces: [{name: inside, vsi: vsi10, address: 10.1.1.2/24, distributed: false}]
`);
  world.advance(1500);
  const mac = border.control.shown.inventory.interface("inside")!.mac;
  const answers = new Map<number, number>();
  const peerOf = new Map(numbers.map((peer) => [vtepOf(peer), peer]));
  world.net.observe = ({ from, to, bytes }) => {
    const arp = from === BORDER && vniAt(bytes, 0) === 10 ? parseArp(bytes, VXLAN, bytes.length) : null;
    if (arp?.op === ARP_REPLY) answers.set(peerOf.get(to)!, (answers.get(peerOf.get(to)!) ?? 0) + 1);
  };
  return {
    world,
    border,
    answers,
    ask(peer) {
      const own = (0x02_00_00_10_00_00 + peer) as Mac;
      const question = { op: ARP_REQUEST, senderMac: own, senderIp: 0, targetMac: 0, targetIp: parseIpv4("10.1.1.2")! };
      const frame = arpFrame({ ethDst: mac, ethSrc: own, ...question });
      const bytes = new Uint8Array(VXLAN + frame.length);
      emitVxlan(new DataView(bytes.buffer), 0, 10);
      bytes.set(frame, VXLAN);
      world.net.carry({ from: vtepOf(peer), to: BORDER, tos: 0, entropy: peer, bytes });
    },
  };
}

/** For `seconds` each peer asks every 750 ms (`everyMs`), each at a time of its own; `more` does what else is done each 10 ms. */
function probing(
  { world, ask }: Asked,
  peers: number,
  seconds: number,
  more: () => void = () => undefined,
  everyMs = 750,
): number {
  let sent = 0;
  const step = 10;
  for (let ms = 0; ms < seconds * 1000; ms += step) {
    for (let peer = 0; peer < peers; peer++)
      if ((ms + peer * 7) % everyMs < step) {
        ask(peer);
        sent++;
      }
    more();
    world.advance(step, step);
  }
  world.advance(100, 10);
  return sent;
}

describe("a Border that many gateways ask", () => {
  it("answers each of 600 (800 questions a second); what one costs the main thread is printed", () => {
    const bed = asked(600);
    const { agent } = bed.border.control;
    const { poll } = agent;
    // Processor time: this machine may do anything else meanwhile.
    let spentMicros = 0;
    agent.poll = (nowMs: number) => {
      const began = process.cpuUsage();
      const next = poll.call(agent, nowMs);
      const { user, system } = process.cpuUsage(began);
      spentMicros += user + system;
      return next;
    };
    const sent = probing(bed, 600, 6);
    const all = [...bed.answers.values()].reduce((sum, count) => sum + count, 0);
    const micros = spentMicros / all;
    console.log(
      `asked side: ${all} answers, ${micros.toFixed(1)} µs of the main thread each: ${((micros * ARP_PER_SECOND) / 10_000).toFixed(1)} % of it at ${ARP_PER_SECOND} a second, the most that is let through`,
    );
    expect(all).toBe(sent);
    expect(Math.min(...bed.answers.values())).toBeGreaterThanOrEqual(7);
    expect(bed.border.drops).toEqual({});
    // It learned nothing of those who only asked.
    expect(agent.neighbors.size).toBe(0);
  });

  it("of far more, as many a second as its policer has for ARP, and the rest is counted", () => {
    const bed = asked(1000);
    const before = bed.border.punted;
    const sent = probing(bed, 1000, 4, undefined, 500);
    const punted = bed.border.punted - before;
    const { counters } = bed.border.tables;
    expect(sent).toBeGreaterThan(7900);
    expect(punted).toBeLessThanOrEqual(ARP_PER_SECOND * 4.1 + ARP_PER_SECOND / 4);
    expect(punted).toBeGreaterThan(ARP_PER_SECOND * 3.5);
    expect(counters[0]!.drops[DROP.punt_limited]! + counters[0]!.punted[PUNT.arp]!).toBeGreaterThanOrEqual(sent);
  });

  it("one that asks without measure takes nothing from the others", () => {
    const bed = asked(100);
    const flood = () => {
      for (let n = 0; n < 50; n++) bed.ask(99);
    };
    const sent = probing(bed, 99, 4, flood);
    let honest = 0;
    for (const [peer, count] of bed.answers) if (peer !== 99) honest += count;
    expect(honest).toBe(sent);
    expect(bed.answers.get(99)).toBeLessThanOrEqual(TUNNEL_PER_SECOND * 4.1 + TUNNEL_PER_SECOND / 4);
  });
});
