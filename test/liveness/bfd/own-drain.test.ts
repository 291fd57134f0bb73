/** BFD sessions that this gateway takes out of service itself: what it knew of a peer holds until the peer speaks. */
import { expect, it } from "vitest";
import { BfdNet, stateOf, verdictOf } from "./bfd-bed.ts";

const B = "192.0.2.2";

function up() {
  const net = new BfdNet();
  const { a, b } = net.pair();
  net.pass(3500);
  expect([verdictOf(a), verdictOf(b)]).toEqual(["up", "up"]);
  return { net, a, b };
}

it("a peer that is dead, or has left, is so after our own drain too", () => {
  for (const verdict of ["down", "draining"] as const) {
    const { net, a, b } = up();
    if (verdict === "draining") b.drain(true, net.nowMs);
    else net.stop(B, true);
    net.pass(1000);
    a.drain(true, net.nowMs);
    expect([stateOf(a), verdictOf(a)]).toEqual(["adminDown", verdict]);
    net.pass(5000);
    a.drain(false, net.nowMs);
    net.pass(5000);
    expect(verdictOf(a)).toBe(verdict);
  }
});

it("a peer that speaks again while we drain is dead no more", () => {
  const { net, a } = up();
  net.stop(B, true);
  net.pass(1000);
  a.drain(true, net.nowMs);
  net.stop(B, false);
  net.pass(1500);
  expect([stateOf(a), verdictOf(a)]).toEqual(["adminDown", "unknown"]);
  const last = net.changes.filter(({ at }) => at === "192.0.2.1").at(-1)!;
  expect(last.change).toMatchObject({ from: "adminDown", to: "adminDown", verdict: "unknown" });
  a.drain(false, net.nowMs);
  net.pass(3500);
  expect(verdictOf(a)).toBe("up");
});
