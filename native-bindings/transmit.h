// The sending half of a worker's io: records to TAP writes, or to queues, messages and sendmmsg.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>

#include "records.h"
#include "segment.h"
#include "udp.h"

namespace vtepd {

struct Io;

constexpr int kMessages = 64;         // messages of one sendmmsg
constexpr int kSendIovecs = 8192;     // of all messages of one sendmmsg
constexpr int kMessageIovecs = 1024;  // UIO_MAXIOV: of one message
constexpr int kHeaderPool = 512 * 1024;
// UDP_MAX_SEGMENTS of Linux ≥ 6.9, 64 before: Transmitter::segmentCap is what was probed.
constexpr uint8_t kMaxSegments = 128;
constexpr uint32_t kTapSegmentRefusals = 3;  // so many, and no super-frame of that protocol is written any more
static_assert(kMaxSegments == SEGMENT_MAX_PER_CALL && kHeaderPool >= SEGMENT_HEADERS_BYTES);

// Ancillary data of a message sent: its TOS, an int, and UDP_SEGMENT's stride, a u16.
constexpr int kTxControlBytes = 64;
static_assert(kTxControlBytes >= CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t)), "both are written unasked");
static_assert(kTxControlBytes % alignof(cmsghdr) == 0, "they lie in one array");

/** A send record, unpacked and bounded. */
struct Send {
  int32_t* record;
  uint8_t* at;            // first byte
  uint32_t head, length;  // contiguous bytes, all bytes
  const iovec* slices;
  uint32_t sliceCount;
  int32_t flags;
};

/** One entry of a sendmmsg: segments of equal length (the last may be shorter), each starting an iovec. */
struct Message {
  uint32_t firstSegment;  // its records: Transmitter::segmentRecords[firstSegment...], one entry a segment
  uint32_t segments;
  uint32_t iovecs, bytes;
  uint32_t stride;  // bytes of each segment but the last
  int32_t port, tos;
  bool full;       // nothing may follow: the last segment was shorter
  uint64_t vxlan;  // the VXLAN header of all its segments
};

struct Transmitter {
  int sockets[kMaxTxSockets];
  int socketCount;
  uint8_t segmentCap;         // what a peer starts with
  uint32_t tapGsoRefused[2];  // TCP, UDP: super-frames refused by a TAP
  uint32_t retries;           // left in this exchange

  // Queues of records per sending socket, and the bytes of each.
  int32_t queueHead[kMaxTxSockets], queueTail[kMaxTxSockets];
  uint32_t queueBytes[kMaxTxSockets];
  int32_t nextRecord[kMaxSends];

  // Messages of the sendmmsg being built.
  int messageCount;
  uint32_t iovecCount, headerBytes, segmentCount;
  Message messages[kMessages];
  int32_t segmentRecords[kMessages * kMaxSegments];
  mmsghdr headers[kMessages];
  alignas(8) uint8_t control[kMessages][kTxControlBytes];
  iovec iovecs[kSendIovecs];
  uint8_t headerPool[kHeaderPool];
  SegmentPlan plan;
};

// transmit.cc
void transmit(Io& io, int sendCount);
/** False when the record's numbers lie outside the arena or name no chain. */
bool unpack(Io& io, int32_t* record, Send& send);
/** Where the checksum's field is, or false: outside the contiguous part. All count from the Ethernet header. */
bool checksumField(const int32_t* record, uint32_t frameHead, uint32_t& start, uint32_t& field);
/** The checksum of an unfinished frame, summed from `start`; the Ethernet header is `skip` bytes behind the first byte. */
uint16_t finishedChecksum(const Send& send, uint32_t skip, uint32_t start);
void failRecord(Io& io, int32_t record, int error);

// messages.cc
/** Send the records queued for a socket. */
void sendQueue(Io& io, int socket);

// batch.cc
/** Send the messages built, settling S_DONE and S_ERROR of each record, and start anew. */
void flushMessages(Io& io, int socket);

}  // namespace vtepd
