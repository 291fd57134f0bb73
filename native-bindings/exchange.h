// One worker's io: all state behind a PortIo (src/io/port-io.ts), owned by the worker's thread.
//
// The whole of it is allocated once, in create(); exchange() allocates nothing, throws nothing and blocks only in its
// one epoll_wait. File descriptors belong to their opener; only the epoll fd is ours.
//
// It has three parts, each with a header: who is attached (ports.h, ports.cc); TAPs and datagrams to frames (receive.h,
// receive.cc); send records to TAP writes and queues (transmit.h, transmit.cc), queues to messages (messages.cc), messages to
// sendmmsg, with everything that can go wrong there (batch.cc). What they share is here; exchange.cc is its life and loop.
#pragma once
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstdint>

#include "pace.h"
#include "ports.h"
#include "receive.h"
#include "records.h"
#include "transmit.h"

namespace vtepd {

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
  FALLBACK_TAP_USO_REFUSED,   // TUNSETOFFLOAD without USO
  FALLBACK_TAP_TSO_REFUSED,   // TUNSETOFFLOAD without anything
  FALLBACK_TAP_GSO_EINVAL,    // a super-frame write refused, written as segments
  FALLBACK_UDP_GSO_EIO,       // T1: GSO off for that peer
  FALLBACK_UDP_GSO_EINVAL,    // T2: segment cap halved, or GSO off for that peer
  FALLBACK_UDP_GSO_EMSGSIZE,  // T3: a path MTU event, sent as singles
  FALLBACK_UDP_GSO_REFUSED,   // the socket knows no UDP_SEGMENT
  FALLBACK_UDP_GRO_REFUSED,   // the socket knows no UDP_GRO
  FALLBACK_SEND_RETRY,        // ENOBUFS or EAGAIN, tried again
  FALLBACK_UDP_GRO_DOUBT,     // a datagram that only the kernel can cut: UDP_GRO off for a while
  kFallbacks
};

struct Io {
  // Views of the JavaScript side, see native.ts.
  uint8_t* arena;
  uint32_t arenaBytes;
  int32_t *frames, *sends, *status;
  int epoll, udp, doorbell;
  sa_family_t family;  // of the underlay
  uint32_t features, nowMs;
  uint32_t fallbacks[kFallbacks];
  uint32_t turn;  // rotates who is drained first
  epoll_event events[kMaxFrames];

  Receiver rx;
  Transmitter tx;
  Ports ports;
  Pace pace;
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

}  // namespace vtepd
