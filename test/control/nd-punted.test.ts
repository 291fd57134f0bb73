/** Neighbour discovery from the CPU port: a checksum that a VM left to its device is made before the parser looks, and no other is. */
import { describe, expect, it } from "vitest";
import { FLAG_UNFINISHED_CHECKSUM } from "../../src/control/icmp/icmp.ts";
import { finishChecksum, isRouterSolicitation } from "../../src/control/nd/punted.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { emitRouterSolicitation, emitSolicitation, ND_MAX_BYTES, parseNd } from "../../src/wire/nd.ts";

const L4 = 54;
const NET = 0x20010db8_0010_0000_0000_0000_0000_0000n;
const around = { ethDst: 0x3333ff000012, ethSrc: 0x020000000111, src: NET | 0x11n, dst: NET | 0x12n };

function solicitation(checksum: number): Uint8Array {
  const bytes = new Uint8Array(ND_MAX_BYTES);
  const asks = { target: NET | 0x12n, mac: around.ethSrc, nonce: null };
  const frame = bytes.slice(0, emitSolicitation(bytes, 0, around, asks));
  setU16(frame, L4 + 2, checksum);
  return frame;
}

const finished = (bytes: Uint8Array, flags: number) => {
  finishChecksum({ bytes, flags } as never);
  return parseNd(bytes, 0, bytes.length);
};

describe("a checksum", () => {
  it.each([0, 0x1234, 0xffff])("of %i that is left to the device is made, whatever stands there", (checksum) => {
    expect(finished(solicitation(checksum), FLAG_UNFINISHED_CHECKSUM)).toMatchObject({ target: NET | 0x12n });
    expect(finished(solicitation(checksum), 0)).toBeNull();
  });

  it("of bytes that are cut off, or whose length lies, is not made, and nothing is read behind them", () => {
    const whole = solicitation(0);
    for (let end = 0; end < whole.length; end++)
      expect(finished(whole.slice(0, end), FLAG_UNFINISHED_CHECKSUM)).toBeNull();
    for (const length of [0, 3, whole.length - L4 + 1, 0xffff]) {
      const lying = solicitation(0);
      setU16(lying, 18, length);
      expect(finished(lying, FLAG_UNFINISHED_CHECKSUM)).toBeNull();
    }
  });
});

it("a router's solicitation is told from a neighbour's", () => {
  const bytes = new Uint8Array(ND_MAX_BYTES);
  const frame = bytes.slice(0, emitRouterSolicitation(bytes, 0, around, { mac: null }));
  expect(
    [frame, solicitation(0), frame.slice(0, L4), frame.slice(0, 10)].map((each) =>
      isRouterSolicitation({ bytes: each }),
    ),
  ).toEqual([true, false, false, false]);
});
