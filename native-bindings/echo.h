// ICMP echoes without a capability: an ICMP datagram socket (icmp(7), Linux 3.0), for whose group net.ipv4.ping_group_range is open.
//
// The kernel writes the IP header and the checksum, and puts the socket's own number in the place of the echo's identifier; only
// replies with that number come back. A router's "too big" about one of our echoes comes by the error queue (IP_RECVERR).
// What routers say of other packets of ours does not come here.
#pragma once
#include <cstddef>
#include <cstdint>

#include "netns.h"

namespace vtepd {

struct EchoSocket {
  int fd = -1;
  int identifier = 0;  // of all its echoes
};

/** Open, from this local address, with Don't Fragment. */
bool openEcho(const char* address, EchoSocket& socket, Failure& failure);

/** Send an ICMP or ICMPv6 echo request, from its type on. 0, or a negative errno; -EMSGSIZE: the device takes less. */
int sendEcho(int fd, const char* target, const uint8_t* bytes, size_t length);

struct EchoAnswer {
  int sequence;
  int mtu;          // of a router that found the echo too long, as it says (0: it does not); -1: this is a reply
  char source[46];  // of a reply: whose
};

/** Most messages that one call reads. What lies there longer is read by the next one. */
constexpr int kMostAnswers = 64;

/** What has come: up to kMostAnswers. How many. */
int receiveEchoes(int fd, EchoAnswer* answers);

}  // namespace vtepd
