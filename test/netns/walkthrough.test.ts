/**
 * The article's three walkthroughs on real TAPs and a real underlay, seen by strangers: the guests' kernels, tcpdump's
 * filters and tshark's dissectors. The lab judges the same frames row by row; here none of our code judges.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { neighboursOf } from "../../src/lab/namespace.ts";
import { UNDERLAY_BRIDGE } from "../../src/lab/topology.ts";
import { type Article, addressOf, macOf, openArticle } from "./article-bed.ts";
import { describeReal, whyNoGateways } from "./gateways.ts";
import { countFrames, type Dump, dissect, openDump, ping, transfer } from "./traffic.ts";

const missing = whyNoGateways("tcpdump", "tshark", "ethtool");

/** BPF words of an ARP inside VXLAN over IPv4: the outer UDP header's offsets. */
const ARP = "udp dst port 4789 and udp[28:2]=0x0806";
const REQUEST = `${ARP} and udp[36:2]=1`;
const ipWord = (ip: string) =>
  `0x${ip
    .split(".")
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("")}`;
const target = (ip: string) => `udp[54:4]=${ipWord(ip)}`;
const sender = (ip: string, mac: string) => {
  const hex = mac.replaceAll(":", "");
  return `udp[44:4]=${ipWord(ip)} and udp[38:4]=0x${hex.slice(0, 8)} and udp[42:2]=0x${hex.slice(8)}`;
};
const vni = (number: number) => `udp[12:4]=0x${(number << 8).toString(16).padStart(8, "0")}`;
const MACHINES = ["vm1", "vm2", "vm3", "vm4", "vm5", "vm6"];

for (const mac of ["auto", "shared"] as const) {
  describeReal(missing, `the article, gateway MACs ${mac}`, () => {
    let article: Article;
    let dump: Dump;
    beforeAll(async () => {
      article = await openArticle(`walk${mac}`, { isPlainWire: true, mac });
      dump = await openDump(article.bed, "underlay", UNDERLAY_BRIDGE);
    });
    afterAll(() => article?.gateways.remove());

    const ttls = async (from: string, to: string) => (await ping(article.bed, from, addressOf(to))).ttls;
    const neighbours = (machine: string) => neighboursOf(article.bed.name(machine));

    test("scenario 1: same VXLAN, other site; the first ping is answered", async () => {
      expect(await ttls("vm1", "vm4")).toEqual([62, 62, 62]);
      const [own, theirs] = [await article.gw1.macOf("vsi10"), await article.gw2.macOf("vsi10")];
      expect(own === theirs).toBe(mac === "shared");
      expect((await neighbours("vm1")).get(addressOf("vm4"))).toBe(own);
      expect((await neighbours("vm4")).get(addressOf("vm1"))).toBe(theirs);
    });

    test("scenario 2: other VXLAN, other site and same site", async () => {
      expect(await ttls("vm1", "vm5")).toEqual([62, 62, 62]);
      expect(await ttls("vm1", "vm2")).toEqual([63, 63, 63]);
      expect((await neighbours("vm1")).get("10.1.1.1")).toBe(await article.gw1.macOf("vsi10"));
      expect((await neighbours("vm5")).get("20.1.1.1")).toBe(await article.gw2.macOf("vsi20"));
      // D9: that a peer uses our gateway's address is normal.
      for (const gateway of [article.gw1, article.gw2]) expect((await gateway.drops()).arp_gw_spoof).toBeUndefined();
    });

    test("scenario 3: the outside, by all three kinds of route to the Border, both directions", async () => {
      expect(await ttls("vm1", "ext")).toEqual([62, 62, 62]);
      expect(await ttls("vm2", "ext")).toEqual([62, 62, 62]);
      expect(await ttls("vm3", "ext")).toEqual([62, 62, 62]);
      // Cold from the outside in: the Border has to find them.
      expect(await ttls("ext", "vm4")).toEqual([62, 62, 62]);
      expect(await ttls("ext", "vm5")).toEqual([62, 62, 62]);
      expect((await neighbours("vm6")).size).toBe(0); // it has not been asked yet
      expect(await ttls("ext", "vm6")).toEqual([62, 62, 62]);
    });

    test("TCP with hashes, vm1 to vm5 and ext to vm1", async () => {
      for (const [from, to] of [
        ["vm1", "vm5"],
        ["ext", "vm1"],
      ] as const) {
        const { sent, got } = await transfer(article.bed, from, to, addressOf(to), 2_000_000);
        expect(got).toEqual(sent);
      }
    });

    test("the nearest gateway answers for its own address, and nothing of it is on the underlay", async () => {
      for (const address of ["10.1.1.1", "20.1.1.1"]) {
        expect((await ping(article.bed, "vm1", address)).ttls).toEqual([64, 64, 64]);
      }
    });

    test("what was on the wire", async () => {
      await dump.stop();
      const [own10, own20] = [await article.gw1.macOf("vsi10"), await article.gw1.macOf("vsi20")];
      const count = (bpf: string) => countFrames(dump.file, bpf);
      // Scenario 1, step 4: one copy to each remote VTEP, the VM's address with the gateway's MAC.
      expect(await count(`${REQUEST} and src 192.0.2.1 and ${vni(10)} and ${target("10.1.1.12")}`)).toBe(2);
      expect(
        await count(
          `${REQUEST} and src 192.0.2.1 and ${vni(10)} and ${target("10.1.1.12")} and ${sender("10.1.1.11", own10)}`,
        ),
      ).toBe(2);
      // Scenario 2, step 4: in VXLAN 20 alone.
      const for5 = `${REQUEST} and src 192.0.2.1 and ${target("20.1.1.12")}`;
      expect(await count(for5)).toBe(2);
      expect(await count(`${for5} and ${vni(20)} and ${sender("20.1.1.1", own20)}`)).toBe(2);
      // No site asks another one for an address that every site has; each gateway announces it when it starts. The Border, which
      // has addresses of its own, hears it from two tunnels, and probes both: two hosts would answer, gateways do not (D15).
      const shared = ["10.1.1.1", "20.1.1.1", "30.1.1.1"].map((ip) => `arp.dst.proto_ipv4==${ip}`).join("||");
      const isAnnouncement = "arp.dst.proto_ipv4==arp.src.proto_ipv4";
      const isBordersProbe = "ip.src==192.0.2.3 && arp.src.proto_ipv4==0.0.0.0";
      const asks = `vxlan && arp.opcode==1 && (${shared}) && !(${isAnnouncement}) && !(${isBordersProbe})`;
      const fields = ["ip.src", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.proto_ipv4"];
      expect(await dissect(dump.file, asks, fields)).toEqual([]);
      // N2 and more: no VM's MAC ever crosses the underlay, neither as an address nor inside an ARP.
      const any = MACHINES.map(macOf).flatMap((mac) => [
        `eth.addr==${mac}`,
        `arp.src.hw_mac==${mac}`,
        `arp.dst.hw_mac==${mac}`,
      ]);
      expect(await dissect(dump.file, any.join("||"), ["frame.number"])).toEqual([]);
      // N5: no redirects. And no tunnel inside a tunnel, no fragment of an outer packet.
      expect(await dissect(dump.file, "icmp.type==5", ["frame.number"])).toEqual([]);
      expect(await count("udp port 4789 and (ip[6:2] & 0x3fff != 0)")).toBe(0);
    });

    test("the header, byte for byte, as tshark reads it (W01)", async () => {
      const fields = [
        ...["ip.src", "ip.dst", "ip.ttl", "ip.flags.df", "ip.len", "udp.srcport", "udp.dstport"],
        ...["vxlan.flags", "vxlan.vni"],
      ];
      const rows = await dissect(dump.file, "vxlan", fields);
      expect(rows.length).toBeGreaterThan(1000);
      const values = (field: string) => [...new Set(rows.map((row) => row[field]![0]))].sort();
      expect(values("vxlan.flags")).toEqual(["0x0800"]);
      // Flags 0x08 and all 32 reserved bits zero, whatever a dissector calls them.
      expect(await countFrames(dump.file, "udp dst port 4789 and (udp[8:4] != 0x08000000 or udp[15] != 0)")).toBe(0);
      expect(values("vxlan.vni")).toEqual(["10", "20", "30"]);
      expect(values("ip.ttl")).toEqual(["64"]);
      expect(values("ip.flags.df")).toEqual([values("ip.flags.df")[0]]);
      expect(["1", "True"]).toContain(values("ip.flags.df")[0]);
      expect(values("ip.src")).toEqual(["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
      expect(values("udp.dstport")).toEqual(["4789"]);
      const ports = values("udp.srcport").map(Number);
      expect(Math.min(...ports)).toBeGreaterThanOrEqual(49152);
      expect(Math.max(...ports)).toBeLessThanOrEqual(65535);
      expect(Math.max(...rows.map((row) => Number(row["ip.len"]![0])))).toBe(1500); // no longer than the underlay's MTU
      const inner = rows.filter((row) => row["ip.len"]!.length > 1);
      expect(inner.length).toBeGreaterThan(1000);
      // 14 Ethernet + 8 VXLAN + 8 UDP + 20 IP.
      for (const row of inner) expect(Number(row["ip.len"]![0]) - Number(row["ip.len"]![1])).toBe(50);
    });

    test("every checksum is right: outer and inner, IP, UDP, TCP, ICMP", async () => {
      const fields = ["ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "icmp.checksum.status"];
      const rows = await dissect(dump.file, "vxlan", fields);
      const seen = (field: string) => [...new Set(rows.flatMap((row) => row[field]!))].sort();
      const good = (status: string) => ["1", "Good"].includes(status);
      expect(seen("udp.checksum.status")).not.toEqual([]);
      // Status 3 "not present": a zero outer checksum is allowed, a wrong one is not.
      expect(seen("udp.checksum.status").every((status) => good(status) || ["3", "Not present"].includes(status))).toBe(
        true,
      );
      for (const field of ["ip.checksum.status", "tcp.checksum.status", "icmp.checksum.status"]) {
        expect(seen(field)).not.toEqual([]);
        expect(seen(field).every(good)).toBe(true);
      }
    });

    test("one source port per inner flow (W03)", async () => {
      const fields = ["udp.srcport", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport"];
      const rows = await dissect(dump.file, "vxlan && tcp", fields);
      const ports = new Map<string, Set<string>>();
      for (const row of rows) {
        const flow = [row["ip.src"]!.join(), row["ip.dst"]!.join(), row["tcp.srcport"], row["tcp.dstport"]].join(" ");
        ports.set(flow, (ports.get(flow) ?? new Set()).add(row["udp.srcport"]![0]!));
      }
      expect(ports.size).toBeGreaterThanOrEqual(4);
      for (const [flow, used] of ports) expect([flow, used.size]).toEqual([flow, 1]);
    });
  });
}
