// Who is attached: TAPs by fd, peers by address.
//
// A received datagram is recognised by its outer source address alone: the source port is a hash of the inner flow
// (RFC 7348 §5) and says nothing. The address leads through an open-addressing hash, twice as large as there can be
// peers, to an io port; changes are rare and rebuild it.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <cerrno>
#include <cstring>

#include "exchange.h"
#include "handover.h"
#include "tap.h"

namespace vtepd {

namespace {

constexpr uint32_t kPeerMask = 2 * kMaxPorts - 1;
constexpr uint32_t kPauseMs = 1000;
constexpr unsigned kTunCsum = 1, kTunTso4 = 2, kTunTso6 = 4, kTunTsoEcn = 8, kTunUso4 = 0x20, kTunUso6 = 0x40;

bool validPort(int port) { return port > 0 && port < kMaxPorts; }

uint32_t hashAddress(const sockaddr_in6& name) {
  uint64_t hash;
  if (name.sin6_family == AF_INET) {
    hash = reinterpret_cast<const sockaddr_in&>(name).sin_addr.s_addr;
  } else {
    uint64_t half[2];
    memcpy(half, &name.sin6_addr, 16);
    hash = half[0] * 0x9e3779b97f4a7c15ULL ^ half[1];
  }
  hash *= 0x9e3779b97f4a7c15ULL;
  return static_cast<uint32_t>(hash >> 40) & kPeerMask;
}

bool sameAddress(const sockaddr_in6& a, const sockaddr_in6& b) {
  if (a.sin6_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in&>(a).sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in&>(b).sin_addr.s_addr;
  }
  return memcmp(&a.sin6_addr, &b.sin6_addr, 16) == 0;
}

void insertPeer(Io& io, int port) {
  uint32_t at = hashAddress(io.ports.at[port].address);
  while (io.ports.byAddress[at] != 0) at = (at + 1) & kPeerMask;
  io.ports.byAddress[at] = static_cast<uint16_t>(port);
}

int watch(Io& io, int port) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = static_cast<uint32_t>(port);
  return epoll_ctl(io.epoll, EPOLL_CTL_ADD, io.ports.at[port].fd, &event) == 0 ? 0 : -errno;
}

// The reader says what it can take; a kernel without USO (< 6.2) refuses the whole set.
void declareOffloads(Io& io, int fd) {
  unsigned tso = kTunCsum | kTunTso4 | kTunTso6 | kTunTsoEcn;
  unsigned wanted = io.features & FEATURE_TAP_TSO ? tso : 0;
  if (wanted != 0 && (io.features & FEATURE_TAP_USO)) {
    if (setTapOffload(fd, wanted | kTunUso4 | kTunUso6) == 0) return;
    io.fallbacks[FALLBACK_TAP_USO_REFUSED]++;
    io.features &= ~static_cast<uint32_t>(FEATURE_TAP_USO);
  }
  if (wanted != 0 && setTapOffload(fd, wanted) == 0) return;
  if (wanted != 0) io.fallbacks[FALLBACK_TAP_TSO_REFUSED]++;
  setTapOffload(fd, 0);
}

}  // namespace

int attachTap(Io& io, int port, int fd, bool reads) {
  if (!validPort(port)) return -EINVAL;
  if (io.ports.at[port].kind != PortKind::none) return -EEXIST;
  TapInfo info;
  int rc = tapInfo(fd, info);
  if (rc < 0) return rc;
  if ((info.flags & (IFF_TAP | IFF_NO_PI)) != (IFF_TAP | IFF_NO_PI)) return -EMEDIUMTYPE;
  if (info.vnetHdrBytes != 0 && info.vnetHdrBytes != 10 && info.vnetHdrBytes != 12) return -EPROTONOSUPPORT;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return -errno;
  if (info.vnetHdrBytes != 0 && reads) declareOffloads(io, fd);
  Port& tap = io.ports.at[port];
  tap = Port{};
  tap.fd = fd;
  tap.vnetBytes = static_cast<uint8_t>(info.vnetHdrBytes);
  tap.foreign = isForeign(fd);
  if (reads) {
    rc = watch(io, port);
    if (rc < 0) return rc;
    tap.watched = 1;
  }
  tap.kind = PortKind::tap;
  return 0;
}

int attachPeer(Io& io, int port, int at, int addressLength, int udpPort) {
  if (io.udp < 0) return -EBADF;
  if (!validPort(port) || udpPort < 1 || udpPort > 65535) return -EINVAL;
  if (io.ports.at[port].kind != PortKind::none) return -EEXIST;
  if (addressLength != (io.family == AF_INET ? 4 : 16)) return -EAFNOSUPPORT;
  if (at < 0 || static_cast<uint32_t>(at) + static_cast<uint32_t>(addressLength) > io.arenaBytes) return -EINVAL;
  Port peer{};
  peer.kind = PortKind::peer;
  peer.fd = -1;
  peer.segmentCap = io.tx.segmentCap;
  if (io.family == AF_INET) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(peer.address);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<uint16_t>(udpPort));
    memcpy(&v4.sin_addr, io.arena + at, 4);
    peer.addressLength = sizeof(sockaddr_in);
  } else {
    peer.address.sin6_family = AF_INET6;
    peer.address.sin6_port = htons(static_cast<uint16_t>(udpPort));
    memcpy(&peer.address.sin6_addr, io.arena + at, 16);
    peer.addressLength = sizeof(sockaddr_in6);
  }
  // Two peers of one address could not be told apart on receive.
  if (portOfSender(io, peer.address) != 0) return -EADDRINUSE;
  io.ports.at[port] = peer;
  insertPeer(io, port);
  return 0;
}

void detach(Io& io, int port) {
  if (!validPort(port)) return;
  Port& gone = io.ports.at[port];
  PortKind kind = gone.kind;
  if (kind == PortKind::tap) {
    if (gone.watched) epoll_ctl(io.epoll, EPOLL_CTL_DEL, gone.fd, nullptr);
    else if (gone.resumeMs != 0) io.ports.suspended--;
  }
  gone = Port{};
  if (kind != PortKind::peer) return;
  memset(io.ports.byAddress, 0, sizeof io.ports.byAddress);
  for (int other = 1; other < kMaxPorts; other++) {
    if (io.ports.at[other].kind == PortKind::peer) insertPeer(io, other);
  }
}

int portOfSender(const Io& io, const sockaddr_in6& name) {
  for (uint32_t at = hashAddress(name); io.ports.byAddress[at] != 0; at = (at + 1) & kPeerMask) {
    if (sameAddress(io.ports.at[io.ports.byAddress[at]].address, name)) return io.ports.byAddress[at];
  }
  return 0;
}

void suspendTap(Io& io, int port, int error) {
  Port& tap = io.ports.at[port];
  if (tap.watched) epoll_ctl(io.epoll, EPOLL_CTL_DEL, tap.fd, nullptr);
  tap.watched = 0;
  tap.error = error;
  // EBADFD: the device is gone and this fd will never see another; it waits for its detach.
  tap.resumeMs = error == -EBADFD ? 0 : (io.nowMs + kPauseMs) | 1;
  if (tap.resumeMs != 0) io.ports.suspended++;
}

void resumeTaps(Io& io) {
  for (int port = 1; port < kMaxPorts; port++) {
    Port& tap = io.ports.at[port];
    if (tap.kind != PortKind::tap || tap.watched || tap.resumeMs == 0) continue;
    if (static_cast<int32_t>(io.nowMs - tap.resumeMs) < 0) continue;
    tap.resumeMs = 0;
    io.ports.suspended--;
    tap.error = watch(io, port);
    tap.watched = tap.error == 0;
  }
}

}  // namespace vtepd
