// The underlay's sockets.
//
// One socket receives, bound to the VTEP address and port (RFC 7348 §5). A pool of sockets sends, each bound to its
// own port: RFC 7348 §5 wants the outer source port to be a hash of the inner flow, so that ECMP, RSS and several
// cores can tell flows apart. What answers to those ports is not a VXLAN peer: a filter drops all they receive.
// No VTEP may fragment (RFC 7348 §4.3): DF is always set, and a path too narrow shows as EMSGSIZE.
//
// Several workers have a set each, on the same ports (SO_REUSEPORT). The kernel chooses a receiver by a hash of both
// addresses and ports, so a flow, which has one source port, stays with one worker; and a flow leaves by the same source
// port whichever worker sends it. The kernel lets any socket of our user join such a port, a second daemon's too, and
// would give that one half of our datagrams. So the first set is bound alone, as if there were no other, and lets others
// join only when it has its ports: a second daemon's first set is refused.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <cstdint>

#include "netns.h"

namespace vtepd {

constexpr int kMaxTxSockets = 64;

struct UnderlayRequest {
  const char* address;
  int port;
  int firstSourcePort, sourcePortCount;
  int receiveBuffer, sendBuffer;
  bool zeroChecksum;    // send outer UDP checksum 0; excludes UDP_SEGMENT
  bool acceptsZero;     // over IPv6: take it from others
  bool shared;          // there will be other sets on these ports, or this is one of them
  const int32_t* like;  // the sending sockets of the first set, whose ports these take too; none: this is the first
  int likeCount;
};

struct Underlay {
  int fd = -1;
  int txFds[kMaxTxSockets];
  int txCount = 0;
  int receiveBuffer = 0, sendBuffer = 0;  // what the kernel granted
};

bool openUnderlay(const UnderlayRequest& request, Underlay& underlay, Failure& failure);

struct DeviceMtu {
  char device[16];
  int ifindex, mtu;
  bool isUp, hasCarrier;  // IFF_UP, IFF_RUNNING (netdevice(7))
  int gro, tso;           // 1: on, 0: off, -1: the device does not say
};
/** The interface that owns this local address, its MTU and its state. 0 or a negative errno. */
int deviceMtuFor(const char* address, DeviceMtu& found);

/** The path MTU the kernel believes in, toward `remote` from `local`. Positive, or a negative errno. */
int pathMtu(const char* local, const char* remote);

/** Datagrams the kernel dropped at this socket for want of buffer (SO_MEMINFO), as uint32; negative errno. */
int64_t socketDrops(int fd);

/** Text to socket address. Returns its length, 0 when it is not an address. */
socklen_t parseAddress(const char* text, int port, sockaddr_storage& out);

}  // namespace vtepd
