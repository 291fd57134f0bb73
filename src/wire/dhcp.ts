/**
 * DHCP messages as a relay agent reads and changes them (RFC 951, RFC 2131, RFC 3046).
 *
 * A message is the payload of a UDP datagram. A relay looks at few fields of it, and at two options: the message type (53) and
 * its own, the relay agent information (82). It puts that one at the end, and takes it out of what comes back. Options
 * in `sname` and `file` (option 52) are the two ends' business, and an option 82 may not stand there (RFC 3046 §2.1): a client that hides
 * one in them would say to its server where it is.
 */
import { ascii, i32, setI32, u16 } from "./bytes.ts";
import { type Mac, readMac } from "./ethernet.ts";
import type { Ipv4 } from "./ipv4.ts";

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

export const BOOT_REQUEST = 1;
export const BOOT_REPLY = 2;
export const DHCP_DISCOVER = 1;
export const DHCP_DECLINE = 4;
export const DHCP_ACK = 5;
export const DHCP_NAK = 6;
export const DHCP_RELEASE = 7;

export const DHCP_HOPS = 3;
const XID = 4;
const FLAGS = 10;
const CIADDR = 12;
const YIADDR = 16;
export const DHCP_GIADDR = 24;
const CHADDR = 28;
/** RFC 2131 §2: server name and file name, 64 and 128 bytes. */
const SNAME = 44;
const FILE = 108;
const MAGIC = 236;
const OPTIONS = 240;
const MAGIC_COOKIE = 0x63825363;
const ETHERNET = 1;
const MAC_BYTES = 6;
/** RFC 951 §3: `vend` has 64 bytes, so nothing is shorter. */
const LEAST_BYTES = 300;

const PAD = 0;
const OPTION_LEASE = 51;
/** RFC 2132 §9.3: `file` holds options (1), `sname` does (2), or both. */
const OPTION_OVERLOAD = 52;
const IN_FILE = 1;
const IN_SNAME = 2;
const OPTION_TYPE = 53;
const OPTION_AGENT = 82;
const END = 255;

/** Sub-options of option 82: RFC 3046 §3.1, §3.2, RFC 3527 §3, RFC 5107 §4, RFC 6607 §3.3, §3.4. */
const CIRCUIT_ID = 1;
const REMOTE_ID = 2;
const LINK_SELECTION = 5;
const SERVER_OVERRIDE = 11;
const VIRTUAL_SUBNET = 151;
/** Empty; a server that has understood VIRTUAL_SUBNET does not echo it. */
const VIRTUAL_SUBNET_CONTROL = 152;
/** RFC 6607 §3.5: the VPN is told by an ASCII name. */
const VPN_BY_NAME = 0;
const MOST_AGENT = 255;

/** Fields of a message that a relay decides by. */
export interface Dhcp {
  /** BOOT_REQUEST or BOOT_REPLY. */
  readonly op: number;
  readonly hops: number;
  readonly xid: number;
  /** The client cannot take a unicast yet. */
  readonly isBroadcast: boolean;
  readonly ciaddr: Ipv4;
  readonly yiaddr: Ipv4;
  readonly giaddr: Ipv4;
  readonly chaddr: Mac;
  /** Option 53; 0: plain BOOTP. */
  readonly type: number;
  /** Option 51; null: none. */
  readonly leaseSeconds: number | null;
  /** Where its options end: at END, or at its last byte. */
  readonly end: number;
  /** Value of option 82; null: there is none. */
  readonly agent: Uint8Array | null;
}

/** What a relay tells the server of where a client is. */
export interface AgentInformation {
  /** At most 127 bytes of ASCII. */
  readonly circuit: string;
  /** At most 63. */
  readonly remote: string;
  /** Any address of the subnet that the client is in. */
  readonly link: Ipv4;
  /** What the client shall take for its server, and renew at. */
  readonly server: Ipv4;
  /** The VRF that the client is in, ASCII; null: the one that needs no name. It is left out where an option has no room for it. */
  readonly vrf: string | null;
}

/** @returns null: not a whole message of an Ethernet client, or its options do not parse. */
export function readDhcp(message: Uint8Array): Dhcp | null {
  if (message.length < OPTIONS || i32(message, MAGIC) !== MAGIC_COOKIE) return null;
  if (message[1] !== ETHERNET || message[2] !== MAC_BYTES) return null;
  let type = 0;
  let leaseSeconds: number | null = null;
  let agent: Uint8Array | null = null;
  let overload = 0;
  const end = eachOption(message, OPTIONS, message.length, (code, value) => {
    if (code === OPTION_TYPE) {
      if (value.length !== 1) return false;
      type = value[0]!;
    } else if (code === OPTION_LEASE) {
      if (value.length !== 4) return false;
      leaseSeconds = i32(value, 0) >>> 0;
    } else if (code === OPTION_OVERLOAD) {
      if (value.length !== 1) return false;
      overload |= value[0]!;
    } else if (code === OPTION_AGENT) {
      if (agent !== null) return false;
      agent = value;
    }
    return true;
  });
  const isNoAgent = (code: number) => code !== OPTION_AGENT;
  if (end < 0) return null;
  if ((overload & IN_FILE) !== 0 && eachOption(message, FILE, MAGIC, isNoAgent) < 0) return null;
  if ((overload & IN_SNAME) !== 0 && eachOption(message, SNAME, FILE, isNoAgent) < 0) return null;
  return {
    op: message[0]!,
    hops: message[DHCP_HOPS]!,
    xid: i32(message, XID),
    isBroadcast: (u16(message, FLAGS) & 0x8000) !== 0,
    ciaddr: i32(message, CIADDR),
    yiaddr: i32(message, YIADDR),
    giaddr: i32(message, DHCP_GIADDR),
    chaddr: readMac(message, CHADDR),
    type,
    leaseSeconds,
    end,
    agent,
  };
}

/** Show each option from `at` on to `see`. @returns where they end, at END or at `end`; -1: one is cut off, or `see` refused it. */
function eachOption(
  bytes: Uint8Array,
  at: number,
  end: number,
  see: (code: number, value: Uint8Array) => boolean,
): number {
  let i = at;
  while (i < end && bytes[i] !== END) {
    if (bytes[i] === PAD) {
      i++;
      continue;
    }
    const value = i + 2;
    // A code without a length, or more than is there.
    if (value > end || value + bytes[i + 1]! > end) return -1;
    const next = value + bytes[i + 1]!;
    if (!see(bytes[i]!, bytes.subarray(value, next))) return -1;
    i = next;
  }
  return i;
}

/** `message` (read as `dhcp`) with option 82 behind its options. @returns null: it would be longer than `most` bytes. */
export function withAgent(
  message: Uint8Array,
  dhcp: Dhcp,
  information: AgentInformation,
  most: number,
): Uint8Array | null {
  const value = agentBytes(information);
  const end = dhcp.end + 2 + value.length + 1;
  if (end > most) return null;
  const out = new Uint8Array(Math.max(end, LEAST_BYTES));
  out.set(message.subarray(0, dhcp.end));
  out.set([OPTION_AGENT, value.length], dhcp.end);
  out.set(value, dhcp.end + 2);
  out[end - 1] = END;
  return out;
}

/** `message` (read as `dhcp`) without its option 82. */
export function withoutAgent(message: Uint8Array, { agent, end }: Dhcp): Uint8Array {
  if (agent === null) return message;
  const at = agent.byteOffset - message.byteOffset - 2;
  const after = at + 2 + agent.length;
  const out = new Uint8Array(Math.max(end - (after - at) + 1, LEAST_BYTES));
  out.set(message.subarray(0, at));
  out.set(message.subarray(after, end), at);
  out[end - (after - at)] = END;
  return out;
}

/** The circuit that a server echoes in option 82; null: none, or the option does not parse. */
export function circuitOf(agent: Uint8Array): string | null {
  for (let at = 0; at + 2 <= agent.length; at += 2 + agent[at + 1]!) {
    const value = agent.subarray(at + 2, at + 2 + agent[at + 1]!);
    if (value.length !== agent[at + 1]) return null;
    if (agent[at] === CIRCUIT_ID) return String.fromCharCode(...value);
  }
  return null;
}

function agentBytes({ circuit, remote, link, server, vrf }: AgentInformation): Uint8Array {
  const text = (code: number, value: string) => [code, value.length, ...ascii(value)];
  const address = (code: number, value: Ipv4) => {
    const bytes = new Uint8Array([code, 4, 0, 0, 0, 0]);
    setI32(bytes, 2, value);
    return [...bytes];
  };
  const place = [
    ...text(CIRCUIT_ID, circuit),
    ...text(REMOTE_ID, remote),
    ...address(LINK_SELECTION, link),
    ...address(SERVER_OVERRIDE, server),
  ];
  if (vrf === null) return Uint8Array.from(place);
  const network = [VIRTUAL_SUBNET, 1 + vrf.length, VPN_BY_NAME, ...ascii(vrf), VIRTUAL_SUBNET_CONTROL, 0];
  return Uint8Array.from(place.length + network.length > MOST_AGENT ? place : [...place, ...network]);
}
