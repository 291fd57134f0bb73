// Cutting a super-frame into the packets it stands for (TSO and USO in software).
//
// Segment i is a copy of the headers with a few fields changed, followed by a slice of the payload, which stays where
// it is: nothing but headers is copied. In front of each copy goes a caller's prefix (the VXLAN header), so that one
// sendmsg with UDP_SEGMENT carries many segments: every segment but the last is equally long, exactly that contract.
// Changed per segment: IP length, IPv4 ID + i and header checksum; TCP sequence + i·size (mod 2^32), FIN and PSH on
// the last only, CWR on the first only when the guest set GSO_ECN (otherwise CWR is data, RFC 9768), urgent pointer
// less i·size while it still points ahead (RFC 9293 §3.8.5); UDP length; the transport checksum, always finished
// (UDP 0 becomes 0xffff, RFC 768). Everything else, VLAN tag, IP options and extension headers included, is verbatim.
// The constant part of both checksums is summed once per super-frame.
//
// A super-frame that does not fit one send is cut in several calls: the plan remembers where it stopped.
#pragma once

#include <sys/uio.h>
#include <cstdint>

#include "gso.h"

namespace vtepd {

enum {
  /** Most segments of one segmentCut / segmentWrite call: UDP_MAX_SEGMENTS of Linux ≥ 6.9 (64 before: pass that). */
  SEGMENT_MAX_PER_CALL = 128,
  /** Longest prefix. */
  SEGMENT_MAX_PREFIX = 64,
  /** A headers buffer of this size always has room for SEGMENT_MAX_PER_CALL headers. */
  SEGMENT_HEADERS_BYTES = SEGMENT_MAX_PER_CALL * (GSO_MAX_HEADER + SEGMENT_MAX_PREFIX),
};

/** One super-frame being cut. Lives on the caller's stack; about 600 bytes. Fields are for segment.cc, except where noted. */
struct SegmentPlan {
  /** Believed metadata: `units` is the number of segments in all, `header` the header bytes. Readable. */
  Gso gso;
  Layers layers;
  /** Next segment to cut; equal to gso.units when done. Readable. */
  uint32_t next;
  uint32_t payload;  // bytes of payload in all
  uint32_t prefix;   // bytes of prefix in `templateBytes`
  uint32_t slice;    // current slice: 0 is what lies behind the headers in the head, then the caller's
  uint32_t sliceAt;  // bytes of it already used
  uint32_t sliceCount;
  const iovec* slices;
  iovec first;
  uint32_t sequence;  // TCP sequence of segment 0, host order
  uint16_t ipId;      // host order
  uint16_t urgent;    // host order
  uint8_t tcpFlags;
  uint64_t ipSum;  // running sum of the constant part of the IPv4 header
  uint64_t l4Sum;  // the same of pseudo-header and transport header
  uint8_t templateBytes[SEGMENT_MAX_PREFIX + GSO_MAX_HEADER];
};

/** What one call made. */
struct SegmentCut {
  /** Segments made, 0..maxSegments. 0 with segments left means not even one fitted the space given. */
  uint32_t segments;
  /** iovecs used (segmentCut only). */
  uint32_t iovecs;
  /** Bytes of all segments made, prefixes included. */
  uint32_t bytes;
  /** Bytes of the first segment with its prefix: the UDP_SEGMENT value. The last segment made may be shorter. */
  uint32_t stride;
};

/**
 * Validate and prepare. `frame` is the Ethernet header; `head` bytes lie there, the rest of the payload in `slices`
 * (may be none). A GSO_NONE type is refused: ordinary frames are not cut. The frame is read, never written; it, the
 * slices and the iovec array must stay until the last cut.
 * @param prefix,prefixBytes copied in front of each segment, ≤ SEGMENT_MAX_PREFIX
 * @returns 0 or a GsoError; also GSO_BAD_FRAME when the slices do not add up to `length`.
 */
int segmentPlan(SegmentPlan* plan, const uint8_t* frame, uint32_t head, uint32_t length, const iovec* slices,
                uint32_t sliceCount, uint8_t type, int ecn, uint32_t size, const uint8_t* prefix, uint32_t prefixBytes);

/**
 * Cut the next segments as iovecs: for each one [prefix + headers], in `headers`, then one or more payload slices.
 * Stops after `maxSegments` (at most SEGMENT_MAX_PER_CALL), before exceeding `maxBytes` in all (65507 for a UDP/IPv4
 * send, 65527 for IPv6), `iovCount` iovecs (1024 for one sendmsg) or `headersBytes`; always between two segments.
 * The same `headers` must not be reused before the send is done.
 */
SegmentCut segmentCut(SegmentPlan* plan, uint8_t* headers, uint32_t headersBytes, iovec* iov, uint32_t iovCount,
                      uint32_t maxSegments, uint32_t maxBytes);

/** The same, written one behind the other into `buffer`: segment k starts at k·stride. */
SegmentCut segmentWrite(SegmentPlan* plan, uint8_t* buffer, uint32_t bufferBytes, uint32_t maxSegments);

}  // namespace vtepd
