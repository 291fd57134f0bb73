/** UDP sockets that send with hop count 255 and tell that of what they receive (RFC 5082). Calls of the thread that opens them. */
import { addon, fail } from "./addon.ts";

/** As in hop-udp.cc. */
const RECORD_BYTES = 96;
const ADDRESS_AT = 4;
const PAYLOAD_AT = 24;
const MOST_AT_ONCE = 32;

export interface HopDatagram {
  /** 4 or 16 bytes; valid until the next read, as are `bytes`. */
  readonly source: Uint8Array;
  readonly hops: number;
  readonly bytes: Uint8Array;
  /** The payload begins and ends here; what was longer is cut. */
  readonly at: number;
  readonly end: number;
}

export interface HopSocket {
  /** @returns 0, or a negative errno. */
  send(target: string, port: number, bytes: Uint8Array): number;
  /** What is there, up to `most` datagrams. */
  receive(most: number, take: (datagram: HopDatagram) => void): void;
  close(): void;
}

const FIXES: Record<string, string> = {
  EADDRINUSE: "another program speaks BFD on this address; stop it, or leave bfd out here",
  EADDRNOTAVAIL: "no interface has this address: add it, or change underlay.address",
};

/** @param onReadable called from the event loop while something is there; null: nothing will be read. Throws IoError. */
export function openHopUdp(address: string, port: number, onReadable: (() => void) | null): HopSocket {
  const subject = `UDP port ${port} of ${address}`;
  const [fd, step] = addon().openHopUdp(address, port);
  if (fd < 0) fail(subject, fd, String(step), FIXES);
  const stop = onReadable === null ? () => undefined : addon().watchReadable(fd, onReadable, false);
  if (typeof stop === "number") {
    addon().closeFd(fd);
    fail(subject, stop, "watch it", {});
  }
  const records = new Uint8Array(RECORD_BYTES * MOST_AT_ONCE);
  return {
    send: (target, to, bytes) => addon().sendHopUdp(fd, target, to, bytes),
    receive(most, take) {
      for (let left = most; left > 0; ) {
        const count = addon().receiveHopUdp(fd, records);
        for (let n = 0; n < count; n++) take(recordAt(records, n * RECORD_BYTES));
        left -= count;
        if (count < MOST_AT_ONCE) return;
      }
    },
    close() {
      stop();
      addon().closeFd(fd);
    },
  };
}

function recordAt(records: Uint8Array, at: number): HopDatagram {
  const length = records[at]! | (records[at + 1]! << 8);
  const source = records.subarray(at + ADDRESS_AT, at + ADDRESS_AT + records[at + 3]!);
  const begin = at + PAYLOAD_AT;
  return {
    source,
    hops: records[at + 2]!,
    bytes: records,
    at: begin,
    end: Math.min(begin + length, at + RECORD_BYTES),
  };
}
