/** The prober: who is up, how far, how long a packet may be, and what is forgotten when. */
import { describe, expect, it } from "vitest";
import { setU16 } from "../../src/wire/bytes.ts";
import { sum16 } from "../../src/wire/ipv4.ts";
import { bed, IDENTIFIER, tooBigAbout } from "./prober-bed.ts";

describe("liveness", () => {
  it("a peer that answers is up, its round trip is measured, and nothing is lost", () => {
    const { prober, network, events, pass, port } = bed();
    network.rttMs = 7;
    pass(20_000);
    expect(events).toEqual([]);
    expect(prober.view(port)).toMatchObject({ state: "up", rttMs: 7, loss: 0, lost: 0 });
    expect(prober.probing).toMatchObject({ state: "on", watched: 1 });
  });

  it("a dead peer's tunnel is down within three seconds, and up within one of its return", () => {
    const { network, events, pass, prober, port, at } = bed();
    pass(10_300);
    const diedMs = at();
    network.isDead = true;
    pass(5000);
    expect(events).toHaveLength(1);
    const downMs = Number(events[0]!.split(" ")[0]);
    expect(events[0]).toMatch(/ down$/);
    expect(downMs - diedMs).toBeLessThanOrEqual(3000);
    expect(prober.view(port).state).toBe("down");
    network.isDead = false;
    const backMs = at();
    pass(2000);
    expect(events[1]).toMatch(/ up$/);
    expect(Number(events[1]!.split(" ")[0]) - backMs).toBeLessThanOrEqual(1000);
    expect(prober.view(port).loss).toBeGreaterThan(0);
  });

  it("two lost probes are no death", () => {
    const { network, events, pass } = bed();
    pass(10_500);
    network.isDead = true;
    pass(2200);
    network.isDead = false;
    pass(5000);
    expect(events).toEqual([]);
  });

  it("a peer that never was there is down after the detection time", () => {
    const { network, events, pass } = bed({ intervalMs: 100, multiplier: 5 });
    network.isDead = true;
    pass(1000);
    expect(events).toEqual(["500 down"]);
  });

  it("our own sleep kills no peer", () => {
    const { events, pass, skip } = bed();
    pass(5000);
    skip(60_000);
    pass(5000);
    expect(events).toEqual([]);
  });

  it("a main thread that is late again and again kills no peer at 100 ms, and counts no answer as lost", () => {
    const { prober, network, events, pass, stall, port } = bed({ intervalMs: 100, multiplier: 3 });
    pass(2000);
    for (let round = 0; round < 400; round++) {
      // By turns within, about and above the detection time, and at every phase of the interval.
      stall([60, 120, 290, 310, 450, 499, 501, 1200][round % 8]!);
      pass((round * 37) % 230);
    }
    expect(events).toEqual([]);
    expect(prober.view(port)).toMatchObject({ lost: 0, loss: 0 });
    network.isDead = true;
    const deadMs = bedAt();
    pass(400);
    expect(events.map((line) => line.split(" ")[1])).toEqual(["down"]);
    expect(Number(events[0]!.split(" ")[0]) - deadMs).toBeLessThanOrEqual(310);

    function bedAt(): number {
      pass(1);
      return Math.round(network.sent.at(-1)!.atMs);
    }
  });

  it("a main thread that is always late still notices a death, later", () => {
    const { network, events, pass, stall } = bed({ intervalMs: 100, multiplier: 3 });
    pass(2000);
    network.isDead = true;
    for (let round = 0; round < 200 && events.length === 0; round++) {
      stall(80);
      pass(1);
    }
    expect(events.map((line) => line.split(" ")[1])).toEqual(["down"]);
  });

  it("answers of strangers, to other questions, or of another identifier count for nothing", () => {
    const { network, events, pass, send } = bed();
    network.isDead = true;
    for (let n = 0; n < 40; n++) {
      pass(100);
      const fake = new Uint8Array(64);
      fake.set(Uint8Array.of(0x45, 0, 0, 64, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1));
      setU16(fake, 24, n % 2 === 0 ? IDENTIFIER : 1);
      setU16(fake, 26, n % 5);
      setU16(fake, 22, ~sum16(fake, 20, 44, 0) & 0xffff);
      send(fake);
    }
    expect(events).toEqual(["3000 down"]);
  });

  it("a keepalive that is taken away leaves the tunnel up", () => {
    const { network, events, pass, port } = bed();
    network.isDead = true;
    pass(5000);
    (port.config as { keepalive: unknown }).keepalive = null;
    pass(2000);
    expect(events.map((line) => line.split(" ")[1])).toEqual(["down", "up"]);
    const before = network.sent.length;
    pass(20_000);
    expect(network.sent.length).toBe(before);
  });

  it("a tunnel that is removed is asked no more", () => {
    const { network, pass, inventory, port } = bed();
    pass(5000);
    inventory.removePort(port);
    pass(1500);
    const before = network.sent.length;
    pass(20_000);
    expect(network.sent.length).toBe(before);
  });
});

describe("path MTU", () => {
  it("a router that tells: two probes, and the tunnel follows", () => {
    const { network, events, pass, prober, port } = bed();
    network.mtu = 1400;
    pass(500);
    expect(events.map((line) => line.slice(line.indexOf(" ") + 1))).toEqual(["mtu 1400"]);
    expect(network.sent.map(({ length }) => length).filter((length) => length > 64)).toEqual([1500, 1400]);
    expect(prober.view(port)).toMatchObject({ pathMtu: 1400 });
  });

  it("a black hole: found all the same, and nothing of it is believed by one loss", () => {
    const { network, events, pass } = bed();
    network.mtu = 1371;
    network.tells = false;
    pass(20_000);
    expect(events.at(-1)).toMatch(/ mtu 1371$/);
  });

  it("a path that becomes narrow is noticed within seconds, and one that grows within ten minutes", () => {
    const { network, events, pass } = bed();
    pass(15_000);
    expect(events).toEqual([]);
    network.mtu = 1300;
    network.tells = false;
    pass(35_000);
    expect(events.at(-1)).toMatch(/ mtu 1300$/);
    network.mtu = 1500;
    pass(601_000);
    expect(events.at(-1)).toMatch(/ mtu null$/);
  });

  it("a peer that answers nothing says nothing about lengths", () => {
    const { network, events, pass, prober, port } = bed({ intervalMs: 1000, multiplier: 20 });
    network.isDead = true;
    pass(15_000);
    expect(events).toEqual([]);
    expect(prober.searchOf(port)).toMatchObject({ pathMtu: null, silent: true, searching: false });
  });

  it("never below the floor, whatever says so", () => {
    const { network, events, pass } = bed();
    network.mtu = 300;
    pass(60_000);
    expect(events.map((line) => line.split(" ").slice(1).join(" "))).toEqual(["mtu 626"]);
  });

  it("our kernel's word is taken at once, kept at the floor, and forgotten after ten minutes without a search", () => {
    const { network, events, pass, prober, port } = bed(null);
    network.kernel = 1400;
    prober.tooBig(port);
    expect(events).toEqual(["0 mtu 1400"]);
    network.kernel = 552;
    prober.tooBig(port);
    expect(events.at(-1)).toBe("0 mtu 626");
    pass(590_000);
    expect(events).toHaveLength(2);
    pass(15_000);
    expect(events.at(-1)).toMatch(/ mtu null$/);
    expect(network.sent).toEqual([]);
    network.kernel = 9000;
    prober.tooBig(port);
    expect(events).toHaveLength(3);
  });

  it("a forged 'too big' about a tunnel's datagram makes us look, not believe, and not all the time", () => {
    const { network, events, pass, send } = bed();
    pass(2000);
    const before = network.sent.length;
    const quoted = new Uint8Array(28);
    quoted.set(Uint8Array.of(0x45, 0, 5, 220, 0, 0, 64, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2));
    setU16(quoted, 22, 4789);
    for (let n = 0; n < 1000; n++) send(tooBigAbout(quoted, 700));
    pass(3000);
    expect(events).toEqual([]);
    expect(network.sent.length - before).toBeLessThan(15);
  });
});

describe("without a socket", () => {
  it("is said once, tried again, and every tunnel stays up", async () => {
    const { network, events, told, pass, prober, port } = bed();
    network.mayOpen = false;
    pass(35_000);
    expect(events).toEqual([]);
    expect(told).toEqual([
      'warn probing.off {"problem":"a raw ICMP socket: Operation not permitted","fix":"CAP_NET_RAW","unwatched":"gw2"}',
    ]);
    expect(prober.view(port).state).toBe("impossible");
    expect(prober.probing).toMatchObject({ state: "off", fix: "CAP_NET_RAW" });
    expect(await prober.ping(port, 64)).toMatchObject({ kind: "off", fix: "CAP_NET_RAW" });
    network.mayOpen = true;
    pass(15_000);
    expect(told.at(-1)).toBe('info probing.on {"by":"raw"}');
    expect(prober.view(port)).toMatchObject({ state: "up", rttMs: 4 });
  });

  it("a socket that breaks brings a dead tunnel up, and is opened again", () => {
    const { network, events, pass, fail, prober, port } = bed();
    network.isDead = true;
    pass(5000);
    fail("Network is down");
    expect(events.map((line) => line.split(" ")[1])).toEqual(["down", "up"]);
    network.isDead = false;
    pass(15_000);
    expect(prober.view(port).state).toBe("up");
  });
});

describe("a person asks", () => {
  it("an echo of any length, of a tunnel that is not watched", async () => {
    const { network, pass, prober, port } = bed(null);
    network.mtu = 1400;
    const small = prober.ping(port, 64);
    pass(100);
    expect(await small).toEqual({ kind: "reply", length: 64, rttMs: 4, mtu: null, reason: null, fix: null });
    const long = prober.ping(port, 1500);
    pass(100);
    expect(await long).toMatchObject({ kind: "tooBig", mtu: 1400 });
    const ours = prober.ping(port, 1501);
    pass(1);
    expect(await ours).toMatchObject({ kind: "tooBig", mtu: null });
    network.isDead = true;
    const lost = prober.ping(port, 64);
    pass(1100);
    expect(await lost).toMatchObject({ kind: "lost", rttMs: null });
  });

  it("a search, whose result is searched again after ten minutes: a wider link is noticed without a keepalive", () => {
    const { network, events, pass, prober, port } = bed(null);
    network.mtu = 1400;
    expect(prober.search(port)).toBeNull();
    pass(1000);
    expect(prober.view(port)).toMatchObject({ state: "unwatched", pathMtu: 1400 });
    expect(prober.searchOf(port)).toMatchObject({
      pathMtu: 1400,
      tries: [
        { length: 1500, passed: false, hint: 1400 },
        { length: 1400, passed: true, hint: 0 },
      ],
    });
    pass(605_000);
    // Still as narrow: it stays, and is looked at again.
    expect(events).toHaveLength(1);
    expect(prober.view(port).pathMtu).toBe(1400);
    network.mtu = 1500;
    pass(605_000);
    expect(events.at(-1)).toMatch(/ mtu null$/);
    expect(prober.view(port).pathMtu).toBe(1500);
    const before = network.sent.length;
    pass(1_300_000);
    expect(network.sent.length, "what is as wide as it can be is not asked again").toBe(before);
  });

  it("a result that cannot be searched again, or that no peer answers for any more, is forgotten", () => {
    for (const how of ["off", "silent"] as const) {
      const { network, events, pass, prober, port } = bed(null);
      network.mtu = 1400;
      prober.search(port);
      pass(40_000);
      if (how === "off") network.mayOpen = false;
      else network.isDead = true;
      pass(605_000);
      expect(events.at(-1), how).toMatch(/ mtu null$/);
      expect(prober.view(port).pathMtu, how).toBeNull();
    }
  });

  it("a keepalive that is taken away leaves the timer running", () => {
    const { network, events, pass, port } = bed();
    network.mtu = 1400;
    pass(5000);
    (port.config as { keepalive: unknown }).keepalive = null;
    network.mtu = 1500;
    pass(605_000);
    expect(events.at(-1)).toMatch(/ mtu null$/);
  });

  it("our own device gets a larger MTU: what was as wide as the old one is not taken for a narrow path", () => {
    const { network, pass, prober, port } = bed(null);
    prober.search(port);
    pass(1000);
    expect(prober.view(port).pathMtu).toBe(1500);
    network.ceiling = 9000;
    pass(2000);
    expect(prober.view(port).pathMtu).toBeNull();
  });
});

describe("silence", () => {
  it("packets sent and none received, since when; one that comes ends it", () => {
    const { network, pass, prober, port } = bed(null);
    network.traffic = { received: 4, sent: 2 };
    pass(2000);
    network.traffic.sent += 8;
    pass(40_000);
    expect(prober.view(port)).toMatchObject({ state: "unwatched", silentSeconds: 42, sentSince: 8 });
    network.traffic.received++;
    expect(prober.view(port)).toMatchObject({ silentSeconds: 0, sentSince: 0 });
    pass(1500);
    network.traffic.sent++;
    expect(prober.view(port)).toMatchObject({ silentSeconds: 1, sentSince: 1 });
  });
});
