/**
 * vtepd as a plain L2 VTEP beside the kernel's own vxlan device (I01): a bridge with a vxlan port, and a machine behind it.
 *
 *     vm1 - TAP - vtepd (gw1) --- veth, MTU 1500 --- vx10 - br0 - veth - vmk        VXLAN 10, 10.1.1.0/24
 *
 * A veth as it comes hands the kernel's super-frames over whole and its checksums unfinished, so every offload of ours is put
 * to the test by a sender we did not write; on a wire there are packets of the MTU; without offloads the
 * same traffic must pass frame by frame. 200 MB with all offloads on the veth as it comes, 32 MB in the other combinations. "Zero loss" is meant: both
 * machines resolve each other before, and the kernel's counters must show no error.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MacEntry } from "../../src/api/schema.ts";
import { must } from "../../src/lab/process.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "../netns/gateways.ts";
import { ALL_OFF, setWire, WIRES } from "../netns/offloads.ts";
import { ping, transfer } from "../netns/traffic.ts";

const missing = whyNoGateways("ethtool");

const VM1 = { address: "10.1.1.11", mac: "02:00:00:00:01:11" };
const VMK = { address: "10.1.1.12", mac: "02:00:00:00:01:12" };
const MEGABYTE = 1 << 20;
/** What the kernel side is told: checksums, the flood entry alone or a remote of the device's own, TTL and DF. */
const KERNEL = [
  { name: "udpcsum, learning", options: "udpcsum", isStatic: false },
  {
    name: "noudpcsum, static entries, ttl 100, df set",
    options: "noudpcsum nolearning ttl 100 df set",
    isStatic: true,
  },
] as const;

describeReal(missing, "vtepd and the kernel's vxlan", () => {
  let gateways: Gateways;
  let gw1: Gateway;

  async function startGateway(offload: object): Promise<void> {
    gw1 = await gateways.start("gw1", {
      underlay: { address: "192.0.2.1", offload },
      tunnels: [{ name: "kernel", remote: "192.0.2.2" }],
      vsis: [{ name: "vsi10", vni: 10 }],
      acs: [{ name: "vm1", vsi: "vsi10", tap: { device: "eth0", netns: gateways.bed.name("vm1") } }],
    });
  }

  beforeAll(async () => {
    gateways = await openGateways("kernel");
    const { bed } = gateways;
    for (const name of ["gw1", "vm1", "kp", "vmk"]) await bed.namespace(name);
    await bed.veth("gw1", "ul0", "kp", "ul0");
    await bed.ip("gw1", "addr add 192.0.2.1/24 dev ul0");
    await bed.ip("kp", "addr add 192.0.2.2/24 dev ul0");
    await bed.veth("vmk", "eth0", "kp", "to-vmk", 1450);
    await bed.bridge("kp", "br0", ["to-vmk"]);
    await bed.ip("vmk", `link set dev eth0 address ${VMK.mac}`, `addr add ${VMK.address}/24 dev eth0`);
    await startGateway({});
    await bed.ip("vm1", `link set dev eth0 address ${VM1.mac} up`, `addr add ${VM1.address}/24 dev eth0`);
  });
  afterAll(() => gateways?.remove());

  describe.each([
    ["all offloads", undefined],
    ["no offloads", ALL_OFF],
  ] as const)("%s", (_, offload) => {
    beforeAll(async () => {
      if (offload === undefined) return;
      await gw1.stop();
      await startGateway(offload);
    });

    test.each(KERNEL)("kernel with $name", { timeout: 240_000 }, async ({ options, isStatic }) => {
      const { bed } = gateways;
      const learned = isStatic ? "" : " remote 192.0.2.1";
      await bed.run("kp", "ip", ["link", "del", "dev", "vx10"]);
      await bed.ip(
        "kp",
        `link add vx10 type vxlan id 10 dstport 4789 local 192.0.2.2${learned} ${options}`,
        "link set dev vx10 mtu 1450 master br0 up",
      );
      if (isStatic) {
        const bridge = (entry: string) => must("bridge", ["-n", bed.name("kp"), "fdb", "append", ...entry.split(" ")]);
        await bridge("00:00:00:00:00:00 dev vx10 dst 192.0.2.1");
        await bridge(`${VM1.mac} dev vx10 dst 192.0.2.1`);
      }
      for (const name of ["vm1", "vmk"]) await bed.ip(name, "neigh flush all");
      for (const [from, to] of [
        ["vm1", VMK],
        ["vmk", VM1],
      ] as const) {
        for (const length of [84, 1428, 1450]) {
          const { ttls, errors } = await ping(bed, from, to.address, {
            count: 5,
            length,
            df: "do",
            intervalSeconds: 0.02,
          });
          expect([from, length, ttls, errors]).toEqual([from, length, [64, 64, 64, 64, 64], []]);
        }
      }
      for (const wire of WIRES) {
        await setWire(bed, wire, [
          ["gw1", "ul0"],
          ["kp", "ul0"],
        ]);
        const amount = (offload === undefined && wire.isPassthrough && !isStatic ? 200 : 32) * MEGABYTE;
        for (const [from, to, address] of [
          ["vm1", "vmk", VMK.address],
          ["vmk", "vm1", VM1.address],
        ] as const) {
          const { sent, got } = await transfer(bed, from, to, address, amount, 60_000);
          expect([wire.name, from, sent.bytes]).toEqual([wire.name, from, amount]);
          expect(got).toEqual(sent);
        }
      }
      // A bridge neither routes nor hides: the machines know each other's own MACs, and so do both tables.
      expect(await gw1.show<MacEntry>("mac")).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ mac: VM1.mac, via: { kind: "ac", name: "vm1" } }),
          expect.objectContaining({ mac: VMK.mac, via: { kind: "tunnel", name: "kernel" } }),
        ]),
      );
      const shown = await must("ip", ["-n", bed.name("kp"), "-s", "-j", "link", "show", "dev", "vx10"]);
      const [{ stats64 }] = JSON.parse(shown) as [
        { stats64: { rx: Record<string, number>; tx: Record<string, number> } },
      ];
      expect([stats64.rx.errors, stats64.tx.errors]).toEqual([0, 0]);
      const snmp = await bed.must("gw1", "cat", ["/proc/net/snmp"]);
      const [names, values] = snmp.match(/^Udp: .*/gm)!.map((line) => line.split(" "));
      expect(values![names!.indexOf("InCsumErrors")]).toBe("0");
      expect(Object.keys(await gw1.drops()).filter((reason) => reason !== "flood_disabled")).toEqual([]);
    });
  });
});
