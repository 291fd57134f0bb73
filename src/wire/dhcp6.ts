/**
 * DHCPv6 messages as a relay agent reads and makes them (RFC 8415).
 *
 *     client, server   0  type   1  transaction (3)                                       4  options
 *     relay            0  type   1  hops   2  link address (16)   18  peer address (16)  34  options
 *
 * An option is code (2), length (2) and value. A relay wraps what a client says into a message of its own, and takes what a server
 * says out of one (§19). It changes nothing in it, and looks for addresses only: those that a server gives, and those that a client gives back.
 */
import { ascii, i32, setU16, u16 } from "./bytes.ts";
import { type Mac, writeMac } from "./ethernet.ts";
import { type Ipv6, readIpv6, writeIpv6 } from "./ipv6.ts";

/** RFC 8415 §7.2. */
export const DHCP6_CLIENT_PORT = 546;
export const DHCP6_SERVER_PORT = 547;

/** Types of messages (§7.3; RFC 7341 §6). */
export const DHCP6_SOLICIT = 1;
export const DHCP6_ADVERTISE = 2;
export const DHCP6_REQUEST = 3;
const CONFIRM = 4;
const RENEW = 5;
const REBIND = 6;
export const DHCP6_REPLY = 7;
export const DHCP6_RELEASE = 8;
export const DHCP6_DECLINE = 9;
const RECONFIGURE = 10;
export const DHCP6_INFORMATION_REQUEST = 11;
export const DHCP6_RELAY_FORWARD = 12;
export const DHCP6_RELAY_REPLY = 13;
const DHCPV4_QUERY = 20;
const DHCPV4_RESPONSE = 21;

const OF_CLIENTS: ReadonlySet<number> = new Set([
  ...[DHCP6_SOLICIT, DHCP6_REQUEST, CONFIRM, RENEW, REBIND],
  ...[DHCP6_RELEASE, DHCP6_DECLINE, DHCP6_INFORMATION_REQUEST, DHCPV4_QUERY],
]);
const OF_SERVERS: ReadonlySet<number> = new Set([DHCP6_ADVERTISE, DHCP6_REPLY, RECONFIGURE, DHCPV4_RESPONSE]);

const OPTIONS = 4;
const RELAY_LINK = 2;
const RELAY_PEER = 18;
const RELAY_OPTIONS = 34;

/** Options (§21; RFC 6939). */
const OPTION_IA_NA = 3;
const OPTION_IA_TA = 4;
const OPTION_ADDRESS = 5;
const OPTION_RELAY_MESSAGE = 9;
const OPTION_STATUS = 13;
const OPTION_INTERFACE_ID = 18;
const OPTION_VIRTUAL_SUBNET = 68;
const OPTION_LINK_LAYER = 79;
const OPTION_HEAD = 4;
/** IAID, T1 and T2; IAID alone; address, preferred and valid lifetime. */
const IA_NA_BYTES = 12;
const IA_TA_BYTES = 4;
const ADDRESS_BYTES = 24;
const VALID_LIFETIME = 20;
/** RFC 826: Ethernet. */
const HARDWARE_ETHERNET = 1;
const MAC_BYTES = 6;
/** Addresses of one message that are looked at; a client has one or two. */
export const DHCP6_MOST_ADDRESSES = 16;

export interface Dhcp6Address {
  readonly ip: Ipv6;
  /** 0: it is valid no more; 0xffffffff: without end (§7.7). */
  readonly validSeconds: number;
}

/** A client's message, or a server's. */
export interface Dhcp6 {
  readonly type: number;
  /** 24 bits that the client chose. */
  readonly transaction: number;
  /** Those that have no error with them, DHCP6_MOST_ADDRESSES at most. */
  readonly addresses: readonly Dhcp6Address[];
}

/** What a relay says of where a client is. */
export interface Dhcp6Place {
  /** An address of the client's link. */
  readonly link: Ipv6;
  /** Whom the answer is for: the client's source address. */
  readonly peer: Ipv6;
  /** ASCII, at most 127 bytes. */
  readonly interfaceId: string;
  readonly mac: Mac;
  /** The VRF that the client is in, ASCII; null: the one that needs no name. */
  readonly vrf: string | null;
}

/** A server's message to a client, as it reaches the relay. */
export interface Dhcp6RelayReply {
  readonly link: Ipv6;
  readonly peer: Ipv6;
  /** null: the server did not echo it. */
  readonly interfaceId: string | null;
  readonly message: Uint8Array;
}

export function isOfClient(type: number): boolean {
  return OF_CLIENTS.has(type);
}

export function isOfServer(type: number): boolean {
  return OF_SERVERS.has(type);
}

/** @returns null: too short, a relay's, or its options do not parse. */
export function readDhcp6(message: Uint8Array): Dhcp6 | null {
  if (message.length < OPTIONS) return null;
  const type = message[0]!;
  if (type === DHCP6_RELAY_FORWARD || type === DHCP6_RELAY_REPLY) return null;
  const addresses: Dhcp6Address[] = [];
  const isWhole = eachOption(message, OPTIONS, (code, value) => {
    const head = code === OPTION_IA_NA ? IA_NA_BYTES : code === OPTION_IA_TA ? IA_TA_BYTES : 0;
    return head === 0 || readAssociation(value, head, addresses);
  });
  return isWhole ? { type, transaction: i32(message, 0) & 0xffffff, addresses } : null;
}

/** `message` of a client, wrapped for a server (§19.1.1): it has passed no relay before us, so its hop count is 0. */
export function relayForward(message: Uint8Array, { link, peer, interfaceId, mac, vrf }: Dhcp6Place): Uint8Array {
  const linkLayer = new Uint8Array(2 + MAC_BYTES);
  setU16(linkLayer, 0, HARDWARE_ETHERNET);
  writeMac(linkLayer, 2, mac);
  const options: (readonly [code: number, value: Uint8Array])[] = [
    [OPTION_INTERFACE_ID, ascii(interfaceId)],
    [OPTION_LINK_LAYER, linkLayer],
    // RFC 6607 §3.2, §3.5: type 0, an ASCII name.
    ...(vrf === null ? [] : [[OPTION_VIRTUAL_SUBNET, ascii(`\0${vrf}`)] as const]),
    [OPTION_RELAY_MESSAGE, message],
  ];
  const out = new Uint8Array(options.reduce((sum, [, { length }]) => sum + OPTION_HEAD + length, RELAY_OPTIONS));
  out[0] = DHCP6_RELAY_FORWARD;
  writeIpv6(out, RELAY_LINK, link);
  writeIpv6(out, RELAY_PEER, peer);
  let at = RELAY_OPTIONS;
  for (const [code, value] of options) {
    setU16(out, at, code);
    setU16(out, at + 2, value.length);
    out.set(value, at + OPTION_HEAD);
    at += OPTION_HEAD + value.length;
  }
  return out;
}

/** @returns null: no Relay-reply with one message in it, or its options do not parse. */
export function readRelayReply(message: Uint8Array): Dhcp6RelayReply | null {
  if (message.length < RELAY_OPTIONS || message[0] !== DHCP6_RELAY_REPLY) return null;
  let inner: Uint8Array | null = null;
  let interfaceId: string | null = null;
  const isWhole = eachOption(message, RELAY_OPTIONS, (code, value) => {
    if (code === OPTION_RELAY_MESSAGE) {
      if (inner !== null) return false;
      inner = value;
    } else if (code === OPTION_INTERFACE_ID) {
      if (interfaceId !== null || value.length > 255) return false;
      interfaceId = String.fromCharCode(...value);
    }
    return true;
  });
  if (!isWhole || inner === null) return null;
  return { link: readIpv6(message, RELAY_LINK), peer: readIpv6(message, RELAY_PEER), interfaceId, message: inner };
}

/** Show each option from `at` on to `see`. @returns false: one is cut off, or `see` refused it. */
function eachOption(bytes: Uint8Array, at: number, see: (code: number, value: Uint8Array) => boolean): boolean {
  let i = at;
  while (i < bytes.length) {
    const value = i + OPTION_HEAD;
    if (value > bytes.length) return false;
    const end = value + u16(bytes, i + 2);
    if (end > bytes.length || !see(u16(bytes, i), bytes.subarray(value, end))) return false;
    i = end;
  }
  return true;
}

/** The addresses of an identity association (§21.4, §21.5), behind `head` bytes of its own. */
function readAssociation(value: Uint8Array, head: number, addresses: Dhcp6Address[]): boolean {
  if (value.length < head) return false;
  const found: Dhcp6Address[] = [];
  let isRefused = false;
  const isWhole = eachOption(value, head, (code, inner) => {
    if (code === OPTION_STATUS) isRefused ||= isError(inner);
    if (code !== OPTION_ADDRESS) return true;
    if (inner.length < ADDRESS_BYTES) return false;
    let isWrong = false;
    const hasOptions = eachOption(inner, ADDRESS_BYTES, (sub, status) => {
      if (sub === OPTION_STATUS) isWrong ||= isError(status);
      return true;
    });
    if (!isWrong) found.push({ ip: readIpv6(inner, 0), validSeconds: i32(inner, VALID_LIFETIME) >>> 0 });
    return hasOptions;
  });
  if (!isRefused) addresses.push(...found.slice(0, DHCP6_MOST_ADDRESSES - addresses.length));
  return isWhole;
}

/** Any status but success (§21.13). */
function isError(value: Uint8Array): boolean {
  return value.length < 2 || u16(value, 0) !== 0;
}
