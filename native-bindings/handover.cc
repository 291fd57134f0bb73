#include "handover.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace vtepd {

namespace {

// Fds are numbers of the process, and so is what is known of them: one bit each, read by all threads.
constexpr int kMarkedFds = 1 << 16;
std::atomic<uint64_t> foreignFds[kMarkedFds / 64];

/** For kernels whose TAPs do not know RWF_NOWAIT (< 5.11): the next best thing, with a gap between the two calls. */
void demandNonBlocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

}  // namespace

void setForeign(int fd, bool foreign) {
  if (fd < 0 || fd >= kMarkedFds) return;
  uint64_t bit = uint64_t{1} << (fd & 63);
  if (foreign) foreignFds[fd >> 6].fetch_or(bit);
  else foreignFds[fd >> 6].fetch_and(~bit);
}

bool isForeign(int fd) {
  // A number beyond the table is taken for the worse case.
  return fd < 0 || fd >= kMarkedFds || (foreignFds[fd >> 6].load() >> (fd & 63) & 1) != 0;
}

ssize_t readForeign(int fd, void* bytes, size_t length) {
  iovec iov{bytes, length};
  ssize_t got = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
  if (got >= 0 || errno != EOPNOTSUPP) return got;
  demandNonBlocking(fd);
  return read(fd, bytes, length);
}

ssize_t writeForeign(int fd, const iovec* iov, int count) {
  ssize_t written = pwritev2(fd, iov, count, -1, RWF_NOWAIT);
  if (written >= 0 || errno != EOPNOTSUPP) return written;
  demandNonBlocking(fd);
  return writev(fd, iov, count);
}

int sendHandover(int socket, int fd, const char* text, size_t length) {
  if (length == 0 || length > kMostText) return -EMSGSIZE;
  iovec iov{const_cast<char*>(text), length};
  alignas(8) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &iov;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  ssize_t sent;
  do sent = sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return -errno;
  return static_cast<size_t>(sent) == length ? 0 : -EMSGSIZE;
}

int peerOf(int socket, ucred& peer) {
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? 0 : -errno;
}

int receiveHandover(int socket, Handover& message) {
  ucred peer{};
  if (int rc = peerOf(socket, peer); rc < 0) return rc;
  message.pid = peer.pid;
  message.uid = peer.uid;
  message.gid = peer.gid;
  iovec iov{message.text, sizeof message.text};
  alignas(8) char control[CMSG_SPACE(sizeof(int) * 8)];
  msghdr header{};
  header.msg_iov = &iov;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t got;
  do got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < 0) return -errno;
  int fds = 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      if (fds++ == 0) message.fd = fd;
      else close(fd);
    }
  }
  message.length = static_cast<size_t>(got);
  if (fds <= 1 && !(header.msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
    if (message.fd >= 0) setForeign(message.fd, true);
    return 0;
  }
  if (message.fd >= 0) close(message.fd);
  message.fd = -1;
  return -EPROTO;
}

}  // namespace vtepd
