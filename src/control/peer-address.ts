/**
 * The bytes of a VTEP address, as the io wants them: 4 for IPv4, 16 for IPv6 (RFC 4291 §2.2).
 *
 * The plan holds canonical text, checked by manage; what does not parse here is our own mistake and throws.
 */
import { setI32, setU16 } from "../wire/bytes.ts";
import { parseIpv4 } from "../wire/ipv4.ts";

/** 4 or 16 address bytes of `text`. */
export function peerAddress(text: string): Uint8Array {
  if (!text.includes(":")) {
    const ip = parseIpv4(text);
    if (ip === null) throw new Error(`VTEP address ${text}: not an address (the plan is checked before it comes here)`);
    const bytes = new Uint8Array(4);
    setI32(bytes, 0, ip);
    return bytes;
  }
  const [head = "", tail] = text.split("::");
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const missing = 8 - before.length - after.length;
  const groups = [...before, ...Array<number>(Math.max(0, missing)).fill(0), ...after];
  const isWhole = tail === undefined ? missing === 0 : missing > 0;
  if (!isWhole || groups.some((group) => !(group >= 0 && group <= 0xffff)))
    throw new Error(`VTEP address ${text}: not an address (the plan is checked before it comes here)`);
  const bytes = new Uint8Array(16);
  for (const [i, group] of groups.entries()) setU16(bytes, i * 2, group);
  return bytes;
}

/** 16-bit groups between colons; a dotted IPv4 tail counts as two. */
function groupsOf(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((part) => {
    const ip = part.includes(".") ? parseIpv4(part) : null;
    if (ip !== null) return [ip >>> 16, ip & 0xffff];
    return /^[0-9a-f]{1,4}$/i.test(part) ? [Number.parseInt(part, 16)] : [Number.NaN];
  });
}
