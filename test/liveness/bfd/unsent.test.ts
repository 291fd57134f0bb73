/** Packets of a session that do not leave: they are not counted as sent, and the doctor names the reason while it lasts. */
import { expect, it } from "vitest";
import type { BfdSession as Shown } from "../../../src/api/schema-bfd.ts";
import { createBoard, readFigures, writeFigures } from "../../../src/liveness/bfd/board.ts";
import { checkBfd } from "../../../src/liveness/bfd/check.ts";
import { BfdSession } from "../../../src/liveness/bfd/session.ts";

const ENETUNREACH = -101;

it("are not counted, and the last errno stands on the board until one leaves", () => {
  let result = ENETUNREACH;
  const handlers = { send: () => result, told: () => undefined, random: () => 0.5 };
  const session = new BfdSession(7, { intervalMs: 50, multiplier: 3 }, handlers, 0);
  const board = createBoard();
  const figuresAt = (nowMs: number) => {
    session.run(nowMs);
    writeFigures(board, 1, session);
    return readFigures(board, 1);
  };
  expect(figuresAt(1000)).toMatchObject({ sent: 0, sendErrno: ENETUNREACH });
  result = 24;
  expect(figuresAt(2000)).toMatchObject({ sent: 1, sendErrno: 0 });
  result = 0;
  expect(figuresAt(3000)).toMatchObject({ sent: 1, sendErrno: 0 });
});

it("fail in the doctor's eyes, whatever the session's state", () => {
  const sendError = "EPERM (operation not permitted)";
  const session = { tunnel: "b1", remote: "192.0.2.3", state: "up", sendError } as unknown as Shown;
  expect(checkBfd({ problem: null, sessions: [session], refused: [], lastRefused: null })).toMatchObject([
    { result: "fail", name: "bfd b1", text: `192.0.2.3: up, and packets to it do not leave: ${sendError}` },
  ]);
});
