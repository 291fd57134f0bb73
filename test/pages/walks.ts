/**
 * The frames of docs/vxlan-101.md: whole gateways over memory io carry a ping, and every frame on a cable or on the underlay is
 * told in one line, in the order in which it was sent.
 */
import { ARP_REQUEST, parseArp } from "../../src/wire/arp.ts";
import { i32, u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, ETH_BYTES, formatMac, type Mac, readMac, TYPE_ARP } from "../../src/wire/ethernet.ts";
import { formatIpv4, IP_DST, IP_SRC, IP_TTL, IPV4_BYTES } from "../../src/wire/ipv4.ts";
import { VXLAN_HEADER_BYTES, vniAt } from "../../src/wire/vxlan.ts";
import { article } from "../gateway/article.ts";
import { type Seen, World } from "../gateway/world.ts";
import { read } from "../house/source.ts";

const VTEPS: Readonly<Record<string, string>> = {
  "192.0.2.1": "gw1",
  "192.0.2.2": "gw2",
  "192.0.2.3": "border",
  "192.0.2.9": "central",
};
const LETTERS: Readonly<Record<string, string>> = { gw1: "G1", gw2: "G2", border: "B", central: "C" };

/** MACs by name: M1 is vm1's, G1.10 the one of VSI-interface10 on gw1. */
function macNames(world: World): (mac: Mac) => string {
  const names = new Map<Mac, string>([
    [BROADCAST, "all"],
    [0, "-"],
  ]);
  for (const vm of world.vms.values()) names.set(vm.mac, vm.name === "ext" ? "ME" : vm.name.replace("vm", "M"));
  for (const [gateway, { control }] of world.gateways)
    for (const { name, mac } of control.shown.inventory.interfaces.values())
      names.set(mac, `${LETTERS[gateway]}.${name === "outside" ? "up" : name.replace("vsi-interface", "")}`);
  return (mac) => names.get(mac) ?? formatMac(mac);
}

function lineOf({ where, from, to, bytes }: Seen, name: (mac: Mac) => string): string {
  const isOuter = where === "underlay";
  const at = isOuter ? VXLAN_HEADER_BYTES : 0;
  const place = isOuter ? `${VTEPS[from]} > ${VTEPS[to]}, VNI ${vniAt(bytes, 0)}` : `${from} > ${to}`;
  const ethernet = `${name(readMac(bytes, at + 6))} > ${name(readMac(bytes, at))}`;
  return `${place.padEnd(22)} ${ethernet.padEnd(15)} ${contents(bytes, at, name)}`;
}

function contents(bytes: Uint8Array, at: number, name: (mac: Mac) => string): string {
  const arp = u16(bytes, at + 12) === TYPE_ARP ? parseArp(bytes, at, bytes.length) : null;
  if (arp !== null) {
    const [sender, target] = [formatIpv4(arp.senderIp), formatIpv4(arp.targetIp)];
    return arp.op === ARP_REQUEST
      ? `ARP: who has ${target}? tell ${sender} at ${name(arp.senderMac)}`
      : `ARP: ${sender} is at ${name(arp.senderMac)}`;
  }
  const ip = at + ETH_BYTES;
  const kind = bytes[ip + IPV4_BYTES] === 8 ? "echo request" : "echo reply";
  return `${formatIpv4(i32(bytes, ip + IP_SRC))} > ${formatIpv4(i32(bytes, ip + IP_DST))}  TTL ${bytes[ip + IP_TTL]}  ${kind}`;
}

/** A fenced block with the frames of vm1's first ping to `to`; the floods to other VTEPs and ACs are among them. */
function walk(world: World, to: string): string {
  world.clear();
  world.get("vm1").ping(to);
  for (let n = 0; n < 40; n++) world.advance(50);
  const [reply] = world.get("vm1").replies;
  if (reply === undefined) throw new Error(`no answer from ${to}`);
  const name = macNames(world);
  // Gateways ask their next hops each second whether they live (behaviour.md §3.14): what comes behind the answer is not shown.
  const end = world.seen.findLastIndex(({ where, to: at }) => where === "vm1" && at === "vm1");
  const lines = world.seen.slice(0, end + 1).map((seen, n) => `${String(n + 1).padStart(2)}  ${lineOf(seen, name)}`);
  return ["```", ...lines, `vm1: 64 bytes from ${reply}`, "```", ""].join("\n");
}

/** vm1 and vm2 at gw1, vm4 and vm5 at gw2, and the gateway in the middle: docs/examples/leaf.yaml and central-gateway.yaml. */
export function centralWorld(): World {
  const world = new World(1);
  for (const address of ["192.0.2.1", "192.0.2.2", "192.0.2.9"]) world.net.inbox(address);
  const leaf = read("docs/examples/leaf.yaml");
  const other = leaf
    .replace("node: gw1", "node: gw2")
    .replace("address: 192.0.2.1", "address: 192.0.2.2")
    .replace("{name: gw2, remote: 192.0.2.2}", "{name: gw1, remote: 192.0.2.1}")
    .replace("name: vm1", "name: vm4")
    .replace("name: vm2", "name: vm5");
  const [gw1, gw2] = [world.gateway(leaf), world.gateway(other)];
  world.gateway(read("docs/examples/central-gateway.yaml"));
  for (const [gateway, n, net, host] of [
    [gw1, 1, 10, 11],
    [gw1, 2, 20, 11],
    [gw2, 4, 10, 12],
    [gw2, 5, 20, 12],
  ] as const)
    world.vm(gateway, {
      name: `vm${n}`,
      ip: `${net}.1.1.${host}`,
      mac: `02:00:00:00:0${n}:${host}`,
      gateway: `${net}.1.1.1`,
    });
  world.advance(2000);
  return world;
}

export const centralised = (): string => walk(centralWorld(), "20.1.1.11");
export const sameVxlan = (): string => walk(article({ outside: "policy" }), "10.1.1.12");
export const otherVxlan = (): string => walk(article({ outside: "policy" }), "20.1.1.12");
export const outside = (): string => walk(article({ outside: "policy" }), "50.1.1.1");

/** The second ping to vm5: what gw1 sends to gw2, byte by byte behind the outer UDP header. */
export function bytesOnTheWire(): string {
  const world = article({ outside: "policy" });
  world.get("vm1").ping("20.1.1.12");
  world.advance(2000);
  world.clear();
  world.get("vm1").ping("20.1.1.12", { sequence: 2 });
  world.settle();
  const { bytes } = world.seen.find(({ where, from }) => where === "underlay" && from === "192.0.2.1")!;
  const name = macNames(world);
  const hex = (from: number, length: number) =>
    [...bytes.subarray(from, from + length)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const ip = VXLAN_HEADER_BYTES + ETH_BYTES;
  const rows: [number, number, string][] = [
    [0, 4, "flags: only I, the VNI is valid"],
    [4, 4, `VNI ${vniAt(bytes, 0)} and a reserved byte`],
    [VXLAN_HEADER_BYTES, 6, `to ${name(readMac(bytes, VXLAN_HEADER_BYTES))}, gw2's gateway MAC`],
    [VXLAN_HEADER_BYTES + 6, 6, `from ${name(readMac(bytes, VXLAN_HEADER_BYTES + 6))}, gw1's`],
    [VXLAN_HEADER_BYTES + 12, 2, "IPv4"],
    [ip, 8, "version and header length, DSCP and ECN, length, identification, DF"],
    [ip + IP_TTL, 4, `TTL ${bytes[ip + IP_TTL]}, ICMP, header checksum`],
    [ip + IP_SRC, 4, formatIpv4(i32(bytes, ip + IP_SRC))],
    [ip + IP_DST, 4, formatIpv4(i32(bytes, ip + IP_DST))],
    [ip + IPV4_BYTES, 8, "echo request: type, code, checksum, identifier, sequence number"],
  ];
  const lines = rows.map(
    ([from, length, what]) => `${String(from).padStart(3)}  ${hex(from, length).padEnd(24)} ${what}`,
  );
  return ["```", ...lines, `     ... ${bytes.length - ip - IPV4_BYTES - 8} bytes of data`, "```", ""].join("\n");
}
