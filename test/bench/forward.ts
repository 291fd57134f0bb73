/** ns per frame of `forward()`, in process: route and encapsulate, 64 flows, no io. */
import { forward } from "../../src/dataplane/pipeline.ts";
import { F_AT, F_HEAD, F_LENGTH, F_SOURCE, F_UNITS, FRAME_WORDS } from "../../src/io/port-io.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { G10, ip, M1, P20, Rig } from "../dataplane/rig.ts";
import type { Rounds } from "./stages.ts";

const STRIDE = 192;
const FRAMES = 64;

/** A rig whose arena holds FRAMES frames of different flows; `round` forwards them all. */
export function routeAndEncapsulate(): Rounds & { rig: Rig; frames: number } {
  const rig = new Rig();
  rig.mac(1, M1, 1);
  for (let i = 0; i < FRAMES; i++) rig.neighbor(`20.1.1.${i + 12}`, 2, P20, 3);
  const { io } = rig;
  const first = 64;
  const spare = io.scratchAt >> 1;
  for (let i = 0; i < FRAMES; i++) {
    const frame = udpFrame({ dst: G10, src: M1, from: ip("10.1.1.11"), to: ip(`20.1.1.${i + 12}`), sport: 1000 + i });
    const at = first + i * STRIDE;
    io.arena.set(frame, at);
    const d = i * FRAME_WORDS;
    io.frames.fill(0, d, d + FRAME_WORDS);
    io.frames[d + F_AT] = at;
    io.frames[d + F_LENGTH] = frame.length;
    io.frames[d + F_HEAD] = frame.length;
    io.frames[d + F_SOURCE] = 1;
    io.frames[d + F_UNITS] = 1;
  }
  io.arena.copyWithin(spare, first, first + FRAMES * STRIDE);
  const f = rig.plane.frame;
  // The last round left rewritten packets: put all of them back at once, far from the loads that follow.
  const putBack = () => {
    io.arena.copyWithin(first, spare, spare + FRAMES * STRIDE);
  };
  const round = (): void => {
    putBack();
    f.begin();
    for (let i = 0; i < FRAMES; i++) {
      f.load(i);
      forward(f);
    }
    f.finish();
  };
  return { rig, round, putBack, frames: FRAMES };
}
