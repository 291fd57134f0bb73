/**
 * The child that captures one device with `cap` and writes what it sees to stdout; capture-iface.ts and the
 * lab's capture.ts start it: `sniffer.js DEVICE [FILTER]`.
 *
 * Traps of the library that shape this file: packets are written into one buffer that must stay referenced (libpcap
 * keeps a bare pointer to it); a device that goes down aborts the process; `open` after `close` hangs. So there is
 * one device, one `open`, and the end of the process is the end of the capture. It ends when its stdin does, that
 * is, at the latest when its parent dies.
 */
import { writeSync } from "node:fs";
import { createRequire } from "node:module";

/** The part of `cap` that is used here; the package has no type declarations. */
interface Cap {
  open(device: string, filter: string, kernelBufferBytes: number, frame: Buffer): string;
  on(event: "packet", listener: (bytes: number, isTruncated: boolean) => void): void;
}

const KERNEL_BUFFER_BYTES = 4 << 20;
/** A TAP with offloads shows super-frames of up to 64 KiB. */
const LONGEST_FRAME = 65_535;
/** Length, time: as RECORD_HEAD of those who read it. */
const HEAD = 12;

function write(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      // A full pipe: the parent is slower than the wire for a moment.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") process.exit(0);
    }
  }
}

const device = process.argv[2] ?? "";
const { Cap: Capture } = createRequire(import.meta.url)("cap") as { Cap: new () => Cap };
const record = Buffer.alloc(HEAD + LONGEST_FRAME);
const frame = record.subarray(HEAD);
const capture = new Capture();

capture.on("packet", (bytes) => {
  const length = Math.min(bytes, LONGEST_FRAME);
  record.writeUInt32BE(length, 0);
  record.writeBigUInt64BE(process.hrtime.bigint(), 4);
  write(record.subarray(0, HEAD + length));
});

let linkType: string;
try {
  linkType = capture.open(device, process.argv[3] ?? "", KERNEL_BUFFER_BYTES, frame);
} catch (error) {
  process.stderr.write(`${device}: ${(error as Error).message}\n`);
  process.exit(1);
}
if (linkType !== "ETHERNET") {
  process.stderr.write(`${device} is no Ethernet device but ${linkType}\n`);
  process.exit(1);
}
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
process.stderr.write("ready\n");
