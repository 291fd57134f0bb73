/** Bytes as people write them down: hex digits, spaces where they help. */

export function fromHex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, "");
  if (!/^([0-9a-f]{2})*$/.test(digits)) throw new Error(`not hex: ${text}`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export function toHex(bytes: Uint8Array, from = 0, to = bytes.length): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("hex");
}

/** A buffer full of 0xa5, so that a byte an emitter forgets shows. */
export function dirty(length: number): Uint8Array {
  return new Uint8Array(length).fill(0xa5);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** One's-complement checksum the slow way: bit by bit as RFC 1071 says, with numbers that never overflow. */
export function naiveChecksum(bytes: Uint8Array, at = 0, length = bytes.length - at): number {
  let sum = 0;
  for (let i = 0; i < length; i++) {
    sum += bytes[at + i]! * (i % 2 === 0 ? 256 : 1);
    if (sum > 0xffff) sum -= 0xffff; // end-around carry
  }
  return 0xffff - sum;
}
