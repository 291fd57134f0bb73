/**
 * When a worker lets a moment pass (native-bindings/pace.h), over loopback addresses. Needs root; skipped with a reason otherwise.
 */
import { describe, expect, it } from "vitest";
import type { PortIo } from "../../src/io/port-io.ts";
import * as io from "../../src/io/port-io.ts";
import { attachPeer, createIo, missing, openUnderlay, putSend, vxlanPacket } from "./ground.ts";

if (missing) console.log(`pace.test.ts skipped: ${missing}`);

/** What is sent at once: a millisecond's crowd, and a batch that is still called small. */
const CROWD = 64;
const DEADLINE_MS = 10_000;

/** Send crowds of frames of so many bytes until the receiver has paused so often, or for so many crowds. @returns its pauses. */
function pausesAfter(from: PortIo, to: PortIo, length: number, pauses: number, crowds: number): number {
  const deadline = performance.now() + DEADLINE_MS;
  for (let i = 0; i < CROWD; i++) from.arena.set(vxlanPacket(length, i), from.scratchAt + i * 2048);
  let seen = 0;
  for (let k = 0; k < crowds && seen < pauses && performance.now() < deadline; k++) {
    for (let i = 0; i < CROWD; i++) putSend(from, i, { at: from.scratchAt + i * 2048, length, port: 1 });
    from.exchange(CROWD, 0);
    to.exchange(0, 100);
    seen += to.status[io.STATUS_PAUSED]!;
  }
  return seen;
}

describe.skipIf(missing)("pace", () => {
  it("a crowd of small frames, few at a time, is waited for; once it is quiet, nothing is", () => {
    const from = createIo({ underlay: openUnderlay("127.0.0.71") });
    const to = createIo({ underlay: openUnderlay("127.0.0.72") });
    attachPeer(from, 1, "127.0.0.72");
    attachPeer(to, 1, "127.0.0.71");
    expect(pausesAfter(from, to, 64, 5, Number.POSITIVE_INFINITY)).toBe(5);
    // What is left of it is taken; a wait that brings nothing ends the crowd.
    while (to.exchange(0, 20) > 0);
    to.exchange(0, 0);
    expect(to.status[io.STATUS_PAUSED]).toBe(0);
  });

  it("bulk never is, however fast it comes", () => {
    const from = createIo({ underlay: openUnderlay("127.0.0.73") });
    const to = createIo({ underlay: openUnderlay("127.0.0.74") });
    attachPeer(from, 1, "127.0.0.74");
    attachPeer(to, 1, "127.0.0.73");
    expect(pausesAfter(from, to, 1400, 1, 500)).toBe(0);
  });
});
