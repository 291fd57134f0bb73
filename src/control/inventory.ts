/**
 * What exists right now, as objects: the control plane's own picture of VSIs, bridge ports and VSI-interfaces.
 *
 * Writer: control/topology/topology.ts alone. Everybody else in control reads it: by row (as punted frames name things) or by name (as
 * people do). The shared tables hold what workers need of the same objects; the two are changed together, in control/topology/topology.ts.
 */
import type { Mac } from "../wire/ethernet.ts";
import type { Ipv4 } from "../wire/ipv4.ts";
import type { Ipv6 } from "../wire/ipv6.ts";
import { Feed } from "./feed.ts";
import { type Ip, isHostIn, isSameFamily, isWithin } from "./ip.ts";
import type { AcConfig, InterfaceAddress, InterfaceConfig, TunnelConfig, VsiConfig } from "./plan.ts";

/** Where VSI-interfaces and routes are that name no other VRF. */
export const DEFAULT_VRF = "main";

/** What every bridge port has. */
interface AnyPort {
  /** Its row in PortTable. */
  readonly row: number;
  /** Its io port. */
  readonly io: number;
  /** The longest inner IP packet it takes, bytes. */
  mtu: number;
  /** Attached and usable. */
  up: boolean;
}

export interface AcPort extends AnyPort {
  readonly kind: "ac";
  readonly name: string;
  readonly vsi: VsiObject;
  config: AcConfig;
  /** Attached, but the VM has set its interface down. */
  linkDown: boolean;
}

export interface TunnelPort extends AnyPort {
  readonly kind: "tunnel";
  /** The configuration's name while it has one; "evpn:192.0.2.7" before and after. */
  name: string;
  /** What watches its peer says that it may be used. It is not up all the same while a worker could not attach it. */
  wanted: boolean;
  /** Its peer has said that it leaves: not up, but what still comes from there is taken. */
  draining: boolean;
  /** No route names it any more: nothing is sent by it, and what still comes from there is taken (topology/lingering.ts). */
  lingering: boolean;
  /** It carries many. */
  readonly vsi: null;
  config: TunnelConfig;
}

/** A bridge port. */
export type PortObject = AcPort | TunnelPort;

export interface VsiObject {
  readonly row: number;
  readonly name: string;
  config: VsiConfig;
  interface: InterfaceObject | null;
  /** In flood order. */
  readonly acs: AcPort[];
  readonly tunnels: TunnelPort[];
}

export interface Subnet<A extends Ip = Ip> {
  /** Our address in it. */
  readonly address: A;
  readonly network: A;
  readonly length: number;
}

export interface InterfaceObject {
  readonly row: number;
  readonly name: string;
  config: InterfaceConfig;
  /** Row of its VRF, and the name. */
  readonly vrf: number;
  readonly vrfName: string;
  /** Its gateway MAC. */
  mac: Mac;
  mtu: number;
  /** The first of a family is its primary; none at an L3VNI. With IPv6, the last is that of the link-local addresses. */
  subnets: readonly Subnet[];
  /** 0n: it has no IPv6. */
  linkLocal: bigint;
  /** Unnumbered (an L3VNI's): the addresses of its VRF that it speaks with; 0: the VRF has none. */
  borrowed: Ipv4;
  borrowed6: bigint;
  readonly vsis: VsiObject[];
}

/** The subnet of `iface` that contains `ip`, or null. */
export function subnetOf(iface: InterfaceObject, ip: Ipv4): Subnet<Ipv4> | null;
export function subnetOf(iface: InterfaceObject, ip: Ip): Subnet | null;
export function subnetOf(iface: InterfaceObject, ip: Ip): Subnet | null {
  for (const subnet of iface.subnets) if (isWithin(ip, subnet.network, subnet.length)) return subnet;
  return null;
}

/** Who we are to `ip`: our address in its subnet, else the primary one of its family, else one that is borrowed; 0: there is none. */
export function addressFor(iface: InterfaceObject, ip: Ipv4): Ipv4;
export function addressFor(iface: InterfaceObject, ip: Ip): Ip;
export function addressFor(iface: InterfaceObject, ip: Ip): Ip {
  const subnet = subnetOf(iface, ip) ?? iface.subnets.find(({ address }) => isSameFamily(address, ip));
  return subnet?.address ?? (typeof ip === "number" ? iface.borrowed : iface.borrowed6);
}

/** Can `ip` be a host's on `iface`? */
export function isHostAddress(iface: InterfaceObject, ip: Ip): boolean {
  const subnet = subnetOf(iface, ip);
  return subnet !== null && isHostIn(ip, subnet.length);
}

/** The IPv4 subnets of `iface`. */
export function ipv4SubnetsOf(iface: InterfaceObject): Subnet<Ipv4>[] {
  return iface.subnets.filter((subnet): subnet is Subnet<Ipv4> => typeof subnet.address === "number");
}

/** Has `iface` IPv6? */
export function hasIpv6({ linkLocal }: InterfaceObject): boolean {
  return linkLocal !== 0n;
}

/** The first IPv4 address of a VSI-interface. */
export function primary4({ addresses }: InterfaceConfig): InterfaceAddress<Ipv4> | undefined {
  return addresses.find((each): each is InterfaceAddress<Ipv4> => typeof each.ip === "number");
}

/** The first IPv6 address of a VSI-interface. */
export function primary6({ addresses }: InterfaceConfig): InterfaceAddress<Ipv6> | undefined {
  return addresses.find((each): each is InterfaceAddress<Ipv6> => typeof each.ip === "bigint");
}

/** Is `port` one of the ports of `vsi`? */
export function isPortOf(port: PortObject, vsi: VsiObject): boolean {
  return port.kind === "ac" ? port.vsi === vsi : vsi.tunnels.includes(port);
}

/** Is `ip` an address of `iface` itself? */
export function isOwnAddress(iface: InterfaceObject, ip: Ip): boolean {
  for (const subnet of iface.subnets) if (subnet.address === ip) return true;
  return iface.config.icmpSource?.ip === ip || iface.config.icmpSource6?.ip === ip;
}

/** Maps by row and by name. */
export class Inventory {
  readonly ports = new Map<number, PortObject>();
  readonly vsis = new Map<number, VsiObject>();
  readonly interfaces = new Map<number, InterfaceObject>();
  private readonly names = {
    ac: new Map<string, AcPort>(),
    tunnel: new Map<string, TunnelPort>(),
    vsi: new Map<string, VsiObject>(),
    interface: new Map<string, InterfaceObject>(),
  };
  /** Tunnels by VTEP address. */
  private readonly remotes = new Map<string, TunnelPort>();
  /** The name of a port or VSI came, went, or is another row's: for those who keep rows of what was named to them. */
  readonly renamed = new Feed<void>();

  addPort(port: PortObject): void {
    this.ports.set(port.row, port);
    if (port.kind === "ac") this.names.ac.set(port.name, port);
    else {
      this.names.tunnel.set(port.name, port);
      this.remotes.set(port.config.remote, port);
    }
    this.renamed.tell();
  }

  removePort(port: PortObject): void {
    this.ports.delete(port.row);
    this.names[port.kind].delete(port.name);
    if (port.kind === "tunnel") this.remotes.delete(port.config.remote);
    this.renamed.tell();
  }

  /** These tunnels have the names of their new configurations, all at once: names may change hands. */
  renameTunnels(renamed: ReadonlyMap<TunnelPort, TunnelConfig>): void {
    for (const port of renamed.keys()) this.names.tunnel.delete(port.name);
    for (const [port, config] of renamed) {
      port.name = config.name;
      port.config = config;
      this.names.tunnel.set(port.name, port);
    }
    this.renamed.tell();
  }

  addVsi(vsi: VsiObject): void {
    this.vsis.set(vsi.row, vsi);
    this.names.vsi.set(vsi.name, vsi);
    this.renamed.tell();
  }

  removeVsi(vsi: VsiObject): void {
    this.vsis.delete(vsi.row);
    this.names.vsi.delete(vsi.name);
    this.renamed.tell();
  }

  addInterface(object: InterfaceObject): void {
    this.interfaces.set(object.row, object);
    this.names.interface.set(object.name, object);
  }

  removeInterface(object: InterfaceObject): void {
    this.interfaces.delete(object.row);
    this.names.interface.delete(object.name);
  }

  port(kind: "ac" | "tunnel", name: string): PortObject | undefined {
    return this.names[kind].get(name);
  }

  ac(name: string): AcPort | undefined {
    return this.names.ac.get(name);
  }

  tunnel(name: string): TunnelPort | undefined {
    return this.names.tunnel.get(name);
  }

  /** The tunnel to VTEP `remote` (canonical text). */
  tunnelTo(remote: string): TunnelPort | undefined {
    return this.remotes.get(remote);
  }

  acs(): AcPort[] {
    return [...this.names.ac.values()];
  }

  tunnels(): TunnelPort[] {
    return [...this.names.tunnel.values()];
  }

  vsi(name: string): VsiObject | undefined {
    return this.names.vsi.get(name);
  }

  interface(name: string): InterfaceObject | undefined {
    return this.names.interface.get(name);
  }
}
