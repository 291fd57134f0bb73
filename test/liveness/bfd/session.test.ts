/** BFD sessions in virtual time (RFC 5880 §6): how they come up, when they fall, at what pace, and whom they believe. */
import { describe, expect, it } from "vitest";
import { peerAddress } from "../../../src/control/peer-address.ts";
import { BFD_REFUSALS, BfdSpeaker } from "../../../src/liveness/bfd/speaker.ts";
import { BFD_MALFORMED } from "../../../src/wire/bfd.ts";
import { BfdNet, bytesOf, stateOf, verdictOf } from "./bfd-bed.ts";

const [A, B] = ["192.0.2.1", "192.0.2.2"];

function up(net = new BfdNet(), ...requests: Parameters<BfdNet["pair"]>) {
  const { a, b } = net.pair(...requests);
  net.pass(3500);
  expect([stateOf(a), stateOf(b)]).toEqual(["up", "up"]);
  return { net, a, b };
}
/** Milliseconds between the packets of `from` since `sinceMs`. */
const gaps = (net: BfdNet, from: string, sinceMs: number): number[] => {
  const times = net.sent.filter((each) => each.from === from && each.atMs >= sinceMs).map(({ atMs }) => atMs);
  return times.slice(1).map((atMs, i) => atMs - times[i]!);
};

describe("coming up", () => {
  it("three packets suffice; until then a second lies between them, then the agreed time less up to a quarter", () => {
    const { net } = up();
    const firstUp = net.changes.find(({ change }) => change.to === "up")!.atMs;
    expect(firstUp).toBeLessThan(2100);
    // Slow, but for what a change of state makes due at once.
    expect(net.sent.filter(({ atMs }) => atMs < firstUp).length).toBeLessThanOrEqual(6);
    const since = net.nowMs;
    net.pass(5000);
    const all = gaps(net, A, since);
    expect(all.length).toBeGreaterThan(100);
    expect(Math.min(...all)).toBeGreaterThanOrEqual(37);
    expect(Math.max(...all)).toBeLessThanOrEqual(51);
    // Jitter, not one pace.
    expect(new Set(all).size).toBeGreaterThan(8);
  });

  it("the slower of what one sends and the other takes is agreed on (§6.8.7)", () => {
    const { net, a, b } = up(new BfdNet(), { intervalMs: 50 }, { intervalMs: 200, multiplier: 5 });
    expect([a.session(1)!.transmitMs, b.session(1)!.transmitMs]).toEqual([200, 200]);
    expect([a.session(1)!.detectionMs, b.session(1)!.detectionMs]).toEqual([1000, 600]);
    const since = net.nowMs;
    net.pass(4000);
    for (const station of [A, B]) expect(Math.min(...gaps(net, station, since))).toBeGreaterThanOrEqual(149);
  });

  it("a peer without BFD, or one that does not hear us, is no dead peer", () => {
    const net = new BfdNet();
    net.cut.add(`${A}>${B}`);
    const { a } = net.pair();
    net.pass(10_000);
    expect([stateOf(a), verdictOf(a)]).toEqual(["init", "unknown"]);
    const alone = new BfdNet();
    const { a: first } = alone.pair();
    alone.cut.add(`${B}>${A}`);
    alone.pass(10_000);
    expect([stateOf(first), verdictOf(first)]).toEqual(["down", "unknown"]);
  });

  it("up is confirmed by a poll (§6.5), and a poll is answered once, at once", () => {
    const { net } = up();
    const polls = net.sent.filter(({ packet }) => packet.poll && packet.state === "up");
    const finals = net.sent.filter(({ packet }) => packet.final);
    expect(polls.length).toBeGreaterThanOrEqual(2);
    expect(finals).toHaveLength(polls.length);
    for (const { atMs, from } of finals) {
      const asked = polls.some((poll) => poll.from !== from && poll.atMs + net.delayMs === atMs);
      expect(asked).toBe(true);
    }
    expect(net.sent.slice(-20).some(({ packet }) => packet.poll)).toBe(false);
  });
});

describe("falling", () => {
  it("silence for the detection time, not less and not much more; the peer learns it by our packet", () => {
    const { net, a, b } = up();
    net.cut.add(`${A}>${B}`);
    const cutMs = net.nowMs;
    net.pass(300);
    const fall = net.changes.find(({ atMs, at }) => at === B && atMs > cutMs)!;
    expect(fall.change).toMatchObject({ to: "down", verdict: "down", diagnosis: "detectionTimeExpired" });
    expect(fall.atMs - cutMs).toBeGreaterThan(150 - 52);
    expect(fall.atMs - cutMs).toBeLessThanOrEqual(153);
    const other = net.changes.find(({ atMs, at }) => at === A && atMs > cutMs)!;
    expect(other.change).toMatchObject({ diagnosis: "neighborSignaledDown", remoteDiagnosis: "detectionTimeExpired" });
    expect(other.atMs - fall.atMs).toBe(net.delayMs);
    // One way is cut: neither may use it.
    net.pass(5000);
    expect([stateOf(a), verdictOf(a), verdictOf(b)]).toEqual(["init", "down", "down"]);
    net.cut.clear();
    net.pass(2500);
    expect([verdictOf(a), verdictOf(b)]).toEqual(["up", "up"]);
  });

  it("a lost packet is no death", () => {
    const { net, a } = up();
    const before = net.changes.length;
    for (let round = 0; round < 20; round++) {
      net.cut.add(`${B}>${A}`);
      net.pass(35);
      net.cut.clear();
      net.pass(120);
    }
    expect([stateOf(a), net.changes.length]).toEqual(["up", before]);
  });

  it("a peer that starts anew is down, then up, and nothing is left of the old session (§6.8.1)", () => {
    const { net, a } = up();
    const restarted = net.add(B);
    restarted.configure([{ slot: 1, remote: A, mode: "oneHop", intervalMs: 50, multiplier: 3 }], net.nowMs);
    net.pass(4000);
    expect([stateOf(a), stateOf(restarted)]).toEqual(["up", "up"]);
    expect(a.session(1)!.remote.discriminator).toBe(restarted.session(1)!.discriminator);
  });

  it("after the detection time the peer's discriminator is forgotten", () => {
    const { net, a } = up();
    net.cut.add(`${B}>${A}`);
    net.pass(200);
    expect(a.session(1)!.remote.discriminator).toBe(0);
    expect(net.sent.filter(({ from }) => from === A).at(-1)!.packet).toMatchObject({ yours: 0, state: "down" });
  });

  it("a thread that was stopped reads what has come before it believes in a death", () => {
    const { net, a, b } = up(new BfdNet(), { intervalMs: 50, multiplier: 10 });
    const before = net.changes.length;
    for (let round = 0; round < 10; round++) {
      net.stop(A, true);
      net.pass(430);
      net.stop(A, false);
      net.pass(120);
    }
    expect([stateOf(a), stateOf(b), net.changes.length]).toEqual(["up", "up", before]);
  });
});

describe("leaving", () => {
  it("a drain is told at once, repeated, and is no death for the peer; then it may come back", () => {
    const { net, a, b } = up();
    const drainMs = net.nowMs;
    a.drain(true, net.nowMs);
    net.pass(5);
    expect([stateOf(a), stateOf(b), verdictOf(b)]).toEqual(["adminDown", "down", "draining"]);
    net.pass(5000);
    expect(verdictOf(b)).toBe("draining");
    expect(net.sent.filter((each) => each.from === A && each.atMs > drainMs + 100).length).toBeGreaterThan(3);
    a.drain(false, net.nowMs);
    net.pass(3500);
    expect([verdictOf(a), verdictOf(b)]).toEqual(["up", "up"]);
  });

  it("one that has left, and is silent, is down", () => {
    const { net, a, b } = up();
    a.drain(true, net.nowMs);
    net.pass(10);
    net.cut.add(`${A}>${B}`);
    net.pass(4000);
    expect(verdictOf(b)).toBe("down");
    const [last] = net.changes.filter(({ at }) => at === B).slice(-1);
    expect(last!.change).toMatchObject({ from: "down", to: "down", verdict: "down" });
  });

  it("a session that is taken away says so for a detection time, and then its slot is free", () => {
    const { net, a, b } = up();
    a.configure([], net.nowMs);
    net.pass(100);
    expect([verdictOf(b), net.gone]).toEqual(["draining", []]);
    expect(net.sent.filter(({ from, packet }) => from === A && packet.state === "adminDown").length).toBeGreaterThan(1);
    net.pass(100);
    expect([stateOf(a), net.gone]).toEqual([undefined, [`${A} 1`]]);
  });

  it("is told so for a minute at most, however long its peer would wait; or its slot would be taken for days", () => {
    const { net, a } = up();
    const { discriminator, remote } = a.session(1)!;
    const slow = { state: "up", mine: remote.discriminator, yours: discriminator } as const;
    net.cut.add(`${B}>${A}`);
    const forever = bytesOf({ ...slow, multiplier: 255, desiredMinTx: 0xffffffff });
    a.receive({ mode: "oneHop", source: peerAddress(B), hops: 255 }, forever, 0, forever.length, net.nowMs);
    expect(a.session(1)!.detectionMs).toBeGreaterThan(1e9);
    a.configure([], net.nowMs);
    net.pass(61_000);
    expect(net.gone).toEqual([`${A} 1`]);
  });

  it("its peer sees it leave once: from then on no peer is there, and nothing more comes", () => {
    const { net, a, b } = up();
    const before = net.changes.filter(({ at }) => at === B).length;
    a.configure([], net.nowMs);
    net.pass(4000);
    const seen = net.changes.filter(({ at }) => at === B).slice(before);
    expect(seen.map(({ change }) => change.verdict)).toEqual(["draining", "down"]);
    const { remote } = b.session(1)!;
    expect([remote.state, remote.diagnosis, remote.discriminator]).toEqual(["down", "none", 0]);
    const quiet = net.sent.filter(({ from }) => from === A).length;
    net.pass(10_000);
    expect(net.sent.filter(({ from }) => from === A).length).toBe(quiet);
  });

  it("one that is being taken away does not come back with the end of a drain", () => {
    const { net, a, b } = up();
    a.drain(true, net.nowMs);
    net.pass(20);
    a.configure([], net.nowMs);
    a.drain(false, net.nowMs);
    expect(stateOf(a)).toBe("adminDown");
    net.pass(9000);
    expect([stateOf(a), verdictOf(b)]).toEqual([undefined, "down"]);
  });
});

describe("other intervals (§6.8.3)", () => {
  it("faster: the longest gap begins anew, for those of before were in time then", () => {
    const { net, a, b } = up(new BfdNet(), { intervalMs: 1000 });
    net.pass(20_000);
    expect(a.session(1)!.counts.longestGapMs).toBeGreaterThan(700);
    const request = { slot: 1, mode: "oneHop", intervalMs: 50, multiplier: 3 } as const;
    a.configure([{ ...request, remote: B }], net.nowMs);
    b.configure([{ ...request, remote: A }], net.nowMs);
    net.pass(20_000);
    for (const { detectionMs, counts } of [a.session(1)!, b.session(1)!]) {
      expect(detectionMs).toBe(150);
      expect(counts.longestGapMs).toBeLessThan(100);
      expect(counts.longestGapMs).toBeGreaterThan(40);
    }
  });

  it("slower: the old pace until the peer has confirmed, and no fall", () => {
    const { net, a, b } = up();
    const changes = net.changes.length;
    a.configure([{ slot: 1, remote: B, mode: "oneHop", intervalMs: 400, multiplier: 3 }], net.nowMs);
    expect(a.session(1)!.transmitMs).toBe(50);
    net.pass(net.delayMs * 2 + 2);
    expect(a.session(1)!.transmitMs).toBe(400);
    net.pass(3000);
    expect([a.session(1)!.detectionMs, b.session(1)!.detectionMs]).toEqual([1200, 1200]);
    expect(net.changes.length).toBe(changes);
  });

  it("faster again, while the answer to the poll is lost: no fall either", () => {
    const { net, a, b } = up(new BfdNet(), { intervalMs: 400, multiplier: 3 });
    const changes = net.changes.length;
    net.cut.add(`${B}>${A}`);
    a.configure([{ slot: 1, remote: B, mode: "oneHop", intervalMs: 50, multiplier: 3 }], net.nowMs);
    net.pass(500);
    // Stricter listening waits for the peer's word.
    expect(a.session(1)!.detectionMs).toBe(1200);
    net.cut.clear();
    net.pass(3000);
    expect([stateOf(a), stateOf(b), net.changes.length]).toEqual(["up", "up", changes]);
    expect(a.session(1)!.transmitMs).toBe(400);
  });

  it("a peer that takes no packets gets none but answers (§6.8.7), and gets them again when it takes some", () => {
    const net = new BfdNet();
    const a = net.add(A);
    a.configure([{ slot: 1, remote: B, mode: "oneHop", intervalMs: 50, multiplier: 3 }], 0);
    const mine = a.session(1)!.discriminator;
    net.pass(1500);
    net.carry(B, A, bytesOf({ state: "init", yours: mine, requiredMinRx: 0 }));
    net.pass(5);
    expect(stateOf(a)).toBe("up");
    const since = net.nowMs;
    net.pass(2000);
    expect(net.sent.filter(({ atMs }) => atMs > since)).toEqual([]);
    net.carry(B, A, bytesOf({ state: "up", yours: mine, requiredMinRx: 0, poll: true }));
    net.pass(5);
    expect(net.sent.filter(({ atMs }) => atMs > since).map(({ packet }) => packet.final)).toEqual([true]);
    net.carry(B, A, bytesOf({ state: "up", yours: mine, requiredMinRx: 50_000 }));
    net.pass(500);
    expect(net.sent.filter(({ atMs }) => atMs > since).length).toBeGreaterThan(5);
  });

  it("a peer in demand mode gets no packets while both are up, but for a poll; we never ask for it, nor for echoes", () => {
    const { net, a } = up();
    const mine = a.session(1)!.discriminator;
    net.cut.add(`${B}>${A}`);
    const demand = bytesOf({ state: "up", yours: mine, demand: true, desiredMinTx: 50_000, requiredMinEchoRx: 50_000 });
    net.cut.clear();
    net.carry(B, A, demand);
    net.stop(B, true);
    net.pass(10);
    const since = net.nowMs;
    net.pass(120);
    expect(net.sent.filter(({ atMs, from }) => from === A && atMs > since)).toEqual([]);
    expect(net.sent.some(({ packet }) => packet.demand || packet.requiredMinEchoRx !== 0)).toBe(false);
  });
});

describe("who is believed", () => {
  it("each refusal has its name and its count, and changes nothing", () => {
    const { net, a } = up();
    const changes = net.changes.length;
    const mine = a.session(1)!.discriminator;
    const good = bytesOf({ state: "down", yours: mine });
    const expected = { ...a.refused };
    const refused = (reason: keyof typeof expected, send: () => void) => {
      send();
      net.pass(net.delayMs + 1);
      expected[reason]++;
      expect(a.refused, reason).toEqual(expected);
    };
    refused("hop_count", () => net.carry(B, A, good, "oneHop", 254));
    refused("stranger", () => net.carry("192.0.2.3", A, good));
    refused("stranger", () => net.carry(B, A, good, "multihop"));
    refused("unknown_session", () => net.carry(B, A, bytesOf({ yours: (mine % 1000) + 1 })));
    refused("unknown_session", () => net.carry("192.0.2.3", A, bytesOf({})));
    refused("too_short", () => net.carry(B, A, good.subarray(0, 20)));
    refused("version", () =>
      net.carry(
        B,
        A,
        Uint8Array.from(good, (byte, i) => (i === 0 ? byte ^ 0x60 : byte)),
      ),
    );
    refused("not_bfd", () => a.receiveInner({ bytes: good, at: 0, end: good.length, slot: 1 }, net.nowMs));
    expect([stateOf(a), net.changes.length]).toEqual(["up", changes]);
    const all = ["hop_count", ...BFD_MALFORMED, "unknown_session", "stranger", "not_bfd"];
    expect(new Set(BFD_REFUSALS)).toEqual(new Set(all));
  });

  it("multihop: any hop count, on its own port", () => {
    const { net, a } = up(new BfdNet(), { mode: "multihop" });
    net.carry(B, A, bytesOf({ state: "up", yours: a.session(1)!.discriminator }), "multihop", 3);
    net.pass(5);
    expect([stateOf(a), a.refused.hop_count]).toEqual(["up", 0]);
  });

  it("discriminators are unique and never zero, and a flood of packets makes no session", () => {
    const net = new BfdNet();
    const speaker = net.add(A);
    const request = (slot: number) =>
      ({ slot, remote: `10.0.${slot >> 8}.${slot & 255}`, mode: "oneHop", intervalMs: 1000, multiplier: 3 }) as const;
    speaker.configure(
      Array.from({ length: 1023 }, (_, i) => request(i + 1)),
      0,
    );
    const all = Array.from({ length: 1023 }, (_, i) => speaker.session(i + 1)!.discriminator);
    expect(new Set(all).size).toBe(1023);
    expect(all).not.toContain(0);
    expect(() => speaker.configure([request(1024)], 0)).toThrow();
    for (let n = 0; n < 1000; n++) net.carry(`198.51.100.${n % 250}`, A, bytesOf({ mine: n + 1 }));
    net.pass(5);
    expect(speaker.refused.unknown_session).toBe(1000);
    expect(speaker).toBeInstanceOf(BfdSpeaker);
  });
});

it("whatever a peer or a stranger sends, each datagram is heard or refused; when it ends the session is up again", () => {
  const net = new BfdNet();
  const { a } = up(net);
  let seed = 3;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return (seed >>> 8) % below;
  };
  const count = () => a.session(1)!.counts.received + BFD_REFUSALS.reduce((sum, reason) => sum + a.refused[reason], 0);
  net.cut.add(`${B}>${A}`);
  for (let n = 0; n < 5000; n++) {
    const yours = [0, a.session(1)!.discriminator, random(1 << 24)][random(3)]!;
    const bytes = bytesOf({ state: "down", yours, multiplier: 1 + random(255), demand: random(2) === 0 });
    bytes[1] = random(4) === 0 ? random(256) : (random(4) << 6) | (random(2) << 5);
    for (const at of [12, 16, 20]) if (random(3) === 0) bytes.fill([0, 255, random(256)][random(3)]!, at, at + 4);
    for (let changes = random(3); changes > 0; changes--) bytes[random(24)] = random(256);
    const end = random(4) === 0 ? random(25) : 24;
    const before = count();
    const from = random(4) === 0 ? "192.0.2.77" : B;
    const hops = random(8) === 0 ? random(256) : 255;
    a.receive({ mode: "oneHop", source: peerAddress(from), hops }, bytes, 0, end, net.nowMs);
    expect(count() - before).toBe(1);
    const { dueMs, detectionMs, transmitMs } = a.session(1)!;
    expect([Number.isFinite(dueMs), detectionMs >= 0, transmitMs >= 50]).toEqual([true, true, true]);
    if (n % 10 === 0) net.pass(1);
  }
  expect(net.gone).toEqual([]);
  net.cut.clear();
  net.pass(8000);
  expect([stateOf(a), verdictOf(a)]).toEqual(["up", "up"]);
});
