/**
 * One worker's window to the outside: THE contract between the planes and the world.
 *
 * Implemented by the addon (`native.ts`) and by a fake in memory (`memory.ts`). Everything a worker shares with
 * the outside is here: an arena of bytes, the frames that arrived (receive descriptors), the frames to send
 * (send records), and one call per batch, `exchange()`, that carries out the sends and brings the next frames.
 *
 * Why sends are records of their own and not a "fate" column of the received frame: a flooded frame leaves many
 * times and an injected frame never arrived. A record names bytes of the arena, so a flood to ten tunnels is ten
 * records and one copy of the bytes.
 *
 * An **io port** is a place where bytes enter or leave: a TAP, or a remote VTEP behind the underlay socket. Io port
 * numbers are given out by control (1..MAX_IO_PORTS-1) and are the same for every worker; 0 means "unknown": a
 * datagram whose sender is not attached arrives with source 0 and is the data plane's `unknown_vtep`.
 *
 * Units: bytes for offsets and lengths (`at` is an offset into the arena), milliseconds for time. "Wire packets" are
 * the packets a super-frame stands for; an ordinary frame is one.
 */
export interface PortIo {
  /** Frame bytes. Before each received frame lie at least HEADROOM free bytes. Bytes from `scratchAt` on are the data plane's own. */
  readonly arena: Uint8Array;
  /** First byte of the part of the arena that `exchange()` never writes: copies and injected frames live there for one batch. */
  readonly scratchAt: number;
  /** FRAME_WORDS int32 for each received frame, see F_*. */
  readonly frames: Int32Array;
  /** SEND_WORDS int32 for each send record, see S_*. Room for MAX_SENDS records. */
  readonly sends: Int32Array;
  /** STATUS_WORDS int32, written by `exchange()`, see STATUS_*. */
  readonly status: Int32Array;
  /**
   * Carry out the first `sendCount` send records in order (writing S_DONE and S_ERROR of each), then wait at most
   * `timeoutMs` for input and receive the next batch. Never throws; a failing record never delays another port's.
   * @returns the number of frames received, 0 on time-out or when woken by the doorbell.
   */
  exchange(sendCount: number, timeoutMs: number): number;
  /** Start reading and writing a TAP (by its file descriptor, which stays the caller's to close). 0, or a negative errno. */
  attachTap(port: number, fd: number): number;
  /** The same without reading: a TAP with one queue is read by one worker, and written by all. */
  attachTapToWrite(port: number, fd: number): number;
  /** Make a remote VTEP reachable and recognisable: 4 or 16 address bytes at `at` of the arena, UDP port. 0, or a negative errno. */
  attachPeer(port: number, at: number, addressLength: number, udpPort: number): number;
  /** Forget a port; records that still name it fail with -ENODEV. */
  detach(port: number): void;
  /** Copy the payload slices of received super-frame `chain` to `at` of the arena, behind its head. @returns bytes written. */
  gather(chain: number, at: number): number;
}

export { MAX_IO_PORTS } from "../tables/vsi.ts";

/** Most frames in one batch. */
export const MAX_FRAMES = 1024;
/** Most send records in one exchange, a power of two: a batch of frames, flooded, must fit; what does not is dropped `pool_exhausted`. */
export const MAX_SENDS = 16384;
/** Free bytes before each received frame: VXLAN (8) and an 802.1Q tag (4), rounded up to keep frames 64-byte aligned. */
export const HEADROOM = 64;
/** Bytes in front of the frame that an encapsulated send starts with (RFC 7348 §5). */
export const VXLAN_BYTES = 8;
/** The longest frame or datagram: a TAP super-frame of 64 KiB and its Ethernet header fits. */
export const MAX_FRAME_BYTES = 66 * 1024;

// ---- received frames -------------------------------------------------------------------------------------------
export const FRAME_WORDS = 16;
/** Offset of the first byte: the Ethernet header for a TAP, the VXLAN header for a datagram. */
export const F_AT = 0;
/** Bytes, all slices included. */
export const F_LENGTH = 1;
/** Io port; 0: a datagram of an unknown sender. */
export const F_SOURCE = 2;
/** GSO_* in the low byte, FLAG_* above. */
export const F_FLAGS = 3;
/** Payload bytes of each segment of a super-frame, else 0. */
export const F_GSO_SIZE = 4;
/** Wire packets this frame stands for, ≥ 1. */
export const F_UNITS = 5;
/** Outer IPv4 source as int32 (big-endian value); the first word of a stranger's IPv6 one, 0 for any other and for a TAP. */
export const F_OUTER_SOURCE = 6;
/** Outer TOS / traffic class byte (RFC 6040 needs its ECN bits); 0 for a TAP. */
export const F_OUTER_TOS = 7;
/** Where an unfinished L4 checksum starts and where its field is, both from the *Ethernet* header; used with FLAG_NEEDS_CSUM. */
export const F_CSUM_START = 8;
export const F_CSUM_OFFSET = 9;
/** Bytes that lie contiguous at F_AT: F_LENGTH, or the head (all headers) of a super-frame in slices. */
export const F_HEAD = 10;
/** 0, or the handle of the payload slices behind the head; valid until the next exchange. */
export const F_CHAIN = 11;
/**
 * Of a stranger's datagram (F_SOURCE 0) alone, old bytes in all others: the other three words of an IPv6 source, and the UDP
 * source port, with OUTER_IPV6 where the address is one. What is forwarded pays nothing for them.
 */
export const F_OUTER_REST = 12;
export const F_OUTER_PORT = 15;
export const OUTER_IPV6 = 0x10000;

// ---- send records ----------------------------------------------------------------------------------------------
export const SEND_WORDS = 16;
/** Offset of the first byte to send: the Ethernet header to a TAP, the VXLAN header to a tunnel. */
export const S_AT = 0;
/** Bytes, all slices included, from S_AT on. */
export const S_LENGTH = 1;
/** Io port to send to. */
export const S_PORT = 2;
/** As F_FLAGS. */
export const S_FLAGS = 3;
export const S_GSO_SIZE = 4;
/** Outer TOS / traffic class byte; tunnels only. */
export const S_TOS = 5;
/** A number from the inner flow that chooses the outer UDP source port; tunnels only, ≥ 0. */
export const S_ENTROPY = 6;
/** As F_CSUM_START, F_CSUM_OFFSET: from the inner Ethernet header, also when S_AT is at a VXLAN header. */
export const S_CSUM_START = 7;
export const S_CSUM_OFFSET = 8;
/** As F_CHAIN. */
export const S_CHAIN = 9;
/** Wire packets this record stands for, as the data plane counts them. */
export const S_UNITS = 10;
/** Written by exchange: wire packets that left, 0..S_UNITS. */
export const S_DONE = 11;
/** Written by exchange: 0, or the negative errno that stopped the rest. */
export const S_ERROR = 12;
/** The last three words are the data plane's own (whose counters to settle); the io never looks at them. */
export const S_OWN = 13;

// ---- flags -----------------------------------------------------------------------------------------------------
/** Mask of the GSO type. */
export const GSO_MASK = 0xff;
export const GSO_NONE = 0;
/** TCP over IPv4, TCP over IPv6, UDP (USO): the values of VIRTIO_NET_HDR_GSO_*. */
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
export const GSO_UDP_L4 = 5;
/** The segment's L4 checksum holds only the pseudo-header sum (virtio NEEDS_CSUM). */
export const FLAG_NEEDS_CSUM = 0x100;
/** CWR belongs on the first segment only (virtio GSO_ECN). */
export const FLAG_GSO_ECN = 0x200;
/** The datagram was longer than its slot: never forwarded. */
export const FLAG_TRUNCATED = 0x400;
/** The GSO metadata contradicts the bytes (validated against our own parse): never forwarded, counted `gso_bad`. */
export const FLAG_GSO_BAD = 0x800;
/** An inner checksum was verified and is wrong: never forwarded, counted `csum_bad`. */
export const FLAG_CSUM_BAD = 0x1000;

// ---- status ----------------------------------------------------------------------------------------------------
export const STATUS_WORDS = 16;
/** The batch's time: milliseconds of a monotonic clock, wrapping int32; compare by subtraction. */
export const STATUS_NOW_MS = 0;
/** Send records of this exchange with S_ERROR ≠ 0. */
export const STATUS_FAILED = 1;
/** Arena bytes used by the received batch. */
export const STATUS_ARENA_BYTES = 2;
/** 1 when the exchange was woken by the doorbell. */
export const STATUS_WOKEN = 3;
/** Nanoseconds within STATUS_NOW_MS, 0..999,999: for the stamps of captures. */
export const STATUS_NOW_NS = 4;
/** 1 when the exchange let a moment pass before it looked: small frames come fast, and few at a time. */
export const STATUS_PAUSED = 5;
