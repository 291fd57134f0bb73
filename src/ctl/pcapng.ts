/**
 * A capture file: pcapng (draft-ietf-opsawg-pcapng), as Wireshark and tshark read it.
 *
 * One section; an interface description block for each bridge port when it is first named (blocks may come at any time
 * before the first packet that refers to them); enhanced packet blocks with nanosecond stamps, direction and a comment;
 * interface statistics at the end. Little-endian, link type Ethernet: what a tunnel carries is written as the inner frame.
 */
import { plural } from "../wire/plural.ts";

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const STATISTICS = 5;
const PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
const ETHERNET = 1;

const OPT_COMMENT = 1;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_TSRESOL = 9;
const EPB_FLAGS = 2;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;
const NANOSECONDS = 9;

/** An option: its code and its value. */
type Option = readonly [code: number, value: Buffer];

export interface PcapngPacket {
  readonly port: string;
  /** Nanoseconds since 1970. */
  readonly at: bigint;
  readonly direction: "in" | "out";
  /** Bytes on the wire; `bytes` may be fewer. */
  readonly length: number;
  readonly bytes: Uint8Array;
  readonly comment: string;
}

export class Pcapng {
  private readonly write: (bytes: Buffer) => void;
  private readonly ports = new Map<string, { readonly id: number; packets: bigint }>();
  private readonly snaplen: number;
  private lastAt = 0n;

  constructor(write: (bytes: Buffer) => void, application: string, snaplen: number) {
    this.write = write;
    this.snaplen = snaplen;
    const body = Buffer.alloc(16);
    body.writeUInt32LE(BYTE_ORDER, 0);
    body.writeUInt16LE(1, 4);
    // The section's length is not known: it may be a live stream.
    body.writeBigInt64LE(-1n, 8);
    this.block(SECTION, body, [[SHB_USERAPPL, Buffer.from(application)]]);
  }

  /** The interface `name`; described when it is new. @returns its number. */
  port(name: string, description: string): number {
    const known = this.ports.get(name);
    if (known !== undefined) return known.id;
    const id = this.ports.size;
    this.ports.set(name, { id, packets: 0n });
    const body = Buffer.alloc(8);
    body.writeUInt16LE(ETHERNET, 0);
    body.writeUInt32LE(this.snaplen, 4);
    this.block(INTERFACE, body, [
      [IF_NAME, Buffer.from(name)],
      [IF_DESCRIPTION, Buffer.from(description)],
      [IF_TSRESOL, Buffer.from([NANOSECONDS])],
    ]);
    return id;
  }

  packet({ port, at, direction, length, bytes, comment }: PcapngPacket): void {
    const id = this.port(port, port);
    this.ports.get(port)!.packets++;
    this.lastAt = at;
    const padded = (bytes.length + 3) & ~3;
    const body = Buffer.alloc(20 + padded);
    body.writeUInt32LE(id, 0);
    body.writeUInt32LE(Number(at >> 32n), 4);
    body.writeUInt32LE(Number(at & 0xffffffffn), 8);
    body.writeUInt32LE(bytes.length, 12);
    body.writeUInt32LE(Math.max(length, bytes.length), 16);
    body.set(bytes, 20);
    const flags = Buffer.alloc(4);
    flags.writeUInt32LE(direction === "in" ? 1 : 2);
    this.block(PACKET, body, [
      [EPB_FLAGS, flags],
      [OPT_COMMENT, Buffer.from(comment)],
    ]);
  }

  /** The end: how many packets each interface gave. `lost` could not be told apart: they are counted at the first one. */
  end(lost: number): void {
    for (const { id, packets } of this.ports.values()) {
      const body = Buffer.alloc(12);
      body.writeUInt32LE(id, 0);
      body.writeUInt32LE(Number(this.lastAt >> 32n), 4);
      body.writeUInt32LE(Number(this.lastAt & 0xffffffffn), 8);
      const options: Option[] = [
        [ISB_IFRECV, counter(packets)],
        [ISB_IFDROP, counter(id === 0 ? BigInt(lost) : 0n)],
      ];
      if (id === 0)
        options.push([OPT_COMMENT, Buffer.from(`${plural(lost, "frame")} lost, of all interfaces together`)]);
      this.block(STATISTICS, body, options);
    }
  }

  private block(type: number, body: Buffer, options: readonly Option[]): void {
    const parts = [body, ...options.map(optionBytes), Buffer.alloc(options.length > 0 ? 4 : 0)];
    const length = 12 + parts.reduce((sum, part) => sum + part.length, 0);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(type, 0);
    head.writeUInt32LE(length, 4);
    const tail = Buffer.alloc(4);
    tail.writeUInt32LE(length);
    this.write(Buffer.concat([head, ...parts, tail]));
  }
}

function counter(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function optionBytes([code, value]: Option): Buffer {
  const bytes = Buffer.alloc(4 + ((value.length + 3) & ~3));
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt16LE(value.length, 2);
  bytes.set(value, 4);
  return bytes;
}
