/** The sockets of BFD: what cannot be opened or sent is told, for as long as it is so. On loopback addresses. */
import { expect, it } from "vitest";
import { BfdSockets, type SocketsRequest } from "../../src/liveness/bfd/sockets.ts";
import type { SessionRequest } from "../../src/liveness/bfd/speaker.ts";
import type { BfdPacket } from "../../src/wire/bfd.ts";

const ALL = { first: 49152, count: 16384 };
const PACKET: BfdPacket = {
  ...{ diagnosis: "none", state: "down", poll: false, final: false, demand: false, multiplier: 3 },
  ...{ mine: 1, yours: 0, desiredMinTx: 1_000_000, requiredMinRx: 50_000, requiredMinEchoRx: 0 },
};
const session = (slot: number, remote = "127.0.0.2"): SessionRequest => ({
  ...{ slot, remote, mode: "vxlan", vni: 1, intervalMs: 50, multiplier: 3 },
});

function sockets(address: string, reserved: { first: number; count: number }): BfdSockets {
  const request: SocketsRequest = { address, vxlanPort: 4789, reserved };
  return new BfdSockets(request, () => undefined, Math.random);
}

it("a sender that cannot be opened is a problem until it can be, or its session is gone, however often receivers are looked at", () => {
  const reserved = { ...ALL };
  const made = sockets("127.0.0.1", reserved);
  const modes = new Set(["vxlan"] as const);
  made.follow(modes);
  expect(made.problem).toBeNull();
  for (const slot of [1, 2]) expect(made.send(session(slot), PACKET)).toBe(0);
  made.follow(modes);
  expect(made.problem).toBe("no source port from 49152 on is free");
  made.release(1);
  expect(made.problem).not.toBeNull();
  reserved.count = 0;
  expect(made.send(session(2), PACKET)).toBeGreaterThan(0);
  expect(made.problem).toBeNull();
  made.close();
});

it("an address that is not there is a problem of receivers and of senders", () => {
  const made = sockets("192.0.2.77", { first: 0, count: 0 });
  made.follow(new Set(["oneHop"] as const));
  expect(made.problem).toMatch(/UDP port 3784 of 192\.0\.2\.77: cannot bind.*EADDRNOTAVAIL/);
  made.follow(new Set(["vxlan"] as const));
  expect(made.problem).toBeNull();
  expect(made.send(session(1), PACKET)).toBe(0);
  expect(made.problem).toMatch(/UDP port \d+ of 192\.0\.2\.77: cannot bind.*EADDRNOTAVAIL/);
  made.close();
});

it("what does not leave is no packet that was sent, and has its errno", () => {
  const made = sockets("127.0.0.1", { first: 0, count: 0 });
  made.follow(new Set(["vxlan"] as const));
  // The loopback device reaches no other machine.
  expect(made.send(session(1, "192.0.2.9"), PACKET)).toBeLessThan(0);
  expect(made.problem).toBeNull();
  expect(made.send(session(1), PACKET)).toBeGreaterThan(0);
  made.close();
});
