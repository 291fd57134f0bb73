/**
 * IPv6 as programs of other makes see it: rdisc6 and ndisc6 ask, radvd would be a router from behind an AC, dnsmasq gives addresses
 * by DHCPv6 across sites, a scan fills what it can, and the outside is behind the Border's default route.
 */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pause, until, within } from "../../src/lab/deadline.ts";
import { parseMac } from "../../src/wire/ethernet.ts";
import { parseIpv6 } from "../../src/wire/ipv6.ts";
import { emitSolicitation, groupMac, ND_MAX_BYTES, solicitedNode } from "../../src/wire/nd.ts";
import { type Article, address6Of, addressOf, macOf, openArticle } from "./article-bed.ts";
import { describeReal, type Gateway, whyNoGateways } from "./gateways.ts";

/** Answers of programs, kernels and gateways may be late on a busy machine. */
const DEADLINE_MS = 30_000;
const SLAAC = `routerAdvertisement: {dns: ["2001:db8::53"], intervalSeconds: 4}`;
const DHCP = "routerAdvertisement: {slaac: false, managed: true, other: true, intervalSeconds: 4}";
const RAW_SEND = new URL("raw-send.py", import.meta.url).pathname;
const SCANNED = 10_000;
/** Behind ext, as the outside is behind a router. */
const FAR = "2001:db8:ffff::1";

/** A test of a program that this machine may lack; without it, it says so. */
function withPrograms(programs: readonly string[], name: string, body: () => Promise<void>): void {
  const missing = whyNoGateways(...programs);
  test(name, { timeout: 120_000 }, async ({ skip }) => {
    if (missing !== undefined) skip(missing);
    await body();
  });
}

describeReal(whyNoGateways("python3"), "IPv6, by strangers", () => {
  let article: Article;
  const dropped = async (gateway: Gateway, reason: string) => (await gateway.drops())[reason] ?? 0;
  const ping6 = (host: string, to: string, count = 1) =>
    article.bed.run(host, "ping", ["-6", "-n", "-c", String(count), "-i", "0.2", "-W", "3", to]);
  const answered = (host: string, to: string, hops: number) =>
    until(`${to} at ${host} with hop limit ${hops}`, DEADLINE_MS, async () =>
      (await ping6(host, to)).stdout.includes(`ttl=${hops} `),
    );

  beforeAll(async () => {
    article = await openArticle("strange6", {
      families: [4, 6],
      shape: (node, text) =>
        node === "border"
          ? text.replace(/^acs:/m, `routes: [{prefix: "::/0", nextHop: "2001:db8:50::1"}]\nacs:`)
          : text
              .replace(/^(.*name: vsi-interface10.*)}$/m, `$1, ${SLAAC}}`)
              .replace(/^(.*name: vsi-interface20.*)}$/m, `$1, naSource: target, ${DHCP}}`),
    });
  }, 120_000);
  afterAll(() => article?.gateways.remove());

  withPrograms(["rdisc6"], "rdisc6: who is the router, and of what", async () => {
    const { bed, gw1 } = article;
    const asked = async (host: string) =>
      (await bed.run(host, "rdisc6", ["-1", "-r", "3", "-w", "2000", "eth0"], 20_000)).stdout;
    let told = "";
    await until("an answer to vm1", DEADLINE_MS, async () => (told = await asked("vm1")).includes("Prefix"));
    expect(told).toMatch(/from fe80::1\b/);
    expect(told).toMatch(/Stateful address conf\. +: +No/);
    expect(told).toMatch(/Prefix +: 2001:db8:10::\/64/);
    expect(told).toMatch(/Autonomous address conf\.: +Yes/);
    expect(told).toMatch(/Recursive DNS server +: 2001:db8::53/);
    expect(told.toLowerCase()).toContain(`source link-layer address: ${await gw1.macOf("vsi10")}`);
    await until("an answer to vm5", DEADLINE_MS, async () => (told = await asked("vm5")).includes("Prefix"));
    expect(told).toMatch(/Stateful address conf\. +: +Yes/);
    expect(told).toMatch(/Prefix +: 2001:db8:20::\/64/);
    expect(told).toMatch(/Autonomous address conf\.: +No/);
  });

  withPrograms(["ndisc6"], "ndisc6: the router's addresses are at the own gateway's MAC", async () => {
    const { bed, gw1 } = article;
    const own = await gw1.macOf("vsi10");
    // It hears only an address's owner.
    for (const target of ["2001:db8:10::1", "fe80::1"])
      await until(`${target} asked for by vm1`, DEADLINE_MS, async () => {
        const { stdout } = await bed.run("vm1", "ndisc6", ["-1", "-r", "3", "-w", "2000", target, "eth0"], 20_000);
        if (stdout.includes(`from ${target}`) && stdout.toLowerCase().includes(`target link-layer address: ${own}`))
          return true;
        throw new Error(stdout);
      });
  });

  withPrograms(
    ["ndisc6"],
    "ndisc6: a host of the other site is heard where advertisements come from their target",
    async () => {
      const { bed, gw2 } = article;
      const asked = async (host: string, target: string) =>
        (await bed.run(host, "ndisc6", ["-1", "-r", "3", "-w", "2000", target, "eth0"], 20_000)).stdout;
      const own = await gw2.macOf("vsi20");
      await until("vm2, asked for by vm5", DEADLINE_MS, async () => {
        const stdout = await asked("vm5", address6Of("vm2"));
        const isHeard = stdout.includes(`from ${address6Of("vm2")}`);
        if (isHeard && stdout.toLowerCase().includes(`target link-layer address: ${own}`)) return true;
        throw new Error(stdout);
      });
      // Elsewhere they come from the gateway: it does not take those.
      expect(await asked("vm1", address6Of("vm4"))).toContain("No response");
    },
  );

  withPrograms(
    ["radvd", "rdisc6"],
    "radvd in a VM is no host's router: each advertisement is dropped, told of, and nothing of it learned",
    async () => {
      const { bed, gw2 } = article;
      const before = await dropped(gw2, "nd_ra_guard");
      const file = `${bed.folder}/radvd.conf`;
      const prefix = "prefix 2001:db8:bad::/64 { AdvOnLink on; AdvAutonomous on; };";
      writeFileSync(
        file,
        `interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; ${prefix} };\n`,
        { mode: 0o600 },
      );
      const hears = ["accept_ra=2", "autoconf=1", "use_tempaddr=0"].map((each) => `net.ipv6.conf.eth0.${each}`);
      await bed.must("vm1", "sysctl", ["-qw", ...hears]);
      // It wants to be a router.
      await bed.must("vm4", "sysctl", ["-qw", "net.ipv6.conf.eth0.forwarding=1", "net.ipv6.conf.all.forwarding=1"]);
      const rogue = bed.follow("vm4", "radvd", ["-n", "-C", file, "-m", "stderr", "-p", `${bed.folder}/radvd.pid`]);
      let words = "";
      rogue.stderr!.on("data", (chunk: Buffer) => (words += chunk.toString()));
      try {
        await until("three advertisements that are dropped", DEADLINE_MS, async () => {
          if (rogue.exitCode !== null) throw new Error(`radvd ended: ${words}`);
          return (await dropped(gw2, "nd_ra_guard")) >= before + 3;
        });
        // What vm1 does hear of is its own gateway, and no other router.
        await until("what rdisc6 hears at vm1", DEADLINE_MS, async () => {
          const { stdout } = await bed.run("vm1", "rdisc6", ["-r", "1", "-w", "4000", "eth0"], 20_000);
          const routers = [...stdout.matchAll(/^ *from (\S+)/gm)].map(([, router]) => router);
          expect(routers.filter((router) => router !== "fe80::1")).toEqual([]);
          return routers.length > 0;
        });
        const [addresses, routes] = [
          await bed.must("vm1", "ip", ["-6", "addr", "show", "dev", "eth0"]),
          await bed.must("vm1", "ip", ["-6", "route", "show"]),
        ];
        expect(addresses).not.toContain("2001:db8:bad:");
        expect(routes).not.toContain("2001:db8:bad:");
        const routers = routes.split("\n").filter((line) => line.startsWith("default"));
        expect(routers.filter((line) => !line.includes("via fe80::1 "))).toEqual([]);
        expect((await gw2.ctl("doctor")).stdout).toMatch(/nd_ra_guard|router advertisement/i);
      } finally {
        rogue.kill("SIGTERM");
        await bed.must("vm4", "sysctl", ["-qw", "net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.eth0.forwarding=0"]);
        await bed.must("vm1", "sysctl", ["-qw", "net.ipv6.conf.eth0.accept_ra=0"]);
      }
    },
  );

  withPrograms(
    ["dnsmasq", "dhclient"],
    "dnsmasq: a host of the other site has its address of a DHCPv6 server, as its router says it shall",
    async () => {
      const { bed } = article;
      const server = bed.follow("vm2", "dnsmasq", [
        ...["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--bind-interfaces", "--interface=eth0"],
        ...[
          "--user=root",
          "--log-facility=-",
          `--dhcp-leasefile=${bed.folder}/dnsmasq.leases`,
          `--pid-file=${bed.folder}/dnsmasq.pid`,
        ],
        "--dhcp-range=2001:db8:20::1000,2001:db8:20::1fff,64,10m",
      ]);
      let words = "";
      for (const stream of [server.stdout!, server.stderr!])
        stream.on("data", (chunk: Buffer) => (words += chunk.toString()));
      const leases = `${bed.folder}/dhclient6.leases`;
      const client = [
        "-6",
        "-1",
        "-d",
        "-sf",
        "/bin/true",
        "-lf",
        leases,
        "-pf",
        `${bed.folder}/dhclient6.pid`,
        "eth0",
      ];
      const asking = bed.follow("vm5", "dhclient", client);
      let told = "";
      for (const stream of [asking.stdout!, asking.stderr!])
        stream.on("data", (chunk: Buffer) => (told += chunk.toString()));
      try {
        await until("a lease", 60_000, async () => {
          if (server.exitCode !== null) throw new Error(`dnsmasq ended: ${words}`);
          return (await bed.run("vm5", "cat", [leases])).stdout.includes("iaaddr 2001:db8:20::1");
        }).catch((error: Error) => {
          throw new Error(`${error.message}\n${words}\n${told}`);
        });
      } finally {
        asking.kill("SIGTERM");
        server.kill("SIGTERM");
      }
    },
  );

  /**
   * What is lost while `scan` goes on: pings by IPv4 to a host whose address the gateway must ask for anew each time, and by IPv6 to one
   * that is known.
   */
  async function lostDuring(
    scan: Promise<void>,
    gateway: Gateway,
    iface: string,
    [from, to]: readonly [string, string],
  ) {
    const lost = { asked: 0, known: 0, sent: 0 };
    let isOver = false;
    const ended = scan.finally(() => (isOver = true));
    ended.catch(() => {});
    for (let rounds = 0; !isOver || rounds < 3; rounds++) {
      await gateway.ctl("arp", "flush", "--interface", iface);
      // No faster: a gateway keeps so many packets for a host that it looks for, and no more.
      const sent = ["-n", "-c10", "-i0.1", "-W5"];
      const [asked, known] = await Promise.all([
        article.bed.run(from, "ping", [...sent, addressOf(to)]),
        article.bed.run(from, "ping", ["-6", ...sent, address6Of(to)]),
      ]);
      const missing = ({ stdout }: { stdout: string }) => 10 - (stdout.match(/ ttl=/g)?.length ?? 0);
      lost.asked += missing(asked);
      lost.known += missing(known);
      lost.sent += 10;
    }
    await ended;
    return lost;
  }

  test("a scan of 10,000 addresses by one VM takes nothing from another's ARP, nor from neighbours that are known", {
    timeout: 120_000,
  }, async () => {
    const { bed, gw1 } = article;
    await answered("vm2", address6Of("vm4"), 62);
    const mac = parseMac(macOf("vm1"))!;
    const src = parseIpv6(address6Of("vm1"))!;
    const frames = Array.from({ length: SCANNED }, (_, i) => {
      const target = parseIpv6(`2001:db8:10::5:${i.toString(16)}`)!;
      const bytes = new Uint8Array(ND_MAX_BYTES);
      const around = { ethDst: groupMac(solicitedNode(target)), ethSrc: mac, src, dst: solicitedNode(target) };
      return bytes.slice(0, emitSolicitation(bytes, 0, around, { target, mac, nonce: null }));
    });
    const sender = bed.follow("vm1", "python3", [RAW_SEND, "eth0"]);
    const sent = new Promise<void>((resolve) => sender.on("close", () => resolve()));
    const scan = async () => {
      for (let at = 0; at < frames.length; at += 100) {
        sender.stdin!.write(
          frames
            .slice(at, at + 100)
            .map((frame) => `${Buffer.from(frame).toString("hex")}\n`)
            .join(""),
        );
        await pause(50);
      }
      sender.stdin!.end();
      await within("the scan", 60_000, sent);
    };
    expect(await lostDuring(scan(), gw1, "vsi-interface10", ["vm2", "vm4"])).toMatchObject({ asked: 0, known: 0 });
  });

  test("nor does one from outside, by the Border", { timeout: 120_000 }, async () => {
    const { bed, border } = article;
    await answered("vm1", address6Of("ext"), 62);
    const sends = `import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for i in range(${SCANNED}):
    s.sendto(b"x", ("2001:db8:10::6:%x" % i, 9))
    if i % 20 == 0: time.sleep(0.02)`;
    // Of a scan before, what it looked for stays a while.
    let before = 0;
    await until("room for what is looked for", 60_000, async () => (before = (await border.show("nd")).length) < 100);
    const scan = bed.must("ext", "python3", ["-c", sends], 60_000).then(() => undefined);
    // The uplink's own share of questions is what the scan uses up. The answers share ext's TAP and its queue with the scan.
    const { asked, known, sent } = await lostDuring(scan, border, "uplink-interface", ["vm1", "ext"]);
    expect(asked / sent).toBeLessThan(0.05);
    expect(known / sent).toBeLessThan(0.05);
    expect((await border.show("nd")).length).toBeGreaterThan(before);
  });

  test("a host behind the router outside is reached by the Border's ::/0, and reaches back", async () => {
    const { bed } = article;
    await bed.run("ext", "ip", ["link", "del", "dev", "out"]);
    await bed.namespace("far");
    await bed.veth("ext", "out", "far", "in");
    const on = (device: string) =>
      ["accept_dad=0", "accept_ra=0", "disable_ipv6=0"].map((each) => `net.ipv6.conf.${device}.${each}`);
    await bed.must("ext", "sysctl", ["-qw", ...on("out"), "net.ipv6.conf.all.forwarding=1"]);
    await bed.must("far", "sysctl", ["-qw", ...on("in")]);
    await bed.ip("ext", "addr replace 2001:db8:ffff::254/64 dev out nodad");
    await bed.ip("far", `addr replace ${FAR}/64 dev in nodad`, "route replace ::/0 via 2001:db8:ffff::254 dev in");
    for (const vm of ["vm1", "vm3", "vm5"]) await answered(vm, FAR, 61);
    await answered("far", address6Of("vm1"), 61);
    const { stdout } = await bed.run("vm1", "ping", ["-6", "-n", "-c1", "-W3", "-t2", FAR]);
    expect(stdout).toMatch(/From 2001:db8:\S+ icmp_seq=1 Time exceeded/);
  });

  // The last one: vm4 is vm1 from here on.
  test("a host that moves to the other site and announces itself is found there by both gateways", async () => {
    const { bed, gw1, gw2 } = article;
    await bed.run("vm4", "ip", ["addr", "del", `${address6Of("vm1")}/64`, "dev", "eth0"]);
    await bed.ip("vm4", `link set dev eth0 address ${macOf("vm4")}`);
    // With the device its addresses of IPv6 go.
    await bed.ip("vm1", "link set dev eth0 up", `addr replace ${address6Of("vm1")}/64 dev eth0 nodad`);
    await bed.run("vm1", "ip", ["-6", "route", "replace", "default", "via", "fe80::1", "dev", "eth0"]);
    await answered("vm2", address6Of("vm1"), 63);
    await bed.ip("vm1", "link set dev eth0 down");
    await bed.must("vm4", "sysctl", ["-qw", "net.ipv6.conf.eth0.ndisc_notify=1"]);
    await bed.ip(
      "vm4",
      `link set dev eth0 address ${macOf("vm1")}`,
      `addr replace ${address6Of("vm1")}/64 dev eth0 nodad`,
    );
    await answered("vm2", address6Of("vm1"), 62);
    const at = async (gateway: Gateway) => {
      const rows = await gateway.show<{ ip: string; via: { kind: string; name: string } | null }>("nd");
      return rows.find(({ ip }) => ip === address6Of("vm1"))?.via;
    };
    await until("both gateways' entries", DEADLINE_MS, async () => {
      const [one, two] = [await at(gw1), await at(gw2)];
      return one?.name === "gw2" && two?.name === "vm4";
    });
  });
});
