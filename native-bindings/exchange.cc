// The life of a worker's io, and its one loop step.
//
// exchange() = carry out the sends, keep pace (pace.h), wait, receive. Readiness is level-triggered epoll: an idle TAP costs nothing, a
// deleted one is taken out of the set, and a source that was left with data in it (batch full, visit over) is simply
// reported again next time. What epoll cannot see is what we hold ourselves: datagrams that were received and did not
// fit the batch; then the wait does not sleep.
//
// Fairness: each source is visited once per exchange, for at most 768 frames or 512 KB, starting with another one each
// time. While both sides have input, either leaves the other a quarter of the batch.
#include "exchange.h"

#include <linux/udp.h>
#include <unistd.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>

namespace vtepd {

namespace {

constexpr int kReserve = kMaxFrames / 4;
constexpr uint32_t kMinSlots = 4;

timespec monotonic() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now;
}

uint32_t msOf(const timespec& now) { return static_cast<uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1'000'000); }

bool watch(int epoll, int fd, uint32_t name) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = name;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void prepareUnderlay(Io& io) {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  getsockname(io.udp, reinterpret_cast<sockaddr*>(&own), &size);
  io.family = own.ss_family;
  for (uint32_t slot = 0; slot < io.rx.slots; slot++) {
    io.rx.iovecs[slot] = {io.arena + slot * kSlotStride + kSlotDatagramAt, kSlotBytes};
    msghdr& header = io.rx.headers[slot].msg_hdr;
    header.msg_name = &io.rx.names[slot];
    header.msg_iov = &io.rx.iovecs[slot];
    header.msg_iovlen = 1;
    header.msg_control = io.rx.control[slot];
    header.msg_namelen = sizeof(sockaddr_in6);
    header.msg_controllen = kRxControlBytes;
  }
  int gro = io.features & FEATURE_UDP_GRO ? 1 : 0;
  if (setsockopt(io.udp, IPPROTO_UDP, UDP_GRO, &gro, sizeof gro) != 0 && gro) {
    io.features &= ~static_cast<uint32_t>(FEATURE_UDP_GRO);
    io.fallbacks[FALLBACK_UDP_GRO_REFUSED]++;
  }
  int segment = 0;
  if ((io.features & FEATURE_UDP_GSO) && io.tx.socketCount > 0 &&
      setsockopt(io.tx.sockets[0], IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) {
    io.features &= ~static_cast<uint32_t>(FEATURE_UDP_GSO);
    io.fallbacks[FALLBACK_UDP_GSO_REFUSED]++;
  }
}

void receive(Io& io, int events) {
  bool datagrams = io.rx.nextSlot < io.rx.filledSlots;
  int taps = 0;
  for (int i = 0; i < events; i++) {
    uint32_t name = io.events[i].data.u32;
    if (name == kUdpEvent) {
      datagrams = true;
    } else if (name == kDoorbellEvent) {
      uint64_t rings;
      if (read(io.doorbell, &rings, sizeof rings) > 0) io.status[STATUS_WOKEN] = 1;
    } else {
      io.events[taps++] = io.events[i];
    }
  }
  uint32_t turn = io.turn++;
  bool first = datagrams && (turn & 1);
  if (first) receiveDatagrams(io, taps > 0 ? kMaxFrames - kReserve : kMaxFrames);
  int limit = datagrams && !first ? kMaxFrames - kReserve : kMaxFrames;
  uint32_t start = taps > 0 ? (turn >> 1) % static_cast<uint32_t>(taps) : 0;
  for (int i = 0; i < taps && io.rx.frameCount < limit; i++) {
    uint32_t which = (start + static_cast<uint32_t>(i)) % static_cast<uint32_t>(taps);
    receiveTap(io, static_cast<int>(io.events[which].data.u32), limit);
  }
  if (datagrams && !first) receiveDatagrams(io, kMaxFrames);
}

}  // namespace

Io* createIo(const IoRequest& request, int& error) {
  error = -EINVAL;
  if (request.scratchAt >= request.arenaBytes || request.txCount > kMaxTxSockets) return nullptr;
  if (request.segmentCap < 1 || request.segmentCap > kMaxSegments) return nullptr;
  // Five eighths of the receive part for datagrams at most, and room for at least one TAP super-frame and one copied head.
  uint32_t slots = request.scratchAt * 5 / 8 / kSlotStride;
  if (slots > kDatagrams) slots = kDatagrams;
  uint32_t bumpAt = slots * kSlotStride;
  if (slots < kMinSlots || request.scratchAt - bumpAt < 2 * (kMaxFrameBytes + 2 * kHeadroom)) return nullptr;
  Io* io = new (std::nothrow) Io();
  error = -ENOMEM;
  if (io == nullptr) return nullptr;
  io->arena = request.arena;
  io->arenaBytes = request.arenaBytes;
  io->rx.scratchAt = request.scratchAt;
  io->frames = request.frames;
  io->sends = request.sends;
  io->status = request.status;
  io->rx.slots = slots;
  io->rx.bumpAt = bumpAt;
  io->udp = request.udp;
  io->doorbell = request.doorbell;
  io->tx.socketCount = request.txCount;
  if (request.txCount > 0) memcpy(io->tx.sockets, request.tx, sizeof(int) * static_cast<size_t>(request.txCount));
  io->rx.innerMtu = request.innerMtu;
  io->features = request.features;
  io->tx.segmentCap = static_cast<uint8_t>(request.segmentCap);
  for (uint32_t i = 0; i < 2; i++) io->tx.tapGsoRefused[i] = request.tapRefuses & (1u << i) ? kTapSegmentRefusals : 0;
  coalesceInit(&io->rx.coalescer);
  io->nowMs = msOf(monotonic());
  io->epoll = epoll_create1(EPOLL_CLOEXEC);
  bool good = io->epoll >= 0 && (io->doorbell < 0 || watch(io->epoll, io->doorbell, kDoorbellEvent)) &&
              (io->udp < 0 || watch(io->epoll, io->udp, kUdpEvent));
  if (!good) {
    error = -errno;
    if (io->epoll >= 0) close(io->epoll);
    delete io;
    return nullptr;
  }
  if (io->udp >= 0) prepareUnderlay(*io);
  error = 0;
  return io;
}

void destroyIo(Io* io) {
  close(io->epoll);
  delete io;
}

int exchange(Io& io, int sendCount, int timeoutMs) {
  transmit(io, sendCount);
  io.status[STATUS_PAUSED] = keepPace(io.pace, static_cast<uint32_t>(io.rx.frameCount)) ? 1 : 0;
  io.rx.frameCount = 0;
  io.rx.chainCount = 0;
  io.rx.bump = io.rx.bumpAt;
  io.rx.datagramBytes = 0;
  if (io.rx.nextSlot < io.rx.filledSlots || timeoutMs < 0) timeoutMs = 0;
  int events = epoll_wait(io.epoll, io.events, kMaxFrames, timeoutMs);
  timespec now = monotonic();
  io.nowMs = msOf(now);
  io.status[STATUS_NOW_MS] = static_cast<int32_t>(io.nowMs);
  io.status[STATUS_NOW_NS] = static_cast<int32_t>(now.tv_nsec % 1'000'000);
  io.status[STATUS_WOKEN] = 0;
  if (io.rx.groPaused) resumeGro(io);
  receive(io, events);
  uint32_t bytes = io.rx.bump - io.rx.bumpAt + io.rx.datagramBytes;
  io.status[STATUS_ARENA_BYTES] = static_cast<int32_t>(bytes);
  judgePace(io.pace, io.nowMs, static_cast<uint32_t>(io.rx.frameCount), bytes);
  if (io.ports.suspended > 0 && static_cast<int32_t>(io.nowMs - io.ports.resumeCheckMs) >= 0) {
    io.ports.resumeCheckMs = io.nowMs + 100;
    resumeTaps(io);
  }
  return io.rx.frameCount;
}

int gather(Io& io, int chain, int at) {
  if (chain <= 0 || static_cast<uint32_t>(chain) > io.rx.chainCount || at < 0) return 0;
  const Chain& slices = io.rx.chains[chain];
  uint32_t to = static_cast<uint32_t>(at);
  if (to > io.arenaBytes || slices.bytes > io.arenaBytes - to) return 0;
  for (uint32_t i = 0; i < slices.count; i++) {
    memcpy(io.arena + to, slices.slices[i].iov_base, slices.slices[i].iov_len);
    to += static_cast<uint32_t>(slices.slices[i].iov_len);
  }
  return static_cast<int>(slices.bytes);
}

}  // namespace vtepd
