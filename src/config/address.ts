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
import type { Address4, InterfaceAddress, Ip4, PortRange, Prefix } from "../control/plan.ts";
import { formatIpv4, isLinkLocal, isLoopback, isMulticast, isThisNetwork, maskOf } from "../wire/ipv4.ts";

/** A value, or what is wrong with the text and how to mend it. */
export type Read<T> = { readonly value: T } | { readonly wrong: string; readonly fix: string };

/** A VTEP address of either family. */
export interface VtepAddress {
  readonly text: string;
  readonly family: 4 | 6;
}

const EXAMPLE_ADDRESS = "write four numbers from 0 to 255, such as 10.1.1.2";
const EXAMPLE_PREFIX = "write an address and a prefix length, such as 10.1.1.0/24";

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

/** A unicast host address of the overlay. */
export function readHost(text: string): Read<Address4> {
  const parsed = parse4(text);
  if (parsed === null || text.includes("/")) return { wrong: `"${text}" is no IPv4 address`, fix: EXAMPLE_ADDRESS };
  const ip = numberOf(parsed);
  const why = unusable(ip);
  if (why !== null) return { wrong: `${text} cannot be used here: ${why}`, fix: "choose a unicast address" };
  return { value: { text: parsed.addressMinusSuffix, ip } };
}

/** A prefix without host bits; a bare address is a /32. */
export function readPrefix(text: string): Read<Prefix> {
  const parsed = parse4(text);
  if (parsed === null) return { wrong: `"${text}" is no IPv4 prefix`, fix: EXAMPLE_PREFIX };
  const length = parsed.subnetMask;
  const prefix = prefixOf(numberOf(parsed), length);
  if (prefix.network !== numberOf(parsed)) {
    return { wrong: `${text} has bits set behind its /${length}`, fix: `write ${prefix.text}` };
  }
  return { value: prefix };
}

/** A gateway address with the length of its subnet: usable as a host address of that subnet (RFC 3021 for /31). */
export function readGateway(text: string): Read<InterfaceAddress> {
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
  const prefix = prefixOf(ip, length);
  const end = edgeOf(ip, prefix);
  if (end !== null) {
    return { wrong: `${text} is the ${end} address of ${prefix.text}`, fix: "choose an address between the two ends" };
  }
  return { value: { text: parsed.addressMinusSuffix, ip, prefix } };
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
export function prefixOf(ip: Ip4, length: number): Prefix {
  const network = ip & maskOf(length);
  return { text: `${formatIpv4(network)}/${length}`, network, length };
}

export function contains(prefix: Prefix, ip: Ip4): boolean {
  return (ip & maskOf(prefix.length)) === prefix.network;
}

/** Which unusable end of its subnet an address is; /31 and /32 have none (RFC 3021). */
export function edgeOf(ip: Ip4, prefix: Prefix): "network" | "broadcast" | null {
  if (prefix.length > 30) return null;
  if (ip === prefix.network) return "network";
  return ip === (prefix.network | ~maskOf(prefix.length)) ? "broadcast" : null;
}
