/**
 * One SharedArrayBuffer, carved into columns.
 *
 * A table declares its columns once, in a function that asks a `Carver` for them. The same function runs three times:
 * to measure, to create, and in each worker to attach, so the two planes cannot disagree about an offset. Pages that
 * that are never touched are never backed by memory, so columns may be generous.
 */

const MAGIC = 0x76746570; // "vtep"
const VERSION = 1;
const HEADER_BYTES = 64;

/** Hands out columns one after the other, each 64-byte aligned (a cache line belongs to one column). */
export interface Carver {
  int32(count: number): Int32Array;
  bytes(count: number): Uint8Array;
  float64(count: number): Float64Array;
}

/** What `declare` builds on: a buffer, or nothing yet (when measuring, columns are empty). */
class Cursor implements Carver {
  at = HEADER_BYTES;
  readonly buffer: SharedArrayBuffer | null;

  constructor(buffer: SharedArrayBuffer | null) {
    this.buffer = buffer;
  }

  private take(bytes: number): number {
    const at = this.at;
    // Most columns are a power of two long; without the extra line, row n of each would fall into the same cache set.
    this.at = ((at + bytes + 63) & ~63) + 64;
    return at;
  }

  int32(count: number): Int32Array {
    const at = this.take(count * 4);
    return this.buffer === null ? new Int32Array(0) : new Int32Array(this.buffer, at, count);
  }

  bytes(count: number): Uint8Array {
    const at = this.take(count);
    return this.buffer === null ? new Uint8Array(0) : new Uint8Array(this.buffer, at, count);
  }

  float64(count: number): Float64Array {
    const at = this.take(count * 8);
    return this.buffer === null ? new Float64Array(0) : new Float64Array(this.buffer, at, count);
  }
}

/** Measure `declare`, allocate a zeroed buffer and carve it. */
export function create<T>(declare: (carver: Carver) => T): { buffer: SharedArrayBuffer; columns: T } {
  const measure = new Cursor(null);
  declare(measure);
  const buffer = new SharedArrayBuffer(measure.at);
  const header = new Int32Array(buffer, 0, 3);
  header[0] = MAGIC;
  header[1] = VERSION;
  header[2] = measure.at;
  return { buffer, columns: declare(new Cursor(buffer)) };
}

/** Carve a buffer that `create` made with the same `declare`. Throws if it is not one: that is our mistake. */
export function attach<T>(buffer: SharedArrayBuffer, declare: (carver: Carver) => T): T {
  const header = new Int32Array(buffer, 0, 3);
  if (header[0] !== MAGIC || header[1] !== VERSION) throw new Error("shared tables: wrong magic or version");
  const cursor = new Cursor(buffer);
  const columns = declare(cursor);
  if (cursor.at !== header[2]) throw new Error(`shared tables: carved ${cursor.at} bytes of ${header[2]}`);
  return columns;
}
