/**
 * A fabric in namespaces: FRR as route reflector and as leaf with kernel VXLAN, a gateway of ours with gobgpd beside it.
 *
 *     rr     192.0.2.251, bridge of the underlay, FRR bgpd (or gobgpd)
 *     leaf   192.0.2.2, FRR + kernel: h10 (10.1.1.21) in VNI 10, h20 (10.1.2.21) in VNI 20; gateways 10.1.1.1, 10.1.2.1
 *     gw1    192.0.2.1, vtepd + gobgpd: vm1 (10.1.1.11) in VNI 10
 *     gw2    192.0.2.3, vtepd + gobgpd: vm2 (10.1.1.12) in VNI 10
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../src/lab/deadline.ts";
import { gobgpds } from "../bgp/gobgpd.ts";
import type { Bed } from "../netns/bed.ts";
import { type Gateway, type Gateways, openGateways } from "../netns/gateways.ts";
import { type Frr, leafConfig, leafVni, reflectorConfig, startFrr } from "./frr.ts";

export const AS = 65000;
export const VTEPS: Readonly<Record<string, string>> = { gw1: "192.0.2.1", leaf: "192.0.2.2", gw2: "192.0.2.3" };
export const REFLECTOR = "192.0.2.251";
/** What `mac: shared` makes of VNI 10 and 20. */
export const GATEWAY_MACS = { 10: "02:00:5e:00:00:0a", 20: "02:00:5e:00:00:14" };

/** The leaf's router's MAC: that of the bridge of its L3VNI. */
export const LEAF_ROUTER_MAC = "02:00:00:00:fe:02";

export interface Fabric {
  readonly gateways: Gateways;
  readonly bed: Bed;
  /** null: gobgpd reflects. */
  readonly rr: Frr | null;
  readonly leaf: Frr;
  /** Start gobgpd in namespace `node`; its socket. @returns ends it, at once. */
  engine(node: string): Promise<() => void>;
  engineSocket(node: string): string;
  gateway(node: string, change?: object): Promise<Gateway>;
  remove(): Promise<void>;
}

export interface FabricShape {
  /** Of the leaf's default VRF, which is the tenant's then; null: it has none. */
  readonly l3vni?: number | null;
  readonly reflector?: "frr" | "gobgpd";
  /** The leaf and its hosts have IPv6 too: h10 is 2001:db8:10::21, its gateway 2001:db8:10::1. */
  readonly isDual?: boolean;
}

export async function makeFabric(
  label: string,
  { l3vni = null, reflector = "frr", isDual = false }: FabricShape = {},
): Promise<Fabric> {
  const gateways = await openGateways(label);
  const { bed } = gateways;
  for (const name of ["rr", "leaf", "gw1", "gw2", "vm1", "vm2", "h10", "h20"]) await bed.namespace(name);
  await bed.bridge("rr", "underlay");
  await bed.ip("rr", `addr add ${REFLECTOR}/24 dev underlay`, "link set underlay up");
  for (const [name, address] of Object.entries(VTEPS)) {
    await bed.veth(name, "ul0", "rr", `to-${name}`);
    await bed.ip("rr", `link set to-${name} master underlay`, `link set to-${name} up`);
    await bed.ip(name, `addr add ${address}/24 dev ul0`, "link set ul0 up", "link set lo up");
  }
  await bed.must("leaf", "sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
  if (isDual) await allowIpv6(bed, "leaf");
  for (const [vni, subnet, host] of [
    [10, "10.1.1", "h10"],
    [20, "10.1.2", "h20"],
  ] as const) {
    await leafVni(bed, "leaf", { vni, local: VTEPS.leaf!, gateway: `${subnet}.1/24`, mac: GATEWAY_MACS[vni] });
    await bed.veth(host, "eth0", "leaf", `to-${host}`, 1450);
    await bed.ip("leaf", `link set to-${host} master br${vni}`, `link set to-${host} up`);
    await bed.ip(host, "link set eth0 up", `addr add ${subnet}.21/24 dev eth0`, `route add default via ${subnet}.1`);
    if (!isDual) continue;
    await bed.ip("leaf", `addr add 2001:db8:${vni}::1/64 dev br${vni} nodad`);
    await joinIpv6(bed, host, `2001:db8:${vni}::21`);
  }
  const clients = Object.values(VTEPS);
  if (reflector === "gobgpd") startReflector(bed, clients);
  const rr = reflector === "frr" ? await startFrr(bed, "rr", reflectorConfig(AS, REFLECTOR, clients)) : null;
  if (l3vni !== null)
    await leafVni(bed, "leaf", { vni: l3vni, local: VTEPS.leaf!, gateway: null, mac: LEAF_ROUTER_MAC });
  const leaf = await startFrr(
    bed,
    "leaf",
    leafConfig(AS, VTEPS.leaf!, REFLECTOR, l3vni, isDual ? ["ipv4", "ipv6"] : ["ipv4"]),
  );
  const socketOf = (node: string) => join(bed.folder, `${node}.bgp.sock`);
  return {
    ...{ gateways, bed, rr, leaf, engineSocket: socketOf },
    async engine(node) {
      const bin = gobgpds()[0]!.bin!;
      const api = ["--api-hosts", `unix://${socketOf(node)}`, "--pprof-disable", "--log-level=warn"];
      await bed.run("rr", "rm", ["-f", socketOf(node)]);
      const child = bed.follow(node, bin, api);
      await until(
        "gobgpd's socket",
        5000,
        async () => (await bed.run("rr", "test", ["-S", socketOf(node)])).status === 0,
      );
      return () => child.kill("SIGKILL");
    },
    gateway: (node, change = {}) =>
      gateways.start(node, {
        underlay: { address: VTEPS[node] },
        evpn: {
          engine: { socket: socketOf(node) },
          as: AS,
          peers: [{ address: REFLECTOR, as: AS }],
        },
        vsis: [
          { name: "vsi10", vni: 10, evpn: {} },
          { name: "vsi20", vni: 20, evpn: {} },
        ],
        interfaces: [
          { name: "if10", vsi: "vsi10", address: "10.1.1.1/24" },
          { name: "if20", vsi: "vsi20", address: "10.1.2.1/24" },
        ],
        acs: [
          {
            name: node === "gw1" ? "vm1" : "vm2",
            vsi: "vsi10",
            tap: { device: "eth0", netns: bed.name(node === "gw1" ? "vm1" : "vm2") },
          },
        ],
        ...change,
      }),
    async remove() {
      await gateways.remove();
      rr?.remove();
      leaf.remove();
    },
  };
}

/** Namespaces begin without it. */
async function allowIpv6(bed: Bed, node: string): Promise<void> {
  const own = ["all.disable_ipv6=0", "default.disable_ipv6=0", "all.forwarding=1", "default.accept_dad=0"];
  await bed.must(node, "sysctl", ["-qw", ...own.map((each) => `net.ipv6.conf.${each}`)]);
}

/** A host's IPv6: an address of a /64 whose first one is its gateway's. */
export async function joinIpv6(bed: Bed, host: string, address: string): Promise<void> {
  const own = ["disable_ipv6=0", "accept_ra=0", "accept_dad=0"];
  await bed.must(host, "sysctl", ["-qw", ...own.map((each) => `net.ipv6.conf.eth0.${each}`)]);
  await bed.ip(host, `addr add ${address}/64 dev eth0 nodad`);
  await bed.must(host, "ip", ["-6", "route", "add", "default", "via", address.replace(/::.*/, "::1"), "dev", "eth0"]);
}

/** gobgpd as the route reflector of `clients`, which dial it. */
function startReflector(bed: Bed, clients: readonly string[]): void {
  const file = join(bed.folder, "rr.toml");
  const neighbor = (address: string) => `[[neighbors]]
  [neighbors.config]
    neighbor-address = "${address}"
    peer-as = ${AS}
  [neighbors.transport.config]
    passive-mode = true
  [neighbors.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "${REFLECTOR}"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "l2vpn-evpn"
`;
  const head = `[global.config]\n  as = ${AS}\n  router-id = "${REFLECTOR}"\n`;
  writeFileSync(file, head + clients.map(neighbor).join(""));
  const api = ["--api-hosts", `unix://${join(bed.folder, "rr.bgp.sock")}`, "--pprof-disable", "--log-level=warn"];
  bed.follow("rr", gobgpds()[0]!.bin!, ["-f", file, ...api]);
}
