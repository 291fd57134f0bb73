/** Described packets as bytes, against bytes made by hand (and by another program): IPv6 beside what the tests of trace have of IPv4. */
import { describe, expect, it } from "vitest";
import { parseIp } from "../../src/control/ip.ts";
import { type DescribedPacket, frameOf } from "../../src/insight/packet.ts";
import { parseMac } from "../../src/wire/ethernet.ts";
import { parseNd } from "../../src/wire/nd.ts";
import { toHex } from "../wire/hex.ts";

const SOURCE = "20010db8001000000000000000000011";
const DESTINATION = "20010db8002000000000000000000012";
const TARGET = "20010db8001000000000000000000012";
const MACS = "02aa00000110020000000111";
/** 33:33:ff:00:00:12, from vm1. */
const TO_GROUP = "3333ff000012020000000111";
const GROUP = "ff0200000000000000000001ff000012";

function made(more: Partial<Omit<DescribedPacket, "source" | "destination">>, source: string, destination: string) {
  return frameOf({
    ...{ protocol: "icmp", ttl: 64, dscp: 0, size: 0, df: false, sourcePort: 40_000, destinationPort: 443 },
    ...{ sourceMac: parseMac("02:00:00:00:01:11")!, destinationMac: parseMac("02:aa:00:00:01:10")! },
    ...more,
    ...{ source: parseIp(source)!, destination: parseIp(destination)! },
  });
}

describe("a described packet of IPv6", () => {
  it.each([
    ["an echo request", { size: 52 }, `60000000000c3a40${SOURCE}${DESTINATION}`, "800023f30000000100000000"],
    [
      "a SYN, with hop limit and DSCP",
      { protocol: "tcp", ttl: 9, dscp: 10 },
      `6280000000140609${SOURCE}${DESTINATION}`,
      "9c4001bb000000000000000050020000b6220000",
    ],
    [
      "a datagram",
      { protocol: "udp", sourcePort: 7, destinationPort: 9, size: 52 },
      `60000000000c1140${SOURCE}${DESTINATION}`,
      "00070009000ca40100000000",
    ],
  ] as const)("%s", (_, more, header, rest) => {
    const frame = made(more, "2001:db8:10::11", "2001:db8:20::12");
    expect(toHex(frame)).toBe(`${MACS}86dd${header}${rest}`);
  });

  it("a solicitation, and the probe for a duplicate", () => {
    const asked = made({ protocol: "nd", ttl: 1 }, "2001:db8:10::11", "2001:db8:10::12");
    expect(toHex(asked)).toBe(
      `${TO_GROUP}86dd6000000000203aff${SOURCE}${GROUP}87001ac700000000${TARGET}0101020000000111`,
    );
    const probe = made({ protocol: "nd" }, "::", "2001:db8:10::12");
    expect(toHex(probe)).toBe(`${TO_GROUP}86dd6000000000183aff${"00".repeat(16)}${GROUP}87004cbb00000000${TARGET}`);
    for (const frame of [asked, probe]) expect(parseNd(frame, 0, frame.length)).not.toBeNull();
  });

  it("is as long as was asked for, and never shorter than its headers", () => {
    expect(made({ size: 1500 }, "2001:db8::1", "2001:db8::2")).toHaveLength(14 + 1500);
    expect(made({ protocol: "tcp", size: 28 }, "2001:db8::1", "2001:db8::2")).toHaveLength(14 + 60);
  });
});
