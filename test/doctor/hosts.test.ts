/** The doctor, about hosts that move too often, and about an offload that pauses because of what a guest sends. */
import { expect, it } from "vitest";
import { checkDampedMoves } from "../../src/doctor/damped-moves.ts";
import { checkGroPause } from "../../src/doctor/gro-pause.ts";

it("says which host moves too often to be believed, and between which places", () => {
  const move = {
    vsi: "vsi10",
    host: "MAC 02:00:00:00:00:07",
    from: { kind: "ac", name: "vm1" },
    to: { kind: "tunnel", name: "gw2" },
    times: 12,
  } as const;
  expect(checkDampedMoves({ ...move, secondsAgo: 3 })).toEqual({
    name: "moves in vsi10",
    result: "warn",
    text: "12 moves not believed, five in 180 s are; the last of MAC 02:00:00:00:00:07: it stays at AC vm1, and was heard at tunnel gw2",
    fix: "is MAC 02:00:00:00:00:07 at both places? give one host another, or look for a loop between them",
  });
  expect(checkDampedMoves({ ...move, secondsAgo: 1000 }).result).toBe("ok");
});

it("says why UDP_GRO is off for a while, and when it is back", () => {
  const features = (inUse: boolean, count = 2) => ({
    offloads: [{ name: "udpGro", wanted: true, inUse }],
    fallbacks: [{ cause: "udp_gro_doubt", count }],
  });
  expect(checkGroPause(features(true, 0))).toEqual([]);
  const [paused] = checkGroPause(features(false));
  expect(paused).toMatchObject({ result: "warn", text: expect.stringMatching(/^paused 2 times: /) });
  expect(paused!.fix).toContain("within 10 minutes");
  expect(checkGroPause(features(true))).toMatchObject([
    { result: "ok", text: expect.stringMatching(/; in use again$/) },
  ]);
});
