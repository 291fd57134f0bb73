/** The article's network (behaviour.md §2.0) over memory io, and its frames told as text. */
import { ANNOUNCE_AGAIN_MS } from "../../src/control/resolution/announcer.ts";
import { ARP_REQUEST, parseArp } from "../../src/wire/arp.ts";
import { i32, u16 } from "../../src/wire/bytes.ts";
import { BROADCAST, ETH_BYTES, formatMac, type Mac, readMac, TYPE_IPV4 } from "../../src/wire/ethernet.ts";
import { formatIpv4, IP_DST, IP_PROTOCOL, IP_SRC, IP_TTL, PROTO_ICMP } from "../../src/wire/ipv4.ts";
import { vniAt } from "../../src/wire/vxlan.ts";
import { type Gateway, type Seen, World } from "./world.ts";

export type ArticleOptions = {
  /** auto or shared. */
  mac?: string;
  /** Another name of this very gateway or Border: `mac: auto` makes other gateway MACs of it. */
  node?: string;
  proxyArp?: string;
  relay?: string;
  /** How the outside is reached: a static route, or policies. */
  outside?: "static" | "policy";
  /** Of every gateway. */
  workers?: number;
  /** Queues of every TAP; default: one for each worker. */
  queues?: number;
};

const VTEP = { gw1: "192.0.2.1", gw2: "192.0.2.2", border: "192.0.2.3" } as const;

/** The configuration of gw1 or gw2. */
export function siteYaml(name: "gw1" | "gw2", o: ArticleOptions = {}): string {
  const peer = name === "gw1" ? "gw2" : "gw1";
  const vms = name === "gw1" ? ["vm1", "vm2", "vm3"] : ["vm4", "vm5", "vm6"];
  const nets = [10, 20, 30];
  const lines = [
    `node: ${o.node ?? name}`,
    `underlay: {address: ${VTEP[name]}, mtu: 1500}`,
    "tunnels:",
    `  - {name: ${peer}, remote: ${VTEP[peer]}}`,
    `  - {name: border, remote: ${VTEP.border}}`,
    "vsis:",
    ...nets.map(
      (n) => `  - {name: vsi${n}, vni: ${n}, proxyArp: ${o.proxyArp ?? "immediate"}, relay: ${o.relay ?? "auto"}}`,
    ),
    "interfaces:",
    ...nets.map((n) => `  - {name: vsi-interface${n}, vsi: vsi${n}, address: ${n}.1.1.1/24, mac: ${o.mac ?? "auto"}}`),
    "acs:",
    ...vms.map((vm, i) => `  - {name: ${vm}, vsi: vsi${nets[i]}, tap: {device: tap-${vm}}}`),
  ];
  if (o.outside === "policy") {
    lines.push("policies:");
    for (const n of nets)
      lines.push(
        `  - {name: out${n}, interfaces: [vsi-interface${n}], rules: [{match: {}, defaultNextHop: ${n}.1.1.2}]}`,
      );
  } else lines.push("routes:", "  - {prefix: 0.0.0.0/0, nextHop: 10.1.1.2}");
  lines.push(`workers: ${o.workers ?? 1}`, `control: {socket: /run/vtepd/${name}.sock}`);
  return `${lines.join("\n")}\n`;
}

/** The Border's configuration. */
export function borderYaml(o: ArticleOptions = {}): string {
  return `node: ${o.node ?? "border"}
underlay: {address: ${VTEP.border}, mtu: 1500}
tunnels:
  - {name: gw1, remote: ${VTEP.gw1}}
  - {name: gw2, remote: ${VTEP.gw2}}
vsis:
  - {name: vsi10, vni: 10}
  - {name: vsi20, vni: 20}
  - {name: vsi30, vni: 30}
  - {name: uplink}
interfaces:
  - {name: vsi-interface10, vsi: vsi10, address: 10.1.1.2/24, distributed: false}
  - {name: vsi-interface20, vsi: vsi20, address: 20.1.1.2/24, distributed: false}
  - {name: vsi-interface30, vsi: vsi30, address: 30.1.1.2/24, distributed: false}
  - {name: outside, vsi: uplink, address: 50.1.1.254/24, distributed: false}
acs:
  - {name: ext, vsi: uplink, tap: {device: tap-ext}}
workers: ${o.workers ?? 1}
control: {socket: /run/vtepd/border.sock}
`;
}

/** gw1, gw2 and Border, with vm1..vm6 and ext. */
export function article(o: ArticleOptions = {}, seed = 1): World {
  const world = new World(seed, o.queues);
  // All inboxes exist before the first gateway talks.
  for (const address of Object.values(VTEP)) world.net.inbox(address);
  const gw1 = world.gateway(siteYaml("gw1", o));
  const gw2 = world.gateway(siteYaml("gw2", o));
  const border = world.gateway(borderYaml(o));
  const vm = (gateway: Gateway, n: number, net: number, host: number): void => {
    const mac = `02:00:00:00:0${n}:${host}`;
    world.vm(gateway, { name: `vm${n}`, ip: `${net}.1.1.${host}`, mac, gateway: `${net}.1.1.1` });
  };
  vm(gw1, 1, 10, 11);
  vm(gw1, 2, 20, 11);
  vm(gw1, 3, 30, 11);
  vm(gw2, 4, 10, 12);
  vm(gw2, 5, 20, 12);
  vm(gw2, 6, 30, 12);
  world.vm(border, { name: "ext", ip: "50.1.1.1", mac: "02:00:00:00:0e:01", gateway: "50.1.1.254" });
  // The gateways announce themselves twice, a second apart; then it is quiet.
  world.advance(ANNOUNCE_AGAIN_MS);
  world.clear();
  return world;
}

/** The MAC of a gateway's VSI-interface. */
export function gatewayMac(world: World, gateway: string, on: string): Mac {
  return world.gateways.get(gateway)!.control.shown.inventory.interface(on)!.mac;
}

/** One line per frame: where, Ethernet destination and source, ARP or IP; MACs by name. */
export function tell(world: World): string[] {
  const names = new Map<Mac, string>([
    [BROADCAST, "ff"],
    [0, "0"],
  ]);
  for (const vm of world.vms.values()) names.set(vm.mac, vm.name.replace("vm", "M"));
  for (const [name, gateway] of world.gateways)
    for (const on of gateway.control.shown.inventory.interfaces.values()) {
      const owner = name === "border" ? "B" : name.replace("gw", "G");
      const n = on.name.replace("vsi-interface", "");
      names.set(on.mac, names.has(on.mac) ? `G.${n}` : `${owner}.${n}`);
    }
  const vteps = new Map<string, string>(Object.entries(VTEP).map(([name, address]) => [address, name]));
  return world.seen.map((seen) => line(seen, names, vteps));
}

function line(seen: Seen, names: Map<Mac, string>, vteps: Map<string, string>): string {
  const outer = seen.where === "underlay";
  const at = outer ? 8 : 0;
  const b = seen.bytes;
  const name = (mac: Mac): string => names.get(mac) ?? formatMac(mac);
  const where = outer ? `${vteps.get(seen.from)}>${vteps.get(seen.to)} vni ${vniAt(b, 0)}` : `${seen.from}>${seen.to}`;
  const eth = `${name(readMac(b, at))}/${name(readMac(b, at + 6))}`;
  const arp = parseArp(b, at, b.length);
  if (arp !== null && u16(b, at + 12) === 0x0806) {
    const op = arp.op === ARP_REQUEST ? "req" : "rep";
    return `${where}: ${eth} ${op} ${name(arp.senderMac)},${formatIpv4(arp.senderIp)} / ${name(arp.targetMac)},${formatIpv4(arp.targetIp)}`;
  }
  if (u16(b, at + 12) !== TYPE_IPV4) return `${where}: ${eth} type ${u16(b, at + 12).toString(16)}`;
  const l3 = at + ETH_BYTES;
  const icmp = b[l3 + IP_PROTOCOL] === PROTO_ICMP ? ` icmp ${b[l3 + 20]}/${b[l3 + 21]}` : "";
  return `${where}: ${eth} ${formatIpv4(i32(b, l3 + IP_SRC))}>${formatIpv4(i32(b, l3 + IP_DST))} ttl ${b[l3 + IP_TTL]}${icmp}`;
}
