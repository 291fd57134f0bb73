// The receiving half of a worker's io: slots for datagrams, the dense part for TAP frames, and the batch made of them.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>

#include "coalesce.h"
#include "records.h"

namespace vtepd {

struct Io;

constexpr int kDatagrams = 64;  // messages of one recvmmsg
// While the queue is long a batch is long: a send costs about the same whatever it carries, and a batch makes one for each
// sending socket. 192 frames over 16 of them were sends of 12.
constexpr int kTapVisitFrames = 768;
constexpr int kTapVisitBytes = 512 * 1024;
// What one visit may become on the wire: twice what it may read. A guest whose segments are small (TCP with an MSS of 48 is
// more header than payload) has fewer frames in each batch, and no other sender waits longer for it.
constexpr int kTapVisitWireBytes = 2 * kTapVisitBytes;

// Ancillary data of a datagram received: its TOS (a byte of IPv4, an int of IPv6) and UDP_GRO's size, an int.
constexpr int kRxControlBytes = 64;
static_assert(kRxControlBytes >= 2 * CMSG_SPACE(sizeof(int)), "or MSG_CTRUNC would cost every datagram");
static_assert(kRxControlBytes % alignof(cmsghdr) == 0, "they lie in one array");

// Datagram slot: headroom, the VXLAN header right before a 64-byte boundary, the frame. 1049 (odd) cache lines.
constexpr int kSlotStride = 67136;
constexpr int kSlotDatagramAt = 2 * kHeadroom - kVxlanBytes;
constexpr int kSlotBytes = kSlotStride - kSlotDatagramAt;
static_assert(kSlotStride % 64 == 0 && (kSlotStride / 64) % 2 == 1 && kSlotBytes >= 65535);

/** Payload slices behind the head of a received super-frame. */
struct Chain {
  const iovec* slices;
  uint32_t count, bytes;
};

/** What the ancillary data of a received datagram said. */
struct RxFacts {
  int32_t source;    // outer IPv4 source, 0 for IPv6
  uint32_t groSize;  // UDP_GRO: bytes of each VXLAN packet in it, 0: one packet
  uint16_t port;     // io port of the sender
  uint8_t tos, truncated;
  uint8_t leftOver;  // may have been joined, and came without its size
};

struct Receiver {
  uint32_t slots;  // datagram slots at the start of the arena; then, from bumpAt to scratchAt, the dense part
  uint32_t bumpAt, scratchAt;
  uint32_t innerMtu;
  uint32_t groPauseMs;   // how long UDP_GRO was switched off the last time, 0: never
  uint32_t groResumeMs;  // when it is, or was, switched on again
  bool groPaused;
  bool groLeftOver;  // the socket may still hold datagrams joined before that, and no longer says how

  // The batch being received.
  int32_t frameCount;
  uint32_t bump;  // next free byte of the dense part
  uint32_t datagramBytes;
  uint32_t copyBytes;  // of the dense part, promised to heads that will be copied

  // Datagrams received but not yet handed out: slots [nextSlot, filledSlots), the first from byte slotOffset on.
  uint32_t nextSlot, filledSlots, slotOffset;

  mmsghdr headers[kDatagrams];
  iovec iovecs[kDatagrams];
  sockaddr_in6 names[kDatagrams];
  RxFacts facts[kDatagrams];
  uint8_t pieceSlot[COALESCE_MAX_FRAMES];
  alignas(8) uint8_t control[kDatagrams][kRxControlBytes];

  Chain chains[kMaxFrames + 1];  // 0 is "no chain"
  uint32_t chainCount;
  Coalescer coalescer;
};

void receiveTap(Io& io, int port, int frameLimit);
void receiveDatagrams(Io& io, int frameLimit);
/** Switch UDP_GRO on again when its pause is over. */
void resumeGro(Io& io);

}  // namespace vtepd
