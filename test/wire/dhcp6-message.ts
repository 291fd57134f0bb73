/** DHCPv6 messages for tests, byte by byte. */
import { fromHex, toHex } from "./hex.ts";

/** Client identifier (RFC 8415 §21.2) of 02:00:00:00:00:11: a DUID-LL. */
export const CLIENT_ID = "0001 000a 00030001 020000000011";

/** A message of `type`, transaction abcdef, with these options. */
export function dhcp6Message(type: number, options: string = CLIENT_ID, transaction = "abcdef"): Uint8Array {
  return fromHex(`${hex(type, 1)}${transaction}${options}`);
}

/** An IA_NA of IAID 7 (§21.4) with this address (hex) and valid lifetime; `more`: options behind it. */
export function iaNa(address: string, validSeconds: number, more = ""): string {
  const inner = `0005 0018 ${address} 00000e10 ${hex(validSeconds, 4)}`;
  return `0003 ${hex(12 + length(inner + more), 2)} 00000007 00000708 00000b40 ${inner} ${more}`;
}

/** A server's Relay-reply: to this link and peer (hex) around `message`; `id`: the interface-id, null: none. */
export function relayReply(link: string, peer: string, message: Uint8Array, id: string | null = null): Uint8Array {
  const text = id === null ? "" : toHex(new TextEncoder().encode(id));
  const place = id === null ? "" : `0012 ${hex(length(text), 2)} ${text}`;
  return fromHex(`0d 00 ${link} ${peer} ${place} 0009 ${hex(message.length, 2)} ${toHex(message)}`);
}

function hex(value: number, bytes: number): string {
  return value.toString(16).padStart(2 * bytes, "0");
}

function length(text: string): number {
  return text.replaceAll(" ", "").length / 2;
}
