/**
 * UDP checksums of zero over IPv6, between vtepd and the kernel's own vxlan device (RFC 6935 §5: both ends must want them).
 *
 *     vm1 - TAP - vtepd (gw1) --- veth --- vx10 (kp)        VXLAN 10, 10.1.1.0/24, over 2001:db8::/64
 *
 * The kernel has four settings: it sends them or not, and takes them or not; vtepd three: neither, takes them, and both. Each pair is
 * asked in both directions, and each answer is one that somebody counts: an echo request that arrived, or a datagram that the receiver's
 * kernel refused for its checksum. Neighbours and MACs are known beforehand, so that a direction needs nothing of the other one.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../src/lab/deadline.ts";
import { describeReal, type Gateway, type Gateways, openGateways, whyNoGateways } from "../netns/gateways.ts";

const DEADLINE_MS = 30_000;
const VM1 = { address: "10.1.1.11", mac: "02:00:00:00:01:11" };
const KERNEL = { address: "10.1.1.12", mac: "02:00:00:00:01:12" };

const OURS = [
  { name: "checksum: auto", underlay: {}, sends: false, takes: false },
  { name: "checksum: auto, acceptZeroChecksum", underlay: { acceptZeroChecksum: true }, sends: false, takes: true },
  { name: "checksum: zero", underlay: { checksum: "zero" }, sends: true, takes: true },
] as const;
const KERNELS = [false, true].flatMap((sends) => [false, true].map((takes) => ({ sends, takes })));
const named = (is: boolean, option: string) => (is ? option : `no${option}`);

describeReal(whyNoGateways(), "UDP checksums of zero over IPv6, with the kernel's vxlan", () => {
  let gateways: Gateways;
  let gw1: Gateway | undefined;

  beforeAll(async () => {
    gateways = await openGateways("zero6");
    const { bed } = gateways;
    for (const name of ["gw1", "vm1", "kp"]) await bed.namespace(name);
    await bed.veth("gw1", "ul0", "kp", "ul0");
    for (const [node, address] of [
      ["gw1", "2001:db8::1"],
      ["kp", "2001:db8::2"],
    ] as const) {
      await bed.must(node, "sysctl", ["-qw", "net.ipv6.conf.ul0.disable_ipv6=0", "net.ipv6.conf.ul0.accept_dad=0"]);
      await bed.ip(node, `addr add ${address}/64 dev ul0 nodad`);
    }
  });
  afterAll(() => gateways?.remove());

  async function startGateway(underlay: object): Promise<void> {
    const { bed } = gateways;
    await gw1?.stop();
    gw1 = await gateways.start("gw1", {
      underlay: { address: "2001:db8::1", ...underlay },
      tunnels: [{ name: "kernel", remote: "2001:db8::2" }],
      vsis: [{ name: "vsi10", vni: 10 }],
      acs: [{ name: "vm1", vsi: "vsi10", tap: { device: "eth0", netns: bed.name("vm1") } }],
    });
    await bed.ip(
      "vm1",
      `link set dev eth0 address ${VM1.mac} up`,
      `addr replace ${VM1.address}/24 dev eth0`,
      `neigh replace ${KERNEL.address} lladdr ${KERNEL.mac} dev eth0 nud permanent`,
    );
  }

  async function makeKernel(sends: boolean, takes: boolean): Promise<void> {
    const { bed } = gateways;
    await bed.run("kp", "ip", ["link", "del", "dev", "vx10"]);
    const checksums = `${named(sends, "udp6zerocsumtx")} ${named(takes, "udp6zerocsumrx")}`;
    await bed.ip(
      "kp",
      `link add vx10 address ${KERNEL.mac} type vxlan id 10 dstport 4789 local 2001:db8::2 remote 2001:db8::1 ${checksums}`,
      "link set dev vx10 mtu 1430 up",
      `addr add ${KERNEL.address}/24 dev vx10`,
      `neigh replace ${VM1.address} lladdr ${VM1.mac} dev vx10 nud permanent`,
    );
  }

  /** A counter of a namespace's kernel: of "/proc/net/snmp" ("Icmp InEchos") or "/proc/net/snmp6" ("Udp6InCsumErrors"). */
  async function counted(node: string, name: string): Promise<number> {
    if (!name.includes(" ")) {
      const text = await gateways.bed.must(node, "cat", ["/proc/net/snmp6"]);
      return Number(new RegExp(`^${name}\\s+(\\d+)`, "m").exec(text)?.[1] ?? Number.NaN);
    }
    const [group, field] = name.split(" ") as [string, string];
    const text = await gateways.bed.must(node, "cat", ["/proc/net/snmp"]);
    const [names, values] = text.match(new RegExp(`^${group}: .*`, "gm"))!.map((line) => line.split(" "));
    return Number(values![names!.indexOf(field)]);
  }

  /** What becomes of echo requests that `from` sends: they arrive in namespace `to`, or the UDP socket in `gate` refuses them. */
  async function fate(from: string, address: string, to: string, gate: string): Promise<"arrives" | "refused"> {
    const now = async () => [await counted(to, "Icmp InEchos"), await counted(gate, "Udp6InCsumErrors")] as const;
    const [arrived, refused] = await now();
    return until(`a request of ${from} to be counted`, DEADLINE_MS, async () => {
      await gateways.bed.run(from, "ping", ["-n", "-c", "1", "-W", "1", address]);
      const [isArrived, isRefused] = (await now()).map((count, i) => count > [arrived, refused][i]!);
      if (isArrived === isRefused) return undefined;
      return isArrived ? "arrives" : "refused";
    });
  }

  describe.each(OURS)("$name", (ours) => {
    beforeAll(() => startGateway(ours.underlay));

    test.each(KERNELS)(
      "a kernel that sends zeros: $sends, takes zeros: $takes",
      { timeout: 120_000 },
      async (kernel) => {
        await makeKernel(kernel.sends, kernel.takes);
        const expected = (sends: boolean, takes: boolean) => (sends && !takes ? "refused" : "arrives");
        expect([await fate("vm1", KERNEL.address, "kp", "kp"), await fate("kp", VM1.address, "vm1", "gw1")]).toEqual([
          expected(ours.sends, kernel.takes),
          expected(kernel.sends, ours.takes),
        ]);
      },
    );
  });
});
