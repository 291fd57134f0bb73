/** A prober in virtual time, over a network that a test makes narrow, silent, slow or dead. */
import { Inventory, type TunnelPort } from "../../src/control/inventory.ts";
import type { Config } from "../../src/control/plan.ts";
import { EchoUnavailable, type SendEnd } from "../../src/liveness/echo-socket.ts";
import { Prober } from "../../src/liveness/prober.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { readEcho4 } from "../../src/wire/echo.ts";
import { sum16 } from "../../src/wire/ipv4.ts";

export const IDENTIFIER = 0x4242;

export function bed(
  keepalive: { intervalMs: number; multiplier: number } | null = { intervalMs: 1000, multiplier: 3 },
) {
  let nowMs = 1_000_000;
  const events: string[] = [];
  const told: string[] = [];
  const network = {
    isDead: false,
    /** IP packets that pass. */
    mtu: 1500,
    rttMs: 4,
    /** Does the router say "too big"? */
    tells: true,
    kernel: -1,
    mayOpen: true,
    ceiling: 1500,
    traffic: { received: 0, sent: 0 },
    sent: [] as { atMs: number; length: number }[],
  };
  const later: { atMs: number; run: () => void }[] = [];
  let due: number | null = null;
  let onPacket: (packet: Uint8Array, source: string) => void = () => undefined;
  let onFailure: (message: string) => void = () => undefined;
  const port = {
    row: 1,
    kind: "tunnel",
    name: "gw2",
    io: 1,
    vsi: null,
    mtu: 1450,
    up: true,
    config: { name: "gw2", remote: "192.0.2.2", keepalive },
  } as TunnelPort;
  const inventory = new Inventory();
  inventory.addPort(port);
  const prober = new Prober({
    inventory,
    topology: {
      config: { underlay: { address: "192.0.2.1", family: 4, port: 4789 } } as unknown as Config,
      setTunnelUp(_, up) {
        events.push(`${at()} ${up ? "up" : "down"}`);
      },
      setPathMtu(_, mtu) {
        events.push(`${at()} mtu ${mtu}`);
      },
    },
    emit: (level, event, fields) => told.push(`${level} ${event} ${JSON.stringify(fields)}`),
    now: () => nowMs,
    openSocket(request) {
      if (!network.mayOpen) throw new EchoUnavailable("a raw ICMP socket: Operation not permitted", "CAP_NET_RAW");
      onPacket = (packet, source) => {
        const news = readEcho4(packet);
        if (news !== null) request.onNews(news, source);
      };
      onFailure = request.onFailure;
      return {
        kind: "raw",
        identifier: IDENTIFIER,
        close: () => undefined,
        send(packet, _target, done: (end: SendEnd) => void) {
          network.sent.push({ atMs: nowMs - 1_000_000, length: packet.length });
          done(packet.length > 1500 ? "tooBig" : null);
          if (network.isDead || packet.length > 1500) return;
          const fits = packet.length <= network.mtu;
          if (!fits && !network.tells) return;
          const answer = fits ? replyTo(packet) : tooBigAbout(packet, network.mtu);
          const source = fits ? "192.0.2.2" : "192.0.2.254";
          later.push({ atMs: nowMs + network.rttMs, run: () => onPacket(answer, source) });
        },
      };
    },
    traffic: () => ({ ...network.traffic }),
    underlayMtu: () => network.ceiling,
    kernelMtu: () => network.kernel,
    wakeAt: (at) => {
      due = at;
    },
    kick: () => undefined,
  });
  const at = () => Math.round(nowMs - 1_000_000);
  /** Let time pass, looking once a second as the daemon does. */
  const pass = (ms: number): void => {
    const end = nowMs + ms;
    let look = nowMs;
    for (;;) {
      later.sort((a, b) => a.atMs - b.atMs);
      const next = Math.min(end, look, due ?? end, later[0]?.atMs ?? end);
      nowMs = Math.max(nowMs, next);
      if (nowMs >= end) return;
      if (later.length > 0 && later[0]!.atMs <= nowMs) later.shift()!.run();
      else if (look <= nowMs) {
        prober.look();
        look += 1000;
      } else prober.run();
    }
  };
  const skip = (ms: number): void => {
    nowMs += ms;
  };
  /** The main thread is busy for `ms`; then its timers run before its sockets are read, as in libuv. */
  const stall = (ms: number): void => {
    skip(ms);
    if (due !== null && due <= nowMs) prober.run();
  };
  return {
    prober,
    network,
    events,
    told,
    pass,
    skip,
    stall,
    port,
    inventory,
    at,
    fail: (m: string) => onFailure(m),
    send: (p: Uint8Array) => onPacket(p, "6.6.6.6"),
  };
}

function replyTo(packet: Uint8Array): Uint8Array {
  const reply = Uint8Array.from(packet);
  reply.set(packet.subarray(16, 20), 12);
  reply.set(packet.subarray(12, 16), 16);
  reply[20] = 0;
  setU16(reply, 22, 0);
  setU16(reply, 22, ~sum16(reply, 20, reply.length - 20, 0) & 0xffff);
  return reply;
}

export function tooBigAbout(packet: Uint8Array, mtu: number): Uint8Array {
  const error = new Uint8Array(56);
  error.set(Uint8Array.of(0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 254, 192, 0, 2, 1, 3, 4));
  setU16(error, 26, mtu);
  error.set(packet.subarray(0, 28), 28);
  setU16(error, 22, ~sum16(error, 20, 36, 0) & 0xffff);
  return error;
}
