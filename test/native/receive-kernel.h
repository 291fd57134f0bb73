// The kernel that fuzz-receive.cc receives from and sends to: recvmmsg, recv, setsockopt and sendmmsg, linked in their place
// (ld --wrap). It hands over the datagrams that wait, with their ancillary data, and keeps the packets that leave.
#pragma once

#include "../../native-bindings/exchange.h"
#include "oracle.h"

using namespace vtepd;

constexpr int kTxFd = 100000, kUdpFd = 100001;  // no files of the fuzzer's own
constexpr uint32_t kSlots = 8;

struct Datagram {
  Bytes bytes;
  uint32_t from;
  int gro;    // -1: no such message
  int flags;  // msg_flags
  uint8_t tos;
  bool reversed;  // ancillary messages the other way round
};

struct World {
  std::vector<Datagram> waiting;
  std::vector<Bytes> left;  // packets that left, in order
  bool gro, more;
};
extern World world;
