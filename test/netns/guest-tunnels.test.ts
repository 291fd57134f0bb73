/**
 * What guests do that a gateway need not understand: tunnels of their own, whose kernels leave the checksum unfinished further
 * inside than TCP or UDP, and TCP with very small segments. All of it from vm1 to vm4, through gw1 and gw2.
 */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { inside } from "../../src/lab/namespace.ts";
import { must } from "../../src/lab/process.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES, ETH_TYPE } from "../../src/wire/ethernet.ts";
import { IP_SRC, IPV4_BYTES, pseudoSum } from "../../src/wire/ipv4.ts";
import { l4IsRight, tcpFrame } from "../dataplane/packets.ts";
import { packet6 } from "../dataplane/packets6.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "./gateways.ts";
import { ip, mac } from "./raw-frames.ts";
import { openDump, ping, transfer } from "./traffic.ts";

const missing = whyNoGateways("python3", "tcpdump", "ethtool");
const SEND = fileURLToPath(new URL("super-send.py", import.meta.url));
const MEGABYTE = 1 << 20;
const MACHINES = [1, 2].map((end) => ({ name: `vm${end}`, address: `10.1.1.${end}`, mac: `02:00:00:00:00:0${end}` }));
const [VM1, VM2] = MACHINES as [(typeof MACHINES)[0], (typeof MACHINES)[0]];
const L4_AT = ETH_BYTES + IPV4_BYTES;

describeReal(missing, "guests' own tunnels and small segments", () => {
  let gateways: Gateways;
  let both: Gateway[];

  beforeAll(async () => {
    gateways = await openGateways("guests");
    const { bed } = gateways;
    for (const end of [1, 2]) for (const name of ["gw", "vm"]) await bed.namespace(`${name}${end}`);
    await bed.veth("gw1", "ul0", "gw2", "ul0");
    both = await Promise.all(
      MACHINES.map(async ({ name }, i) => {
        await bed.ip(`gw${i + 1}`, `addr add 192.0.2.${i + 1}/24 dev ul0`);
        return await gateways.start(`gw${i + 1}`, {
          underlay: { address: `192.0.2.${i + 1}` },
          tunnels: [{ name: "other", remote: `192.0.2.${2 - i}` }],
          vsis: [{ name: "vsi10", vni: 10, innerVlan: "keep" }],
          acs: [{ name, vsi: "vsi10", tap: { device: "eth0", netns: bed.name(name) } }],
        });
      }),
    );
    for (const { name, mac: own, address } of MACHINES)
      await bed.ip(name, `link set dev eth0 address ${own} up`, `addr add ${address}/24 dev eth0`);
    expect((await ping(bed, "vm1", VM2.address)).ttls.length).toBe(3);
  });
  afterAll(() => gateways?.remove());

  /** So many bytes both ways, whole, in seconds. */
  async function carry(address: (end: number) => string, bytes: number): Promise<number> {
    const startedMs = performance.now();
    for (const end of [1, 2]) {
      const { sent, got } = await transfer(gateways.bed, `vm${3 - end}`, `vm${end}`, address(end), bytes, 60_000);
      expect(sent.bytes).toBe(bytes);
      expect(got).toEqual(sent);
    }
    return (performance.now() - startedMs) / 1000;
  }
  const expectNothingBad = async () => {
    for (const gateway of both) expect(await gateway.drops()).not.toHaveProperty("gso_bad");
  };

  test.for([
    ["vxlan", "id 77 dstport 8472 udpcsum"],
    ["vxlan without a checksum", "id 78 dstport 8473 noudpcsum"],
    ["geneve", "id 79 udpcsum"],
  ] as const)("TCP through a VM's own %s", { timeout: 120_000 }, async ([kind, options], { skip }) => {
    const type = kind.split(" ")[0]!;
    const known = await gateways.bed.run("vm1", "ip", ["link", "add", "probe0", "type", type, "external"]);
    if (known.status !== 0) skip(`this kernel has no ${type}`);
    await gateways.bed.ip("vm1", "link del probe0");
    for (const end of [1, 2]) {
      const local = type === "vxlan" ? `local 10.1.1.${end}` : "";
      await gateways.bed.ip(
        `vm${end}`,
        `link add tun0 type ${type} remote 10.1.1.${3 - end} ${local} ${options}`,
        `addr add 172.31.0.${end}/24 dev tun0`,
        "link set dev tun0 mtu 1400 up",
      );
    }
    try {
      await carry((end) => `172.31.0.${end}`, 16 * MEGABYTE);
      await expectNothingBad();
    } finally {
      for (const end of [1, 2]) await gateways.bed.ip(`vm${end}`, "link del tun0");
    }
  });

  test.each([
    ["a second tag", [0x88, 0xa8, 0, 7, 0x08, 0x00]],
    ["MPLS", [0x88, 0x47, 0, 1, 0x01, 64]],
    ["PPPoE", [0x88, 0x64, 0x11, 0, 0, 1, 0, 142, 0, 0x21]],
  ])("a TCP checksum that %s hides is finished", async (_, wrapping) => {
    const plain = tcpFrame({
      dst: mac(VM2.mac),
      src: mac(VM1.mac),
      from: ip(VM1.address),
      to: ip(VM2.address),
      payload: 100,
    });
    expect(l4IsRight(plain)).toBe(true);
    const wrap = (packet: Uint8Array) =>
      Buffer.concat([packet.subarray(0, ETH_TYPE), Uint8Array.from(wrapping), packet.subarray(ETH_BYTES)]);
    const right = wrap(plain);
    const bytes = plain.length - L4_AT;
    setU16(plain, L4_AT + 16, pseudoSum(plain, ETH_BYTES, bytes));
    const unfinished = wrap(plain);
    expect(unfinished).not.toEqual(right);
    const start = L4_AT + wrapping.length - 2;
    const dump = await openDump(gateways.bed, "vm2", "eth0", `ether src ${VM1.mac}`, "in");
    const [program, args] = inside(gateways.bed.name("vm1"), "python3", [SEND, "device", "eth0"]);
    await must(program, args, 20_000, `0 0 ${start} 16 ${unfinished.toString("hex")}\n`);
    await ping(gateways.bed, "vm1", VM2.address);
    await dump.stop();
    const shown = await must("tcpdump", ["-n", "-xx", "-r", dump.file]);
    const seen = shown.replace(/^\s+0x[0-9a-f]+:|\s/gm, "");
    expect(seen).toContain(right.toString("hex"));
    await expectNothingBad();
  });

  test("a TCP super-frame behind a tag of 802.1ad arrives, all of its bytes", async () => {
    const frame = tcpFrame({
      ...{ dst: mac(VM2.mac), src: mac(VM1.mac), from: ip(VM1.address), to: ip(VM2.address) },
      ...{ flags: 0x10, payload: 1200 },
    });
    const payload = Buffer.from(frame.subarray(-1200)).toString("hex");
    setU16(frame, L4_AT + 16, pseudoSum(frame, ETH_BYTES, frame.length - L4_AT));
    const tag = Uint8Array.from([0x88, 0xa8, 0, 7, 0x08, 0x00]);
    const tagged = Buffer.concat([frame.subarray(0, ETH_TYPE), tag, frame.subarray(ETH_BYTES)]).toString("hex");
    const dump = await openDump(gateways.bed, "vm2", "eth0", `ether src ${VM1.mac}`, "in");
    const [program, args] = inside(gateways.bed.name("vm1"), "python3", [SEND, "device", "eth0"]);
    const GSO_TCPV4 = 1;
    await must(program, args, 20_000, `${GSO_TCPV4} 400 ${L4_AT + 4} 16 ${tagged}\n`);
    await ping(gateways.bed, "vm1", VM2.address);
    await dump.stop();
    const shown = await must("tcpdump", ["-n", "-xx", "-r", dump.file]);
    const seen = shown.replace(/^\s+0x[0-9a-f]+:|\s/gm, "");
    // In three packets, or joined to one again.
    for (const at of [0, 800, 1600]) expect(seen).toContain(payload.slice(at, at + 800));
    await expectNothingBad();
  });

  test.each([48, 64])("TCP with an MSS of %i is no trickle", { timeout: 120_000 }, async (mss) => {
    for (const end of [1, 2])
      await gateways.bed.ip(`vm${end}`, `route replace 10.1.1.0/24 dev eth0 src 10.1.1.${end} advmss ${mss}`);
    const bytes = 2 * MEGABYTE;
    const seconds = await carry((end) => `10.1.1.${end}`, bytes);
    console.log(`MSS ${mss}: ${((2 * bytes * 8) / seconds / 1e6).toFixed(2)} Mbit/s`);
    await expectNothingBad();
    // Refused as amplifiers, super-frames left 0.05 Mbit/s.
    expect((2 * bytes * 8) / seconds / 1e6).toBeGreaterThan(2);
  });

  test("a checksum field on a byte that the gateway has looked at is refused, not written: gso_bad", async () => {
    const { dst, src } = { dst: mac(VM2.mac), src: mac(VM1.mac) };
    // A later fragment that would become a first one, with a router advertisement behind; and a source address under a priority tag.
    const rest = Uint8Array.from([58, 0, 0, 8, 0, 0, 0, 1, 134, 0, 0, 0, ...new Uint8Array(12)]);
    const fragment = packet6({ dst, src, from: "fe80::1", to: "ff02::1", next: 44, rest, hops: 255 });
    const plain = tcpFrame({ dst, src, from: ip(VM1.address), to: ip(VM2.address), payload: 100 });
    const isTagged = Uint8Array.from([0x88, 0xa8, 0, 0, 0x08, 0x00]);
    const tagged = Buffer.concat([plain.subarray(0, ETH_TYPE), isTagged, plain.subarray(ETH_BYTES)]);
    const lines = [
      `0 0 ${ETH_BYTES + 40} 2 ${Buffer.from(fragment).toString("hex")}`,
      `0 0 ${ETH_BYTES + 6} ${IP_SRC} ${tagged.toString("hex")}`,
    ];
    const dump = await openDump(gateways.bed, "vm2", "eth0", `ether src ${VM1.mac} and not icmp`, "in");
    const before = (await both[0]!.drops()).gso_bad ?? 0;
    const [program, args] = inside(gateways.bed.name("vm1"), "python3", [SEND, "device", "eth0"]);
    await must(program, args, 20_000, `${lines.join("\n")}\n`);
    await until("both frames to be refused", 10_000, async () => (await both[0]!.drops()).gso_bad === before + 2);
    await dump.stop();
    const shown = await must("tcpdump", ["-n", "-xx", "-r", dump.file]);
    const seen = shown.replace(/^\s+0x[0-9a-f]+:|\s/gm, "");
    expect(seen).not.toContain(Buffer.from(fragment.subarray(0, ETH_BYTES + 40)).toString("hex"));
  });
});
