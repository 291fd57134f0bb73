/**
 * Network byte order, read and written in place.
 *
 * Everything is an int32 or smaller, so V8 keeps it in a register: 32-bit fields are *signed* here (0xffffffff is -1)
 * and compared as such. `at` is always an offset into `bytes`; the caller has checked the length (parse once, at the
 * door), these functions never do.
 */

/** Bytes at `at`, `at+1` as 0..65535. */
export function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** Three bytes as 0..16777215 (a VNI). */
export function u24(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
}

/** Four bytes as a signed int32. */
export function i32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** Four bytes as 0..4294967295; where a frame is in hand, `i32`. */
export function u32(bytes: Uint8Array, at: number): number {
  return i32(bytes, at) >>> 0;
}

export function setU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}

export function setU24(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 16;
  bytes[at + 1] = value >> 8;
  bytes[at + 2] = value;
}

export function setI32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24;
  bytes[at + 1] = value >> 16;
  bytes[at + 2] = value >> 8;
  bytes[at + 3] = value;
}

/**
 * Copy `length` bytes from one memory to another. A loop: frames are short, and `set` would make a view for each.
 */
export function copy(to: Uint8Array, toAt: number, from: Uint8Array, fromAt: number, length: number): void {
  for (let i = 0; i < length; i++) to[toAt + i] = from[fromAt + i]!;
}

/** Copy `length` bytes inside `bytes`; the ranges may overlap. */
export function move(bytes: Uint8Array, to: number, from: number, length: number): void {
  bytes.copyWithin(to, from, from + length);
}

/** Are these the same, in length and content? */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** A byte for each sign of `text`, which is ASCII. */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (sign) => sign.charCodeAt(0));
}
