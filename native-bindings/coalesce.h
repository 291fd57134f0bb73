// Joining the received packets of a flow into super-frames: what GRO does, for the inner packets of a receive batch.
//
// Frames are added in the order received; at the end of the batch there is a list of outputs: frames verbatim, or a
// *run*: the first frame's headers (rewritten in place) and a list of payload slices, left where they were received.
// A run lets itself be cut again into the very packets that went in. Rules, each one paid for by somebody:
//  1. Same key, same L2 header, at most two VLAN tags. IPv4: no options, no fragment, equal ToS, TTL, DF, addresses; without DF the ID must
//     count up by one (with DF it means nothing, RFC 6864 §4). IPv6: no extension headers, equal first word, hop limit.
//     The IPv4 header checksum must be right.
//  2. Ethernet padding is cut off.
//  3. TCP: flags within {ACK, PSH, ECE}, ACK set, ECE constant, payload, equal header length, options, ack, window; the
//     next sequence number; not longer than the first. A shorter segment or PSH ends the run; PSH goes to the head.
//  4. UDP: equal sizes, the last may be shorter; checksum present.
//  5. Later data of a flow never overtakes an earlier packet of it: only the newest run of a flow grows, any other
//     packet of the flow seals it, and a frame whose flow cannot be told (a fragment, not TCP/UDP, malformed) seals all.
//     A TCP packet with nothing but ACK may be overtaken. A flow is addresses, protocol and ports alone: a change of key
//     (outer ECN, say) seals too.
//  6. Every checksum is verified before merging, or unfinished (gso.h); else corrupt bytes would be declared good.
//  7. At most 65535 bytes from the IP header, 128 TCP or 64 UDP segments.
//  8. A run of one is verbatim, its bytes untouched.
// Nothing is held over a batch. No allocation: all state is in one Coalescer, under 1 MiB, owned by the caller;
// a new batch costs O(1).
#pragma once

#include <sys/uio.h>
#include <cstdint>

#include "gso.h"

namespace vtepd {

enum {
  /** Most frames added in one batch. */
  COALESCE_MAX_FRAMES = 4096,
  /** Slots for flows, and how far from its place a flow is looked for; one that finds none free is never merged. */
  COALESCE_TABLE = 8192,
  COALESCE_PROBES = 16,
  COALESCE_MAX_TCP_SEGMENTS = 128,
  COALESCE_MAX_UDP_SEGMENTS = 64,
  /** From the IP header. */
  COALESCE_MAX_BYTES = 65535,

  /** What may be merged: bits for coalesceBegin. */
  COALESCE_TCP = 1,
  COALESCE_UDP = 2,
};

/** What is known about a frame's transport checksum. */
enum {
  /** Not looked at (nothing to merge with, or not TCP/UDP), or UDP without one. */
  COALESCE_CSUM_UNKNOWN = 0,
  COALESCE_CSUM_VALID = 1,
  /** The field holds the pseudo-header sum: output.gso.needsCsum is set. */
  COALESCE_CSUM_UNFINISHED = 2,
  /** Looked at and wrong; the frame is verbatim. Drop it or leave it to the receiver, but never set NEEDS_CSUM. */
  COALESCE_CSUM_BAD = 3,
};

/** One output, in sending order. */
struct CoalesceOutput {
  /** Contiguous bytes: the whole frame, or the headers and first payload of a run. Points at the first frame added. */
  uint8_t* head;
  uint32_t headLength;
  /** All bytes: head and slices. */
  uint32_t length;
  /** Payload behind the head: coalescer->slices[firstSlice ...], sliceCount of them; 0 for a verbatim frame. */
  uint32_t firstSlice;
  uint32_t sliceCount;
  /** Index (0-based, order of coalesceAdd) of the frame at `head`. */
  uint32_t frame;
  /** COALESCE_CSUM_*. */
  uint32_t csum;
  /** type GSO_NONE and units 1 for an ordinary frame, whose needsCsum may still be set (R3). */
  Gso gso;
};

/** Internal: what a run needs to grow, parallel to outputs[]. */
struct CoalesceRun {
  uint64_t key;
  uint32_t nextSequence;
  uint32_t payload;       // of all its frames
  uint32_t firstPayload;  // of the first
  uint32_t lastPiece;
  uint32_t seal;  // may grow only while equal to coalescer->seal
  uint16_t count;
  uint16_t slot;
  uint8_t open;
  uint8_t headGood;  // checksums of the first frame were verified
  uint8_t tcpFlags;
  Layers layers;
};

/** Internal: one payload of a run; `next` is the piece behind it, 0 at the end. */
struct CoalescePiece {
  const uint8_t* at;
  uint32_t length;
  uint32_t next;
};

/** Internal: the newest run of a flow; of this batch when `epoch` is the coalescer's. */
struct CoalesceSlot {
  uint32_t epoch;
  uint16_t tag;
  uint16_t run;
};

struct Coalescer {
  uint32_t epoch, seal, what, frameCount, pieceCount, sliceCount, lastRun;
  /** Outputs so far; coalesceAdd grows it by 0 or 1. Readable at any time, the outputs themselves after coalesceEnd. */
  uint32_t outputCount;
  CoalesceOutput outputs[COALESCE_MAX_FRAMES];
  /** Payload slices of all runs, ready for writev/sendmsg. Valid from coalesceEnd until the next coalesceBegin. */
  iovec slices[COALESCE_MAX_FRAMES];
  CoalesceRun runs[COALESCE_MAX_FRAMES];
  CoalescePiece pieces[COALESCE_MAX_FRAMES + 1];  // piece 0 is not used
  CoalesceSlot table[COALESCE_TABLE];
};

/** Once, on memory of any content. */
void coalesceInit(Coalescer* coalescer);

/** Start a batch. `what` is COALESCE_TCP | COALESCE_UDP: UDP only if the TAP accepts USO; 0 lets everything through verbatim. */
void coalesceBegin(Coalescer* coalescer, uint32_t what);

/**
 * Add the next frame: the inner Ethernet frame, `length` contiguous bytes that stay put until the outputs are used.
 * @param key everything *outside* the frame that a later decision reads: only frames of equal key merge. Put the facts
 *   themselves in, not a hash: io port of the sender, all VXLAN flag bits, VNI, outer ToS fit in 64 bits.
 * @param gso nullptr, or what gsoFromDatagram said of a whole super-frame: passed on verbatim with that metadata.
 * @returns 1, or 0 when COALESCE_MAX_FRAMES are in: end the batch.
 */
int coalesceAdd(Coalescer* coalescer, uint8_t* frame, uint32_t length, uint64_t key, const Gso* gso);

/** Finish: rewrite the heads of runs, lay out the slices. @returns outputCount. */
uint32_t coalesceEnd(Coalescer* coalescer);

}  // namespace vtepd
