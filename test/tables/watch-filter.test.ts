/** Which frames a capture is about: by host and protocol, whatever the frame is made of, and at any offset. */
import { describe, expect, it } from "vitest";
import {
  FILTER_WORDS,
  isMeant,
  MOST_HOSTS,
  PROTOCOLS,
  type Protocol,
  setFilter,
} from "../../src/tables/watch-filter.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { fromHex } from "../wire/hex.ts";

const ETH = "020000000112020000000111";
const ARP = `${ETH}08060001080006040001${"020000000111"}0a01010b${"000000000000"}0a01010c`;
const ipv4 = (protocol: string) => `${ETH}08004500001c0000000040${protocol}00000a01010b1401010c${"00".repeat(8)}`;
const FRAMES: Readonly<Record<Protocol, string>> = {
  arp: ARP,
  icmp: ipv4("01"),
  tcp: ipv4("06"),
  udp: ipv4("11"),
  ipv6: `${ETH}86dd${"00".repeat(40)}`,
  other: ipv4("2f"),
};

function filter(protocols: readonly Protocol[], ...hosts: readonly string[]): Int32Array {
  const words = new Int32Array(FILTER_WORDS);
  setFilter(words, protocols, new Set(hosts.map((host) => parseIpv4(host)!)));
  return words;
}

function meant(words: Int32Array, hex: string): boolean {
  const frame = fromHex(hex);
  const bytes = new Uint8Array(frame.length + 7).fill(0xa5);
  bytes.set(frame, 7);
  return isMeant(words, bytes, 7, frame.length);
}

const tagged = (hex: string) => `${hex.slice(0, 24)}81000007${hex.slice(24)}`;

describe("a filter", () => {
  it.each(PROTOCOLS)("by protocol %s wants that one, tagged or not, and no other", (protocol) => {
    const words = filter([protocol]);
    for (const [name, frame] of Object.entries(FRAMES)) {
      expect(meant(words, frame), name).toBe(name === protocol);
      expect(meant(words, tagged(frame)), name).toBe(name === protocol);
    }
  });

  it("by host wants what comes from it, goes to it, or asks about it", () => {
    for (const [host, wanted] of [
      ["10.1.1.11", ["arp", "icmp", "tcp", "udp", "other"]],
      ["10.1.1.12", ["arp"]],
      ["20.1.1.12", ["icmp", "tcp", "udp", "other"]],
      ["10.1.1.1", []],
    ] as const) {
      const words = filter([], host);
      expect(Object.entries(FRAMES).flatMap(([name, hex]) => (meant(words, hex) ? [name] : []))).toEqual(wanted);
      expect(meant(words, tagged(FRAMES.arp))).toBe((wanted as readonly string[]).includes("arp"));
    }
    expect(meant(filter(["icmp"], "10.1.1.11"), FRAMES.icmp)).toBe(true);
    expect(meant(filter(["icmp"], "10.1.1.11"), FRAMES.arp)).toBe(false);
  });

  it("of nothing wants all, of too many hosts all hosts; what is cut off has no host and is of no protocol", () => {
    const all = Object.values(FRAMES);
    for (const words of [filter([]), filter([], ...Array.from({ length: MOST_HOSTS + 1 }, (_, n) => `9.9.9.${n}`))])
      for (const frame of [...all, "", "00"]) expect(meant(words, frame)).toBe(true);
    for (let bytes = 0; bytes < 34; bytes++) {
      const cut = FRAMES.icmp.slice(0, 2 * bytes);
      expect(meant(filter(["icmp"]), cut), String(bytes)).toBe(false);
      expect(meant(filter([], "10.1.1.11"), cut), String(bytes)).toBe(false);
      expect(meant(filter(["other"]), cut), String(bytes)).toBe(true);
    }
  });
});
