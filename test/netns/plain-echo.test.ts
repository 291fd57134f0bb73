/**
 * A gateway that is no root: an ordinary user without any capability watches its peers all the same, by the kernel's ICMP
 * datagram socket, over IPv4 and IPv6. A router with a narrow link behind it says "too big" by the socket's error queue.
 *
 *     gw1 --1500-- router --1400-- peer (a kernel that answers)
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Status, Tunnel } from "../../src/api/schema.ts";
import type { Diagnosis } from "../../src/api/schema-doctor.ts";
import { until } from "../../src/lab/deadline.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "./gateways.ts";

const UID = 4789;
const RANGE = "/proc/sys/net/ipv4/ping_group_range";
const ADDON = fileURLToPath(new URL("../../native-bindings/build/Release/vtepd.node", import.meta.url));
const EINVAL = -22;
const EMSGSIZE = -90;
/** What the script said: results of sends, and the addon's lists. */
type Told = { readonly sent: number[]; readonly got: (number | string)[]; readonly rest: (number | string)[] };
/** IP. */
const HEADER = { 4: 20, 6: 40 } as const;
/** IP and UDP headers, VXLAN and Ethernet. */
const OVERHEAD = { 4: 50, 6: 70 } as const;

describeReal(whyNoGateways("setpriv"), "tunnels are watched without a capability", () => {
  describe.each([
    { family: 4, own: "192.0.2.1", peer: "198.51.100.2", near: "192.0.2.254", far: "198.51.100.254", prefix: 24 },
    {
      family: 6,
      own: "2001:db8:1::1",
      peer: "2001:db8:2::2",
      near: "2001:db8:1::fe",
      far: "2001:db8:2::fe",
      prefix: 64,
    },
  ] as const)("IPv$family", ({ family, own, peer, near, far, prefix }) => {
    let gateways: Gateways;
    let gw1: Gateway;

    const tunnelOf = async (): Promise<Tunnel> => (await gw1.show<Tunnel>("tunnel"))[0]!;
    const probing = async (): Promise<Status["probing"]> => (await gw1.status()).probing;
    const allow = (range: string) => gateways.bed.must("gw1", "sh", ["-c", `echo ${range} > ${RANGE}`]);

    beforeAll(async () => {
      gateways = await openGateways(`plainecho${family}`);
      const { bed } = gateways;
      for (const name of ["gw1", "router", "peer"]) {
        await bed.namespace(name);
        if (family === 6)
          await bed.must(name, "sysctl", [
            "-qw",
            ...["all", "default"].map((which) => `net.ipv6.conf.${which}.disable_ipv6=0`),
            ...["all", "default"].map((which) => `net.ipv6.conf.${which}.accept_dad=0`),
            "net.ipv6.conf.all.forwarding=1",
          ]);
      }
      await bed.veth("gw1", "ul0", "router", "to-gw1");
      await bed.veth("peer", "ul0", "router", "to-peer", 1400);
      await bed.ip("peer", "link set dev ul0 mtu 1500");
      const nodad = family === 6 ? " nodad" : "";
      await bed.ip("gw1", `addr add ${own}/${prefix} dev ul0${nodad}`, `route add default via ${near}`);
      await bed.ip("peer", `addr add ${peer}/${prefix} dev ul0${nodad}`, `route add default via ${far}`);
      await bed.ip("router", `addr add ${near}/${prefix} dev to-gw1${nodad}`);
      await bed.ip("router", `addr add ${far}/${prefix} dev to-peer${nodad}`);
      await bed.must("router", "sh", ["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
      await allow(`${UID + 1} ${UID + 1}`);
      gw1 = await gateways.start(
        "gw1",
        {
          underlay: { address: own },
          tunnels: [{ name: "gw2", remote: peer, keepalive: { intervalMs: 1000, multiplier: 3 } }],
          vsis: [{ name: "vsi10", vni: 10 }],
        },
        UID,
      );
    });
    afterAll(() => gateways?.remove());

    test("a group that may not have such a socket is told of, with the switch; the tunnel stays up", async () => {
      const status = readFileSync(`/proc/${gw1.pid}/status`, "utf8");
      expect(status).toMatch(/^CapEff:\s*0+$/m);
      expect(status).toMatch(/^Uid:\s*4789\s/m);
      await until("probing to be off", 5000, async () => (await probing()).state === "off");
      const { reason, fix } = await probing();
      expect(reason).toMatch(/^a raw ICMP socket: .*; an ICMP datagram socket: EACCES .*group 4789 .* 4790 to 4790/);
      expect(fix).toContain('; or sysctl -w net.ipv4.ping_group_range="4789 4789"');
      expect(await tunnelOf()).toMatchObject({ up: true, probe: { state: "impossible" } });
    });

    test("opened to the group, it is taken within seconds, and found to be narrow by the router's word", async () => {
      await allow(`${UID} ${UID}`);
      await until("probing to be on", 15_000, async () => (await probing()).state === "on", 200);
      expect(await probing()).toMatchObject({ watched: 1, by: "datagram", reason: null });
      await gw1.logged(/"event":"probing.on".*"by":"datagram"/);
      await until("path MTU", 10_000, async () => (await tunnelOf()).probe.pathMtu === 1400, 100);
      expect(await tunnelOf()).toMatchObject({ up: true, mtu: 1400 - OVERHEAD[family], probe: { state: "up" } });
      const search = await gw1.ctl("ping", "gw2", "--mtu");
      expect(search.stdout).toBe(
        [
          " 1500 bytes  too long; a router on the way carries 1400",
          " 1400 bytes  passes",
          `path MTU to gw2 (${peer}): 1400 bytes, ${1400 - OVERHEAD[family]} inside the tunnel`,
          "",
        ].join("\n"),
      );
    });

    test("ping: each length is the length of the IP packet, and Don't Fragment holds", async () => {
      const lengths = [64, 1400, 1401, 1500, 1501];
      const ends: (number | null)[] = [];
      for (const length of lengths) ends.push((await gw1.ctl("ping", "gw2", "-c", "1", "-l", String(length))).status);
      expect(Object.fromEntries(lengths.map((length, i) => [length, ends[i]]))).toEqual({
        64: 0,
        1400: 0,
        1401: 7,
        1500: 7,
        1501: 7,
      });
      // What one echo met is not told of the next one.
      const after = await gw1.ctl("ping", "gw2", "-c", "20", "-i", "10");
      expect(after.stdout, after.stderr).toMatch(/20 sent, 20 answered, 0 % lost/);
    });

    test("what an earlier echo met is not the next one's fate, also where it has not been read yet", async () => {
      const { bed } = gateways;
      await allow("0 0");
      const script = `
        const { openEcho, sendEcho, receiveEchoes } = require(${JSON.stringify(ADDON)});
        const wait = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
        const [fd] = openEcho("${own}");
        const echo = (length, sequence) => { const b = Buffer.alloc(length + 8); b[0] = ${family === 4 ? 8 : 128}; b.writeUInt16BE(sequence, 6); return b.subarray(0, length); };
        const send = (length, sequence) => sendEcho(fd, "${peer}", echo(length, sequence));
        const sent = [send(${1460 - HEADER[family]}, 1)];
        wait();
        sent.push(send(64, 2), send(7, 3), sendEcho(fd, "${family === 4 ? "::1" : "127.0.0.1"}", echo(64, 4)), sendEcho(fd, "x", echo(64, 5)));
        sent.push(send(1501 - ${HEADER[family]}, 6));
        wait();
        console.log(JSON.stringify({ sent, got: receiveEchoes(fd), rest: receiveEchoes(fd) }));`;
      const { sent, got, rest } = JSON.parse(
        await bed.must("gw1", process.execPath, ["-e", script]).finally(() => allow(`${UID} ${UID}`)),
      ) as Told;
      expect(sent).toEqual([0, 0, EINVAL, EINVAL, EINVAL, EMSGSIZE]);
      expect(got).toEqual([2, -1, peer, 1, 1400, ""]);
      expect(rest).toEqual([]);
    });

    test("status and doctor say by what", async () => {
      expect((await gw1.ctl("status")).stdout).toMatch(/probing\s+1 tunnel, by a datagram socket/);
      const { checks } = JSON.parse((await gw1.ctl("doctor", "-o", "json")).stdout) as Diagnosis;
      const of = (name: string) => checks.find((check) => check.name === name);
      expect(of("probing")).toMatchObject({
        result: "ok",
        text: "1 tunnel is watched, by the kernel's ICMP datagram socket, which needs no capability",
      });
      expect(of("capability CAP_NET_RAW")).toMatchObject({ result: "ok" });
      expect(of("peer gw2")).toMatchObject({ result: "ok" });
    });

    test("a cut path takes the tunnel down within its time, and back", async () => {
      const { bed } = gateways;
      await bed.ip("router", "link set dev to-peer down");
      const cutMs = performance.now();
      await until("tunnel down", 6000, async () => !(await tunnelOf()).up, 20);
      expect(performance.now() - cutMs).toBeGreaterThan(1500);
      await bed.ip("router", "link set dev to-peer up");
      if (family === 6) await bed.ip("router", `addr replace ${far}/${prefix} dev to-peer nodad`);
      await until("tunnel up", 8000, async () => (await tunnelOf()).up, 20);
      await gw1.logged(/"event":"tunnel.down"[\s\S]*"event":"tunnel.up"/);
      expect((await probing()).state).toBe("on");
    });
  });
});
