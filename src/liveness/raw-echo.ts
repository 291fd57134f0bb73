/**
 * A raw ICMP socket through `raw-socket`, for the prober: whole IP packets out, ICMP in.
 *
 * What the library is like, and what follows: it works on the main thread only; every message it hands out is the same
 * buffer (read before the next one comes: the reader gets it synchronously); its errors are sentences; `send` after `close`
 * never calls back; an error event closes it. So a socket that failed once is thrown away, and every send that is still
 * unanswered ends then.
 *
 * With IP_HDRINCL the header is ours: the source address is the VTEP's. IP_MTU_DISCOVER is PROBE: the kernel's memory of path
 * MTUs is not asked (RFC 4821 §3: what it believes may be a forgery), only the device's own MTU counts. A filter in the
 * kernel keeps everything away that we do not read, so a flood of other ICMP costs us nothing.
 */
import { randomInt } from "node:crypto";
import { createRequire } from "node:module";
import { buildOf } from "../io/how-to-build.ts";
import { readEcho4, readEcho6 } from "../wire/echo.ts";
import { type EchoSocket, type EchoSocketRequest, EchoUnavailable, type SendEnd } from "./echo-socket.ts";

interface RawSocket {
  on(event: "message", listener: (packet: Buffer, source: string) => void): void;
  on(event: "error", listener: (error: Error) => void): void;
  send(packet: Buffer, at: number, length: number, target: string, done: (error: Error | null) => void): void;
  setOption(level: number, option: number, value: number | Buffer, length?: number): void;
  close(): void;
}
interface RawLibrary {
  createSocket(options: { protocol: number; addressFamily: number; bufferSize: number }): RawSocket;
}

const FAMILY = { 4: 1, 6: 2 } as const;
const PROTOCOL = { 4: 1, 6: 58 } as const;
/** Level, option, value; Linux's numbers. IP_HDRINCL, IP_MTU_DISCOVER = PROBE; IPV6_HDRINCL, IPV6_MTU_DISCOVER = PROBE. */
const OPTIONS = {
  4: [
    [0, 3, 1],
    [0, 10, 3],
  ],
  6: [
    [41, 36, 1],
    [41, 23, 3],
  ],
} as const;
/** SOL_RAW, ICMP_FILTER: a bit set keeps that type away. Echo reply and unreachable come. */
const ICMP_FILTER = ~((1 << 0) | (1 << 3)) >>> 0;
const BUFFER_BYTES = 65_536;

const noLibrary = () =>
  `\`${buildOf("raw-socket")}\` where g++, make and python3 are installed (Debian: apt-get install g++ make python3) compiles it, for the Node it runs on`;
const NO_RIGHT = "give the daemon CAP_NET_RAW (systemd: AmbientCapabilities=CAP_NET_RAW; docker: cap_add NET_RAW)";

/**
 * Does the native part of `raw-socket` load here? It is an optional package, and bound to one Node major.
 * @returns null, or why not.
 */
export function whyNoRawSocket(load: () => unknown = loadLibrary): EchoUnavailable | null {
  try {
    load();
    return null;
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const isForeign = code === "ERR_DLOPEN_FAILED" && /NODE_MODULE_VERSION/.test(message);
    const why = isForeign
      ? `was built for another Node than ${process.version}`
      : code === "MODULE_NOT_FOUND"
        ? "is not installed"
        : `does not load: ${message.split("\n")[0]}`;
    return new EchoUnavailable(`the npm package raw-socket ${why}`, noLibrary());
  }
}

const loadLibrary = (): RawLibrary => createRequire(import.meta.url)("raw-socket");

/** Open the socket. Throws EchoUnavailable. */
export function openRawEcho({ family, onNews, onFailure }: EchoSocketRequest): EchoSocket {
  const missing = whyNoRawSocket();
  if (missing !== null) throw missing;
  const raw = loadLibrary();
  let socket: RawSocket;
  try {
    const protocol = PROTOCOL[family];
    socket = raw.createSocket({ protocol, addressFamily: FAMILY[family], bufferSize: BUFFER_BYTES });
  } catch (error) {
    const { message } = error as Error;
    const fix = /not permitted|denied/i.test(message) ? NO_RIGHT : "see the message";
    throw new EchoUnavailable(`a raw ICMP socket: ${message}`, fix);
  }
  const waiting = new Set<(end: SendEnd) => void>();
  let isClosed = false;
  const close = () => {
    if (isClosed) return;
    isClosed = true;
    socket.close();
    for (const settle of [...waiting]) settle("failed");
  };
  socket.on("error", (error) => {
    // The library has closed it already; a second close does nothing.
    if (isClosed) return;
    close();
    onFailure(error.message);
  });
  socket.on("message", (packet, source) => {
    if (isClosed) return;
    const news = family === 4 ? readEcho4(packet) : readEcho6(packet);
    if (news !== null) onNews(news, source);
  });
  try {
    for (const [level, option, value] of OPTIONS[family]) socket.setOption(level, option, value);
    if (family === 4) socket.setOption(255, 1, ICMP_FILTER);
    else socket.setOption(58, 1, icmp6Filter(), 32);
  } catch (error) {
    close();
    throw new EchoUnavailable(
      `a raw ICMP socket's options: ${(error as Error).message}`,
      "Linux 4.5 or later is needed",
    );
  }
  return {
    kind: "raw",
    identifier: randomInt(0x10000),
    close,
    send(packet, target, done) {
      const settle = (end: SendEnd) => {
        if (waiting.delete(settle)) done(end);
      };
      waiting.add(settle);
      if (isClosed) return void queueMicrotask(() => settle("failed"));
      const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength);
      socket.send(bytes, 0, bytes.length, target, (error) => {
        // The library knows errno only as strerror(3)'s words; ours is the C locale.
        settle(error === null ? null : /message too long/i.test(error.message) ? "tooBig" : "failed");
      });
    },
  };
}

/** IPPROTO_ICMPV6, ICMP6_FILTER (RFC 3542 §3.2): 256 bits, set: keep away. Too big (2) and echo reply (129) come. */
function icmp6Filter(): Buffer {
  const filter = Buffer.alloc(32, 0xff);
  for (const type of [2, 129]) {
    const word = (type >> 5) * 4;
    filter.writeUInt32LE((filter.readUInt32LE(word) & ~(1 << (type & 31))) >>> 0, word);
  }
  return filter;
}
