/**
 * Addresses as the operator writes them: text in, checked values out.
 *
 * Parsing of IPv4 and IPv6 text is `ip-address`'s; what an address may *mean* at a place (a gateway, a next hop, a VTEP)
 * is ours. Every reader returns the value or one sentence that says what is wrong and how to write it right; nothing
 * throws. Containment and overlap work on int32 with masks: thousands of routes are checked on every reload, and an
 * object for each would cost more than the rest of the check.
 *
 * Never per packet: the data plane knows only the int32 values.
 */
import { Address4 as Ip4Text, Address6 as Ip6Text } from "ip-address";
import { formatIp, type Ip, isWithin, networkOf } from "../control/ip.ts";
import type { Address, Address4, Address6, InterfaceAddress, Ip4, PortRange, Prefix } from "../control/plan.ts";
import { isLinkLocal, isLoopback, isMulticast, isThisNetwork, maskOf } from "../wire/ipv4.ts";
import { formatIpv6, isLinkLocal6 } from "../wire/ipv6.ts";

/** A value, or what is wrong with the text and how to mend it. */
export type Read<T> = { readonly value: T } | { readonly wrong: string; readonly fix: string };

/** A VTEP address of either family. */
export interface VtepAddress {
  readonly text: string;
  readonly family: 4 | 6;
}

const EXAMPLE_ADDRESS = "write four numbers from 0 to 255, such as 10.1.1.2";
const EXAMPLE_PREFIX = "write an address and a prefix length, such as 10.1.1.0/24";
const EXAMPLE_ADDRESS6 = "write it as in 2001:db8:10::2";
const EXAMPLE_PREFIX6 = "write an address and a prefix length, such as 2001:db8:10::/64";

function parse4(text: string): Ip4Text | null {
  // The package also takes forms that no configuration means; the shape is checked first.
  if (!/^\d{1,3}(\.\d{1,3}){3}(\/\d{1,2})?$/.test(text)) return null;
  try {
    return new Ip4Text(text);
  } catch {
    return null;
  }
}

function numberOf(address: Ip4Text): Ip4 {
  return Number(address.bigInt()) | 0;
}

/** RFC 1122 §3.2.1.3, RFC 3927: addresses that can be neither a gateway, nor a neighbour, nor a next hop. */
function unusable(ip: Ip4): string | null {
  if (isThisNetwork(ip)) return "0.0.0.0/8 means this network and is no host's address";
  if (isLoopback(ip)) return "127.0.0.0/8 is loopback";
  if (isMulticast(ip)) return "224.0.0.0/4 is multicast";
  if ((ip & 0xf0000000) === (0xf0000000 | 0)) return "240.0.0.0/4 is reserved";
  if (isLinkLocal(ip)) return "169.254.0.0/16 is link-local and is not routed";
  return null;
}

/** RFC 4291 §2.4: the same of IPv6. A link-local address needs its VSI-interface, and stands only where that is asked for. */
function unusable6(ip: bigint): string | null {
  if (ip === 0n) return ":: means no address";
  if (ip === 1n) return "::1 is loopback";
  if (ip >> 120n === 0xffn) return "ff00::/8 is multicast";
  if (ip >> 32n === 0xffffn) return "::ffff:0:0/96 stands for IPv4 addresses";
  if (isLinkLocal6(ip)) return "fe80::/10 is link-local and means nothing without its VSI-interface";
  return null;
}

/** An address of either family, without what it may mean; null: it is none. */
function readText(text: string): Ip | null {
  if (text.includes("/") || text.includes("%")) return null;
  if (!text.includes(":")) return optional(parse4(text), numberOf);
  return optional(parse6(text), (parsed) => parsed.bigInt());
}

function optional<A, B>(value: A | null, then: (value: A) => B): B | null {
  return value === null ? null : then(value);
}

/** A unicast IPv4 host address of the overlay. */
export function readHost4(text: string): Read<Address4> {
  const parsed = parse4(text);
  if (parsed === null || text.includes("/")) return { wrong: `"${text}" is no IPv4 address`, fix: EXAMPLE_ADDRESS };
  const ip = numberOf(parsed);
  const why = unusable(ip);
  if (why !== null) return { wrong: `${text} cannot be used here: ${why}`, fix: "choose a unicast address" };
  return { value: { text: parsed.addressMinusSuffix, ip } };
}

/** A unicast host address of the overlay, of either family. */
export function readHost(text: string): Read<Address> {
  if (!text.includes(":")) return readHost4(text);
  const ip = readText(text);
  if (typeof ip !== "bigint") return { wrong: `"${text}" is no IPv6 address`, fix: EXAMPLE_ADDRESS6 };
  const why = unusable6(ip);
  if (why !== null)
    return {
      wrong: `${text} cannot be used here: ${why}`,
      fix: isLinkLocal6(ip) ? "choose a global or unique local address" : "choose a unicast address",
    };
  return { value: { text: formatIpv6(ip), ip } };
}

/** A unicast IPv6 host address. */
export function readHost6(text: string): Read<Address6> {
  const read = text.includes(":") ? readHost(text) : null;
  if (read === null) return { wrong: `"${text}" is no IPv6 address`, fix: EXAMPLE_ADDRESS6 };
  return "value" in read ? { value: read.value as Address6 } : read;
}

/** A next hop: a host, or a link-local address of the neighbour on a VSI-interface ("fe80::2%vsi-interface10"). */
export function readNextHop(text: string): Read<Address> {
  const [address, zone, more] = text.split("%");
  const ip = address === undefined ? null : readText(address);
  if (typeof ip !== "bigint" || !isLinkLocal6(ip)) {
    if (zone === undefined) return readHost(text);
    return { wrong: `${text} names a VSI-interface, and is not link-local`, fix: `write ${address}` };
  }
  if (zone === undefined || zone === "" || more !== undefined)
    return { wrong: `${text} is link-local: on which VSI-interface?`, fix: `write ${formatIpv6(ip)}%VSI-INTERFACE` };
  return { value: { text: `${formatIpv6(ip)}%${zone}`, ip } };
}

/** The VSI-interface that a next hop names, or null. */
export function zoneOf({ text }: Address): string | null {
  return text.split("%")[1] ?? null;
}

/** The gateway's own link-local address. */
export function readLinkLocal(text: string): Read<Address6> {
  const ip = readText(text);
  if (typeof ip !== "bigint" || !isLinkLocal6(ip))
    return { wrong: `"${text}" is no link-local address`, fix: "write eui64, or an address of fe80::/64" };
  if (ip >> 64n !== 0xfe80n << 48n || BigInt.asUintN(64, ip) === 0n)
    return { wrong: `${text} is not in fe80::/64 (RFC 4291 §2.5.6)`, fix: "write an address such as fe80::1" };
  return { value: { text: formatIpv6(ip), ip } };
}

/** A prefix without host bits; a bare address is one host's. */
export function readPrefix(text: string): Read<Prefix> {
  if (text.includes(":")) return readPrefix6(text);
  const parsed = parse4(text);
  if (parsed === null) return { wrong: `"${text}" is no IPv4 prefix`, fix: EXAMPLE_PREFIX };
  return withoutHostBits(text, numberOf(parsed), parsed.subnetMask);
}

function readPrefix6(text: string): Read<Prefix> {
  const read = splitPrefix(text);
  if (read === null) return { wrong: `"${text}" is no IPv6 prefix`, fix: EXAMPLE_PREFIX6 };
  const { ip, length = 128 } = read;
  if (isLinkLocal6(ip) || (length > 8 && ip >> 120n === 0xffn))
    return { wrong: `${text} is not routed: link-local, or multicast`, fix: "choose a global or unique local prefix" };
  return withoutHostBits(text, ip, length);
}

function withoutHostBits(text: string, ip: Ip, length: number): Read<Prefix> {
  const prefix = prefixOf(ip, length);
  if (prefix.network !== ip)
    return { wrong: `${text} has bits set behind its /${length}`, fix: `write ${prefix.text}` };
  return { value: prefix };
}

/** "2001:db8::1/64" to address and length; no length: undefined. */
function splitPrefix(text: string): { readonly ip: bigint; readonly length?: number } | null {
  const parts = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const ip = parts === null ? null : readText(parts[1]!);
  if (typeof ip !== "bigint") return null;
  if (parts![2] === undefined) return { ip };
  const length = Number(parts![2]);
  return length > 128 ? null : { ip, length };
}

/** A gateway address with the length of its subnet: usable as a host address of that subnet (RFC 3021 for /31). */
export function readGateway(text: string): Read<InterfaceAddress> {
  if (text.includes(":")) return readGateway6(text);
  const parsed = parse4(text);
  if (parsed === null) {
    return { wrong: `"${text}" is no IPv4 address with a prefix length`, fix: "write it as 10.1.1.1/24" };
  }
  if (!text.includes("/")) return { wrong: `${text} needs a prefix length`, fix: `write ${text}/24` };
  const ip = numberOf(parsed);
  const length = parsed.subnetMask;
  if (length === 0) return { wrong: "a subnet of length 0 would be the whole world", fix: "use 1..32, often 24" };
  const why = unusable(ip);
  if (why !== null) return { wrong: `${text} cannot be a gateway: ${why}`, fix: "choose a unicast address" };
  return insideOf(text, parsed.addressMinusSuffix, ip, length);
}

function readGateway6(text: string): Read<InterfaceAddress> {
  const read = splitPrefix(text);
  if (read === null)
    return { wrong: `"${text}" is no IPv6 address with a prefix length`, fix: "write it as 2001:db8:10::1/64" };
  const { ip, length } = read;
  if (length === undefined) return { wrong: `${text} needs a prefix length`, fix: `write ${text}/64` };
  if (length === 0) return { wrong: "a subnet of length 0 would be the whole world", fix: "use 1..128, often 64" };
  const why = unusable6(ip);
  if (why !== null)
    return {
      wrong: `${text} cannot be a gateway: ${why}`,
      fix: isLinkLocal6(ip) ? "write it as linkLocal" : "choose a unicast address",
    };
  return insideOf(text, formatIpv6(ip), ip, length);
}

function insideOf(text: string, address: string, ip: Ip, length: number): Read<InterfaceAddress> {
  const prefix = prefixOf(ip, length);
  const end = edgeOf(ip, prefix);
  if (end !== null) {
    return { wrong: `${text} is the ${end} address of ${prefix.text}`, fix: "choose an address between the two ends" };
  }
  return { value: { text: address, ip, prefix } };
}

/** A VTEP address: unicast, IPv4 or IPv6, without zone or length. Loopback is allowed, for a gateway under test. */
export function readVtep(text: string): Read<VtepAddress> {
  const fix = "write an IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1";
  if (text.includes("/")) return { wrong: `"${text}" is a prefix, not an address`, fix };
  if (!text.includes(":")) {
    const parsed = parse4(text);
    if (parsed === null) return { wrong: `"${text}" is no IP address`, fix };
    const ip = numberOf(parsed);
    const why = isLoopback(ip) || isLinkLocal(ip) ? null : unusable(ip);
    if (why !== null) return { wrong: `${text} cannot be a VTEP: ${why}`, fix: "choose a unicast address" };
    return { value: { text: parsed.addressMinusSuffix, family: 4 } };
  }
  const parsed = parse6(text);
  if (parsed === null) return { wrong: `"${text}" is no IP address`, fix };
  const canonical = parsed.correctForm();
  if (text.includes("%") || parsed.isLinkLocal()) {
    return {
      wrong: `${text} is link-local: it means nothing without a zone`,
      fix: "use a global or unique local address",
    };
  }
  if (canonical === "::" || parsed.isMulticast() || /^::ffff:/.test(canonical)) {
    return {
      wrong: `${text} cannot be a VTEP`,
      fix: "choose a unicast IPv6 address, or write the IPv4 address as such",
    };
  }
  return { value: { text: canonical, family: 6 } };
}

/** An address that a host may send from: as a VTEP's, and a link-local one too, which means its own link here. */
export function readBound(text: string): Read<string> {
  const fix = "write an IPv4 or IPv6 address, such as 10.1.1.11 or 2001:db8:10::11";
  const linkLocal = text.includes(":") && !text.includes("/") && !text.includes("%") ? parse6(text) : null;
  if (linkLocal?.isLinkLocal() === true) return { value: linkLocal.correctForm() };
  const read = readVtep(text);
  if ("wrong" in read) return { wrong: `"${text}" is no address of a host`, fix };
  return /^127\.|^::1$/.test(read.value.text) ? { wrong: `${text} is loopback`, fix } : { value: read.value.text };
}

function parse6(text: string): Ip6Text | null {
  if (text.length > 64 || !/^[0-9a-fA-F:.%a-z0-9_-]+$/.test(text)) return null;
  try {
    return new Ip6Text(text);
  } catch {
    return null;
  }
}

/** "127.0.0.1:9475", "[::1]:9475". */
export function readListen(text: string): Read<{ host: string; port: number }> {
  const fix = "write address:port, such as 127.0.0.1:9475 or [::1]:9475";
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  if (parts === null) return { wrong: `"${text}" is no address with a port`, fix };
  const port = Number(parts[3]);
  if (port > 65535) return { wrong: `port ${port} is above 65535`, fix };
  const host = parts[1] === undefined ? parse4(parts[2]!)?.addressMinusSuffix : parse6(parts[1])?.correctForm();
  if (host === undefined || host.includes("/")) return { wrong: `"${text}" has no IP address before the port`, fix };
  return { value: { host, port } };
}

/** A MAC of a host or of a group, lower case. `group` says whether a group address may stand here. */
export function readMacText(text: string, group: boolean): Read<string> {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) {
    return { wrong: `"${text}" is no MAC address`, fix: 'write six pairs of hex digits, such as "02:00:5e:00:00:0a"' };
  }
  const mac = text.toLowerCase();
  if (mac === "00:00:00:00:00:00") return { wrong: "the zero MAC is no host's", fix: "write the host's own MAC" };
  if (!group && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1) {
    return { wrong: `${mac} is a group address`, fix: "the first byte of a host's MAC is even; 02 is a good choice" };
  }
  return { value: mac };
}

/** "80" or "1000-2000". */
export function readPortRange(text: string): Read<PortRange> {
  const fix = 'write a port from 0 to 65535, or a range such as "1000-2000"';
  const parts = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (parts === null) return { wrong: `"${text}" is no port and no range of ports`, fix };
  const first = Number(parts[1]);
  const last = Number(parts[2] ?? parts[1]);
  if (first > 65535 || last > 65535) return { wrong: `${text}: a port is at most 65535`, fix };
  if (last < first) return { wrong: `the range ${text} ends before it begins`, fix: `write "${last}-${first}"` };
  return { value: { first, last } };
}

/** The prefix of length `length` around an address. */
export function prefixOf<A extends Ip>(ip: A, length: number): Prefix<A> {
  const network = networkOf(ip, length);
  return { text: `${formatIp(network)}/${length}`, network, length };
}

export function contains(prefix: Prefix, ip: Ip): boolean {
  return isWithin(ip, prefix.network, prefix.length);
}

/**
 * Which unusable end of its subnet an address is; /31 and /32 have none (RFC 3021). IPv6 has no broadcast address, and its
 * first one is every router's (RFC 4291 §2.6.1), but for /127 and /128 (RFC 6164 §5).
 */
export function edgeOf(ip: Ip, prefix: Prefix): "network" | "broadcast" | "routers' anycast" | null {
  if (typeof ip === "bigint") return prefix.length < 127 && ip === prefix.network ? "routers' anycast" : null;
  if (prefix.length > 30) return null;
  if (ip === prefix.network) return "network";
  return ip === ((prefix.network as Ip4) | ~maskOf(prefix.length)) ? "broadcast" : null;
}
