// Messages to sendmmsg, and what to do when it refuses.
//
// sendmmsg stops at the first entry that fails and returns the count before it; the errno comes only with the next
// call (datapath T7). So an error is always the error of the entry now in front: that entry alone is dealt with, and
// the rest goes on. What an error means:
//   ENOBUFS, EAGAIN, ENOMEM  a queue is full now: up to 3 more tries, out of a budget for the whole exchange, so that a
//                            stuck device costs a batch a few calls and not thousands; then the entry is lost
//   EIO with UDP_SEGMENT     the egress device or an xfrm policy cannot do it (T1): singles, and none for 10 minutes
//   EINVAL with UDP_SEGMENT  too many segments for this kernel or driver (T2): singles; if they succeed, half the cap
//   EMSGSIZE with UDP_SEGMENT a path MTU event (T3), not a fault of segmentation: singles tell which are too long
//   anything else            this entry's own trouble (no route, EPERM, EMSGSIZE): its records carry the errno
// A send with UDP_SEGMENT is all or nothing, so sending again as singles sends every datagram exactly once.
// A message of one segment carries no UDP_SEGMENT (T3: even a single one fails where the route is narrow).
#include <linux/udp.h>
#include <netinet/in.h>
#include <cerrno>
#include <cstring>

#include "exchange.h"

namespace vtepd {

namespace {

constexpr uint32_t kGsoPauseMs = 600'000;
constexpr int kTries = 3;

bool transient(int error) { return error == ENOBUFS || error == EAGAIN || error == ENOMEM; }

void settleSegment(Io& io, int32_t record, int error) {
  int32_t* words = io.sends + record * kSendWords;
  if (error != 0) failRecord(io, record, error);
  else if ((words[S_FLAGS] & GSO_MASK) == GSO_NONE) words[S_DONE] = words[S_UNITS];
  else if (words[S_DONE] < words[S_UNITS]) words[S_DONE]++;
}

void settleMessage(Io& io, const Message& message, int error) {
  const int32_t* records = io.tx.segmentRecords + message.firstSegment;
  for (uint32_t i = 0; i < message.segments; i++) settleSegment(io, records[i], error);
}

int sendOne(Io& io, int socket, const msghdr& header) {
  for (int tries = 0;;) {
    if (sendmsg(io.tx.sockets[socket], &header, MSG_DONTWAIT) >= 0) return 0;
    int error = errno;
    if (error == EINTR) continue;
    if (!transient(error) || tries == kTries || io.tx.retries == 0) return -error;
    tries++;
    io.tx.retries--;
    io.fallbacks[FALLBACK_SEND_RETRY]++;
  }
}

void putControl(msghdr& header, int level, int type, const void* value, size_t bytes) {
  auto* slot = reinterpret_cast<cmsghdr*>(static_cast<uint8_t*>(header.msg_control) + header.msg_controllen);
  slot->cmsg_level = level;
  slot->cmsg_type = type;
  slot->cmsg_len = CMSG_LEN(bytes);
  memcpy(CMSG_DATA(slot), value, bytes);
  header.msg_controllen += CMSG_SPACE(bytes);
}

void putTos(const Io& io, msghdr& header, int tos) {
  if (tos == 0) return;
  bool v4 = io.family == AF_INET;
  putControl(header, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TOS : IPV6_TCLASS, &tos, sizeof tos);
}

/** The segments of a refused message, one by one. Returns how many left. */
int sendSingles(Io& io, int socket, const Message& message, const msghdr& whole) {
  alignas(8) uint8_t control[kTxControlBytes];
  msghdr single = whole;
  single.msg_control = control;
  single.msg_controllen = 0;
  putTos(io, single, message.tos);
  const int32_t* records = io.tx.segmentRecords + message.firstSegment;
  size_t at = 0;
  int sent = 0;
  for (uint32_t i = 0; i < message.segments; i++) {
    // Every segment starts an iovec and all but the last are `stride` bytes long.
    size_t end = at, bytes = 0;
    while (end < whole.msg_iovlen && bytes < message.stride) bytes += whole.msg_iov[end++].iov_len;
    single.msg_iov = whole.msg_iov + at;
    single.msg_iovlen = end - at;
    int error = sendOne(io, socket, single);
    settleSegment(io, records[i], error);
    sent += error == 0;
    at = end;
  }
  return sent;
}

void prepare(Io& io, int index) {
  const Message& message = io.tx.messages[index];
  Port& peer = io.ports.at[message.port];
  msghdr& header = io.tx.headers[index].msg_hdr;
  header.msg_name = &peer.address;
  header.msg_namelen = peer.addressLength;
  header.msg_iovlen = message.iovecs;
  header.msg_control = io.tx.control[index];
  header.msg_controllen = 0;
  header.msg_flags = 0;
  putTos(io, header, message.tos);
  if (message.segments > 1) {
    uint16_t stride = static_cast<uint16_t>(message.stride);
    putControl(header, IPPROTO_UDP, UDP_SEGMENT, &stride, sizeof stride);
  }
  if (header.msg_controllen == 0) header.msg_control = nullptr;
}

void handleRefusal(Io& io, int socket, const Message& message, const msghdr& header, int error) {
  // What was full may be refused for another reason once it is not: that is the answer to deal with.
  if (transient(error)) error = -sendOne(io, socket, header);
  if (message.segments == 1 || (error != EIO && error != EINVAL && error != EMSGSIZE)) {
    return settleMessage(io, message, -error);
  }
  Port& peer = io.ports.at[message.port];
  int sent = sendSingles(io, socket, message, header);
  if (error == EMSGSIZE) {
    io.fallbacks[FALLBACK_UDP_GSO_EMSGSIZE]++;
  } else if (error == EIO) {
    io.fallbacks[FALLBACK_UDP_GSO_EIO]++;
    peer.segmentCap = 1;
  } else if (sent > 0) {
    io.fallbacks[FALLBACK_UDP_GSO_EINVAL]++;
    uint32_t half = message.segments / 2;
    if (half < peer.segmentCap) peer.segmentCap = static_cast<uint8_t>(half < 2 ? 1 : half);
  }
  if (error != EMSGSIZE) peer.resumeMs = io.nowMs + kGsoPauseMs;
}

}  // namespace

void flushMessages(Io& io, int socket) {
  for (int i = 0; i < io.tx.messageCount; i++) prepare(io, i);
  int at = 0;
  while (at < io.tx.messageCount) {
    int sent = sendmmsg(io.tx.sockets[socket], io.tx.headers + at, static_cast<unsigned>(io.tx.messageCount - at),
                        MSG_DONTWAIT);
    if (sent <= 0) {
      int error = sent < 0 ? errno : EAGAIN;  // no kernel answers 0; a loop must not depend on it
      if (error == EINTR) continue;
      handleRefusal(io, socket, io.tx.messages[at], io.tx.headers[at].msg_hdr, error);
      at++;
      continue;
    }
    for (int i = 0; i < sent; i++) settleMessage(io, io.tx.messages[at + i], 0);
    at += sent;
  }
  io.tx.messageCount = 0;
  io.tx.iovecCount = 0;
  io.tx.headerBytes = 0;
  io.tx.segmentCount = 0;
}

}  // namespace vtepd
