// Datagrams handed over, packets kept. See receive-kernel.h.
#include "receive-kernel.h"

#include <linux/udp.h>

#include <cerrno>
#include <cstring>

using namespace vtepd;

using vtepd::kRxControlBytes;

World world;

static void putControl(msghdr& header, int level, int type, const void* value, size_t bytes, size_t& used) {
  if (used + CMSG_SPACE(bytes) > kRxControlBytes) return;
  auto* slot = reinterpret_cast<cmsghdr*>(static_cast<uint8_t*>(header.msg_control) + used);
  slot->cmsg_level = level;
  slot->cmsg_type = type;
  slot->cmsg_len = CMSG_LEN(bytes);
  std::memcpy(CMSG_DATA(slot), value, bytes);
  used += CMSG_SPACE(bytes);
}

extern "C" {

int __wrap_recvmmsg(int fd, mmsghdr* headers, unsigned count, int, void*) {
  CHECK(fd == kUdpFd && count == kSlots);
  unsigned got = 0;
  for (; got < count && !world.waiting.empty(); got++) {
    const Datagram& d = world.waiting.front();
    msghdr& header = headers[got].msg_hdr;
    CHECK(header.msg_controllen == kRxControlBytes && header.msg_namelen == sizeof(sockaddr_in6) &&
          header.msg_iovlen == 1);
    const size_t bytes = d.bytes.size() < header.msg_iov->iov_len ? d.bytes.size() : header.msg_iov->iov_len;
    if (bytes > 0) std::memcpy(header.msg_iov->iov_base, d.bytes.data(), bytes);
    headers[got].msg_len = static_cast<unsigned>(bytes);
    header.msg_flags = d.flags;
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(d.from);
    std::memcpy(header.msg_name, &from, sizeof from);
    header.msg_namelen = sizeof from;
    size_t used = 0;
    for (int i = 0; i < 2; i++) {
      if ((i == 0) == d.reversed) putControl(header, IPPROTO_IP, IP_TOS, &d.tos, 1, used);
      else if (d.gro >= 0) putControl(header, IPPROTO_UDP, UDP_GRO, &d.gro, sizeof d.gro, used);
    }
    header.msg_controllen = used;
    world.waiting.erase(world.waiting.begin());
  }
  if (got > 0) return static_cast<int>(got);
  errno = EAGAIN;
  return -1;
}

ssize_t __wrap_recv(int fd, void*, size_t, int flags) {
  CHECK(fd == kUdpFd && (flags & MSG_PEEK));
  if (world.more) return 1;
  errno = EAGAIN;
  return -1;
}

int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t) {
  CHECK(fd == kUdpFd && level == IPPROTO_UDP && name == UDP_GRO);
  int on;
  std::memcpy(&on, value, sizeof on);
  world.gro = on != 0;
  return 0;
}

int __wrap_sendmmsg(int fd, mmsghdr* headers, unsigned count, int) {
  CHECK(fd == kTxFd);
  for (unsigned i = 0; i < count; i++) {
    const msghdr& message = headers[i].msg_hdr;
    Bytes all;
    for (size_t k = 0; k < message.msg_iovlen; k++) {
      const uint8_t* base = static_cast<const uint8_t*>(message.msg_iov[k].iov_base);
      all.insert(all.end(), base, base + message.msg_iov[k].iov_len);
    }
    uint16_t stride = 0;
    for (cmsghdr* c = message.msg_controllen > 0 ? CMSG_FIRSTHDR(&message) : nullptr; c != nullptr;
         c = CMSG_NXTHDR(const_cast<msghdr*>(&message), c)) {
      if (c->cmsg_level == IPPROTO_UDP) std::memcpy(&stride, CMSG_DATA(c), sizeof stride);
    }
    const size_t length = stride == 0 ? all.size() : stride;
    for (size_t at = 0; at < all.size(); at += length) {
      const size_t end = at + length < all.size() ? at + length : all.size();
      world.left.emplace_back(all.begin() + static_cast<long>(at), all.begin() + static_cast<long>(end));
      // One VNI a message: its receiver may get it whole.
      CHECK(std::memcmp(world.left.back().data(), all.data(), 8) == 0);
    }
  }
  return static_cast<int>(count);
}

ssize_t __wrap_sendmsg(int, const msghdr*, int) {
  CHECK(false);
  return -1;
}
ssize_t __real_write(int fd, const void* bytes, size_t length);
ssize_t __wrap_write(int fd, const void* bytes, size_t length) { return __real_write(fd, bytes, length); }
ssize_t __real_writev(int fd, const iovec* iov, int count);
ssize_t __wrap_writev(int fd, const iovec* iov, int count) { return __real_writev(fd, iov, count); }
}
