/** Which frames a capture is about: by host and protocol, whatever the frame is made of, and at any offset. */
import { describe, expect, it } from "vitest";
import { parseIp } from "../../src/control/ip.ts";
import {
  FILTER_WORDS,
  isMeant,
  MOST_HOSTS,
  PROTOCOLS,
  type Protocol,
  setFilter,
} from "../../src/tables/watch-filter.ts";
import { fromHex } from "../wire/hex.ts";

const ETH = "020000000112020000000111";
const ARP = `${ETH}08060001080006040001${"020000000111"}0a01010b${"000000000000"}0a01010c`;
const ipv4 = (protocol: string) => `${ETH}08004500001c0000000040${protocol}00000a01010b1401010c${"00".repeat(8)}`;
const [A6, B6, C6] = ["11", "12", "13"].map((n) => `20010db80010000000000000000000${n}`);
/** From ::11 to ::12; `rest` behind the fixed header. */
const ipv6 = (next: string, rest: string) =>
  `${ETH}86dd60000000${(rest.length / 2).toString(16).padStart(4, "0")}${next}ff${A6}${B6}${rest}`;
const SOLICITATION = `8700000000000000${C6}0101020000000111`;
const OF_IPV6: Readonly<Record<string, readonly [protocol: Protocol | null, frame: string]>> = {
  echo: ["icmp", ipv6("3a", "8000000000000001")],
  tcp: ["tcp", ipv6("06", "9c4001bb".padEnd(40, "0"))],
  udp: ["udp", ipv6("11", "0007000900080000")],
  "udp behind options": ["udp", ipv6("00", `1100010400000000${"0007000900080000"}`)],
  solicitation: ["nd", ipv6("3a", SOLICITATION)],
  advertisement: ["nd", ipv6("3a", SOLICITATION.replace("87", "88"))],
  "router advertisement": ["nd", ipv6("3a", "86".padEnd(32, "0"))],
  "later fragment": [null, ipv6("2c", "1100000800000001")],
  sctp: [null, ipv6("84", "00".repeat(12))],
};
const FRAMES: Readonly<Record<Protocol, string>> = {
  arp: ARP,
  icmp: ipv4("01"),
  tcp: ipv4("06"),
  udp: ipv4("11"),
  ipv6: `${ETH}86dd${"00".repeat(40)}`,
  other: ipv4("2f"),
  nd: ipv6("3a", SOLICITATION),
};

function filter(protocols: readonly Protocol[], ...hosts: readonly string[]): Int32Array {
  const words = new Int32Array(FILTER_WORDS);
  setFilter(words, protocols, new Set(hosts.map((host) => parseIp(host)!)));
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
      // What is neighbour discovery is IPv6 as well.
      const isWanted = name === protocol || (name === "nd" && protocol === "ipv6");
      expect(meant(words, frame), name).toBe(isWanted);
      expect(meant(words, tagged(frame)), name).toBe(isWanted);
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

  it.each(Object.entries(OF_IPV6))(
    "of IPv6, %s is of its protocol, and what is asked for in it a host",
    (name, [own, frame]) => {
      for (const protocol of PROTOCOLS) {
        const isWanted = protocol === own || protocol === "ipv6";
        expect(meant(filter([protocol]), frame), protocol).toBe(isWanted);
        expect(meant(filter([protocol]), tagged(frame)), protocol).toBe(isWanted);
      }
      const hasTarget = name === "solicitation" || name === "advertisement";
      for (const [host, isWanted] of [
        ["2001:db8:10::11", true],
        ["2001:db8:10::12", true],
        ["2001:db8:10::13", hasTarget],
        ["2001:db8:10::14", false],
        ["32.1.13.184", false],
      ] as const) {
        expect(meant(filter([], host), frame), host).toBe(isWanted);
        expect(meant(filter([], "9.9.9.9", "2001:db8:99::1", host), frame), host).toBe(isWanted);
        expect(meant(filter(own === null ? ["ipv6"] : [own], host), frame), host).toBe(isWanted);
      }
      // Nothing behind its end is read.
      for (let bytes = 0; bytes < frame.length / 2; bytes++)
        meant(filter([], "2001:db8:10::13"), frame.slice(0, 2 * bytes));
      const cut = ipv6("3a", SOLICITATION.slice(0, 46));
      expect(meant(filter([], "2001:db8:10::13"), cut)).toBe(false);
    },
  );

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
