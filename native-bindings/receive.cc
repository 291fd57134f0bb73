// TAPs and datagrams to frames.
//
// A TAP is read frame by frame (there is no batch interface), each right behind the one before, with headroom between
// and 64-byte alignment: small frames pack densely, a super-frame takes what it needs.
//
// Datagrams come by one recvmmsg into slots of the arena, each large enough for 64 KB, because a kernel VXLAN peer over
// veth and UDP_GRO both deliver super-frames (datapath T11). Nearly every frame is then forwarded from where the
// kernel put it: scattering into [small buffer | overflow] would pack denser, but cost a second iovec per message and a
// copy at the seam. What the next steps need, and what is copied:
//   - one VXLAN packet, or a whole inner super-frame (R1, R2): nothing
//   - a UDP_GRO buffer is cut at its segment size into VXLAN packets, if all of them are of one VNI (gso.h); those of one
//     flow are joined to an inner super-frame (coalesce.h) whose payload stays in place. A head or a lone packet from the
//     middle of the buffer is copied, because the packet before it fills what must be its headroom.
//   - a buffer of two VNIs, or one whose size is that of a tenant's segments and contradicts its frame: only the kernel
//     can tell these two apart, so it is dropped and UDP_GRO switched off for a while. Without it the kernel hands over
//     packets, whatever they were; coalescing goes on. Honest traffic gets there when a wire's kernel joins datagrams of two
//     VNIs; it loses that once. The pause doubles from a second to ten minutes while doubts come back.
//   - a datagram of a sender we do not know: one frame, unread. It has no say in what is joined, and costs no checksum.
// A batch ends at MAX_FRAMES; what is left of the slots waits there for the next exchange, before anything new is read.
#include <linux/udp.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

#include "exchange.h"
#include "handover.h"

namespace vtepd {

namespace {

constexpr uint32_t kMinEthernet = 14;

uint32_t align64(uint32_t at) { return (at + 63) & ~63u; }

bool roomFor(const Io& io, uint32_t bytes) { return io.rx.bump + kHeadroom + bytes <= io.rx.scratchAt; }

int32_t* newFrame(Io& io, uint32_t at, uint32_t length, int source) {
  int32_t* frame = io.frames + io.rx.frameCount++ * kFrameWords;
  frame[F_AT] = static_cast<int32_t>(at);
  frame[F_LENGTH] = frame[F_HEAD] = static_cast<int32_t>(length);
  frame[F_SOURCE] = source;
  frame[F_UNITS] = 1;
  frame[F_FLAGS] = frame[F_GSO_SIZE] = frame[F_OUTER_SOURCE] = frame[F_OUTER_TOS] = 0;
  frame[F_CSUM_START] = frame[F_CSUM_OFFSET] = frame[F_CHAIN] = 0;
  return frame;
}

void describe(int32_t* frame, const Gso& gso) {
  frame[F_FLAGS] |= gso.type | (gso.needsCsum ? FLAG_NEEDS_CSUM : 0) | (gso.ecn ? FLAG_GSO_ECN : 0);
  frame[F_GSO_SIZE] = gso.size;
  frame[F_UNITS] = gso.units;
  if (gso.needsCsum) {
    frame[F_CSUM_START] = gso.csumStart;
    frame[F_CSUM_OFFSET] = gso.csumStart + gso.csumOffset;
  }
}

// ---- datagrams -------------------------------------------------------------------------------------------------

constexpr uint32_t kGroPauseMs = 1000, kLongestGroPauseMs = 600'000;

uint32_t slotAt(uint32_t slot) { return slot * kSlotStride + kSlotDatagramAt; }

bool setGro(Io& io, int on) { return setsockopt(io.udp, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0; }

/** From now on the kernel cuts. What the socket holds already has lost its sizes: see groLeftOver. */
void pauseGro(Io& io) {
  if (io.rx.groPaused || !(io.features & FEATURE_UDP_GRO)) return;
  bool again = io.rx.groPauseMs != 0 && io.nowMs - io.rx.groResumeMs < kLongestGroPauseMs;
  io.rx.groPauseMs = !again                                      ? kGroPauseMs
                     : io.rx.groPauseMs * 2 < kLongestGroPauseMs ? io.rx.groPauseMs * 2
                                                                 : kLongestGroPauseMs;
  io.rx.groResumeMs = io.nowMs + io.rx.groPauseMs;
  io.rx.groPaused = setGro(io, 0);
  uint8_t any;
  io.rx.groLeftOver = recv(io.udp, &any, sizeof any, MSG_PEEK | MSG_DONTWAIT) >= 0;
  io.features &= ~static_cast<uint32_t>(FEATURE_UDP_GRO);
  io.fallbacks[FALLBACK_UDP_GRO_DOUBT]++;
}

void readControl(Io& io, uint32_t slot) {
  msghdr& header = io.rx.headers[slot].msg_hdr;
  RxFacts& facts = io.rx.facts[slot];
  facts.tos = 0;
  facts.groSize = 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      facts.tos = *CMSG_DATA(c);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      int value;
      memcpy(&value, CMSG_DATA(c), sizeof value);
      facts.tos = static_cast<uint8_t>(value);
    } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
      int value;  // an int on receive, though a u16 on send (T10)
      memcpy(&value, CMSG_DATA(c), sizeof value);
      facts.groSize = value > 0 ? static_cast<uint32_t>(value) : 0;
    }
  }
  const sockaddr_in6& name = io.rx.names[slot];
  facts.port = static_cast<uint16_t>(portOfSender(io, name));
  facts.source = 0;
  if (io.family == AF_INET) {
    facts.source = static_cast<int32_t>(ntohl(reinterpret_cast<const sockaddr_in&>(name).sin_addr.s_addr));
  }
  // Without its ancillary data a datagram cannot be told from another.
  facts.truncated = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
}

void prepareSlot(Io& io, uint32_t slot) {
  msghdr& header = io.rx.headers[slot].msg_hdr;
  header.msg_namelen = sizeof(sockaddr_in6);
  header.msg_controllen = kRxControlBytes;
  header.msg_flags = 0;
}

bool fillSlots(Io& io) {
  // Only what the last call has written: a lone datagram after a pause should not touch the cold headers of 64.
  for (uint32_t slot = 0; slot < io.rx.filledSlots; slot++) prepareSlot(io, slot);
  int got;
  do got = recvmmsg(io.udp, io.rx.headers, io.rx.slots, MSG_DONTWAIT, nullptr);
  while (got < 0 && errno == EINTR);
  io.rx.nextSlot = io.rx.slotOffset = 0;
  io.rx.filledSlots = got > 0 ? static_cast<uint32_t>(got) : 0;
  for (uint32_t slot = 0; slot < io.rx.filledSlots; slot++) {
    readControl(io, slot);
    io.rx.facts[slot].leftOver = io.rx.groLeftOver;
    io.rx.datagramBytes += io.rx.headers[slot].msg_len;
  }
  // The socket is empty: what comes later comes as packets.
  if (io.rx.filledSlots < io.rx.slots) io.rx.groLeftOver = false;
  return io.rx.filledSlots > 0;
}

int32_t* newDatagramFrame(Io& io, const RxFacts& facts, uint32_t at, uint32_t length) {
  int32_t* frame = newFrame(io, at, length, facts.port);
  frame[F_OUTER_SOURCE] = facts.source;
  frame[F_OUTER_TOS] = facts.tos;
  return frame;
}

/** The bytes at `at` with HEADROOM free bytes before them: in place if they are the start of their slot. */
uint32_t withHeadroom(Io& io, uint32_t slot, uint32_t at, uint32_t length) {
  if (at == slotAt(slot)) return at;
  uint32_t copy = io.rx.bump + 2 * kHeadroom - kVxlanBytes;
  memcpy(io.arena + copy, io.arena + at, length);
  io.rx.bump = align64(copy + length);
  return copy;
}

/** Everything outside the inner frame that a later decision may read. */
uint64_t mergeKey(const RxFacts& facts, const uint8_t* vxlan) {
  uint64_t vni = uint64_t{vxlan[4]} << 16 | uint64_t{vxlan[5]} << 8 | vxlan[6];
  uint64_t reserved = (vxlan[1] | vxlan[2] | vxlan[3] | vxlan[7]) != 0;
  return reserved << 52 | uint64_t{facts.port} << 40 | vni << 16 | uint64_t{vxlan[0]} << 8 | facts.tos;
}

/** One VXLAN packet into the batch. False: no room in this batch. */
bool addPacket(Io& io, uint32_t slot, uint32_t at, uint32_t length, const Gso* gso, int32_t limit) {
  Coalescer& joiner = io.rx.coalescer;
  const RxFacts& facts = io.rx.facts[slot];
  if (io.rx.frameCount + static_cast<int32_t>(joiner.outputCount) >= limit) return false;
  // If the packet becomes an output, and not at the start of its slot, its head will be copied.
  uint32_t copy = at == slotAt(slot) ? 0 : align64(length + 2 * kHeadroom);
  if (io.rx.bump + io.rx.copyBytes + copy > io.rx.scratchAt) return false;
  if (length < kVxlanBytes + kMinEthernet) {
    newDatagramFrame(io, facts, at, length);  // too short to be forwarded: stays where it is
    return true;
  }
  uint8_t* vxlan = io.arena + at;
  uint32_t index = joiner.frameCount, outputs = joiner.outputCount;
  if (index >= COALESCE_MAX_FRAMES) return false;
  io.rx.pieceSlot[index] = static_cast<uint8_t>(slot);
  if (!coalesceAdd(&joiner, vxlan + kVxlanBytes, length - kVxlanBytes, mergeKey(facts, vxlan), gso)) return false;
  if (joiner.outputCount != outputs) io.rx.copyBytes += copy;
  return true;
}

/** Who it was that we do not know: for people, who are told of the last one. */
void describeStranger(const Io& io, uint32_t slot, int32_t* frame) {
  const sockaddr_in6& name = io.rx.names[slot];
  frame[F_OUTER_PORT] = ntohs(name.sin6_port);  // where sockaddr_in has it too
  if (io.family == AF_INET) return;
  uint32_t words[4];
  memcpy(words, &name.sin6_addr, sizeof words);
  frame[F_OUTER_PORT] |= OUTER_IPV6;
  frame[F_OUTER_SOURCE] = static_cast<int32_t>(ntohl(words[0]));
  for (int i = 1; i < 4; i++) frame[F_OUTER_REST + i - 1] = static_cast<int32_t>(ntohl(words[i]));
}

/** A datagram that goes no further than its count: never forwarded, so it needs no headroom and stays where it is. */
bool addUnread(Io& io, uint32_t slot, uint32_t length, int32_t flags, int32_t limit) {
  if (io.rx.frameCount + static_cast<int32_t>(io.rx.coalescer.outputCount) >= limit) return false;
  const RxFacts& facts = io.rx.facts[slot];
  int32_t* frame = newDatagramFrame(io, facts, slotAt(slot), length);
  frame[F_FLAGS] = flags;
  if (facts.port == 0) describeStranger(io, slot, frame);
  // As many packets as a kernel would have joined to this.
  uint32_t size = facts.groSize;
  if (flags != FLAG_TRUNCATED && size >= GSO_MIN_PIECE && size < length) {
    frame[F_UNITS] = static_cast<int32_t>((length + size - 1) / size);
  }
  return true;
}

/** A whole datagram from where the last batch stopped in it. False: no room for all of it. */
bool addDatagram(Io& io, uint32_t slot, int32_t limit) {
  const RxFacts& facts = io.rx.facts[slot];
  uint32_t length = io.rx.headers[slot].msg_len, start = slotAt(slot), size = facts.groSize;
  if (length > kSlotBytes) length = kSlotBytes;
  if (facts.truncated) return addUnread(io, slot, length, FLAG_TRUNCATED, limit);
  if (facts.port == 0 || length < kVxlanBytes + kMinEthernet) return addUnread(io, slot, length, 0, limit);
  if (facts.leftOver) return addUnread(io, slot, length, FLAG_GSO_BAD, limit);
  bool several = size != 0 && size < length;
  if (io.rx.slotOffset == 0 && (several || length - kVxlanBytes - kMinEthernet > io.rx.innerMtu)) {
    Gso gso;
    int kind = gsoFromDatagram(io.arena + start, length, size, io.rx.innerMtu, &gso);
    if (kind == DATAGRAM_SUPER) return addPacket(io, slot, start, length, &gso, limit);
    if (kind == DATAGRAM_DOUBTFUL) {
      if (!addUnread(io, slot, length, FLAG_GSO_BAD, limit)) return false;
      pauseGro(io);
      return true;
    }
  }
  if (!several) return addPacket(io, slot, start, length, nullptr, limit);
  while (io.rx.slotOffset < length) {
    uint32_t piece = length - io.rx.slotOffset < size ? length - io.rx.slotOffset : size;
    if (!addPacket(io, slot, start + io.rx.slotOffset, piece, nullptr, limit)) return false;
    io.rx.slotOffset += piece;
  }
  return true;
}

void deliver(Io& io, const CoalesceOutput& output) {
  uint32_t slot = io.rx.pieceSlot[output.frame];
  const RxFacts& facts = io.rx.facts[slot];
  uint32_t at = static_cast<uint32_t>(output.head - io.arena) - kVxlanBytes;
  at = withHeadroom(io, slot, at, output.headLength + kVxlanBytes);
  int32_t* frame = newDatagramFrame(io, facts, at, output.length + kVxlanBytes);
  frame[F_HEAD] = static_cast<int32_t>(output.headLength + kVxlanBytes);
  describe(frame, output.gso);
  if (output.sliceCount > 0) {
    Chain& chain = io.rx.chains[++io.rx.chainCount];
    chain = {io.rx.coalescer.slices + output.firstSlice, output.sliceCount, output.length - output.headLength};
    frame[F_CHAIN] = static_cast<int32_t>(io.rx.chainCount);
  }
  if (output.csum == COALESCE_CSUM_BAD) {
    frame[F_FLAGS] |= FLAG_CSUM_BAD;
  } else if (output.csum == COALESCE_CSUM_UNKNOWN && output.gso.type == GSO_NONE) {
    // R3 for a frame nothing was to be merged with: a kernel peer on this host leaves its checksum to us.
    Layers layers;
    const uint8_t* inner = io.arena + at + kVxlanBytes;
    if (layersParse(inner, output.headLength, output.length, &layers) == 1 && checksumIsUnfinished(inner, &layers)) {
      frame[F_FLAGS] |= FLAG_NEEDS_CSUM;
      frame[F_CSUM_START] = layers.l4At;
      frame[F_CSUM_OFFSET] = layers.l4At + (layers.protocol == LAYERS_TCP ? 16 : 6);
    }
  }
}

}  // namespace

void receiveDatagrams(Io& io, int frameLimit) {
  if (io.rx.nextSlot == io.rx.filledSlots && !fillSlots(io)) return;
  uint32_t what = 0;
  if (io.features & FEATURE_COALESCE) {
    what = (io.tx.tapGsoRefused[0] < kTapSegmentRefusals ? COALESCE_TCP : 0) |
           ((io.features & FEATURE_TAP_USO) && io.tx.tapGsoRefused[1] < kTapSegmentRefusals ? COALESCE_UDP : 0);
  }
  coalesceBegin(&io.rx.coalescer, what);
  io.rx.copyBytes = 0;
  while (io.rx.nextSlot < io.rx.filledSlots && addDatagram(io, io.rx.nextSlot, frameLimit)) {
    io.rx.nextSlot++;
    io.rx.slotOffset = 0;
  }
  uint32_t count = coalesceEnd(&io.rx.coalescer);
  for (uint32_t i = 0; i < count; i++) deliver(io, io.rx.coalescer.outputs[i]);
}

void resumeGro(Io& io) {
  if (!io.rx.groPaused || static_cast<int32_t>(io.nowMs - io.rx.groResumeMs) < 0 || !setGro(io, 1)) return;
  io.rx.groPaused = false;
  io.features |= FEATURE_UDP_GRO;
}

// ---- TAPs ------------------------------------------------------------------------------------------------------

void receiveTap(Io& io, int port, int frameLimit) {
  const Port tap = io.ports.at[port];
  if (tap.kind != PortKind::tap) return;
  int last = io.rx.frameCount + kTapVisitFrames;
  if (last > frameLimit) last = frameLimit;
  uint32_t stop = io.rx.bump + kTapVisitBytes, wireBytes = 0;
  while (io.rx.frameCount < last && io.rx.bump < stop && wireBytes < kTapVisitWireBytes &&
         roomFor(io, kMaxFrameBytes)) {
    // The virtio header goes into the end of the headroom: one plain read, where a readv would cost its iovec's import.
    uint32_t at = io.rx.bump + kHeadroom;
    const uint8_t* vnet = io.arena + at - tap.vnetBytes;
    uint8_t* start = io.arena + at - tap.vnetBytes;
    size_t room = tap.vnetBytes + static_cast<size_t>(kMaxFrameBytes);
    ssize_t got = tap.foreign ? readForeign(tap.fd, start, room) : read(tap.fd, start, room);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) suspendTap(io, port, -errno);
      return;
    }
    if (got <= tap.vnetBytes) return suspendTap(io, port, -EIO);  // a TAP never says end of file
    uint32_t length = static_cast<uint32_t>(got) - tap.vnetBytes;
    int32_t* frame = newFrame(io, at, length, port);
    io.rx.bump = align64(at + length);
    if (tap.vnetBytes == 0 || (vnet[0] == 0 && vnet[1] == 0)) continue;
    Gso gso;
    if (gsoFromVnet(reinterpret_cast<const VnetHeader*>(vnet), io.arena + at, length, &gso) == 0) {
      describe(frame, gso);
      wireBytes += length + (gso.units - 1u) * gso.header;
    } else {
      frame[F_FLAGS] = FLAG_GSO_BAD;
    }
  }
}

}  // namespace vtepd
