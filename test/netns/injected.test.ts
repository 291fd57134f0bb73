/**
 * What no well-behaved kernel sends, on real devices (L01-L03, W02, W04, A01): frames made byte for byte, from a guest's
 * packet socket and from the underlay, and who got them. dropped.test.ts has those that no host may get.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MacEntry } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import type { Arp } from "../../src/wire/arp.ts";
import { setI32 } from "../../src/wire/bytes.ts";
import { BROADCAST } from "../../src/wire/ethernet.ts";
import { arpFrame, tagged, tcpFrame } from "../dataplane/packets.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { GROUP, type InjectBed, openInjectBed, P1, REMOTE, REQUEST, VNIS } from "./inject-bed.ts";
import { ip, mac, marked, sendRaw } from "./raw-frames.ts";
import { countFrames, dissect, openDump } from "./traffic.ts";

const missing = whyNoGateways("tcpdump", "tshark", "python3", "ethtool");

const COUNT = 7;
const seven = <T>(make: (i: number) => T) => Array.from({ length: COUNT }, (_, i) => make(i));
const arp = (more: Partial<Arp>) => arpFrame({ ...REQUEST, ...more });

describeReal(missing, "frames that no kernel sends", () => {
  let own: InjectBed;
  let bed: InjectBed["bed"];
  let gw1: InjectBed["gw1"];
  let wrap: InjectBed["wrap"];
  let dropsOf: InjectBed["dropsOf"];
  let observe: InjectBed["observe"];
  beforeAll(async () => {
    own = await openInjectBed("inj");
    ({ bed, gw1, wrap, dropsOf, observe } = own);
  });
  afterAll(() => own?.gateways.remove());

  // ---- bridging ----------------------------------------------------------------------------------------------------

  test("a flood is one copy to each peer, a dead one too, and to each other AC; never back, never elsewhere (L01)", async () => {
    for (const dst of [mac("02:00:00:00:99:99"), BROADCAST, GROUP]) {
      const seen = await observe(async () => {
        const frames = seven((i) => marked(dst, P1, i));
        expect(await dropsOf(COUNT, () => sendRaw(bed, "p1", "eth0", frames))).toEqual({});
      });
      expect(seen).toMatchObject({ p1: 0, p2: COUNT, h1: 0, many: 0, two: COUNT, three: COUNT });
    }
  });

  test("one frame teaches where a MAC is; then only that peer gets what is for it (L02)", async () => {
    const learned = (via: string) => async () =>
      (await gw1.show<MacEntry>("mac")).some((entry) => mac(entry.mac) === REMOTE && entry.via?.name === via);
    await sendRaw(bed, "inj", "ul0", [wrap(marked(P1, REMOTE, 0), 30)]);
    await until("the MAC to be learned", 3000, learned("two"));
    const toIt = () =>
      sendRaw(
        bed,
        "p1",
        "eth0",
        seven((i) => marked(REMOTE, P1, i)),
      );
    const seen = await observe(() => dropsOf(COUNT, toIt));
    expect(seen).toMatchObject({ p2: 0, two: COUNT, three: 0 });
    // It moves: the next frame from elsewhere takes it along.
    await sendRaw(bed, "inj", "ul0", [wrap(marked(P1, REMOTE, 0), 30, { from: ip("192.0.2.3") })]);
    await until("the MAC to move", 3000, learned("three"));
    const moved = await observe(() => dropsOf(COUNT, toIt));
    expect(moved).toMatchObject({ p2: 0, two: 0, three: COUNT });
  });

  test("split horizon: what comes by a tunnel never leaves by one (L03)", async () => {
    for (const dst of [BROADCAST, GROUP, mac("02:00:00:00:99:98")]) {
      const frames = seven((i) => wrap(marked(dst, REMOTE, i), 30, { from: ip("192.0.2.3") }));
      const seen = await observe(() => dropsOf(COUNT, () => sendRaw(bed, "inj", "ul0", frames)));
      expect(seen).toMatchObject({ p1: COUNT, p2: COUNT, h1: 0, many: 0, two: 0, three: 0 });
      expect(await countFrames(seen.wire, "")).toBe(0);
    }
  });

  test("each VNI, the extreme ones too, both ways and to no other host (W02)", async () => {
    const host = (i: number) => mac(`02:00:00:00:0a:0${i}`);
    const outward = await observe(async () => {
      const frames = VNIS.map((_, i) => tagged(marked(BROADCAST, host(i), i), 101 + i));
      expect(await dropsOf(VNIS.length, () => sendRaw(bed, "many", "eth0", frames))).toEqual({});
    });
    expect(outward).toMatchObject({ p1: 0, p2: 0, h1: 0, many: 0, two: VNIS.length, three: 0 });
    const rows = await dissect(outward.wire, "vxlan", ["vxlan.vni", "eth.src"]);
    // Between flows no order is promised: they leave by different sockets.
    const sent = new Map(rows.map((row) => [Number(row["vxlan.vni"]![0]), mac(row["eth.src"]![1]!)]));
    expect(sent).toEqual(new Map(VNIS.map((vni, i) => [vni, host(i)])));
    const inward = await observe(async () => {
      const frames = VNIS.map((vni, i) => wrap(marked(BROADCAST, REMOTE, i), vni));
      expect(await dropsOf(VNIS.length, () => sendRaw(bed, "inj", "ul0", frames))).toEqual({});
    });
    expect(inward).toMatchObject({ p1: 0, p2: 0, h1: 0, many: VNIS.length, two: 0, three: 0 });
    const tags = await dissect(inward.manyFile, "vlan", ["vlan.id"]);
    expect(tags.map((row) => Number(row["vlan.id"]![0])).sort()).toEqual(VNIS.map((_, i) => 101 + i));
  });

  test("an absent and a right outer checksum pass, a wrong one never does (W04)", async () => {
    const snmp = async () => {
      const [names, values] = (await bed.must("gw1", "cat", ["/proc/net/snmp"]))
        .match(/^Udp: .*/gm)!
        .map((line) => line.split(" "));
      return Number(values![names!.indexOf("InCsumErrors")]);
    };
    const send = (checksum: "absent" | "right" | "wrong") =>
      sendRaw(
        bed,
        "inj",
        "ul0",
        seven((i) => wrap(marked(BROADCAST, REMOTE, i), 30, { checksum })),
      );
    const before = await snmp();
    const seen = await observe(async () => {
      expect(
        await dropsOf(2 * COUNT, async () => {
          await send("wrong");
          await send("absent");
          await send("right");
        }),
      ).toEqual({});
    });
    expect(seen).toMatchObject({ p1: 2 * COUNT, p2: 2 * COUNT });
    expect((await snmp()) - before).toBe(COUNT);
  });

  test("reserved VXLAN bits are ignored and counted, as the RFC says", async () => {
    const frames = seven((i) => wrap(marked(P1, REMOTE, i), 30, { flags: 0xf7ffffff | 0x08000000, reserved: 0xff }));
    const seen = await observe(async () => {
      expect(await dropsOf(COUNT, () => sendRaw(bed, "inj", "ul0", frames))).toEqual({});
    });
    expect(seen).toMatchObject({ p1: COUNT, two: 0, three: 0 });
  });

  test("a wrong inner checksum is never made right on the way (O03)", async () => {
    const segment = (i: number) => {
      const payload = 400;
      const frame = tcpFrame({ dst: P1, src: REMOTE, from: ip("1.1.1.1"), to: ip("2.2.2.2"), payload });
      // One flow in its order, as a coalescer likes it: the sequence number goes on, the checksum stays behind.
      setI32(frame, 38, 1 + i * payload);
      return wrap(frame, 30);
    };
    const dump = await openDump(bed, "p1", "eth0", "tcp", "in");
    const drops = await dropsOf(COUNT, () => sendRaw(bed, "inj", "ul0", seven(segment)));
    await dump.stop();
    const rows = await dissect(dump.file, "tcp", ["tcp.checksum.status", "tcp.len"]);
    // The first one has sequence number 1 and is right.
    expect(rows.filter((row) => ["1", "Good"].includes(row["tcp.checksum.status"]![0]!)).length).toBeLessThanOrEqual(1);
    expect(rows.map((row) => row["tcp.len"]![0])).toEqual(rows.map(() => "400"));
    expect(rows.length + (drops.csum_bad ?? 0)).toBe(COUNT);
  });

  // ---- ARP -----------------------------------------------------------------------------------------------------------

  test("the gateway's address gets one reply each and nothing else; an unused address gets none to a probe (A01, N3, N4)", async () => {
    const dump = await openDump(bed, "h1", "eth0", "arp", "in");
    const wire = await openDump(bed, "inj", "ul0", "src 192.0.2.1 and udp dst port 4789");
    await dropsOf(3, () =>
      sendRaw(
        bed,
        "h1",
        "eth0",
        [0, 1, 2].map(() => arp({ targetIp: ip("10.1.1.1") })),
      ),
    );
    await until("three replies", 2000, async () => (await countFrames(dump.file, "arp[6:2]=2").catch(() => 0)) === 3);
    // Nothing of it on the underlay; a probe for a free address is asked on, and not answered.
    expect(await countFrames(wire.file, "")).toBe(0);
    await dropsOf(1, () => sendRaw(bed, "h1", "eth0", [arp({ senderIp: 0, targetIp: ip("10.1.1.200") })]));
    await until(
      "the probe on the underlay",
      2000,
      async () => (await countFrames(wire.file, "udp[28:2]=0x0806").catch(() => 0)) >= 2,
    );
    await Promise.all([dump.stop(), wire.stop()]);
    const rows = await dissect(dump.file, "arp", [
      "arp.opcode",
      "eth.dst",
      "eth.src",
      "arp.src.hw_mac",
      "arp.src.proto_ipv4",
    ]);
    const text = await gw1.macOf("vsi10");
    expect(rows).toEqual(
      [0, 1, 2].map(() => ({
        "arp.opcode": ["2"],
        "eth.dst": ["02:00:00:00:01:11"],
        "eth.src": [text],
        "arp.src.hw_mac": [text],
        "arp.src.proto_ipv4": ["10.1.1.1"],
      })),
    );
    // A probe stays a probe: it has no sender address, and its MAC is ours.
    const probes = await dissect(wire.file, "arp", ["arp.src.proto_ipv4", "arp.src.hw_mac", "arp.dst.proto_ipv4"]);
    for (const probe of probes) {
      expect(probe).toEqual({
        "arp.src.proto_ipv4": ["0.0.0.0"],
        "arp.src.hw_mac": [text],
        "arp.dst.proto_ipv4": ["10.1.1.200"],
      });
    }
  });
});
