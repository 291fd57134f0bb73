/** DHCP messages: golden bytes by hand, the relay's option put in and taken out, and every cut. */
import { describe, expect, it } from "vitest";
import { BOOT_REQUEST, circuitOf, type Dhcp, readDhcp, withAgent, withoutAgent } from "../../src/wire/dhcp.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { dhcpMessage as message } from "./dhcp-message.ts";
import { fromHex as hex, toHex } from "./hex.ts";

const ip = (text: string) => parseIpv4(text)!;
const INFORMATION = { circuit: "vsi10/vm1", remote: "gw1", link: ip("10.1.1.0"), server: ip("10.1.1.1"), vrf: null };
/** Option 82 of INFORMATION, byte for byte: RFC 3046 §3.1, §3.2, RFC 3527 §3, RFC 5107 §4. */
const OPTION = "521c 0109 76736931302f766d31 0203 677731 0504 0a010100 0b04 0a010101".replaceAll(" ", "");

const DISCOVER = "350101 3702 0103 ff".replaceAll(" ", "");

describe("a DHCP message", () => {
  it("is read to its fields", () => {
    expect(readDhcp(message(DISCOVER))).toEqual({
      op: BOOT_REQUEST,
      hops: 0,
      xid: 0x12345678,
      isBroadcast: true,
      ciaddr: 0,
      yiaddr: 0,
      giaddr: 0,
      chaddr: 0x020000000011,
      type: 1,
      leaseSeconds: null,
      end: 247,
      agent: null,
    } satisfies Dhcp);
    expect(readDhcp(message("0000350105", { 12: "0a01010b", 16: "0a01010c", 24: "0a0101fb" }))).toMatchObject({
      ...{ ciaddr: ip("10.1.1.11"), yiaddr: ip("10.1.1.12"), giaddr: ip("10.1.1.251") },
      ...{ type: 5, end: 245 },
    });
  });

  it("is refused where it is no Ethernet client's, or its options do not parse", () => {
    const wrong = {
      short: message(DISCOVER).subarray(0, 239),
      "no cookie": message(DISCOVER, { 236: "00" }),
      "token ring": message(DISCOVER, { 1: "06" }),
      "long address": message(DISCOVER, { 2: "10" }),
      "a code alone": message("35"),
      "a length beyond the end": message("350301"),
      "a type of two bytes": message("35020101ff"),
      "option 82 in its file name": message("340101ff", { 108: "5203010141ff" }),
      "option 82 in its server name": message("340102ff", { 44: "0052000000" }),
      "an option beyond its file name": message("340103ff", { 108: "4380" }),
      "an overload of two bytes": message("34020101ff"),
      "two of option 82": message("5201005201 00ff".replace(" ", "")),
    };
    for (const [what, bytes] of Object.entries(wrong)) expect([what, readDhcp(bytes)]).toEqual([what, null]);
  });

  it("tells the VRF by name (RFC 6607 §3.3, §3.4), and leaves it out where option 82 has no room for it", () => {
    const from = message(DISCOVER);
    const agentOf = (more: object) =>
      readDhcp(withAgent(from, readDhcp(from)!, { ...INFORMATION, ...more }, 1400)!)!.agent!;
    expect(toHex(agentOf({ vrf: "red" }))).toBe(`${OPTION.slice(4)}9704007265649800`);
    const circuit = "c".repeat(127);
    const remote = "r".repeat(63);
    const without = agentOf({ circuit, remote });
    expect(agentOf({ circuit, remote, vrf: "v".repeat(255 - without.length - 5) }).length).toBe(255);
    expect(agentOf({ circuit, remote, vrf: "v".repeat(255 - without.length - 4) })).toEqual(without);
  });

  it("may have options in its names, and names that would be none", () => {
    expect(readDhcp(message("340103ff", { 44: "42023a3aff", 108: "437e" }))).toMatchObject({ end: 243 });
    expect(readDhcp(message("340101ff", { 44: "5203010141ff" }))).not.toBeNull();
    expect(readDhcp(message(DISCOVER, { 44: "5203010141ff", 108: "5203010141ff" }))).not.toBeNull();
  });

  it("gets option 82 behind its own, and is padded to what BOOTP demands", () => {
    const from = message(DISCOVER);
    const out = withAgent(from, readDhcp(from)!, INFORMATION, 1400)!;
    expect(out.length).toBe(300);
    expect(toHex(out.subarray(240, 278))).toBe(`${DISCOVER.slice(0, -2)}${OPTION}ff`.padEnd(76, "0"));
    const agent = readDhcp(out)!.agent!;
    expect(circuitOf(agent)).toBe("vsi10/vm1");
    expect(withAgent(from, readDhcp(from)!, INFORMATION, 277)).toBeNull();
    expect(withAgent(from, readDhcp(from)!, INFORMATION, 278)).not.toBeNull();
  });

  it("loses it again, wherever it stands", () => {
    const options = `350105${OPTION}36040a010101ff`;
    const reply = message(options, { 0: "02" });
    const out = withoutAgent(reply, readDhcp(reply)!);
    expect(toHex(out.subarray(240, 250))).toBe("35010536040a010101ff");
    expect(readDhcp(out)).toMatchObject({ agent: null, type: 5, end: 249 });
    expect(out.length).toBe(300);
    const without = message(DISCOVER);
    expect(withoutAgent(without, readDhcp(without)!)).toBe(without);
  });

  it("cut at any byte is read within its bytes, or not at all", () => {
    const whole = message(`350105${OPTION}36040a010101ff`);
    for (let length = 0; length <= whole.length; length++) {
      // Bytes behind it that must not be read.
      const bytes = whole.slice(0, length);
      const dhcp = readDhcp(bytes);
      if (dhcp === null) continue;
      expect(dhcp.end).toBeLessThanOrEqual(length);
      expect(readDhcp(withoutAgent(bytes, dhcp))).toMatchObject({ agent: null, type: dhcp.type });
    }
  });

  it("of random options never yields more than was there", () => {
    let seed = 42;
    const random = () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      return (seed >>> 16) & 0xff;
    };
    for (let round = 0; round < 3000; round++) {
      const options = Array.from({ length: random() % 40 }, () =>
        [82, 53, 0, 255, 1, 2, random()][random() % 7]!.toString(16).padStart(2, "0"),
      ).join("");
      const bytes = message(options);
      const dhcp = readDhcp(bytes);
      if (dhcp === null) continue;
      expect(dhcp.agent === null || dhcp.agent.byteOffset + dhcp.agent.length <= bytes.length).toBe(true);
      if (dhcp.agent !== null) circuitOf(dhcp.agent);
      const bare = withoutAgent(bytes, dhcp);
      expect(readDhcp(bare)?.agent).toBeNull();
      const again = withAgent(bare, readDhcp(bare)!, INFORMATION, 2000)!;
      expect(circuitOf(readDhcp(again)!.agent!)).toBe("vsi10/vm1");
    }
  });

  it("gives no circuit where the sub-options do not parse", () => {
    for (const [agent, circuit] of [
      ["", null],
      ["0104", null],
      ["010441424344", "ABCD"],
      ["020141 010142".replace(" ", ""), "B"],
      ["0201", null],
    ] as const)
      expect([agent, circuitOf(hex(agent))]).toEqual([agent, circuit]);
  });
});
