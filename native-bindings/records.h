// The words of a received frame, of a send record and of the status block: the mirror of src/io/port-io.ts, which is
// the contract and explains each of them. addon.cc exports these numbers and native.ts refuses to start when they
// differ, so the two files cannot drift apart unseen.
#pragma once
#include <cstdint>

namespace vtepd {

constexpr int32_t kMaxPorts = 4096, kMaxFrames = 1024, kMaxSends = 16384;
constexpr int32_t kHeadroom = 64, kVxlanBytes = 8, kMaxFrameBytes = 66 * 1024;

constexpr int kFrameWords = 16;
enum FrameWord {
  F_AT,
  F_LENGTH,
  F_SOURCE,
  F_FLAGS,
  F_GSO_SIZE,
  F_UNITS,
  F_OUTER_SOURCE,
  F_OUTER_TOS,
  F_CSUM_START,
  F_CSUM_OFFSET,
  F_HEAD,
  F_CHAIN,
  F_OUTER_REST,
  F_OUTER_PORT = F_OUTER_REST + 3
};
constexpr int32_t OUTER_IPV6 = 0x10000;

constexpr int kSendWords = 16;
enum SendWord {
  S_AT,
  S_LENGTH,
  S_PORT,
  S_FLAGS,
  S_GSO_SIZE,
  S_TOS,
  S_ENTROPY,
  S_CSUM_START,
  S_CSUM_OFFSET,
  S_CHAIN,
  S_UNITS,
  S_DONE,
  S_ERROR,
  S_OWN
};

// GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4: see gso.h.
constexpr int32_t GSO_MASK = 0xff;
constexpr int32_t FLAG_NEEDS_CSUM = 0x100, FLAG_GSO_ECN = 0x200, FLAG_TRUNCATED = 0x400, FLAG_GSO_BAD = 0x800,
                  FLAG_CSUM_BAD = 0x1000;

constexpr int kStatusWords = 16;
enum StatusWord { STATUS_NOW_MS, STATUS_FAILED, STATUS_ARENA_BYTES, STATUS_WOKEN, STATUS_NOW_NS, STATUS_PAUSED };

}  // namespace vtepd
