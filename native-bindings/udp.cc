#include "udp.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/udp.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

namespace vtepd {

namespace {

bool setInt(int fd, int level, int name, int value) { return setsockopt(fd, level, name, &value, sizeof value) == 0; }

// The FORCE variant needs CAP_NET_ADMIN; without it the kernel clips at net.core.[rw]mem_max. Both are fine, and the
// granted size is reported so that the log can give advice.
int setBuffer(int fd, int force, int plain, int bytes) {
  if (bytes > 0 && !setInt(fd, SOL_SOCKET, force, bytes)) setInt(fd, SOL_SOCKET, plain, bytes);
  int granted = 0;
  socklen_t size = sizeof granted;
  getsockopt(fd, SOL_SOCKET, plain, &granted, &size);
  return granted / 2;  // the kernel doubles what it is asked for (socket(7))
}

int openSocket(int family, bool zeroChecksum, Failure& failure) {
  int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    failure.at("open a UDP socket");
    return -1;
  }
  bool good = family == AF_INET ? setInt(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
                                : setInt(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
                                      setInt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
  if (!good) failure.at("forbid fragmentation");
  if (good && zeroChecksum) {
    good = family == AF_INET ? setInt(fd, SOL_SOCKET, SO_NO_CHECK, 1) : setInt(fd, IPPROTO_UDP, UDP_NO_CHECK6_TX, 1);
    if (!good) failure.at("switch the UDP checksum off");
  }
  if (good) return fd;
  close(fd);
  return -1;
}

/** Who else is on the port: no other; others may join; this one joins. */
enum class Sharing { none, lead, join };

Sharing sharingOf(const UnderlayRequest& request) {
  return !request.shared ? Sharing::none : request.likeCount == 0 ? Sharing::lead : Sharing::join;
}

/** bind(2), errno as it says. */
bool bindTo(int fd, const sockaddr_storage& address, socklen_t length, Sharing sharing) {
  if (sharing == Sharing::join && !setInt(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return false;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) return false;
  return sharing != Sharing::lead || setInt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
}

void setPort(sockaddr_storage& address, int port) {
  uint16_t wire = htons(static_cast<uint16_t>(port));
  if (address.ss_family == AF_INET) reinterpret_cast<sockaddr_in&>(address).sin_port = wire;
  else reinterpret_cast<sockaddr_in6&>(address).sin6_port = wire;
}

int portOf(int fd) {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0) return -1;
  return ntohs(own.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(own).sin_port
                                        : reinterpret_cast<sockaddr_in6&>(own).sin6_port);
}

bool openReceiver(const UnderlayRequest& request, const sockaddr_storage& address, socklen_t length, Underlay& underlay,
                  Failure& failure) {
  int family = address.ss_family;
  int fd = underlay.fd = openSocket(family, request.zeroChecksum, failure);
  if (fd < 0) return false;
  bool tos = family == AF_INET ? setInt(fd, IPPROTO_IP, IP_RECVTOS, 1) : setInt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  if (!tos) return failure.at("ask for the outer TOS");
  // RFC 6935 §5: an IPv6 tunnel may be without checksums, where its receiver says so for this port. The kernel drops them else.
  if (family == AF_INET6 && request.acceptsZero && !setInt(fd, IPPROTO_UDP, UDP_NO_CHECK6_RX, 1))
    return failure.at("accept zero checksums");
  underlay.receiveBuffer = setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, request.receiveBuffer);
  return bindTo(fd, address, length, sharingOf(request)) || failure.at("bind the VTEP address");
}

// Drop every datagram before it is queued; a full queue that is not read would pin memory.
bool makeDeaf(int fd, Failure& failure) {
  sock_filter dropAll[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  sock_fprog program{1, dropAll};
  setInt(fd, SOL_SOCKET, SO_RCVBUF, 0);
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ||
         failure.at("filter the source port");
}

// A port of the pool that is taken by another program is skipped: which ports they are means nothing, that they differ
// does. The other workers' pools are on exactly the ports of the first.
bool openSenders(const UnderlayRequest& request, sockaddr_storage address, socklen_t length, Underlay& underlay,
                 Failure& failure) {
  Sharing sharing = sharingOf(request);
  int port = request.firstSourcePort;
  int count = sharing == Sharing::join ? request.likeCount : request.sourcePortCount;
  while (underlay.txCount < count) {
    int fd = openSocket(address.ss_family, request.zeroChecksum, failure);
    if (fd < 0) return false;
    int index = underlay.txCount++;
    underlay.txFds[index] = fd;
    if (!makeDeaf(fd, failure)) return false;
    underlay.sendBuffer = setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, request.sendBuffer);
    if (sharing == Sharing::join) {
      setPort(address, portOf(request.like[index]));
      if (!bindTo(fd, address, length, sharing)) return failure.at("share a source port");
      continue;
    }
    for (;; port++) {
      if (port > 65535) return failure.at("find a free source port", EADDRINUSE);
      if (port == request.port) continue;
      setPort(address, port);
      if (bindTo(fd, address, length, sharing)) break;
      if (errno != EADDRINUSE) return failure.at("bind a source port");
    }
    port++;
  }
  return true;
}

}  // namespace

socklen_t parseAddress(const char* text, int port, sockaddr_storage& out) {
  memset(&out, 0, sizeof out);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(port));
    return sizeof *v4;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
  if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) return 0;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(static_cast<uint16_t>(port));
  return sizeof *v6;
}

bool openUnderlay(const UnderlayRequest& request, Underlay& underlay, Failure& failure) {
  sockaddr_storage address;
  socklen_t length = parseAddress(request.address, request.port, address);
  if (length == 0) return failure.at("read the VTEP address", EINVAL);
  bool sane = request.sourcePortCount >= 1 && request.sourcePortCount <= kMaxTxSockets && request.firstSourcePort >= 1;
  if (!sane || request.likeCount > kMaxTxSockets || (request.likeCount > 0 && !request.shared)) {
    return failure.at("check the source ports", EINVAL);
  }
  if (openReceiver(request, address, length, underlay, failure) &&
      openSenders(request, address, length, underlay, failure)) {
    return true;
  }
  if (underlay.fd >= 0) close(underlay.fd);
  for (int i = 0; i < underlay.txCount; i++) close(underlay.txFds[i]);
  return false;
}

/** One switch of `ethtool -k`: 1, 0, or -1 where it cannot be asked. */
static int featureOf(int control, ifreq ask, uint32_t command) {
  ethtool_value value{command, 0};
  ask.ifr_data = reinterpret_cast<char*>(&value);
  return ioctl(control, SIOCETHTOOL, &ask) == 0 ? value.data != 0 : -1;
}

int deviceMtuFor(const char* address, DeviceMtu& found) {
  sockaddr_storage want;
  if (parseAddress(address, 0, want) == 0) return -EINVAL;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return -errno;
  int rc = -EADDRNOTAVAIL;
  for (ifaddrs* one = all; one != nullptr && rc != 0; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != want.ss_family) continue;
    bool same;
    if (want.ss_family == AF_INET) {
      // All of 127.0.0.0/8 is local to lo, though only 127.0.0.1 is configured on it.
      auto* ours = reinterpret_cast<sockaddr_in*>(one->ifa_addr);
      auto* theirs = reinterpret_cast<sockaddr_in*>(&want);
      bool loopback = (one->ifa_flags & IFF_LOOPBACK) && (ntohl(theirs->sin_addr.s_addr) >> 24) == 127;
      same = loopback || ours->sin_addr.s_addr == theirs->sin_addr.s_addr;
    } else {
      same = memcmp(&reinterpret_cast<sockaddr_in6*>(one->ifa_addr)->sin6_addr,
                    &reinterpret_cast<sockaddr_in6*>(&want)->sin6_addr, 16) == 0;
    }
    if (!same) continue;
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0) {
      rc = -errno;
      break;
    }
    ifreq ask{};
    strncpy(ask.ifr_name, one->ifa_name, IFNAMSIZ - 1);
    memcpy(found.device, ask.ifr_name, sizeof found.device);
    rc = ioctl(control, SIOCGIFMTU, &ask) == 0 ? 0 : -errno;
    found.mtu = ask.ifr_mtu;
    if (rc == 0) rc = ioctl(control, SIOCGIFINDEX, &ask) == 0 ? 0 : -errno;
    found.ifindex = ask.ifr_ifindex;
    found.gro = featureOf(control, ask, ETHTOOL_GGRO);
    found.tso = featureOf(control, ask, ETHTOOL_GTSO);
    found.isUp = one->ifa_flags & IFF_UP;
    found.hasCarrier = one->ifa_flags & IFF_RUNNING;
    close(control);
  }
  freeifaddrs(all);
  return rc;
}

int pathMtu(const char* local, const char* remote) {
  sockaddr_storage from, to;
  socklen_t fromLength = parseAddress(local, 0, from), toLength = parseAddress(remote, 9, to);
  if (fromLength == 0 || toLength != fromLength) return -EINVAL;
  int fd = socket(from.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int mtu = 0;
  socklen_t size = sizeof mtu;
  bool v4 = from.ss_family == AF_INET;
  bool good = bind(fd, reinterpret_cast<sockaddr*>(&from), fromLength) == 0 &&
              connect(fd, reinterpret_cast<sockaddr*>(&to), toLength) == 0 &&
              getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, &mtu, &size) == 0;
  int rc = good ? mtu : -errno;
  close(fd);
  return rc;
}

int64_t socketDrops(int fd) {
  uint32_t info[SK_MEMINFO_VARS]{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size) != 0) return -errno;
  return info[SK_MEMINFO_DROPS];
}

}  // namespace vtepd
