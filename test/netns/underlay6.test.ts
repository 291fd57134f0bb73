/**
 * An IPv6 underlay: the same gateways with VTEP addresses of 16 bytes. The outer header is 20 bytes longer, the guests live
 * with 1430, and the UDP checksum is not optional (RFC 8200 §8.1; RFC 6935 allows zero only where both sides agreed).
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DropCount } from "../../src/api/schema.ts";
import { until } from "../../src/lab/deadline.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "./gateways.ts";
import { dissect, openDump, ping, transfer } from "./traffic.ts";

const missing = whyNoGateways("tcpdump", "tshark", "ethtool");

const NODES = [
  {
    node: "gw1",
    own: "2001:db8::1",
    peer: "2001:db8::2",
    vms: [
      ["vm1", "10.1.1.11"],
      ["vm2", "20.1.1.11"],
    ],
  },
  {
    node: "gw2",
    own: "2001:db8::2",
    peer: "2001:db8::1",
    vms: [
      ["vm4", "10.1.1.12"],
      ["vm5", "20.1.1.12"],
    ],
  },
] as const;

describeReal(missing, "an IPv6 underlay", () => {
  let gateways: Gateways;
  const gateway: Record<string, Gateway> = {};
  beforeAll(async () => {
    gateways = await openGateways("six");
    const { bed } = gateways;
    for (const name of ["gw1", "gw2", "vm1", "vm2", "vm4", "vm5"]) await bed.namespace(name);
    await bed.veth("gw1", "ul0", "gw2", "ul0");
    for (const { node, own, peer, vms } of NODES) {
      await bed.must(node, "sysctl", ["-qw", "net.ipv6.conf.ul0.disable_ipv6=0", "net.ipv6.conf.ul0.accept_dad=0"]);
      await bed.must(node, "ethtool", ["-K", "ul0", "tx", "off", "gso", "off", "tso", "off"]);
      await bed.ip(node, `addr add ${own}/64 dev ul0 nodad`);
      await until(
        `${own} to be usable`,
        5000,
        async () => !(await bed.must(node, "ip", ["-6", "addr"])).includes("tentative"),
      );
      gateway[node] = await gateways.start(node, {
        underlay: { address: own },
        tunnels: [{ name: "peer", remote: peer }],
        vsis: [10, 20].map((vni) => ({ name: `vsi${vni}`, vni })),
        interfaces: [10, 20].map((vni) => ({ name: `i${vni}`, vsi: `vsi${vni}`, address: `${vni}.1.1.1/24` })),
        acs: vms.map(([name, ip]) => ({
          name,
          vsi: `vsi${ip.slice(0, 2)}`,
          tap: { device: "eth0", netns: bed.name(name) },
        })),
      });
      for (const [name, ip] of vms) {
        await bed.ip(
          name,
          "link set dev eth0 up",
          `addr add ${ip}/24 dev eth0`,
          `route add default via ${ip.slice(0, 2)}.1.1.1`,
        );
      }
    }
  });
  afterAll(() => gateways?.remove());

  test("the first ping is answered, in one VXLAN and across", async () => {
    expect((await ping(gateways.bed, "vm1", "10.1.1.12")).ttls).toEqual([62, 62, 62]);
    expect((await ping(gateways.bed, "vm1", "20.1.1.12")).ttls).toEqual([62, 62, 62]);
  });

  test("1430 bytes pass and 1431 do not", async () => {
    const { bed } = gateways;
    expect(await bed.must("vm1", "cat", ["/sys/class/net/eth0/mtu"])).toBe("1430\n");
    expect((await ping(bed, "vm1", "20.1.1.12", { length: 1430, df: "do" })).ttls.length).toBe(3);
    // A guest that was given too large an MTU, to the other site.
    await bed.ip("vm4", "link set dev eth0 mtu 1500");
    const { ttls, errors } = await ping(bed, "vm4", "10.1.1.11", {
      length: 1431,
      df: "do",
      count: 1,
      waitSeconds: 0.5,
    });
    expect([ttls, errors]).toEqual([[], ["From 10.1.1.1 Frag needed and DF set (mtu = 1430)"]]);
    await bed.ip("vm4", "link set dev eth0 mtu 1430");
  });

  test("TCP with hashes both ways; the header and every checksum as tshark reads them", async () => {
    const { bed } = gateways;
    const dump = await openDump(bed, "gw1", "ul0");
    for (const [from, to, address] of [
      ["vm1", "vm5", "20.1.1.12"],
      ["vm4", "vm1", "10.1.1.11"],
    ] as const) {
      const { sent, got } = await transfer(bed, from, to, address, 2_000_000);
      expect(got).toEqual(sent);
    }
    await dump.stop();
    const fields = [
      "ipv6.src",
      "ipv6.plen",
      "ip.len",
      "udp.srcport",
      "udp.checksum",
      "udp.checksum.status",
      "tcp.checksum.status",
    ];
    const rows = await dissect(dump.file, "vxlan && tcp", fields);
    expect(rows.length).toBeGreaterThan(1000);
    const seen = (field: string) => [...new Set(rows.map((row) => row[field]![0]))].sort();
    expect(seen("ipv6.src")).toEqual(["2001:db8::1", "2001:db8::2"]);
    for (const field of ["udp.checksum.status", "tcp.checksum.status"]) {
      expect(seen(field).filter((status) => !["1", "Good"].includes(status!))).toEqual([]);
    }
    expect(seen("udp.checksum")).not.toContain("0x0000");
    for (const row of rows) {
      // 14 Ethernet + 8 VXLAN + 8 UDP.
      expect(Number(row["ipv6.plen"]![0]) - Number(row["ip.len"]![0])).toBe(30);
      expect(Number(row["ipv6.plen"]![0])).toBeLessThanOrEqual(1460);
      expect(Number(row["udp.srcport"]![0])).toBeGreaterThanOrEqual(49152);
    }
  });

  test("a stranger is told with address and UDP port, by drops and by the doctor", async () => {
    const { bed } = gateways;
    await bed.ip("gw2", "addr add 2001:db8::9:1/64 dev ul0 nodad");
    const send = `const s=require("node:dgram").createSocket("udp6");s.bind(50001,"2001:db8::9:1",()=>s.send(Buffer.alloc(60,8),4789,"2001:db8::1",()=>s.close()))`;
    await bed.must("gw2", process.execPath, ["-e", send]);
    const drops = () => gateway.gw1!.look<DropCount[]>("/v1/drops");
    const last = async () => (await drops()).find(({ reason }) => reason === "unknown_vtep")?.last;
    await until("the stranger to be dropped", 3000, async () => (await last()) != null);
    expect(await last()).toMatchObject({ outer: "2001:db8::9:1", outerPort: 50001 });
    const { stdout } = await gateway.gw1!.ctl("doctor");
    expect(stdout).toContain("2001:db8::9:1, UDP port 50001");
  });

  test("nothing was dropped on the way", async () => {
    for (const node of ["gw1", "gw2"]) {
      const { flood_disabled: _none, unknown_vtep: _stranger, ...drops } = await gateway[node]!.drops();
      expect([node, drops]).toEqual([node, {}]);
    }
  });
});
