// The underlay's sockets.
//
// One socket receives, bound to the VTEP address and port (RFC 7348 §5). A pool of sockets sends, each bound to its
// own port: RFC 7348 §5 wants the outer source port to be a hash of the inner flow, so that ECMP, RSS and several
// cores can tell flows apart. Whoever answers to those ports is not a VXLAN peer: a filter drops all they receive.
// No VTEP may fragment (RFC 7348 §4.3): DF is always set, and a path too narrow shows as EMSGSIZE.
#pragma once
#include <cstdint>
#include <sys/socket.h>
#include <netinet/in.h>

#include "netns.h"

namespace vtepd {

constexpr int kMaxTxSockets = 64;

struct UnderlayRequest {
  const char* address;
  int port;
  int firstSourcePort, sourcePortCount;
  int receiveBuffer, sendBuffer;
  bool reusePort;      // one receive socket per worker
  bool zeroChecksum;   // send outer UDP checksum 0; excludes UDP_SEGMENT
};

struct Underlay {
  int fd = -1;
  int txFds[kMaxTxSockets];
  int txPorts[kMaxTxSockets];
  int txCount = 0;
  int receiveBuffer = 0, sendBuffer = 0;  // what the kernel granted
};

bool openUnderlay(const UnderlayRequest& request, Underlay& underlay, Failure& failure);

struct DeviceMtu {
  char device[16];
  int ifindex, mtu;
};
/** The interface that owns this local address, and its MTU. 0 or a negative errno. */
int deviceMtuFor(const char* address, DeviceMtu& found);

/** The path MTU the kernel believes in, toward `remote` from `local`. Positive, or a negative errno. */
int pathMtu(const char* local, const char* remote);

/** Datagrams the kernel dropped at this socket for want of buffer (SO_MEMINFO), as uint32; negative errno. */
int64_t socketDrops(int fd);

/** Text to socket address. Returns its length, 0 when it is not an address. */
socklen_t parseAddress(const char* text, int port, sockaddr_storage& out);

}  // namespace vtepd
