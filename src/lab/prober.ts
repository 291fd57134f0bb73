/**
 * The built-in ping: `prober.js TARGET COUNT`, run inside a machine's namespace where no ping is installed.
 *
 * ICMP echo (RFC 792) over the `raw-socket` library. One JSON line for each answer. An echo not answered within two
 * seconds is given up; the exit status is 0 when any was answered.
 *
 * The library hands out one buffer for all messages, IP header included: everything is read before the callback
 * returns. It has no `unref`, so the socket is closed to let the process end.
 */
import { createRequire } from "node:module";
import { setU16, u16 } from "../wire/bytes.ts";
import { ICMP_BYTES, ICMP_ECHO_REPLY, ICMP_ECHO_REQUEST } from "../wire/icmp.ts";
import { headerBytes, IP_TTL, IPV4_BYTES, sum16 } from "../wire/ipv4.ts";

/** The part of `raw-socket` that is used here; the package has no type declarations. */
interface RawSocket {
  on(event: "message", listener: (packet: Buffer, source: string) => void): void;
  on(event: "error", listener: (error: Error) => void): void;
  send(
    packet: Buffer,
    at: number,
    length: number,
    target: string,
    done: (error: Error | null, bytes: number) => void,
  ): void;
  close(): void;
}
interface RawLibrary {
  createSocket(options: { protocol: number; bufferSize: number }): RawSocket;
  readonly Protocol: { readonly ICMP: number };
}

const WAIT_MS = 2000;
const GAP_MS = 200;
const PAYLOAD_BYTES = 56;

const target = process.argv[2] ?? "";
const count = Number(process.argv[3] ?? 1);
const identifier = process.pid & 0xffff;
const raw = library();
const socket = raw.createSocket({ protocol: raw.Protocol.ICMP, bufferSize: 65_536 });
let answered = 0;
let current: { sequence: number; sentAt: number; settle: () => void } | undefined;

socket.on("error", (error) => {
  process.stderr.write(`${error.message}\n`);
});

socket.on("message", (packet, source) => {
  if (source !== target || packet.length < IPV4_BYTES) return;
  const at = headerBytes(packet, 0);
  if (packet.length < at + ICMP_BYTES || packet[at] !== ICMP_ECHO_REPLY) return;
  if (u16(packet, at + 4) !== identifier || u16(packet, at + 6) !== current?.sequence) return;
  const rttMs = performance.now() - current.sentAt;
  answered++;
  process.stdout.write(`${JSON.stringify({ sequence: current.sequence, ttl: packet[IP_TTL], rttMs })}\n`);
  current.settle();
});

/** An optional package: without it the machine needs a ping of its own. */
function library(): RawLibrary {
  try {
    return createRequire(import.meta.url)("raw-socket") as RawLibrary;
  } catch {
    process.stderr.write(
      "neither ping (Debian: apt-get install iputils-ping) nor the npm package raw-socket is here\n",
    );
    return process.exit(1);
  }
}

function echo(sequence: number): Promise<void> {
  const packet = Buffer.alloc(ICMP_BYTES + PAYLOAD_BYTES);
  packet[0] = ICMP_ECHO_REQUEST;
  setU16(packet, 4, identifier);
  setU16(packet, 6, sequence);
  setU16(packet, 2, ~sum16(packet, 0, packet.length, 0) & 0xffff);
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, WAIT_MS);
    current = {
      sequence,
      sentAt: performance.now(),
      settle: () => {
        clearTimeout(timer);
        resolve();
      },
    };
    socket.send(packet, 0, packet.length, target, (error) => {
      if (error !== null) process.stderr.write(`${error.message}\n`);
    });
  });
}

for (let sequence = 1; sequence <= count; sequence++) {
  if (sequence > 1) await new Promise((resolve) => setTimeout(resolve, GAP_MS));
  await echo(sequence);
}
socket.close();
process.exitCode = answered > 0 ? 0 : 1;
