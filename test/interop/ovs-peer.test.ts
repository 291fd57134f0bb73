/**
 * vtepd as a plain L2 VTEP beside Open vSwitch's userspace datapath (I04): another implementation of the whole path, with
 * its own parser, its own ARP on the underlay and its own idea of the UDP checksum.
 *
 * Its userspace datapath takes neither super-frames nor unfinished checksums, so between the two there is a wire, never a veth
 * as it comes. 200 MB with all offloads of ours, 32 MB without and with csum=false.
 *
 *     vm1 - TAP - vtepd (gw1) --- veth --- br-phy | ovs | br-int - veth - vmo        VXLAN 10, 10.1.1.0/24
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "../netns/gateways.ts";
import { ALL_OFF, ALL_ON } from "../netns/offloads.ts";
import { ping, transfer } from "../netns/traffic.ts";
import { type Ovs, startOvs } from "./ovs.ts";

const missing = whyNoGateways("ovsdb-server", "ovsdb-tool", "ovs-vswitchd", "ovs-vsctl", "ovs-appctl", "ethtool");

const VM1 = "10.1.1.11";
const VMO = "10.1.1.12";
const MEGABYTE = 1 << 20;

describeReal(missing, "vtepd and Open vSwitch", () => {
  let gateways: Gateways;
  let gw1: Gateway;
  let ovs: Ovs;

  async function startGateway(offload: object): Promise<void> {
    gw1 = await gateways.start("gw1", {
      underlay: { address: "192.0.2.1", offload },
      tunnels: [{ name: "ovs", remote: "192.0.2.2" }],
      vsis: [{ name: "vsi10", vni: 10 }],
      acs: [{ name: "vm1", vsi: "vsi10", tap: { device: "eth0", netns: gateways.bed.name("vm1") } }],
    });
  }

  beforeAll(async () => {
    gateways = await openGateways("ovs");
    const { bed } = gateways;
    for (const name of ["gw1", "vm1", "peer", "vmo"]) await bed.namespace(name);
    await bed.veth("gw1", "ul0", "peer", "phy0");
    await bed.veth("vmo", "eth0", "peer", "to-vmo", 1450);
    // A netdev port is a packet socket: it neither finishes checksums nor cuts super-frames, so none may be left to it.
    for (const [name, device] of [
      ["gw1", "ul0"],
      ["peer", "phy0"],
      ["peer", "to-vmo"],
      ["vmo", "eth0"],
    ] as const) {
      await bed.must(name, "ethtool", ["-K", device, "tx", "off", "gso", "off", "tso", "off", "gro", "off"]);
    }
    await bed.ip("gw1", "addr add 192.0.2.1/24 dev ul0");
    await bed.ip("vmo", `addr add ${VMO}/24 dev eth0`);
    ovs = await startOvs(bed, "peer");
    for (const bridge of ["br-phy", "br-int"]) {
      await ovs.vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev");
    }
    await ovs.vsctl("add-port", "br-phy", "phy0");
    await bed.ip("peer", "addr add 192.0.2.2/24 dev br-phy", "link set dev br-phy up", "link set dev br-int up");
    await ovs.vsctl("add-port", "br-int", "to-vmo");
    await startGateway(ALL_ON);
    await bed.ip("vm1", "link set dev eth0 up", `addr add ${VM1}/24 dev eth0`);
  }, 90_000);
  afterAll(() => gateways?.remove());

  test.each([
    ["true", "on", "off"],
    ["true", "on", "on"],
    ["false", "on", "off"],
    ["true", "off", "off"],
  ])(
    "csum=%s, offloads %s, gro %s: ping and TCP with hashes, both ways",
    { timeout: 200_000 },
    async (csum, offload, gro) => {
      const { bed } = gateways;
      if (offload === "off") {
        await gw1.stop();
        await startGateway(ALL_OFF);
      }
      // Their packet socket wants what was on the wire; joining is for our side alone.
      await bed.must("gw1", "ethtool", ["-K", "ul0", "gro", gro]);
      const amount = (csum === "true" && offload === "on" && gro === "off" ? 200 : 32) * MEGABYTE;
      const options = [
        "options:remote_ip=192.0.2.1",
        "options:local_ip=192.0.2.2",
        "options:key=10",
        `options:csum=${csum}`,
      ];
      await ovs.vsctl(
        ...["--if-exists", "del-port", "br-int", "vx0", "--", "add-port", "br-int", "vx0"],
        ...["--", "set", "interface", "vx0", "type=vxlan", ...options],
      );
      await bed.ip("vm1", "neigh flush all");
      // The switch drops what it meets while it resolves the VTEP's MAC and rebuilds its flows around the new port.
      await until("the switch to have settled", 15_000, async () => {
        const both = [await ping(bed, "vmo", VM1, { waitSeconds: 1 }), await ping(bed, "vm1", VMO, { waitSeconds: 1 })];
        return both.every(({ ttls }) => ttls.length === 3);
      });
      for (const [from, target] of [
        ["vm1", VMO],
        ["vmo", VM1],
      ] as const) {
        for (const length of [84, 1428, 1450]) {
          const { ttls } = await ping(bed, from, target, { count: 5, length, df: "do", intervalSeconds: 0.02 });
          expect([from, length, ttls]).toEqual([from, length, [64, 64, 64, 64, 64]]);
        }
      }
      for (const [from, to, address] of [
        ["vm1", "vmo", VMO],
        ["vmo", "vm1", VM1],
      ] as const) {
        const { sent, got } = await transfer(bed, from, to, address, amount, 90_000);
        expect(got).toEqual(sent);
      }
      const { flood_disabled: _none, ...drops } = await gw1.drops();
      expect(drops).toEqual({});
      expect(await ovs.complaints()).not.toMatch(/vxlan|checksum|csum|malformed/i);
    },
  );
});
