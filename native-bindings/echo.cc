#include "echo.h"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <initializer_list>

#include "udp.h"

namespace vtepd {

namespace {

constexpr int kControlClass = 0xc0;  // class selector 6, network control (RFC 4594 §3.1)
constexpr size_t kHeaderBytes = 8;

struct Option {
  int level, name, value;
};
// SO_SELECT_ERR_QUEUE: what lies in the error queue is told as urgent, which libuv's watcher survives, and not as a broken file.
// PROBE: the kernel's memory of path MTUs is not asked (RFC 4821 §3), only the device's own MTU counts.
constexpr Option kOptions4[] = {{SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1},
                                {IPPROTO_IP, IP_RECVERR, 1},
                                {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE},
                                {IPPROTO_IP, IP_TOS, kControlClass}};
constexpr Option kOptions6[] = {{SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1},
                                {IPPROTO_IPV6, IPV6_RECVERR, 1},
                                {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE},
                                {IPPROTO_IPV6, IPV6_TCLASS, kControlClass}};

template <size_t n>
bool set(int fd, const Option (&options)[n]) {
  for (const Option& each : options) {
    if (setsockopt(fd, each.level, each.name, &each.value, sizeof each.value) != 0) return false;
  }
  return true;
}

int family(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 ? domain : -1;
}

int sequenceOf(const uint8_t* icmp) { return icmp[6] << 8 | icmp[7]; }

/** Is it a router's "too big"? Its MTU; -1: something else. */
int tooBig(const msghdr& message) {
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr;
       each = CMSG_NXTHDR(const_cast<msghdr*>(&message), each)) {
    bool v4 = each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_RECVERR;
    bool v6 = each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_RECVERR;
    if ((!v4 && !v6) || each->cmsg_len < CMSG_LEN(sizeof(sock_extended_err))) continue;
    sock_extended_err error;
    memcpy(&error, CMSG_DATA(each), sizeof error);
    bool told = v4 ? error.ee_origin == SO_EE_ORIGIN_ICMP && error.ee_type == ICMP_UNREACH &&
                         error.ee_code == ICMP_UNREACH_NEEDFRAG
                   : error.ee_origin == SO_EE_ORIGIN_ICMP6 && error.ee_type == ICMP6_PACKET_TOO_BIG;
    if (told) return error.ee_info < 0xffff ? static_cast<int>(error.ee_info) : 0xffff;
  }
  return -1;
}

/** One message, of the error queue or not. False: there is none; `told`: it was one of those that count. */
bool receive(int fd, int flags, EchoAnswer& answer, bool& told) {
  uint8_t bytes[kHeaderBytes];  // the rest of an echo says nothing
  iovec iov{bytes, sizeof bytes};
  sockaddr_storage from{};
  alignas(8) uint8_t control[512];
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  told = false;
  ssize_t length = recvmsg(fd, &message, flags | MSG_DONTWAIT);
  // A reader is told of an earlier error once, in the place of a message; the error queue tells more of it.
  if (length < 0) return errno != EAGAIN && errno != EBADF && errno != ENOTSOCK;
  if (static_cast<size_t>(length) < kHeaderBytes) return true;
  bool v4 = from.ss_family == AF_INET;
  answer.sequence = sequenceOf(bytes);
  if (flags & MSG_ERRQUEUE) {
    answer.mtu = tooBig(message);
    answer.source[0] = 0;
    told = answer.mtu >= 0 && (bytes[0] == ICMP_ECHO || bytes[0] == ICMP6_ECHO_REQUEST);
    return true;
  }
  answer.mtu = -1;
  const void* address = v4 ? static_cast<const void*>(&reinterpret_cast<sockaddr_in&>(from).sin_addr)
                           : static_cast<const void*>(&reinterpret_cast<sockaddr_in6&>(from).sin6_addr);
  told = bytes[0] == (v4 ? static_cast<uint8_t>(ICMP_ECHOREPLY) : static_cast<uint8_t>(ICMP6_ECHO_REPLY)) &&
         inet_ntop(from.ss_family, address, answer.source, sizeof answer.source) != nullptr;
  return true;
}

}  // namespace

bool openEcho(const char* address, EchoSocket& echo, Failure& failure) {
  sockaddr_storage own;
  socklen_t length = parseAddress(address, 0, own);
  if (length == 0) return failure.at("read the VTEP address", EINVAL);
  bool v4 = own.ss_family == AF_INET;
  int fd = socket(own.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                  v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6));
  if (fd < 0) return failure.at("open it");
  bool good = v4 ? set(fd, kOptions4) : set(fd, kOptions6);
  if (!good) failure.at("set its options");
  // Port 0: the kernel finds a number that no other socket has.
  auto* name = reinterpret_cast<sockaddr*>(&own);
  if (good)
    good = (bind(fd, name, length) == 0 && getsockname(fd, name, &length) == 0) || failure.at("bind the VTEP address");
  if (!good) {
    close(fd);
    return false;
  }
  echo.fd = fd;
  echo.identifier =
      ntohs(v4 ? reinterpret_cast<sockaddr_in&>(own).sin_port : reinterpret_cast<sockaddr_in6&>(own).sin6_port);
  return true;
}

int sendEcho(int fd, const char* target, const uint8_t* bytes, size_t length) {
  sockaddr_storage to;
  socklen_t toLength = parseAddress(target, 0, to);
  if (toLength == 0 || to.ss_family != family(fd) || length < kHeaderBytes) return -EINVAL;
  // A send is told of what an earlier one met, and sends nothing then: a router's "too big" would pass for the device's.
  for (int tries = 0; tries < 3; tries++) {
    if (sendto(fd, bytes, length, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&to), toLength) >= 0) return 0;
    if (errno == EAGAIN) break;
  }
  return -errno;
}

int receiveEchoes(int fd, EchoAnswer* answers) {
  int count = 0;
  for (int flags : {0, static_cast<int>(MSG_ERRQUEUE)}) {
    bool told;
    for (int n = 0; n < kMostAnswers / 2 && receive(fd, flags, answers[count], told); n++) {
      if (told) count++;
    }
  }
  return count;
}

}  // namespace vtepd
