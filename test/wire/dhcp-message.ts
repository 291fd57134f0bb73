/** DHCP messages for tests, byte by byte. */
import { fromHex } from "./hex.ts";

/** A DISCOVER without more than its type. */
export const DISCOVER = "350101 ff";

/** A request of 02:00:00:00:00:11, xid 12345678, broadcast flag, with `options` behind the cookie; `more`: other bytes, by offset. */
export function dhcpMessage(options: string = DISCOVER, more: Readonly<Record<number, string>> = {}): Uint8Array {
  const tail = fromHex(options);
  const bytes = new Uint8Array(240 + tail.length);
  const fixed = { 0: "01010600 12345678 0000 8000", 28: "020000000011", 236: "63825363" };
  for (const [at, value] of [...Object.entries(fixed), ...Object.entries(more)]) bytes.set(fromHex(value), Number(at));
  bytes.set(tail, 240);
  return bytes;
}
