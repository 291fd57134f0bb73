#include "probe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "checksum.h"
#include "gso.h"

namespace vtepd {

namespace {

constexpr int kMost = 128;  // UDP_MAX_SEGMENTS since Linux 6.9; 64 before
constexpr int kSegmentBytes = 24;
constexpr int kTailBytes = 7;  // of a shorter last one
constexpr int kWaitMs = 200;   // a softirq may be late on a busy machine

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  operator int() const { return fd_; }

 private:
  int fd_;
};

// ---- UDP_SEGMENT -----------------------------------------------------------------------------------------------

void fill(uint8_t* bytes, int length, int round) {
  for (int i = 0; i < length; i++) bytes[i] = static_cast<uint8_t>(i / kSegmentBytes * 7 + i % kSegmentBytes + round);
}

/** Two sockets on 127.0.0.1, or ::1, the second connected to the first. */
bool openPair(int family, int& receiver, int& sender, Failure& failure) {
  receiver = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sender = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (receiver < 0 || sender < 0) return failure.at("open two sockets");
  sockaddr_in6 address{};
  socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  address.sin6_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else address.sin6_addr = in6addr_loopback;
  int buffer = 1 << 20;  // what the kernel grants of it is enough for 128 small datagrams
  setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
  auto* name = reinterpret_cast<sockaddr*>(&address);
  bool good = bind(receiver, name, length) == 0 && getsockname(receiver, name, &length) == 0 &&
              connect(sender, name, length) == 0;
  return good || failure.at("use the loopback address");
}

/** Do exactly these bytes arrive, cut every kSegmentBytes? */
bool arrives(int receiver, const uint8_t* bytes, int length) {
  for (int at = 0; at < length; at += kSegmentBytes) {
    pollfd wait{receiver, POLLIN, 0};
    if (poll(&wait, 1, kWaitMs) <= 0) return false;
    uint8_t got[kMost * kSegmentBytes];
    ssize_t size = recv(receiver, got, sizeof got, MSG_DONTWAIT);
    int want = length - at < kSegmentBytes ? length - at : kSegmentBytes;
    if (size != want || memcmp(got, bytes + at, static_cast<size_t>(want)) != 0) return false;
  }
  return true;
}

/** What is left of a try that failed. */
void drain(int receiver) {
  uint8_t byte;
  while (recv(receiver, &byte, 1, MSG_DONTWAIT) >= 0) {}
}

/** 0, or a negative errno; -EBADMSG: not everything arrived, or not as it was sent. */
int trySegments(int receiver, int sender, int segments, int round) {
  uint8_t bytes[kMost * kSegmentBytes];
  for (int last : {kSegmentBytes, kTailBytes}) {
    int length = (segments - 1) * kSegmentBytes + last;
    fill(bytes, length, round + last);
    iovec iov{bytes, static_cast<size_t>(length)};
    alignas(8) uint8_t control[CMSG_SPACE(sizeof(uint16_t))] = {};
    msghdr message{};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t size = kSegmentBytes;
    memcpy(CMSG_DATA(header), &size, sizeof size);
    if (sendmsg(sender, &message, MSG_DONTWAIT) < 0) return -errno;
    if (arrives(receiver, bytes, length)) continue;
    drain(receiver);
    return -EBADMSG;
  }
  return 0;
}

// ---- TAP -------------------------------------------------------------------------------------------------------

constexpr int kPayload = 200, kSize = 100;  // two segments

void put16(uint8_t* at, int value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

/** A virtio header and a super-frame between addresses of no host, as coalescing writes them; TTL 0 takes it no further. */
int buildSuperFrame(uint8_t* bytes, uint8_t type) {
  bool v6 = type == GSO_TCPV6, udp = type == GSO_UDP_L4;
  int ipBytes = v6 ? 40 : 20, l4Bytes = udp ? 8 : 20;
  uint8_t* frame = bytes + sizeof(VnetHeader);
  uint8_t *ip = frame + 14, *l4 = ip + ipBytes;
  int length = 14 + ipBytes + l4Bytes + kPayload;
  memset(bytes, 0, sizeof(VnetHeader) + static_cast<size_t>(length));
  frame[0] = frame[6] = 2;
  frame[11] = 1;
  put16(frame + 12, v6 ? 0x86dd : 0x0800);
  if (v6) {
    ip[0] = 0x60;
    put16(ip + 4, l4Bytes + kPayload);
    ip[6] = LAYERS_TCP;
    put16(ip + 8, 0x2001);  // 2001:db8::/32 is for documentation
    put16(ip + 10, 0x0db8);
    memcpy(ip + 24, ip + 8, 4);
    ip[23] = 1;
    ip[39] = 2;
  } else {
    ip[0] = 0x45;
    put16(ip + 2, ipBytes + l4Bytes + kPayload);
    put16(ip + 6, 0x4000);
    ip[9] = udp ? LAYERS_UDP : LAYERS_TCP;
    const uint8_t addresses[8] = {192, 0, 2, 1, 192, 0, 2, 2};
    memcpy(ip + 12, addresses, sizeof addresses);
    uint16_t sum = static_cast<uint16_t>(~checksumFold(checksumAdd(ip, 20, 0)));
    memcpy(ip + 10, &sum, sizeof sum);
  }
  put16(l4, 9);
  put16(l4 + 2, 9);
  if (udp) {
    put16(l4 + 4, l4Bytes + kPayload);
  } else {
    l4[12] = 5 << 4;
    l4[13] = 0x10;
  }
  Layers layers;
  layersParse(frame, static_cast<uint32_t>(length), static_cast<uint32_t>(length), &layers);
  uint16_t pseudo = checksumFold(layersPseudo(frame, &layers, static_cast<uint32_t>(l4Bytes + kPayload)));
  memcpy(l4 + (udp ? 6 : 16), &pseudo, sizeof pseudo);
  Gso gso;
  gsoCheck(type, 0, kSize, frame, static_cast<uint32_t>(length), static_cast<uint32_t>(length), &gso, &layers);
  VnetHeader vnet;
  gsoToVnet(&gso, &vnet);
  memcpy(bytes, &vnet, sizeof vnet);
  return static_cast<int>(sizeof vnet) + length;
}

/** EIO: the header was believed, and the device is not up. */
int tryWrite(int tap, uint8_t type) {
  uint8_t bytes[512];
  int length = buildSuperFrame(bytes, type);
  return write(tap, bytes, static_cast<size_t>(length)) >= 0 || errno == EIO ? 0 : -errno;
}

bool setUp(const char* device) {
  Fd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq set{};
  memcpy(set.ifr_name, device, sizeof set.ifr_name);
  if (control < 0 || ioctl(control, SIOCGIFFLAGS, &set) != 0) return false;
  set.ifr_flags = static_cast<short>(set.ifr_flags | IFF_UP);
  return ioctl(control, SIOCSIFFLAGS, &set) == 0;
}

}  // namespace

bool probeSegments(SegmentProbe& probe, Failure& failure) {
  int fds[2] = {-1, -1};
  bool open = openPair(AF_INET, fds[0], fds[1], failure);
  if (!open) {
    for (int fd : fds) {
      if (fd >= 0) close(fd);
    }
    open = openPair(AF_INET6, fds[0], fds[1], failure);
  }
  Fd receiver(fds[0]), sender(fds[1]);
  if (!open) return false;
  uint8_t plain[kSegmentBytes];
  fill(plain, sizeof plain, 0);
  if (send(sender, plain, sizeof plain, MSG_DONTWAIT) < 0) return failure.at("send on the loopback device");
  if (!arrives(receiver, plain, sizeof plain)) return failure.at("receive on the loopback device", ETIMEDOUT);
  probe.cap = 1;
  for (int segments = kMost; segments >= 2; segments /= 2) {
    int error = trySegments(receiver, sender, segments, segments);
    if (error == 0) {
      probe.cap = segments;
      return true;
    }
    probe.error = error;
  }
  return true;
}

bool probeTap(TapProbe& probe, Failure& failure) {
  NetworkNamespace inside;
  probe.isolated = inside.enterNew();
  Fd tap(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (tap < 0) return failure.at("open /dev/net/tun");
  ifreq want{};
  strcpy(want.ifr_name, "vtepd-probe%d");
  want.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(tap, TUNSETIFF, &want) != 0) return failure.at("create a TAP device");
  if (probe.isolated && !setUp(want.ifr_name)) return failure.at("set the device up");
  probe.tcp4 = tryWrite(tap, GSO_TCPV4);
  probe.tcp6 = tryWrite(tap, GSO_TCPV6);
  probe.udp = tryWrite(tap, GSO_UDP_L4);
  return true;
}

}  // namespace vtepd
