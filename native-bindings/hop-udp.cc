// UDP whose hop count matters (RFC 5082): everything leaves with TTL or hop limit 255, and what comes is told with its own.
//
// Node's sockets cannot show the TTL of a datagram. No right is needed for any of it.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

#include "calls.h"
#include "netns.h"
#include "udp.h"

namespace vtepd {

namespace {

constexpr int kControlClass = 0xc0;  // class selector 6, network control (RFC 4594 §3.1)
constexpr int kHops = 255;

/**
 * A received datagram as a record: length of the payload (2 bytes, low first; more than is kept if it was cut), hop count, bytes of
 * the source address (4 or 16), the address (16 bytes), 4 that are not used, and the payload's first bytes.
 */
constexpr size_t kRecordBytes = 96;
constexpr size_t kPayloadBytes = 72;

bool setOption(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

bool setOptions(int fd, int family) {
  if (family == AF_INET)
    return setOption(fd, IPPROTO_IP, IP_TTL, kHops) && setOption(fd, IPPROTO_IP, IP_RECVTTL, 1) &&
           setOption(fd, IPPROTO_IP, IP_TOS, kControlClass);
  return setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) && setOption(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, kHops) &&
         setOption(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) && setOption(fd, IPPROTO_IPV6, IPV6_TCLASS, kControlClass);
}

/** 0: the kernel did not say. */
int hopsOf(const msghdr& message) {
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr;
       each = CMSG_NXTHDR(const_cast<msghdr*>(&message), each)) {
    bool v4 = each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_TTL;
    bool v6 = each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_HOPLIMIT;
    int hops = 0;
    if ((!v4 && !v6) || each->cmsg_len < CMSG_LEN(sizeof hops)) continue;
    memcpy(&hops, CMSG_DATA(each), sizeof hops);
    return hops;
  }
  return 0;
}

/** False: there is none. */
bool receiveOne(int fd, uint8_t* record) {
  iovec iov{record + kRecordBytes - kPayloadBytes, kPayloadBytes};
  sockaddr_storage from{};
  alignas(8) uint8_t control[128];
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC);
  if (length < 0) return false;
  bool v4 = from.ss_family == AF_INET;
  record[0] = static_cast<uint8_t>(length);
  record[1] = static_cast<uint8_t>(length >> 8);
  record[2] = static_cast<uint8_t>(hopsOf(message));
  record[3] = v4 ? 4 : 16;
  if (v4) memcpy(record + 4, &reinterpret_cast<sockaddr_in&>(from).sin_addr, 4);
  else memcpy(record + 4, &reinterpret_cast<sockaddr_in6&>(from).sin6_addr, 16);
  return true;
}

int openSocket(const char* address, int port, Failure& failure) {
  sockaddr_storage own;
  socklen_t length = parseAddress(address, port, own);
  if (length == 0) {
    failure.at("read the VTEP address", EINVAL);
    return -1;
  }
  int fd = socket(own.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    failure.at("open a UDP socket");
    return -1;
  }
  bool good = setOptions(fd, own.ss_family) || failure.at("set its hop count");
  if (good) good = bind(fd, reinterpret_cast<sockaddr*>(&own), length) == 0 || failure.at("bind the VTEP address");
  if (good) return fd;
  close(fd);
  return -1;
}

int sendTo(int fd, const char* target, int port, const uint8_t* bytes, size_t length) {
  sockaddr_storage to;
  socklen_t toLength = parseAddress(target, port, to);
  if (toLength == 0) return -EINVAL;
  return sendto(fd, bytes, length, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&to), toLength) < 0 ? -errno : 0;
}

int receiveAll(int fd, uint8_t* records, size_t most) {
  size_t count = 0;
  while (count < most && receiveOne(fd, records + count * kRecordBytes)) count++;
  return static_cast<int>(count);
}

}  // namespace

napi_value openHopUdpCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  std::string address = args.text(0);
  int port = args.integer(1);
  if (args.bad()) return nullptr;
  Failure failure;
  int fd = openSocket(address.c_str(), port, failure);
  return fd < 0 ? list(env, {number(env, -failure.error), text(env, failure.step)}) : list(env, {number(env, fd)});
}

napi_value sendHopUdpCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  std::string target = args.text(1);
  int port = args.integer(2);
  size_t length;
  const uint8_t* bytes = args.view<uint8_t>(3, length);
  return args.bad() ? nullptr : number(env, sendTo(fd, target.c_str(), port, bytes, length));
}

napi_value receiveHopUdpCall(napi_env env, napi_callback_info info) {
  Arguments args(env, info);
  int fd = args.integer(0);
  size_t length;
  uint8_t* records = args.view<uint8_t>(1, length);
  return args.bad() ? nullptr : number(env, receiveAll(fd, records, length / kRecordBytes));
}

}  // namespace vtepd
