/**
 * A reload of `underlay.mtu` reaches the forwarding threads: they tell a TCP packet from a super-frame, which is cut on its way out,
 * by the size that the underlay carries. The packet comes by a tunnel and is routed back into it, so it takes no TAP and no rights.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterAll, expect, it } from "vitest";
import { ask } from "../../src/ctl/client.ts";
import { until } from "../../src/lab/deadline.ts";
import { parseMac, TYPE_IPV4 } from "../../src/wire/ethernet.ts";
import { parseIpv4 } from "../../src/wire/ipv4.ts";
import { tcpFrame, vxlan } from "../dataplane/packets.ts";
import { makeDaemonBed, whyNoDaemon } from "./bed.ts";

const bed = makeDaemonBed(43);
afterAll(() => bed.remove());

const GATEWAY = "02:00:5e:00:00:0a";
const HOST = "02:00:00:00:00:22";
const LISTS = `vsis: [{name: v1, vni: 1}, {name: v2, vni: 2}]
interfaces:
  - {name: i1, vsi: v1, address: 10.1.1.1/24, mac: "${GATEWAY}", distributed: false}
  - name: i2
    vsi: v2
    address: 10.2.1.1/24
    distributed: false
    arp: {static: [{ip: 10.2.1.2, mac: "${HOST}", tunnel: gw2}]}
`;

it.skipIf(whyNoDaemon !== undefined)(
  "a packet is cut before a reload to a longer one, and whole after it",
  async () => {
    bed.write(bed.config(LISTS));
    await bed.start();
    const port = Number(/port: (\d+)/.exec(bed.config())![1]);
    const peer = createSocket("udp4");
    const lengths: number[] = [];
    peer.on("message", (datagram) => {
      // The gateway announces itself there too, by ARP.
      const isIp = datagram.readUInt16BE(8 + 12) === TYPE_IPV4;
      if (isIp && datagram.readUInt32BE(4) >>> 8 === 2) lengths.push(datagram.length - 8 - 14);
    });
    peer.bind(port, "127.0.0.2");
    await once(peer, "listening");
    try {
      const packet = tcpFrame({
        dst: parseMac(GATEWAY)!,
        src: parseMac("02:00:00:00:00:11")!,
        from: parseIpv4("10.1.1.2")!,
        to: parseIpv4("10.2.1.2")!,
        payload: 3000,
      });
      const pass = async (): Promise<number[]> => {
        lengths.length = 0;
        peer.send(vxlan(1, packet), port, "127.0.0.1");
        await until("the packet", 5000, () => lengths.reduce((sum, length) => sum + length - 40, 0) >= 3000);
        return lengths;
      };
      expect(await pass()).toEqual([1450, 1450, 220]);
      bed.write(bed.config(LISTS).replace("mtu: 1500", "mtu: 9000"));
      await ask(bed.socket, "/v1/config/reload", "POST");
      // The threads look once a second.
      await until("the longer size", 5000, async () => (await pass()).length === 1);
      expect(lengths).toEqual([3040]);
    } finally {
      peer.close();
    }
  },
);
