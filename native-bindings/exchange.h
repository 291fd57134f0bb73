// One worker's io: all state behind a PortIo (src/io/port-io.ts), owned by the worker's thread.
//
// The whole of it is allocated once, in create(); exchange() allocates nothing, throws nothing and blocks only in its
// one epoll_wait. File descriptors belong to their opener; only the epoll fd is ours.
//
// The files: exchange.cc life and loop; ports.cc who is attached; transmit.cc send records to TAP writes and
// queues; messages.cc queues to messages; batch.cc messages to sendmmsg, with everything that can go wrong there; receive.cc TAPs and datagrams to
// frames.
#pragma once
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>

#include "coalesce.h"
#include "gso.h"
#include "records.h"
#include "segment.h"
#include "udp.h"

namespace vtepd {

constexpr int kDatagrams = 64;       // messages of one recvmmsg
constexpr int kMessages = 64;        // messages of one sendmmsg
constexpr int kSendIovecs = 8192;    // of all messages of one sendmmsg
constexpr int kMessageIovecs = 1024; // UIO_MAXIOV: of one message
constexpr int kHeaderPool = 512 * 1024;
constexpr uint8_t kMaxSegments = 128;  // UDP_MAX_SEGMENTS of Linux ≥ 6.9, 64 before: Io::segmentCap is what was probed
constexpr int kTapVisitFrames = 192;  // with 16 sending sockets a batch of 64 small frames makes runs of 4
constexpr int kTapVisitBytes = 512 * 1024;
// What one visit may become on the wire: twice what it may read. A guest whose segments are small (TCP with an MSS of 48 is
// more header than payload) has fewer frames in each batch, and no other sender waits longer for it.
constexpr int kTapVisitWireBytes = 2 * kTapVisitBytes;
constexpr int kControlBytes = 64;    // CMSG_SPACE(int) twice, and room

// Datagram slot: headroom, the VXLAN header right before a 64-byte boundary, the frame. 1049 (odd) cache lines.
constexpr int kSlotStride = 67136;
constexpr int kSlotDatagramAt = 2 * kHeadroom - kVxlanBytes;
constexpr int kSlotBytes = kSlotStride - kSlotDatagramAt;
static_assert(kSlotStride % 64 == 0 && (kSlotStride / 64) % 2 == 1 && kSlotBytes >= 65535);

/** What the operator allows and the kernel can. Bits of create(). */
enum Feature : uint32_t {
  FEATURE_TAP_TSO = 1,
  FEATURE_TAP_USO = 2,
  FEATURE_COALESCE = 4,
  FEATURE_UDP_GSO = 8,
  FEATURE_UDP_GRO = 16,
};

/** Why an offload was given up or a send done again: indices of Io::fallbacks, named in native.ts. */
enum Fallback {
  FALLBACK_TAP_USO_REFUSED,    // TUNSETOFFLOAD without USO
  FALLBACK_TAP_TSO_REFUSED,    // TUNSETOFFLOAD without anything
  FALLBACK_TAP_GSO_EINVAL,     // a super-frame write refused, written as segments
  FALLBACK_UDP_GSO_EIO,        // T1: GSO off for that peer
  FALLBACK_UDP_GSO_EINVAL,     // T2: segment cap halved, or GSO off for that peer
  FALLBACK_UDP_GSO_EMSGSIZE,   // T3: a path MTU event, sent as singles
  FALLBACK_UDP_GSO_REFUSED,    // the socket knows no UDP_SEGMENT
  FALLBACK_UDP_GRO_REFUSED,    // the socket knows no UDP_GRO
  FALLBACK_SEND_RETRY,         // ENOBUFS or EAGAIN, tried again
  FALLBACK_UDP_GRO_DOUBT,      // a datagram that only the kernel can cut: UDP_GRO off for a while
  kFallbacks
};

enum class PortKind : uint8_t { none, tap, peer };

struct Port {
  PortKind kind;
  uint8_t vnetBytes;      // TAP: bytes of the virtio header, 0 without
  uint8_t watched;        // TAP: in the epoll set
  uint8_t foreign;        // TAP: another process has the file too (handover.h)
  uint8_t segmentCap;     // peer: most segments of one UDP_SEGMENT send; 1: none
  int fd;                 // TAP
  int error;              // TAP: negative errno at which reading stopped, 0 while it works
  uint32_t resumeMs;      // TAP: when to try again after an error; peer: when to try GSO again
  socklen_t addressLength;
  sockaddr_in6 address;   // peer; a sockaddr_in when the underlay is IPv4
};

/** Payload slices behind the head of a received super-frame. */
struct Chain {
  const iovec* slices;
  uint32_t count, bytes;
};

/** What the ancillary data of a received datagram said. */
struct RxFacts {
  int32_t source;      // outer IPv4 source, 0 for IPv6
  uint32_t groSize;    // UDP_GRO: bytes of each VXLAN packet in it, 0: one packet
  uint16_t port;       // io port of the sender
  uint8_t tos, truncated;
  uint8_t leftOver;    // may have been joined, and came without its size
};

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
  uint32_t firstSegment;  // its records: Io::segmentRecords[firstSegment...], one entry a segment
  uint32_t segments;
  uint32_t iovecs, bytes;
  uint32_t stride;        // bytes of each segment but the last
  int32_t port, tos;
  bool full;              // nothing may follow: the last segment was shorter
  uint64_t vxlan;         // the VXLAN header of all its segments
};

struct Io {
  // Views of the JavaScript side, see native.ts.
  uint8_t* arena;
  int32_t *frames, *sends, *status;
  uint32_t arenaBytes, scratchAt, bumpAt;
  uint32_t slots;              // datagram slots at the start of the arena; then, from bumpAt, the dense part
  int epoll, udp, doorbell;
  int tx[kMaxTxSockets];
  int txCount;
  sa_family_t family;          // of the underlay
  uint32_t features, innerMtu, nowMs;
  uint8_t segmentCap;          // what a peer starts with
  uint32_t fallbacks[kFallbacks];
  uint32_t tapGsoRefused[2];   // TCP, UDP: super-frames refused by a TAP
  uint32_t groPauseMs;         // how long UDP_GRO was switched off the last time, 0: never
  uint32_t groResumeMs;        // when it is, or was, switched on again
  bool groPaused;
  bool groLeftOver;            // the socket may still hold datagrams joined before that, and no longer says how

  // The batch being received.
  int32_t frameCount;
  uint32_t bump;               // next free byte of the dense part
  uint32_t datagramBytes;
  uint32_t turn;               // rotates who is drained first
  uint32_t suspended;          // TAPs waiting for resumeMs
  uint32_t resumeCheckMs;

  // Datagrams received but not yet handed out: slots [nextSlot, filledSlots), the first from byte slotOffset on.
  uint32_t nextSlot, filledSlots, slotOffset;
  uint32_t copyBytes;          // of the dense part, promised to heads that will be copied

  // Queues of records per sending socket.
  int32_t queueHead[kMaxTxSockets], queueTail[kMaxTxSockets];
  int32_t nextRecord[kMaxSends];

  // Messages of the sendmmsg being built.
  int messageCount;
  uint32_t iovecCount, headerBytes, segmentCount;
  uint32_t retries;            // left in this exchange
  Message messages[kMessages];
  int32_t segmentRecords[kMessages * kMaxSegments];
  mmsghdr txHeaders[kMessages];
  alignas(8) uint8_t txControl[kMessages][kControlBytes];
  iovec txIovecs[kSendIovecs];
  uint8_t headerPool[kHeaderPool];

  mmsghdr rxHeaders[kDatagrams];
  iovec rxIovecs[kDatagrams];
  sockaddr_in6 rxNames[kDatagrams];
  RxFacts rxFacts[kDatagrams];
  uint8_t pieceSlot[COALESCE_MAX_FRAMES];
  alignas(8) uint8_t rxControl[kDatagrams][kControlBytes];

  epoll_event events[kMaxFrames];
  Chain chains[kMaxFrames + 1];  // 0 is "no chain"
  uint32_t chainCount;

  uint16_t peers[2 * kMaxPorts];  // hash of the address -> io port, linear probing, 0 free
  Port ports[kMaxPorts];
  SegmentPlan plan;
  Coalescer coalescer;
};

// epoll data: io port, or one of these.
constexpr uint32_t kUdpEvent = 0x10000, kDoorbellEvent = 0x10001;

struct IoRequest {
  uint8_t* arena;
  uint32_t arenaBytes, scratchAt;
  int32_t *frames, *sends, *status;
  int udp, doorbell;
  const int32_t* tx;
  int txCount;
  uint32_t innerMtu, features;
  int segmentCap;       // most segments of one UDP_SEGMENT send, 1..kMaxSegments
  uint32_t tapRefuses;  // super-frames that no TAP of this kernel takes: bit 0 TCP, bit 1 UDP
};

/** A new Io, or null and `error` (negative errno). */
Io* createIo(const IoRequest& request, int& error);
void destroyIo(Io* io);
int exchange(Io& io, int sendCount, int timeoutMs);
int gather(Io& io, int chain, int at);

// ports.cc
/** `reads`: false where another worker reads it, and this one only writes. */
int attachTap(Io& io, int port, int fd, bool reads);
int attachPeer(Io& io, int port, int at, int addressLength, int udpPort);
void detach(Io& io, int port);
/** Io port of a datagram's sender, 0 when unknown. */
int portOfSender(const Io& io, const sockaddr_in6& name);
/** Watch TAPs again whose pause after an error is over. */
void resumeTaps(Io& io);
/** Stop watching a TAP: for good (-EBADFD: deleted) or for a second. */
void suspendTap(Io& io, int port, int error);

// transmit.cc
constexpr uint32_t kTapSegmentRefusals = 3;  // so many, and no super-frame of that protocol is written any more
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

// receive.cc
void receiveTap(Io& io, int port, int frameLimit);
void receiveDatagrams(Io& io, int frameLimit);
/** Switch UDP_GRO on again when its pause is over. */
void resumeGro(Io& io);

}  // namespace vtepd
