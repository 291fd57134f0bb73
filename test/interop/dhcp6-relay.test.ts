/**
 * The DHCPv6 relay between a real client and real servers: ISC dhclient behind a strict AC, and Kea, then dnsmasq, behind the Border's uplink.
 * Each server has a range for VXLAN 10 alone and finds it by the link-address. And a gateway that is killed: what it had leased binds when
 * it is back, before its client has said a word.
 *
 *     vm1 - gw1 --- border - srv     2001:db8:10::/64, relay ::fb; 2001:db8:50::/64, server ::67
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Binding } from "../../src/api/bindings.ts";
import type { DhcpServer } from "../../src/api/dhcp.ts";
import { until } from "../../src/lab/deadline.ts";
import { end, type Identity } from "../../src/lab/process.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "../netns/gateways.ts";

const missing = whyNoGateways("dnsmasq", "kea-dhcp6", "dhclient");
if (missing) console.log(`dhcp6-relay.test.ts skipped: ${missing}`);

const SERVER = "2001:db8:50::67";
const MAC = "02:00:00:00:01:11";
const LEASE = /^2001:db8:10::1[0-9a-f]{2}$/;

/** dhclient calls it with what it was given. */
const SCRIPT = `#!/bin/sh
case "$reason" in
BOUND6|RENEW6|REBIND6) ip -6 addr replace "$new_ip6_address/128" dev "$interface" nodad
  ip -6 route replace default via fe80::1 dev "$interface" ;;
EXPIRE6|RELEASE6|STOP6) ip -6 addr del "$old_ip6_address/128" dev "$interface" ;;
esac
[ "$reason" = PREINIT6 ] || echo "$reason ip=$new_ip6_address" >> "$LEASE_LOG"
exit 0
`;

/** Renewed after four seconds. */
const KEA = (folder: string) => ({
  Dhcp6: {
    "interfaces-config": { interfaces: [`eth0/${SERVER}`] },
    "server-id": { type: "LLT", persist: false },
    "lease-database": { type: "memfile", persist: false },
    ...{ "renew-timer": 4, "rebind-timer": 60, "preferred-lifetime": 300, "valid-lifetime": 600 },
    subnet6: [{ id: 1, subnet: "2001:db8:10::/64", pools: [{ pool: "2001:db8:10::100 - 2001:db8:10::1ff" }] }],
    loggers: [{ name: "kea-dhcp6", severity: "INFO", output_options: [{ output: join(folder, "kea6.log") }] }],
  },
});

describeReal(missing, "DHCPv6 by relay", () => {
  let gateways: Gateways;
  let gw1: Gateway;

  beforeAll(async () => {
    gateways = await openGateways("dhcp6");
    const { bed } = gateways;
    for (const name of ["underlay", "gw1", "border", "vm1", "srv"]) await bed.namespace(name);
    for (const [n, name] of ["gw1", "border"].entries()) {
      await bed.veth(name, "ul0", "underlay", `to-${name}`);
      await bed.ip(name, `addr add 192.0.2.${n + 1}/24 dev ul0`);
    }
    await bed.bridge("underlay", "br0", ["to-gw1", "to-border"]);
    gw1 = await gateways.start("gw1", {
      underlay: { address: "192.0.2.1" },
      tunnels: [{ name: "border", remote: "192.0.2.2" }],
      vsis: [{ name: "vsi10", vni: 10 }],
      interfaces: [
        {
          name: "vsi-interface10",
          vsi: "vsi10",
          address: ["10.1.1.1/24", "2001:db8:10::1/64"],
          icmpSource: ["10.1.1.251", "2001:db8:10::fb"],
          routerAdvertisement: { slaac: false, managed: true },
          dhcpRelay: { servers: [SERVER] },
        },
      ],
      acs: [{ name: "vm1", vsi: "vsi10", tap: { device: "eth0", netns: bed.name("vm1") }, antiSpoof: "strict" }],
      routes: [{ prefix: "::/0", nextHop: "2001:db8:10::2" }],
      stateDirectory: join(bed.folder, "state"),
    });
    await gateways.start("border", {
      underlay: { address: "192.0.2.2" },
      tunnels: [{ name: "gw1", remote: "192.0.2.1" }],
      vsis: [{ name: "vsi10", vni: 10 }, { name: "uplink" }],
      interfaces: [
        { name: "vsi-interface10", vsi: "vsi10", address: ["10.1.1.2/24", "2001:db8:10::2/64"], distributed: false },
        { name: "outside", vsi: "uplink", address: ["50.1.1.254/24", "2001:db8:50::fe/64"], distributed: false },
      ],
      acs: [{ name: "srv", vsi: "uplink", tap: { device: "eth0", netns: bed.name("srv") } }],
    });
    await bed.ip("vm1", `link set dev eth0 address ${MAC} up`);
    await bed.ip("srv", "link set dev eth0 up");
    for (const name of ["vm1", "srv"]) {
      const switches = ["accept_ra=0", "use_tempaddr=0", "disable_ipv6=0"];
      await bed.must(name, "sysctl", ["-qw", ...switches.map((each) => `net.ipv6.conf.eth0.${each}`)]);
    }
    await bed.ip("srv", `addr add ${SERVER}/64 dev eth0 nodad`, "route add default via 2001:db8:50::fe");
    writeFileSync(join(bed.folder, "lease6.sh"), SCRIPT, { mode: 0o755 });
    for (const name of ["vm1", "srv"])
      await until(`a link-local address in ${name}`, 20_000, async () =>
        / scope link *\n/.test(await bed.must(name, "ip", ["-6", "addr", "show", "dev", "eth0", "-tentative"])),
      );
  });
  afterAll(() => gateways?.remove());
  /** What a test has started; whatever becomes of it, the next one begins without a server and without addresses. */
  const running: Identity[] = [];
  afterEach(async () => {
    await end(running.splice(0));
    await gateways.bed.ip("vm1", "addr flush dev eth0 scope global");
  });

  const logOf = (run: string) => join(gateways.bed.folder, `${run}.log6`);

  function client(run: string): Identity {
    const { bed } = gateways;
    writeFileSync(logOf(run), "");
    const files = ["-lf", join(bed.folder, `${run}.leases6`), "-pf", join(bed.folder, `${run}.pid6`)];
    const how = ["-6", "-d", "-v", "-sf", join(bed.folder, "lease6.sh"), "-e", `LEASE_LOG=${logOf(run)}`];
    const started = bed.launch("vm1", `dhclient-${run}`, "dhclient", [...how, ...files, "eth0"]);
    running.push(started);
    return started;
  }

  async function said(run: string, reason: string): Promise<string> {
    let ip: string | undefined;
    await until(`${reason} (${run})`, 60_000, async () => {
      const lines = (await gateways.bed.must("vm1", "cat", [logOf(run)])).split("\n");
      ip = lines.findLast((line) => line.startsWith(`${reason} `))?.split("ip=")[1];
      return ip !== undefined;
    });
    return ip!;
  }

  const bound = async () => await gw1.look<Binding[]>("/v1/bindings");
  const pings = async () => {
    const { stdout } = await gateways.bed.run(
      "vm1",
      "ping",
      ["-6", "-n", "-c", "3", "-i", "0.2", "-w", "10", SERVER],
      20_000,
    );
    return [...stdout.matchAll(/ttl=(\d+)/g)].map(([, ttl]) => Number(ttl));
  };

  /** The VM has an address of the server's range, may speak from it, and what the server answers comes back. */
  async function leases(run: string): Promise<{ readonly ip: string; readonly dhclient: Identity }> {
    const dhclient = client(run);
    const ip = await said(run, "BOUND6");
    expect(ip).toMatch(LEASE);
    expect(await bound()).toContainEqual(expect.objectContaining({ ac: "vm1", mac: MAC, ip, source: "dhcp" }));
    expect(await pings()).toEqual([62, 62, 62]);
    return { ip, dhclient };
  }

  test("Kea: a lease, renewed through the relay, and kept when the gateway is killed", {
    timeout: 120_000,
  }, async () => {
    const { bed } = gateways;
    const file = join(bed.folder, "kea6.json");
    writeFileSync(file, JSON.stringify(KEA(bed.folder)));
    const where = [`KEA_PIDFILE_DIR=${bed.folder}`, `KEA_LOCKFILE_DIR=${bed.folder}`];
    running.push(bed.launch("srv", "kea6", "env", [...where, "kea-dhcp6", "-c", file]));
    const { ip, dhclient } = await leases("kea");
    expect(await said("kea", "RENEW6")).toBe(ip);
    const rows = await gw1.look<DhcpServer[]>("/v1/dhcp");
    expect(rows).toMatchObject([{ interface: "vsi-interface10", server: SERVER, silentSeconds: null }]);
    expect(rows[0]!.requests).toBeGreaterThanOrEqual(3);
    expect((await gw1.ctl("show", "dhcp")).stdout).toMatch(/vsi-interface10\s+2001:db8:50::67/);
    // The client is silent from now on; its address is not given back.
    process.kill(dhclient.pid, "SIGKILL");
    const kept = join(bed.folder, "state", "leases.json");
    await until("the lease on disk", 20_000, async () => (await bed.must("gw1", "cat", [kept])).includes(`"${ip}"`));
    await gw1.stop("SIGKILL");
    gw1 = await gw1.restart();
    expect(await bound()).toContainEqual(expect.objectContaining({ ac: "vm1", mac: MAC, ip, source: "dhcp" }));
    expect(await pings()).toEqual([62, 62, 62]);
    expect((await gw1.ctl("doctor")).stdout).toMatch(/leases: \d+ leases? of strict ACs, kept in /);
  });

  test("dnsmasq: the same", { timeout: 120_000 }, async () => {
    const { bed } = gateways;
    const own = ["--no-daemon", "--port=0", "--no-resolv", "--conf-file=/dev/null", "--log-dhcp"];
    const range = [
      "--dhcp-range=2001:db8:10::100,2001:db8:10::1ff,64,600",
      `--dhcp-leasefile=${join(bed.folder, "d6")}`,
    ];
    running.push(bed.launch("srv", "dnsmasq6", "dnsmasq", [...own, ...range]));
    await leases("dnsmasq");
  });
});
