/** What neighbour discovery has and ARP has not: frames as messages and back, and the rules of behaviour.md §10 for it. */
import { describe, expect, it } from "vitest";
import { NdSpeaker } from "../../src/control/nd/speaker.ts";
import {
  type Announcement,
  announcement,
  answer,
  type Message,
  question,
} from "../../src/control/resolution/message.ts";
import { DROP, DROPS } from "../../src/tables/counters.ts";
import type { Mac } from "../../src/wire/ethernet.ts";
import { formatIpv6 } from "../../src/wire/ipv6.ts";
import {
  ALL_NODES,
  emitAdvertisement,
  emitSolicitation,
  groupMac,
  ND_MAX_BYTES,
  type Nd,
  type NdEnvelope,
  parseNd,
  solicitedNode,
} from "../../src/wire/nd.ts";
import { G10, M1, M3, M9, P10 } from "./agent-bed.ts";
import { SpeakerBed } from "./speaker-bed.ts";

const NET = 0x20010db8_0010_0000_0000_0000_0000_0000n;
const LINK = 0xfe80n << 112n;
const [US, A, B] = [NET | 1n, NET | 0x11n, NET | 0x12n];
const bedOf = (config: ConstructorParameters<typeof SpeakerBed>[2] = {}) =>
  new SpeakerBed(new NdSpeaker(), { address: US, network: NET, length: 64 }, config);

const frame = (write: (bytes: Uint8Array) => number) => {
  const bytes = new Uint8Array(ND_MAX_BYTES);
  return bytes.slice(0, write(bytes));
};
const asks = (
  src: bigint,
  target: bigint,
  more: { dst?: bigint; ethDst?: Mac; mac?: Mac | null; nonce?: Uint8Array; ethSrc?: Mac } = {},
) => {
  const { dst = solicitedNode(target), ethSrc = M1, nonce = null } = more;
  const { ethDst = groupMac(dst), mac = src === 0n ? null : ethSrc } = more;
  return frame((b) => emitSolicitation(b, 0, { ethDst, ethSrc, src, dst }, { target, mac, nonce }));
};
const tells = (
  target: bigint,
  dst: bigint,
  more: { ethDst?: Mac; mac?: Mac | null; isRouter?: boolean; src?: bigint; ethSrc?: Mac } = {},
) => {
  const { ethSrc = M1, src = target, isRouter = false } = more;
  const { ethDst = dst === ALL_NODES ? groupMac(dst) : P10, mac = ethSrc } = more;
  const flags = { isRouter, isSolicited: dst !== ALL_NODES, isOverride: true };
  return frame((b) => emitAdvertisement(b, 0, { ethDst, ethSrc, src, dst }, { target, ...flags, mac }));
};

describe("frames as messages", () => {
  const nonce = new Uint8Array([1, 2, 3, 4, 5, 6]);
  const envelope = { senderMac: M1, from: M1, to: null };
  it.each<readonly [string, Uint8Array, object]>([
    ["a solicitation is a question", asks(A, B), { kind: "question", sender: A, target: B, ...envelope }],
    [
      "to one host it is one, too",
      asks(A, B, { dst: B, ethDst: M3 }),
      { kind: "question", sender: A, target: B, to: M3 },
    ],
    [
      "without its option, the frame tells",
      asks(A, B, { dst: B, ethDst: M3, mac: null }),
      { kind: "question", senderMac: M1 },
    ],
    ["of a link-local asker", asks(LINK | 5n, B), { kind: "question", sender: LINK | 5n, target: B }],
    ["from :: it is a probe", asks(0n, B, { nonce }), { kind: "probe", sender: null, target: B, nonce, ...envelope }],
    [
      "an advertisement is an answer",
      tells(A, B),
      { kind: "answer", sender: A, target: B, senderMac: M1, to: P10, isRouter: false },
    ],
    ["a router's says so", tells(A, B, { isRouter: true }), { kind: "answer", isRouter: true }],
    ["to all it is an announcement", tells(A, ALL_NODES), { kind: "announcement", sender: A, target: A, ...envelope }],
    [
      "to all nodes in a frame to one host, it answers a probe",
      tells(A, ALL_NODES, { ethDst: P10 }),
      { kind: "answer", sender: A, target: null, to: P10 },
    ],
    ["its target is who it is about, whatever its source is", tells(A, B, { src: US }), { kind: "answer", sender: A }],
    ["whose source is not its sender tells both", asks(A, B, { ethSrc: M3, mac: M1 }), { senderMac: M1, from: M3 }],
  ])("%s", (_, bytes, message) => {
    expect(new NdSpeaker().parse(bytes)).toMatchObject(message);
  });

  it("router messages are none", () => {
    const bytes = asks(A, B);
    bytes[54] = 133;
    expect(new NdSpeaker().parse(bytes)).toBeNull();
  });

  it("only a solicitation to a group is held back where resolution is suppressed", () => {
    const isHeldBack = (bytes: Uint8Array) => new NdSpeaker().isHeldBack(bytes);
    expect(
      [asks(A, B), asks(0n, B), asks(A, B, { dst: B, ethDst: M3 }), tells(A, B), tells(A, ALL_NODES)].map(isHeldBack),
    ).toEqual([true, true, false, false, false]);
  });

  const emitted = (message: Message): Nd => {
    const bytes = new NdSpeaker().emit(message);
    return parseNd(bytes, 0, bytes.length)!;
  };
  const around = (nd: NdEnvelope) => `${formatIpv6(nd.src)} > ${formatIpv6(nd.dst)} ${nd.ethDst.toString(16)}`;

  it("what is said stands where RFC 4861 wants it", () => {
    expect(around(emitted(question(G10, null, A, B)))).toBe("2001:db8:10::11 > ff02::1:ff00:12 3333ff000012");
    expect(around(emitted(question(G10, M3, US, B)))).toBe(`2001:db8:10::1 > 2001:db8:10::12 ${M3.toString(16)}`);
    expect(around(emitted(question(G10, M3, null, B)))).toBe(`:: > ff02::1:ff00:12 ${M3.toString(16)}`);
    expect(emitted(question(G10, null, null, B, nonce))).toMatchObject({ mac: null, nonce });
    expect(emitted(question(G10, null, A, B))).toMatchObject({ mac: G10, nonce: null });
    const said = emitted(answer(G10, M1, B, A, { by: US }));
    expect(around(said)).toBe(`2001:db8:10::1 > 2001:db8:10::11 ${M1.toString(16)}`);
    expect(said).toMatchObject({ target: B, isRouter: false, isSolicited: true, isOverride: true, mac: G10 });
    const taken = emitted(answer(G10, M1, B, null, { by: US, isRouter: true }));
    expect(around(taken)).toBe(`2001:db8:10::1 > ff02::1 ${M1.toString(16)}`);
    expect(taken).toMatchObject({ isRouter: true, isSolicited: false, isOverride: true });
    expect(around(emitted(announcement(G10, B)))).toBe("2001:db8:10::12 > ff02::1 333300000001");
  });
});

describe("what is not believed", () => {
  const fateOf = (bytes: Uint8Array) => {
    const bed = bedOf();
    const plain = { flags: 0, gsoSize: 0, csumStart: 0, csumOffset: 0, units: 1, worker: 0, watchId: 0 };
    const fate = bed.resolution.handle({ bytes, port: bed.vm1.row, vsi: 1, ...plain });
    const defences = fate === DROP.nd_gw_spoof ? 1 : 0;
    expect([bed.sent().length, bed.neighbors.size]).toEqual([defences, 0]);
    return DROPS[fate - 1]?.[0];
  };
  const damaged = asks(A, B);
  damaged[60]! ^= 1;
  it.each<readonly [string, Uint8Array, string]>([
    ["a checksum that is wrong", damaged, "nd_malformed"],
    ["an option that tells another MAC than the frame", asks(A, B, { mac: M9 }), "nd_src_mismatch"],
    ["an advertisement with another MAC", tells(A, ALL_NODES, { mac: M9 }), "nd_src_mismatch"],
    ["a sender of another subnet", asks(NET | (9n << 64n), B), "nd_not_local"],
    ["a target of another subnet", asks(A, NET | (9n << 64n)), "nd_not_local"],
    ["::1", asks(1n, B), "nd_martian"],
    ["::ffff:10.1.1.1", asks(0xffff_0a01_0101n, B), "nd_martian"],
    ["the anycast address of the subnet's routers", asks(NET, B), "nd_martian"],
    ["our address", asks(US, B), "nd_gw_spoof"],
    ["our link-local address", tells(LINK | 1n, ALL_NODES), "nd_gw_spoof"],
  ])("%s", (_, bytes, reason) => expect(fateOf(bytes)).toBe(reason));
});

describe("the link's own addresses", () => {
  const VM = LINK | 0x111n;
  it("ours is answered for, and who asks with one is not learned", () => {
    const bed = bedOf();
    expect(bed.say(bed.vm1, question(M1, null, VM, LINK | 1n)).sent).toEqual(["vm1: answer G->M1 l:1 to l:111"]);
    expect(bed.say(bed.vm1, question(M1, null, null, LINK | 1n)).sent).toEqual(["vm1: answer G->M1 l:1 to -"]);
    expect(bed.neighbors.size).toBe(0);
  });

  it("a host's is neither proxied nor relayed", () => {
    const bed = bedOf();
    for (const port of [bed.vm1, bed.gw2]) {
      expect(bed.say(port, question(M1, null, VM, LINK | 0x112n)).sent).toEqual([]);
      expect(bed.say(port, question(M1, null, null, LINK | 0x112n)).sent).toEqual([]);
      expect(bed.say(port, announcement(M1, VM)).sent).toEqual([]);
    }
    expect(bed.neighbors.size).toBe(0);
  });

  it("who asks with one for an address of the subnet is answered; all sites are asked with the gateway's", () => {
    const bed = bedOf();
    expect(bed.say(bed.vm1, question(M1, null, VM, B)).sent).toEqual([
      "vm1: answer G->M1 12 to l:111",
      "all but vm1: question G->all l:1 to 12",
    ]);
    expect(bed.neighbors.size).toBe(0);
  });

  it("a gateway that asks for its next hop is heard at the ACs, and the answer goes back", () => {
    const bed = bedOf();
    expect(bed.say(bed.gw2, question(P10, null, LINK | 1n, LINK | 0x77n)).sent).toEqual([
      "acs but gw2: question G->all l:1 to l:77",
    ]);
    expect(bed.say(bed.vm1, answer(M1, G10, LINK | 0x77n, LINK | 1n)).sent).toEqual(["gw2: answer G->P l:77 to l:1"]);
    expect(bed.neighbors.find(bed.iface, LINK | 0x77n)!.place).toMatchObject({ mac: M1 });
  });
});

describe("what is passed on", () => {
  const heard = (bed: SpeakerBed, say: () => void) => {
    const all: Message[] = [];
    bed.onMessage = (message) => all.push(message);
    say();
    bed.sent();
    return all;
  };

  it("the nonce of a probe, and of a question", () => {
    const nonce = new Uint8Array([9, 8, 7, 6, 5, 4]);
    for (const sender of [null, A]) {
      const bed = bedOf();
      bed.hear(bed.vm1, question(M1, null, sender, B, nonce));
      expect(heard(bed, () => undefined).find(({ kind }) => kind !== "answer")).toMatchObject({
        nonce,
        senderMac: G10,
      });
      const far = bedOf();
      far.hear(far.gw2, question(P10, null, sender, B, nonce));
      expect(heard(far, () => undefined)).toMatchObject([{ nonce, senderMac: G10 }]);
    }
  });

  it("that a host is a router, as long as it says so", () => {
    const bed = bedOf();
    bed.hear(bed.gw2, question(P10, null, A, B));
    bed.hear(bed.vm3, answer(M3, G10, B, A, { isRouter: true }));
    expect(heard(bed, () => undefined).at(-1)).toMatchObject({ kind: "answer", isRouter: true, sender: B });
    bed.hear(bed.vm1, question(M1, null, A, B));
    expect(heard(bed, () => undefined)).toMatchObject([{ kind: "answer", isRouter: true }]);
    bed.hear(bed.vm3, question(M3, null, B, US));
    bed.hear(bed.vm1, question(M1, null, A, B));
    expect(heard(bed, () => undefined).at(-1)).toMatchObject({ kind: "answer", isRouter: true, sender: B });
    bed.hear(bed.vm3, announcement(M3, B, { isRouter: false }));
    bed.hear(bed.vm1, question(M1, null, A, B));
    expect(heard(bed, () => undefined).at(-1)).toMatchObject({ kind: "answer", isRouter: false, sender: B });
  });

  it("we are one, for our own addresses alone; an unknown host is not", () => {
    const bed = bedOf();
    bed.hear(bed.vm1, question(M1, null, A, US));
    bed.hear(bed.vm1, question(M1, null, A, B));
    bed.resolution.announceAt(bed.iface, bed.vm1, bed.inventory.vsi("vsi10")!);
    const said = heard(bed, () => undefined).filter(({ kind }) => kind === "answer" || kind === "announcement");
    expect(said.map((each) => [each.sender, (each as Announcement).isRouter])).toEqual([
      [US, true],
      [B, false],
      [US, true],
      [LINK | 1n, true],
    ]);
  });

  it("with suppression: the host's own MAC and R", () => {
    const bed = bedOf({ arp: "suppress" });
    bed.hear(bed.vm3, announcement(M3, B, { isRouter: true }));
    bed.hear(bed.vm1, question(M1, null, A, B));
    expect(heard(bed, () => undefined)).toMatchObject([{ kind: "answer", senderMac: M3, isRouter: true }]);
  });
});
