/**
 * What the machine must have besides Node: Debian packages, what shows that each is there, and what it is for.
 *
 * set-up.mjs installs what is missing; this file only knows and looks.
 */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { join } from "node:path";

/** [Debian package, what shows that it is there (a program, or a file), what it is for] */
export const COMPILE = [
  ["g++", "g++", "compiles the addon"],
  ["make", "make", "compiles the addon"],
  ["python3", "python3", "node-gyp runs on it"],
];
export const CAPTURE = [
  ["libpcap-dev", "/usr/include/pcap/pcap.h", "lets the npm package `cap` be built (live captures)"],
];
const LAB = [
  ["iproute2", "ip", "network namespaces"],
  ["iputils-ping", "ping", "ping between VMs"],
  ["iperf3", "iperf3", "TCP throughput between VMs"],
  ["tcpdump", "tcpdump", "captures where `cap` is missing"],
];
const EVPN = [
  ["gobgpd", "gobgpd", "the BGP engine of EVPN"],
  ["frr", "/usr/lib/frr/bgpd", "a BGP EVPN leaf and route reflector of another make"],
];
/** libFuzzer: 107 MB where LLVM's libraries are there already, 300 where not. Then the plain driver of test/native does. */
const FUZZ = existsSync("/usr/lib/llvm-14/lib/libLLVM-14.so.1")
  ? [
      ["clang-14", "clang++-14", "compiles the fuzz targets"],
      ["libclang-rt-14-dev", "/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux", "libFuzzer and its sanitizers"],
    ]
  : [];
const NETNS = [
  ...LAB,
  ["tshark", "tshark", "the independent eye on our packets"],
  ["ethtool", "ethtool", "switches offloads in tests"],
  ["iptables", "iptables", "deterministic loss in tests"],
  ["openvswitch-switch", "ovs-vswitchd", "an independent VXLAN peer"],
  ...EVPN,
  ["udhcpc", "udhcpc", "a DHCP client"],
  ["dnsmasq-base", "dnsmasq", "a DHCP server behind the relay"],
  ["kea-dhcp4-server", "kea-dhcp4", "another one"],
  ["isc-dhcp-server", "dhcpd", "a third one"],
  ["kea-dhcp6-server", "kea-dhcp6", "a DHCPv6 server behind the relay"],
  ["radvd", "radvd", "a router that should not be one"],
  ["ndisc6", "rdisc6", "independent questions of neighbour discovery"],
  ["isc-dhcp-client", "dhclient", "a DHCPv6 client"],
];
const DOCKER = [
  ["docker.io", "dockerd", "the Docker lab's engine"],
  ["docker-compose", "docker compose", "starts the Docker lab"],
  ["debootstrap", "debootstrap", "makes the Docker lab's base image where no registry can be reached"],
];
const RELEASE = [
  ...COMPILE,
  ["g++-aarch64-linux-gnu", "aarch64-linux-gnu-g++", "compiles the release's addon for arm64"],
  ["dpkg", "dpkg-deb", "makes the release's Debian packages"],
];
/** The page of `vtepctl web`, in a browser like people's. */
const BROWSER = [["chromium", "chromium", "looks at the page of vtepctl web"]];
const TEST = [...NETNS, ...FUZZ, ...BROWSER, ["prometheus", "promtool", "checks the alert rules"], ...DOCKER];
const BENCH = [...NETNS, ["gcc", "gcc", "compiles the packet generator"]];
export const WANTED = {
  build: [],
  addon: [],
  lab: LAB,
  evpn: [...LAB, ...EVPN],
  test: TEST,
  bench: BENCH,
  docker: [...LAB, ...DOCKER],
  release: RELEASE,
};

/** Where `program` is, or null. Looks where root's programs are too. */
export function which(program) {
  for (const folder of [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/sbin", "/usr/local/sbin"]) {
    if (folder === "") continue;
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // the next folder
    }
  }
  return null;
}

/** Compose as a plug-in of docker, or as a program of its own. */
const hasCompose = () =>
  which("docker-compose") !== null || spawnSync("docker", ["compose", "version"], { stdio: "ignore" }).status === 0;

/** Is a package there, by its sign: a program, a file, or Compose? */
export function isThere(sign) {
  if (sign === "docker compose") return hasCompose();
  return sign.startsWith("/") ? existsSync(sign) : which(sign) !== null;
}
