/**
 * The DHCP relay between real clients and real servers: udhcpc at two sites, and dnsmasq, Kea and ISC dhcpd, one after the other, behind
 * the Border's uplink.
 * Each server has a range for VXLAN 10 alone and is told by option 82 which subnet is meant; all know the gateways only as relays.
 *
 *     vm1 - gw1 -+- gw2 - vm2        10.1.1.0/24, relays 10.1.1.251 and 10.1.1.252
 *                +- border - srv     10.1.1.2, 50.1.1.254/24, server 50.1.1.67
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Binding } from "../../src/api/bindings.ts";
import type { DhcpServer } from "../../src/api/dhcp.ts";
import { until } from "../../src/lab/deadline.ts";
import { end, type Identity } from "../../src/lab/process.ts";
import { type Gateway, type Gateways, openGateways, whyNoGateways } from "../netns/gateways.ts";
import { countFrames, openDump, ping } from "../netns/traffic.ts";

const missing = whyNoGateways("dnsmasq", "kea-dhcp4", "udhcpc", "tcpdump");
if (missing) console.log(`dhcp-relay.test.ts skipped: ${missing}`);

const hasDhcpd = spawnSync("sh", ["-c", "command -v dhcpd"]).status === 0;

const SERVER = "50.1.1.67";
const MACS = { vm1: "02:00:00:00:01:11", vm2: "02:00:00:00:02:11" } as const;
type Client = keyof typeof MACS;

/** udhcpc calls it with what it was given; this one sets the address and keeps the rest for us. */
const SCRIPT = `#!/bin/sh
case "$1" in
deconfig) ip addr flush dev "$interface" ;;
bound|renew) ip addr replace "$ip/$mask" dev "$interface"; ip route replace default via "$router" ;;
esac
echo "$1 ip=$ip server=$serverid router=$router" >> "$LEASE_LOG"
`;

const KEA = (folder: string) => ({
  Dhcp4: {
    "interfaces-config": { interfaces: ["eth0"], "dhcp-socket-type": "udp" },
    "lease-database": { type: "memfile", persist: false },
    "valid-lifetime": 600,
    subnet4: [
      {
        id: 1,
        subnet: "10.1.1.0/24",
        pools: [{ pool: "10.1.1.100 - 10.1.1.120" }],
        "option-data": [{ name: "routers", data: "10.1.1.1" }],
      },
    ],
    loggers: [{ name: "kea-dhcp4", severity: "INFO", output_options: [{ output: join(folder, "kea.log") }] }],
  },
});

/**
 * dhcpd knows no server override (sub-option 11): it is told what that is, and to take it for its own name. It says of each message what
 * it read in option 82, and of each what it knows as its relay (giaddr).
 */
const DHCPD = `authoritative;
default-lease-time 600;
option agent.renew-at code 11 = ip-address;
if exists agent.renew-at { option dhcp-server-identifier = option agent.renew-at; }
if exists agent.circuit-id {
  log(info, concat("option 82: ", option agent.circuit-id, " of ", option agent.remote-id, ", subnet ",
    binary-to-ascii(10, 8, ".", option agent.link-selection), ", renews at ", binary-to-ascii(10, 8, ".", option agent.renew-at)));
}
subnet 50.1.1.0 netmask 255.255.255.0 {}
subnet 10.1.1.0 netmask 255.255.255.0 { range 10.1.1.121 10.1.1.129; option routers 10.1.1.1; }
`;

describe.skipIf(missing !== undefined)("DHCP by relay", () => {
  let gateways: Gateways;
  let gw1: Gateway;

  const site = (n: 1 | 2, vm: Client) => ({
    underlay: { address: `192.0.2.${n}` },
    tunnels: [
      { name: `gw${3 - n}`, remote: `192.0.2.${3 - n}` },
      { name: "border", remote: "192.0.2.3" },
    ],
    vsis: [{ name: "vsi10", vni: 10 }],
    interfaces: [
      {
        name: "vsi-interface10",
        vsi: "vsi10",
        address: "10.1.1.1/24",
        icmpSource: `10.1.1.25${n}`,
        dhcpRelay: { servers: [SERVER] },
      },
    ],
    // What they get is all that they may send from.
    acs: [{ name: vm, vsi: "vsi10", tap: { device: "eth0", netns: gateways.bed.name(vm) }, antiSpoof: "strict" }],
    routes: [{ prefix: "0.0.0.0/0", nextHop: "10.1.1.2" }],
  });

  beforeAll(async () => {
    gateways = await openGateways("dhcp");
    const { bed } = gateways;
    for (const name of ["underlay", "gw1", "gw2", "border", "vm1", "vm2", "srv"]) await bed.namespace(name);
    for (const [n, name] of ["gw1", "gw2", "border"].entries()) {
      await bed.veth(name, "ul0", "underlay", `to-${name}`);
      await bed.ip(name, `addr add 192.0.2.${n + 1}/24 dev ul0`);
    }
    await bed.bridge("underlay", "br0", ["to-gw1", "to-gw2", "to-border"]);
    gw1 = await gateways.start("gw1", site(1, "vm1"));
    await gateways.start("gw2", site(2, "vm2"));
    await gateways.start("border", {
      underlay: { address: "192.0.2.3" },
      tunnels: [
        { name: "gw1", remote: "192.0.2.1" },
        { name: "gw2", remote: "192.0.2.2" },
      ],
      vsis: [{ name: "vsi10", vni: 10 }, { name: "uplink" }],
      interfaces: [
        { name: "vsi-interface10", vsi: "vsi10", address: "10.1.1.2/24", distributed: false },
        { name: "outside", vsi: "uplink", address: "50.1.1.254/24", distributed: false },
      ],
      acs: [{ name: "srv", vsi: "uplink", tap: { device: "eth0", netns: bed.name("srv") } }],
    });
    await bed.ip("srv", `addr add ${SERVER}/24 dev eth0`, "link set dev eth0 up", "route add default via 50.1.1.254");
    for (const [vm, mac] of Object.entries(MACS)) await bed.ip(vm, `link set dev eth0 address ${mac} up`);
    writeFileSync(join(bed.folder, "lease.sh"), SCRIPT, { mode: 0o755 });
  });
  afterAll(() => gateways?.remove());
  /** What a test has started; whatever becomes of it, the next one begins without a server and without addresses. */
  const running: Identity[] = [];
  afterEach(async () => {
    await end(running.splice(0));
    for (const vm of ["vm1", "vm2"] as const) await gateways.bed.ip(vm, "addr flush dev eth0");
  });

  const logOf = (vm: Client, run: string) => join(gateways.bed.folder, `${run}-${vm}.log`);

  /** A lease for `vm`, taken once; the client stays and can be told to renew. */
  function client(vm: Client, run: string): Identity {
    const { bed } = gateways;
    writeFileSync(logOf(vm, run), "");
    const args = ["-f", "-i", "eth0", "-s", join(bed.folder, "lease.sh"), "-t", "10", "-T", "1"];
    const started = bed.launch(vm, `udhcpc-${run}-${vm}`, "env", [`LEASE_LOG=${logOf(vm, run)}`, "udhcpc", ...args]);
    running.push(started);
    return started;
  }

  async function said(vm: Client, run: string, event: string): Promise<Record<string, string>> {
    const lines = async () => (await gateways.bed.must(vm, "cat", [logOf(vm, run)])).split("\n");
    let found: string | undefined;
    await until(`${event} at ${vm}`, 30_000, async () => {
      found = (await lines()).findLast((line) => line.startsWith(`${event} `));
      return found !== undefined;
    });
    return Object.fromEntries(
      found!
        .split(" ")
        .slice(1)
        .map((pair) => pair.split("=") as [string, string]),
    );
  }

  /** Both VMs get an address, are reached from each other and from outside, and vm1 renews with what it takes for its server. */
  async function leases(run: string, renewsAt: string): Promise<void> {
    const { bed } = gateways;
    const dump = await openDump(bed, "srv", "eth0");
    const clients = [client("vm1", run), client("vm2", run)];
    const [one, two] = [await said("vm1", run, "bound"), await said("vm2", run, "bound")];
    for (const lease of [one, two])
      expect(lease).toMatchObject({ ip: expect.stringMatching(/^10\.1\.1\.1[0-2]\d$/), router: "10.1.1.1" });
    expect([one.server, two.server]).toEqual([renewsAt, renewsAt]);
    expect(one.ip).not.toBe(two.ip);
    expect((await ping(bed, "vm1", two.ip!)).ttls).toEqual([62, 62, 62]);
    expect((await ping(bed, "srv", one.ip!)).ttls).toEqual([62, 62, 62]);
    process.kill(clients[0]!.pid, "SIGUSR1");
    expect((await said("vm1", run, "renew")).ip).toBe(one.ip);
    const bindings = await gw1.look<Binding[]>("/v1/bindings");
    expect(bindings).toContainEqual(expect.objectContaining({ ac: "vm1", mac: MACS.vm1, ip: one.ip, source: "dhcp" }));
    await end(clients);
    await dump.stop();
    // From the client's own site, and from no other.
    const of = (relay: string, mac: string) =>
      `udp dst port 67 and src ${relay} and udp[36:4]=0x${mac.replaceAll(":", "").slice(0, 8)} and udp[40:2]=0x${mac.replaceAll(":", "").slice(8)}`;
    expect(await countFrames(dump.file, of("10.1.1.251", MACS.vm1))).toBeGreaterThanOrEqual(
      renewsAt === SERVER ? 2 : 3,
    );
    expect(await countFrames(dump.file, of("10.1.1.252", MACS.vm1))).toBe(0);
    expect(await countFrames(dump.file, of("10.1.1.251", MACS.vm2))).toBe(0);
  }

  test("a server that is silent is told of by doctor, with what to look at", { timeout: 60_000 }, async () => {
    client("vm1", "silent");
    await until("a silent server", 30_000, async () => {
      const [row] = await gw1.look<DhcpServer[]>("/v1/dhcp");
      return (row?.silentSeconds ?? 0) >= 10;
    });
    await end(running);
    const { stdout } = await gw1.ctl("doctor");
    expect(stdout).toMatch(/^warn +dhcp 50\.1\.1\.67: .*, 0 replies; silent for \d+ s$/m);
    expect(stdout).toContain("a way back to 10.1.1.251?");
  });

  test("dnsmasq: a lease at each site, asked for once, and renewed at the client's own gateway", {
    timeout: 90_000,
  }, async () => {
    const { bed } = gateways;
    const range = "--dhcp-range=10.1.1.100,10.1.1.120,255.255.255.0,600";
    const own = ["--no-daemon", "--port=0", "--no-resolv", "--conf-file=/dev/null", "--no-ping", "--log-dhcp"];
    const lease = [`--dhcp-leasefile=${join(bed.folder, "dnsmasq.leases")}`, "--dhcp-option=option:router,10.1.1.1"];
    running.push(bed.launch("srv", "dnsmasq", "dnsmasq", [...own, range, ...lease]));
    // RFC 5107: the gateway stands for the server.
    await leases("dnsmasq", "10.1.1.1");
    const rows = await gw1.look<DhcpServer[]>("/v1/dhcp");
    expect(rows).toMatchObject([{ interface: "vsi-interface10", server: SERVER, silentSeconds: null }]);
    expect((await gw1.ctl("show", "dhcp")).stdout).toMatch(/vsi-interface10\s+50\.1\.1\.67/);
  });

  test("Kea: the same, but for where it is renewed", { timeout: 90_000 }, async () => {
    const { bed } = gateways;
    const file = join(bed.folder, "kea.json");
    writeFileSync(file, JSON.stringify(KEA(bed.folder)));
    const where = [`KEA_PIDFILE_DIR=${bed.folder}`, `KEA_LOCKFILE_DIR=${bed.folder}`];
    running.push(bed.launch("srv", "kea", "env", [...where, "kea-dhcp4", "-c", file]));
    // Kea 2.2 does not know that sub-option: its clients renew at the server itself, which is routed.
    await leases("kea", SERVER);
  });

  test("ISC dhcpd: it reads option 82 as we mean it, and with one line renews at the client's own gateway", {
    timeout: 90_000,
  }, async ({ skip }) => {
    if (!hasDhcpd) skip("dhcpd is not installed (Debian's isc-dhcp-server)");
    const { bed } = gateways;
    const [file, known] = [join(bed.folder, "dhcpd.conf"), join(bed.folder, "dhcpd.leases")];
    writeFileSync(file, DHCPD);
    writeFileSync(known, "");
    const args = ["-4", "-f", "-d", "--no-pid", "-cf", file, "-lf", known, "eth0"];
    const server = bed.launch("srv", "dhcpd", "dhcpd", args);
    running.push(server);
    await leases("dhcpd", "10.1.1.1");
    await end([server]);
    const log = readFileSync(join(bed.folder, "dhcpd.log"), "utf8");
    for (const [n, vm] of [
      [1, "vm1"],
      [2, "vm2"],
    ] as const) {
      expect(log).toContain(`option 82: vsi10/${vm} of gw${n}, subnet 10.1.1.0, renews at 10.1.1.1`);
      expect(log).toMatch(new RegExp(`DHCPDISCOVER from ${MACS[vm]} .*via 10\\.1\\.1\\.25${n}`));
    }
  });
});
