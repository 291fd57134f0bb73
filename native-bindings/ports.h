// Who is attached to a worker's io: TAPs by fd, peers by address.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "records.h"

namespace vtepd {

struct Io;

enum class PortKind : uint8_t { none, tap, peer };

struct Port {
  PortKind kind;
  uint8_t vnetBytes;   // TAP: bytes of the virtio header, 0 without
  uint8_t watched;     // TAP: in the epoll set
  uint8_t foreign;     // TAP: another process has the file too (handover.h)
  uint8_t segmentCap;  // peer: most segments of one UDP_SEGMENT send; 1: none
  int fd;              // TAP
  int error;           // TAP: negative errno at which reading stopped, 0 while it works
  uint32_t resumeMs;   // TAP: when to try again after an error; peer: when to try GSO again
  socklen_t addressLength;
  sockaddr_in6 address;  // peer; a sockaddr_in when the underlay is IPv4
};
static_assert(sizeof(sockaddr_in) <= sizeof(sockaddr_in6));
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port),
              "a sender's port is read as either");

struct Ports {
  Port at[kMaxPorts];
  uint16_t byAddress[2 * kMaxPorts];  // hash of a peer's address -> io port, linear probing, 0 free
  uint32_t suspended;                 // TAPs waiting for resumeMs
  uint32_t resumeCheckMs;
};

/** `reads`: false where another worker reads it, and this one only writes. */
int attachTap(Io& io, int port, int fd, bool reads);
int attachPeer(Io& io, int port, int at, int addressLength, int udpPort);
void detach(Io& io, int port);
/** Io port of a datagram's sender, 0 when unknown. */
int portOfSender(const Io& io, const sockaddr_in6& name);
/** Watch TAPs again whose pause after an error is over. */
void resumeTaps(Io& io);
/** Stop watching a TAP: for good (-EBADFD: deleted) or for a second. */
void suspendTap(Io& io, int port, int error);

}  // namespace vtepd
