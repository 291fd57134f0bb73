/** The numbers of echoes: none that waits is given twice, and none follows from the one before. */
import { expect, it } from "vitest";
import { Timers } from "../../src/control/timers.ts";
import { EchoBook } from "../../src/liveness/echo-ledger.ts";

const PEER = Uint8Array.of(192, 0, 2, 2);

it("answers to the numbers that come next are answers to nothing", () => {
  const book = new EchoBook(new Timers(0), () => 0);
  let replies = 0;
  for (let n = 0; n < 200; n++) {
    const before = book.open(PEER, 1000, () => undefined).sequence;
    book.open(PEER, 1000, ({ kind }) => (replies += kind === "reply" ? 1 : 0));
    book.answered({ kind: "reply", identifier: 1, sequence: (before + 1) & 0xffff }, "192.0.2.2");
  }
  // By chance one in 65,536 is right.
  expect(replies).toBeLessThan(5);
});

it("each has one of its own while it waits; when all are taken one is lost, and the new one has its number", () => {
  const book = new EchoBook(new Timers(0), () => 0);
  let lost = 0;
  const numbers = new Set<number>();
  for (let n = 0; n < 0x10000; n++) numbers.add(book.open(PEER, 1000, () => lost++).sequence);
  expect([numbers.size, lost]).toEqual([0x10000, 0]);
  const { sequence } = book.open(PEER, 1000, () => undefined);
  expect([numbers.has(sequence), lost]).toEqual([true, 1]);
});
