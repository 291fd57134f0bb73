// A socket's queue of records to messages: as many datagrams as possible in each.
//
// With UDP_SEGMENT one message carries many datagrams to one peer, all of one length but for a shorter last one. So a
// message stays open: the segments of a super-frame, of the next super-frame, and ordinary frames all go on in it as
// long as peer, TOS and length agree. A full 64 KB TSO frame grows by its segments' headers beyond what one send may
// carry (65507 bytes of UDP over IPv4, datapath T3), so without joining every one of them would cost two sends.
// Each segment remembers its record, whatever mixture a message is; batch.cc settles by that.
//
// A message carries one VNI. It may reach its peer in one piece, over virtual links, and a receiver must not cut what differs
// in more than its payload: a tenant's super-frame looks the same (gso.h).
//
// iovecs point at the arena, at slices, and at the header pool, where the cut headers and finished checksums lie until
// the flush. A message's iovecs are contiguous: only the newest message is open.
#include <cerrno>
#include <cstring>

#include "exchange.h"

namespace vtepd {

namespace {

uint32_t mostBytes(const Io& io) { return io.family == AF_INET ? 65507 : 65527; }

/** Most segments in one message to this peer now; a cap lowered by a refusal is lifted when its time is over. */
uint32_t segmentLimit(Io& io, Port& peer) {
  if (!(io.features & FEATURE_UDP_GSO)) return 1;
  if (peer.segmentCap < io.tx.segmentCap && static_cast<int32_t>(io.nowMs - peer.resumeMs) >= 0) {
    peer.segmentCap = io.tx.segmentCap;
  }
  return peer.segmentCap;
}

uint64_t vxlanOf(const Send& send) {
  uint64_t header;
  memcpy(&header, send.at, sizeof header);
  return header;
}

/** The open message if `length` more bytes of this record may go on in it, else null. */
Message* openMessage(Io& io, const Send& send, uint32_t length, uint32_t limit) {
  if (io.tx.messageCount == 0) return nullptr;
  Message& open = io.tx.messages[io.tx.messageCount - 1];
  const int32_t* record = send.record;
  bool fits = !open.full && open.port == record[S_PORT] && open.tos == (record[S_TOS] & 0xff) &&
              open.segments < limit && length <= open.stride && open.bytes + length <= mostBytes(io) &&
              open.iovecs + 3 <= kMessageIovecs && open.vxlan == vxlanOf(send);
  return fits ? &open : nullptr;
}

Message& newMessage(Io& io, int socket, const Send& send, uint32_t stride) {
  if (io.tx.messageCount == kMessages || kSendIovecs - io.tx.iovecCount < kMessageIovecs ||
      kHeaderPool - io.tx.headerBytes < SEGMENT_HEADERS_BYTES) {
    flushMessages(io, socket);
  }
  int at = io.tx.messageCount++;
  const int32_t* record = send.record;
  io.tx.messages[at] = {io.tx.segmentCount, 0, 0, 0, stride, record[S_PORT], record[S_TOS] & 0xff, false,
                        vxlanOf(send)};
  io.tx.headers[at].msg_hdr.msg_iov = io.tx.iovecs + io.tx.iovecCount;
  return io.tx.messages[at];
}

void append(Io& io, Message& message, int32_t index, uint32_t segments, uint32_t iovecs, uint32_t bytes) {
  for (uint32_t i = 0; i < segments; i++) io.tx.segmentRecords[io.tx.segmentCount++] = index;
  message.segments += segments;
  message.iovecs += iovecs;
  message.bytes += bytes;
  message.full = bytes < segments * message.stride;
  io.tx.iovecCount += iovecs;
}

void addSuperFrame(Io& io, int socket, const Send& send, int32_t index, uint32_t limit) {
  const int32_t* record = send.record;
  SegmentPlan& plan = io.tx.plan;
  int rc = segmentPlan(&plan, send.at + kVxlanBytes, send.head - kVxlanBytes, send.length - kVxlanBytes, send.slices,
                       send.sliceCount, static_cast<uint8_t>(send.flags & GSO_MASK), (send.flags & FLAG_GSO_ECN) != 0,
                       static_cast<uint32_t>(record[S_GSO_SIZE]), send.at, kVxlanBytes);
  if (rc != 0) return failRecord(io, index, -EINVAL);
  uint32_t payload = plan.payload < plan.gso.size ? plan.payload : plan.gso.size;
  uint32_t stride = kVxlanBytes + plan.gso.header + payload;
  bool fresh = false;
  while (plan.next < plan.gso.units) {
    Message* open = openMessage(io, send, stride, limit);
    // Something shorter may end a message, but what comes here may be many of that length.
    if (open != nullptr && open->stride != stride && plan.gso.units - plan.next > 1) open = nullptr;
    fresh = open == nullptr;
    if (fresh) open = &newMessage(io, socket, send, stride);
    SegmentCut cut = segmentCut(&plan, io.tx.headerPool + io.tx.headerBytes, kHeaderPool - io.tx.headerBytes,
                                io.tx.iovecs + io.tx.iovecCount, kMessageIovecs - open->iovecs, limit - open->segments,
                                mostBytes(io) - open->bytes);
    if (cut.segments == 0) {
      if (!fresh) {
        open->full = true;
        continue;
      }
      io.tx.messageCount--;
      return failRecord(io, index, -EMSGSIZE);
    }
    io.tx.headerBytes += cut.segments * (plan.gso.header + kVxlanBytes);
    append(io, *open, index, cut.segments, cut.iovecs, cut.bytes);
  }
}

void addFrame(Io& io, int socket, const Send& send, int32_t index, uint32_t limit) {
  const int32_t* record = send.record;
  uint32_t start = 0, field = 0;
  bool finish = (send.flags & FLAG_NEEDS_CSUM) != 0;
  if (finish && !checksumField(record, send.head - kVxlanBytes, start, field)) return failRecord(io, index, -EINVAL);
  if (send.sliceCount + 3 > kMessageIovecs) return failRecord(io, index, -EINVAL);
  Message* open = send.sliceCount == 0 ? openMessage(io, send, send.length, limit) : nullptr;
  if (open == nullptr) open = &newMessage(io, socket, send, send.length);
  iovec* iov = io.tx.iovecs + io.tx.iovecCount;
  uint32_t count = 0;
  if (finish) {
    uint16_t finished = finishedChecksum(send, kVxlanBytes, start);
    uint8_t* copy = io.tx.headerPool + io.tx.headerBytes;
    memcpy(copy, &finished, 2);
    io.tx.headerBytes += 2;
    field += kVxlanBytes;
    iov[count++] = {send.at, field};
    iov[count++] = {copy, 2};
    if (send.head > field + 2) iov[count++] = {send.at + field + 2, send.head - field - 2};
  } else {
    iov[count++] = {send.at, send.head};
  }
  if (send.sliceCount > 0) memcpy(iov + count, send.slices, send.sliceCount * sizeof(iovec));
  append(io, *open, index, 1, count + send.sliceCount, send.length);
}

}  // namespace

void sendQueue(Io& io, int socket) {
  for (int32_t index = io.tx.queueHead[socket]; index >= 0; index = io.tx.nextRecord[index]) {
    int32_t* record = io.sends + index * kSendWords;
    uint32_t limit = segmentLimit(io, io.ports.at[record[S_PORT]]);
    Send send;
    unpack(io, record, send);
    if ((send.flags & GSO_MASK) == GSO_NONE) addFrame(io, socket, send, index, limit);
    else addSuperFrame(io, socket, send, index, limit);
  }
  flushMessages(io, socket);
}

}  // namespace vtepd
