/**
 * A hostile tenant behind a kernel VXLAN peer on this host: it owns a packet socket, and its peer's kernel hands what it sends
 * to our socket whole, segment size and all. What its super-frame says inside must never be read as VXLAN headers.
 *
 *     vm1 - TAP -+- vtepd (gw1) --- veth, MTU 1500 --- vx10 - br10 - vmk1        VXLAN 10, 10.1.1.0/24
 *     vm2 - TAP -+                                     vx20 - br20 - vmk2        VXLAN 20, 10.1.2.0/24
 *
 * And the honest traffic that looks most like it: two VNIs whose datagrams a receiving kernel joins into one.
 */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Features, MacEntry } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { inside } from "../../src/lab/namespace.ts";
import { must } from "../../src/lab/process.ts";
import { setU16 } from "../../src/wire/bytes.ts";
import { ETH_BYTES } from "../../src/wire/ethernet.ts";
import { IPV4_BYTES, pseudoSum, setHeaderChecksum } from "../../src/wire/ipv4.ts";
import { udpFrame } from "../dataplane/packets.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "../netns/gateways.ts";
import { setWire, WIRES } from "../netns/offloads.ts";
import { ip, mac, marked } from "../netns/raw-frames.ts";
import { countFrames, type Dump, openDump, ping, transfer } from "../netns/traffic.ts";

const missing = whyNoGateways("ethtool", "python3", "tcpdump");
const SCRIPT = fileURLToPath(new URL("../netns/super-send.py", import.meta.url));

const SITES = [1, 2] as const;
const vm = (site: number) => ({ address: `10.1.${site}.11`, mac: `02:00:00:00:0${site}:11` });
const vmk = (site: number) => ({ address: `10.1.${site}.12`, mac: `02:00:00:00:0${site}:12` });
const FORGED = "02:66:66:66:66:66";
const GSO_UDP_L4 = 5;
const L4_AT = ETH_BYTES + IPV4_BYTES;
const SEGMENT = 200;

function vxlan(vni: number, inner: Uint8Array, bytes = SEGMENT): Uint8Array {
  const packet = new Uint8Array(bytes);
  packet.set([8, 0, 0, 0, vni >> 16, vni >> 8, vni, 0]);
  packet.set(inner, 8);
  return packet;
}

/** A tenant's UDP super-frame, with VXLAN packets of VNI `vni` wherever a cut at SEGMENT would begin. */
function forgery(vni: number, claimed: number): Uint8Array {
  const pieces = 6;
  const frame = udpFrame({
    dst: mac(vm(1).mac),
    src: mac(vmk(1).mac),
    from: ip(vmk(1).address),
    to: ip(vm(1).address),
    payload: pieces * SEGMENT - 8 - L4_AT - 8,
  });
  for (let i = 1; i < pieces; i++)
    frame.set(vxlan(vni, marked(mac("ff:ff:ff:ff:ff:ff"), mac(FORGED), i)), i * SEGMENT - 8);
  claim(frame, claimed);
  return frame;
}

/** Say that a UDP packet is so long, its checksum unfinished. */
function claim(frame: Uint8Array, bytes: number): void {
  setU16(frame, ETH_BYTES + 2, bytes);
  setHeaderChecksum(frame, ETH_BYTES);
  setU16(frame, L4_AT + 4, bytes - IPV4_BYTES);
  setU16(frame, L4_AT + 6, pseudoSum(frame, ETH_BYTES, bytes - IPV4_BYTES));
}

describeReal(missing, "a hostile tenant behind the kernel's vxlan", () => {
  let gateways: Gateways;
  let gw1: Gateway;

  const feed = async (node: string, args: string[], lines: string[]) => {
    const [program, all] = inside(gateways.bed.name(node), "python3", [SCRIPT, ...args]);
    expect(await must(program, all, 20_000, lines.map((line) => `${line}\n`).join(""))).toBe(`${lines.length}\n`);
  };
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const attack = (...frames: Uint8Array[]) =>
    feed(
      "vmk1",
      ["device", "eth0"],
      frames.map((frame) => `${GSO_UDP_L4} ${SEGMENT} ${L4_AT} 6 ${hex(frame)}`),
    );
  /** Datagrams from the kernel peer's own address, cut by its kernel: what GRO would join. */
  const joined = (...packets: Uint8Array[]) =>
    feed("kp", ["udp", "192.0.2.2", "192.0.2.1"], [`${SEGMENT} ${packets.map(hex).join("")}`]);
  const forgedMacs = async () =>
    (await gw1.show<MacEntry>("mac")).filter((entry) => entry.mac.toLowerCase() === FORGED);
  const doubts = async () =>
    (await gw1.look<Features>("/v1/features")).fallbacks.find(({ cause }) => cause === "udp_gro_doubt")?.count ?? 0;

  async function startGateway(): Promise<void> {
    gw1 = await gateways.start("gw1", {
      underlay: { address: "192.0.2.1" },
      tunnels: [{ name: "kernel", remote: "192.0.2.2" }],
      vsis: SITES.map((site) => ({ name: `vsi${site}0`, vni: site * 10 })),
      acs: SITES.map((site) => ({
        name: `vm${site}`,
        vsi: `vsi${site}0`,
        tap: { device: "eth0", netns: gateways.bed.name(`vm${site}`) },
      })),
    });
  }

  beforeAll(async () => {
    gateways = await openGateways("hostile");
    const { bed } = gateways;
    for (const name of ["gw1", "kp", "vm1", "vm2", "vmk1", "vmk2"]) await bed.namespace(name);
    await bed.veth("gw1", "ul0", "kp", "ul0");
    await bed.ip("gw1", "addr add 192.0.2.1/24 dev ul0");
    await bed.ip("kp", "addr add 192.0.2.2/24 dev ul0");
    await startGateway();
    for (const site of SITES) {
      await bed.veth(`vmk${site}`, "eth0", "kp", `to-vmk${site}`, 1450);
      await bed.ip(
        "kp",
        `link add vx${site}0 type vxlan id ${site}0 dstport 4789 local 192.0.2.2 remote 192.0.2.1 udpcsum`,
        `link set dev vx${site}0 mtu 1450 up`,
      );
      await bed.bridge("kp", `br${site}`, [`to-vmk${site}`, `vx${site}0`]);
      await bed.ip(
        `vmk${site}`,
        `link set dev eth0 address ${vmk(site).mac}`,
        `addr add ${vmk(site).address}/24 dev eth0`,
      );
      await bed.ip(
        `vm${site}`,
        `link set dev eth0 address ${vm(site).mac} up`,
        `addr add ${vm(site).address}/24 dev eth0`,
      );
    }
  });
  afterAll(() => gateways?.remove());

  beforeEach(async () => {
    if (!gw1.isUp()) await startGateway();
    // Both sides known: nothing floods.
    for (const site of SITES)
      expect((await ping(gateways.bed, `vm${site}`, vmk(site).address)).ttls.length).toBeGreaterThan(0);
  });

  describe.each([
    ["one whole first segment", SEGMENT - 22],
    ["less than the first segment", 60],
    ["two segments", 2 * SEGMENT - 22],
    ["more than there is", 6 * SEGMENT],
  ])("a super-frame that claims the length of %s", (_, claimed) => {
    test("reaches no other VNI", { timeout: 30_000 }, async () => {
      let dump: Dump | undefined;
      try {
        dump = await openDump(gateways.bed, "vm2", "eth0");
        const before = (await gw1.drops()).gso_bad ?? 0;
        await attack(...Array.from({ length: 20 }, () => forgery(20, claimed)));
        // What comes behind it has gone the same way.
        expect((await ping(gateways.bed, "vmk2", vm(2).address)).ttls.length).toBeGreaterThan(0);
        await dump.stop();
        expect(await countFrames(dump.file, `ether src ${FORGED}`)).toBe(0);
        expect(await forgedMacs()).toEqual([]);
        expect((await gw1.drops()).gso_bad ?? 0).toBeGreaterThan(before);
      } finally {
        await dump?.stop().catch(() => {});
        await gw1.stop();
      }
    });
  });

  const udp = (site: number, port: number, claimed = SEGMENT - 22) => {
    const frame = udpFrame({
      dst: mac(vm(site).mac),
      src: mac(vmk(site).mac),
      from: ip(vmk(site).address),
      to: ip(vm(site).address),
      sport: port,
      payload: SEGMENT - 8 - L4_AT - 8,
    });
    if (claimed !== SEGMENT - 22) claim(frame, claimed);
    return vxlan(site * 10, frame);
  };
  /** Frames with these source ports that a machine sees while `act` runs, and the longest of them. */
  async function seen(site: number, ports: string, act: () => Promise<void>): Promise<[count: number, bytes: number]> {
    const dump = await openDump(gateways.bed, `vm${site}`, "eth0", `udp src portrange ${ports}`, "in");
    try {
      await act();
      await ping(gateways.bed, `vmk${site}`, vm(site).address);
    } finally {
      await dump.stop();
    }
    const count = await countFrames(dump.file, "udp");
    let bytes = 0;
    for (const length of [SEGMENT - 8, 2 * SEGMENT])
      if ((await countFrames(dump.file, `greater ${length}`)) > 0) bytes = length;
    return [count, bytes];
  }

  test("datagrams of one VNI that a kernel joined are told apart, whatever the first says it is", async () => {
    const act = () => joined(udp(2, 4000, 3 * SEGMENT - 22), udp(2, 4001), udp(2, 4002));
    // The first is a datagram of 192 bytes that says it has 578: it goes as it is, and takes no other frame's bytes with it.
    expect(await seen(2, "4000-4002", act)).toEqual([3, SEGMENT - 8]);
    expect(await gw1.drops()).not.toHaveProperty("gso_bad");
    expect(await doubts()).toBe(0);
    await gw1.stop();
  });

  test("of two VNIs, they are refused, and then the kernel cuts them", { timeout: 60_000 }, async () => {
    const rounds = 30;
    const [count, bytes] = await seen(2, "4000-4002", async () => {
      // The first claims all the others: none of its VNI may read those of another.
      await joined(udp(1, 4000, 3 * SEGMENT - 22), udp(2, 4001), udp(2, 4002));
      await until("the doubt", 5000, async () => (await doubts()) === 1);
      expect(await gw1.drops()).toMatchObject({ gso_bad: 3 });
      for (let i = 0; i < rounds; i++) await joined(udp(1, 4000), udp(2, 4001), udp(2, 4002));
    });
    const refused = (await doubts()) - 1;
    expect([count, bytes]).toEqual([2 * (rounds - refused), SEGMENT - 8]);
    // The pauses double: 1, 2, 4 s.
    expect(refused).toBeLessThanOrEqual(3);
    await gw1.stop();
  });

  test("two VNIs over a wire that joins: nothing is lost, nothing refused", { timeout: 120_000 }, async () => {
    await setWire(gateways.bed, WIRES[2]!, [
      ["gw1", "ul0"],
      ["kp", "ul0"],
    ]);
    for (const [from, to, address] of [
      ["vmk", "vm", vm],
      ["vm", "vmk", vmk],
    ] as const) {
      const all = await Promise.all(
        [1, 2, 1, 2].map((site) =>
          transfer(gateways.bed, `${from}${site}`, `${to}${site}`, address(site).address, 24 << 20, 60_000),
        ),
      );
      for (const { sent, got } of all) expect(got).toEqual(sent);
    }
    expect(Object.keys(await gw1.drops()).filter((reason) => reason !== "flood_disabled")).toEqual([]);
    expect(await doubts()).toBe(0);
  });
});

describeReal(missing, "two gateways that carry many VNIs to each other", () => {
  const VNIS = [1, 2, 3, 4];
  let gateways: Gateways;
  let both: Gateway[];

  beforeAll(async () => {
    gateways = await openGateways("manyvnis");
    const { bed } = gateways;
    for (const end of [1, 2]) {
      await bed.namespace(`gw${end}`);
      for (const vni of VNIS) await bed.namespace(`vm${end}${vni}`);
    }
    await bed.veth("gw1", "ul0", "gw2", "ul0");
    both = await Promise.all(
      [1, 2].map(async (end) => {
        await bed.ip(`gw${end}`, `addr add 192.0.2.${end}/24 dev ul0`);
        return await gateways.start(`gw${end}`, {
          underlay: { address: `192.0.2.${end}`, sourcePorts: { count: 2 } },
          tunnels: [{ name: "other", remote: `192.0.2.${3 - end}` }],
          vsis: VNIS.map((vni) => ({ name: `vsi${vni}`, vni })),
          acs: VNIS.map((vni) => ({
            name: `vm${vni}`,
            vsi: `vsi${vni}`,
            tap: { device: "eth0", netns: bed.name(`vm${end}${vni}`) },
          })),
        });
      }),
    );
    for (const end of [1, 2])
      for (const vni of VNIS)
        await bed.ip(`vm${end}${vni}`, "link set dev eth0 up", `addr add 10.1.${vni}.${end}/24 dev eth0`);
  });
  afterAll(() => gateways?.remove());

  // Two source ports for all of them: what could be joined is joined.
  test.each(WIRES)("$name: nothing is lost, nothing refused", { timeout: 120_000 }, async (wire) => {
    const ends = [1, 2].map((end) => [`gw${end}`, "ul0"] as const);
    await setWire(gateways.bed, wire, ends);
    const all = await Promise.all(
      VNIS.flatMap((vni) =>
        [1, 2].map((end) =>
          transfer(gateways.bed, `vm${end}${vni}`, `vm${3 - end}${vni}`, `10.1.${vni}.${3 - end}`, 24 << 20, 90_000),
        ),
      ),
    );
    for (const { sent, got } of all) expect(got).toEqual(sent);
    for (const gateway of both) {
      expect(Object.keys(await gateway.drops()).filter((reason) => reason !== "flood_disabled")).toEqual([]);
    }
  });
});
