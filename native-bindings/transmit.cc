// Send records to writes: a TAP takes each at once; records for tunnels are sorted by sending socket first, and
// messages.cc makes datagrams of them, the shortest queue first.
//
// The order of records is kept where it matters, within a flow: a flow leaves by one TAP, or by one socket, and each
// of these sees its records in order. Bytes of the arena are never changed here, because the same bytes may be named
// by other records (a flood): an unfinished checksum is finished in a copy of its two bytes, which one more iovec puts
// in their place.
//
// A record is checked before it is believed: the data plane is ours, but the numbers in it came from a guest's virtio
// header or a peer's datagram.
#include <unistd.h>
#include <cerrno>
#include <cstring>

#include "checksum.h"
#include "exchange.h"
#include "handover.h"

namespace vtepd {

namespace {

/** The end of the IP packet, counted from the Ethernet header: padding behind it is not summed. */
uint32_t endOfPacket(const Send& send, uint32_t skip) {
  Layers layers;
  layersParse(send.at + skip, send.head - skip, send.length - skip, &layers);
  return layers.version != 0 ? layers.end : send.length - skip;
}

}  // namespace

bool unpack(Io& io, int32_t* record, Send& send) {
  uint32_t at = static_cast<uint32_t>(record[S_AT]), length = static_cast<uint32_t>(record[S_LENGTH]);
  uint32_t chain = static_cast<uint32_t>(record[S_CHAIN]);
  if (chain > io.rx.chainCount) return false;
  const Chain& slices = io.rx.chains[chain];
  if (slices.bytes >= length) return false;
  uint32_t head = length - slices.bytes;
  if (length > kMaxFrameBytes + kVxlanBytes || at > io.arenaBytes || head > io.arenaBytes - at) return false;
  send = {record, io.arena + at, head, length, slices.slices, slices.count, record[S_FLAGS]};
  return true;
}

uint16_t finishedChecksum(const Send& send, uint32_t skip, uint32_t start) {
  uint32_t end = endOfPacket(send, skip);
  const uint8_t* frame = send.at + skip;
  uint32_t head = send.head - skip;
  uint32_t bytes = end - start;
  uint32_t first = head - start < bytes ? head - start : bytes;
  uint64_t sum = checksumAdd(frame + start, first, 0);
  uint32_t done = first;
  for (uint32_t i = 0; i < send.sliceCount && done < bytes; i++) {
    uint32_t part = static_cast<uint32_t>(send.slices[i].iov_len);
    if (part > bytes - done) part = bytes - done;
    uint64_t partial = checksumAdd(send.slices[i].iov_base, part, 0);
    sum = checksumJoin(sum, done & 1 ? checksumOdd(partial) : partial);
    done += part;
  }
  uint16_t result = static_cast<uint16_t>(~checksumFold(sum));
  return result == 0 ? 0xffff : result;
}

bool checksumField(const int32_t* record, uint32_t frameHead, uint32_t& start, uint32_t& field) {
  start = static_cast<uint32_t>(record[S_CSUM_START]);
  field = static_cast<uint32_t>(record[S_CSUM_OFFSET]);
  return start >= 14 && start < frameHead && field >= start && field + 2 <= frameHead;
}

namespace {

void settle(Io& io, int32_t* record, int error) {
  if (error == 0) {
    record[S_DONE] = record[S_UNITS];
  } else {
    record[S_ERROR] = error;
    io.status[STATUS_FAILED]++;
  }
}

int writeTap(const Port& tap, const iovec* iov, int count) {
  for (;;) {
    ssize_t written = tap.foreign ? writeForeign(tap.fd, iov, count) : writev(tap.fd, iov, count);
    if (written >= 0) return 0;
    if (errno != EINTR) return -errno;
  }
}

/**
 * A frame that lies in one piece: its virtio header is written right before it, so that one plain write takes both. Those
 * bytes may be another record's (the VXLAN header of a copy that leaves by a tunnel), so they are put back.
 */
int writeWhole(const Port& tap, const Send& send, const uint8_t* vnet) {
  uint8_t* start = send.at - tap.vnetBytes;
  uint8_t saved[12];
  memcpy(saved, start, tap.vnetBytes);
  memcpy(start, vnet, tap.vnetBytes);
  ssize_t written;
  iovec whole{start, tap.vnetBytes + static_cast<size_t>(send.head)};
  do written = tap.foreign ? writeForeign(tap.fd, &whole, 1) : write(tap.fd, whole.iov_base, whole.iov_len);
  while (written < 0 && errno == EINTR);
  int error = written < 0 ? -errno : 0;
  memcpy(start, saved, tap.vnetBytes);
  return error;
}

/** A super-frame for a TAP that does not take it: written as the packets it stands for. */
void writeSegments(Io& io, const Port& tap, const Send& send) {
  int32_t* record = send.record;
  int rc = segmentPlan(&io.tx.plan, send.at, send.head, send.length, send.slices, send.sliceCount,
                       static_cast<uint8_t>(send.flags & GSO_MASK), (send.flags & FLAG_GSO_ECN) != 0,
                       static_cast<uint32_t>(record[S_GSO_SIZE]), nullptr, 0);
  if (rc != 0) return settle(io, record, -EINVAL);
  static const uint8_t plain[12] = {};
  while (io.tx.plan.next < io.tx.plan.gso.units) {
    iovec* iov = io.tx.iovecs;
    iov[0] = {const_cast<uint8_t*>(plain), tap.vnetBytes};
    SegmentCut cut = segmentCut(&io.tx.plan, io.tx.headerPool, kHeaderPool, iov + 1, kMessageIovecs - 1, 1, 65535);
    int error = cut.segments == 0 ? -EMSGSIZE : writeTap(tap, iov, static_cast<int>(cut.iovecs) + 1);
    if (error != 0) return settle(io, record, error);
    if (record[S_DONE] < record[S_UNITS]) record[S_DONE]++;
  }
  record[S_DONE] = record[S_UNITS];
}

void sendToTap(Io& io, const Port& tap, const Send& send) {
  int32_t* record = send.record;
  int32_t type = send.flags & GSO_MASK;
  int protocol = type == GSO_UDP_L4 ? 1 : 0;
  if (type != GSO_NONE && (tap.vnetBytes == 0 || io.tx.tapGsoRefused[protocol] >= kTapSegmentRefusals)) {
    return writeSegments(io, tap, send);
  }
  iovec* iov = io.tx.iovecs;
  alignas(8) uint8_t vnet[12] = {};
  uint16_t finished;
  int count = 0;
  if (tap.vnetBytes != 0) iov[count++] = {vnet, tap.vnetBytes};
  if (type != GSO_NONE) {
    Gso gso;
    Layers layers;
    uint32_t size = static_cast<uint32_t>(record[S_GSO_SIZE]);
    if (gsoCheck(static_cast<uint8_t>(type), (send.flags & FLAG_GSO_ECN) != 0, size, send.at, send.head, send.length,
                 &gso, &layers) != 0) {
      return settle(io, record, -EINVAL);
    }
    gsoToVnet(&gso, reinterpret_cast<VnetHeader*>(vnet));
    iov[count++] = {send.at, send.head};
  } else if (send.flags & FLAG_NEEDS_CSUM) {
    uint32_t start, field;
    if (!checksumField(record, send.head, start, field)) return settle(io, record, -EINVAL);
    if (tap.vnetBytes != 0) {
      Gso gso{};
      gso.needsCsum = 1;
      gso.csumStart = static_cast<uint16_t>(start);
      gso.csumOffset = static_cast<uint16_t>(field - start);
      gsoToVnet(&gso, reinterpret_cast<VnetHeader*>(vnet));
      iov[count++] = {send.at, send.head};
    } else {
      finished = finishedChecksum(send, 0, start);
      iov[count++] = {send.at, field};
      iov[count++] = {&finished, 2};
      iov[count++] = {send.at + field + 2, send.head - field - 2};
    }
  } else {
    iov[count++] = {send.at, send.head};
  }
  if (send.sliceCount > static_cast<uint32_t>(kMessageIovecs - count)) return settle(io, record, -EINVAL);
  if (send.sliceCount > 0) memcpy(iov + count, send.slices, send.sliceCount * sizeof(iovec));
  bool isWhole = send.sliceCount == 0 && iov[count - 1].iov_base == send.at && send.at - io.arena >= tap.vnetBytes;
  int error = isWhole ? writeWhole(tap, send, vnet) : writeTap(tap, iov, count + static_cast<int>(send.sliceCount));
  if (error == -EINVAL && type != GSO_NONE) {
    // Kernels with a broken virtio_net_hdr check (T15), or without USO, refuse what they declared.
    io.fallbacks[FALLBACK_TAP_GSO_EINVAL]++;
    // Who shares a TAP with us can make it refuse anything: that must not cost the others their super-frames.
    if (!tap.foreign) io.tx.tapGsoRefused[protocol]++;
    return writeSegments(io, tap, send);
  }
  settle(io, record, error);
}

}  // namespace

void failRecord(Io& io, int32_t record, int error) {
  int32_t* words = io.sends + record * kSendWords;
  if (words[S_ERROR] == 0) io.status[STATUS_FAILED]++;
  words[S_ERROR] = error;
}

void transmit(Io& io, int sendCount) {
  io.status[STATUS_FAILED] = 0;
  if (sendCount <= 0) return;
  if (sendCount > kMaxSends) sendCount = kMaxSends;
  for (int socket = 0; socket < io.tx.socketCount; socket++) io.tx.queueHead[socket] = -1;
  for (int32_t i = 0; i < sendCount; i++) {
    int32_t* record = io.sends + i * kSendWords;
    record[S_DONE] = record[S_ERROR] = 0;
    uint32_t number = static_cast<uint32_t>(record[S_PORT]);
    Send send;
    if (number >= kMaxPorts || io.ports.at[number].kind == PortKind::none) {
      settle(io, record, -ENODEV);
    } else if (!unpack(io, record, send)) {
      settle(io, record, -EINVAL);
    } else if (io.ports.at[number].kind == PortKind::tap) {
      sendToTap(io, io.ports.at[number], send);
    } else if (send.head <= kVxlanBytes || io.tx.socketCount == 0) {
      settle(io, record, -EINVAL);
    } else {
      int socket =
          static_cast<int>(static_cast<uint32_t>(record[S_ENTROPY]) % static_cast<uint32_t>(io.tx.socketCount));
      io.tx.nextRecord[i] = -1;
      if (io.tx.queueHead[socket] < 0) {
        io.tx.queueHead[socket] = i;
        io.tx.queueBytes[socket] = 0;
      } else {
        io.tx.nextRecord[io.tx.queueTail[socket]] = i;
      }
      io.tx.queueTail[socket] = i;
      io.tx.queueBytes[socket] += send.length;
    }
  }
  io.tx.retries = 32;
  // The lone packet of a quiet flow does not wait for the segments of a bulk transfer.
  for (;;) {
    int next = -1;
    for (int socket = 0; socket < io.tx.socketCount; socket++) {
      if (io.tx.queueHead[socket] < 0) continue;
      if (next < 0 || io.tx.queueBytes[socket] < io.tx.queueBytes[next]) next = socket;
    }
    if (next < 0) return;
    sendQueue(io, next);
    io.tx.queueHead[next] = -1;
  }
}

}  // namespace vtepd
