/**
 * EVPN routes as plain data: what BGP carries of one MAC, one VTEP or one prefix (RFC 7432 §7, RFC 9136 §3).
 *
 * A route is named by its key (type, route distinguisher, and what it is about), so the same MAC announced by two VTEPs is two
 * routes: choosing between them is mac-vrf.ts's work, not BGP's. Everything is a number, a text or a list of them: routes cross
 * threads as copies.
 *
 * Texts: a distinguisher "192.0.2.1:10" or "65000:10", a route target "65000:10" or "192.0.2.1:10", a VTEP "192.0.2.2". A label
 * is a VNI, 24 bits, not shifted (RFC 8365 §5.1.3).
 */
import { formatIp, type Ip, isOfLink, parseIp } from "../control/ip.ts";
import { formatMac, type Mac } from "../wire/ethernet.ts";

/** Tunnel type of the encapsulation community (RFC 8365 §5.1.2): VXLAN. */
export const ENCAP_VXLAN = 8;
/** PMSI tunnel type: ingress replication (RFC 6514 §5). */
export const PMSI_INGRESS_REPLICATION = 6;

/** LOCAL_PREF of a route that says nothing of it, and of all that we announce. */
export const DEFAULT_PREFERENCE = 100;

/** Most targets of a route that is looked at: each is kept, and a peer may send five hundred with each of its routes. */
export const MOST_TARGETS = 64;

/** So long after hosts the part in flooding is taken back: others hold withdrawals back for a moment (orphans.ts). */
export const FLOODING_LAST_MS = 1000;

interface AnyRoute {
  readonly rd: string;
  /** Ethernet tag. */
  readonly tag: number;
  /** The VTEP behind which it is. */
  readonly nextHop: string;
  readonly targets: readonly string[];
  /** Tunnel type of the encapsulation community; null: there is none. */
  readonly encap: number | null;
  /** LOCAL_PREF (RFC 4271 §5.1.5) where it is another than the default; `preferenceOf` reads it. */
  readonly preference?: number | undefined;
  /** Withdrawn, and kept for a while: orphans.ts. Never of a route that comes, or is ours. */
  readonly isOrphan?: true;
}

/** Type 2: a MAC, or a MAC and its IP. */
export interface MacRoute extends AnyRoute {
  readonly type: 2;
  readonly mac: Mac;
  /** Canonical text of either family; null: the MAC alone. */
  readonly ip: string | null;
  /** VNI of the L2 domain, and of the L3 one where there is a second. */
  readonly labels: readonly number[];
  /** Ethernet segment of a host on several VTEPs, in hex; null: none. */
  readonly segment: string | null;
  /** MAC mobility (RFC 7432 §7.7); null: no community, which means 0. */
  readonly sequence: number | null;
  readonly isSticky: boolean;
  /** Default-gateway community (RFC 7432 §7.8): a gateway's own address. */
  readonly isGateway: boolean;
  /** RFC 9135 §8.1. */
  readonly routerMac: Mac | null;
}

/** Type 3: a VTEP takes part in the flooding of an L2 domain. */
export interface MulticastRoute extends AnyRoute {
  readonly type: 3;
  readonly originator: string;
  /** null: the attribute is missing. */
  readonly pmsi: { readonly type: number; readonly label: number; readonly address: string | null } | null;
}

/** Type 5: a prefix of a VRF. */
export interface PrefixRoute extends AnyRoute {
  readonly type: 5;
  readonly network: Ip;
  readonly length: number;
  readonly label: number;
  /** Overlay index; null: none. */
  readonly gateway: string | null;
  readonly segment: string | null;
  readonly routerMac: Mac | null;
}

/** A route that nothing is made of here; it is counted. `name` tells it from others of its type. */
export interface OtherRoute extends AnyRoute {
  readonly type: 0 | 1 | 4;
  readonly name: string;
}

export type EvpnRoute = MacRoute | MulticastRoute | PrefixRoute | OtherRoute;

/** What a type 2 says besides the MAC and the address: all hosts of a VTEP have the same, so that one copy serves them. */
export type HostAttributes = Omit<MacRoute, "type" | "mac" | "ip" | "isOrphan">;

/**
 * A type 2 as it is kept by the hundred thousand: its own are the MAC and the address, its attributes are shared. It is read like
 * any other; what is to cross threads, or to be another route, is a copy (`plainOf`).
 */
export class HostRoute implements MacRoute {
  readonly attributes: HostAttributes;
  readonly mac: Mac;
  /** Of either family: the address itself takes less than its text. */
  readonly host: Ip | null;

  constructor(attributes: HostAttributes, mac: Mac, host: Ip | null) {
    this.attributes = attributes;
    this.mac = mac;
    this.host = host;
  }

  get type(): 2 {
    return 2;
  }

  get ip(): string | null {
    return this.host === null ? null : formatIp(this.host);
  }

  get rd(): string {
    return this.attributes.rd;
  }

  get tag(): number {
    return this.attributes.tag;
  }

  get nextHop(): string {
    return this.attributes.nextHop;
  }

  get targets(): readonly string[] {
    return this.attributes.targets;
  }

  get encap(): number | null {
    return this.attributes.encap;
  }

  get preference(): number | undefined {
    return this.attributes.preference;
  }

  get labels(): readonly number[] {
    return this.attributes.labels;
  }

  get segment(): string | null {
    return this.attributes.segment;
  }

  get sequence(): number | null {
    return this.attributes.sequence;
  }

  get isSticky(): boolean {
    return this.attributes.isSticky;
  }

  get isGateway(): boolean {
    return this.attributes.isGateway;
  }

  get routerMac(): Mac | null {
    return this.attributes.routerMac;
  }
}

/** The route with all that it says as fields of its own. */
export function plainOf(route: EvpnRoute): EvpnRoute {
  if (!(route instanceof HostRoute)) return route;
  return { type: 2, ...route.attributes, mac: route.mac, ip: route.ip };
}

/** The address in a host's route; null: it is of the MAC alone. */
export function ipOf(route: MacRoute): Ip | null {
  if (route instanceof HostRoute) return route.host;
  return route.ip === null ? null : parseIp(route.ip);
}

/**
 * The address by which the host is found; null: its MAC alone says where it is. One of the link is not used: a route cannot say
 * whether it is a router's (RFC 9047: gobgpd drops routes with that community), and a router that is answered for as a host is
 * no default router any more (RFC 4861 §7.3.3). It is asked for, and answers itself.
 */
export function addressOf(route: MacRoute): Ip | null {
  const ip = ipOf(route);
  return ip === null || isOfLink(ip) ? null : ip;
}

/** What a route is: one more with the same key takes its place. */
export function keyOf(route: EvpnRoute): string {
  return `${route.rd} ${nlriText(route)}`;
}

/** As routers print it: "[2]:[0]:[48]:[02:00:00:00:01:11]:[32]:[10.1.1.11]". */
export function nlriText(route: EvpnRoute): string {
  const { type, tag } = route;
  switch (route.type) {
    case 2:
      return `[2]:[${tag}]:[48]:[${formatMac(route.mac)}]${route.ip === null ? "" : addressText(route.ip)}`;
    case 3:
      return `[3]:[${tag}]${addressText(route.originator)}`;
    case 5:
      return `[5]:[${tag}]:[${route.length}]:[${formatIp(route.network)}]`;
    default:
      return `[${type}]:[${route.name}]`;
  }
}

function addressText(ip: string): string {
  return `:[${ip.includes(":") ? 128 : 32}]:[${ip}]`;
}

/** How much a route is preferred by its LOCAL_PREF. Routes of an external session have none: they are as preferred as most. */
export function preferenceOf({ preference }: EvpnRoute): number {
  return preference ?? DEFAULT_PREFERENCE;
}

/** The order in which routes are listed: by type, by what they are about, and by who says it. */
export function compareRoutes(a: EvpnRoute, b: EvpnRoute): number {
  if (a.type !== b.type) return a.type - b.type;
  if (a.type === 2 && b.type === 2) {
    const order = a.mac - b.mac || addressOrder(a) - addressOrder(b);
    if (order !== 0) return order;
  }
  return compareTexts(nlriText(a), nlriText(b)) || compareTexts(a.rd, b.rd);
}

/** The MAC alone first, IPv4 as numbers, then the others. */
function addressOrder(route: MacRoute): number {
  const ip = ipOf(route);
  if (ip === null) return -1;
  return typeof ip === "number" ? ip >>> 0 : 2 ** 32;
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The mobility sequence that counts (RFC 7432 §7.7: none is 0). */
export function sequenceOf({ sequence }: MacRoute): number {
  return sequence ?? 0;
}

/** The largest that its 32 bits hold. Who announces it leaves no higher one: then the lowest VTEP has the host. */
export const HIGHEST_SEQUENCE = 0xffffffff;

/** The sequence of a move away from what `route` says. */
export function sequenceAfter(route: MacRoute): number {
  return Math.min(sequenceOf(route) + 1, HIGHEST_SEQUENCE);
}

/** Do two routes say the same? Then the second one is no news. The order of targets means nothing. */
export function isSameRoute(a: EvpnRoute, b: EvpnRoute): boolean {
  if (a === b) return true;
  if (a.type !== b.type) return false;
  if (a instanceof HostRoute && b instanceof HostRoute && a.attributes === b.attributes)
    return a.mac === b.mac && a.host === b.host;
  return isSamePlain(plainOf(a), plainOf(b));
}

function isSamePlain(a: EvpnRoute, b: EvpnRoute): boolean {
  if (preferenceOf(a) !== preferenceOf(b)) return false;
  const [left, right] = [a as unknown as Record<string, unknown>, b as unknown as Record<string, unknown>];
  for (const name in left)
    if (left[name] !== right[name] && name !== "targets" && !isSameValue(left[name], right[name])) return false;
  return isSameValue(a.targets, b.targets) || isSameValue([...a.targets].sort(), [...b.targets].sort());
}

/** Of fields: plain values, lists of them, and records of them. */
function isSameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => left[name] === right[name]);
}

/** The distinguisher that is made of our router id and a VNI (RFC 7432 §7.9); the number of this kind has 16 bits. */
export function autoDistinguisher(routerId: string, vni: number): string {
  return `${routerId}:${vni & 0xffff}`;
}

/** How a route target is made of a VNI: `vni` as AS:VNI, or as RFC 8365 §5.1.2.1 has it, with a domain and a type before it. */
export type TargetForm = "vni" | "rfc8365";

const RFC8365_VXLAN = 0x10000000;

/** The route target that is made of our AS and a VNI. Of a long AS number the low 16 bits are left, as FRR does it. */
export function autoTarget(as: number, vni: number, form: TargetForm): string {
  return `${as & 0xffff}:${form === "vni" ? vni : RFC8365_VXLAN + vni}`;
}

/** The VNI that a target in either automatic form speaks of, whatever its AS; null: it is in none of them. */
export function vniOfTarget(target: string): number | null {
  const [admin, text] = split(target);
  if (admin.includes(".")) return null;
  const number = Number(text);
  const vni = number >= RFC8365_VXLAN && number < RFC8365_VXLAN + (1 << 24) ? number - RFC8365_VXLAN : number;
  return vni > 0 && vni < 1 << 24 ? vni : null;
}

/** "ADMIN:NUMBER" in its two halves. */
export function split(text: string): readonly [string, string] {
  const at = text.lastIndexOf(":");
  return [text.slice(0, at), text.slice(at + 1)];
}
