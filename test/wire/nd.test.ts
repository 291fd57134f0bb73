/** Neighbour discovery: golden bytes by hand, whatever is cut, and round trips. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checksum6 } from "../../src/wire/icmp6.ts";
import {
  ALL_NODES,
  ALL_ROUTERS,
  emitAdvertisement,
  emitRouterSolicitation,
  emitSolicitation,
  finishNd,
  groupMac,
  ND_MAX_BYTES,
  type NdEnvelope,
  parseNd,
  solicitedNode,
} from "../../src/wire/nd.ts";
import {
  parseRouterAdvertisement,
  type RouterAdvertisement,
  writeRouterAdvertisement,
} from "../../src/wire/router-advertisement.ts";
import { dirty, fromHex, toHex } from "./hex.ts";

const M1 = 0x020000000111;
const G = 0x024f2000000a;
const NET = 0x20010db8_0010_0000_0000_0000_0000_0000n;
const VM1 = NET | 0x11n;
const VM4 = NET | 0x12n;
const FE80 = 0xfe80n << 112n;

/** Sums by an independent calculation: pseudo-header and message, in words of 16 bits. */
function withSum(text: string): string {
  const hex = text.replaceAll(/\s/g, "");
  const length = (hex.length - 108) / 2;
  const words = hex.replace("CCCC", "0000").slice(44).match(/..../g)!;
  let sum = words.reduce((a, word) => a + Number.parseInt(word, 16), length + 58);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return hex.replace("CCCC", (~sum & 0xffff).toString(16).padStart(4, "0"));
}

const v11 = "20010db8001000000000000000000011";
const v12 = "20010db8001000000000000000000012";
const SOLICITATION = withSum(`3333ff000012 020000000111 86dd 60000000 0020 3a ff ${v11}
  ff0200000000000000000001ff000012 8700 CCCC 00000000 ${v12} 0101 020000000111`);
const PROBE = withSum(`3333ff000012 020000000111 86dd 60000000 0020 3a ff ${"00".repeat(16)}
  ff0200000000000000000001ff000012 8700 CCCC 00000000 ${v12} 0e01 a1a2a3a4a5a6`);
const ADVERTISEMENT = withSum(`020000000111 024f2000000a 86dd 60000000 0020 3a ff ${v12} ${v11}
  8800 CCCC 60000000 ${v12} 0201 024f2000000a`);
const ROUTER_SOLICITATION = withSum(`333300000002 020000000111 86dd 60000000 0010 3a ff fe800000000000000000000000000111
  ff020000000000000000000000000002 8500 CCCC 00000000 0101 020000000111`);
const REDIRECT = withSum(`020000000111 024f2000000a 86dd 60000000 0030 3a ff fe800000000000000000000000000001 ${v11}
  8900 CCCC 00000000 fe800000000000000000000000000002 20010db8ffff00000000000000000001 0201 020000000222`);
const ADVERTISED = withSum(`333300000001 024f2000000a 86dd 60000000 0078 3a ff fe800000000000000000000000000001
  ff020000000000000000000000000001 8600 CCCC 40 c8 0708 00000000 00000000
  0101 024f2000000a 0501 0000 000005aa
  0304 40 c0 00278d00 00093a80 00000000 20010db8001000000000000000000000
  1903 0000 00000258 20010db8000000000000000000000053
  1f04 0000 00000258 036c6162 076578616d706c65 00 02626300 00000000000000`);

const envelope = (ethDst: number, ethSrc: number, src: bigint, dst: bigint): NdEnvelope => ({
  ethDst,
  ethSrc,
  src,
  dst,
});

function emitted(emit: (bytes: Uint8Array) => number): string {
  const bytes = dirty(3 + 400);
  const length = emit(bytes);
  expect(toHex(bytes, 0, 3) + toHex(bytes, 3 + length)).toBe("a5".repeat(403 - length));
  return toHex(bytes, 3, 3 + length);
}

const SAID: Omit<RouterAdvertisement, "type"> = {
  ...{ hopLimit: 64, managed: true, other: true, preference: "high", lifetimeSeconds: 1800, mac: G, mtu: 1450 },
  prefixes: [
    { network: NET, length: 64, onLink: true, autonomous: true, validSeconds: 2592000, preferredSeconds: 604800 },
  ],
  ...{ dns: [(0x20010db8n << 96n) | 0x53n], search: ["lab.example", "bc"], dnsSeconds: 600 },
};

describe("golden bytes", () => {
  const group = groupMac(solicitedNode(VM4));
  it("neighbour solicitation", () => {
    const around = envelope(group, M1, VM1, solicitedNode(VM4));
    const said = { target: VM4, mac: M1, nonce: null };
    expect(emitted((b) => emitSolicitation(b, 3, around, said))).toBe(SOLICITATION);
    expect(parseNd(fromHex(SOLICITATION), 0, 86)).toEqual({ ...around, type: 135, ...said });
  });

  it("a probe: no sender, its nonce", () => {
    const around = envelope(group, M1, 0n, solicitedNode(VM4));
    const said = { target: VM4, mac: null, nonce: fromHex("a1a2a3a4a5a6") };
    expect(emitted((b) => emitSolicitation(b, 3, around, said))).toBe(PROBE);
    expect(parseNd(fromHex(PROBE), 0, 86)).toEqual({ ...around, type: 135, ...said });
  });

  it("neighbour advertisement, with bytes behind it", () => {
    const around = envelope(M1, G, VM4, VM1);
    const said = { target: VM4, isRouter: false, isSolicited: true, isOverride: true, mac: G };
    expect(emitted((b) => emitAdvertisement(b, 3, around, said))).toBe(ADVERTISEMENT);
    const padded = fromHex(`${ADVERTISEMENT}eeeeee`);
    expect(parseNd(padded, 0, padded.length)).toEqual({ ...around, type: 136, ...said });
  });

  it("each flag of an advertisement is one bit", () => {
    for (const [flag, first] of [
      ["isRouter", "80"],
      ["isSolicited", "40"],
      ["isOverride", "20"],
    ] as const) {
      const said = { target: VM4, isRouter: false, isSolicited: false, isOverride: false, mac: null, [flag]: true };
      const text = emitted((b) => emitAdvertisement(b, 3, envelope(M1, G, VM4, VM1), said));
      expect(text.slice(116, 124)).toBe(`${first}000000`);
    }
  });

  it("router solicitation", () => {
    const around = envelope(groupMac(ALL_ROUTERS), M1, FE80 | 0x111n, ALL_ROUTERS);
    expect(emitted((b) => emitRouterSolicitation(b, 3, around, { mac: M1 }))).toBe(ROUTER_SOLICITATION);
    expect(parseNd(fromHex(ROUTER_SOLICITATION), 0, 70)).toEqual({ ...around, type: 133, mac: M1 });
  });

  it("redirect", () => {
    const around = envelope(M1, G, FE80 | 1n, VM1);
    const said = { type: 137, target: FE80 | 2n, destination: (0x20010db8_ffffn << 80n) | 1n, mac: 0x020000000222 };
    expect(parseNd(fromHex(REDIRECT), 0, REDIRECT.length / 2)).toEqual({ ...around, ...said });
  });

  it("router advertisement with all its options", () => {
    const around = envelope(groupMac(ALL_NODES), G, FE80 | 1n, ALL_NODES);
    expect(emitted((b) => finishNd(b, 3, writeRouterAdvertisement(b, 57, SAID), around))).toBe(ADVERTISED);
    expect(parseNd(fromHex(ADVERTISED), 0, ADVERTISED.length / 2)).toEqual({ ...around, type: 134, ...SAID });
  });
});

const ALL = [SOLICITATION, PROBE, ADVERTISEMENT, ROUTER_SOLICITATION, REDIRECT, ADVERTISED];

/** `text` with other bytes at `at` of the packet, sum made right again. */
function changed(text: string, at: number, bytes: string): Uint8Array {
  const cut = text.slice(0, 28 + 2 * at) + bytes + text.slice(28 + 2 * at + bytes.length);
  return fromHex(withSum(`${cut.slice(0, 112)}CCCC${cut.slice(116)}`));
}

describe("what a receiver must not take", () => {
  const refused = (bytes: Uint8Array) => parseNd(bytes, 0, bytes.length);
  it.each([
    ["hop limit 254", changed(SOLICITATION, 7, "fe")],
    ["a code", changed(SOLICITATION, 41, "01")],
    ["a wrong sum", fromHex(SOLICITATION.replace(/.$/, (x) => (x === "0" ? "1" : "0")))],
    ["the target a group", changed(SOLICITATION, 48, "ff02")],
    ["an option of no length", changed(SOLICITATION, 65, "00")],
    ["an option that is longer than the message", changed(SOLICITATION, 65, "02")],
    ["a source that is a group", changed(SOLICITATION, 8, "ff02")],
    ["a probe with a source link-layer option", changed(PROBE, 64, "01")],
    ["a probe to all nodes", changed(PROBE, 24, "ff020000000000000000000000000001")],
    ["a solicited advertisement to a group", changed(ADVERTISEMENT, 24, "ff020000000000000000000000000001")],
    ["an advertisement from ::", changed(ADVERTISEMENT, 8, "00".repeat(16))],
    ["a router's from a global address", changed(ADVERTISED, 8, v11)],
    ["a redirect from one", changed(REDIRECT, 8, v11)],
    ["a redirect of a group", changed(REDIRECT, 64, "ff02")],
    ["a router solicitation from :: with its MAC", changed(ROUTER_SOLICITATION, 8, "00".repeat(16))],
    ["an echo request", changed(SOLICITATION, 40, "80")],
    ["a fragment", fromHex(SOLICITATION.replace("3aff2001", "2cff2001"))],
    ["IPv4", fromHex(SOLICITATION.replace("86dd6", "08004"))],
  ])("%s", (_, bytes) => expect(refused(bytes)).toBeNull());

  it("a payload length that says more, or less, than there is", () => {
    for (const text of ALL) {
      const whole = fromHex(text);
      for (let length = 0; length < 0x100; length++) {
        const bytes = whole.slice();
        bytes[19] = length;
        const isSame = length === whole[19];
        // A sum over another length is wrong, but for one in 65,536.
        expect(parseNd(bytes, 0, bytes.length) !== null, `${text.slice(108, 110)} ${length}`).toBe(isSame);
      }
    }
  });

  it("every truncation, with its length and sum made right", () => {
    for (const text of ALL) {
      const isWhole = (length: number) => {
        const bytes = fromHex(text).slice(0, 54 + length);
        bytes[18] = 0;
        bytes[19] = length;
        if (length >= 4) {
          bytes[56] = 0;
          bytes[57] = 0;
          const sum = ~checksum6(bytes, 14, length) & 0xffff;
          bytes[56] = sum >> 8;
          bytes[57] = sum;
        }
        return parseNd(bytes, 0, bytes.length) !== null;
      };
      const whole = text.length / 2 - 54;
      // Cut between two options, it is a whole message with fewer of them.
      const ends = { "87": [24], "88": [24], "85": [8], "89": [40], "86": [16, 24, 32, 64, 88] }[text.slice(108, 110)]!;
      for (let length = 0; length <= whole; length++)
        expect(isWhole(length), `${text.slice(108, 110)} ${length}`).toBe(ends.includes(length) || length === whole);
      for (let end = 0; end < text.length / 2; end++) expect(parseNd(fromHex(text), 0, end)).toBeNull();
    }
  });

  it("every length of every option ends or is refused, and nothing is read behind the end", () => {
    for (const text of ALL)
      for (let at = 0; at < text.length / 2 - 54; at++)
        for (const value of [0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 31, 63, 127, 128, 255]) {
          const bytes = changed(text, 40 + at, value.toString(16).padStart(2, "0"));
          const longer = new Uint8Array([...bytes, ...dirty(64)]);
          expect(parseNd(longer, 0, bytes.length)).toEqual(parseNd(bytes, 0, bytes.length));
        }
  });

  it("bytes at random", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (rest) => {
        const bytes = fromHex(SOLICITATION.slice(0, 108) + toHex(rest));
        bytes[18] = 0;
        bytes[19] = rest.length;
        expect(() => parseNd(bytes, 0, bytes.length)).not.toThrow();
        expect(() => parseRouterAdvertisement(rest, 0, rest.length)).not.toThrow();
      }),
    );
  });
});

describe("round trips", () => {
  const macs = fc.integer({ min: 0, max: 0xffffffffffff });
  const ips = fc.bigInt({ min: 1n, max: (0xfen << 120n) - 1n });
  it("what is said is heard", () => {
    fc.assert(
      fc.property(
        macs,
        macs,
        ips,
        ips,
        ips,
        fc.uint8Array({ minLength: 6, maxLength: 6 }),
        fc.nat(7),
        (a, b, src, dst, target, nonce, bits) => {
          const bytes = dirty(ND_MAX_BYTES);
          const around = envelope(a, b, src, dst);
          const asked = { target, mac: b, nonce };
          expect(parseNd(bytes, 0, emitSolicitation(bytes, 0, around, asked))).toEqual({
            ...around,
            type: 135,
            ...asked,
          });
          const flags = { isRouter: (bits & 4) !== 0, isSolicited: (bits & 2) !== 0, isOverride: (bits & 1) !== 0 };
          const said = { target, ...flags, mac: a };
          expect(parseNd(bytes, 0, emitAdvertisement(bytes, 0, around, said))).toEqual({
            ...around,
            type: 136,
            ...said,
          });
        },
      ),
    );
  });

  it("a nonce of any length that hosts send is kept whole; one of more than 30 bytes is not", () => {
    const bytes = dirty(300);
    for (const length of [6, 14, 30]) {
      const nonce = new Uint8Array(length).fill(0xcc);
      const said = { target: VM4, mac: null, nonce };
      const end = emitSolicitation(bytes, 0, envelope(groupMac(solicitedNode(VM4)), M1, 0n, solicitedNode(VM4)), said);
      expect(parseNd(bytes, 0, end)).toMatchObject({ nonce });
    }
    const long = changed(`${PROBE.slice(0, 36)}0048${PROBE.slice(40, 156)}0e06${"ab".repeat(46)}`, 4, "0048");
    expect(parseNd(long, 0, long.length)).toMatchObject({ type: 135, nonce: null });
  });

  it("groups: of an address, and their MACs", () => {
    expect(solicitedNode(0xfe80_0000_0000_0000_0000_00ff_fe12_3456n)).toBe((0xff02n << 112n) | 0x1_ff12_3456n);
    expect(groupMac(ALL_NODES).toString(16)).toBe("333300000001");
    expect(groupMac(solicitedNode(VM4)).toString(16)).toBe("3333ff000012");
  });
});
